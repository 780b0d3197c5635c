//! `lab fidelity`: every scenario, one line each: what the C tools reached, what must be reached, what was.

use std::path::Path;

use anyhow::Result;

use crate::demo::no_such_scenario;
use crate::scenario::peers::Peers;
use crate::scenario::run::{self, Moment};
use crate::scenario::{Scenario, table};
use crate::terminal::{Terminal, fraction, seconds};

/// Which scenarios are played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Those marked as quick.
    Quick,
    /// Those of these names.
    Named(Vec<String>),
}

impl Selection {
    fn scenarios(&self) -> Result<Vec<Scenario>> {
        match self {
            Self::All => Ok(table::all()),
            Self::Quick => Ok(table::all().into_iter().filter(|scenario| scenario.quick).collect()),
            Self::Named(names) => {
                names.iter().map(|name| table::find(name).ok_or_else(|| no_such_scenario(name))).collect()
            }
        }
    }
}

/// Plays the selection and prints the table; true when every scenario passed.
///
/// # Errors
/// When a name is unknown or the programs are missing. A scenario that cannot be played counts as failed.
pub fn run(selection: &Selection, peers: &Peers, keep: Option<&Path>) -> Result<bool> {
    let scenarios = selection.scenarios()?;
    let mut terminal = Terminal::detect();
    let heading =
        format!("{:<24}{:>12}{:>8}{:>12}  {:<6} what", "scenario", "C reached", "must", peers.label(), "");
    terminal.line(&terminal.strong(&heading));
    let mut failed = 0;
    for scenario in &scenarios {
        failed += usize::from(!play(&mut terminal, scenario, peers, keep));
    }
    let total = scenarios.len();
    terminal.line(&match failed {
        0 => terminal.good(&format!("all {total} scenarios passed")),
        _ => terminal.bad(&format!("{failed} of {total} scenarios failed")),
    });
    Ok(failed == 0)
}

/// Plays one scenario and prints its line; true when it passed.
fn play(terminal: &mut Terminal, scenario: &Scenario, peers: &Peers, keep: Option<&Path>) -> bool {
    let name = scenario.name;
    let outcome = run::run(scenario, peers, keep, &mut |moment| {
        let state = match moment {
            Moment::Ready(_) => "ready".to_owned(),
            Moment::AtWork { elapsed, .. } | Moment::Happened { elapsed, .. } => {
                format!("users {}", seconds(*elapsed))
            }
            Moment::Draining(elapsed) => format!("drain {}", seconds(*elapsed)),
            Moment::Comparing => "comparing".to_owned(),
        };
        terminal.progress(&format!("{name:<24} {state}"));
    });
    let (reached, complaints) = match &outcome {
        Ok(outcome) => (fraction(outcome.tally.fraction()), outcome.complaints.clone()),
        Err(error) => ("–".to_owned(), vec![format!("could not be played: {error:#}")]),
    };
    let passed = complaints.is_empty();
    let word = if passed { terminal.good("pass  ") } else { terminal.bad("FAIL  ") };
    let c = scenario.c.unwrap_or("–");
    terminal.line(&format!(
        "{name:<24}{c:>12}{:>8}{reached:>12}  {word} {}",
        fraction(scenario.must),
        scenario.about
    ));
    if let Some(remark) = outcome.ok().and_then(|outcome| outcome.remark()) {
        terminal.line(&format!("    ({remark})"));
    }
    for complaint in &complaints {
        terminal.line(&terminal.bad(&format!("    {complaint}")));
    }
    passed
}
