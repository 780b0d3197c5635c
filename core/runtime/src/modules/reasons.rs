//! Reasons, counted.

use tcpcopy_host::{cut, on_one_line};

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
    /// Counts one more; returns the first of its reason, as people shall read it.
    pub(super) fn count(&mut self, reason: &str) -> Option<&str> {
        let reason = on_one_line(cut(reason, BYTES));
        let is_known = self.0.iter().any(|known| known.reason == reason);
        let reason = if is_known || self.0.len() < MOST { &*reason } else { OTHERS };
        if let Some(known) = self.0.iter_mut().find(|known| known.reason == reason) {
            known.times += 1;
            return None;
        }
        self.0.push(ReasonTotals { reason: reason.to_owned(), times: 1 });
        self.0.last().map(|news| news.reason.as_str())
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
        assert_eq!(reasons.count("rare"), Some("rare"));
        assert_eq!(reasons.count("frequent"), Some("frequent"));
        assert_eq!(reasons.count("frequent"), None);
        let totals = reasons.totals();
        let told: Vec<_> = totals.iter().map(|known| (known.reason.as_str(), known.times)).collect();
        assert_eq!(told, [("frequent", 2), ("rare", 1)]);
    }

    #[test]
    fn reasons_that_differ_every_time_are_counted_together() {
        let mut reasons = Reasons::default();
        let news = (0..1000).filter(|number| reasons.count(&format!("reason {number}")).is_some()).count();
        assert_eq!(news, MOST + 1);
        assert_eq!(reasons.totals().len(), MOST + 1);
        assert_eq!(reasons.totals()[0].reason, OTHERS);
        assert_eq!(reasons.totals()[0].times, 900);
    }

    #[test]
    fn a_reason_is_cut_and_comes_on_one_line() {
        let mut reasons = Reasons::default();
        let panic = format!("a\nb {}", "x".repeat(1000));
        let first = reasons.count(&panic).map(ToOwned::to_owned);
        assert_eq!(first, Some(format!("a b {}", "x".repeat(496))));
        assert_eq!(reasons.count(&panic), None);
    }
}
