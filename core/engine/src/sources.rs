//! The ends copied clients speak from: the `-c` pool, and which (address, port) pairs are taken.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Endpoint, Flow};

use crate::Share;

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
pub(crate) struct Sources<Holder> {
    pool: Option<SourcePool>,
    loopback_source: Option<IpAddr>,
    ports: Share,
    hasher: FixedState,
    taken: HashMap<Flow, Holder, FixedState>,
    /// Addresses that were found without a free port (for that target), with the ports given back since, oldest first.
    exhausted: HashMap<(IpAddr, Endpoint), VecDeque<u16>, FixedState>,
}

/// Ports below this one are left to services.
const FIRST_PORT: u32 = 1024;
/// How many further addresses of the pool are tried when one has no free port left.
const ADDRESSES_TRIED: u128 = 1024;
/// An address of which so large a part is free again is no longer exhausted: a walk finds a port soon.
const RECOVERED: u32 = 8;

impl<Holder: Copy> Sources<Holder> {
    /// Without a pool clients speak from their own addresses.
    pub(crate) fn new(
        pool: Option<SourcePool>,
        loopback_source: Option<IpAddr>,
        ports: Share,
        seed: u64,
    ) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            pool,
            loopback_source,
            ports,
            taken: HashMap::with_hasher(hasher.clone()),
            exhausted: HashMap::with_hasher(hasher.clone()),
            hasher,
        }
    }

    /// A free source end for copy number `copy` of `client`, now held by `holder` until [`Self::release`]. The client's
    /// own port is kept when it is free; the copies of a client speak from different addresses of a pool.
    pub(crate) fn acquire(
        &mut self,
        client: Endpoint,
        copy: u16,
        target: Endpoint,
        holder: Holder,
    ) -> Result<Endpoint, NoSource> {
        let addresses = self.pool.as_ref().map_or(1, |pool| pool.size(target.addr));
        if addresses == 0 {
            return Err(NoSource::Unusable);
        }
        let home = u128::from(self.hasher.hash_one((client.addr, copy))) % addresses;
        for step in 0..addresses.min(ADDRESSES_TRIED) {
            let addr = self.address(client, target, (home + step) % addresses).ok_or(NoSource::Unusable)?;
            if let Some(port) = self.free_port(addr, client.port, target) {
                let source = Endpoint::new(addr, port);
                self.taken.insert(Flow { client: source, server: target }, holder);
                return Ok(source);
            }
        }
        Err(NoSource::Exhausted)
    }

    /// Gives `flow`'s source end back.
    pub(crate) fn release(&mut self, flow: &Flow) {
        if self.taken.remove(flow).is_none() {
            return;
        }
        let Flow { client, server } = *flow;
        if let Some(free) = self.exhausted.get_mut(&(client.addr, server)) {
            free.push_back(client.port);
            if free.len() as u32 > self.port_count() / RECOVERED {
                self.exhausted.remove(&(client.addr, server));
            }
        }
    }

    /// Who speaks from `flow`'s client end.
    pub(crate) fn holder(&self, flow: &Flow) -> Option<Holder> {
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

    fn free_port(&mut self, addr: IpAddr, wanted: u16, target: Endpoint) -> Option<u16> {
        let is_free =
            |port: u16| !self.taken.contains_key(&Flow { client: Endpoint::new(addr, port), server: target });
        if self.ports.has(wanted.into()) && is_free(wanted) {
            return Some(wanted);
        }
        if let Some(free) = self.exhausted.get_mut(&(addr, target)) {
            return std::iter::from_fn(|| free.pop_front()).find(|port| is_free(*port));
        }
        // A walk that starts anywhere and visits every port once, so that a port just given back rests.
        let count = self.port_count();
        let start = self.hasher.hash_one((wanted, self.taken.len())) as u32 % count;
        let found = (0..count).map(|step| self.port((start + step) % count)).find(|port| is_free(*port));
        if found.is_none() {
            self.exhausted.insert((addr, target), VecDeque::new());
        }
        found
    }

    /// The `index`-th port there is to speak from.
    fn port(&self, index: u32) -> u16 {
        (self.first_port() + index * self.ports.of()) as u16
    }

    /// How many there are; at least one, as there are more ports than parts.
    fn port_count(&self) -> u32 {
        (u32::from(u16::MAX) - self.first_port()) / self.ports.of() + 1
    }

    fn first_port(&self) -> u32 {
        let (index, of) = (self.ports.index(), self.ports.of());
        FIRST_PORT + (index + of - FIRST_PORT % of) % of
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

    fn sources(pool: Option<SourcePool>, loopback_source: Option<&str>) -> Sources<()> {
        Sources::new(pool, loopback_source.map(|addr| addr.parse().unwrap()), Share::WHOLE, 1)
    }

    #[test]
    fn a_client_keeps_its_own_end_when_it_is_free() {
        let mut sources = sources(None, None);
        let target = end("10.0.3.2:80");
        let client = end("10.1.0.1:4000");
        assert_eq!(sources.acquire(client, 0, target, ()), Ok(client));
        let second = sources.acquire(client, 0, target, ()).unwrap();
        assert_eq!(second.addr, client.addr);
        assert_ne!(second.port, client.port);
        sources.release(&Flow { client, server: target });
        assert_eq!(sources.acquire(client, 0, target, ()), Ok(client));
    }

    #[test]
    fn one_pair_serves_two_targets() {
        let mut sources = sources(None, None);
        let client = end("10.1.0.1:4000");
        assert_eq!(sources.acquire(client, 0, end("10.0.3.2:80"), ()), Ok(client));
        assert_eq!(sources.acquire(client, 0, end("10.0.3.2:81"), ()), Ok(client));
    }

    #[test]
    fn a_single_address_serves_every_port_once_and_then_says_so() {
        let mut sources = sources(Some(pool("10.9.0.1", "10.9.0.1")), None);
        let target = end("10.0.3.2:80");
        let mut seen = std::collections::HashSet::new();
        for index in 0..65_536 - FIRST_PORT {
            let client = Endpoint::new(Ipv4Addr::from_bits(0x0a01_0000 + index).into(), 5000);
            assert!(seen.insert(sources.acquire(client, 0, target, ()).unwrap()));
        }
        let late = sources.acquire(end("10.2.0.1:5000"), 0, target, ());
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
        let mut without = sources(None, None);
        assert_eq!(without.acquire(client, 0, target, ()), Err(NoSource::Unusable));
        let mut with = sources(None, Some("10.0.0.9"));
        assert_eq!(with.acquire(client, 0, target, ()), Ok(end("10.0.0.9:4000")));
    }

    #[test]
    fn families_are_never_mixed() {
        let mut sources = sources(None, None);
        let taken = sources.acquire(end("10.1.0.1:4000"), 0, end("[fd00::2]:80"), ());
        assert_eq!(taken, Err(NoSource::Unusable));
    }

    #[test]
    fn copies_of_a_client_speak_from_different_addresses_of_a_pool() {
        let mut sources = sources(Some(pool("10.9.0.1", "10.9.255.254")), None);
        let ends: Vec<Endpoint> = (0..5)
            .map(|copy| sources.acquire(end("10.1.0.1:4000"), copy, end("10.0.3.2:80"), ()).unwrap())
            .collect();
        assert!(ends.iter().all(|end| end.port == 4000));
        assert_eq!(ends.iter().map(|end| end.addr).collect::<std::collections::HashSet<_>>().len(), 5);
    }

    #[test]
    fn a_full_address_gives_out_what_it_got_back_and_nothing_twice() {
        let ports = Share::new(5, 32).unwrap();
        let mut sources = Sources::new(Some(pool("10.9.0.1", "10.9.0.1")), None, ports, 1);
        let (client, target) = (end("10.1.0.1:4000"), end("10.0.3.2:80"));
        let held: Vec<Endpoint> =
            std::iter::from_fn(|| sources.acquire(client, 0, target, ()).ok()).collect();
        assert_eq!(held.len(), 64_512 / 32);
        assert_eq!(sources.acquire(client, 0, target, ()), Err(NoSource::Exhausted));
        for freed in [held[3], held[1]] {
            sources.release(&Flow { client: freed, server: target });
        }
        // Its own port is kept even so, and is then not given out once more.
        let own = Endpoint { port: held[3].port, ..client };
        assert_eq!(sources.acquire(own, 0, target, ()), Ok(held[3]));
        assert_eq!(sources.acquire(client, 0, target, ()), Ok(held[1]));
        assert_eq!(sources.acquire(client, 0, target, ()), Err(NoSource::Exhausted));
        for freed in &held {
            sources.release(&Flow { client: *freed, server: target });
        }
        assert!(sources.exhausted.is_empty() && sources.taken.is_empty());
        assert!(sources.acquire(client, 0, target, ()).is_ok());
    }

    #[test]
    fn shares_of_the_ports_have_none_in_common_and_are_all_of_them() {
        let mut seen = std::collections::HashSet::new();
        for index in 0..7 {
            let ports = Share::new(index, 7).unwrap();
            let mut sources = Sources::new(None, None, ports, 1);
            let client = end("10.1.0.1:4000");
            while let Ok(source) = sources.acquire(client, 0, end("10.0.3.2:80"), ()) {
                assert!(seen.insert(source.port));
            }
        }
        assert_eq!(seen.len(), 64_512);
    }
}
