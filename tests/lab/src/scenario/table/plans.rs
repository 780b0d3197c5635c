//! What the rows of the table are made of: users' plans, servers, faults.

use std::net::IpAddr;
use std::time::Duration;

use crate::scenario::{Action, Event, Scenario, Server};
use crate::traffic::{
    AddressRange, Amount, AnswerDelay, AnswerSize, Pace, Ports, ServerPlan, Sources, Style, UsersPlan,
};
use crate::world::hop::{Faults, Impairment};
use crate::world::plan::FIRST_USER;

/// Bytes in a KiB.
pub(super) const KIB: u64 = 1024;
/// Bytes in a MiB.
pub(super) const MIB: u64 = 1024 * KIB;

/// Bytes of uploads in a millisecond.
const UPLOADED_PER_MS: u64 = 40_000;

/// Users at addresses of their own.
pub(super) fn from_addresses(count: u32) -> Sources {
    Sources {
        addresses: vec![AddressRange { first: IpAddr::V4(FIRST_USER), count }],
        ports: Ports::Ephemeral,
    }
}

/// The same, with `each` source ports of theirs from `first` on.
pub(super) fn from_ports(count: u32, first: u16, each: u16) -> Sources {
    Sources { ports: Ports::Fixed { first, each }, ..from_addresses(count) }
}

/// Short connections from 200 addresses.
pub(crate) fn short(per_second: u32, seconds: u64) -> UsersPlan {
    UsersPlan {
        sources: from_addresses(200),
        users: 0,
        style: Style::Short { connections_per_second: f64::from(per_second) },
        duration_ms: Some(seconds * 1000),
        ..UsersPlan::default()
    }
}

/// Keepalive connections, as many as users.
pub(crate) fn keepalive(users: u32, per_second: u32, seconds: u64) -> UsersPlan {
    let pace = Pace::Open { requests_per_second: f64::from(per_second) };
    UsersPlan {
        sources: from_addresses(users.min(200)),
        users,
        style: Style::Keepalive { requests_per_connection: None, pace },
        duration_ms: Some(seconds * 1000),
        ramp_ms: 200,
        ..UsersPlan::default()
    }
}

/// Twenty users with `depth` requests on the way at once.
pub(super) fn pipelined(depth: u32, per_second: u32, seconds: u64) -> UsersPlan {
    let pace = Pace::Open { requests_per_second: f64::from(per_second) };
    let style = Style::Pipelined { depth, requests_per_connection: None, pace };
    UsersPlan { style, ..keepalive(20, per_second, seconds) }
}

/// Each of `users` sends `each` uploads of `bytes` on one connection, with a pause that keeps all of them together
/// at about a third of a gigabit per second.
pub(super) fn uploads_of(bytes: u64, users: u32, each: u32) -> UsersPlan {
    UsersPlan {
        sources: from_addresses(users),
        users,
        style: Style::Keepalive {
            requests_per_connection: Some(each),
            pace: Pace::Closed { think_ms: bytes * u64::from(users) / UPLOADED_PER_MS },
        },
        body: Amount::exactly(bytes),
        connections_per_user: Some(1),
        ..UsersPlan::default()
    }
}

/// `users` connections open at once, each with a request now and then.
pub(super) fn concurrent(users: u32, per_second: u32, seconds: u64) -> UsersPlan {
    UsersPlan {
        sources: from_addresses(250),
        ramp_ms: u64::from(users) / 4,
        ..keepalive(users, per_second, seconds)
    }
}

/// A hop that loses frames both ways.
pub(super) fn loses(probability: f64) -> Option<Impairment> {
    Some(Impairment::both_ways(Faults::loss(probability)))
}

/// An event so many seconds after the users began.
pub(super) fn at(seconds: f64, action: Action) -> Event {
    Event { at: Duration::from_secs_f64(seconds), action }
}

/// One of the lab's own servers.
pub(super) fn tagged(plan: ServerPlan) -> Server {
    Server::Tagged(plan)
}

/// A server whose answers all have this size.
pub(super) fn answering(size: u32) -> Server {
    tagged(ServerPlan { size: AnswerSize::Fixed(size), ..ServerPlan::default() })
}

/// A server that closes after each answer.
pub(super) fn closing() -> Server {
    tagged(ServerPlan { close_after_answer: true, ..ServerPlan::default() })
}

/// A server that thinks this much longer.
pub(super) fn slower(ms: u64) -> Server {
    tagged(ServerPlan { delay: AnswerDelay::Wanted { extra_ms: ms }, ..ServerPlan::default() })
}

/// A scenario with the figure of the C tools beside what is required of ours.
pub(super) fn row(
    name: &'static str,
    about: &'static str,
    c: Option<&'static str>,
    must: f64,
    users: UsersPlan,
) -> Scenario {
    Scenario { c, must, ..Scenario::new(name, about, users) }
}

/// A row on which the C tools reached everything, and so must we.
pub(super) fn full(name: &'static str, about: &'static str, users: UsersPlan) -> Scenario {
    row(name, about, Some("1.0"), 1.0, users)
}
