//! How the answers compare, for people: what operators run a replay for.

use tcpcopy_cli::{Align, Grid, count, milliseconds};
use tcpcopy_core::runtime::{ComparisonTotals, Latency, RowTotals};

/// Labels shown of a mapping; `--json` has all.
const MOST_LABELS: usize = 40;
/// No line is longer, unless its numbers are.
const WIDTH: usize = 100;

/// The comparison of every mapping that has one; `dropped` exchanges are missing from it.
pub(crate) fn text(comparisons: &[ComparisonTotals], dropped: u64) -> String {
    let mut text: String = comparisons.iter().map(one).collect();
    if comparisons.iter().flat_map(|comparison| &comparison.labels).any(|row| row.compared > 0) {
        text.push_str("  times are online → target; failed, missing: at the target only\n");
    }
    if dropped > 0 {
        text.push_str(&format!(
            "  {} exchanges are missing here: they came faster than they could be counted\n",
            count(dropped)
        ));
    }
    text
}

fn one(ComparisonTotals { mapping, labels }: &ComparisonTotals) -> String {
    let mut grid = Grid::new([
        ("request", Align::Left),
        ("count", Align::Right),
        ("differ", Align::Right),
        ("outcome", Align::Right),
        ("size", Align::Right),
        ("content", Align::Right),
        ("failed", Align::Right),
        ("missing", Align::Right),
        ("median ms", Align::Right),
        ("99 % ms", Align::Right),
    ]);
    labels.iter().take(MOST_LABELS).for_each(|row| grid.row(cells(row)));
    let is_compared = labels.iter().any(|row| row.compared > 0);
    // How they differ is worth a column only where they do; whether, wherever that is known.
    grid.retain_columns(|index, cells| match index {
        2 => is_compared,
        3..=7 => cells.iter().any(|cell| *cell != "0"),
        _ => true,
    });
    grid.fit(WIDTH);
    format!("{}\n{grid}{}", heading(mapping, labels), rest(labels))
}

fn heading(mapping: &str, labels: &[RowTotals]) -> String {
    let sum = |of: fn(&RowTotals) -> u64| labels.iter().map(of).sum::<u64>();
    let (exchanges, compared) = (sum(|row| row.exchanges), sum(|row| row.compared));
    let requests = format!("Answers for {mapping}: {} requests", count(exchanges));
    match (compared, sum(|row| row.differing)) {
        (0, _) => format!("{requests}, no answer of the online server to compare with"),
        (_, 0) if compared == exchanges => format!("{requests}, answered alike"),
        (_, 0) => format!("{requests}, {} compared, answered alike", count(compared)),
        (_, differing) => {
            format!("{requests}, {} compared, {} answered differently", count(compared), count(differing))
        }
    }
}

/// What the rows that are not shown are about.
fn rest(labels: &[RowTotals]) -> String {
    let hidden = labels.get(MOST_LABELS..).unwrap_or_default();
    if hidden.is_empty() {
        return String::new();
    }
    let differing: u64 = hidden.iter().map(|row| row.differing).sum();
    let what = if differing == 0 {
        "none of which differ".to_owned()
    } else {
        format!("{} differ", count(differing))
    };
    let requests: u64 = hidden.iter().map(|row| row.exchanges).sum();
    format!(
        "  … and {} more kinds of {} requests, {what}; as JSON all are told\n",
        count(hidden.len() as u64),
        count(requests)
    )
}

fn cells(row: &RowTotals) -> [String; 10] {
    let latency = |of: fn(&Latency) -> u64| match (&row.online_latency, &row.target_latency) {
        (Some(online), Some(target)) => {
            format!("{} → {}", milliseconds(of(online)), milliseconds(of(target)))
        }
        (Some(online), None) => format!("{} → -", milliseconds(of(online))),
        (None, Some(target)) => milliseconds(of(target)),
        (None, None) => "-".to_owned(),
    };
    [
        row.label.clone(),
        count(row.exchanges),
        count(row.differing),
        count(row.outcome_differs),
        count(row.size_differs),
        count(row.digest_differs),
        count(row.failed_target_only),
        count(row.without_target),
        latency(|latency| latency.p50_us),
        latency(|latency| latency.p99_us),
    ]
}

/// A comparison with something in every part.
#[cfg(test)]
pub(crate) fn example() -> ComparisonTotals {
    let latency = |p50_us, p99_us| Some(Latency { p50_us, p99_us });
    ComparisonTotals {
        mapping: "80".to_owned(),
        labels: vec![
            RowTotals {
                label: "POST /orders/{id}/positions/{position}/confirmation".to_owned(),
                exchanges: 1_204,
                compared: 1_200,
                differing: 132,
                outcome_differs: 120,
                failed_online_only: 1,
                failed_target_only: 12,
                size_differs: 20,
                digest_differs: 0,
                without_online: 1,
                without_target: 3,
                online_latency: latency(3_100, 20_440),
                target_latency: latency(2_900, 45_000),
            },
            RowTotals {
                label: "GET /users/{id}".to_owned(),
                exchanges: 12_345,
                compared: 12_345,
                online_latency: latency(850, 9_000),
                target_latency: latency(870, 8_700),
                ..RowTotals::default()
            },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_stands_first_and_shows_how() {
        let expected = "\
Answers for 80: 13,549 requests, 13,545 compared, 132 answered differently
  request                    count  differ  outcome  size  failed  missing    median ms      99 % ms
  POST /orders/{id}/posit…   1,204     132      120    20      12        3  3.10 → 2.90  20.4 → 45.0
  GET /users/{id}           12,345       0        0     0       0        0  0.85 → 0.87  9.00 → 8.70
  times are online → target; failed, missing: at the target only
";
        let text = text(&[example()], 0);
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn nothing_is_said_of_differences_that_are_not_there() {
        let mut comparison = example();
        comparison.labels.remove(0);
        let expected = "\
Answers for 80: 12,345 requests, answered alike
  request           count  differ    median ms      99 % ms
  GET /users/{id}  12,345       0  0.85 → 0.87  9.00 → 8.70
  times are online → target; failed, missing: at the target only
";
        assert_eq!(text(&[comparison.clone()], 0), expected);
        comparison.labels[0].compared = 0;
        comparison.labels[0].online_latency = None;
        let expected = "\
Answers for 80: 12,345 requests, no answer of the online server to compare with
  request           count  median ms  99 % ms
  GET /users/{id}  12,345       0.87     8.70
";
        assert_eq!(text(&[comparison], 0), expected);
    }

    #[test]
    fn many_labels_are_summed_up_and_missing_exchanges_told() {
        let mut comparison = example();
        let like = comparison.labels[1].clone();
        comparison.labels.extend(vec![like; 50]);
        let text = text(&[comparison], 7);
        assert_eq!(text.lines().count(), 2 + MOST_LABELS + 3);
        let rest = "  … and 12 more kinds of 148,140 requests, none of which differ; as JSON all are told\n";
        assert!(text.contains(rest), "{text}");
        assert!(
            text.ends_with("  7 exchanges are missing here: they came faster than they could be counted\n")
        );
    }
}
