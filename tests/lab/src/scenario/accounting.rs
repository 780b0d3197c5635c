//! Do the sums agree? tcpcopy's reports (`docs/report.md`) against each other's parts and the account of the lab.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a report says, as far as it matters here. Fields that are missing are an error: a report must not lose one.
#[derive(Debug, Deserialize)]
struct Report {
    capture: Capture,
    sessions: Sessions,
    turns: Turns,
    bytes: Bytes,
    modules: Modules,
}

#[derive(Debug, Deserialize)]
struct Capture {
    kernel_dropped: u64,
    interface_dropped: u64,
}

#[derive(Debug, Deserialize)]
struct Sessions {
    sessions_opened: u64,
    sessions_ended: u64,
    sessions_pending: u64,
    verdicts: BTreeMap<String, Ending>,
}

#[derive(Debug, Deserialize)]
struct Ending {
    sessions: u64,
    turns_lost: u64,
    bytes_lost: u64,
}

#[derive(Debug, Deserialize)]
struct Turns {
    turns_captured: u64,
    turns_delivered: u64,
    turns_lost: u64,
    turns_pending: u64,
    turns_lost_to_resets: u64,
}

#[derive(Debug, Deserialize)]
struct Bytes {
    bytes_captured: u64,
    bytes_delivered: u64,
    bytes_lost: u64,
    bytes_pending: u64,
    bytes_discarded: u64,
    bytes_lost_to_resets: u64,
    bytes_before_first_turn: u64,
    bytes_after_close: u64,
    bytes_never_captured: u64,
}

#[derive(Debug, Deserialize)]
struct Modules {
    generations: Vec<Generation>,
}

#[derive(Debug, Deserialize)]
struct Generation {
    gave_up: u64,
    faults: u64,
}

/// What the lab knows of the bytes of requests that users began while tcpcopy ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Of requests that reached the target.
    pub arrived: u64,
    /// Of requests that reached the online server and not the target.
    pub missing: u64,
}

/// Everything in the reports that does not agree with itself or with what the lab saw.
#[must_use]
pub fn complaints(reports: &[Value], seen: Seen) -> Vec<String> {
    let parsed: Result<Vec<Report>, _> = reports.iter().map(Report::deserialize).collect();
    let reports = match parsed {
        Ok(reports) => reports,
        Err(error) => return vec![format!("the report cannot be used: {error}")],
    };
    let mut complaints: Vec<String> = reports.iter().flat_map(contradictions).collect();
    if !reports.is_empty() {
        complaints.extend(disagreements(&reports, seen));
    }
    complaints
}

/// What may have spoiled a scenario beside the programs under test: a machine too busy to let them read what they capture.
pub(crate) fn kernel_drops(reports: &[Value]) -> Option<String> {
    let dropped = |report: &Value| report.pointer("/capture/kernel_dropped").and_then(Value::as_u64);
    let dropped: u64 = reports.iter().filter_map(dropped).sum();
    (dropped > 0).then(|| format!("(the kernel dropped {dropped} frames that tcpcopy did not read in time)"))
}

/// Sums inside one report: what came in went somewhere.
fn contradictions(report: &Report) -> Vec<String> {
    let Report { sessions, turns, bytes, modules, .. } = report;
    let verdicts = |pick: fn(&Ending) -> u64| sessions.verdicts.values().map(pick).sum::<u64>();
    let under = |verdict: &str| sessions.verdicts.get(verdict).map_or(0, |ending| ending.sessions);
    let blamed = |pick: fn(&Generation) -> u64| modules.generations.iter().map(pick).sum::<u64>();
    let sums = [
        ("sessions opened", sessions.sessions_opened, sessions.sessions_ended + sessions.sessions_pending),
        ("sessions ended", sessions.sessions_ended, verdicts(|ending| ending.sessions)),
        (
            "turns captured",
            turns.turns_captured,
            turns.turns_delivered + turns.turns_lost + turns.turns_pending,
        ),
        ("turns lost", turns.turns_lost, turns.turns_lost_to_resets + verdicts(|ending| ending.turns_lost)),
        (
            "bytes captured",
            bytes.bytes_captured,
            bytes.bytes_delivered + bytes.bytes_lost + bytes.bytes_pending + bytes.bytes_discarded,
        ),
        ("bytes lost", bytes.bytes_lost, bytes.bytes_lost_to_resets + verdicts(|ending| ending.bytes_lost)),
        ("sessions under module_fault", under("module_fault"), blamed(|generation| generation.faults)),
        ("sessions under module_gave_up", under("module_gave_up"), blamed(|generation| generation.gave_up)),
    ];
    let wrong = sums.iter().filter(|(_, whole, parts)| whole != parts);
    wrong
        .map(|(what, whole, parts)| format!("the report has {whole} {what}, but its parts add up to {parts}"))
        .collect()
}

