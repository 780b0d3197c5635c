//! `lab bench`: processor time and memory at rising rates, up to where requests are first lost. With the C tools
//! at hand, they take the same load in the same run, and ours are shown as a ratio of theirs. Then, what modules cost,
//! and how fast recordings are replayed.

mod modules;
mod recordings;

use anyhow::Result;
use clap::ValueEnum;

use crate::scenario::Scenario;
use crate::scenario::outcome::Outcome;
use crate::scenario::peers::Peers;
use crate::scenario::run;
use crate::scenario::table::plans;
use crate::terminal::{Terminal, count, megabytes};
use crate::traffic::UsersPlan;

/// Seconds of load at each rate.
const SECONDS: u64 = 5;
/// Below this part of the wanted rate, the machine rather than the programs is at its limit.
const MADE: f64 = 0.9;

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Keepalive connections at rising rates.
    Keepalive,
    /// Short connections at rising rates.
    Short,
    /// The same load with every protocol module.
    Modules,
    /// Recordings, at several speeds.
    Offline,
}

/// A kind of load, and the rates it is raised through.
struct Load {
    part: Part,
    name: &'static str,
    unit: &'static str,
    rates: &'static [u32],
    users: fn(u32, u64) -> UsersPlan,
}

const LOADS: [Load; 2] = [
    Load {
        part: Part::Keepalive,
        name: "keepalive",
        unit: "requests/s",
        rates: &[1000, 2000, 5000, 10_000, 20_000, 40_000, 60_000, 80_000],
        users: |rate, seconds| plans::keepalive(200, rate, seconds),
    },
    Load {
        part: Part::Short,
        name: "short",
        unit: "connections/s",
        rates: &[500, 1000, 2000, 4000, 8000, 11_000, 14_000, 18_000],
        users: plans::short,
    },
];

/// One program pair on its way up the rates.
struct Runner {
    peers: Peers,
    /// Where it lost requests first, or the lab reached its end.
    ended: bool,
}

/// Raises the loads and prints a line for each rate and program pair, then for each module; all of it, when no `parts`
/// are named.
///
/// # Errors
/// When the programs are missing, or a module is. A rate that cannot be played ends the rise.
pub fn run(parts: &[Part]) -> Result<()> {
    let is_wanted = |part| parts.is_empty() || parts.contains(&part);
    let mut terminal = Terminal::detect();
    let c = Peers::c()?;
    if c.is_none() {
        terminal.line("(set C_TCPCOPY_BIN and C_INTERCEPT_BIN to measure the C tools beside ours)");
    }
    for load in LOADS.iter().filter(|load| is_wanted(load.part)) {
        let pairs = [Some(Peers::ours()?), c.clone()].into_iter().flatten();
        let mut runners: Vec<Runner> = pairs.map(|peers| Runner { peers, ended: false }).collect();
        heading(&mut terminal, load);
        for &rate in load.rates {
            raise(&mut terminal, load, rate, &mut runners);
            if runners.iter().all(|runner| runner.ended) {
                break;
            }
        }
    }
    if is_wanted(Part::Modules) {
        modules::run(&mut terminal, &Peers::ours()?)?;
    }
    if is_wanted(Part::Offline) {
        recordings::run(&mut terminal, &Peers::ours()?)?;
    }
    Ok(())
}

fn heading(terminal: &mut Terminal, load: &Load) {
    terminal.line("");
    let heading = format!(
        "{:<10}{:>14}{:>7}{:>9}{:>11}{:>17}{:>19}{:>16}",
        load.name, load.unit, "whose", "made", "lost", "tcpcopy ms/1000", "intercept ms/1000", "memory MB"
    );
    terminal.line(&terminal.strong(&heading));
}

/// Plays one rate with every pair that has not reached its end, and compares them.
fn raise(terminal: &mut Terminal, load: &Load, rate: u32, runners: &mut [Runner]) {
    let scenario = Scenario::new("bench", "load at a rate", (load.users)(rate, SECONDS));
    let mut outcomes = Vec::new();
    for runner in runners.iter_mut().filter(|runner| !runner.ended) {
        let label = runner.peers.label();
        terminal.progress(&format!("{} {} {}: {label}", load.name, count(rate.into()), load.unit));
        let outcome = match run::run(&scenario, &runner.peers, None, &mut |_| {}) {
            Ok(outcome) => outcome,
            Err(error) => {
                runner.ended = true;
                terminal.line(&format!(
                    "{:<10}{:>14}{label:>7}  stopped: {error:#}",
                    load.name,
                    count(rate.into())
                ));
                continue;
            }
        };
        let made = outcome.users.requests as f64 / f64::from(rate) / SECONDS as f64;
        runner.ended = outcome.tally.missing > 0 || made < MADE;
        terminal.line(&row(load, rate, &outcome, made));
        outcomes.push(outcome);
    }
    // What was not replayed cost nothing: figures are only compared where both replayed everything.
    if let [ours, theirs] = outcomes.as_slice()
        && ours.tally.missing + theirs.tally.missing == 0
    {
        terminal.line(&ratio(ours, theirs));
    }
}

fn row(load: &Load, rate: u32, outcome: &Outcome, made: f64) -> String {
    let memory =
        format!("{} + {}", megabytes(outcome.tcpcopy.peak_memory), megabytes(outcome.intercept.peak_memory));
    let note = if made < MADE { "  (this machine makes no more)" } else { "" };
    format!(
        "{:<10}{:>14}{:>7}{:>8.0}%{:>11}{:>17.1}{:>19.1}{memory:>16}{note}",
        load.name,
        count(rate.into()),
        outcome.peers,
        made * 100.0,
        count(outcome.tally.missing),
        outcome.cpu_per_1000(outcome.tcpcopy),
        outcome.cpu_per_1000(outcome.intercept),
    )
}

fn ratio(ours: &Outcome, theirs: &Outcome) -> String {
    let of = |ours: f64, theirs: f64| {
        if theirs > 0.0 { format!("{:.2}", ours / theirs) } else { "–".to_owned() }
    };
    let cpu = |outcome: &Outcome| outcome.cpu_per_1000(outcome.tcpcopy.plus(outcome.intercept));
    let memory = |outcome: &Outcome| outcome.tcpcopy.plus(outcome.intercept).peak_memory as f64;
    format!(
        "{:>31} ours / C: CPU {} (tcpcopy {}, intercept {}), memory {}",
        "",
        of(cpu(ours), cpu(theirs)),
        of(ours.cpu_per_1000(ours.tcpcopy), theirs.cpu_per_1000(theirs.tcpcopy)),
        of(ours.cpu_per_1000(ours.intercept), theirs.cpu_per_1000(theirs.intercept)),
        of(memory(ours), memory(theirs)),
    )
}
