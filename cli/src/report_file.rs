//! The report for machines: a JSON file, written when the program ends.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use tcpcopy_core::wire::Instant;

use crate::{Failure, Program};

/// Raised when a field changes its meaning or goes; new fields may come at any time.
pub const REPORT_VERSION: u32 = 1;

/// What every report begins with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportHead {
    report_version: u32,
    program: &'static str,
    version: &'static str,
    started_at: String,
    ended_at: String,
    running_for_ms: u64,
}

impl ReportHead {
    /// The head of the report of a run that ended at `at`, `running_for` after its start.
    #[must_use]
    pub fn new(program: Program, at: Instant, running_for: Duration) -> Self {
        let rfc3339 = |instant: Instant| {
            let time = UNIX_EPOCH + Duration::from_micros(instant.micros());
            humantime::format_rfc3339_millis(time).to_string()
        };
        Self {
            report_version: REPORT_VERSION,
            program: program.name,
            version: program.version,
            started_at: rfc3339(at - running_for),
            ended_at: rfc3339(at),
            running_for_ms: u64::try_from(running_for.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Finds out at the start whether the report can be written at the end; what the file holds stays.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map(drop).map_err(|error| failure(path, &error))
}

pub(crate) fn write(path: &Path, report: &impl Serialize) -> Result<(), Failure> {
    let written = serde_json::to_vec_pretty(report).map_err(io::Error::from).and_then(|mut text| {
        text.push(b'\n');
        fs::File::create(path)?.write_all(&text)
    });
    written.map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::Start(format!(
        "cannot write the report {}: {error}; name another file with --report",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_who_and_when() {
        let program = Program { name: "tcpcopy", version: "0.1.0", manual: &[] };
        let at = Instant::from_micros(1_795_400_003_250_000);
        let head = ReportHead::new(program, at, Duration::from_millis(3_250));
        assert_eq!(
            serde_json::to_string(&head).unwrap(),
            r#"{"report_version":1,"program":"tcpcopy","version":"0.1.0","started_at":"2026-11-23T02:13:20.000Z","ended_at":"2026-11-23T02:13:23.250Z","running_for_ms":3250}"#
        );
    }

    #[test]
    fn a_report_replaces_the_one_before_but_checking_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        fs::write(&path, "[1, 2, 3, 4, 5, 6, 7]").unwrap();
        check(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[1, 2, 3, 4, 5, 6, 7]");
        write(&path, &[8]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  8\n]\n");
    }

    #[test]
    fn a_place_we_may_not_write_to_is_named() {
        let failure = check(Path::new("/nowhere/report.json")).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "cannot write the report /nowhere/report.json: No such file or directory (os error 2); \
             name another file with --report"
        );
    }
}
