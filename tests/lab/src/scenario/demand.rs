//! What a scenario demands besides exactness: of tcpcopy's report on its modules (`docs/report.md`), and of the target's
//! record.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::traffic::Tally;

/// A feed without payload brings at most this part of what is answered, if answers are of ten kilobytes.
const FEED_PART: u64 = 10;

/// One demand. Reports of several processes are taken together. Modules go by the names of their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// So many sessions ended by a fault of their module, and they are what the target missed of the
    /// [spoilers](crate::scenario::Scenario::spoilers).
    Faults(u64),
    /// So many sessions were given up by their module, and they are what the target missed of the spoilers.
    GaveUp(u64),
    /// Every session was served by a module, and each is counted under the one it began with.
    AllServed,
    /// These modules served, in this order, each at least one session, and no other did.
    Served(&'static [&'static str]),
    /// This one was taken back.
    RolledBack(&'static str),
    /// Running sessions moved to this one.
    MovedTo(&'static str),
    /// Slow calls of this one are told.
    SlowCalls(&'static str),
    /// Of all exchanges so many in a hundred were compared, at least.
    Compared(u64),
    /// Answers were compared, and no outcome differed.
    SameOutcomes,
    /// Answers were compared, and their sizes differed.
    OtherSizes,
    /// Answers of the target were long, yet no payload came over the feed, and no call was made for a packet.
    NoPayload,
    /// The target got each request after its answer to the one before on the same connection.
    OneAtATime,
    /// Statements that the target is not to execute were left out, and each is counted as left out to be read only.
    HeldBack,
    /// The module had to log in again, or in the middle of a session, and to restore what the session had been.
    Restored,
    /// Fewer copies than wanted found a place to speak from: the reports say how many there were, and the target saw so
    /// many connections.
    FewerCopies,
    /// Every datagram that was sent is in the reports, and every copy that the target received.
    DatagramsCounted,
}

/// What demands are judged by.
#[derive(Debug)]
pub(crate) struct Evidence<'e> {
    pub(crate) reports: &'e [Value],
    /// What became of the requests of the spoilers.
    pub(crate) spoiled: &'e Tally,
    /// Bytes that came to tcpcopy's host over the feed hop.
    pub(crate) fed: u64,
    /// Requests the target got before it had answered the one before.
    pub(crate) overlapping: u64,
    /// Statements a database was sent that are not to reach the target.
    pub(crate) held_back: u64,
    /// Commands of modules' own that restored sessions of a database, logins among them.
    pub(crate) restoring: u64,
    /// Connections of the users to the online server, and those the target accepted.
    pub(crate) connections: (u64, u64),
    /// Requests, or datagrams, that users made, and that the target got.
    pub(crate) requests: (u64, u64),
}

/// What reports say of modules, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Report {
    capture: Capture,
    sessions: Sessions,
    modules: Modules,
    comparison: Vec<Comparison>,
    feed: Feed,
    datagrams: Option<Datagrams>,
}

