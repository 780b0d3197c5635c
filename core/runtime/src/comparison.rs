//! How the target's answers compare with the online server's: exchanges counted by their label.

mod row;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tcpcopy_host::{cut, on_one_line};
use tcpcopy_plugin_api::Exchange;

pub use row::{Latency, RowTotals};

use row::Row;

/// Labels told apart for each mapping; further ones are counted together.
const MOST_LABELS: usize = 1000;
/// Their label.
const OTHER_LABELS: &str = "(other labels)";
/// Longer labels are cut: they come from traffic.
const LABEL_BYTES: usize = 200;

/// All exchanges so far. Memory is bounded: about 26 kB for each label.
#[derive(Default)]
pub(crate) struct Comparison {
    /// By the index of the mapping.
    mappings: Vec<HashMap<String, Row>>,
}

/// The exchanges of one mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonTotals {
    /// The online side of the mapping, as `-x` takes it.
    pub mapping: String,
    /// By label; what differs most comes first.
    pub labels: Vec<RowTotals>,
}

impl Comparison {
    /// Counts an exchange of the mapping with this index.
    pub(crate) fn count(&mut self, mapping: usize, exchange: &Exchange) {
        if self.mappings.len() <= mapping {
            self.mappings.resize_with(mapping + 1, HashMap::new);
        }
        let rows = &mut self.mappings[mapping];
        let label = cut(&exchange.label, LABEL_BYTES);
        // The usual look-up makes no String.
        if let Some(row) = rows.get_mut(label) {
            return row.count(exchange);
        }
        let label = on_one_line(label).into_owned();
        let is_kept = rows.len() < MOST_LABELS || rows.contains_key(&label);
        let label = if is_kept { label } else { OTHER_LABELS.to_owned() };
        rows.entry(label).or_default().count(exchange);
    }

    /// What was counted, for each mapping that had an exchange; `names` are those of the mappings.
    pub(crate) fn totals(&self, names: &[String]) -> Vec<ComparisonTotals> {
        let counted = self.mappings.iter().zip(names).filter(|(rows, _)| !rows.is_empty());
        let totals = counted.map(|(rows, name)| {
            let mut labels: Vec<_> = rows.iter().map(|(label, row)| row.totals(label)).collect();
            labels.sort_by(|one, other| {
                let weight = |row: &RowTotals| (row.failing(), row.differing, row.exchanges);
                weight(other).cmp(&weight(one)).then_with(|| one.label.cmp(&other.label))
            });
            ComparisonTotals { mapping: name.clone(), labels }
        });
        totals.collect()
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_plugin_api::Answer;

    use super::*;

    fn exchange(label: &str, online: u32, target: u32) -> Exchange {
        let answer =
            |outcome| Answer { outcome, failed: outcome >= 500, latency_us: 1000, ..Answer::default() };
        Exchange { label: label.into(), online: Some(answer(online)), target: Some(answer(target)) }
    }

    fn totals(comparison: &Comparison) -> Vec<ComparisonTotals> {
        comparison.totals(&["80".to_owned(), "81".to_owned()])
    }

    #[test]
    fn what_fails_at_the_target_comes_before_what_differs_before_what_is_frequent() {
        let mut comparison = Comparison::default();
        for _ in 0..9 {
            comparison.count(1, &exchange("frequent", 200, 200));
            comparison.count(1, &exchange("rare", 200, 200));
            comparison.count(1, &exchange("differs", 200, 404));
        }
        comparison.count(1, &exchange("frequent", 200, 200));
        comparison.count(1, &exchange("fails", 200, 500));
        let totals = totals(&comparison);
        assert_eq!((totals.len(), totals[0].mapping.as_str()), (1, "81"));
        let labels: Vec<_> = totals[0].labels.iter().map(|row| row.label.as_str()).collect();
        assert_eq!(labels, ["fails", "differs", "frequent", "rare"]);
    }

    #[test]
    fn beyond_a_thousand_labels_exchanges_are_counted_together() {
        let mut comparison = Comparison::default();
        for number in 0..MOST_LABELS + 5 {
            comparison.count(0, &exchange(&number.to_string(), 200, 200));
            comparison.count(0, &exchange("0", 200, 200));
        }
        let totals = totals(&comparison);
        assert_eq!(totals[0].labels.len(), MOST_LABELS + 1);
        let of = |label: &str| totals[0].labels.iter().find(|row| row.label == label).unwrap().exchanges;
        assert_eq!((of(OTHER_LABELS), of("0")), (5, 1 + MOST_LABELS as u64 + 5));
    }

    #[test]
    fn a_label_is_cut_between_characters() {
        let mut comparison = Comparison::default();
        comparison.count(0, &exchange(&"ä".repeat(500), 200, 200));
        comparison.count(0, &exchange(&format!("x{}", "ä".repeat(500)), 200, 200));
        let lengths: Vec<_> = totals(&comparison)[0].labels.iter().map(|row| row.label.len()).collect();
        assert_eq!(lengths, [199, 200]);
    }

    #[test]
    fn a_label_is_one_line() {
        let mut comparison = Comparison::default();
        for label in ["GET /a\n\u{1b}[2J", "GET /a [2J"] {
            comparison.count(0, &exchange(label, 200, 200));
        }
        let labels = &totals(&comparison)[0].labels;
        assert_eq!((labels.len(), labels[0].label.as_str(), labels[0].exchanges), (1, "GET /a [2J", 2));
    }
}
