//! The summary line: once per interval, everything since the start, in the names of the report (its
//! `frames` are `captured` here).

use std::fmt::Write;

use tcpcopy_core::engine::Verdict;
use tcpcopy_core::runtime::{Accounts, ReplaySnapshot};

use crate::report::datagrams;

/// One line about `snapshot`; verdicts appear once there is a session that ended with them.
pub(crate) fn line(snapshot: &ReplaySnapshot) -> String {
    let ReplaySnapshot { capture, engine, pending, feed, .. } = snapshot;
    if let Some(datagrams) = &snapshot.datagrams {
        let (frames, dropped, rest) = (capture.frames, capture.kernel_dropped, datagrams::summary(datagrams));
        return format!("summary: captured={frames} kernel_dropped={dropped} {rest}");
    }
    let accounts = Accounts::of(engine, pending);
    let mut line = format!(
        "summary: captured={} kernel_dropped={} sessions_pending={} sessions_ended={}",
        capture.frames,
        capture.kernel_dropped,
        pending.sessions,
        engine.sessions_ended(),
    );
    for (verdict, ended) in Verdict::ALL.iter().zip(&engine.ended) {
        if ended.sessions > 0 {
            // Writing to a String cannot fail.
            let _ = write!(line, " {}={}", verdict.name(), ended.sessions);
        }
    }
    let _ = write!(
        line,
        " turns_captured={} turns_delivered={} turns_lost={} turns_pending={} bytes_delivered={} \
         retransmissions={} feed_connected={}/{} feed_lost={}",
        accounts.turns.captured,
        accounts.turns.delivered,
        accounts.turns.lost,
        accounts.turns.pending,
        accounts.bytes.delivered,
        engine.retransmissions,
        feed.connected,
        feed.wanted,
        feed.overflowed + feed.held_expired + feed.intercept_kernel_dropped,
    );
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_summary_is_one_line() {
        assert_eq!(
            line(&example().snapshot),
            "summary: captured=123456 kernel_dropped=12 sessions_pending=4 sessions_ended=1200 complete=1180 \
             target_reset=20 turns_captured=65000 turns_delivered=64980 turns_lost=13 turns_pending=7 \
             bytes_delivered=9995000 retransmissions=40 feed_connected=2/2 feed_lost=6"
        );
    }
}
