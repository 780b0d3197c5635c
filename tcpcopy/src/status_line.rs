//! The status line on a terminal: what happens now, not what has happened so far.

use std::time::Duration;

use tcpcopy_cli::{bytes, count, duration, per_second};
use tcpcopy_core::runtime::{Accounts, FeedTotals, RecordingTotals, ReplaySnapshot};

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
        if let Some(datagrams) = &snapshot.datagrams {
            let source = match &snapshot.recording {
                Some(recording) => progress(recording, snapshot.running_for),
                None => format!("{} packets/s", count(frames)),
            };
            let (captured, copies) = (count(datagrams.captured), count(datagrams.copies));
            return format!("{source} | {captured} datagrams, {copies} copies");
        }
        if let Some(recording) = &snapshot.recording {
            return format!(
                "{} | {} sessions | {} turns/s, {} waiting, {} lost | {}",
                progress(recording, snapshot.running_for),
                count(snapshot.pending.sessions),
                count(turns),
                count(accounts.turns.pending),
                count(accounts.turns.lost),
                feed(&snapshot.feed),
            );
        }
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

/// How far the files are replayed, and how much longer it takes if it goes on like this. What is read is a little ahead of
/// what is said.
fn progress(recording: &RecordingTotals, running_for: Duration) -> String {
    let lap = if recording.laps > 1 {
        format!(", lap {} of {}", count(recording.lap.into()), count(recording.laps.into()))
    } else {
        String::new()
    };
    let done = duration(recording.position);
    if recording.is_read {
        return format!("all read, {done}{lap}, finishing");
    }
    let Some(total) = recording.bytes_total.filter(|total| *total > 0) else {
        return format!("{} read, {done}{lap}", bytes(recording.bytes_read));
    };
    let share = recording.bytes_read.min(total) as f64 / total as f64;
    let left = match share {
        share if share > 0.0 => running_for.mul_f64((1.0 - share) / share),
        _ => return format!("0 %, {done}{lap}"),
    };
    format!("{:.0} %, {done}{lap}, {} left", (share * 100.0).floor(), duration(left))
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
    fn files_are_shown_by_how_far_they_are() {
        let recording = RecordingTotals {
            lap: 1,
            laps: 1,
            position: Duration::from_secs(90),
            bytes_read: 250,
            bytes_total: Some(1000),
            ..RecordingTotals::default()
        };
        let shown = |recording: &RecordingTotals| progress(recording, Duration::from_secs(20));
        assert_eq!(shown(&recording), "25 %, 1m 30s, 1m left");
        let laps = RecordingTotals { lap: 2, laps: 10, ..recording.clone() };
        assert_eq!(shown(&laps), "25 %, 1m 30s, lap 2 of 10, 1m left");
        let pipe = RecordingTotals { bytes_total: None, ..recording.clone() };
        assert_eq!(shown(&pipe), "250 B read, 1m 30s");
        assert_eq!(shown(&RecordingTotals { bytes_read: 0, ..recording.clone() }), "0 %, 1m 30s");
        let over = RecordingTotals { is_read: true, ..recording };
        assert_eq!(shown(&over), "all read, 1m 30s, finishing");
    }

    #[test]
    fn the_feed_is_told_as_it_is() {
        let totals = |connected| FeedTotals { wanted: 2, connected, ..FeedTotals::default() };
        assert_eq!(feed(&totals(0)), "no intercept");
        assert_eq!(feed(&totals(1)), "intercept 1 of 2 connections");
        assert_eq!(feed(&totals(2)), "intercept ok");
    }
}