/// Against the lab: no byte arrives that was not captured, and none that was seen is lost without a reason. What the
/// kernel dropped has no known size, so it explains any loss.
fn disagreements(reports: &[Report], seen: Seen) -> Vec<String> {
    let mut complaints = Vec::new();
    let total = |pick: fn(&Report) -> u64| reports.iter().map(pick).sum::<u64>();
    let captured = total(|report| report.bytes.bytes_captured);
    if seen.arrived > captured {
        complaints
            .push(format!("requests of {} bytes arrived, but the report captured {captured}", seen.arrived));
    }
    let explained = total(|Report { bytes, .. }| {
        bytes.bytes_lost
            + bytes.bytes_pending
            + bytes.bytes_discarded
            + bytes.bytes_before_first_turn
            + bytes.bytes_after_close
            + bytes.bytes_never_captured
    });
    let dropped = total(|report| report.capture.kernel_dropped + report.capture.interface_dropped);
    if seen.missing > explained && dropped == 0 {
        complaints.push(format!(
            "requests of {} bytes did not reach the target, but the report explains {explained}",
            seen.missing
        ));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "capture": { "kernel_dropped": 0, "interface_dropped": 0 },
            "sessions": {
                "sessions_opened": 10, "sessions_ended": 9, "sessions_pending": 1,
                "verdicts": {
                    "complete": { "sessions": 7, "turns_lost": 0, "bytes_lost": 0 },
                    "module_fault": { "sessions": 1, "turns_lost": 0, "bytes_lost": 0 },
                    "target_reset": { "sessions": 1, "turns_lost": 2, "bytes_lost": 100 },
                },
            },
            "turns": {
                "turns_captured": 20, "turns_delivered": 17, "turns_lost": 3, "turns_pending": 0,
                "turns_lost_to_resets": 1,
            },
            "bytes": {
                "bytes_captured": 1000, "bytes_delivered": 895, "bytes_lost": 105, "bytes_pending": 0,
                "bytes_discarded": 0,
                "bytes_lost_to_resets": 5, "bytes_before_first_turn": 0, "bytes_after_close": 0,
                "bytes_never_captured": 0,
            },
            "modules": { "generations": [{ "gave_up": 0, "faults": 0 }, { "gave_up": 0, "faults": 1 }] },
        })
    }

    fn with(path: &str, value: u64) -> Value {
        let mut report = report();
        *report.pointer_mut(path).unwrap() = json!(value);
        report
    }

    fn count(report: &Value, arrived: u64, missing: u64) -> usize {
        complaints(std::slice::from_ref(report), Seen { arrived, missing }).len()
    }

    #[test]
    fn sums_that_agree_are_accepted() {
        assert_eq!(complaints(&[report()], Seen { arrived: 895, missing: 105 }), Vec::<String>::new());
    }

    #[test]
    fn sessions_without_a_verdict_are_found() {
        assert_eq!(count(&with("/sessions/sessions_opened", 11), 0, 0), 1);
        assert_eq!(count(&with("/sessions/verdicts/complete/sessions", 6), 0, 0), 1);
    }

    #[test]
    fn sessions_that_no_module_is_blamed_for_are_found() {
        assert_eq!(count(&with("/modules/generations/1/faults", 2), 0, 0), 1);
        assert_eq!(count(&with("/modules/generations/0/gave_up", 1), 0, 0), 1);
    }

    #[test]
    fn bytes_and_turns_that_went_nowhere_are_found() {
        assert_eq!(count(&with("/bytes/bytes_captured", 1001), 0, 0), 1);
        assert_eq!(count(&with("/bytes/bytes_discarded", 1), 0, 0), 1);
        assert_eq!(count(&with("/turns/turns_lost_to_resets", 0), 0, 0), 1);
    }

    #[test]
    fn losses_without_a_reason_are_found_unless_the_kernel_dropped() {
        assert_eq!(count(&report(), 0, 106), 1);
        let dropped = with("/capture/kernel_dropped", 1);
        assert_eq!(count(&dropped, 0, 106), 0);
        assert!(kernel_drops(&[report(), dropped]).unwrap().contains("dropped 1 frames"));
        assert_eq!(kernel_drops(&[report()]), None);
    }

    #[test]
    fn arrivals_that_were_not_captured_are_found() {
        assert_eq!(count(&report(), 1001, 0), 1);
    }

    #[test]
    fn a_report_with_a_gap_is_told_by_name() {
        let mut report = report();
        report["capture"] = json!({ "interface_dropped": 0 });
        let told = complaints(&[report], Seen::default());
        assert!(told[0].contains("kernel_dropped"), "{told:?}");
    }
}
