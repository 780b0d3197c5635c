//! The report for machines. Every field is described in `docs/report.md`; names and meanings stay.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;
use tcpcopy_cli::{CaptureReport, Program, ReportHead};
use tcpcopy_core::feed::{PeerSummary, RelayTotals};
use tcpcopy_core::runtime::{PeerTotals, RelaySnapshot};

use crate::report::Routing;

/// What a run is about.
#[derive(Debug, Serialize)]
pub(crate) struct Subject {
    /// The devices captured on.
    pub(crate) devices: Vec<String>,
    /// What is a response.
    pub(crate) filter: String,
    /// Where tcpcopys connect to.
    pub(crate) listen: SocketAddr,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { devices, filter, listen } = self;
        write!(f, "capturing \"{filter}\" on {}; listening on {listen}", devices.join(", "))
    }
}

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    #[serde(flatten)]
    head: ReportHead,
    #[serde(flatten)]
    subject: &'a Subject,
    capture: CaptureReport,
    relay: Relay,
    connections: Vec<Connection<'a>>,
}

#[derive(Debug, Serialize)]
struct Relay {
    responses: u64,
    responses_delivered: u64,
    responses_lost: u64,
    responses_unclaimed: u64,
    responses_waiting: u64,
    delivered_at_once: u64,
    held: u64,
    overflowed: u64,
    held_overflowed: u64,
    hold_full: u64,
    held_evicted: u64,
    flows_refused: u64,
}

#[derive(Debug, Serialize)]
struct Connection<'a> {
    address: &'a str,
    identity: Option<u64>,
    c_tool: bool,
    flows: usize,
    delivered: u64,
    overflowed: u64,
    pending_bytes: usize,
}

impl<'a> Report<'a> {
    /// The report about a run whose last snapshot is `last`.
    pub(crate) fn new(program: Program, subject: &'a Subject, last: &'a RelaySnapshot) -> Self {
        // Taken apart, so that a new part of a snapshot cannot be forgotten here.
        let RelaySnapshot { at, running_for, capture, relay, peers } = last;
        Self {
            head: ReportHead::new(program, *at, *running_for),
            subject,
            capture: capture.into(),
            relay: Relay::from(relay),
            connections: peers.iter().map(Connection::from).collect(),
        }
    }
}

impl From<&RelayTotals> for Relay {
    fn from(totals: &RelayTotals) -> Self {
        let routing = Routing::of(totals);
        Self {
            responses: routing.responses,
            responses_delivered: routing.delivered,
            responses_lost: routing.lost,
            responses_unclaimed: routing.unclaimed,
            responses_waiting: routing.waiting,
            delivered_at_once: totals.delivered,
            held: totals.held,
            overflowed: totals.overflowed,
            held_overflowed: totals.held_overflowed,
            hold_full: totals.hold_full,
            held_evicted: totals.held_evicted,
            flows_refused: totals.flows_refused,
        }
    }
}

impl<'a> From<&'a PeerTotals> for Connection<'a> {
    fn from(PeerTotals { address, summary }: &'a PeerTotals) -> Self {
        let PeerSummary { peer: _, identity, is_c, since: _, flows, delivered, overflowed, pending } =
            *summary;
        Self { address, identity, c_tool: is_c, flows, delivered, overflowed, pending_bytes: pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn the_report_is_as_documented() {
        let subject = Subject {
            devices: vec!["eth0".to_owned()],
            filter: "tcp".to_owned(),
            listen: "0.0.0.0:36524".parse().unwrap(),
        };
        let program = Program { name: "intercept", version: "0.1.0", manual: &[] };
        let snapshot = example();
        let report = serde_json::to_string(&Report::new(program, &subject, &snapshot)).unwrap();
        let expected = concat!(
            r#"{"report_version":1,"program":"intercept","version":"0.1.0","#,
            r#""started_at":"2026-11-23T02:12:20.000Z","ended_at":"2026-11-23T02:13:20.000Z","running_for_ms":60000,"#,
            r#""devices":["eth0"],"filter":"tcp","listen":"0.0.0.0:36524","#,
            r#""capture":{"frames":1000,"kernel_received":1000,"kernel_dropped":0,"interface_dropped":0,"#,
            r#""unusable":{"truncated_header":0,"not_ip":0,"not_tcp":0,"not_udp":0,"fragment":0,"malformed":0,"nested_too_deep":0,"unsupported_link_type":0}},"#,
            r#""relay":{"responses":990,"responses_delivered":970,"responses_lost":7,"responses_unclaimed":10,"#,
            r#""responses_waiting":3,"delivered_at_once":900,"held":88,"overflowed":1,"held_overflowed":2,"#,
            r#""hold_full":1,"held_evicted":3,"flows_refused":0},"#,
            r#""connections":[{"address":"10.10.1.1:40000","identity":7,"c_tool":false,"flows":50,"delivered":970,"#,
            r#""overflowed":3,"pending_bytes":2000}]}"#,
        );
        assert_eq!(report, expected);
    }

    #[test]
    fn the_subject_is_one_line() {
        let subject = Subject {
            devices: vec!["eth0".to_owned(), "eth1".to_owned()],
            filter: "tcp and src port 8080".to_owned(),
            listen: "[::]:36524".parse().unwrap(),
        };
        assert_eq!(
            subject.to_string(),
            "capturing \"tcp and src port 8080\" on eth0, eth1; listening on [::]:36524"
        );
    }
}