#[derive(Debug, Deserialize)]
struct Capture {
    frames: u64,
    unusable: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Datagrams {
    datagrams_captured: u64,
    datagrams_copied: u64,
    uncopied: BTreeMap<String, u64>,
    copies: u64,
    fragments_captured: u64,
    fragments_joined: u64,
    datagrams_joined: u64,
}

#[derive(Debug, Deserialize)]
struct Sessions {
    sessions_opened: u64,
    copies_wanted: u16,
    copies_reached: f64,
}

#[derive(Debug, Deserialize)]
struct Modules {
    generations: Vec<Generation>,
    discards: Vec<Discard>,
}

#[derive(Debug, Deserialize)]
struct Discard {
    reason: String,
    times: u64,
}

#[derive(Debug, Deserialize)]
struct Generation {
    file: String,
    state: String,
    sessions_opened: u64,
    sessions_moved_in: u64,
    gave_up: u64,
    faults: u64,
    calls: u64,
    slow_calls: u64,
}

#[derive(Debug, Deserialize)]
struct Comparison {
    labels: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    exchanges: u64,
    compared: u64,
    outcome_differs: u64,
    size_differs: u64,
}

#[derive(Debug, Deserialize)]
struct Feed {
    /// Payload the targets sent.
    response_bytes: u64,
}

/// Every demand that is not met, and why.
pub(crate) fn complaints(demands: &[Demand], evidence: &Evidence<'_>) -> Vec<String> {
    let parsed: Result<Vec<Report>, _> = evidence.reports.iter().map(Report::deserialize).collect();
    match parsed {
        _ if demands.is_empty() => Vec::new(),
        Ok(reports) => demands.iter().filter_map(|demand| complaint(demand, &reports, evidence)).collect(),
        Err(error) => vec![format!("the report cannot be used: {error}")],
    }
}

fn complaint(demand: &Demand, reports: &[Report], evidence: &Evidence<'_>) -> Option<String> {
    let generations = || reports.iter().flat_map(|report| &report.modules.generations);
    let of = |file: &str| generations().find(|generation| generation.is_made_of(file));
    let rows =
        || reports.iter().flat_map(|report| &report.comparison).flat_map(|comparison| &comparison.labels);
    let compared: u64 = rows().map(|row| row.compared).sum();
    match *demand {
        Demand::Faults(expected) => {
            let faults = generations().map(|generation| generation.faults).sum();
            spoiled("break", expected, faults, evidence.spoiled.missing)
        }
        Demand::GaveUp(expected) => {
            let gave_up = generations().map(|generation| generation.gave_up).sum();
            spoiled("be given up", expected, gave_up, evidence.spoiled.missing)
        }
        Demand::AllServed => {
            let opened: u64 = reports.iter().map(|report| report.sessions.sessions_opened).sum();
            let served: u64 = generations().map(|generation| generation.sessions_opened).sum();
            (opened != served)
                .then(|| format!("{opened} sessions were opened, {served} are counted under a module"))
        }
        Demand::Served(files) => {
            let served = generations().filter(|generation| generation.has_served());
            let served: Vec<&str> = served.map(Generation::file_name).collect();
            (served != files).then(|| format!("sessions were served by {served:?} instead of {files:?}"))
        }
        Demand::RolledBack(file) => {
            let state = of(file).map(|generation| generation.state.as_str());
            (state != Some("rolled_back")).then(|| format!("{file} had to be rolled back: it is {state:?}"))
        }
        Demand::MovedTo(file) => {
            let moved = of(file).is_some_and(|generation| generation.sessions_moved_in > 0);
            (!moved).then(|| format!("no session moved to {file}"))
        }
        Demand::SlowCalls(file) => {
            let told = of(file).is_some_and(|generation| generation.slow_calls > 0);
            (!told).then(|| format!("the report tells no slow call of {file}"))
        }
        Demand::Compared(percentage) => {
            let exchanges: u64 = rows().map(|row| row.exchanges).sum();
            (100 * compared < percentage * exchanges)
                .then(|| format!("only {compared} of {exchanges} exchanges were compared"))
        }
        Demand::SameOutcomes => {
            let differing: u64 = rows().map(|row| row.outcome_differs).sum();
            (compared == 0 || differing > 0)
                .then(|| format!("{differing} of {compared} compared answers had another outcome"))
        }
        Demand::OtherSizes => {
            let differing: u64 = rows().map(|row| row.size_differs).sum();
            (differing == 0).then(|| format!("none of {compared} compared answers had another size"))
        }
        Demand::NoPayload => no_payload(reports, evidence.fed),
        Demand::OneAtATime => {
            let overlapping = evidence.overlapping;
            (overlapping > 0).then(|| {
                format!("the target got {overlapping} requests before it had answered the ones before")
            })
        }
        Demand::HeldBack => held_back(reports, evidence.held_back),
        Demand::Restored => (evidence.restoring == 0)
            .then(|| "no session had to be restored: the scenario shows nothing".to_owned()),
        Demand::FewerCopies => fewer_copies(reports, evidence.connections),
        Demand::DatagramsCounted => datagrams_counted(reports, evidence.requests),
    }
}

fn datagrams_counted(reports: &[Report], (sent, received): (u64, u64)) -> Option<String> {
    let datagrams = || reports.iter().filter_map(|report| Some((report, report.datagrams.as_ref()?)));
    let is_right = |(report, of): (&Report, &Datagrams)| {
        let frames = of.datagrams_captured - of.datagrams_joined + of.fragments_captured;
        of.datagrams_captured == sent
            && of.datagrams_captured == of.datagrams_copied + of.uncopied.values().sum::<u64>()
            && of.fragments_captured == of.fragments_joined
            && report.capture.frames == frames + report.capture.unusable.values().sum::<u64>()
    };
    let copies: u64 = datagrams().map(|(_, of)| of.copies).sum();
    let is_right = datagrams().count() > 0 && datagrams().all(is_right) && copies == received;
    (!is_right).then(|| {
        let told: Vec<&Datagrams> = datagrams().map(|(_, of)| of).collect();
        format!("{sent} datagrams became {received} at the target, but the reports say {told:?}")
    })
}

fn fewer_copies(reports: &[Report], (users, target): (u64, u64)) -> Option<String> {
    let wanted: u16 = reports.iter().map(|report| report.sessions.copies_wanted).sum();
    let reached: f64 = reports.iter().map(|report| report.sessions.copies_reached).sum();
    let seen = target as f64 / users as f64;
    (reached >= f64::from(wanted) || (reached - seen).abs() > 0.001).then(|| {
        format!(
            "the reports say {reached} of {wanted} copies, and {users} connections became {target} at the target"
        )
    })
}

/// What a module does not survive, or does not want, is counted by the report and missing at the target.
fn spoiled(what: &str, expected: u64, counted: u64, missed: u64) -> Option<String> {
    (counted != expected || missed != expected).then(|| {
        format!("{expected} sessions had to {what}: the report counts {counted}, the target misses {missed}")
    })
}

fn held_back(reports: &[Report], expected: u64) -> Option<String> {
    let discards = reports.iter().flat_map(|report| &report.modules.discards);
    let read_only = discards.filter(|discard| discard.reason.starts_with("read only"));
    let counted: u64 = read_only.map(|discard| discard.times).sum();
    (expected == 0 || counted != expected)
        .then(|| format!("{expected} statements had to be held back: the report counts {counted}"))
}

/// The feed is thin beside what was answered, and the call that opens a session is the only one.
fn no_payload(reports: &[Report], fed: u64) -> Option<String> {
    let answered: u64 = reports.iter().map(|report| report.feed.response_bytes).sum();
    let generations = || reports.iter().flat_map(|report| &report.modules.generations);
    let calls: u64 = generations().map(|generation| generation.calls).sum();
    let sessions: u64 = generations().map(|generation| generation.sessions_opened).sum();
    (fed > answered / FEED_PART || calls > sessions).then(|| {
        format!(
            "the feed brought {fed} bytes for {answered} bytes of answers, and {sessions} sessions cost {calls} calls"
        )
    })
}

impl Generation {
    fn file_name(&self) -> &str {
        Path::new(&self.file).file_name().and_then(|name| name.to_str()).unwrap_or(&self.file)
    }

