//! How far ahead of its sessions a recording is read, so that memory does not grow with the file.

use std::time::Duration;

use tcpcopy_engine::Engine;
use tcpcopy_wire::Instant;

use super::Tempo;

/// At top speed reading waits while so many sessions have something left to say: as many as keep a target busy, and not
/// so many that they overrun its queue of connections.
const MOST_AT_WORK: usize = 512;
/// Or while what they hold takes so many bytes.
const MOST_BYTES: usize = 64 << 20;
/// When nothing has been sent or answered for so long, what sessions wait for may be farther on in the file: the rest of
/// a request that a module wants to see whole.
const STILL: Duration = Duration::from_millis(20);
/// Then so many frames are read.
const SIP: u32 = 64;

/// The gate between the file and the sessions.
#[derive(Debug)]
pub(crate) struct LookAhead {
    most_at_work: usize,
    most_bytes: usize,
    /// Sips are taken below this only: here the engine would begin to give sessions up.
    limit: usize,
    moved: u64,
    moved_at: Instant,
    sip: u32,
}

impl LookAhead {
    /// For an engine that may hold `memory_budget` bytes.
    pub(crate) fn new(tempo: Tempo, memory_budget: usize) -> Self {
        let limit = memory_budget / 2;
        let (most_at_work, most_bytes) = match tempo {
            Tempo::Times(_) => (usize::MAX, limit),
            Tempo::Turns(_) | Tempo::Bits(_) | Tempo::Unpaced => (MOST_AT_WORK, MOST_BYTES.min(limit)),
        };
        Self { most_at_work, most_bytes, limit, moved: 0, moved_at: Instant::ZERO, sip: 0 }
    }

    /// Whether one more frame may be handed to `engine`.
    pub(crate) fn may_go_on(&mut self, now: Instant, engine: &Engine) -> bool {
        let work = engine.workload();
        if work.sessions < self.most_at_work && work.memory < self.most_bytes {
            return true;
        }
        let statistics = engine.statistics();
        let moved = statistics.segments + statistics.responses;
        if moved != self.moved {
            (self.moved, self.moved_at, self.sip) = (moved, now, 0);
            return false;
        }
        if self.sip == 0 && now.since(self.moved_at) >= STILL && work.memory < self.limit {
            (self.moved_at, self.sip) = (now, SIP);
        }
        let may = self.sip > 0;
        self.sip = self.sip.saturating_sub(1);
        may
    }

    /// When to ask again, if nothing has moved until then.
    pub(crate) fn ask_again_at(now: Instant) -> Instant {
        now + STILL
    }
}
