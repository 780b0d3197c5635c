//! Where the time comes from.

use std::time::{Instant as Monotonic, SystemTime, UNIX_EPOCH};

use tcpcopy_wire::Instant;

/// A clock that starts at the wall clock's time and then runs on evenly: a wall clock that is set back would stop
/// every time-out. Kernel timestamps of captured packets are on the same scale until then.
#[derive(Debug)]
pub(crate) struct Clock {
    started_at: Instant,
    started: Monotonic,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_at: Instant::ZERO + since_epoch, started: Monotonic::now() }
    }

    /// The time now; never earlier than the call before said.
    pub(crate) fn now(&self) -> Instant {
        self.started_at + self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_the_wall_clock_and_runs_on() {
        let clock = Clock::new();
        let first = clock.now();
        assert!(first > Instant::from_micros(1_700_000_000_000_000));
        assert!(clock.now() >= first);
    }
}
