//! intercept: returns the responses of the test server, as headers, to every tcpcopy whose sessions they belong to.
//!
//! Flags become a configuration, the runtime does the work, and what it tells becomes log lines and reports.

#![forbid(unsafe_code)]

mod flags;
mod idle_flags;
mod manual;
mod report;
mod report_json;
mod status_line;
mod summary;
mod translation_flag;

use std::net::SocketAddr;
use std::process::ExitCode;

use tcpcopy_cli::{Failure, Program, Running, run_program};
use tcpcopy_core::runtime::{Relaying, RelayingOptions};

use crate::flags::{Command, Flags};
use crate::report_json::{Report, Subject};
use crate::status_line::StatusLine;

const PROGRAM: Program =
    Program { name: env!("CARGO_BIN_NAME"), version: env!("CARGO_PKG_VERSION"), manual: manual::SECTIONS };

fn main() -> ExitCode {
    ExitCode::from(run_program(PROGRAM, run))
}

fn run(flags: Flags) -> Result<(), Failure> {
    match &flags.command {
        Some(Command::Config(config)) => config.run(|_: &Flags| Ok(())),
        None => relay(flags),
    }
}

fn relay(flags: Flags) -> Result<(), Failure> {
    let filter = flags.filter.clone().unwrap_or_default();
    let Some(running) = Running::begin(PROGRAM, &flags.run)? else {
        return Ok(());
    };
    let subject = Subject {
        devices: flags.device.clone(),
        filter: filter.clone(),
        listen: SocketAddr::new(flags.bind, flags.port),
    };
    if let Some(remark) = flags.idle.remark() {
        log::info!("{remark}");
    }
    let relay = flags.relay();
    let relaying = Relaying::start(RelayingOptions {
        devices: flags.device,
        filter,
        buffer_bytes: flags.buffer << 20,
        listen: subject.listen,
        relay,
        snapshot_interval: running.snapshot_interval(),
    });
    let relaying = relaying.map_err(|error| running.start_failed(error))?;
    running.announce(&subject.to_string());

    let mut cadence = running.cadence();
    let mut status = StatusLine::default();
    let last = relaying.run(
        |snapshot| {
            running.show_status(|| status.text(snapshot));
            if cadence.is_due(snapshot.running_for) {
                log::info!("{}", summary::line(snapshot));
            }
        },
        |notice| running.handle_notice(notice),
    );
    running.finish(&report::text(PROGRAM, &last), &Report::new(PROGRAM, &subject, &last))?;
    Failure::unless_captured_to_the_end(&last.capture)
}
