//! How long the calls of one generation of a module take.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::libc::{self, clockid_t, timespec};

/// One call of so many is timed to the nanosecond.
const PRECISE_EVERY: u64 = 64;

/// Call times of one generation, to be read from any thread.
///
/// A precise clock costs more than many calls do. So it times only some of them, for the mean; stalls are noticed
/// in every call, by a clock that is cheap and coarse (a few milliseconds).
#[derive(Debug)]
pub struct CallTimes {
    slow_from: u64,
    tallies: Mutex<Vec<Arc<Tally>>>,
}

/// What [`CallTimes`] saw so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallSummary {
    /// How many calls there were.
    pub calls: u64,
    /// How long a call takes in the mean, from those that were timed; `None` before the first.
    pub mean: Option<Duration>,
    /// The longest call that was timed or slow.
    pub longest: Duration,
    /// How many calls were slow.
    pub slow: u64,
}

impl CallTimes {
    /// No calls yet; one that takes `slow_from` is slow.
    pub(crate) fn new(slow_from: Duration) -> Self {
        let slow_from = u64::try_from(slow_from.as_nanos()).unwrap_or(u64::MAX);
        Self { slow_from, tallies: Mutex::default() }
    }

    /// The tally of a module that is made of this generation's code.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally { slow_from: self.slow_from, ..Tally::default() });
        self.with_tallies(|tallies| tallies.push(Arc::clone(&tally)));
        tally
    }

    /// Forgets the calls so far: those of the smoke call are nobody's.
    pub(crate) fn clear(&self) {
        self.with_tallies(|tallies| tallies.iter().for_each(|tally| tally.clear()));
    }

    /// What was seen so far.
    #[must_use]
    pub fn summary(&self) -> CallSummary {
        self.with_tallies(|tallies| {
            let sum = |count: fn(&Tally) -> &AtomicU64| {
                tallies.iter().map(|tally| count(tally).load(Relaxed)).sum::<u64>()
            };
            let longest = tallies.iter().map(|tally| tally.longest_nanos.load(Relaxed)).max();
            CallSummary {
                calls: sum(|tally| &tally.calls),
                mean: sum(|tally| &tally.timed_nanos)
                    .checked_div(sum(|tally| &tally.timed))
                    .map(Duration::from_nanos),
                longest: Duration::from_nanos(longest.unwrap_or(0)),
                slow: sum(|tally| &tally.slow),
            }
        })
    }

    fn with_tallies<T>(&self, look: impl FnOnce(&mut Vec<Arc<Tally>>) -> T) -> T {
        look(&mut self.tallies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The call times of one module. Only the thread that has the module writes them, so that counting needs none of the
/// instructions that cores have to agree on, which cost as much as the rest of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    slow_from: u64,
    calls: AtomicU64,
    timed: AtomicU64,
    timed_nanos: AtomicU64,
    slow: AtomicU64,
    longest_nanos: AtomicU64,
}

/// A call that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    clock: clockid_t,
    at: u64,
}

impl Tally {
    /// A call begins.
    pub(crate) fn begin(&self) -> Begun {
        let is_precise = add(&self.calls, 1).is_multiple_of(PRECISE_EVERY);
        let clock = if is_precise { libc::CLOCK_MONOTONIC } else { libc::CLOCK_MONOTONIC_COARSE };
        Begun { clock, at: nanos(clock) }
    }

    /// That call has ended.
    pub(crate) fn end(&self, begun: Begun) {
        let took = nanos(begun.clock).saturating_sub(begun.at);
        let is_precise = begun.clock == libc::CLOCK_MONOTONIC;
        let is_slow = took >= self.slow_from;
        if is_precise {
            add(&self.timed, 1);
            add(&self.timed_nanos, took);
        }
        if is_slow {
            add(&self.slow, 1);
        }
        if (is_precise || is_slow) && took > self.longest_nanos.load(Relaxed) {
            self.longest_nanos.store(took, Relaxed);
        }
    }

    fn clear(&self) {
        for count in [&self.calls, &self.timed, &self.timed_nanos, &self.slow, &self.longest_nanos] {
            count.store(0, Relaxed);
        }
    }
}

/// Adds to a counter that nobody else writes; returns what it was.
fn add(count: &AtomicU64, more: u64) -> u64 {
    let before = count.load(Relaxed);
    count.store(before.wrapping_add(more), Relaxed);
    before
}

/// Without the checks of nix, which cost as much as the clock: this is read twice for every call.
fn nanos(clock: clockid_t) -> u64 {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is there to be written to. These clocks cannot fail; if one did, calls would take no time.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn every_call_is_counted_and_some_are_timed() {
        let times = CallTimes::new(Duration::from_secs(60));
        assert_eq!(times.summary().mean, None);
        let tally = times.tally();
        for _ in 0..=PRECISE_EVERY {
            tally.end(tally.begin());
        }
        assert_eq!(tally.timed.load(Relaxed), 2);
        let summary = times.summary();
        assert_eq!((summary.calls, summary.slow), (PRECISE_EVERY + 1, 0));
        assert!(summary.mean.unwrap() <= summary.longest && summary.longest < Duration::from_secs(60));
    }

    #[test]
    fn the_modules_of_a_generation_are_counted_together() {
        let times = CallTimes::new(Duration::from_secs(60));
        for calls in 1..=3 {
            let tally = times.tally();
            (0..calls).for_each(|_| tally.end(tally.begin()));
        }
        assert_eq!(times.summary().calls, 6);
        times.clear();
        assert_eq!(times.summary(), CallTimes::new(Duration::ZERO).summary());
    }

    #[test]
    fn a_stall_is_noticed_in_a_call_that_is_not_timed() {
        let times = CallTimes::new(Duration::from_millis(20));
        let tally = times.tally();
        tally.end(tally.begin());
        let stalled = tally.begin();
        thread::sleep(Duration::from_millis(50));
        tally.end(stalled);
        let summary = times.summary();
        assert_eq!(summary.slow, 1);
        assert!(summary.longest >= Duration::from_millis(40), "{summary:?}");
    }
}