    fn is_made_of(&self, file: &str) -> bool {
        self.file_name() == file
    }

    fn has_served(&self) -> bool {
        self.sessions_opened + self.sessions_moved_in > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn generation(file: &str, state: &str, opened: u64, faults: u64) -> Value {
        json!({
            "file": format!("/run/lab/{file}"), "state": state, "sessions_opened": opened, "sessions_moved_in": 0,
            "gave_up": faults, "faults": faults, "calls": opened, "slow_calls": 0,
        })
    }

    fn report() -> Value {
        json!({
            "capture": { "frames": 38, "unusable": { "not_ip": 3 } },
            "sessions": { "sessions_opened": 9, "copies_wanted": 5, "copies_reached": 4.5 },
            "modules": { "generations": [
                generation("a.so", "retired", 5, 0),
                generation("b.so", "rolled_back", 4, 3),
                generation("c.so", "current", 0, 0),
            ], "discards": [
                { "reason": "read only: it writes", "times": 4 },
                { "reason": "read only: it locks", "times": 3 },
                { "reason": "the filter", "times": 1 },
            ] },
            "comparison": [{ "labels": [{ "exchanges": 10, "compared": 9, "outcome_differs": 0, "size_differs": 2 }] }],
            "feed": { "response_bytes": 2000 },
            "datagrams": {
                "datagrams_captured": 30, "datagrams_copied": 20, "uncopied": { "not_sampled": 10 }, "copies": 60,
                "fragments_captured": 7, "fragments_joined": 7, "datagrams_joined": 2,
            },
        })
    }

    fn with(path: &str, value: u64) -> Value {
        let mut report = report();
        *report.pointer_mut(path).unwrap() = json!(value);
        report
    }

    fn is_met(demand: Demand, report: &Value) -> bool {
        let spoiled = Tally { missing: 3, ..Tally::default() };
        let reports = std::slice::from_ref(report);
        let evidence = Evidence {
            reports,
            spoiled: &spoiled,
            fed: 150,
            overlapping: 0,
            held_back: 7,
            restoring: 1,
            connections: (2, 9),
            requests: (30, 60),
        };
        complaints(&[demand], &evidence).is_empty()
    }

    #[test]
    fn a_report_as_demanded_is_accepted() {
        for demand in [
            Demand::Faults(3),
            Demand::GaveUp(3),
            Demand::AllServed,
            Demand::Served(&["a.so", "b.so"]),
            Demand::RolledBack("b.so"),
            Demand::Compared(90),
            Demand::SameOutcomes,
            Demand::OtherSizes,
            Demand::NoPayload,
            Demand::OneAtATime,
            Demand::HeldBack,
            Demand::Restored,
            Demand::FewerCopies,
            Demand::DatagramsCounted,
        ] {
            assert!(is_met(demand, &report()), "{demand:?}");
        }
        assert!(is_met(Demand::MovedTo("c.so"), &with("/modules/generations/2/sessions_moved_in", 1)));
        assert!(is_met(Demand::SlowCalls("a.so"), &with("/modules/generations/0/slow_calls", 1)));
    }

    #[test]
    fn every_demand_can_fail() {
        for (demand, report) in [
            (Demand::Faults(3), with("/modules/generations/0/faults", 1)),
            (Demand::Faults(2), with("/modules/generations/1/faults", 2)),
            (Demand::GaveUp(3), with("/modules/generations/0/gave_up", 1)),
            (Demand::Served(&["a.so", "b.so"]), with("/modules/generations/2/sessions_opened", 1)),
            (Demand::AllServed, with("/sessions/sessions_opened", 10)),
            (Demand::RolledBack("a.so"), report()),
            (Demand::MovedTo("c.so"), report()),
            (Demand::SlowCalls("a.so"), report()),
            (Demand::SameOutcomes, with("/comparison/0/labels/0/outcome_differs", 1)),
            (Demand::SameOutcomes, with("/comparison/0/labels/0/compared", 0)),
            (Demand::Compared(90), with("/comparison/0/labels/0/compared", 8)),
            (Demand::OtherSizes, with("/comparison/0/labels/0/size_differs", 0)),
            (Demand::NoPayload, with("/feed/response_bytes", 1000)),
            (Demand::NoPayload, with("/modules/generations/0/calls", 100)),
            (Demand::NoPayload, json!({})),
            (Demand::HeldBack, with("/modules/discards/0/times", 3)),
            (Demand::DatagramsCounted, with("/datagrams/datagrams_captured", 31)),
            (Demand::DatagramsCounted, with("/datagrams/copies", 59)),
            (Demand::DatagramsCounted, with("/datagrams/uncopied/not_sampled", 9)),
            (Demand::DatagramsCounted, with("/datagrams/fragments_joined", 6)),
            (Demand::DatagramsCounted, with("/capture/unusable/not_ip", 2)),
            (Demand::FewerCopies, with("/sessions/copies_wanted", 4)),
            (Demand::FewerCopies, with("/sessions/copies_reached", 4)),
        ] {
            assert!(!is_met(demand, &report), "{demand:?}");
        }
    }

    #[test]
    fn what_only_servers_tell_is_demanded_too() {
        let reports = [report()];
        let evidence = Evidence {
            reports: &reports,
            spoiled: &Tally::default(),
            fed: 0,
            overlapping: 2,
            held_back: 0,
            restoring: 0,
            connections: (0, 0),
            requests: (0, 0),
        };
        assert_eq!(complaints(&[Demand::OneAtATime, Demand::HeldBack, Demand::Restored], &evidence).len(), 3);
    }
}
