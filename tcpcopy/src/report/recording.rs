//! The files of a replay in the report: every frame is used, or there is a reason.

use serde::Serialize;
use tcpcopy_cli::{Named, Table, count, duration};
use tcpcopy_core::runtime::{FileTotals, RecordingTotals};
use tcpcopy_core::wire::DropReason;

/// Adds the section about files to a report for people; not one line of it for a live capture.
pub(crate) fn add(table: &mut Table, totals: Option<&RecordingTotals>) {
    let Some(totals) = totals else { return };
    table.section("Files");
    let laps = if totals.laps > 1 {
        format!("lap {} of {}; ", count(totals.lap.into()), count(totals.laps.into()))
    } else {
        String::new()
    };
    let end = if totals.is_read { "" } else { ", and stopped there" };
    table.line("replayed", duration(totals.position), format!("{laps}of the recording's own time{end}"));
    for file in &totals.files {
        add_file(table, file);
    }
}

fn add_file(table: &mut Table, file: &FileTotals) {
    table.line(&file.name, count(file.frames()), "frames");
    table.line_if_any("used", file.used, "handed on to be replayed");
    table.line_if_any("not due", file.not_due, "read ahead of the time they are due at");
    table.line_if_any("before start", file.before_start, "from before --start");
    table.line_if_any("filtered", file.filtered, "not let through by -F");
    table.line_if_any("not mapped", file.not_mapped, "to and from no online address of -x");
    table.line_if_any("answers", file.answers, "of online servers; no module wanted to see them");
    let unusable: u64 = file.unusable.iter().sum();
    table.line_if_any("unusable", unusable, "by reason: see above");
    if let Some(damage) = &file.damage {
        table.line("damaged", "yes", damage.clone());
    }
}

/// The field `recording` of a report.
#[derive(Debug, Serialize)]
pub(crate) struct RecordingReport<'a> {
    lap: u32,
    laps: u32,
    position_ms: u64,
    bytes_read: u64,
    bytes_total: Option<u64>,
    is_read: bool,
    files: Vec<FileReport<'a>>,
}

#[derive(Debug, Serialize)]
struct FileReport<'a> {
    file: &'a str,
    frames: u64,
    used: u64,
    not_due: u64,
    before_start: u64,
    filtered: u64,
    not_mapped: u64,
    answers: u64,
    unusable: Named<u64>,
    damage: Option<&'a str>,
}

impl<'a> RecordingReport<'a> {
    /// The field for `totals`.
    pub(crate) fn new(totals: &'a RecordingTotals) -> Self {
        let RecordingTotals { files, lap, laps, position, bytes_read, bytes_total, is_read } = totals;
        Self {
            lap: *lap,
            laps: *laps,
            position_ms: u64::try_from(position.as_millis()).unwrap_or(u64::MAX),
            bytes_read: *bytes_read,
            bytes_total: *bytes_total,
            is_read: *is_read,
            files: files.iter().map(FileReport::new).collect(),
        }
    }
}

impl<'a> FileReport<'a> {
    fn new(totals: &'a FileTotals) -> Self {
        let FileTotals { name, before_start, filtered, unusable, not_mapped, answers, used, not_due, damage } =
            totals;
        let reasons = DropReason::ALL.iter().map(|reason| reason.name());
        Self {
            file: name,
            frames: totals.frames(),
            used: *used,
            not_due: *not_due,
            before_start: *before_start,
            filtered: *filtered,
            not_mapped: *not_mapped,
            answers: *answers,
            unusable: reasons.zip(*unusable).collect(),
            damage: damage.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn totals() -> RecordingTotals {
        let mut unusable = [0; DropReason::ALL.len()];
        unusable[DropReason::NotIp as usize] = 3;
        let file = FileTotals {
            name: "a.pcap".to_owned(),
            used: 30,
            not_due: 10,
            answers: 50,
            not_mapped: 7,
            unusable,
            damage: Some("it ends in the middle of a record (after 9 bytes, unpacked)".to_owned()),
            ..FileTotals::default()
        };
        RecordingTotals {
            files: vec![file],
            lap: 2,
            laps: 3,
            position: Duration::from_millis(61_500),
            bytes_read: 1000,
            bytes_total: Some(2000),
            is_read: false,
        }
    }

    #[test]
    fn every_frame_of_a_file_is_accounted_for() {
        let mut table = Table::new();
        add(&mut table, Some(&totals()));
        let expected = "\
Files
  replayed    1m 1s  lap 2 of 3; of the recording's own time, and stopped there
  a.pcap        100  frames
  used           30  handed on to be replayed
  not due        10  read ahead of the time they are due at
  not mapped      7  to and from no online address of -x
  answers        50  of online servers; no module wanted to see them
  unusable        3  by reason: see above
  damaged       yes  it ends in the middle of a record (after 9 bytes, unpacked)
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn the_report_for_machines_has_every_number() {
        let json = serde_json::to_value(RecordingReport::new(&totals())).unwrap();
        assert_eq!((&json["lap"], &json["position_ms"]), (&2.into(), &61_500.into()));
        let file = &json["files"][0];
        let sum: u64 = ["used", "not_due", "before_start", "filtered", "not_mapped", "answers"]
            .iter()
            .map(|name| file[name].as_u64().unwrap())
            .sum();
        assert_eq!(sum + file["unusable"]["not_ip"].as_u64().unwrap(), file["frames"].as_u64().unwrap());
    }
}
