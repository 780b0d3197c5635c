//! Which bytes of a stream were seen.

use std::ops::Range;

/// A set of offsets, kept as ranges in order that neither touch nor overlap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage(Vec<Range<usize>>);

impl Coverage {
    pub(crate) fn insert(&mut self, new: Range<usize>) {
        if new.is_empty() {
            return;
        }
        let first = self.0.partition_point(|range| range.end < new.start);
        let last = self.0.partition_point(|range| range.start <= new.end);
        let touched = self.0.get(first..last).unwrap_or_default();
        let start = touched.first().map_or(new.start, |range| range.start.min(new.start));
        let end = touched.last().map_or(new.end, |range| range.end.max(new.end));
        self.0.splice(first..last, std::iter::once(start..end));
    }

    pub(crate) fn contains(&self, wanted: &Range<usize>) -> bool {
        wanted.is_empty() || self.0.iter().any(|range| range.start <= wanted.start && wanted.end <= range.end)
    }

    /// The end of what is in the set from `start` on without a hole.
    pub(crate) fn run_from(&self, start: usize) -> usize {
        self.0.iter().find(|range| range.contains(&start)).map_or(start, |range| range.end)
    }

    /// How many offsets from zero on are all in the set.
    pub(crate) fn prefix(&self) -> usize {
        self.run_from(0)
    }

    pub(crate) fn total(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut coverage = Coverage::default();
        for (start, end) in [(10, 20), (30, 40), (20, 30), (50, 60), (0, 5), (4, 11)] {
            coverage.insert(start..end);
        }
        assert_eq!(coverage.0, [0..40, 50..60]);
        assert_eq!((coverage.prefix(), coverage.run_from(50), coverage.total()), (40, 60, 50));
        assert!(coverage.contains(&(5..40)) && !coverage.contains(&(39..51)));
    }
}
