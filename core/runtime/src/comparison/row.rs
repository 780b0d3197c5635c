//! One label of the comparison.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tcpcopy_plugin_api::{Answer, Exchange};

/// The longest latency told apart from longer ones: an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// The exchanges with one label, while they are counted.
#[derive(Default)]
pub(super) struct Row {
    exchanges: u64,
    compared: u64,
    differing: u64,
    outcome_differs: u64,
    failed_online_only: u64,
    failed_target_only: u64,
    size_differs: u64,
    digest_differs: u64,
    without_online: u64,
    without_target: u64,
    online: Latencies,
    target: Latencies,
}

/// What was counted under one label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTotals {
    /// What kind of request, as the module says.
    pub label: String,
    /// How many there were.
    pub exchanges: u64,
    /// Of these, with both answers; only those can differ.
    pub compared: u64,
    /// Of the compared, different in at least one respect.
    pub differing: u64,
    /// Of the compared, with different outcomes.
    pub outcome_differs: u64,
    /// Of the compared, those that failed only at the online server.
    pub failed_online_only: u64,
    /// Of the compared, those that failed only at the target.
    pub failed_target_only: u64,
    /// Of the compared, with answers of different size.
    pub size_differs: u64,
    /// Of the compared, with answers of different contents, where the module looks at those.
    pub digest_differs: u64,
    /// Without an answer of the online server that was captured.
    pub without_online: u64,
    /// Without an answer of the target.
    pub without_target: u64,
    /// How long the online server took; `None` without an answer of it.
    pub online_latency: Option<Latency>,
    /// How long the target took; `None` without an answer of it.
    pub target_latency: Option<Latency>,
}

/// How long answers took, in microseconds, to about 1 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
}

impl RowTotals {
    /// What goes wrong at the target and not online: failures and missing answers.
    #[must_use]
    pub fn failing(&self) -> u64 {
        self.failed_target_only + self.without_target
    }
}

impl Row {
    pub(super) fn count(&mut self, exchange: &Exchange) {
        self.exchanges += 1;
        self.without_online += u64::from(exchange.online.is_none());
        self.without_target += u64::from(exchange.target.is_none());
        self.online.record(exchange.online.as_ref());
        self.target.record(exchange.target.as_ref());
        if let (Some(online), Some(target)) = (&exchange.online, &exchange.target) {
            self.compare(online, target);
        }
    }

    fn compare(&mut self, online: &Answer, target: &Answer) {
        let outcome = online.outcome != target.outcome;
        let failed = online.failed != target.failed;
        let size = online.size != target.size;
        let digest = online.digest != target.digest && online.digest != 0 && target.digest != 0;
        self.compared += 1;
        self.differing += u64::from(outcome || failed || size || digest);
        self.outcome_differs += u64::from(outcome);
        self.failed_online_only += u64::from(failed && online.failed);
        self.failed_target_only += u64::from(failed && target.failed);
        self.size_differs += u64::from(size);
        self.digest_differs += u64::from(digest);
    }

    pub(super) fn totals(&self, label: &str) -> RowTotals {
        RowTotals {
            label: label.to_owned(),
            exchanges: self.exchanges,
            compared: self.compared,
            differing: self.differing,
            outcome_differs: self.outcome_differs,
            failed_online_only: self.failed_online_only,
            failed_target_only: self.failed_target_only,
            size_differs: self.size_differs,
            digest_differs: self.digest_differs,
            without_online: self.without_online,
            without_target: self.without_target,
            online_latency: self.online.totals(),
            target_latency: self.target.totals(),
        }
    }
}

/// The latencies of one side, from 1 µs to an hour in steps of about 1 %; takes its memory with the first.
#[derive(Default)]
struct Latencies(Option<Histogram<u32>>);

impl Latencies {
    fn record(&mut self, answer: Option<&Answer>) {
        let Some(answer) = answer else { return };
        if self.0.is_none() {
            // These bounds are allowed ones; without a histogram nothing would be recorded.
            self.0 = Histogram::new_with_bounds(1, LONGEST_US, 2).ok();
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(answer.latency_us.clamp(1, LONGEST_US));
        }
    }

    fn totals(&self) -> Option<Latency> {
        let histogram = self.0.as_ref()?;
        let quantile = |quantile| histogram.value_at_quantile(quantile);
        Some(Latency { p50_us: quantile(0.5), p99_us: quantile(0.99) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: u32, size: u64, digest: u64) -> Option<Answer> {
        Some(Answer { outcome, failed: outcome >= 500, size, digest, latency_us: 0 })
    }

    #[test]
    fn every_kind_of_difference_is_counted_and_an_exchange_differs_once() {
        let mut row = Row::default();
        for (online, target) in [
            (answer(200, 10, 1), answer(200, 10, 1)),
            (answer(200, 10, 1), answer(500, 20, 2)),
            (answer(503, 10, 0), answer(200, 10, 7)),
            (answer(200, 10, 1), None),
            (None, answer(200, 10, 1)),
            (None, None),
        ] {
            row.count(&Exchange { label: String::new(), online, target });
        }
        let expected = RowTotals {
            label: "label".to_owned(),
            exchanges: 6,
            compared: 3,
            differing: 2,
            outcome_differs: 2,
            failed_online_only: 1,
            failed_target_only: 1,
            size_differs: 1,
            digest_differs: 1,
            without_online: 2,
            without_target: 2,
            online_latency: Some(Latency { p50_us: 1, p99_us: 1 }),
            target_latency: Some(Latency { p50_us: 1, p99_us: 1 }),
        };
        assert_eq!(row.totals("label"), expected);
        assert_eq!(expected.failing(), 3);
    }

    #[test]
    fn latencies_are_told_to_a_hundredth_and_never_overflow() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.totals(), None);
        for latency_us in 1..=10_000 {
            latencies.record(Some(&Answer { latency_us, ..Answer::default() }));
        }
        let Latency { p50_us, p99_us } = latencies.totals().unwrap();
        assert!(p50_us.abs_diff(5000) <= 50 && p99_us.abs_diff(9900) <= 99, "{p50_us} {p99_us}");
        for _ in 0..1_000_000 {
            latencies.record(Some(&Answer { latency_us: u64::MAX, ..Answer::default() }));
        }
        assert!(latencies.totals().unwrap().p50_us.abs_diff(LONGEST_US) <= LONGEST_US / 100);
    }
}
