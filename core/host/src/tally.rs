//! What is known of the calls into one module.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use nix::libc::{self, timespec};

/// Where calls are many, one of so many is timed; a power of two.
const TIMED_OF_MANY: u64 = 64;

/// The calls of one module: the thread that has the module counts and times them, the [watch](crate::watch) sees those that
/// take long.
///
/// Each side writes numbers of its own and reads those of the other, so that a call needs none of the instructions that
/// cores have to agree on, nor a clock: either would cost more than the call.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// From so many nanoseconds on a call is slow.
    slow_from: u64,

    /// How often the module was entered or left: odd while a call runs.
    crossings: AtomicU64,
    /// How many times it was entered for something else than a conversation's call.
    aside: AtomicU64,
    timed: AtomicU64,
    timed_nanos: AtomicU64,
    slow: AtomicU64,
    longest_nanos: AtomicU64,

    /// The watch's: calls are timed whose number has none of these bits.
    untimed: AtomicU64,
    /// The watch's: the value of `crossings` when it last saw a call run.
    seen: AtomicU64,
    /// The watch's: for how many nanoseconds that call had run by then.
    seen_nanos: AtomicU64,
}

/// A call that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    entered: u64,
    /// Of a call that is timed.
    at: Option<u64>,
}

impl Tally {
    /// No calls yet; one that takes `slow_from` nanoseconds is slow. All are timed until somebody [watches](Self::look).
    pub(crate) fn new(slow_from: u64) -> Self {
        Self { slow_from, ..Self::default() }
    }

    /// A conversation's call begins.
    #[inline]
    pub(crate) fn begin(&self) -> Begun {
        let entered = add(&self.crossings, 1) + 1;
        let is_timed = (entered / 2) & self.untimed.load(Relaxed) == 0;
        Begun { entered, at: is_timed.then(nanos) }
    }

    /// That call has ended.
    #[inline]
    pub(crate) fn end(&self, begun: Begun) {
        self.crossings.store(begun.entered.wrapping_add(1), Relaxed);
        if begun.at.is_some() || self.seen.load(Acquire) == begun.entered {
            self.measure(begun);
        }
    }

    /// Runs what is no call of a conversation, but may as well not return.
    pub(crate) fn aside<T>(&self, enter: impl FnOnce() -> T) -> T {
        add(&self.crossings, 1);
        let given = enter();
        add(&self.crossings, 1);
        add(&self.aside, 1);
        given
    }

    #[cold]
    #[inline(never)]
    fn measure(&self, begun: Begun) {
        let took = match begun.at {
            Some(at) => nanos().saturating_sub(at),
            None => self.seen_nanos.load(Relaxed),
        };
        if begun.at.is_some() {
            add(&self.timed, 1);
            add(&self.timed_nanos, took);
        }
        if took >= self.slow_from {
            add(&self.slow, 1);
        }
        self.longest_nanos.store(took.max(self.longest_nanos.load(Relaxed)), Relaxed);
    }

    /// The watch looks, `passed` nanoseconds after it last did. Returns for how long a call has been running.
    pub(crate) fn look(&self, passed: u64) -> Option<u64> {
        let entered = self.inside()?;
        // A call that is new has begun somewhere between the look before and this one.
        let ran = self.seen_running(entered).map_or(passed / 2, |ran| ran.saturating_add(passed));
        self.seen_nanos.store(ran, Relaxed);
        self.seen.store(entered, Release);
        Some(ran)
    }

    /// For how long the call had been running that runs now, when the watch last looked.
    pub(crate) fn running(&self) -> Option<u64> {
        self.seen_running(self.inside()?)
    }

    fn inside(&self) -> Option<u64> {
        Some(self.crossings.load(Relaxed)).filter(|crossings| !crossings.is_multiple_of(2))
    }

    fn seen_running(&self, entered: u64) -> Option<u64> {
        (self.seen.load(Acquire) == entered).then(|| self.seen_nanos.load(Relaxed))
    }

    /// From now on few of the calls are timed, or all of them.
    pub(crate) fn time_few(&self, few: bool) {
        self.untimed.store(if few { TIMED_OF_MANY - 1 } else { 0 }, Relaxed);
    }

