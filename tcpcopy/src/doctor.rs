//! `tcpcopy doctor`: examines, with the options of a replay, whether that replay would work, and says what is in its way.

use std::io::{self, Write};
use std::net::IpAddr;

use clap::Args;
use serde::Serialize;
use tcpcopy_cli::Failure;
use tcpcopy_core::runtime::{DoctorOptions, Finding, ReplayOptions, State, examine};

use crate::configuration;
use crate::endpoint_flag::host_address;
use crate::flags::Flags;

/// `doctor`.
#[derive(Clone, Debug, Args)]
#[command(version, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Doctor {
    /// Send the probes from ADDRESS [default: the first of -c; without -c that of a user who is
    /// connected now, or 192.0.2.1 and 2001:db8::1]
    #[arg(long, value_name = "ADDRESS", value_parser = source, help_heading = "Doctor")]
    probe_from: Option<IpAddr>,

    /// Print the findings as JSON
    #[arg(long, help_heading = "Doctor")]
    json: bool,

    #[command(flatten)]
    flags: Flags,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Line<'a> {
    subject: &'a str,
    state: &'a str,
    text: &'a str,
}

impl Doctor {
    /// Examines, and shows each finding as soon as there is one.
    ///
    /// # Errors
    /// [`Failure::WrongValue`] for options that cannot go together, [`Failure::Reported`] when there is a problem.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let options = self.options(configuration::in_a_loop(&self.flags, "doctor")?);
        let mut findings = Vec::new();
        examine(&options, |finding| {
            if !self.json {
                // Nobody may be there to read it.
                let _ = writeln!(io::stdout(), "{}", line(finding));
            }
            findings.push(finding.clone());
        });
        if self.json {
            let lines: Vec<Line<'_>> = findings.iter().map(json).collect();
            let json = serde_json::to_string_pretty(&lines);
            let json =
                json.map_err(|error| Failure::Start(format!("the findings cannot be printed: {error}")))?;
            let _ = writeln!(io::stdout(), "{json}");
        }
        let has_problem = findings.iter().any(|finding| finding.state == State::Problem);
        if has_problem { Err(Failure::Reported(1)) } else { Ok(()) }
    }

    fn options(&self, replay: ReplayOptions) -> DoctorOptions {
        DoctorOptions {
            mappings: replay.mappings,
            intake: replay.intake,
            transmit: replay.transmit,
            way_back: replay.way_back,
            sources: replay.engine.sources,
            probe_from: self.probe_from,
        }
    }
}

fn line(finding: &Finding) -> String {
    format!("{:<8} {:<11} {}", word(finding.state), finding.subject, finding.text)
}

fn json(finding: &Finding) -> Line<'_> {
    Line { subject: finding.subject, state: word(finding.state), text: &finding.text }
}

const fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Note => "note",
        State::Problem => "problem",
    }
}

fn source(text: &str) -> Result<IpAddr, String> {
    host_address(text.trim())
        .map_err(|wrong| format!("{wrong}; it takes an address that the target routes to the assistant"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding { subject: "route", state: State::Problem, text: "there is none".to_owned() };
        assert_eq!(line(&finding), "problem  route       there is none");
    }

    #[test]
    fn a_probe_comes_from_the_address_of_a_host() {
        assert_eq!(source("10.30.0.1"), Ok("10.30.0.1".parse().unwrap()));
        assert!(
            source("224.0.0.1")
                .unwrap_err()
                .ends_with("it takes an address that the target routes to the assistant")
        );
    }
}
