//! How long answers took: exact percentiles, from all values.

use serde::{Deserialize, Serialize};

/// Percentiles of a set of durations, in microseconds; all 0 when there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Average.
    pub mean_us: u64,
    /// Median.
    pub p50_us: u64,
    /// 90 of 100 took no longer.
    pub p90_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// 999 of 1000 took no longer.
    pub p999_us: u64,
    /// Longest.
    pub max_us: u64,
}

impl Latency {
    /// Summarises `took`, leaving it in another order.
    pub fn of(took: &mut [u32]) -> Self {
        let count = took.len();
        if count == 0 {
            return Self::default();
        }
        took.sort_unstable();
        // Nearest rank: the smallest value that at least `per_mille` of 1000 do not exceed.
        let rank = |per_mille: usize| u64::from(took[(count * per_mille).div_ceil(1000).max(1) - 1]);
        Self {
            count: count as u64,
            mean_us: took.iter().map(|&us| u64::from(us)).sum::<u64>() / count as u64,
            p50_us: rank(500),
            p90_us: rank(900),
            p99_us: rank(990),
            p999_us: rank(999),
            max_us: rank(1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut took: Vec<u32> = (1..=1000).rev().collect();
        let latency = Latency::of(&mut took);
        let ranks = [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us];
        assert_eq!(ranks, [500, 900, 990, 999, 1000]);
        assert_eq!(Latency::of(&mut [7]).p50_us, 7);
        assert_eq!(Latency::of(&mut []), Latency::default());
    }
}
