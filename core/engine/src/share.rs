//! A part of something that several tcpcopys have among them.

/// One of equal parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    index: u32,
    of: u32,
}

impl Share {
    /// The only part.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Part `index`, counted from 0, of `of`; `None` when there is no such part.
    #[must_use]
    pub const fn new(index: u32, of: u32) -> Option<Self> {
        if index < of { Some(Self { index, of }) } else { None }
    }

    /// Of each of `self`'s members, the part that `other` says: parts of both kinds have nothing in common unless they
    /// are alike in both.
    ///
    /// # Panics
    /// When there are more than 2³² parts of parts.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { index: self.index + self.of * other.index, of: self.of * other.of }
    }

    /// Its place among the parts, counted from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How many parts there are.
    #[must_use]
    pub const fn of(self) -> u32 {
        self.of
    }

    /// Whether `number` falls to this part: each number falls to one.
    pub(crate) const fn has(self, number: u64) -> bool {
        number % self.of as u64 == self.index as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_falls_to_one_part() {
        let parts: Vec<Share> = (0..6).filter_map(|index| Share::new(index, 6)).collect();
        for number in 0..100 {
            assert_eq!(parts.iter().filter(|part| part.has(number)).count(), 1);
        }
        assert_eq!((Share::new(6, 6), Share::new(0, 0)), (None, None));
    }

    #[test]
    fn parts_of_parts_are_all_different() {
        let part = |index, of| Share::new(index, of).unwrap();
        let mut parts: Vec<u32> =
            (0..12).map(|number| part(number % 4, 4).and(part(number / 4, 3)).index()).collect();
        parts.sort_unstable();
        assert_eq!(parts, (0..12).collect::<Vec<_>>());
        assert_eq!(part(3, 4).and(part(2, 3)).of(), 12);
        assert_eq!(Share::WHOLE.and(part(1, 3)), part(1, 3));
    }
}
