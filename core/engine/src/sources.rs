//! The ends copied clients speak from: the `-c` pool, and which (address, port) pairs are taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Endpoint, Flow};

use crate::SessionId;

/// An ordered pool of source addresses (`-c`), IPv4 and IPv6 mixed, as inclusive ranges so that a large
/// prefix costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePool {
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl SourcePool {
    /// A pool of inclusive ranges; both ends of a range are of one family, the first not after the second.
    #[must_use]
    pub fn new(ranges: Vec<(IpAddr, IpAddr)>) -> Self {
        Self { ranges }
    }

    /// The ranges, in the order given.
    #[must_use]
    pub fn ranges(&self) -> &[(IpAddr, IpAddr)] {
        &self.ranges
    }

    /// How many addresses of the family of `like` the pool holds.
    #[must_use]
    pub fn size(&self, like: IpAddr) -> u128 {
        self.of_family(like).map(|(first, last)| last - first + 1).fold(0, u128::saturating_add)
    }

    /// The `index`-th address of the family of `like`; `None` when there are not that many.
    fn nth(&self, like: IpAddr, mut index: u128) -> Option<IpAddr> {
        for (first, last) in self.of_family(like) {
            if index <= last - first {
                return Some(address(like, first + index));
            }
            index -= last - first + 1;
        }
        None
    }

    fn of_family(&self, like: IpAddr) -> impl Iterator<Item = (u128, u128)> {
        self.ranges
            .iter()
            .filter(move |(first, _)| first.is_ipv4() == like.is_ipv4())
            .map(|(first, last)| (number(*first), number(*last)))
    }
}

fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(like: IpAddr, number: u128) -> IpAddr {
    match (like, u32::try_from(number)) {
        (IpAddr::V4(_), Ok(bits)) => Ipv4Addr::from_bits(bits).into(),
        _ => Ipv6Addr::from_bits(number).into(),
    }
}

/// Why a session gets no source end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSource {
    /// Neither the client's own address nor the pool has one of the target's family, or the client is local
    /// to its host and no stand-in was configured.
    Unusable,
    /// Every (address, port) pair is held by a live session.
    Exhausted,
}

/// Hands out source ends and never one pair to two live sessions of the same target.
pub(crate) struct Sources {
    pool: Option<SourcePool>,
    loopback_source: Option<IpAddr>,
    hasher: FixedState,
    taken: HashMap<Flow, SessionId, FixedState>,
}

/// Ports below this one are left to services.
const FIRST_PORT: u16 = 1024;
const PORTS: u32 = 65_536 - FIRST_PORT as u32;
/// How many further addresses of the pool are tried when one has no free port left.
const ADDRESSES_TRIED: u128 = 64;

impl Sources {
    pub(crate) fn new(pool: Option<SourcePool>, loopback_source: Option<IpAddr>, seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self { pool, loopback_source, taken: HashMap::with_hasher(hasher.clone()), hasher }
    }

    /// A free source end for a copy of `client`, now held by `session` until [`Self::release`]. The client's
    /// own port is kept when it is free.
    pub(crate) fn acquire(
        &mut self,
        client: Endpoint,
        target: Endpoint,
        session: SessionId,
    ) -> Result<Endpoint, NoSource> {
        use std::hash::BuildHasher;
        let addresses = self.pool.as_ref().map_or(1, |pool| pool.size(target.addr));
        if addresses == 0 {
            return Err(NoSource::Unusable);
        }
        let home = u128::from(self.hasher.hash_one(client.addr)) % addresses;
        for step in 0..addresses.min(ADDRESSES_TRIED) {
            let addr = self.address(client, target, (home + step) % addresses).ok_or(NoSource::Unusable)?;
            if let Some(port) = self.free_port(addr, client.port, target) {
                let source = Endpoint::new(addr, port);
                self.taken.insert(Flow { client: source, server: target }, session);
                return Ok(source);
            }
        }
        Err(NoSource::Exhausted)
    }

    /// Gives `flow`'s source end back.
    pub(crate) fn release(&mut self, flow: &Flow) {
        self.taken.remove(flow);
    }

    /// The live session that speaks from `flow`'s client end.
    pub(crate) fn holder(&self, flow: &Flow) -> Option<SessionId> {
        self.taken.get(flow).copied()
    }

