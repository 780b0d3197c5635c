//! One direction of a link: it delays, loses, repeats and reorders packets.

use std::time::Duration;

use fastrand::Rng;
use tcpcopy_wire::Instant;

/// A stretch of virtual time, counted from the world's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// When it begins.
    pub from: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

impl Phase {
    /// The end of the phase at `elapsed` since the world began, if that is within it.
    pub(crate) fn end_at(phases: &[Self], elapsed: Duration) -> Option<Duration> {
        phases.iter().find(|phase| phase.from <= elapsed && elapsed < phase.until()).map(Self::until)
    }

    pub(crate) fn until(&self) -> Duration {
        self.from + self.lasts
    }
}

/// What a link does to packets.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Time from one end to the other.
    pub latency: Duration,
    /// Share of packets lost, 0–1.
    pub loss: f64,
    /// Share of packets delivered twice, 0–1.
    pub duplicate: f64,
    /// Share of packets delayed by up to `reorder_by`, so that others overtake them, 0–1.
    pub reorder: f64,
    /// The longest such delay.
    pub reorder_by: Duration,
    /// Nothing gets through in these phases.
    pub dark: Vec<Phase>,
    /// Larger IP packets are silently lost, in bytes.
    pub mtu: Option<usize>,
}

/// One direction of a link.
pub(crate) struct Link {
    faults: Faults,
    rng: Rng,
    began: Instant,
}

impl Link {
    pub(crate) fn new(faults: Faults, rng: Rng, began: Instant) -> Self {
        Self { faults, rng, began }
    }

    /// When each copy of a packet of `len` bytes sent now arrives: none if it is lost.
    pub(crate) fn send(&mut self, len: usize, now: Instant) -> Vec<Instant> {
        let faults = &self.faults;
        let dark = Phase::end_at(&faults.dark, now.since(self.began)).is_some();
        let too_large = faults.mtu.is_some_and(|mtu| len > mtu);
        if dark || too_large || self.rng.f64() < faults.loss {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.rng.f64() < faults.duplicate);
        (0..copies).map(|_| now + self.faults.latency + self.delay()).collect()
    }

    fn delay(&mut self) -> Duration {
        if self.rng.f64() < self.faults.reorder {
            self.faults.reorder_by.mul_f64(self.rng.f64())
        } else {
            Duration::ZERO
        }
    }
}
