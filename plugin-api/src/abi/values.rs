//! The values that cross the boundary, and what they are on either side of it.

#![allow(missing_docs, reason = "each field is that of the type it mirrors")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

pub use crate::actions::Call;
use crate::{Actions, Answer, Exchange, GiveUp, InvalidStep, SessionInfo, Side, Step};

/// The answer to a call. Everything borrowed lies in buffers of the module that the next call uses again.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Reply<'a> {
    pub outcome: Outcome,
    pub steps: RSlice<'a, RawStep>,
    /// Those the steps name; of a call that gave up, the reason.
    pub bytes: RSlice<'a, u8>,
    pub exchanges: RSlice<'a, RawExchange>,
    /// The labels of the exchanges, one behind the other.
    pub labels: RSlice<'a, u8>,
}

/// How a call ended: a number, since an enum could never get another variant.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(pub u32);

impl Outcome {
    /// The reply's actions are wanted.
    pub const DONE: Self = Self(0);
    /// The conversation gave up.
    pub const GAVE_UP: Self = Self(1);
    /// The conversation panicked, now or before.
    pub const FAULT: Self = Self(2);
    /// There is no snapshot.
    pub const NOTHING: Self = Self(3);
    /// The conversation gave the user's whole connection up.
    pub const GAVE_UP_FOR_GOOD: Self = Self(4);
}

impl Outcome {
    /// That of a call that gave up.
    pub(super) fn of(give_up: &GiveUp) -> Self {
        match give_up {
            give_up if give_up.is_fault() => Self::FAULT,
            give_up if give_up.is_for_good() => Self::GAVE_UP_FOR_GOOD,
            _ => Self::GAVE_UP,
        }
    }
}

/// The mirror of [`Side`](crate::Side): a number, since an enum could never get another variant.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSide(pub u32);

/// The mirror of [`Step`](crate::Step), with the same layout.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct RawStep {
    pub code: u32,
    pub reserved: u32,
    pub count: u64,
    pub bytes: u64,
}

/// The mirror of [`Exchange`](crate::Exchange).
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct RawExchange {
    /// How many of the bytes of the labels, from where the exchange before ended, are this one's.
    pub label: u64,
    pub has_online: bool,
    pub has_target: bool,
    pub online: RawAnswer,
    pub target: RawAnswer,
}

/// The mirror of [`Answer`].
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default)]
pub struct RawAnswer {
    pub outcome: u32,
    pub failed: bool,
    pub size: u64,
    pub digest: u64,
    pub latency_us: u64,
}

/// The mirror of [`SessionInfo`].
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct RawSession {
    pub id: u64,
    pub client: RawAddress,
    pub online: RawAddress,
    pub source: RawAddress,
    pub target: RawAddress,
    pub joined: bool,
    pub connected: bool,
}

/// The mirror of [`SocketAddr`].
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct RawAddress {
    /// An IPv4 address takes the first four bytes.
    pub ip: [u8; 16],
    pub port: u16,
    pub is_ipv6: bool,
}

impl<'a> Reply<'a> {
    /// A reply without actions; `bytes` are the reason of a give-up, or a snapshot.
    pub(super) fn bare(outcome: Outcome, bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.into(), ..Self::empty(outcome) }
    }

    fn empty(outcome: Outcome) -> Self {
        let (bytes, steps, exchanges) = (RSlice::EMPTY, RSlice::EMPTY, RSlice::EMPTY);
        Self { outcome, steps, bytes, exchanges, labels: RSlice::EMPTY }
    }

    /// Appends the actions, on the host's side.
    ///
    /// # Errors
    /// The give-up that the reply is instead. Actions that make no sense are a fault.
    #[inline]
    pub fn carry_to(&self, actions: &mut Actions) -> Result<(), GiveUp> {
        let names_nothing = self.bytes.is_empty() && self.exchanges.is_empty();
        if self.outcome == Outcome::DONE && names_nothing && actions.extend_from_bare(self.steps()) {
            return Ok(());
        }
        self.carry_names_to(actions)
    }

    /// [`carry_to`](Self::carry_to) for every kind of reply.
    #[inline(never)]
    fn carry_names_to(&self, actions: &mut Actions) -> Result<(), GiveUp> {
        if self.outcome == Outcome::DONE {
            return actions
                .extend_from_raw(self.steps(), self.bytes.as_slice(), self.exchanges())
                .map_err(|InvalidStep| GiveUp::fault("the module's actions make no sense"));
        }
        let reason = String::from_utf8_lossy(self.bytes.as_slice());
        Err(match self.outcome {
            Outcome::GAVE_UP => GiveUp::new(reason),
            Outcome::GAVE_UP_FOR_GOOD => GiveUp::new(reason).for_good(),
            _ => GiveUp::fault(reason),
        })
    }

    fn steps(&self) -> &[Step] {
        super::plain_steps(self.steps.as_slice())
    }

    /// The snapshot that the reply to `snapshot` holds.
    #[must_use]
    pub fn into_snapshot(self) -> Option<Vec<u8>> {
        (self.outcome == Outcome::DONE).then(|| self.bytes.to_vec())
    }

    fn exchanges(&self) -> impl Iterator<Item = Exchange> {
        let mut labels = self.labels.as_slice();
        self.exchanges.as_slice().iter().map(move |exchange| {
            let (label, rest) = labels.split_at(
                usize::try_from(exchange.label).map_or(labels.len(), |length| length.min(labels.len())),
            );
            labels = rest;
            Exchange {
                label: String::from_utf8_lossy(label).into_owned(),
                online: exchange.has_online.then(|| exchange.online.into()),
                target: exchange.has_target.then(|| exchange.target.into()),
            }
        })
    }
}

