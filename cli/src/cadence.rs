//! When the next summary line is due, in a program that gets a snapshot now and then.

use std::time::Duration;

/// Says once per interval that something is due. Snapshots come at least as often as the interval, but never quite on
/// time: one that comes less than half a snapshot early counts.
#[derive(Clone, Debug)]
pub struct Cadence {
    interval: Duration,
    slack: Duration,
    next: Duration,
}

impl Cadence {
    /// Due every `interval`, never if that is zero; looked at every `look`.
    #[must_use]
    pub fn new(interval: Duration, look: Duration) -> Self {
        Self { interval, slack: look.min(interval) / 2, next: interval }
    }

    /// Whether it is due, `running_for` after the start. An interval that was slept through is not made up for.
    pub fn is_due(&mut self, running_for: Duration) -> bool {
        if self.interval.is_zero() || running_for + self.slack < self.next {
            return false;
        }
        while self.next <= running_for + self.slack {
            self.next += self.interval;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(cadence: &mut Cadence, millis: u64) -> bool {
        cadence.is_due(Duration::from_millis(millis))
    }

    #[test]
    fn every_thirtieth_of_the_seconds_is_due() {
        let mut cadence = Cadence::new(Duration::from_secs(30), Duration::from_secs(1));
        let found: Vec<u64> = (1..=100).filter(|second| due(&mut cadence, second * 1000 + 3)).collect();
        assert_eq!(found, [30, 60, 90]);
    }

    #[test]
    fn a_little_early_counts() {
        let mut cadence = Cadence::new(Duration::from_secs(30), Duration::from_secs(30));
        assert!(due(&mut cadence, 29_999));
        assert!(!due(&mut cadence, 30_000));
        assert!(due(&mut cadence, 59_998));
    }

    #[test]
    fn what_was_slept_through_is_not_made_up_for() {
        let mut cadence = Cadence::new(Duration::from_secs(30), Duration::from_secs(1));
        assert!(due(&mut cadence, 100_000));
        assert!(!due(&mut cadence, 101_000));
        assert!(due(&mut cadence, 120_000));
    }

    #[test]
    fn no_interval_means_never() {
        let mut cadence = Cadence::new(Duration::ZERO, Duration::from_secs(1));
        assert!(!due(&mut cadence, 1_000_000));
    }
}
