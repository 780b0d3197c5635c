//! What the command lines of tcpcopy and intercept share, so that both behave alike: exit statuses and sentences
//! for wrong values, the flags about running, log, status line, pid file, daemon, and the shape of reports.
//!
//! Nothing in here knows what is replayed or relayed: that is the business of the two binaries.

#![forbid(unsafe_code)]

mod cadence;
mod capture_report;
mod config_check;
mod config_file;
mod console;
mod daemon;
mod documents;
mod failure;
mod grid;
mod logging;
mod named;
mod number;
mod pid_file;
mod program;
mod quantity;
mod report_file;
mod run_flags;
mod running;
mod shell_word;
mod table;
mod word_list;
mod wrong_usage;

pub use cadence::Cadence;
pub use capture_report::{CaptureReport, add_capture};
pub use config_check::ConfigCommand;
pub use failure::Failure;
pub use grid::{Align, Grid};
pub use named::Named;
pub use number::number;
pub use program::{Program, run_program};
pub use quantity::{bytes, count, duration, milliseconds, per_second};
pub use report_file::{REPORT_VERSION, ReportHead};
pub use run_flags::{RunFlags, log_level};
pub use running::Running;
pub use shell_word::shell_word;
pub use table::Table;
pub use word_list::{device, device_or_file, expression};
