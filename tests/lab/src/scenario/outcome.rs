//! What came of a scenario: the account, the figures beside it, and whether it passed.

use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mysql::accounting::Executed;
use crate::scenario::Scenario;
use crate::scenario::control::Answer;
use crate::traffic::{Latency, ServerRecord, Tally, UsersRecord};
use crate::world::hop::Hop;
use crate::world::procfs::Usage;
use crate::world::wire::Crossed;

/// What came of playing a scenario once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// Whose programs were played with.
    pub peers: String,
    /// The fraction that was required.
    pub must: f64,
    /// Which requests reached the target, and how.
    pub tally: Tally,
    /// What the users did.
    pub users: UsersSummary,
    /// What the online server received.
    pub online: ServerSummary,
    /// What the target server received.
    pub target: ServerSummary,
    /// What databases executed, command by command; empty where the servers are none.
    pub executed: Vec<Executed>,
    /// What tcpcopy used while users were at work and the replay drained; several processes add up.
    pub tcpcopy: Usage,
    /// The same for intercept.
    pub intercept: Usage,
    /// tcpcopy's own reports, one per process.
    pub reports: Vec<Value>,
    /// What tcpcopy said of its modules while it ran, after the replay.
    pub views: Vec<Answer>,
    /// What impaired hops did with the frames, forward and backward.
    pub wires: Vec<(Hop, [Crossed; 2])>,
    /// Every reason why the scenario did not pass; empty when it did.
    pub complaints: Vec<String>,
    /// Time to bring the hosts and programs up.
    pub bring_up: Duration,
    /// Time the users were at work.
    pub at_work: Duration,
    /// Time from the users' end to the replay's end.
    pub drain: Duration,
}

impl Outcome {
    /// Whether everything was as it must be.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.complaints.is_empty()
    }

    /// A remark for people, when the machine could not make the load that the scenario wants.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let UsersSummary { requests, unmade, .. } = self.users;
        (unmade * 20 > requests)
            .then(|| format!("this machine was too busy for the whole load: {unmade} requests were not made"))
    }

    /// What a program used for 1000 of the users' requests, in milliseconds of processor time.
    #[must_use]
    pub fn cpu_per_1000(&self, usage: Usage) -> f64 {
        usage.cpu.as_secs_f64() * 1e6 / self.users.requests.max(1) as f64
    }
}

/// What all users of a scenario did.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct UsersSummary {
    /// Requests begun.
    pub requests: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests that were due and never begun, because this machine could not make the load.
    pub unmade: u64,
    /// Requests and connections that failed through no fault of the plan.
    pub failed: u64,
    /// Connections begun.
    pub connections: u64,
    /// Most connections open at once.
    pub peak_open: u64,
    /// How long answers took.
    pub latency: Latency,
    /// Processor time of the users' processes.
    pub cpu: Duration,
}

/// What a server received.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ServerSummary {
    /// Whole requests.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Most connections open at once.
    pub peak_open: u64,
    /// From the first byte a user wrote to the last byte arriving here. Nothing for nginx, whose clock is another.
    pub lag: Latency,
    /// From the first request's arrival to the last one's; nothing for servers that are known from their logs.
    pub took: Duration,
}

/// Sums up the users' records.
pub(crate) fn summarize_users(records: &[UsersRecord]) -> UsersSummary {
    use crate::traffic::{Outcome as Fate, UserConnectionEnd};
    let mut took = Vec::new();
    let mut summary = UsersSummary::default();
    for record in records {
        summary.requests += record.requests.len() as u64;
        summary.connections += record.connections.len() as u64;
        summary.peak_open += u64::from(record.peak_open);
        summary.unmade += record.unstarted;
        summary.cpu += Duration::from_micros(record.cpu_us);
        for request in &record.requests {
            match request.outcome {
                Fate::Answered { after_us } => took.push(after_us),
                Fate::Failed(_) => summary.failed += 1,
                Fate::Cut => {}
            }
        }
        let unused = record.connections.iter().filter(|connection| connection.requests == 0);
        let failed = unused.filter(|connection| matches!(connection.end, UserConnectionEnd::Failed(_)));
        summary.failed += failed.count() as u64;
    }
    summary.answered = took.len() as u64;
    summary.latency = Latency::of(&mut took);
    summary
}

