//! Ranges above a cumulative point: what the target has selectively acknowledged (RFC 2018, RFC 6675), and
//! what we have seen of the target out of order.

/// A few disjoint, ascending, non-touching ranges of offsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

/// More holes than this are not tracked: the rest is repaired by time-out.
const MOST: usize = 64;

impl Ranges {
    /// Adds `left..right`, joined with what it touches.
    pub(crate) fn insert(&mut self, left: u64, right: u64) {
        if left >= right {
            return;
        }
        let from = self.0.partition_point(|range| range.1 < left);
        let to = self.0.partition_point(|range| range.0 <= right);
        if from == to {
            if self.0.len() < MOST {
                self.0.insert(from, (left, right));
            }
            return;
        }
        let joined = (left.min(self.0[from].0), right.max(self.0[to - 1].1));
        self.0[from] = joined;
        self.0.drain(from + 1..to);
    }

    /// Moves `point` forward over a range that reaches it, and forgets everything below.
    pub(crate) fn advance(&mut self, point: u64) -> u64 {
        let mut point = point;
        let passed = self.0.iter().take_while(|range| range.0 <= point).count();
        for range in self.0.drain(..passed) {
            point = point.max(range.1);
        }
        point
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// The first hole at or after `from` and below `limit`, as a range.
    pub(crate) fn hole(&self, from: u64, limit: u64) -> Option<(u64, u64)> {
        let mut start = from;
        for &(left, right) in &self.0 {
            if start < left {
                return (start < limit).then(|| (start, left.min(limit)));
            }
            start = start.max(right);
        }
        (start < limit).then_some((start, limit))
    }

    /// Bytes in all ranges.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(left, right)| right - left).sum()
    }

    /// Left edge of the highest range.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.0.last().map(|range| range.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        ranges.insert(30, 40);
        ranges.insert(50, 60);
        ranges.insert(20, 30);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(10, 40), (50, 60)]);
        ranges.insert(35, 55);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(10, 60)]);
        assert_eq!(ranges.total(), 50);
    }

    #[test]
    fn advancing_swallows_what_it_reaches() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        ranges.insert(30, 40);
        assert_eq!(ranges.advance(5), 5);
        assert_eq!(ranges.advance(10), 20);
        assert_eq!(ranges.advance(35), 40);
        assert!(ranges.is_empty());
    }

    #[test]
    fn holes_lie_between_ranges() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 20);
        ranges.insert(30, 40);
        assert_eq!(ranges.hole(0, 30), Some((0, 10)));
        assert_eq!(ranges.hole(12, 30), Some((20, 30)));
        assert_eq!(ranges.hole(35, 40), None);
        assert_eq!(ranges.hole(40, 50), Some((40, 50)));
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut ranges = Ranges::default();
        for at in 0..10_000 {
            ranges.insert(at * 10, at * 10 + 5);
        }
        assert_eq!(ranges.iter().count(), MOST);
    }
}
