//! The report for machines. Every field is described in `docs/report.md`; names and meanings stay.

use serde::Serialize;
use tcpcopy_cli::{CaptureReport, Named, Program, ReportHead};
use tcpcopy_core::engine::{Ended, Ignored, Pending, Statistics, Verdict};
use tcpcopy_core::runtime::{
    Accounts, ComparisonTotals, DiscardTotals, FeedTotals, GenerationTotals, ModulesTotals, ReplayEnd,
    ReplaySnapshot, TransmitTotals,
};

use crate::report::Subject;
use crate::report::datagrams::DatagramsReport;
use crate::report::recording::RecordingReport;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    #[serde(flatten)]
    head: ReportHead,
    devices: &'a [String],
    mappings: &'a [String],
    intercepts: &'a [String],
    capture: CaptureReport,
    recording: Option<RecordingReport<'a>>,
    datagrams: Option<DatagramsReport>,
    sessions: Sessions,
    turns: Turns,
    bytes: Bytes,
    modules: Modules<'a>,
    comparison: &'a [ComparisonTotals],
    transmit: Transmit<'a>,
    feed: Feed,
}

#[derive(Debug, Serialize)]
struct Sessions {
    sessions_opened: u64,
    sessions_joined: u64,
    sessions_without_source: u64,
    copies_wanted: u16,
    copies_reached: f64,
    sessions_ended: u64,
    sessions_pending: u64,
    sessions_established: u64,
    verdicts: Named<Ending>,
    reconnects: u64,
    refusals: u64,
    memory_bytes: usize,
}

#[derive(Debug, Serialize)]
struct Ending {
    sessions: u64,
    turns_lost: u64,
    bytes_lost: u64,
}

#[derive(Debug, Serialize)]
struct Turns {
    turns_captured: u64,
    turns_delivered: u64,
    turns_lost: u64,
    turns_pending: u64,
    turns_lost_to_resets: u64,
    turns_repeated: u64,
    turns_not_awaited: u64,
}

#[derive(Debug, Serialize)]
struct Bytes {
    bytes_captured: u64,
    bytes_delivered: u64,
    bytes_lost: u64,
    bytes_pending: u64,
    bytes_lost_to_resets: u64,
    bytes_repeated: u64,
    bytes_before_first_turn: u64,
    bytes_after_close: u64,
    bytes_never_captured: u64,
    bytes_discarded: u64,
    bytes_inserted: u64,
    segments_captured: u64,
    segments_online: u64,
    segments_ignored: Named<u64>,
}

#[derive(Debug, Serialize)]
struct Modules<'a> {
    generations: &'a [GenerationTotals],
    discards: &'a [DiscardTotals],
    exchanges_dropped: u64,
}

#[derive(Debug, Serialize)]
struct Transmit<'a> {
    packets: u64,
    packet_bytes: u64,
    failed: Named<&'a u64>,
    segments: u64,
    payload_bytes: u64,
    retransmissions: u64,
    timeouts: u64,
    fast_retransmits: u64,
    probes: u64,
}

#[derive(Debug, Serialize)]
struct Feed {
    connections_wanted: usize,
    connections_up: usize,
    connects: u64,
    losses: u64,
    responses_received: u64,
    responses_overflowed: u64,
    responses_unclaimed: u64,
    intercept_kernel_dropped: u64,
    responses_used: u64,
    responses_stale: u64,
    response_bytes: u64,
}

