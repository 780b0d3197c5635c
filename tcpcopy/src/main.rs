//! tcpcopy: replays live TCP traffic of a production server against a test server.
//!
//! Flags become a configuration, the runtime does the work, and what it tells becomes log lines and reports.

#![forbid(unsafe_code)]

mod agreement;
mod command_line;
mod commands;
mod configuration;
mod ctl;
mod doctor;
mod endpoint_flag;
mod flags;
mod idle_flags;
mod intake;
mod intercept_flag;
mod manual;
mod mapping_flag;
mod mirror_flag;
mod module_flag;
mod new_module;
mod plan;
mod report;
mod report_json;
mod share_flag;
mod sources_flag;
mod status_line;
mod summary;
mod tempo_flag;
mod transmit_flags;

use std::path::Path;
use std::process::ExitCode;

use tcpcopy_cli::{Failure, Program, Running, run_program};
use tcpcopy_core::host::{exit_at_once, probe};
use tcpcopy_core::runtime::{Copying, Replay, ReplayEnd, ReplayOptions, ReplaySnapshot, Transport};

use crate::command_line::CommandLine;
use crate::flags::Flags;
use crate::report::Subject;
use crate::status_line::StatusLine;

const PROGRAM: Program =
    Program { name: env!("CARGO_BIN_NAME"), version: env!("CARGO_PKG_VERSION"), manual: manual::SECTIONS };

/// The word by which this program is started to try a module, in a process of its own.
const PROBE: &str = "module-probe";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(word), Some(file)) = (arguments.next(), arguments.next())
        && word == PROBE
    {
        return probe(Path::new(&file));
    }
    let mut is_in_library = false;
    let status = run_program(PROGRAM, |line: CommandLine| match &line.command {
        Some(command) => command.run(),
        None => replay(&line.flags, &mut is_in_library),
    });
    if is_in_library {
        exit_at_once(status);
    }
    ExitCode::from(status)
}

/// `is_in_library` becomes whether a thread is left that does not return from the library of a module.
fn replay(flags: &Flags, is_in_library: &mut bool) -> Result<(), Failure> {
    let configuration = configuration::of(flags)?;
    let Some(running) = Running::begin(PROGRAM, &flags.run)? else {
        return Ok(());
    };
    let remarks = flags.remark_on_udp().into_iter().chain(flags.remark_on_dry_run());
    for remark in flags.idle.remark().iter().map(String::as_str).chain(remarks) {
        log::info!("{remark}");
    }
    if let Some(warning) = flags.warning_on_udp() {
        log::warn!("{warning}");
    }
    let options = ReplayOptions { snapshot_interval: running.snapshot_interval(), ..configuration };
    match options.transport {
        Transport::Tcp => replay_connections(options, running, is_in_library),
        Transport::Udp => copy_datagrams(options, running),
    }
}

fn replay_connections(
    options: ReplayOptions,
    running: Running,
    is_in_library: &mut bool,
) -> Result<(), Failure> {
    let mut subject = Subject::of(&options);
    let mut replay = Replay::start(options).map_err(|error| running.start_failed(error))?;
    subject.devices = replay.devices();
    subject.modules = replay.modules().collect();
    if let Some(socket) = replay.admin_socket() {
        log::debug!("tcpcopy ctl reaches this process at {}", socket.display());
    }
    running.announce(&subject.to_string());
    let end = replay.run(on_snapshot(&running), |notice| running.handle_notice(notice));
    let outcome = finish(running, &subject, end);
    // What modules do when they are let go may take its time, and cost nobody the report.
    *is_in_library = !replay.close();
    outcome
}

fn copy_datagrams(options: ReplayOptions, running: Running) -> Result<(), Failure> {
    let mut subject = Subject::of(&options);
    let copying = Copying::start(options).map_err(|error| running.start_failed(error))?;
    subject.devices = copying.devices();
    running.announce(&subject.to_string());
    let end = copying.run(on_snapshot(&running), |notice| running.handle_notice(notice));
    finish(running, &subject, end)
}

fn finish(running: Running, subject: &Subject, end: ReplayEnd) -> Result<(), Failure> {
    running.finish(&report::text(PROGRAM, &end), &report_json::Report::new(PROGRAM, subject, &end))?;
    match (end.broken, &end.snapshot.recording) {
        (Some(sentence), _) => Err(Failure::Start(sentence)),
        (None, Some(_)) => Ok(()),
        (None, None) => Failure::unless_captured_to_the_end(&end.snapshot.capture),
    }
}

/// Shows how it goes on.
fn on_snapshot(running: &Running) -> impl FnMut(&ReplaySnapshot) {
    let mut cadence = running.cadence();
    let mut status = StatusLine::default();
    move |snapshot| {
        running.show_status(|| status.text(snapshot));
        if cadence.is_due(snapshot.running_for) {
            log::info!("{}", summary::line(snapshot));
        }
    }
}
