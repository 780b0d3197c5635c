//! What can happen in a world.

use tcpcopy_wire::{Instant, Segment, parse_ip};

use super::Actor;
use crate::feed::End;
use crate::scenario::Outage;

/// What can happen.
pub(super) enum Event {
    /// A packet arrives at a user.
    AtUser(usize, Vec<u8>),
    /// A packet arrives at the capture point, and at the online server behind it.
    AtOnline(Vec<u8>),
    /// A packet arrives at the target.
    AtTarget(Vec<u8>),
    /// A packet arrives at intercept.
    AtAssistant(Vec<u8>),
    /// tcpcopy reads a captured frame: when it was captured, what was kept, how long it was.
    Capture(Instant, Vec<u8>, usize),
    /// Bytes of the feed's `u64`th connection arrive.
    Feed(End, u64, Vec<u8>),
    /// tcpcopy tries to connect to intercept.
    Connect,
    /// Something happens to the feed.
    Outage(Outage),
    /// An actor had something to do at this time, and may still have.
    Wake(Actor),
}

impl Event {
    pub(super) fn name(&self) -> String {
        match self {
            Self::AtUser(user, _) => format!("a packet at user {user}"),
            Self::AtOnline(_) => "a packet at online".into(),
            Self::AtTarget(_) => "a packet at target".into(),
            Self::AtAssistant(_) => "a packet at intercept".into(),
            Self::Capture(..) => "a packet at tcpcopy".into(),
            Self::Feed(end, ..) => format!("bytes of the feed at {end:?}"),
            Self::Connect => "an attempt to connect to intercept".into(),
            Self::Outage(outage) => format!("{outage:?}"),
            Self::Wake(actor) => format!("time for {actor:?}"),
        }
    }

    /// Where which packet arrives, if one does.
    pub(super) fn segment(&self) -> Option<(&'static str, Segment<'_>)> {
        let (place, packet, wire_len) = match self {
            Self::AtUser(_, packet) => ("user", packet, packet.len()),
            Self::AtOnline(packet) => ("online", packet, packet.len()),
            Self::AtTarget(packet) => ("target", packet, packet.len()),
            Self::AtAssistant(packet) => ("intercept", packet, packet.len()),
            Self::Capture(_, packet, wire_len) => ("tcpcopy", packet, *wire_len),
            _ => return None,
        };
        Some((place, parse_ip(packet, wire_len).ok()?))
    }
}
