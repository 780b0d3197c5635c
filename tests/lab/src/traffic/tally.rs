//! What of the users' requests reached the target: whole, once, in order.

mod render;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::request::RequestId;
use super::server::{Arrival, ServerRecord};
use super::users::{Outcome, UserConnection, UserRequest, UsersRecord};

/// The account of a run. Each request that counts is in exactly one of `exactly_once`, `duplicated`, `altered` and
/// `missing`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that count: fully written by their users, and not given up by them.
    pub sent: u64,
    /// Of these, answered to their users' content.
    pub answered: u64,
    /// Arrived byte for byte, and once, or again only where a repetition is in order (see `resent`).
    pub exactly_once: u64,
    /// Arrived byte for byte, and again although the target may have answered already.
    pub duplicated: u64,
    /// Arrived, but never byte for byte.
    pub altered: u64,
    /// Did not arrive.
    pub missing: u64,
    /// Arrivals of a request that is here already and was left unanswered on a connection that ended: a replay
    /// has to repeat it.
    pub resent: u64,
    /// Arrivals of a request that is here already, for no such reason.
    pub surplus: u64,
    /// Requests that first arrived after a later one of the same user connection.
    pub out_of_order: u64,
    /// Requests the users themselves cut off, or never finished writing.
    pub cut: u64,
    /// Of these, arrived whole nevertheless.
    pub cut_arrived: u64,
    /// Requests the caller left out of the account, see [`compare_if`].
    pub left_out: u64,
    /// Arrivals of requests that no user in the account made.
    pub unknown: u64,
    /// Arrivals, and pieces of streams that could not be read, that were not byte for byte as sent.
    pub altered_arrivals: u64,
    /// User connections with a missing request.
    pub connections_with_missing: u64,
    /// The first [`Missing::KEPT`] missing ones.
    pub first_missing: Vec<Missing>,
    /// The ids of the first [`Missing::KEPT`] requests that are duplicated, altered or out of order.
    pub first_wrong: Vec<RequestId>,
}

/// A request that did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name; tells its place in the connection.
    pub id: RequestId,
    /// Its user's address and port, as a capture shows them.
    pub source: SocketAddr,
    /// Where the user sent it.
    pub target: SocketAddr,
    /// When its user wrote it, on the [`monotonic_us`](super::monotonic_us) clock.
    pub sent_at: u64,
    /// Whether its user got an answer.
    pub answered: bool,
}

impl Missing {
    /// How many a tally lists; all are counted.
    pub const KEPT: usize = 100;
}

impl Tally {
    /// The part of the users' requests that reached the target byte for byte; 1.0 when there were none.
    pub fn fraction(&self) -> f64 {
        if self.sent == 0 {
            return 1.0;
        }
        (self.exactly_once + self.duplicated) as f64 / self.sent as f64
    }

    /// Two accounts as one.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        let Self { sent, answered, exactly_once, duplicated, altered, missing, resent, surplus, .. } = other;
        let Self { out_of_order, cut, cut_arrived, left_out, unknown, altered_arrivals, .. } = other;
        for (sum, number) in [
            (&mut self.sent, sent),
            (&mut self.answered, answered),
            (&mut self.exactly_once, exactly_once),
            (&mut self.duplicated, duplicated),
            (&mut self.altered, altered),
            (&mut self.missing, missing),
            (&mut self.resent, resent),
            (&mut self.surplus, surplus),
            (&mut self.out_of_order, out_of_order),
            (&mut self.cut, cut),
            (&mut self.cut_arrived, cut_arrived),
            (&mut self.left_out, left_out),
            (&mut self.unknown, unknown),
            (&mut self.altered_arrivals, altered_arrivals),
            (&mut self.connections_with_missing, other.connections_with_missing),
        ] {
            *sum += number;
        }
        self.first_missing.extend(other.first_missing);
        self.first_missing.truncate(Missing::KEPT);
        self.first_wrong.extend(other.first_wrong);
        self.first_wrong.truncate(Missing::KEPT);
        self
    }

    /// Nothing arrived that should not have: nothing twice without need, changed, out of order or made up.
    pub fn is_clean(&self) -> bool {
        self.surplus == 0 && self.altered_arrivals == 0 && self.out_of_order == 0 && self.unknown == 0
    }
}

/// Compares what users sent with what the processes of one server received.
pub fn compare(users: &[UsersRecord], servers: &[ServerRecord]) -> Tally {
    compare_if(users, servers, |_, _| true)
}