/// Sums up a server's records; `sent_at` tells when a request was sent.
pub(crate) fn summarize_server(
    records: &[ServerRecord],
    sent_at: &std::collections::HashMap<crate::traffic::RequestId, u64>,
) -> ServerSummary {
    let mut lags = Vec::new();
    let (mut first, mut last) = (u64::MAX, 0);
    let mut summary = ServerSummary::default();
    for record in records {
        summary.requests += record.arrivals.len() as u64;
        summary.connections += record.connections.len() as u64;
        summary.peak_open += u64::from(record.peak_open);
        // A record made from a log has no start: its times are of another clock.
        if record.started_at == 0 {
            continue;
        }
        for arrival in &record.arrivals {
            (first, last) = (first.min(arrival.at), last.max(arrival.at));
            if let Some(sent) = sent_at.get(&arrival.id) {
                lags.push(u32::try_from(arrival.at.saturating_sub(*sent)).unwrap_or(u32::MAX));
            }
        }
    }
    summary.lag = Latency::of(&mut lags);
    summary.took = Duration::from_micros(last.saturating_sub(first));
    summary
}

/// Everything about the exactness of the replay that is not as it must be.
pub(crate) fn complaints_about(scenario: &Scenario, tally: &Tally, users: &UsersSummary) -> Vec<String> {
    let mut complaints = Vec::new();
    if tally.sent == 0 {
        complaints.push("no request counted: the scenario shows nothing".to_owned());
    }
    if tally.fraction() < scenario.must {
        let Tally { sent, missing, altered, .. } = tally;
        complaints.push(format!(
            "{:.5} of the requests reached the target instead of {}: of {sent}, {missing} are missing and {altered} \
             altered",
            tally.fraction(),
            scenario.must
        ));
    }
    for (count, what) in [
        (tally.surplus, "arrived again without need"),
        (tally.altered_arrivals, "arrived altered"),
        (tally.out_of_order, "arrived out of order"),
        (tally.unknown, "arrived that nobody sent"),
    ] {
        if count > 0 {
            complaints.push(format!("{count} requests {what}"));
        }
    }
    if users.failed > 0 {
        complaints.push(format!("the users themselves had {} failures with the online server", users.failed));
    }
    complaints
}

/// How one of the programs under test ended.
#[derive(Debug)]
pub(crate) struct PeerEnd {
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    /// Before it was told to.
    pub(crate) too_early: bool,
}

/// Programs must live until they are told to end, and then end well.
pub(crate) fn complaints_about_ends<'e>(ends: impl Iterator<Item = &'e PeerEnd>) -> Vec<String> {
    let bad = ends.filter(|end| end.too_early || !end.status.success());
    bad.map(|PeerEnd { name, status, too_early }| {
        let when = if *too_early { "before it was told to" } else { "after SIGTERM" };
        format!("{name} ended {when}: {status}")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::UsersPlan;

    fn complaints(tally: &Tally, failed: u64) -> Vec<String> {
        let scenario = Scenario { must: 0.99, ..Scenario::new("x", "x", UsersPlan::default()) };
        complaints_about(&scenario, tally, &UsersSummary { failed, ..UsersSummary::default() })
    }

    #[test]
    fn a_clean_account_has_no_complaints() {
        let tally = Tally { sent: 100, exactly_once: 99, missing: 1, ..Tally::default() };
        assert_eq!(complaints(&tally, 0), Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let tally = Tally {
            sent: 100,
            exactly_once: 98,
            missing: 2,
            surplus: 1,
            out_of_order: 1,
            ..Tally::default()
        };
        assert_eq!(complaints(&tally, 3).len(), 4);
    }

    #[test]
    fn a_scenario_in_which_nothing_counts_does_not_pass() {
        assert_eq!(complaints(&Tally::default(), 0).len(), 1);
    }
}
