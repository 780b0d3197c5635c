//! The probes: one SYN for each target, and a RST that leaves no half-open connection behind, whatever happens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcopy_engine::SourcePool;
use tcpcopy_net::{Sink, TargetGuard, TransmitError, online_users};
use tcpcopy_wire::{
    Endpoint, Flags, Flow, Instant, Ipv4Identification, Options, Segment, SeqNum, emit, header_len,
};

use crate::socket::random;
use crate::{StartError, TransmitChoice};

/// From ports that no service has (RFC 6335 §6).
const FIRST_PORT: u16 = 49_152;
const TTL: u8 = 64;
const MSS: u16 = 1460;
const WINDOW: u16 = 65_535;

/// Where the address comes from that a probe is sent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was named for this purpose.
    Named,
    /// It is the first of `-c`.
    Pool,
    /// Of a user who is connected right now.
    User,
    /// Of a network that no host is in (RFC 5737, RFC 3849).
    Nobody,
}

/// A probe.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) flow: Flow,
    pub(super) origin: Origin,
    isn: SeqNum,
    /// What became of the last attempt to send it; `None` before any.
    pub(super) sent: Option<Result<(), TransmitError>>,
}

impl Probe {
    /// A probe to `target`, from an address that copied users of `online_port` speak from.
    pub(super) fn new(
        target: Endpoint,
        online_port: u16,
        named: Option<IpAddr>,
        pool: Option<&SourcePool>,
    ) -> Self {
        let fits = |addr: &IpAddr| addr.is_ipv4() == target.addr.is_ipv4();
        let first = pool.into_iter().flat_map(SourcePool::ranges).map(|(first, _)| *first).find(fits);
        let user = || online_users(online_port).into_iter().map(|user| user.addr).find(fits);
        let (addr, origin) = named
            .filter(fits)
            .map(|addr| (addr, Origin::Named))
            .or(first.map(|addr| (addr, Origin::Pool)))
            .or_else(|| user().map(|addr| (addr, Origin::User)))
            .unwrap_or_else(|| (nobody(target.addr.is_ipv4()), Origin::Nobody));
        Self { origin, ..Self::from_address(target, addr) }
    }

    /// A probe to `target` from `addr`, from a port and with a sequence number that nobody can guess.
    pub(super) fn from_address(target: Endpoint, addr: IpAddr) -> Self {
        let chance = random();
        let port = FIRST_PORT + (chance % u64::from(u16::MAX - FIRST_PORT)) as u16;
        let flow = Flow { client: Endpoint::new(addr, port), server: target };
        Self { flow, origin: Origin::Named, isn: SeqNum((chance >> 32) as u32), sent: None }
    }

    /// What begins its connection.
    pub(super) fn syn(&self) -> Segment<'static> {
        let options = Options { mss: Some(MSS), ..Options::default() };
        Segment { seq: self.isn, flags: Flags::SYN, window: WINDOW, options, ..self.segment() }
    }

    /// RFC 9293 §3.10.7.4: it is in the window of whoever took the SYN, and of nobody else.
    fn rst(&self) -> Segment<'static> {
        Segment { seq: self.isn + 1, flags: Flags::RST, ..self.segment() }
    }

    fn segment(&self) -> Segment<'static> {
        Segment { source: self.flow.client, destination: self.flow.server, ttl: TTL, ..Segment::default() }
    }
}

/// The address of nobody, set apart for documentation.
pub(super) const fn nobody(v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))
    } else {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))
    }
}

/// Sends the probes. Dropping it resets them.
pub(super) struct Sender {
    sink: TargetGuard<Box<dyn Sink>>,
    pub(super) probes: Vec<Probe>,
}

impl Sender {
    /// # Errors
    /// When there is no right to send, or no way out.
    pub(super) fn open(probes: Vec<Probe>, transmit: &TransmitChoice) -> Result<Self, StartError> {
        let targets = probes.iter().map(|probe| probe.flow.server);
        Ok(Self { sink: TargetGuard::new(transmit.open()?, targets), probes })
    }

    /// Sends the SYNs of those that `is_due` says.
    pub(super) fn send(&mut self, now: Instant, is_due: impl Fn(usize) -> bool) {
        self.sink.handle_time(now);
        let due = self.probes.iter_mut().enumerate().filter(|(index, _)| is_due(*index));
        for (_, probe) in due {
            probe.sent = Some(transmit(&mut self.sink, &probe.syn()));
        }
    }
}

impl Drop for Sender {
    /// Ends whatever connection the target has begun for a probe. Whether a reset arrives nobody tells: two are sent.
    fn drop(&mut self) {
        for probe in self.probes.iter().filter(|probe| probe.sent.is_some()) {
            for _ in 0..2 {
                let _ = transmit(&mut self.sink, &probe.rst());
            }
        }
    }
}

fn transmit(sink: &mut impl Sink, segment: &Segment<'_>) -> Result<(), TransmitError> {
    let mut sent = sink.send(&packet_of(segment));
    sink.flush(&mut |_, error| sent = Err(error));
    sent
}

/// The packet of a segment without payload; empty where its ends do not fit together.
pub(crate) fn packet_of(segment: &Segment<'_>) -> Vec<u8> {
    let mut packet = vec![0; header_len(segment)];
    let identification = Ipv4Identification(segment.seq.0 as u16);
    let length = emit(segment, identification, [&[], &[]], &mut packet).unwrap_or(0);
    packet.truncate(length);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Endpoint {
        text.parse::<std::net::SocketAddr>().unwrap().into()
    }

    fn pool() -> SourcePool {
        let range = |first: &str, last: &str| (first.parse().unwrap(), last.parse().unwrap());
        SourcePool::new(vec![range("10.30.0.1", "10.30.0.254"), range("fd00:30::", "fd00:30::ff")])
    }

    #[test]
    fn a_probe_speaks_from_the_named_address_or_the_first_of_the_pool() {
        let of = |to, named: Option<&str>| {
            let probe = Probe::new(target(to), 1, named.map(|text| text.parse().unwrap()), Some(&pool()));
            (probe.flow.client.addr.to_string(), probe.origin)
        };
        assert_eq!(of("10.10.3.2:80", None), ("10.30.0.1".to_owned(), Origin::Pool));
        assert_eq!(of("[fd00::2]:80", None), ("fd00:30::".to_owned(), Origin::Pool));
        assert_eq!(of("10.10.3.2:80", Some("10.7.0.1")), ("10.7.0.1".to_owned(), Origin::Named));
        assert_eq!(of("[fd00::2]:80", Some("10.7.0.1")), ("fd00:30::".to_owned(), Origin::Pool));
    }

    #[test]
    fn without_a_pool_and_users_nobodys_address_stands_in() {
        let probe = Probe::new(target("10.10.3.2:80"), 1, None, None);
        assert_eq!(
            (probe.flow.client.addr.to_string(), probe.origin),
            ("192.0.2.1".to_owned(), Origin::Nobody)
        );
        assert!(probe.flow.client.port >= FIRST_PORT);
    }

    #[test]
    fn the_reset_belongs_to_the_connection_of_the_syn_alone() {
        let probe = Probe::new(target("10.10.3.2:80"), 1, None, None);
        let (syn, rst) = (probe.syn(), probe.rst());
        assert_eq!((syn.source, syn.destination), (rst.source, rst.destination));
        assert_eq!(rst.seq, syn.seq + 1);
        assert!(rst.flags.rst() && !rst.flags.syn() && rst.is_empty());
    }
}
