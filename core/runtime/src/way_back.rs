//! How tcpcopy learns what the targets answer: from intercepts, from devices of its own, or, in a dry run, from nobody.

mod agreeable_target;
mod sightings;

use std::net::SocketAddr;

use mio::event::Event;
use mio::{Registry, Token};
use tcpcopy_engine::{Mappings, Registration, SessionId};
use tcpcopy_wire::{Instant, Segment};

use crate::feeds::{FeedOptions, Feeds};
use crate::{FeedTotals, StartError};
use agreeable_target::AgreeableTarget;
use sightings::Sightings;
pub(crate) use sightings::response_filter;

/// Who tells what the targets answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayBackChoice {
    /// intercepts, over feeds.
    Intercepts(InterceptChoice),
    /// This host sees it itself.
    Devices(SightingChoice),
    /// Nobody: whatever is said counts as heard, and nothing is answered.
    Nobody,
}

/// The intercepts, and how they are connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterceptChoice {
    /// Where they listen; at least one.
    pub addresses: Vec<SocketAddr>,
    /// Connections to each, at least one.
    pub connections: usize,
    /// Start even if none is reachable, and wait for one.
    pub lonely: bool,
    /// Tell them of no session: they return every response.
    pub single: bool,
    /// Targets may answer from other addresses than the mappings name.
    pub dnat: bool,
}

/// Where this host sees what the targets answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SightingChoice {
    /// Devices by name; at least one.
    pub devices: Vec<String>,
    /// Size of each device's ring in bytes.
    pub buffer_bytes: usize,
    /// Targets may answer from other addresses than the mappings name.
    pub dnat: bool,
}

/// The open side of a [`WayBackChoice`].
pub(crate) enum WayBack {
    Feeds(Feeds),
    Sightings(Sightings),
    Nobody(AgreeableTarget),
}

impl WayBack {
    /// Opens it, with tokens from `first_token` on. `expects_payload`: modules may want payload of responses.
    pub(crate) fn start(
        choice: &WayBackChoice,
        mappings: &Mappings,
        expects_payload: bool,
        first_token: usize,
        now: Instant,
    ) -> Result<Self, StartError> {
        Ok(match choice {
            WayBackChoice::Intercepts(intercepts) => {
                let options = FeedOptions {
                    per_intercept: intercepts.connections.max(1),
                    lonely: intercepts.lonely,
                    expects_payload,
                    single: intercepts.single,
                    dnat: intercepts.dnat,
                };
                Self::Feeds(Feeds::start(&intercepts.addresses, options, first_token, now)?)
            }
            WayBackChoice::Devices(choice) => {
                Self::Sightings(Sightings::open(choice, mappings, expects_payload, first_token)?)
            }
            WayBackChoice::Nobody => Self::Nobody(AgreeableTarget::default()),
        })
    }

    /// Feeds register themselves as they connect.
    pub(crate) fn register_devices(&self, registry: &Registry) -> std::io::Result<()> {
        match self {
            Self::Sightings(sightings) => sightings.register_devices(registry),
            Self::Feeds(_) | Self::Nobody(_) => Ok(()),
        }
    }

    /// Whether `token` is one of ours.
    pub(crate) fn owns(&self, token: Token) -> bool {
        match self {
            Self::Feeds(feeds) => feeds.owns(token),
            Self::Sightings(sightings) => sightings.owns(token),
            Self::Nobody(_) => false,
        }
    }

    /// The poll said that something can be done on `token`.
    pub(crate) fn mark_ready(&mut self, token: Token, event: &Event) {
        match self {
            Self::Feeds(feeds) => feeds.mark_ready(token, event),
            Self::Sightings(sightings) => sightings.mark_ready(token),
            Self::Nobody(_) => {}
        }
    }

    /// Whether there is something to [read](Self::read) that no event will tell of.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Feeds(feeds) => feeds.is_ready(),
            Self::Sightings(sightings) => sightings.is_ready(),
            Self::Nobody(target) => target.is_ready(),
        }
    }

    /// Whether responses can come at the moment.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Feeds(feeds) => feeds.reaches_one(),
            Self::Sightings(sightings) => sightings.is_open(),
            Self::Nobody(_) => true,
        }
    }

    /// A module is loaded that may want payload of responses; whether it takes a moment until that can be had. Feeds ask
    /// for it session by session.
    pub(crate) fn expect_payload(&mut self) -> bool {
        match self {
            Self::Sightings(sightings) => sightings.expect_payload(),
            Self::Feeds(_) | Self::Nobody(_) => false,
        }
    }

    /// Whether responses will never come again.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Sightings(sightings) if !sightings.is_alive())
    }

    /// About once a second.
    pub(crate) fn look(&mut self) {
        if let Self::Sightings(sightings) = self {
            sightings.look();
        }
    }

    /// A change of the flows whose responses are wanted; before the packets that are answered.
    pub(crate) fn register(&mut self, registration: Registration) {
        match self {
            Self::Feeds(feeds) => feeds.register(registration),
            Self::Sightings(sightings) => sightings.register(registration),
            Self::Nobody(_) => {}
        }
    }

    /// A packet was transmitted for a session.
    pub(crate) fn handle_transmitted(&mut self, id: SessionId, packet: &[u8]) {
        if let Self::Nobody(target) = self {
            target.handle_packet(id, packet);
        }
    }

    /// Hands what has come to `on_response`, with the time at which it was captured.
    pub(crate) fn read(&mut self, now: Instant, on_response: impl FnMut(SessionId, Instant, &Segment<'_>)) {
        match self {
            Self::Feeds(feeds) => feeds.read(now, on_response),
            Self::Sightings(sightings) => sightings.read(now, on_response),
            Self::Nobody(target) => target.read(now, on_response),
        }
    }

    /// Sends what waits, and keeps up what has to be kept up.
    pub(crate) fn write(&mut self, now: Instant, registry: &Registry) {
        if let Self::Feeds(feeds) = self {
            feeds.write(now, registry);
        }
    }

    /// Takes leave.
    pub(crate) fn shut_down(&mut self, now: Instant) {
        if let Self::Feeds(feeds) = self {
            feeds.shut_down(now);
        }
    }

    /// When [`Self::read`] or [`Self::write`] is due at the latest.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Feeds(feeds) => feeds.poll_timeout(),
            Self::Sightings(sightings) => sightings.poll_timeout(now),
            Self::Nobody(_) => None,
        }
    }

    pub(crate) fn totals(&mut self) -> FeedTotals {
        match self {
            Self::Feeds(feeds) => feeds.totals(),
            Self::Sightings(sightings) => sightings.totals(),
            Self::Nobody(target) => target.totals(),
        }
    }
}