impl<'a> Report<'a> {
    /// The report about a run.
    pub(crate) fn new(program: Program, subject: &'a Subject, end: &'a ReplayEnd) -> Self {
        // Taken apart, so that a new part of a snapshot cannot be forgotten here.
        let ReplayEnd { snapshot, comparisons } = end;
        let ReplaySnapshot {
            at,
            running_for,
            capture,
            recording,
            copies,
            engine,
            datagrams,
            pending,
            modules,
            transmit,
            feed,
        } = snapshot;
        Self {
            head: ReportHead::new(program, *at, *running_for),
            devices: &subject.devices,
            mappings: &subject.mappings,
            intercepts: &subject.intercepts,
            capture: capture.into(),
            recording: recording.as_ref().map(RecordingReport::new),
            datagrams: datagrams.as_ref().map(|datagrams| DatagramsReport::new(datagrams, *copies)),
            sessions: Sessions::new(engine, pending, *copies),
            turns: Turns::new(engine, pending),
            bytes: Bytes::new(engine, pending),
            modules: Modules::new(modules),
            comparison: comparisons,
            transmit: Transmit::new(engine, transmit),
            feed: Feed::new(engine, feed),
        }
    }
}

impl Sessions {
    fn new(engine: &Statistics, pending: &Pending, copies: u16) -> Self {
        let endings = Verdict::ALL.iter().zip(&engine.ended).map(|(verdict, ended)| {
            let Ended { sessions, turns_lost, bytes_lost } = *ended;
            (verdict.name(), Ending { sessions, turns_lost, bytes_lost })
        });
        Self {
            sessions_opened: engine.sessions_opened,
            sessions_joined: engine.sessions_joined,
            sessions_without_source: engine.sessions_without_source,
            copies_wanted: copies,
            copies_reached: engine.copies_reached(copies),
            sessions_ended: engine.sessions_ended(),
            sessions_pending: pending.sessions,
            sessions_established: pending.established,
            verdicts: endings.collect(),
            reconnects: engine.reconnects,
            refusals: engine.refusals,
            memory_bytes: pending.memory,
        }
    }
}

impl Turns {
    fn new(engine: &Statistics, pending: &Pending) -> Self {
        let account = Accounts::of(engine, pending).turns;
        Self {
            turns_captured: account.captured,
            turns_delivered: account.delivered,
            turns_lost: account.lost,
            turns_pending: account.pending,
            turns_lost_to_resets: engine.turns_lost_to_resets,
            turns_repeated: engine.turns_repeated,
            turns_not_awaited: engine.turns_not_awaited,
        }
    }
}

impl Bytes {
    fn new(engine: &Statistics, pending: &Pending) -> Self {
        let account = Accounts::of(engine, pending).bytes;
        let names = Ignored::ALL.iter().map(|reason| reason.name());
        Self {
            bytes_captured: account.captured,
            bytes_delivered: account.delivered,
            bytes_lost: account.lost,
            bytes_pending: account.pending,
            bytes_lost_to_resets: engine.bytes_lost_to_resets,
            bytes_repeated: engine.bytes_repeated,
            bytes_before_first_turn: engine.bytes_before_first_turn,
            bytes_after_close: engine.bytes_after_close,
            bytes_never_captured: engine.bytes_never_captured,
            bytes_discarded: account.discarded,
            bytes_inserted: engine.bytes_inserted,
            segments_captured: engine.captured_segments,
            segments_online: engine.online_segments,
            segments_ignored: names.zip(engine.ignored).collect(),
        }
    }
}

impl<'a> Modules<'a> {
    fn new(modules: &'a ModulesTotals) -> Self {
        let ModulesTotals { generations, discards, exchanges_dropped } = modules;
        Self { generations, discards, exchanges_dropped: *exchanges_dropped }
    }
}

impl<'a> Transmit<'a> {
    fn new(engine: &Statistics, totals: &'a TransmitTotals) -> Self {
        let TransmitTotals { packets, bytes, failed } = totals;
        Self {
            packets: *packets,
            packet_bytes: *bytes,
            failed: failed.iter().map(|(reason, number)| (*reason, number)).collect(),
            segments: engine.segments,
            payload_bytes: engine.payload_bytes,
            retransmissions: engine.retransmissions,
            timeouts: engine.timeouts,
            fast_retransmits: engine.fast_retransmits,
            probes: engine.probes,
        }
    }
}

