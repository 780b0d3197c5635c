//! Where the time comes from.

use std::time::{SystemTime, UNIX_EPOCH};

use tcpcopy_wire::Instant;

/// The wall clock, kept from running backwards: kernel timestamps of captured packets are on the same scale.
#[derive(Debug)]
pub(crate) struct Clock {
    latest: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { latest: Instant::ZERO }
    }

    /// The time now; never earlier than the call before said.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub(crate) fn now(&mut self) -> Instant {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Instant::from_micros(since_epoch.as_micros() as u64);
        self.latest = self.latest.max(now);
        self.latest
    }
}
