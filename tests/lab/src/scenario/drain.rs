//! When is a replay over? When nothing has moved on the target host for long enough that nothing more will.

use std::time::{Duration, Instant};

use crate::scenario::{Scenario, Server};
use crate::traffic::AnswerDelay;
use crate::world::hop::Hop;
use crate::world::host::Host;
use crate::world::procfs::SocketState;

/// Silence after which a replay without faults is over.
const QUIET: Duration = Duration::from_secs(1);
/// The same where retransmission time-outs may have backed off a few times (RFC 6298: 1, 2, 4 … s).
const QUIET_AFTER_FAULTS: Duration = Duration::from_secs(5);
/// Silence that is enough once the target has no connection left and nothing was lost on the way.
const QUIET_WITHOUT_CONNECTIONS: Duration = Duration::from_millis(300);

/// Watches the target host until the replay is over.
#[derive(Debug)]
pub(crate) struct Drain {
    began: Instant,
    ports: Vec<u16>,
    is_udp: bool,
    quiet: Duration,
    quiet_without_connections: Duration,
    at_most: Duration,
    /// Segments, or bytes of datagrams.
    moved: u64,
    last_moved: Instant,
}

impl Drain {
    pub(crate) fn new(scenario: &Scenario, now: Instant) -> Self {
        let faults = scenario.impairments.copy.is_some()
            || scenario.impairments.response.is_some()
            || scenario.impairments.feed.is_some()
            || scenario.events.iter().any(|event| event.action.is_fault());
        let thinking = match &scenario.target {
            Server::Tagged(plan) => match plan.delay {
                AnswerDelay::Fixed { ms } | AnswerDelay::Wanted { extra_ms: ms } => Duration::from_millis(ms),
            },
            Server::Nginx | Server::Datagrams | Server::Database(_) => Duration::ZERO,
        };
        let quiet = thinking + if faults { QUIET_AFTER_FAULTS } else { QUIET };
        Self {
            began: now,
            ports: scenario.mappings.iter().map(|mapping| mapping.target.port()).collect(),
            is_udp: scenario.is_udp(),
            quiet,
            quiet_without_connections: if faults { quiet } else { QUIET_WITHOUT_CONNECTIONS },
            at_most: scenario.drain,
            moved: 0,
            last_moved: now,
        }
    }

    /// Whether the replay is over, to be asked every few ten milliseconds; also true when its time is.
    pub(crate) fn is_over(&mut self, target: &Host, now: Instant) -> bool {
        let moved = if self.is_udp { target.received(Hop::Copy) } else { target.segments() };
        if moved != self.moved {
            self.moved = moved;
            self.last_moved = now;
        }
        let silence = now - self.last_moved;
        if silence >= self.quiet || now - self.began >= self.at_most {
            return true;
        }
        silence >= self.quiet_without_connections
            && !self.is_udp
            && self.ports.iter().all(|&port| target.sockets(port, SocketState::Established) == 0)
    }
}
