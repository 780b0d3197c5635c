//! Reasons, counted.

use super::ReasonTotals;

/// Reasons told apart; further ones are counted together.
const MOST: usize = 100;
const OTHERS: &str = "(other reasons)";
/// Longer reasons are cut: a panic can say anything.
const BYTES: usize = 500;

/// How often each reason came.
#[derive(Default)]
pub(super) struct Reasons(Vec<ReasonTotals>);

impl Reasons {
    /// Counts one more; whether it is the first of its reason.
    pub(super) fn count(&mut self, reason: &str) -> bool {
        let end = (0..=BYTES.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
        let reason = &reason[..end.unwrap_or(0)];
        let is_known = self.0.iter().any(|known| known.reason == reason);
        let reason = if is_known || self.0.len() < MOST { reason } else { OTHERS };
        if let Some(known) = self.0.iter_mut().find(|known| known.reason == reason) {
            known.times += 1;
            return false;
        }
        self.0.push(ReasonTotals { reason: reason.to_owned(), times: 1 });
        true
    }

    /// Frequent ones first.
    pub(super) fn totals(&self) -> Vec<ReasonTotals> {
        let mut totals = self.0.clone();
        totals.sort_by_key(|reason| std::cmp::Reverse(reason.times));
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_each_reason_is_news() {
        let mut reasons = Reasons::default();
        assert!(reasons.count("rare"));
        assert!(reasons.count("frequent"));
        assert!(!reasons.count("frequent"));
        let totals = reasons.totals();
        let told: Vec<_> = totals.iter().map(|known| (known.reason.as_str(), known.times)).collect();
        assert_eq!(told, [("frequent", 2), ("rare", 1)]);
    }

    #[test]
    fn reasons_that_differ_every_time_are_counted_together() {
        let mut reasons = Reasons::default();
        let news = (0..1000).filter(|number| reasons.count(&format!("reason {number}"))).count();
        assert_eq!(news, MOST + 1);
        assert_eq!(reasons.totals().len(), MOST + 1);
        assert_eq!(reasons.totals()[0].reason, OTHERS);
        assert_eq!(reasons.totals()[0].times, 900);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut reasons = Reasons::default();
        reasons.count(&format!("x{}", "ä".repeat(1000)));
        assert_eq!(reasons.totals()[0].reason.len(), 499);
    }
}