impl Feed {
    const fn new(engine: &Statistics, totals: &FeedTotals) -> Self {
        let FeedTotals {
            wanted,
            connected,
            connects,
            losses,
            responses,
            overflowed,
            held_expired,
            intercept_kernel_dropped,
        } = *totals;
        Self {
            connections_wanted: wanted,
            connections_up: connected,
            connects,
            losses,
            responses_received: responses,
            responses_overflowed: overflowed,
            responses_unclaimed: held_expired,
            intercept_kernel_dropped,
            responses_used: engine.responses,
            responses_stale: engine.stale_responses,
            response_bytes: engine.response_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::example;

    fn report() -> Value {
        let subject = Subject {
            devices: vec!["eth0".to_owned()],
            is_recorded: false,
            is_udp: false,
            mappings: vec!["80-10.10.3.2:8080".to_owned()],
            intercepts: vec!["10.10.3.3:36524".to_owned()],
            modules: Vec::new(),
        };
        let end = example();
        let program = Program { name: "tcpcopy", version: "0.1.0", manual: &[] };
        serde_json::to_value(Report::new(program, &subject, &end)).unwrap()
    }

    fn number(value: &Value) -> u64 {
        value.as_u64().unwrap()
    }

    #[test]
    fn the_report_is_as_documented() {
        let sessions = serde_json::json!({
            "sessions_opened": 1_204, "sessions_joined": 3, "sessions_without_source": 0,
            "copies_wanted": 1, "copies_reached": 1.0, "sessions_ended": 1_200, "sessions_pending": 4,
            "sessions_established": 4, "reconnects": 5, "refusals": 0, "memory_bytes": 4_096,
            "verdicts": {
                "complete": {"sessions": 1_180, "turns_lost": 0, "bytes_lost": 0},
                "user_reset": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "capture_ended": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "capture_gap": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "target_refused": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "target_unreachable": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "target_reset": {"sessions": 20, "turns_lost": 10, "bytes_lost": 800},
                "target_silent": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "idle": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "memory_budget": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "sources_exhausted": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "no_source_address": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "module_gave_up": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "module_fault": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
                "shutdown": {"sessions": 0, "turns_lost": 0, "bytes_lost": 0},
            },
        });
        let expected = serde_json::json!({
            "report_version": 1,
            "program": "tcpcopy",
            "version": "0.1.0",
            "started_at": "2026-11-23T02:01:17.000Z",
            "ended_at": "2026-11-23T02:13:20.000Z",
            "running_for_ms": 723_000,
            "devices": ["eth0"],
            "mappings": ["80-10.10.3.2:8080"],
            "intercepts": ["10.10.3.3:36524"],
            "capture": {
                "frames": 123_456, "kernel_received": 123_468, "kernel_dropped": 12, "interface_dropped": 0,
                "unusable": {
                    "truncated_header": 0, "not_ip": 0, "not_tcp": 0, "not_udp": 0, "fragment": 0,
                    "malformed": 0, "nested_too_deep": 0, "unsupported_link_type": 0,
                },
            },
            "recording": null,
            "datagrams": null,
            "sessions": sessions,
            "turns": {
                "turns_captured": 65_000, "turns_delivered": 64_980, "turns_lost": 13, "turns_pending": 7,
                "turns_lost_to_resets": 3, "turns_repeated": 2, "turns_not_awaited": 0,
            },
            "bytes": {
                "bytes_captured": 10_000_000, "bytes_delivered": 9_995_000, "bytes_lost": 1_000,
                "bytes_pending": 1_000, "bytes_lost_to_resets": 200, "bytes_repeated": 0,
                "bytes_before_first_turn": 0, "bytes_after_close": 0, "bytes_never_captured": 0,
                "bytes_discarded": 3_000, "bytes_inserted": 70,
                "segments_captured": 123_400, "segments_online": 400,
                "segments_ignored": {
                    "not_mapped": 0, "not_sampled": 0, "not_whole": 0, "before_first_turn": 0, "no_session": 0,
                    "truncated": 0, "duplicate": 50, "after_close": 0, "out_of_window": 0,
                },
            },
            "modules": {
                "generations": [{
                    "mapping": "80", "generation": 1, "name": "http", "version": "1.1.0", "state": "current",
                    "api": "1.0", "file": "/opt/libhttp_mod.so", "configuration": "/etc/http.toml",
                    "sessions_opened": 1_180, "sessions_live": 4, "sessions_moved_in": 0,
                    "turns_captured": 64_000, "turns_lost": 3, "gave_up": 0, "gave_up_reasons": [],
                    "faults": 0, "fault_reasons": [], "remarks": [], "calls": 1_234_567, "mean_call_ns": 850,
                    "longest_call_ns": 3_400_000, "slow_calls": 0,
                }],
                "discards": [{"reason": "read only", "times": 30, "bytes": 3_000}],
                "exchanges_dropped": 0,
            },
            "comparison": [{
                "mapping": "80",
                "labels": [
                    {
                        "label": "POST /orders/{id}/positions/{position}/confirmation",
                        "exchanges": 1_204, "compared": 1_200, "differing": 132, "outcome_differs": 120,
                        "failed_online_only": 1, "failed_target_only": 12, "size_differs": 20,
                        "digest_differs": 0, "without_online": 1, "without_target": 3,
                        "online_latency": {"p50_us": 3_100, "p99_us": 20_440},
                        "target_latency": {"p50_us": 2_900, "p99_us": 45_000},
                    },
                    {
                        "label": "GET /users/{id}",
                        "exchanges": 12_345, "compared": 12_345, "differing": 0, "outcome_differs": 0,
                        "failed_online_only": 0, "failed_target_only": 0, "size_differs": 0,
                        "digest_differs": 0, "without_online": 0, "without_target": 0,
                        "online_latency": {"p50_us": 850, "p99_us": 9_000},
                        "target_latency": {"p50_us": 870, "p99_us": 8_700},
                    },
                ],
            }],
            "transmit": {
                "packets": 129_998, "packet_bytes": 16_000_000, "failed": {"congested": 2}, "segments": 130_000,
                "payload_bytes": 0, "retransmissions": 40, "timeouts": 30, "fast_retransmits": 0, "probes": 0,
            },
            "feed": {
                "connections_wanted": 2, "connections_up": 2, "connects": 3, "losses": 1,
                "responses_received": 70_001, "responses_overflowed": 1, "responses_unclaimed": 2,
                "intercept_kernel_dropped": 3, "responses_used": 70_000, "responses_stale": 0,
                "response_bytes": 50_000_000,
            },
        });
        assert_eq!(report(), expected);
    }

    #[test]
    fn the_sums_agree() {
        let report = report();
        for what in ["turns", "bytes"] {
            let part = |name: &str| number(&report[what][format!("{what}_{name}")]);
            let left_out = report[what].get(format!("{what}_discarded")).map_or(0, number);
            assert_eq!(part("captured"), part("delivered") + part("lost") + part("pending") + left_out);
            let verdicts = report["sessions"]["verdicts"].as_object().unwrap().values();
            let lost: u64 = verdicts.map(|ending| number(&ending[format!("{what}_lost")])).sum();
            assert_eq!(part("lost"), lost + part("lost_to_resets"));
        }
        let sessions = &report["sessions"];
        let ended = number(&sessions["sessions_ended"]);
        assert_eq!(number(&sessions["sessions_opened"]), ended + number(&sessions["sessions_pending"]));
        let verdicts = sessions["verdicts"].as_object().unwrap().values();
        assert_eq!(ended, verdicts.map(|ending| number(&ending["sessions"])).sum::<u64>());
    }
}
