//! The report for people: what was captured, and who got it.

use tcpcopy_cli::{Program, Table, add_capture, bytes, count, duration};
use tcpcopy_core::feed::RelayTotals;
use tcpcopy_core::runtime::{PeerTotals, RelaySnapshot};

/// What became of the responses: `responses` is always the sum of the other four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Routing {
    /// Captured, and handed to the relay.
    pub(crate) responses: u64,
    /// Queued for a tcpcopy, at once or later.
    pub(crate) delivered: u64,
    /// Belonging to a tcpcopy that did not take them in time, or dropped for want of room before it was known whose.
    pub(crate) lost: u64,
    /// Registered by no tcpcopy in time.
    pub(crate) unclaimed: u64,
    /// Still waiting for a tcpcopy to register their flow.
    pub(crate) waiting: u64,
}

impl Routing {
    pub(crate) const fn of(totals: &RelayTotals) -> Self {
        let RelayTotals {
            delivered,
            overflowed,
            held,
            hold_full,
            held_delivered,
            held_overflowed,
            held_expired,
            held_evicted,
            flows_refused: _,
        } = *totals;
        let no_longer_held = held_delivered + held_overflowed + held_expired + held_evicted;
        Self {
            responses: delivered + overflowed + held + hold_full,
            delivered: delivered + held_delivered,
            lost: overflowed + held_overflowed + hold_full + held_evicted,
            unclaimed: held_expired,
            waiting: held.saturating_sub(no_longer_held),
        }
    }
}

/// The report about a run whose last snapshot is `last`.
pub(crate) fn text(program: Program, last: &RelaySnapshot) -> String {
    let mut table = Table::new();
    add_capture(&mut table, &last.capture);
    add_routing(&mut table, &last.relay);
    add_peers(&mut table, &last.peers);
    format!("{} {} ran for {}\n{table}", program.name, program.version, duration(last.running_for))
}

fn add_routing(table: &mut Table, totals: &RelayTotals) {
    let routing = Routing::of(totals);
    table.section("Responses");
    table.line("captured", count(routing.responses), "");
    table.line("delivered", count(routing.delivered), "to the tcpcopy that registered their flow");
    table.line_if_any(
        "unclaimed",
        routing.unclaimed,
        "no tcpcopy registered their flow in time: is one missing, or -F too wide?",
    );
    table.line("lost", count(routing.lost), "");
    let overflowed = totals.overflowed + totals.held_overflowed;
    table.line_if_any("overflowed", overflowed, "lost: their tcpcopy read too slowly");
    let crowded = totals.hold_full + totals.held_evicted;
    table.line_if_any("crowded out", crowded, "lost: too many waited for a tcpcopy to register their flow");
    table.line_if_any("waiting", routing.waiting, "for a tcpcopy to register their flow, at the end");
    table.line_if_any("flows refused", totals.flows_refused, "a tcpcopy had registered too many already");
}

fn add_peers(table: &mut Table, peers: &[PeerTotals]) {
    if peers.is_empty() {
        return;
    }
    table.section("Connections of tcpcopy at the end");
    for PeerTotals { address, summary } in peers {
        let mut note = format!("responses for {} flows", count(summary.flows as u64));
        if summary.is_c {
            note.push_str(" of a C tcpcopy");
        }
        if summary.overflowed > 0 {
            note = format!("{note}, {} lost", count(summary.overflowed));
        }
        if summary.pending > 0 {
            note = format!("{note}, {} not sent yet", bytes(summary.pending as u64));
        }
        table.line(address, count(summary.delivered), note);
    }
}

/// A snapshot with something in every part.
#[cfg(test)]
pub(crate) fn example() -> RelaySnapshot {
    use std::time::Duration;

    use tcpcopy_core::feed::{PeerId, PeerSummary};
    use tcpcopy_core::runtime::CaptureTotals;
    use tcpcopy_core::wire::Instant;

    let at = Instant::from_micros(1_795_400_000_000_000);
    RelaySnapshot {
        at,
        running_for: Duration::from_secs(60),
        capture: CaptureTotals { frames: 1_000, kernel_received: 1_000, ..CaptureTotals::default() },
        relay: RelayTotals {
            delivered: 900,
            overflowed: 1,
            held: 88,
            hold_full: 1,
            held_delivered: 70,
            held_overflowed: 2,
            held_expired: 10,
            held_evicted: 3,
            flows_refused: 0,
        },
        peers: vec![PeerTotals {
            address: "10.10.1.1:40000".to_owned(),
            summary: PeerSummary {
                peer: PeerId(1),
                identity: Some(7),
                is_c: false,
                since: at - Duration::from_secs(30),
                flows: 50,
                delivered: 970,
                overflowed: 3,
                pending: 2_000,
            },
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_response_is_accounted_for() {
        let routing = Routing::of(&example().relay);
        assert_eq!(routing.responses, routing.delivered + routing.lost + routing.unclaimed + routing.waiting);
    }

    #[test]
    fn the_report_explains_everything_that_happened() {
        let program = Program { name: "intercept", version: "0.1.0", manual: &[] };
        let expected = "\
intercept 0.1.0 ran for 1m
Captured
  frames           1,000
Responses
  captured           990
  delivered          970  to the tcpcopy that registered their flow
  unclaimed           10  no tcpcopy registered their flow in time: is one missing, or -F too wide?
  lost                 7
  overflowed           3  lost: their tcpcopy read too slowly
  crowded out          4  lost: too many waited for a tcpcopy to register their flow
  waiting              3  for a tcpcopy to register their flow, at the end
Connections of tcpcopy at the end
  10.10.1.1:40000    970  responses for 50 flows, 3 lost, 2.00 kB not sent yet
";
        assert_eq!(text(program, &example()), expected);
    }
}
