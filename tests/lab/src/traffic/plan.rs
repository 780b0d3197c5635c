//! What users and servers are to do, as values that travel as JSON.
//!
//! Every field has a default, so that a plan names only what it is about; unknown fields are refused. All amounts
//! are for the plan as a whole: a [`Shard`] takes its part of users, rates and totals by itself.

mod server;
mod sources;

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use self::server::{AnswerDelay, AnswerSize, Greeting, ServerPlan, Wording};
pub use self::sources::{AddressRange, Ports, Sources};
use super::request::RequestId;

/// What the users do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsersPlan {
    /// Where the users connect to; user *n* takes entry *n* modulo the length.
    pub targets: Vec<SocketAddr>,
    /// The addresses and ports the users come from.
    pub sources: Sources,
    /// Users at work at once. [`Style::Short`] with 0 takes as many as its rate needs.
    pub users: u32,
    /// Index of the first user: plans that run together need ranges that do not overlap.
    pub first_user: u32,
    /// How requests are laid over connections and time.
    pub style: Style,
    /// Body bytes of a request (0 makes it a GET, more a POST).
    pub body: Amount,
    /// Body bytes the user asks the server for.
    pub want: Amount,
    /// Milliseconds the user asks the server to think for.
    pub delay_ms: Amount,
    /// How a request is cut into writes.
    pub writing: Pieces,
    /// How fast answers are read.
    pub reading: Reading,
    /// The server speaks first: wait for its greeting line before the first request.
    pub greeting: bool,
    /// How a connection ends after its last answer.
    pub ending: Ending,
    /// How long new requests are made, in milliseconds; `None`: until `requests` or `connections_per_user` is spent.
    pub duration_ms: Option<u64>,
    /// How many requests are made.
    pub requests: Option<u64>,
    /// How many connections each user opens one after the other (not for [`Style::Short`]).
    pub connections_per_user: Option<u32>,
    /// A connection that made its requests stays open and silent until the plan ends (needs `duration_ms`).
    pub hold_open: bool,
    /// Time over which the users' first connections are spread, in milliseconds. Open-loop rates start after it.
    pub ramp_ms: u64,
    /// A connection that makes no progress for this long has failed, in milliseconds.
    pub answer_timeout_ms: u64,
    /// How long open work may take to finish after the plan's end, in milliseconds.
    pub grace_ms: u64,
    /// Decides every amount that is drawn from a range.
    pub seed: u64,
    /// Which part of the plan this process runs.
    pub shard: Shard,
}

impl Default for UsersPlan {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            sources: Sources::default(),
            users: 1,
            first_user: 0,
            style: Style::Keepalive { requests_per_connection: None, pace: Pace::Closed { think_ms: 0 } },
            body: Amount::exactly(0),
            want: Amount::exactly(100),
            delay_ms: Amount::exactly(0),
            writing: Pieces::default(),
            reading: Reading::default(),
            greeting: false,
            ending: Ending::Fin,
            duration_ms: None,
            requests: None,
            connections_per_user: None,
            hold_open: false,
            ramp_ms: 0,
            answer_timeout_ms: 30_000,
            grace_ms: 10_000,
            seed: 1,
            shard: Shard::default(),
        }
    }
}

impl UsersPlan {
    /// Says in one sentence what is wrong with the plan.
    ///
    /// # Errors
    /// `InvalidInput` when the plan cannot be carried out as written.
    pub fn check(&self) -> io::Result<()> {
        if self.targets.is_empty() {
            return refuse("the users' plan names no target: give at least one address in `targets`");
        }
        let v4 = self.targets[0].is_ipv4();
        let families_agree = self.targets.iter().all(|target| target.is_ipv4() == v4)
            && self.sources.addresses.iter().all(|range| range.first.is_ipv4() == v4);
        if !families_agree {
            return refuse("the users' plan mixes IPv4 and IPv6: make one plan for each");
        }
        if matches!(self.sources.ports, Ports::Fixed { .. }) && self.sources.addresses.is_empty() {
            return refuse("fixed source ports need source addresses: fill `sources.addresses`");
        }
        if self.duration_ms.is_none() && self.requests.is_none() && self.connections_per_user.is_none() {
            return refuse(
                "the users' plan never ends: set `duration_ms`, `requests` or `connections_per_user`",
            );
        }
        if self.hold_open && self.duration_ms.is_none() {
            return refuse("`hold_open` keeps connections until the plan ends: set `duration_ms`");
        }
        if self.users == 0 && !matches!(self.style, Style::Short { .. }) {
            return refuse("the users' plan has no users: set `users`");
        }
        if self.users > 0 && self.users < self.shard.count {
            return refuse("the users' plan has more shards than users: every shard needs one");
        }
        if u64::from(self.first_user) + u64::from(self.users) > u64::from(RequestId::USERS) {
            return refuse("the users' plan has too many users: request ids hold a million");
        }
        self.check_rates()
    }

    fn check_rates(&self) -> io::Result<()> {
        let rate = match self.style {
            Style::Short { connections_per_second } => Some(connections_per_second),
            Style::Keepalive { pace, .. } | Style::Pipelined { pace, .. } => match pace {
                Pace::Open { requests_per_second } => Some(requests_per_second),
                Pace::Closed { .. } => None,
            },
        };
        if rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return refuse("the users' rate must be more than 0 per second");
        }
        if matches!(self.style, Style::Pipelined { depth: 0, .. }) || self.writing.count == 0 {
            return refuse("a pipeline's depth and the pieces of a request are at least 1");
        }
        if self.body.max > u64::from(u32::MAX) || self.want.max > u64::from(u32::MAX) {
            return refuse("bodies are at most 4 GiB");
        }
        self.shard.check()
    }
}

