//! The other host's clock, as far as its hello and heartbeats tell.

use tcpcopy_wire::Instant;

/// How many of the latest readings are looked at: with a heartbeat every second or two, some ten seconds.
const READINGS: usize = 8;

/// Turns times of the other host's clock into times of our own.
///
/// A reading arrives late by its time under way, so ours minus theirs is never below the true distance
/// between the clocks and the smallest of the latest readings is the best guess: off by the least delay of the
/// connection, and right again some seconds after either clock was stepped.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerClock {
    /// Ours minus theirs in microseconds, latest reading at `next - 1`.
    readings: [Option<i64>; READINGS],
    next: usize,
    offset: i64,
}

impl PeerClock {
    /// The other host's clock showed `theirs` in a message that arrived `now`.
    pub(crate) fn handle_reading(&mut self, now: Instant, theirs: Instant) {
        if let Some(slot) = self.readings.get_mut(self.next) {
            *slot = Some(now.micros().wrapping_sub(theirs.micros()).cast_signed());
        }
        self.next = (self.next + 1) % READINGS;
        self.offset = self.distance().unwrap_or(0);
    }

    /// Ours minus theirs in microseconds, as far as that is known.
    pub(crate) fn distance(&self) -> Option<i64> {
        self.readings.iter().flatten().copied().min()
    }

    /// `theirs` on our clock; never in the future.
    pub(crate) fn ours(&self, now: Instant, theirs: Instant) -> Instant {
        Instant::from_micros(theirs.micros().saturating_add_signed(self.offset)).min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn the_least_delayed_reading_counts() {
        let mut clock = PeerClock::default();
        clock.handle_reading(at(1_000_900), at(500_000));
        clock.handle_reading(at(2_000_100), at(1_500_000));
        clock.handle_reading(at(3_050_000), at(2_500_000));
        assert_eq!(clock.ours(at(9_000_000), at(2_600_000)), at(3_100_100));
    }

    #[test]
    fn nothing_was_seen_in_the_future() {
        let mut clock = PeerClock::default();
        clock.handle_reading(at(1_000), at(1_000));
        assert_eq!(clock.ours(at(2_000), at(5_000)), at(2_000));
    }

    #[test]
    fn a_stepped_clock_is_followed_within_the_readings_kept() {
        let mut clock = PeerClock::default();
        clock.handle_reading(at(1_000), at(1_000));
        for second in 1..=READINGS as u64 {
            let now = second * 1_000_000;
            clock.handle_reading(at(now), at(now - 600_000));
        }
        assert_eq!(clock.ours(at(20_000_000), at(10_000_000)), at(10_600_000));
    }
}
