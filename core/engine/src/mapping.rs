//! Which captured traffic goes to which target: the `-x` entries.

use std::net::IpAddr;

use tcpcopy_wire::{Endpoint, Flow};

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

/// All mappings of one engine, looked up by the ends of a captured connection.
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

    /// The index of the entry for a connection, as captured. None has one whose client is a target: what comes from
    /// there is an answer, to a copy whose source port is that of an entry. One to a target has one only where an entry
    /// names that very address as its online side.
    #[must_use]
    pub fn entry_for(&self, captured: Flow) -> Option<usize> {
        if self.is_target(captured.client) {
            return None;
        }
        let Endpoint { addr, port } = captured.server;
        let at = |mapping: &Mapping, addr| mapping.online.port == port && mapping.online.addr == addr;
        let named = self.0.iter().position(|mapping| at(mapping, Some(addr)));
        if named.is_some() || self.is_target(captured.server) {
            return named;
        }
        self.0.iter().position(|mapping| at(mapping, None))
    }

    fn is_target(&self, endpoint: Endpoint) -> bool {
        self.0.iter().any(|mapping| mapping.target == endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        text.parse::<std::net::SocketAddr>().unwrap().into()
    }

    fn mappings(online: &[(Option<&str>, u16)], target: &str) -> Mappings {
        let entry = |(addr, port): &(Option<&str>, u16)| Mapping {
            online: OnlineAddress { addr: addr.map(|addr| addr.parse().unwrap()), port: *port },
            target: end(target),
        };
        Mappings::new(online.iter().map(entry).collect())
    }

    fn entry(mappings: &Mappings, client: &str, server: &str) -> Option<usize> {
        mappings.entry_for(Flow { client: end(client), server: end(server) })
    }

    #[test]
    fn an_address_wins_over_none() {
        let mappings = mappings(&[(None, 80), (Some("10.0.0.1"), 80)], "10.0.3.2:8080");
        assert_eq!(entry(&mappings, "10.9.0.1:4000", "10.0.0.1:80"), Some(0));
        assert_eq!(entry(&mappings, "10.9.0.1:4000", "10.0.0.2:80"), Some(1));
        assert_eq!(entry(&mappings, "10.9.0.1:4000", "10.0.0.1:81"), None);
    }

    #[test]
    fn what_goes_to_a_target_is_a_copy_unless_users_go_there_too() {
        let unnamed = mappings(&[(None, 80)], "10.0.3.2:80");
        assert_eq!(entry(&unnamed, "10.9.0.1:4000", "10.0.3.2:80"), None);
        let named = mappings(&[(None, 80), (Some("10.0.3.2"), 80)], "10.0.3.2:80");
        assert_eq!(entry(&named, "10.9.0.1:4000", "10.0.3.2:80"), Some(0));
    }

    #[test]
    fn what_comes_from_a_target_is_an_answer_whatever_port_it_goes_to() {
        let mappings = mappings(&[(None, 80), (Some("10.0.0.1"), 80)], "10.0.3.2:8080");
        for server in ["10.40.0.1:80", "10.0.0.1:80"] {
            assert_eq!(entry(&mappings, "10.0.3.2:8080", server), None);
            assert!(entry(&mappings, "10.0.3.2:4000", server).is_some(), "the host may be a user as well");
        }
    }
}
