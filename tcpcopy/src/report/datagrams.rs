//! What became of datagrams, in every kind of report.

use serde::Serialize;
use tcpcopy_cli::{Named, Table, bytes, count};
use tcpcopy_core::engine::{DatagramStatistics, FragmentTotals, Uncopied};

/// Adds the section about datagrams to a report for people.
pub(crate) fn add(table: &mut Table, datagrams: &DatagramStatistics, copies: u16) {
    table.section("Datagrams");
    table.line("captured", count(datagrams.captured), bytes(datagrams.captured_bytes));
    let wanted = if copies > 1 { format!("{copies} times each (-n)") } else { String::new() };
    table.line("copied", count(datagrams.copied), wanted);
    for (reason, number) in Uncopied::ALL.iter().zip(datagrams.uncopied) {
        table.line_if_any(reason.name(), number, reason.explanation());
    }
    table.line("copies", count(datagrams.copies), bytes(datagrams.copied_bytes));
    table.line_if_any(
        "missing copies",
        datagrams.copies_without_source,
        "every source address and port (-c) was in use",
    );
    table.line_if_any("in fragments", datagrams.fragmented_copies, "copies that were longer than -M allows");
    table.line_if_any(
        "forgotten users",
        datagrams.flows_forgotten,
        "their later copies may come from other ends",
    );
    let FragmentTotals { captured, joined, datagrams, repeated, lost, pending } = datagrams.fragments;
    if captured > 0 {
        table.section("Captured fragments");
        table.line("captured", count(captured), "");
        table.line("put together", count(joined), format!("to {} datagrams", count(datagrams)));
        table.line_if_any("repeated", repeated, "there already");
        table.line_if_any("lost", lost, "the rest of their datagram did not come, or contradicts them");
        table.line_if_any("waiting", pending, "for the rest of their datagram at the end");
    }
}

/// The rest of a summary line.
pub(crate) fn summary(datagrams: &DatagramStatistics) -> String {
    let DatagramStatistics { captured, copied, copies, copied_bytes, fragments, .. } = datagrams;
    format!(
        "datagrams_captured={captured} datagrams_copied={copied} copies={copies} copied_bytes={copied_bytes} \
         fragments_lost={}",
        fragments.lost
    )
}

/// The field `datagrams` of a report.
#[derive(Debug, Serialize)]
pub(crate) struct DatagramsReport {
    datagrams_captured: u64,
    captured_bytes: u64,
    datagrams_copied: u64,
    uncopied: Named<u64>,
    copies_wanted: u16,
    copies: u64,
    copied_bytes: u64,
    copies_without_source: u64,
    fragmented_copies: u64,
    users: u64,
    users_forgotten: u64,
    fragments_captured: u64,
    fragments_joined: u64,
    datagrams_joined: u64,
    fragments_repeated: u64,
    fragments_lost: u64,
    fragments_pending: u64,
}

impl DatagramsReport {
    pub(crate) fn new(datagrams: &DatagramStatistics, copies_wanted: u16) -> Self {
        // Taken apart, so that a new counter cannot be forgotten here.
        let DatagramStatistics {
            captured,
            captured_bytes,
            copied,
            uncopied,
            copies,
            copied_bytes,
            copies_without_source,
            fragmented_copies,
            fragments,
            flows,
            flows_forgotten,
        } = *datagrams;
        Self {
            datagrams_captured: captured,
            captured_bytes,
            datagrams_copied: copied,
            uncopied: Uncopied::ALL.iter().map(|reason| reason.name()).zip(uncopied).collect(),
            copies_wanted,
            copies,
            copied_bytes,
            copies_without_source,
            fragmented_copies,
            users: flows,
            users_forgotten: flows_forgotten,
            fragments_captured: fragments.captured,
            fragments_joined: fragments.joined,
            datagrams_joined: fragments.datagrams,
            fragments_repeated: fragments.repeated,
            fragments_lost: fragments.lost,
            fragments_pending: fragments.pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> DatagramStatistics {
        DatagramStatistics {
            captured: 1_000,
            captured_bytes: 50_000,
            copied: 990,
            uncopied: [0, 10, 0, 0, 0, 0],
            copies: 2_960,
            copied_bytes: 140_000,
            copies_without_source: 10,
            fragmented_copies: 30,
            fragments: FragmentTotals {
                captured: 50,
                joined: 45,
                datagrams: 9,
                repeated: 1,
                lost: 3,
                pending: 1,
            },
            flows: 7,
            flows_forgotten: 0,
        }
    }

    #[test]
    fn people_are_told_what_happened_and_nothing_else() {
        let mut table = Table::new();
        add(&mut table, &example(), 3);
        let expected = "\
Datagrams
  captured        1,000  50.0 kB
  copied            990  3 times each (-n)
  not_sampled        10  of users that -r, -g or --share leaves out
  copies          2,960  140 kB
  missing copies     10  every source address and port (-c) was in use
  in fragments       30  copies that were longer than -M allows
Captured fragments
  captured           50
  put together       45  to 9 datagrams
  repeated            1  there already
  lost                3  the rest of their datagram did not come, or contradicts them
  waiting             1  for the rest of their datagram at the end
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn the_report_is_as_documented() {
        let expected = serde_json::json!({
            "datagrams_captured": 1_000, "captured_bytes": 50_000, "datagrams_copied": 990,
            "uncopied": {
                "not_mapped": 0, "not_sampled": 10, "truncated": 0, "too_long": 0, "no_source_address": 0,
                "sources_exhausted": 0,
            },
            "copies_wanted": 3, "copies": 2_960, "copied_bytes": 140_000, "copies_without_source": 10,
            "fragmented_copies": 30, "users": 7, "users_forgotten": 0,
            "fragments_captured": 50, "fragments_joined": 45, "datagrams_joined": 9, "fragments_repeated": 1,
            "fragments_lost": 3, "fragments_pending": 1,
        });
        assert_eq!(serde_json::to_value(DatagramsReport::new(&example(), 3)).unwrap(), expected);
        assert_eq!(
            summary(&example()),
            "datagrams_captured=1000 datagrams_copied=990 copies=2960 copied_bytes=140000 fragments_lost=3"
        );
    }
}