/// How requests are laid over connections and time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Style {
    /// One request per connection, connections begun at a fixed rate whatever the answers do.
    Short {
        /// Connections begun per second.
        connections_per_second: f64,
    },
    /// Requests one after the other on a connection.
    Keepalive {
        /// Requests before the connection is ended and the next one opened; `None`: no end.
        requests_per_connection: Option<u32>,
        /// When the next request is made.
        pace: Pace,
    },
    /// `depth` requests written back to back, then as many answers awaited.
    Pipelined {
        /// Requests written back to back.
        depth: u32,
        /// As for keep-alive.
        requests_per_connection: Option<u32>,
        /// When the next `depth` requests are made.
        pace: Pace,
    },
}

/// When a user makes its next request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pace {
    /// At a fixed rate for all users together, user by user; a user still waiting for an answer makes its request
    /// late, the others do not.
    Open {
        /// Requests per second.
        requests_per_second: f64,
    },
    /// After the answer and a pause.
    Closed {
        /// Milliseconds between an answer and the next request.
        think_ms: u64,
    },
}

/// How a user ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ending {
    /// Close after the last answer.
    Fin,
    /// Shut down the sending side right after the last request, then read to the end.
    HalfClose,
    /// Reset after the last answer.
    Reset,
    /// Wait for the server to close.
    ServerCloses,
    /// Reset in the middle of the last request of a connection: that request is the user's own loss.
    Cut(Cut),
}

/// Where a user cuts its last request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// When half of it is written.
    HalfWritten,
    /// When all of it is written and no answer is there.
    Unanswered,
}

/// A message written in several pieces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pieces {
    /// Number of writes, at least 1, of about the same size.
    pub count: u32,
    /// Milliseconds between two of them.
    pub gap_ms: u64,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { count: 1, gap_ms: 0 }
    }
}

/// How fast bytes are taken from a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// At most this many bytes per second and connection; `None`: at once.
    pub bytes_per_second: Option<u64>,
    /// `SO_RCVBUF`, set before the handshake. The kernel doubles it and allows no less than about 2300 then.
    pub receive_buffer: Option<u32>,
}

/// An amount drawn evenly from `min..=max`, by request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Least.
    pub min: u64,
    /// Most.
    pub max: u64,
}

impl Amount {
    /// Always `n`.
    pub const fn exactly(n: u64) -> Self {
        Self { min: n, max: n }
    }

    /// The amount that belongs to an evenly spread `draw`.
    pub(crate) fn pick(self, draw: u64) -> u64 {
        let span = self.max.saturating_sub(self.min);
        self.min + ((u128::from(draw) * (u128::from(span) + 1)) >> 64) as u64
    }
}

/// One process's part of a plan that runs as several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Which, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl Shard {
    fn check(self) -> io::Result<()> {
        if self.index < self.count {
            return Ok(());
        }
        refuse("a shard's `index` must be lower than its `count`")
    }

    /// This shard's part of `total` equal things.
    pub(crate) fn part(self, total: u64) -> u64 {
        let (index, count) = (u64::from(self.index), u64::from(self.count));
        total / count + u64::from(index < total % count)
    }

    /// The plan-wide index of this shard's `nth` user.
    pub(crate) fn user(self, nth: usize) -> u32 {
        self.index + nth as u32 * self.count
    }
}

fn refuse(sentence: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_take_every_user_and_request_once() {
        let shards = [0, 1, 2].map(|index| Shard { index, count: 3 });
        assert_eq!(shards.map(|shard| shard.part(11)), [4, 4, 3]);
        let mut users: Vec<_> =
            shards.iter().flat_map(|shard| (0..shard.part(11) as usize).map(|n| shard.user(n))).collect();
        users.sort_unstable();
        assert_eq!(users, (0..11).collect::<Vec<_>>());
    }

    #[test]
    fn amounts_stay_within_their_bounds() {
        let amount = Amount { min: 3, max: 5 };
        assert_eq!([0, u64::MAX / 2, u64::MAX].map(|draw| amount.pick(draw)), [3, 4, 5]);
        assert_eq!(Amount { min: 0, max: u64::MAX }.pick(u64::MAX), u64::MAX);
    }

    #[test]
    fn plans_name_only_what_they_are_about() {
        let plan: UsersPlan = serde_json::from_str(
            r#"{"targets":["10.0.0.1:80"],"style":{"short":{"connections_per_second":500}},"duration_ms":1000}"#,
        )
        .unwrap();
        assert!(plan.check().is_ok());
        assert_eq!(plan.answer_timeout_ms, UsersPlan::default().answer_timeout_ms);
        assert!(serde_json::from_str::<UsersPlan>(r#"{"target":[]}"#).is_err());
    }

    #[test]
    fn plans_that_cannot_be_carried_out_are_refused() {
        let good = UsersPlan {
            targets: vec!["10.0.0.1:80".parse().unwrap()],
            requests: Some(1),
            ..UsersPlan::default()
        };
        assert!(good.check().is_ok());
        let endless = UsersPlan { requests: None, ..good.clone() };
        let mixed = UsersPlan { targets: vec![good.targets[0], "[::1]:80".parse().unwrap()], ..good.clone() };
        let nobody = UsersPlan { users: 0, ..good.clone() };
        let held = UsersPlan { hold_open: true, ..good };
        for plan in [endless, mixed, nobody, held] {
            assert!(plan.check().is_err(), "{plan:?}");
        }
    }
}