    /// Forgets the calls so far. Nobody may be watching yet.
    pub(crate) fn clear(&self) {
        let Self { crossings, aside, timed, timed_nanos, slow, longest_nanos, .. } = self;
        for count in [crossings, aside, timed, timed_nanos, slow, longest_nanos] {
            count.store(0, Relaxed);
        }
    }

    /// How many calls have begun.
    pub(crate) fn calls(&self) -> u64 {
        self.crossings.load(Relaxed).div_ceil(2).saturating_sub(self.aside.load(Relaxed))
    }

    /// How many calls were timed, and how many nanoseconds those took.
    pub(crate) fn timed(&self) -> (u64, u64) {
        (self.timed.load(Relaxed), self.timed_nanos.load(Relaxed))
    }

    /// How many calls were slow.
    pub(crate) fn slow(&self) -> u64 {
        self.slow.load(Relaxed)
    }

    /// How many nanoseconds the longest call took that was timed or seen.
    pub(crate) fn longest(&self) -> u64 {
        self.longest_nanos.load(Relaxed)
    }
}

/// Adds to a counter that nobody else writes; returns what it was.
fn add(count: &AtomicU64, more: u64) -> u64 {
    let before = count.load(Relaxed);
    count.store(before.wrapping_add(more), Relaxed);
    before
}

/// A moment, in nanoseconds.
pub(crate) fn nanos() -> u64 {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is there to be written to. This clock cannot fail; if it did, calls would take no time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// A value of a module: dropping it runs the module's code, which may as well not return.
pub(crate) struct Inside<T> {
    pub(crate) value: ManuallyDrop<T>,
    pub(crate) tally: Arc<Tally>,
}

impl<T> Inside<T> {
    pub(crate) fn new(value: T, tally: Arc<Tally>) -> Self {
        Self { value: ManuallyDrop::new(value), tally }
    }
}

impl<T> Drop for Inside<T> {
    fn drop(&mut self) {
        // SAFETY: nobody sees the value after this.
        self.tally.aside(|| unsafe { ManuallyDrop::drop(&mut self.value) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn all_calls_are_timed_where_they_are_few_and_some_where_they_are_many() {
        let tally = Tally::new(u64::MAX);
        let call_often = || (0..TIMED_OF_MANY).for_each(|_| tally.end(tally.begin()));
        call_often();
        assert_eq!((tally.calls(), tally.timed().0), (TIMED_OF_MANY, TIMED_OF_MANY));
        tally.time_few(true);
        call_often();
        assert_eq!((tally.calls(), tally.timed().0), (2 * TIMED_OF_MANY, TIMED_OF_MANY + 1));
        assert!(tally.longest() <= tally.timed().1);
    }

    #[test]
    fn a_call_that_is_not_timed_takes_as_long_as_it_was_seen() {
        let tally = Tally::new(10 * MS);
        assert_eq!(tally.running(), None);
        tally.time_few(true);
        tally.end(tally.begin());
        assert_eq!(tally.look(5 * MS), None);
        let begun = tally.begin();
        assert_eq!(tally.running(), None);
        assert_eq!((tally.look(5 * MS), tally.look(5 * MS)), (Some(5 * MS / 2), Some(15 * MS / 2)));
        assert_eq!((tally.look(5 * MS), tally.running()), (Some(25 * MS / 2), Some(25 * MS / 2)));
        tally.end(begun);
        assert_eq!((tally.running(), tally.slow(), tally.longest()), (None, 1, 25 * MS / 2));
        tally.end(tally.begin());
        assert_eq!((tally.calls(), tally.slow()), (3, 1));
    }

    #[test]
    fn what_is_no_call_of_a_conversation_is_seen_but_not_counted() {
        let tally = Tally::new(u64::MAX);
        let seen = tally.aside(|| tally.look(MS));
        assert_eq!((seen, tally.calls(), tally.timed().0), (Some(MS / 2), 0, 0));
        tally.end(tally.begin());
        assert_eq!(tally.calls(), 1);
    }
}
