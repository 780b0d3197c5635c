//! The `lab` command: the demo, the scenarios, the fidelity table, the benchmark.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;
use tcpcopy_lab::datagrams::{run_receiver, run_senders};
use tcpcopy_lab::fidelity::Selection;
use tcpcopy_lab::scenario::peers::{Peers, Whose};
use tcpcopy_lab::scenario::run as play;
use tcpcopy_lab::scenario::table;
use tcpcopy_lab::terminal::fraction;
use tcpcopy_lab::traffic::{run_server, run_users};
use tcpcopy_lab::world::private::{self, Entered};
use tcpcopy_lab::world::wire;
use tcpcopy_lab::{bench, check, demo, doctor, fidelity, mirror, record};

/// Hosts in network namespaces, tagged traffic between them, and exact accounting of what the target received.
///
/// Works as root and as an ordinary user; never touches the machine's own network.
#[derive(Debug, Parser)]
#[command(name = "lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a scenario on the terminal and show, side by side, what users did and what the target received
    Demo {
        /// The scenario (see `lab list`)
        #[arg(default_value = table::DEMO)]
        scenario: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// List the scenarios
    List,
    /// Play scenarios and say what came of each
    Run {
        /// Their names (see `lab list`)
        #[arg(required = true)]
        scenarios: Vec<String>,
        /// Keep logs, plans and records in this directory
        #[arg(long, value_name = "DIR")]
        keep_logs: Option<PathBuf>,
        /// One line of JSON for each
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Play all scenarios and print what part of the requests reached the target; fails when a scenario does
    Fidelity {
        /// Only these
        scenarios: Vec<String>,
        /// Only a selection that takes a few minutes
        #[arg(long, conflicts_with = "scenarios")]
        quick: bool,
        /// Keep logs, plans and records in this directory
        #[arg(long, value_name = "DIR")]
        keep_logs: Option<PathBuf>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Measure processor time, memory and losses at rising rates, and what modules cost
    Bench {
        /// Only these parts
        #[arg(value_enum)]
        parts: Vec<bench::Part>,
    },
    /// Measure whether the hosts and impaired hops do what they say
    Check,
    /// Break a world in each way of the doctor's fault matrix, and hear what the doctor says
    Doctor {
        /// Only these entries
        names: Vec<String>,
        /// One line of JSON for each
        #[arg(long)]
        json: bool,
    },
    /// (started by the lab) Make requests as a plan says
    #[command(hide = true)]
    Users {
        /// The plan, as JSON
        plan: PathBuf,
        /// Where the record goes
        #[arg(long)]
        record: PathBuf,
    },
    /// (started by the lab) Answer requests as a plan says, until standard input ends
    #[command(hide = true)]
    Serve {
        /// The plan, as JSON
        plan: PathBuf,
        /// Where the record goes
        #[arg(long)]
        record: PathBuf,
    },
    /// (started by the lab) Send datagrams
    #[command(hide = true)]
    Send {
        /// The plan, as JSON
        plan: PathBuf,
        /// Where the record goes
        #[arg(long)]
        record: PathBuf,
    },
    /// (started by the lab) Receive datagrams until standard input ends
    #[command(hide = true)]
    Receive {
        /// The plan, as JSON
        plan: PathBuf,
        /// Where the record goes
        #[arg(long)]
        record: PathBuf,
    },
    /// (started by the lab) Record what a filter lets through into a file, until standard input ends
    #[command(hide = true)]
    Record {
        /// The file
        file: PathBuf,
        /// The filter
        filter: String,
    },
    /// (started by the lab) Send what comes in elsewhere, in a tunnel, until it is killed
    #[command(hide = true)]
    Mirror {
        /// The tunnel
        tunnel: mirror::Tunnel,
        /// The device
        device: String,
        /// The filter
        filter: String,
        /// Where copies go
        to: IpAddr,
    },
    /// (started by the lab) Forward frames over an impaired hop
    #[command(hide = true)]
    Wire {
        /// The plan, as JSON
        plan: PathBuf,
    },
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo { scenario, whose } => inside(|| demo::run(&scenario, &Peers::of(whose)?)),
        Command::List => list(),
        Command::Run { scenarios, keep_logs, json, whose } => {
            let keep = absolute(keep_logs)?;
            inside(|| run(&scenarios, keep.as_deref(), json, &Peers::of(whose)?))
        }
        Command::Fidelity { scenarios, quick, keep_logs, whose } => {
            let selection = match (quick, scenarios.is_empty()) {
                (true, _) => Selection::Quick,
                (false, true) => Selection::All,
                (false, false) => Selection::Named(scenarios),
            };
            let keep = absolute(keep_logs)?;
            inside(|| fidelity::run(&selection, &Peers::of(whose)?, keep.as_deref()))
        }
        Command::Bench { parts } => inside(|| bench::run(&parts).map(|()| true)),
        Command::Check => inside(|| check::run().map(|()| true)),
        Command::Doctor { names, json } => inside(|| doctor::run(&names, json)),
        Command::Users { plan, record } => users(&plan, &record),
        Command::Serve { plan, record } => serve(&plan, &record),
        Command::Send { plan, record } => send(&plan, &record),
        Command::Receive { plan, record } => receive(&plan, &record),
        Command::Record { file, filter } => {
            record::run(&file, &filter, || println!("ready")).map(|()| ExitCode::SUCCESS)
        }
        Command::Mirror { tunnel, device, filter, to } => {
            mirror::run(tunnel, &device, &filter, to, || println!("ready")).map(|()| ExitCode::SUCCESS)
        }
        Command::Wire { plan } => wire::run(&read_plan(&plan)?).map(|()| ExitCode::SUCCESS),
    }
}

/// Does `work` in the private namespaces; it says whether all went well.
fn inside(work: impl FnOnce() -> Result<bool>) -> Result<ExitCode> {
    match private::enter()? {
        Entered::Inside => work().map(|well| if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Entered::Done(code) => Ok(code),
    }
}

/// A directory as the lab finds it from everywhere.
fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>> {
    path.map(|path| std::path::absolute(&path).with_context(|| format!("{} is no path", path.display())))
        .transpose()
}

fn list() -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    for scenario in table::all() {
        let quick = if scenario.quick { "quick" } else { "" };
        let must = fraction(scenario.must);
        writeln!(out, "{:<24}{:>6}  {quick:<6}{}", scenario.name, must, scenario.about)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run(names: &[String], keep: Option<&Path>, json: bool, peers: &Peers) -> Result<bool> {
    if !json {
        return fidelity::run(&Selection::Named(names.to_vec()), peers, keep);
    }
    let mut passed = true;
    for name in names {
        let Some(scenario) = table::find(name) else {
            bail!("there is no scenario {name:?}; `lab list` shows them all");
        };
        let outcome = play::run(&scenario, peers, keep, &mut |_| {})?;
        passed &= outcome.passed();
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(passed)
}

fn users(plan: &Path, record: &Path) -> Result<ExitCode> {
    let done = run_users(read_plan(plan)?, |progress| {
        // Whoever started this reads it or does not.
        let line = serde_json::to_string(&progress).unwrap_or_default();
        writeln!(io::stdout().lock(), "{line}").ok();
    })?;
    done.write_to(record).with_context(|| format!("cannot write {}", record.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn serve(plan: &Path, record: &Path) -> Result<ExitCode> {
    let ready = || println!("ready");
    let done = run_server(read_plan(plan)?, ready, io::stdin())?;
    done.write_to(record).with_context(|| format!("cannot write {}", record.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn send(plan: &Path, record: &Path) -> Result<ExitCode> {
    let done = run_senders(read_plan(plan)?)?;
    done.write_to(record).with_context(|| format!("cannot write {}", record.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn receive(plan: &Path, record: &Path) -> Result<ExitCode> {
    let done = run_receiver(&read_plan(plan)?, || println!("ready"))?;
    done.write_to(record).with_context(|| format!("cannot write {}", record.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn read_plan<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the plan {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no plan", path.display()))
}
