//! The flags about running, the same for both programs.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use log::LevelFilter;

use crate::daemon::DETACHED_FLAG;
use crate::number;

/// How often the C tools write their statistics, too.
const INTERVAL_DEFAULT: &str = "30";

/// The flags about running, logging and reporting.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Running and reporting")]
pub struct RunFlags {
    /// Take options from FILE as well: TOML, under their long names; the command line wins
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Append the log to FILE instead of writing it to standard error; SIGHUP and SIGUSR1 open the file anew
    #[arg(short = 'l', long = "log", value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Log this and what is graver: error, warn, info, debug or trace
    #[arg(long = "log-level", value_name = "LEVEL", default_value = "info", value_parser = log_level)]
    pub log_level: LevelFilter,

    /// Write the process number to FILE; it is removed at the end
    #[arg(short = 'P', long = "pid-file", value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// Go into the background once everything is set up; without -l the log is in /var/log
    #[arg(short = 'd', long)]
    pub daemon: bool,

    /// Write a report in JSON to FILE at the end
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Log a summary line every so many seconds; 0: none
    #[arg(long, value_name = "SECONDS", default_value = INTERVAL_DEFAULT)]
    #[arg(value_parser = number(0_u64..=86_400, "seconds"), allow_negative_numbers = true)]
    pub interval: u64,

    /// Print this help and end
    #[arg(short = 'h', long, action = ArgAction::Help)]
    pub help: Option<bool>,

    /// Print the version and end
    #[arg(short = 'v', long, action = ArgAction::Version)]
    pub version: Option<bool>,

    /// This process is the daemon that another one waits for.
    #[arg(long = DETACHED_FLAG, hide = true)]
    pub detached: bool,
}

/// Parses a level of the log.
///
/// # Errors
/// The half sentence that says what is allowed.
pub fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => Err("it takes error, warn, info, debug or trace".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_five_words() {
        assert_eq!(log_level("warn"), Ok(LevelFilter::Warn));
        assert_eq!(log_level("TRACE"), Ok(LevelFilter::Trace));
        for wrong in ["", "verbose", "off", "3"] {
            assert_eq!(log_level(wrong).unwrap_err(), "it takes error, warn, info, debug or trace");
        }
    }
}
