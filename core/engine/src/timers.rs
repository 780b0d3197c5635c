//! Which session is due when.
//!
//! A session's deadline mostly moves later, with every acknowledgement; so only an earlier deadline is entered
//! at once, and an entry that comes up too early is entered again. The queue stays as small as the number of
//! sessions, give or take.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tcpcopy_wire::Instant;

use crate::SessionId;

/// A queue of (time, session).
#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, SessionId)>>);

impl Timers {
    pub(crate) fn arm(&mut self, at: Instant, session: SessionId) {
        self.0.push(Reverse((at, session)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The earliest entry not later than `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, SessionId)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
