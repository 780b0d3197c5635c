//! Round-trip estimation and the retransmission time-out (RFC 6298).

use std::time::Duration;

/// RFC 6298 §2.1: until a measurement is made.
const INITIAL: Duration = Duration::from_secs(1);
/// Below the one second of RFC 6298 §2.4, as all present stacks are: targets are near.
const LEAST: Duration = Duration::from_millis(200);
/// RFC 6298 §2.5: a maximum of at least 60 seconds.
const MOST: Duration = Duration::from_secs(60);
/// Clock granularity G of RFC 6298 §2.
const GRANULARITY: Duration = Duration::from_millis(1);
const MAX_BACKOFF: u32 = 8;

/// SRTT, RTTVAR and the backed-off RTO of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    backoff: u32,
}

impl Rtt {
    /// RFC 6298 §2.2 and §2.3. Karn's rule (§3) is the caller's: no sample of a retransmitted segment.
    pub(crate) fn sample(&mut self, rtt: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(rtt);
                self.variation = rtt / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
                self.smoothed = Some((smoothed * 7 + rtt) / 8);
            }
        }
        self.backoff = 0;
    }

    /// The present time-out, backed off.
    pub(crate) fn timeout(&self) -> Duration {
        let base = self.smoothed.map_or(INITIAL, |rtt| rtt + GRANULARITY.max(self.variation * 4));
        (base.max(LEAST) * (1 << self.backoff)).min(MOST)
    }

    /// RFC 6298 §5.5: the time-out doubles each time it expires.
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
    }

    /// How often the time-out has expired since something new was acknowledged.
    pub(crate) fn expirations(&self) -> u32 {
        self.backoff
    }

    /// New data was acknowledged: the path works again.
    pub(crate) fn forgive(&mut self) {
        self.backoff = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_rfc_6298() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(), INITIAL);
        rtt.sample(Duration::from_millis(400));
        assert_eq!(rtt.timeout(), Duration::from_millis(400 + 4 * 200));
        rtt.sample(Duration::from_millis(400));
        assert_eq!(rtt.timeout(), Duration::from_millis(400 + 4 * 150));
    }

    #[test]
    fn backing_off_doubles_up_to_a_minute() {
        let mut rtt = Rtt::default();
        rtt.sample(Duration::from_millis(1));
        assert_eq!(rtt.timeout(), LEAST);
        rtt.back_off();
        assert_eq!(rtt.timeout(), LEAST * 2);
        for _ in 0..20 {
            rtt.back_off();
        }
        assert!(rtt.timeout() <= MOST);
        rtt.forgive();
        assert_eq!(rtt.timeout(), LEAST);
    }
}
