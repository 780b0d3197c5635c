//! How long the calls of one generation of a module take.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::tally::Tally;

/// Call times of one generation, to be read from any thread.
///
/// Where calls are few each is timed. Where they are many (50 000 a second) that would cost more than the calls do: one in 64
/// is timed then, for the mean, and a thread looks every 5 ms which calls are running, for the slow ones.
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
        let tally = Arc::new(Tally::new(self.slow_from));
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
            let sum = |count: fn(&Tally) -> u64| tallies.iter().map(|tally| count(tally)).sum::<u64>();
            let longest = tallies.iter().map(|tally| tally.longest()).max();
            CallSummary {
                calls: sum(Tally::calls),
                mean: sum(|tally| tally.timed().1)
                    .checked_div(sum(|tally| tally.timed().0))
                    .map(Duration::from_nanos),
                longest: Duration::from_nanos(longest.unwrap_or(0)),
                slow: sum(Tally::slow),
            }
        })
    }

    /// The watch looks, `passed` nanoseconds after it last did. Returns for how long a call has been running.
    pub(crate) fn look(&self, passed: u64) -> Option<Duration> {
        self.longest_of(|tally| tally.look(passed))
    }

    /// For how long the call had been running that runs now, when the watch last looked.
    pub(crate) fn running(&self) -> Option<Duration> {
        self.longest_of(Tally::running)
    }

    /// From now on few of the calls are timed, or all of them.
    pub(crate) fn time_few(&self, few: bool) {
        self.with_tallies(|tallies| tallies.iter().for_each(|tally| tally.time_few(few)));
    }

    fn longest_of(&self, nanos: impl Fn(&Tally) -> Option<u64>) -> Option<Duration> {
        self.with_tallies(|tallies| tallies.iter().filter_map(|tally| nanos(tally)).max())
            .map(Duration::from_nanos)
    }

    fn with_tallies<T>(&self, look: impl FnOnce(&mut Vec<Arc<Tally>>) -> T) -> T {
        look(&mut self.tallies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_of_a_generation_are_counted_together() {
        let times = CallTimes::new(Duration::from_secs(60));
        assert_eq!(times.summary().mean, None);
        for calls in 1..=3 {
            let tally = times.tally();
            (0..calls).for_each(|_| tally.end(tally.begin()));
        }
        let summary = times.summary();
        assert_eq!((summary.calls, summary.slow), (6, 0));
        assert!(summary.mean.unwrap() <= summary.longest && summary.longest < Duration::from_secs(60));
        times.clear();
        assert_eq!(times.summary(), CallTimes::new(Duration::ZERO).summary());
    }

    #[test]
    fn a_slow_call_is_noticed() {
        const SLOW: Duration = Duration::from_millis(40);
        let times = CallTimes::new(SLOW);
        let tally = times.tally();
        let slow = tally.begin();
        std::thread::sleep(SLOW);
        tally.end(slow);
        let summary = times.summary();
        assert_eq!((summary.calls, summary.slow), (1, 1));
        assert!(summary.longest >= SLOW, "{summary:?}");
    }
}
