//! `ctl stats` for people.

use std::time::Duration;

use tcpcopy_cli::{Table, bytes, count, duration};
use tcpcopy_core::runtime::{Account, StatsAnswer};

use crate::report::{comparison, modules};

/// What was replayed so far, and how the answers compare.
pub(super) fn text(stats: &StatsAnswer) -> String {
    let running = duration(Duration::from_millis(stats.running_for_ms));
    let mut table = Table::new();
    table.section("Sessions");
    table.line("opened", count(stats.sessions_opened), "");
    table.line("live", count(stats.sessions_live), "");
    for ended in &stats.verdicts {
        let lost = match ended.turns_lost {
            0 => String::new(),
            turns => format!("lost {} turns, {}", count(turns), bytes(ended.bytes_lost)),
        };
        table.line(&ended.verdict, count(ended.sessions), lost);
    }
    add_account(&mut table, "Turns", &stats.turns, count);
    add_account(&mut table, "Bytes users said", &stats.bytes, bytes);
    if stats.bytes_inserted > 0 {
        table.line("inserted", bytes(stats.bytes_inserted), "said by modules of their own");
    }
    format!(
        "running for {running}\n{table}{}{}",
        modules::discards(&stats.discards),
        comparison::text(&stats.comparisons, stats.exchanges_dropped)
    )
}

fn add_account(table: &mut Table, heading: &str, account: &Account, show: fn(u64) -> String) {
    table.section(heading);
    table.line("captured", show(account.captured), "");
    table.line("delivered", show(account.delivered), "");
    for (label, number) in
        [("lost", account.lost), ("pending", account.pending), ("left out", account.discarded)]
    {
        if number > 0 {
            table.line(label, show(number), "");
        }
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_core::runtime::{DiscardTotals, VerdictTotals};

    use super::*;

    #[test]
    fn stats_tell_of_what_happened() {
        let stats = StatsAnswer {
            running_for_ms: 60_000,
            sessions_opened: 20,
            sessions_live: 3,
            verdicts: vec![VerdictTotals {
                verdict: "complete".to_owned(),
                sessions: 17,
                turns_lost: 0,
                bytes_lost: 0,
            }],
            turns: Account { captured: 100, delivered: 99, lost: 0, pending: 1, discarded: 0 },
            bytes: Account { captured: 9_000, delivered: 8_000, lost: 0, pending: 100, discarded: 900 },
            bytes_inserted: 70,
            discards: vec![DiscardTotals { reason: "read only".to_owned(), times: 9, bytes: 900 }],
            comparisons: Vec::new(),
            exchanges_dropped: 0,
        };
        let expected = "\
running for 1m
Sessions
  opened          20
  live             3
  complete        17
Turns
  captured       100
  delivered       99
  pending          1
Bytes users said
  captured   9.00 kB
  delivered  8.00 kB
  pending      100 B
  left out     900 B
  inserted      70 B  said by modules of their own
Left out by modules
  read only  9 times  900 B
";
        assert_eq!(text(&stats), expected);
    }
}
