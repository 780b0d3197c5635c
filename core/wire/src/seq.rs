//! TCP sequence numbers: the only place with raw 32-bit sequence arithmetic.

use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Sub};

/// A TCP sequence number, compared modulo 2³² (RFC 9293 §3.4, RFC 1982).
///
/// The ordering is meaningful only between numbers less than 2³¹ apart, as between any two of one
/// connection's window; it is not transitive over the whole space, so it is offered as `PartialOrd` only and
/// a `SeqNum` must not be a key of an ordered map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// The signed distance from `earlier` to `self`: positive when `self` is later.
    #[must_use]
    pub const fn distance(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

impl PartialOrd for SeqNum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.distance(*other).cmp(&0))
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    fn add(self, rhs: u32) -> Self {
        Self(self.0.wrapping_add(rhs))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, rhs: u32) {
        *self = *self + rhs;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    fn sub(self, rhs: u32) -> Self {
        Self(self.0.wrapping_sub(rhs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordering_holds_across_the_wrap() {
        let before = SeqNum(u32::MAX - 1);
        let after = before + 4;
        assert_eq!(after, SeqNum(2));
        assert!(before < after);
        assert_eq!(after.distance(before), 4);
        assert_eq!(before.distance(after), -4);
        assert_eq!(after - 4, before);
    }
}
