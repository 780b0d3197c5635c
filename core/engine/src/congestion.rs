//! Congestion control (RFC 5681, RFC 6582): present, but never slower than production was.
//!
//! The captured user was already held back by the way to production, so the replay starts and restarts with a
//! larger window than RFC 5681 grants a sender that knows nothing.

/// Segments in the first window; RFC 6928 grants ten.
const INITIAL_SEGMENTS: u32 = 32;
/// The window never falls below this many segments.
const LEAST_SEGMENTS: u32 = 10;

/// The congestion window of one connection, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    mss: u32,
    window: u32,
    threshold: u32,
}

impl Congestion {
    pub(crate) fn new(mss: u32) -> Self {
        Self { mss, window: mss * INITIAL_SEGMENTS, threshold: u32::MAX }
    }

    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// RFC 5681 §3.1: slow start below the threshold, one segment per window above it.
    pub(crate) fn on_acknowledged(&mut self, bytes: u32) {
        let growth = if self.window < self.threshold {
            bytes
        } else {
            (u64::from(self.mss) * u64::from(bytes) / u64::from(self.window.max(1))) as u32
        };
        self.window = self.window.saturating_add(growth.max(1)).min(1 << 30);
    }

    /// RFC 5681 §3.2: segments were lost while others arrived.
    pub(crate) fn on_loss(&mut self, in_flight: u32) {
        self.threshold = (in_flight / 2).max(self.mss * LEAST_SEGMENTS);
        self.window = self.threshold;
    }

    /// RFC 5681 §3.1: the time-out expired.
    pub(crate) fn on_timeout(&mut self, in_flight: u32) {
        self.on_loss(in_flight);
        self.window = self.mss * LEAST_SEGMENTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_what_is_acknowledged_then_linearly() {
        let mut congestion = Congestion::new(1000);
        congestion.on_acknowledged(10_000);
        assert_eq!(congestion.window(), 42_000);
        congestion.on_loss(42_000);
        assert_eq!(congestion.window(), 21_000);
        congestion.on_acknowledged(21_000);
        assert_eq!(congestion.window(), 22_000);
    }

    #[test]
    fn never_starves() {
        let mut congestion = Congestion::new(1000);
        for _ in 0..10 {
            congestion.on_timeout(1000);
        }
        assert_eq!(congestion.window(), 10_000);
    }
}
