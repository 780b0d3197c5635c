//! Which captured traffic goes to which target: the `-x` entries.

use std::net::IpAddr;

use tcpcopy_wire::Endpoint;

/// The online side of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OnlineAddress {
    /// The online server's address; `None` matches every address.
    pub addr: Option<IpAddr>,
    /// The online server's port.
    pub port: u16,
}

/// One `-x` entry: what users say to `online` is replayed to `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// Where users talk to.
    pub online: OnlineAddress,
    /// Where the copy goes to.
    pub target: Endpoint,
}

/// All mappings of one engine, looked up by the destination of a captured packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings(Vec<Mapping>);

impl Mappings {
    /// Mappings in order of preference: an entry with an address wins over one without, whatever the order.
    #[must_use]
    pub fn new(mut mappings: Vec<Mapping>) -> Self {
        mappings.sort_by_key(|mapping| mapping.online.addr.is_none());
        Self(mappings)
    }

    /// The entries, most specific first.
    #[must_use]
    pub fn as_slice(&self) -> &[Mapping] {
        &self.0
    }

    /// Whether a packet sent to `addr` may have an entry, as far as can be told without its port.
    #[must_use]
    pub fn may_be_for(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|mapping| mapping.online.addr.is_none_or(|online| online == addr))
    }

    /// The index of the entry for a packet sent to `destination`. A packet that already goes to a target is never
    /// captured traffic, unless an entry names that very address as its online side.
    #[must_use]
    pub fn entry_for(&self, destination: Endpoint) -> Option<usize> {
        let at =
            |mapping: &Mapping, addr| mapping.online.port == destination.port && mapping.online.addr == addr;
        let named = self.0.iter().position(|mapping| at(mapping, Some(destination.addr)));
        if named.is_some() {
            return named;
        }
        if self.0.iter().any(|mapping| mapping.target == destination) {
            return None;
        }
        self.0.iter().position(|mapping| at(mapping, None))
    }
}
