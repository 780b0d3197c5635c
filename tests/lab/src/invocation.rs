//! Playing a scenario from a test: the lab's binary does it, since namespaces want a process of one thread.

use std::env;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::doctor::Examined;
use crate::scenario::outcome::Outcome;

/// Plays the scenario of that name and returns what came of it. Calls from several tests or test binaries at once
/// take turns, so that scenarios do not share the machine's processors.
///
/// # Errors
/// When the binaries are not built, there is no such scenario, or it could not be played.
pub fn run_scenario(name: &str) -> Result<Outcome> {
    run_lab("run", name)
}

/// Plays the entry of that name of the doctor's fault matrix, taking turns with scenarios.
///
/// # Errors
/// As [`run_scenario`].
pub fn run_doctor(name: &str) -> Result<Examined> {
    run_lab("doctor", name)
}

fn run_lab<T: DeserializeOwned>(command: &str, name: &str) -> Result<T> {
    let lab = binary()?;
    let turn = File::open(&lab).with_context(|| format!("cannot open {}", lab.display()))?;
    turn.lock().context("cannot wait for other scenarios to finish")?;
    let output = Command::new(&lab).args([command, name, "--json"]).output();
    let output = output.with_context(|| format!("cannot run {}", lab.display()))?;
    let line = String::from_utf8_lossy(&output.stdout);
    match serde_json::from_str(line.trim()) {
        Ok(outcome) => Ok(outcome),
        Err(_) => bail!("lab {command} {name}: {}", String::from_utf8_lossy(&output.stderr).trim()),
    }
}

/// The `lab` binary beside the running program; a test lies in deps/, one below.
fn binary() -> Result<PathBuf> {
    let exe = env::current_exe().context("the path of this program is not known")?;
    let beside =
        exe.ancestors().skip(1).take(2).map(|directory| directory.join("lab")).find(|path| path.is_file());
    beside.context("the lab is not built: run `cargo build --workspace` first, as `make test` does")
}
