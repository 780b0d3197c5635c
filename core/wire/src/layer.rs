//! One protocol layer of a captured frame: what the capture kept of it, and how long it was on the wire.

/// The rest of a frame from some header on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    /// The bytes at hand: never more than `wire_len`.
    pub(crate) kept: &'a [u8],
    /// The length on the wire in bytes.
    pub(crate) wire_len: usize,
}

impl<'a> Layer<'a> {
    /// A layer of `wire_len` bytes; a `wire_len` that is less than what is at hand cannot be true and is
    /// raised.
    pub(crate) fn new(kept: &'a [u8], wire_len: usize) -> Self {
        Self { kept, wire_len: wire_len.max(kept.len()) }
    }

    /// The first `N` bytes as a header, and what follows it; `None` if they are not at hand.
    pub(crate) fn split<const N: usize>(self) -> Option<(&'a [u8; N], Self)> {
        let (header, kept) = self.kept.split_first_chunk()?;
        Some((header, Self { kept, wire_len: self.wire_len - N }))
    }

    /// What follows the first `header_len` bytes; `None` if they are not at hand.
    pub(crate) fn skip(self, header_len: usize) -> Option<Self> {
        let kept = self.kept.get(header_len..)?;
        Some(Self { kept, wire_len: self.wire_len - header_len })
    }

    /// The layer without what lies behind its first `len` bytes: Ethernet padding and trailers. `len` comes
    /// from a header and is believed also when it is more than the frame had, as when a capture file lost the
    /// length on the wire.
    pub(crate) fn limit(self, len: usize) -> Self {
        Self { kept: self.kept.get(..len).unwrap_or(self.kept), wire_len: len }
    }

    /// Whether the capture kept less than there was on the wire.
    pub(crate) const fn is_cut(self) -> bool {
        self.kept.len() < self.wire_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_removed() {
        let layer = Layer::new(&[1, 2, 3, 4], 4).limit(3);
        assert_eq!(layer.kept, [1, 2, 3]);
        assert_eq!(layer.wire_len, 3);
        assert!(!layer.is_cut());
    }

    #[test]
    fn a_longer_claim_is_kept_as_a_length_only() {
        let layer = Layer::new(&[1, 2, 3, 4], 4).limit(9);
        assert_eq!(layer.kept, [1, 2, 3, 4]);
        assert_eq!(layer.wire_len, 9);
        assert!(layer.is_cut());
    }

    #[test]
    fn a_header_that_is_not_at_hand_is_none() {
        let layer = Layer::new(&[1, 2], 40);
        assert!(layer.split::<4>().is_none());
        assert!(layer.skip(4).is_none());
        let rest = layer.skip(2).unwrap();
        assert!(rest.kept.is_empty());
        assert_eq!(rest.wire_len, 38);
    }

    #[test]
    fn a_length_on_the_wire_below_what_is_at_hand_is_raised() {
        assert_eq!(Layer::new(&[1, 2, 3], 1).wire_len, 3);
    }
}
