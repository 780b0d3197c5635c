//! `ctl status` for people.

use std::time::Duration;

use tcpcopy_cli::{Align, Grid, count, duration};
use tcpcopy_core::runtime::{MappingStatus, StatusAnswer};

/// How a process is, in a few lines.
pub(super) fn text(status: &StatusAnswer) -> String {
    let running = duration(Duration::from_millis(status.running_for_ms));
    let mut mappings = Grid::new([("replays", Align::Left), ("to", Align::Left), ("module", Align::Left)]);
    for MappingStatus { mapping, target, module } in &status.mappings {
        let module = match module {
            Some(module) => format!("{} {} (generation {})", module.name, module.version, module.generation),
            None => "none".to_owned(),
        };
        mappings.row([mapping.clone(), target.clone(), module]);
    }
    let mut facts = Grid::new([("", Align::Left), ("", Align::Left)]);
    let mut fact = |label: &str, text: String| facts.row([label.to_owned(), text]);
    let answers = if status.captures_answers { ", with the servers' answers" } else { "" };
    let lost = match status.kernel_dropped {
        0 => String::new(),
        lost => format!("; {} frames found a ring full", count(lost)),
    };
    fact("captures on", format!("{}{answers}{lost}", status.devices.join(", ")));
    fact("intercept", format!("{} of {} connections", status.feeds_connected, status.feeds_wanted));
    fact(
        "sessions",
        format!("{} live, {} opened", count(status.sessions_live), count(status.sessions_opened)),
    );
    let turns = &status.turns;
    fact(
        "turns",
        format!(
            "{} captured, {} delivered, {} lost, {} pending",
            count(turns.captured),
            count(turns.delivered),
            count(turns.lost),
            count(turns.pending)
        ),
    );
    fact("log level", status.log_level.clone());
    format!("tcpcopy {}, process {}, running for {running}\n{mappings}{facts}", status.tcpcopy, status.pid)
}

#[cfg(test)]
mod tests {
    use tcpcopy_core::runtime::{Account, ModuleName};

    use super::*;

    #[test]
    fn a_status_fits_on_a_few_lines() {
        let module = ModuleName {
            mapping: "80".to_owned(),
            generation: 2,
            name: "http".to_owned(),
            version: "1.2.0".to_owned(),
        };
        let mapping = |mapping: &str, module| MappingStatus {
            mapping: mapping.to_owned(),
            target: "10.10.3.2:8080".to_owned(),
            module,
        };
        let status = StatusAnswer {
            tcpcopy: "0.1.0".to_owned(),
            pid: 4711,
            running_for_ms: 723_900,
            devices: vec!["eth0".to_owned(), "lo".to_owned()],
            captures_answers: true,
            kernel_dropped: 12,
            mappings: vec![mapping("80", Some(module)), mapping("10.0.0.1:81", None)],
            feeds_wanted: 2,
            feeds_connected: 1,
            sessions_opened: 1_204,
            sessions_live: 4,
            turns: Account { captured: 65_000, delivered: 64_980, lost: 13, pending: 7, discarded: 0 },
            log_level: "info".to_owned(),
        };
        let expected = "\
tcpcopy 0.1.0, process 4711, running for 12m 3s
  replays      to              module
  80           10.10.3.2:8080  http 1.2.0 (generation 2)
  10.0.0.1:81  10.10.3.2:8080  none
  captures on  eth0, lo, with the servers' answers; 12 frames found a ring full
  intercept    1 of 2 connections
  sessions     4 live, 1,204 opened
  turns        65,000 captured, 64,980 delivered, 13 lost, 7 pending
  log level    info
";
        assert_eq!(text(&status), expected);
    }
}
