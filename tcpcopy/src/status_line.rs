//! The status line on a terminal: what happens now, not what has happened so far.

use std::time::Duration;

use tcpcopy_cli::{count, per_second};
use tcpcopy_core::runtime::{Accounts, FeedTotals, ReplaySnapshot};

/// Remembers the snapshot before, for rates.
#[derive(Debug, Default)]
pub(crate) struct StatusLine {
    before: Before,
}

#[derive(Debug, Default)]
struct Before {
    at: Duration,
    frames: u64,
    turns: u64,
}

impl StatusLine {
    /// The line for `snapshot`.
    pub(crate) fn text(&mut self, snapshot: &ReplaySnapshot) -> String {
        let accounts = Accounts::of(&snapshot.engine, &snapshot.pending);
        let now = Before {
            at: snapshot.running_for,
            frames: snapshot.capture.frames,
            turns: accounts.turns.captured,
        };
        let time = now.at.saturating_sub(self.before.at);
        let frames = per_second(now.frames.saturating_sub(self.before.frames), time);
        let turns = per_second(now.turns.saturating_sub(self.before.turns), time);
        self.before = now;
        let dropped = match snapshot.capture.kernel_dropped {
            0 => String::new(),
            dropped => format!(", {} dropped", count(dropped)),
        };
        format!(
            "{} packets/s{dropped} | {} sessions | {} turns/s, {} waiting, {} lost | {}",
            count(frames),
            count(snapshot.pending.sessions),
            count(turns),
            count(accounts.turns.pending),
            count(accounts.turns.lost),
            feed(&snapshot.feed),
        )
    }
}

fn feed(feed: &FeedTotals) -> String {
    match feed.connected {
        0 => "no intercept".to_owned(),
        connected if connected == feed.wanted => "intercept ok".to_owned(),
        connected => format!("intercept {connected} of {} connections", feed.wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn rates_are_those_since_the_line_before() {
        let mut status = StatusLine::default();
        let mut snapshot = example().snapshot;
        status.text(&snapshot);
        snapshot.running_for += Duration::from_secs(2);
        snapshot.capture.frames += 10_000;
        snapshot.engine.turns_captured += 400;
        snapshot.pending.turns += 400;
        assert_eq!(
            status.text(&snapshot),
            "5,000 packets/s, 12 dropped | 4 sessions | 200 turns/s, 407 waiting, 13 lost | intercept ok"
        );
    }

    #[test]
    fn the_feed_is_told_as_it_is() {
        let totals = |connected| FeedTotals { wanted: 2, connected, ..FeedTotals::default() };
        assert_eq!(feed(&totals(0)), "no intercept");
        assert_eq!(feed(&totals(1)), "intercept 1 of 2 connections");
        assert_eq!(feed(&totals(2)), "intercept ok");
    }
}