/// As [`compare`], for the requests that `counts` says yes to: those begun after a capture started, say.
pub fn compare_if(
    users: &[UsersRecord],
    servers: &[ServerRecord],
    counts: impl Fn(&UserRequest, &UserConnection) -> bool,
) -> Tally {
    let mut tally =
        Tally { altered_arrivals: servers.iter().map(|server| server.altered).sum(), ..Tally::default() };
    let fates = tally.follow_arrivals(users, servers);
    let mut lossy_connections = HashSet::new();
    for record in users {
        for request in &record.requests {
            let connection = &record.connections[request.connection as usize];
            let fate = fates.get(&request.id).copied().unwrap_or_default();
            if !counts(request, connection) {
                tally.left_out += 1;
            } else if request.outcome == Outcome::Cut || !request.written {
                tally.cut += 1;
                tally.cut_arrived += u64::from(fate.is_exact);
            } else {
                tally.place(request, connection, fate);
                if !fate.is_exact && !fate.is_altered {
                    lossy_connections.insert(request.id.connection_key());
                }
            }
        }
    }
    tally.connections_with_missing = lossy_connections.len() as u64;
    tally
}

/// What became of one request at the target.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    is_exact: bool,
    is_altered: bool,
    is_late: bool,
    surplus: u32,
    /// An answer was given, or may still come, on the connection of an earlier arrival until this time.
    settled_until: u64,
}

impl Tally {
    /// Goes through all arrivals in the order of time.
    fn follow_arrivals(
        &mut self,
        users: &[UsersRecord],
        servers: &[ServerRecord],
    ) -> HashMap<RequestId, Fate> {
        let begun = users.iter().flat_map(|record| &record.requests);
        let mut fates: HashMap<RequestId, Fate> =
            begun.map(|request| (request.id, Fate::default())).collect();
        let mut arrivals: Vec<(&ServerRecord, &Arrival)> = servers
            .iter()
            .flat_map(|server| server.arrivals.iter().map(move |arrival| (server, arrival)))
            .collect();
        // Stable: a process's own order holds between arrivals of the same microsecond.
        arrivals.sort_by_key(|(_, arrival)| arrival.at);
        let mut furthest: HashMap<u64, u32> = HashMap::new();
        for (server, arrival) in arrivals {
            let Some(fate) = fates.get_mut(&arrival.id) else {
                self.unknown += 1;
                continue;
            };
            if !arrival.exact {
                fate.is_altered = true;
                continue;
            }
            if fate.is_exact && arrival.at < fate.settled_until {
                self.surplus += 1;
                fate.surplus += 1;
            } else if fate.is_exact {
                self.resent += 1;
            } else {
                let furthest = furthest.entry(arrival.id.connection_key()).or_default();
                fate.is_late = arrival.id.request() < *furthest;
                self.out_of_order += u64::from(fate.is_late);
                *furthest = arrival.id.request().max(*furthest);
            }
            fate.is_exact = true;
            let ended_at = server.connections.get(arrival.connection as usize).map(|row| row.ended_at);
            let until = if arrival.answered { u64::MAX } else { ended_at.unwrap_or(u64::MAX) };
            fate.settled_until = fate.settled_until.max(until);
        }
        fates
    }

