//! How fast recordings are replayed: in their own time, ten times as fast, and as fast as the target answers; with the
//! C tool beside ours, at the largest factor that makes it faster.

use std::time::Duration;

use anyhow::Result;

use crate::scenario::Scenario;
use crate::scenario::outcome::Outcome;
use crate::scenario::peers::Peers;
use crate::scenario::run;
use crate::scenario::table::{plans, recordings};
use crate::terminal::{Terminal, count, megabytes};
use crate::traffic::UsersPlan;

/// What is recorded.
struct Recording {
    name: &'static str,
    users: fn() -> UsersPlan,
}

const RECORDINGS: [Recording; 3] = [
    Recording { name: "100 000 short connections", users: || plans::short(5000, 20) },
    Recording { name: "1000 connections × 100 requests", users: || plans::keepalive(1000, 10_000, 10) },
    Recording { name: "5000 connections × 20 requests", users: || plans::keepalive(5000, 10_000, 10) },
];

/// How it is replayed by us, and by the C tool: a top speed it does not have.
const SPEEDS: [(&[&str], &[&str]); 3] =
    [(&["-a", "1"], &["-a", "1"]), (&["-a", "10"], &["-a", "10"]), (&["--top-speed"], &["-a", "1000"])];

/// Replays every recording at every speed and prints a line for each.
///
/// # Errors
/// When a recording cannot be made or replayed.
pub(super) fn run(terminal: &mut Terminal, ours: &Peers) -> Result<()> {
    let c = Peers::c_offline()?;
    for recording in &RECORDINGS {
        terminal.line("");
        let heading = format!(
            "{:<34}{:>14}{:>7}{:>10}{:>9}{:>12}{:>17}{:>19}{:>16}",
            recording.name,
            "speed",
            "whose",
            "lost",
            "seconds",
            "requests/s",
            "tcpcopy ms/1000",
            "intercept ms/1000",
            "memory MB"
        );
        terminal.line(&terminal.strong(&heading));
        for (speed, c_speed) in SPEEDS {
            let theirs = c.as_ref().map(|c| (c, c_speed));
            for (peers, options) in [Some((ours, speed)), theirs].into_iter().flatten() {
                terminal.progress(&format!("{} {}: {}", recording.name, options.join(" "), peers.label()));
                let scenario = Scenario {
                    drain: Duration::from_secs(120),
                    ..recordings::recorded("bench-offline", "a recording", options, vec![(recording.users)()])
                };
                let outcome = run::run(&scenario, peers, None, &mut |_| {})?;
                terminal.line(&row(options, &outcome));
            }
        }
    }
    Ok(())
}

fn row(options: &[&str], outcome: &Outcome) -> String {
    let seconds = outcome.target.took.as_secs_f64();
    let memory =
        format!("{} + {}", megabytes(outcome.tcpcopy.peak_memory), megabytes(outcome.intercept.peak_memory));
    format!(
        "{:>48}{:>7}{:>10}{seconds:>9.1}{:>12}{:>17.1}{:>19.1}{memory:>16}",
        options.join(" "),
        outcome.peers,
        count(outcome.tally.missing),
        count((outcome.target.requests as f64 / seconds.max(0.001)) as u64),
        outcome.cpu_per_1000(outcome.tcpcopy),
        outcome.cpu_per_1000(outcome.intercept),
    )
}
