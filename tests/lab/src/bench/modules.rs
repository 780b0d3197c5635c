//! What protocol modules cost: the same load without a module and with each, and each as a ratio of none.

use anyhow::Result;

use super::{MADE, SECONDS};
use crate::scenario::Scenario;
use crate::scenario::module::Module;
use crate::scenario::peers::Peers;
use crate::scenario::run;
use crate::scenario::table::modules::{COMPARING, GENERIC, HTTP, served_by};
use crate::scenario::table::plans;
use crate::terminal::{Terminal, count};

/// Requests per second.
const RATES: [u32; 2] = [5000, 20_000];
/// What serves the mapping. The first is what the others are compared with.
const SERVED_BY: [(&str, Option<Module>); 4] = [
    ("no module", None),
    ("generic", Some(GENERIC)),
    ("http", Some(HTTP)),
    ("http, comparing", Some(COMPARING)),
];

/// Times each is played, in turns: of what was measured, the least is what the others did not disturb.
const ROUNDS: usize = 3;

/// What one of [`SERVED_BY`] showed at a rate.
#[derive(Clone, Copy)]
struct Measured {
    requests: u64,
    missing: u64,
    /// Processor time for 1000 requests, of tcpcopy and of intercept, in milliseconds.
    costs: [f64; 2],
}

/// Plays the load with every module and prints a line for each.
///
/// # Errors
/// When it cannot be played.
pub(super) fn run(terminal: &mut Terminal, peers: &Peers) -> Result<()> {
    terminal.line("");
    let heading = format!(
        "{:<10}{:>14}{:>17}{:>9}{:>11}{:>17}{:>19}",
        "keepalive", "requests/s", "served by", "made", "lost", "tcpcopy ms/1000", "intercept ms/1000"
    );
    terminal.line(&terminal.strong(&heading));
    for rate in RATES {
        let mut measured: [Option<Measured>; SERVED_BY.len()] = Default::default();
        for round in 1..=ROUNDS {
            for (best, (name, module)) in measured.iter_mut().zip(SERVED_BY) {
                terminal.progress(&format!("{} requests/s, round {round}: {name}", count(rate.into())));
                let seen = measure(rate, module, peers)?;
                *best = Some(best.take().map_or_else(|| seen, |best| best.and(seen)));
            }
        }
        let without = measured.first().and_then(Option::as_ref).map(|measured| measured.costs);
        for (measured, (name, _)) in measured.iter().zip(SERVED_BY) {
            if let Some(measured) = measured {
                terminal.line(&row(rate, name, measured, without));
            }
        }
    }
    Ok(())
}

fn measure(rate: u32, module: Option<Module>, peers: &Peers) -> Result<Measured> {
    let plain = Scenario::new("bench-modules", "load at a rate", plans::keepalive(200, rate, SECONDS));
    let scenario = module.map_or(plain.clone(), |module| served_by(module, plain));
    let outcome = run::run(&scenario, peers, None, &mut |_| {})?;
    Ok(Measured {
        requests: outcome.users.requests,
        missing: outcome.tally.missing,
        costs: [outcome.tcpcopy, outcome.intercept].map(|usage| outcome.cpu_per_1000(usage)),
    })
}

impl Measured {
    /// The least cost of both, and everything that either lost.
    fn and(self, other: Self) -> Self {
        let [tcpcopy, intercept] = self.costs;
        Self {
            requests: self.requests.min(other.requests),
            missing: self.missing + other.missing,
            costs: [tcpcopy.min(other.costs[0]), intercept.min(other.costs[1])],
        }
    }
}

fn row(rate: u32, name: &str, measured: &Measured, without: Option<[f64; 2]>) -> String {
    let made = measured.requests as f64 / f64::from(rate) / SECONDS as f64;
    let [tcpcopy, intercept] = measured.costs;
    let ratio = without.map_or_else(String::new, |[tcpcopy_alone, intercept_alone]| {
        format!("  ×{:.2}, ×{:.2} of none", tcpcopy / tcpcopy_alone, intercept / intercept_alone)
    });
    let note = if made < MADE { "  (this machine makes no more)" } else { "" };
    format!(
        "{:>24}{name:>17}{:>8.0}%{:>11}{tcpcopy:>17.1}{intercept:>19.1}{ratio}{note}",
        count(rate.into()),
        made * 100.0,
        count(measured.missing),
    )
}
