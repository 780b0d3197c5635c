//! The modules in reports for people: who served, at what cost, and what they left out.

use tcpcopy_cli::{Align, Grid, bytes, count};
use tcpcopy_core::runtime::{DiscardTotals, GenerationTotals, ReasonTotals};

/// Reasons shown of one generation; `--json` has all.
const MOST_REASONS: usize = 10;

/// Every generation, a line each, and the reasons for which they gave sessions up or broke; empty without any.
pub(crate) fn text(generations: &[GenerationTotals]) -> String {
    if generations.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new([
        ("mapping", Align::Left),
        ("gen", Align::Right),
        ("module", Align::Left),
        ("state", Align::Left),
        ("sessions", Align::Right),
        ("live", Align::Right),
        ("moved in", Align::Right),
        ("gave up", Align::Right),
        ("broke", Align::Right),
        ("calls", Align::Right),
        ("mean", Align::Right),
        ("longest", Align::Right),
        ("slow", Align::Right),
    ]);
    generations.iter().for_each(|generation| grid.row(cells(generation)));
    // Moving, giving up, breaking and being slow are worth a column only if it happened.
    grid.retain_columns(|index, cells| {
        !matches!(index, 6 | 7 | 8 | 12) || cells.iter().any(|cell| *cell != "0")
    });
    let mut text = format!("Modules\n{grid}");
    for generation in generations {
        let configuration = match generation.configuration.as_str() {
            "" => String::new(),
            "inline" => ", configured in words".to_owned(),
            path => format!(", configured by {path}"),
        };
        text.push_str(&format!("  {}: {}{configuration}\n", generation.module.generation, generation.file));
        text.push_str(&reasons("gave up", &generation.gave_up_reasons));
        text.push_str(&reasons("broke", &generation.fault_reasons));
        text.push_str(&reasons("remarked", &generation.remarks));
    }
    text
}

fn cells(generation: &GenerationTotals) -> [String; 13] {
    let module = &generation.module;
    let called = generation.mean_call_ns.is_some();
    [
        module.mapping.clone(),
        module.generation.to_string(),
        format!("{} {}", module.name, module.version),
        generation.state.replace('_', " "),
        count(generation.sessions_opened),
        count(generation.sessions_live),
        count(generation.sessions_moved_in),
        count(generation.gave_up),
        count(generation.faults),
        count(generation.calls),
        generation.mean_call_ns.map_or("-".to_owned(), time),
        if called { time(generation.longest_call_ns) } else { "-".to_owned() },
        count(generation.slow_calls),
    ]
}

fn reasons(what: &str, reasons: &[ReasonTotals]) -> String {
    let mut grid = Grid::new([("", Align::Left), ("", Align::Right), ("", Align::Left)]);
    for ReasonTotals { reason, times } in reasons.iter().take(MOST_REASONS) {
        grid.row([format!("  {what}"), count(*times), reason.clone()]);
    }
    match reasons.len().saturating_sub(MOST_REASONS) {
        0 => grid.to_string(),
        more => format!("{grid}    … and {} more reasons\n", count(more as u64)),
    }
}

/// What modules left out, by reason; empty without any.
pub(crate) fn discards(discards: &[DiscardTotals]) -> String {
    if discards.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new([("", Align::Left), ("", Align::Right), ("", Align::Right)]);
    for DiscardTotals { reason, times, bytes: left_out } in discards {
        grid.row([reason.clone(), format!("{} times", count(*times)), bytes(*left_out)]);
    }
    format!("Left out by modules\n{grid}")
}

/// A short time from nanoseconds, with its unit.
fn time(nanos: u64) -> String {
    let (scaled, unit) = match nanos {
        nanos if nanos < 1_000 => return format!("{nanos} ns"),
        nanos if nanos < 1_000_000 => (nanos as f64 / 1e3, "µs"),
        nanos if nanos < 1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        nanos => (nanos as f64 / 1e9, "s"),
    };
    format!("{scaled:.1} {unit}")
}

/// A generation with something in every part.
#[cfg(test)]
pub(crate) fn example(generation: u32, state: &str) -> GenerationTotals {
    use tcpcopy_core::runtime::ModuleName;

    GenerationTotals {
        module: ModuleName {
            mapping: "80".to_owned(),
            generation,
            name: "http".to_owned(),
            version: format!("1.{generation}.0"),
        },
        state: state.to_owned(),
        api: "1.0".to_owned(),
        file: "/opt/libhttp_mod.so".to_owned(),
        configuration: "/etc/http.toml".to_owned(),
        sessions_opened: 1_180,
        sessions_live: 4,
        sessions_moved_in: 0,
        turns_captured: 64_000,
        turns_lost: 3,
        gave_up: 0,
        gave_up_reasons: Vec::new(),
        faults: 0,
        fault_reasons: Vec::new(),
        remarks: Vec::new(),
        calls: 1_234_567,
        mean_call_ns: Some(850),
        longest_call_ns: 3_400_000,
        slow_calls: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_stand_under_each_other() {
        let expected = "\
Modules
  mapping  gen  module      state    sessions  live      calls    mean  longest
  80         1  http 1.1.0  retired     1,180     4  1,234,567  850 ns   3.4 ms
  80         2  http 1.2.0  current     1,180     4  1,234,567  850 ns   3.4 ms
  1: /opt/libhttp_mod.so, configured by /etc/http.toml
  2: /opt/libhttp_mod.so, configured by /etc/http.toml
";
        assert_eq!(text(&[example(1, "retired"), example(2, "current")]), expected);
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn what_went_wrong_is_told_with_its_reasons() {
        let reason = |reason: &str, times| ReasonTotals { reason: reason.to_owned(), times };
        let failed = GenerationTotals {
            gave_up: 15,
            gave_up_reasons: vec![reason("the target refused the account", 12), reason("no greeting", 3)],
            faults: 3,
            fault_reasons: (0..12).map(|number| reason(&format!("panic {number}"), 1)).collect(),
            mean_call_ns: None,
            ..example(3, "rolled_back")
        };
        let text = text(&[failed]);
        let head = "\
Modules
  mapping  gen  module      state        sessions  live  gave up  broke      calls  mean  longest
  80         3  http 1.3.0  rolled back     1,180     4       15      3  1,234,567     -        -
  3: /opt/libhttp_mod.so, configured by /etc/http.toml
    gave up  12  the target refused the account
    gave up   3  no greeting
    broke  1  panic 0
";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("    broke  1  panic 9\n    … and 2 more reasons\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn short_times_have_a_fitting_unit() {
        let times = [0, 999, 1_500, 2_000_000, 3_000_000_000].map(time);
        assert_eq!(times, ["0 ns", "999 ns", "1.5 µs", "2.0 ms", "3.0 s"]);
    }
}
