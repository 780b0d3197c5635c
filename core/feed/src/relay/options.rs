//! How a relay behaves.

use std::net::IpAddr;
use std::time::Duration;

use tcpcopy_wire::Segment;

use crate::CToolFormat;

/// The address that a container network puts in place of the one tcpcopy spoke from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// What responses are captured with as their destination.
    pub new: IpAddr,
    /// What tcpcopy knows.
    pub original: IpAddr,
}

impl Translation {
    /// The response as the target would have sent it without translation.
    pub(super) fn undo<'a>(self, segment: &Segment<'a>) -> Segment<'a> {
        let mut undone = *segment;
        if undone.destination.addr == self.new {
            undone.destination.addr = self.original;
        }
        undone
    }
}

/// How a [`crate::Relay`] behaves: one value, given at construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayOptions {
    /// A number this process chose at random at its start.
    pub identity: u64,
    /// Seed of the hash tables, random, so that nobody outside can choose flows that collide.
    pub seed: u64,
    /// Memory for responses of flows nobody has registered yet, in bytes; 0: none is held.
    pub held_bytes: usize,
    /// How long such a response waits for its registration.
    pub held_for: Duration,
    /// Most bytes that wait to be sent to one peer, at least 2 KiB; responses beyond are dropped and counted.
    pub peer_buffer_bytes: usize,
    /// Most flows one peer may have registered; further ones are refused and counted.
    pub max_flows_per_peer: usize,
    /// Most connections served at once.
    pub max_peers: usize,
    /// Time between our heartbeats; statistics go out with them when they changed.
    pub heartbeat: Duration,
    /// A peer that says nothing for this long, heartbeats included, counts as dead. A multiple of `heartbeat`.
    pub peer_silence: Duration,
    /// How C tcpcopys are served.
    pub c_format: CToolFormat,
    /// Most flows a C tcpcopy may have registered. It never says which are over: of those that had no response for
    /// the longest time, one makes room for each further one.
    pub c_flows: usize,
    /// One tcpcopy only is served. It need not register its flows, and a second one is refused.
    pub single: bool,
    /// A flow is told by the server's port alone: behind address translation it answers from another address.
    pub dnat: bool,
    /// Responses to an address are taken for such to another one.
    pub translation: Option<Translation>,
    /// A connection on which no hello came for this long is closed. A multiple of `heartbeat`.
    pub hello_within: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            identity: 0,
            seed: 0,
            held_bytes: 8 << 20,
            held_for: Duration::from_secs(5),
            peer_buffer_bytes: 8 << 20,
            max_flows_per_peer: 1 << 20,
            max_peers: 256,
            heartbeat: Duration::from_secs(1),
            peer_silence: Duration::from_secs(30),
            c_format: CToolFormat::default(),
            c_flows: 1 << 18,
            single: false,
            dnat: false,
            translation: None,
            hello_within: Duration::from_secs(10),
        }
    }
}

impl RelayOptions {
    /// How many heartbeats of ours pass in `time`, at least one.
    pub(super) fn beats(&self, time: Duration) -> u32 {
        let beats = time.as_micros() / self.heartbeat.as_micros().max(1);
        u32::try_from(beats).unwrap_or(u32::MAX).max(1)
    }
}
