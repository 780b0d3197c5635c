//! The summary line: once per interval, everything since the start, in the names of the report (its
//! `frames` are `captured` here).

use tcpcopy_core::runtime::RelaySnapshot;

use crate::report::Routing;

/// One line about `snapshot`.
pub(crate) fn line(snapshot: &RelaySnapshot) -> String {
    let routing = Routing::of(&snapshot.relay);
    format!(
        "summary: captured={} kernel_dropped={} responses={} responses_delivered={} responses_lost={} \
         responses_unclaimed={} responses_waiting={} connections={} flows={}",
        snapshot.capture.frames,
        snapshot.capture.kernel_dropped,
        routing.responses,
        routing.delivered,
        routing.lost,
        routing.unclaimed,
        routing.waiting,
        snapshot.peers.len(),
        snapshot.peers.iter().map(|peer| peer.summary.flows).sum::<usize>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_summary_is_one_line() {
        assert_eq!(
            line(&example()),
            "summary: captured=1000 kernel_dropped=0 responses=990 responses_delivered=970 responses_lost=7 \
             responses_unclaimed=10 responses_waiting=3 connections=1 flows=50"
        );
    }
}
