//! The clock every process of a run shares, and the timers of an event loop.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// Microseconds of the machine's monotonic clock: comparable between all processes and network namespaces of one
/// machine.
///
/// # Panics
/// Panics if the kernel has no monotonic clock.
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
    now.num_microseconds() as u64
}

/// Microseconds of CPU, user and system, this process has used.
pub(crate) fn cpu_us() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as u64
    })
}

/// Things to do at a time, earliest first.
pub(crate) struct Timers<W>(BinaryHeap<Reverse<(u64, W)>>);

impl<W: Ord> Timers<W> {
    pub(crate) fn new() -> Self {
        Self(BinaryHeap::new())
    }

    pub(crate) fn arm(&mut self, at: u64, wake: W) {
        self.0.push(Reverse((at, wake)));
    }

    /// Takes the earliest thing that is due.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<W> {
        if self.next_at()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, wake))| wake)
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}

/// How long a poll may sleep for something due at `at`.
pub(crate) fn until(at: u64, now: u64) -> Duration {
    Duration::from_micros(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_due_earliest_first() {
        let mut timers = Timers::new();
        for (at, wake) in [(30, 'c'), (10, 'a'), (20, 'b')] {
            timers.arm(at, wake);
        }
        assert_eq!(timers.next_at(), Some(10));
        assert_eq!(
            [timers.pop_due(20), timers.pop_due(20), timers.pop_due(20)],
            [Some('a'), Some('b'), None]
        );
    }
}