    fn address(&self, client: Endpoint, target: Endpoint, index: u128) -> Option<IpAddr> {
        let addr = match &self.pool {
            Some(pool) => pool.nth(target.addr, index)?,
            None if client.addr.is_loopback() && !target.addr.is_loopback() => self.loopback_source?,
            None => client.addr,
        };
        (addr.is_ipv4() == target.addr.is_ipv4()).then_some(addr)
    }

    fn free_port(&self, addr: IpAddr, wanted: u16, target: Endpoint) -> Option<u16> {
        use std::hash::BuildHasher;
        let is_free = |port: &u16| {
            !self.taken.contains_key(&Flow { client: Endpoint::new(addr, *port), server: target })
        };
        if is_free(&wanted) {
            return Some(wanted);
        }
        // A walk that starts anywhere and visits every port once, so that a port just given back rests.
        let start = self.hasher.hash_one((wanted, self.taken.len())) as u32 % PORTS;
        (0..PORTS).map(|step| FIRST_PORT + ((start + step) % PORTS) as u16).find(is_free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        text.parse::<std::net::SocketAddr>().unwrap().into()
    }

    fn pool(first: &str, last: &str) -> SourcePool {
        SourcePool::new(vec![(first.parse().unwrap(), last.parse().unwrap())])
    }

    #[test]
    fn a_client_keeps_its_own_end_when_it_is_free() {
        let mut sources = Sources::new(None, None, 1);
        let target = end("10.0.3.2:80");
        let client = end("10.1.0.1:4000");
        assert_eq!(sources.acquire(client, target, SessionId::default()), Ok(client));
        let second = sources.acquire(client, target, SessionId::default()).unwrap();
        assert_eq!(second.addr, client.addr);
        assert_ne!(second.port, client.port);
        sources.release(&Flow { client, server: target });
        assert_eq!(sources.acquire(client, target, SessionId::default()), Ok(client));
    }

    #[test]
    fn one_pair_serves_two_targets() {
        let mut sources = Sources::new(None, None, 1);
        let client = end("10.1.0.1:4000");
        assert_eq!(sources.acquire(client, end("10.0.3.2:80"), SessionId::default()), Ok(client));
        assert_eq!(sources.acquire(client, end("10.0.3.2:81"), SessionId::default()), Ok(client));
    }

    #[test]
    fn a_single_address_serves_every_port_once_and_then_says_so() {
        let mut sources = Sources::new(Some(pool("10.9.0.1", "10.9.0.1")), None, 7);
        let target = end("10.0.3.2:80");
        let mut seen = std::collections::HashSet::new();
        for index in 0..PORTS {
            let client = Endpoint::new(Ipv4Addr::from_bits(0x0a01_0000 + index).into(), 5000);
            assert!(seen.insert(sources.acquire(client, target, SessionId::default()).unwrap()));
        }
        let late = sources.acquire(end("10.2.0.1:5000"), target, SessionId::default());
        assert_eq!(late, Err(NoSource::Exhausted));
    }

    #[test]
    fn the_pool_is_as_large_as_its_ranges_and_of_one_family() {
        let both = SourcePool::new(vec![
            ("10.9.0.1".parse().unwrap(), "10.9.0.254".parse().unwrap()),
            ("fd00::".parse().unwrap(), "fd00::ffff".parse().unwrap()),
        ]);
        let v4: IpAddr = Ipv4Addr::LOCALHOST.into();
        let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
        assert_eq!((both.size(v4), both.size(v6)), (254, 65_536));
        assert_eq!(both.nth(v4, 253), Some("10.9.0.254".parse().unwrap()));
        assert_eq!(both.nth(v4, 254), None);
        assert_eq!(both.nth(v6, 16), Some("fd00::10".parse().unwrap()));
    }

    #[test]
    fn a_loopback_client_needs_a_stand_in() {
        let client = end("127.0.0.1:4000");
        let target = end("10.0.3.2:80");
        let mut without = Sources::new(None, None, 1);
        assert_eq!(without.acquire(client, target, SessionId::default()), Err(NoSource::Unusable));
        let mut with = Sources::new(None, Some("10.0.0.9".parse().unwrap()), 1);
        assert_eq!(with.acquire(client, target, SessionId::default()), Ok(end("10.0.0.9:4000")));
    }

    #[test]
    fn families_are_never_mixed() {
        let mut sources = Sources::new(None, None, 1);
        let taken = sources.acquire(end("10.1.0.1:4000"), end("[fd00::2]:80"), SessionId::default());
        assert_eq!(taken, Err(NoSource::Unusable));
    }
}