    /// Counts a request that its user sent.
    fn place(&mut self, request: &UserRequest, connection: &UserConnection, fate: Fate) {
        let answered = matches!(request.outcome, Outcome::Answered { .. });
        self.sent += 1;
        self.answered += u64::from(answered);
        match fate {
            Fate { is_exact: true, surplus: 0, .. } => self.exactly_once += 1,
            Fate { is_exact: true, .. } => self.duplicated += 1,
            Fate { is_altered: true, .. } => self.altered += 1,
            Fate { .. } => {
                self.missing += 1;
                if self.first_missing.len() < Missing::KEPT {
                    let (id, sent_at) = (request.id, request.sent_at);
                    let UserConnection { source, target, .. } = *connection;
                    self.first_missing.push(Missing { id, source, target, sent_at, answered });
                }
            }
        }
        let is_wrong = fate.surplus > 0 || fate.is_late || (fate.is_altered && !fate.is_exact);
        if is_wrong && self.first_wrong.len() < Missing::KEPT {
            self.first_wrong.push(request.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::latency::Latency;
    use super::super::plan::UsersPlan;
    use super::super::server::{ServerConnection, ServerConnectionEnd};
    use super::super::users::UserConnectionEnd;
    use super::*;

    fn id(request: u32) -> RequestId {
        RequestId::new(0, 0, request)
    }

    /// One user with one connection of `count` answered requests.
    fn users(count: u32) -> UsersRecord {
        let source = "10.0.0.1:5555".parse().unwrap();
        let target = "10.0.0.2:80".parse().unwrap();
        let request = |request| UserRequest {
            id: id(request),
            connection: 0,
            sent_at: request.into(),
            bytes: 100,
            written: true,
            outcome: Outcome::Answered { after_us: 5 },
        };
        let connection = UserConnection {
            user: 0,
            ordinal: 0,
            source,
            target,
            opened_at: 0,
            ended_at: 99,
            requests: count,
            end: UserConnectionEnd::Planned,
        };
        UsersRecord {
            plan: UsersPlan::default(),
            started_at: 0,
            ended_at: 99,
            requests: (0..count).map(request).collect(),
            connections: vec![connection],
            latency: Latency::default(),
            peak_open: 1,
            port_waits: 0,
            file_waits: 0,
            unstarted: 0,
            cpu_us: 0,
        }
    }

    fn arrival(request: u32, connection: u32, at: u64) -> Arrival {
        Arrival { id: id(request), connection, position: 0, at, exact: true, answered: true }
    }

    /// A server on which connection *n* ended at time 10 *n* + 10.
    fn server(arrivals: &[Arrival]) -> ServerRecord {
        let connection = |row: u64| ServerConnection {
            peer: "10.0.0.1:5555".parse().unwrap(),
            opened_at: 0,
            ended_at: 10 * row + 10,
            requests: 0,
            discarded: 0,
            end: ServerConnectionEnd::Reset,
        };
        ServerRecord {
            arrivals: arrivals.to_vec(),
            connections: (0..3).map(connection).collect(),
            ..ServerRecord::default()
        }
    }

    #[test]
    fn a_missing_request_is_named_with_its_source() {
        let tally = compare(&[users(3)], &[server(&[arrival(0, 0, 1), arrival(2, 0, 2)])]);
        assert_eq!((tally.sent, tally.exactly_once, tally.missing), (3, 2, 1));
        assert_eq!((tally.first_missing[0].id, tally.connections_with_missing), (id(1), 1));
        assert_eq!(tally.first_missing[0].source.to_string(), "10.0.0.1:5555");
        assert!((tally.fraction() - 2.0 / 3.0).abs() < 1e-9 && tally.is_clean());
    }

    #[test]
    fn a_repetition_is_excused_by_an_unanswered_end_only() {
        let unanswered = Arrival { answered: false, ..arrival(0, 0, 1) };
        let excused = compare(&[users(1)], &[server(&[unanswered, arrival(0, 1, 12)])]);
        assert_eq!((excused.exactly_once, excused.resent, excused.surplus), (1, 1, 0));
        assert!(excused.is_clean());
        let too_early = compare(&[users(1)], &[server(&[unanswered, arrival(0, 1, 9)])]);
        assert_eq!((too_early.duplicated, too_early.surplus), (1, 1));
        let answered = compare(&[users(1)], &[server(&[arrival(0, 0, 1), arrival(0, 1, 12)])]);
        assert_eq!((answered.duplicated, answered.surplus, answered.fraction()), (1, 1, 1.0));
        assert!(!answered.is_clean() && !too_early.is_clean());
    }

    #[test]
    fn order_holds_across_the_processes_of_a_server() {
        let first = server(&[arrival(0, 0, 1), arrival(2, 0, 7)]);
        let second = server(&[arrival(1, 0, 5)]);
        assert_eq!(compare(&[users(3)], &[first.clone(), second]).out_of_order, 0);
        let late = server(&[arrival(1, 0, 8)]);
        let tally = compare(&[users(3)], &[first, late]);
        assert_eq!((tally.out_of_order, tally.exactly_once), (1, 3));
        assert_eq!(tally.first_wrong, [id(1)]);
    }

    #[test]
    fn altered_and_foreign_arrivals_are_not_taken_for_good_ones() {
        let altered = Arrival { exact: false, ..arrival(0, 0, 1) };
        let foreign = Arrival { id: RequestId::new(9, 9, 9), ..arrival(0, 0, 2) };
        let tally = compare(&[users(1)], &[ServerRecord { altered: 1, ..server(&[altered, foreign]) }]);
        assert_eq!((tally.altered, tally.exactly_once, tally.unknown, tally.altered_arrivals), (1, 0, 1, 1));
        assert_eq!(tally.fraction(), 0.0);
    }

    #[test]
    fn only_requests_that_were_really_sent_count() {
        let mut record = users(4);
        record.requests[0].written = false;
        record.requests[1].outcome = Outcome::Cut;
        let arrivals = [arrival(1, 0, 1), arrival(2, 0, 2)];
        let tally = compare_if(&[record], &[server(&arrivals)], |request, _| request.sent_at < 3);
        assert_eq!((tally.sent, tally.cut, tally.cut_arrived, tally.left_out), (1, 2, 1, 1));
        assert_eq!(tally.fraction(), 1.0);
    }

    #[test]
    fn the_text_names_what_is_wrong() {
        let text = compare(&[users(2)], &[server(&[arrival(0, 0, 1), arrival(0, 0, 2)])]).to_string();
        assert!(text.contains("missing 0000000000000001: 10.0.0.1:5555 -> 10.0.0.2:80"), "{text}");
        assert!(text.contains("repeated without need") && text.contains("0.500000"), "{text}");
    }
}