impl RawExchange {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let raw = |answer: Option<Answer>| answer.map_or(RawAnswer::default(), RawAnswer::from);
        Self {
            label: exchange.label.len() as u64,
            has_online: exchange.online.is_some(),
            has_target: exchange.target.is_some(),
            online: raw(exchange.online),
            target: raw(exchange.target),
        }
    }
}

impl From<Answer> for RawAnswer {
    fn from(Answer { outcome, failed, size, digest, latency_us }: Answer) -> Self {
        Self { outcome, failed, size, digest, latency_us }
    }
}

impl From<RawAnswer> for Answer {
    fn from(RawAnswer { outcome, failed, size, digest, latency_us }: RawAnswer) -> Self {
        Self { outcome, failed, size, digest, latency_us }
    }
}

impl From<Side> for RawSide {
    fn from(side: Side) -> Self {
        Self(match side {
            Side::Client => 0,
            Side::Target => 1,
            Side::Online => 2,
        })
    }
}

impl From<RawSide> for Side {
    fn from(side: RawSide) -> Self {
        match side.0 {
            0 => Self::Client,
            1 => Self::Target,
            _ => Self::Online,
        }
    }
}

impl From<&SessionInfo> for RawSession {
    fn from(session: &SessionInfo) -> Self {
        let &SessionInfo { id, client, online, source, target, joined, connected } = session;
        let [client, online, source, target] = [client, online, source, target].map(RawAddress::from);
        Self { id, client, online, source, target, joined, connected }
    }
}

impl From<RawSession> for SessionInfo {
    fn from(session: RawSession) -> Self {
        let RawSession { id, client, online, source, target, joined, connected } = session;
        let [client, online, source, target] = [client, online, source, target].map(SocketAddr::from);
        Self { id, client, online, source, target, joined, connected }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(ip) => ip.octets(),
        };
        Self { ip, port: address.port(), is_ipv6: address.is_ipv6() }
    }
}

impl From<RawAddress> for SocketAddr {
    fn from(RawAddress { ip, port, is_ipv6 }: RawAddress) -> Self {
        let [a, b, c, d, ..] = ip;
        let ip = if is_ipv6 { Ipv6Addr::from(ip).into() } else { Ipv4Addr::new(a, b, c, d).into() };
        Self::new(ip, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_comes_back_as_it_was() {
        let session = SessionInfo {
            id: u64::MAX,
            client: "203.0.113.1:1".parse().unwrap(),
            online: "[2001:db8::1:2:3]:65535".parse().unwrap(),
            source: "255.255.255.255:2".parse().unwrap(),
            target: "[::ffff:192.0.2.1]:3".parse().unwrap(),
            joined: true,
            connected: false,
        };
        assert_eq!(SessionInfo::from(RawSession::from(&session)), session);
    }

    #[test]
    fn sides_come_back_as_they_were() {
        for side in [Side::Client, Side::Target, Side::Online] {
            assert_eq!(Side::from(RawSide::from(side)), side);
        }
    }

    #[test]
    fn actions_that_make_no_sense_are_a_fault() {
        let mut actions = Actions::default();
        let exchange = RawExchange::of(&Exchange::default());
        let unasked =
            Reply { exchanges: std::slice::from_ref(&exchange).into(), ..Reply::empty(Outcome::DONE) };
        assert!(unasked.carry_to(&mut actions).unwrap_err().is_fault());
        let odd = Reply { bytes: b"odd".as_slice().into(), ..Reply::empty(Outcome::DONE) };
        assert!(odd.carry_to(&mut actions).unwrap_err().is_fault());
        assert!(actions.is_empty());
    }

    #[test]
    fn an_outcome_that_nobody_knows_is_a_fault() {
        let reply = Reply::bare(Outcome(99), b"new");
        assert_eq!(reply.carry_to(&mut Actions::default()), Err(GiveUp::fault("new")));
        assert_eq!(reply.into_snapshot(), None);
    }

    #[test]
    fn a_give_up_comes_back_as_it_was() {
        for give_up in [GiveUp::new("why"), GiveUp::new("why").for_good(), GiveUp::fault("why")] {
            let reply = Reply::bare(Outcome::of(&give_up), give_up.reason().as_bytes());
            assert_eq!(reply.carry_to(&mut Actions::default()), Err(give_up));
        }
    }

    #[test]
    fn a_label_that_is_longer_than_all_labels_ends_where_they_end() {
        let long = RawExchange { label: u64::MAX, ..RawExchange::of(&Exchange::default()) };
        let reply = Reply {
            exchanges: std::slice::from_ref(&long).into(),
            labels: b"GET /".as_slice().into(),
            ..Reply::empty(Outcome::DONE)
        };
        assert_eq!(reply.exchanges().next().unwrap().label, "GET /");
    }
}
