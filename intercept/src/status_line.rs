//! The status line on a terminal: what happens now, not what has happened so far.

use std::time::Duration;

use tcpcopy_cli::{count, per_second};
use tcpcopy_core::runtime::RelaySnapshot;

use crate::report::Routing;

/// Remembers the snapshot before, for rates.
#[derive(Debug, Default)]
pub(crate) struct StatusLine {
    at: Duration,
    responses: u64,
}

impl StatusLine {
    /// The line for `snapshot`.
    pub(crate) fn text(&mut self, snapshot: &RelaySnapshot) -> String {
        let routing = Routing::of(&snapshot.relay);
        let time = snapshot.running_for.saturating_sub(self.at);
        let rate = per_second(routing.responses.saturating_sub(self.responses), time);
        (self.at, self.responses) = (snapshot.running_for, routing.responses);
        let dropped = match snapshot.capture.kernel_dropped {
            0 => String::new(),
            dropped => format!(", {} dropped", count(dropped)),
        };
        let flows: usize = snapshot.peers.iter().map(|peer| peer.summary.flows).sum();
        let peers = match snapshot.peers.len() {
            0 => "no tcpcopy".to_owned(),
            1 => "1 connection of tcpcopy".to_owned(),
            several => format!("{several} connections of tcpcopy"),
        };
        format!(
            "{} responses/s{dropped} | {} waiting, {} unclaimed, {} lost | {peers}, {} flows",
            count(rate),
            count(routing.waiting),
            count(routing.unclaimed),
            count(routing.lost),
            count(flows as u64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn rates_are_those_since_the_line_before() {
        let mut status = StatusLine::default();
        let mut snapshot = example();
        status.text(&snapshot);
        snapshot.running_for += Duration::from_secs(2);
        snapshot.relay.delivered += 10_000;
        assert_eq!(
            status.text(&snapshot),
            "5,000 responses/s | 3 waiting, 10 unclaimed, 7 lost | 1 connection of tcpcopy, 50 flows"
        );
    }
}
