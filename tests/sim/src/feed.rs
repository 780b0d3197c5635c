//! The connection between the two ends of the feed: a reliable, ordered stream that can break.

use std::time::Duration;

use tcpcopy_wire::Instant;

use crate::link::Phase;
use crate::scenario::Outage;

/// The two ends of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Tcpcopy,
    Intercept,
}

/// How long tcpcopy waits before it connects again.
pub(crate) const RECONNECT: Duration = Duration::from_millis(500);

pub(crate) struct Feed {
    latency: Duration,
    outages: Vec<(Phase, Outage)>,
    began: Instant,
    /// Which connection this is; what an older one still had under way is lost.
    pub(crate) connection: u64,
    pub(crate) is_open: bool,
    last_arrival: [Instant; 2],
}

impl Feed {
    pub(crate) fn new(latency: Duration, outages: Vec<(Phase, Outage)>, began: Instant) -> Self {
        Self { latency, outages, began, connection: 0, is_open: false, last_arrival: [Instant::ZERO; 2] }
    }

    /// When bytes sent now arrive at `to`.
    pub(crate) fn send(&mut self, to: End, now: Instant) -> Instant {
        let mut at = now + self.latency;
        if let Some(until) = self.in_outage(now, |outage| outage == Outage::Stall) {
            at = until + self.latency;
        }
        let last = &mut self.last_arrival[to as usize];
        *last = at.max(*last);
        *last
    }

    /// Whether a connection can be made now; if so it is open from now on.
    pub(crate) fn connect(&mut self, now: Instant) -> bool {
        if self.in_outage(now, |_| true).is_some() {
            return false;
        }
        self.connection += 1;
        self.is_open = true;
        self.last_arrival = [now; 2];
        true
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection += 1;
        self.is_open = false;
    }

    /// Outages with their beginning.
    pub(crate) fn outages(&self) -> impl Iterator<Item = (Instant, Outage)> {
        self.outages.iter().map(|(phase, outage)| (self.began + phase.from, *outage))
    }

    /// Whether intercept is running.
    pub(crate) fn intercept_runs(&self, now: Instant) -> bool {
        self.in_outage(now, |outage| outage == Outage::Restart).is_none()
    }

    fn in_outage(&self, now: Instant, kind: impl Fn(Outage) -> bool) -> Option<Instant> {
        let elapsed = now.since(self.began);
        self.outages
            .iter()
            .filter(|(phase, outage)| kind(*outage) && phase.from <= elapsed && elapsed < phase.until())
            .map(|(phase, _)| self.began + phase.until())
            .max()
    }
}
