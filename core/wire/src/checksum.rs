//! The Internet checksum (RFC 1071): a ones' complement sum that can be built up piece by piece.
//!
//! Captured packets are never verified: offloads leave their checksums unfinished.

/// A running ones' complement sum over data in network byte order.
///
/// The sum is kept in the machine's own byte order, which RFC 1071 §2(B) allows: it commutes with a swap of
/// the bytes, so the swap is done once, at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checksum(u64);

impl Checksum {
    /// Adds a 16-bit field that does not stand in a buffer, such as those of a pseudo header.
    pub(crate) fn add_word(&mut self, word: u16) {
        self.0 += u64::from(word.to_be());
    }

    /// Adds `data`. An odd last byte counts as if a zero followed, so only the last piece may have an odd
    /// length.
    ///
    /// Each 32-bit word adds less than 2³² to the 64-bit sum: it cannot overflow before 16 GiB of data.
    pub(crate) fn add(&mut self, data: &[u8]) {
        // Four independent lanes: the compiler makes one vector addition of them.
        let (blocks, rest) = data.as_chunks::<16>();
        let mut lanes = [0_u64; 4];
        for block in blocks {
            let (words, _) = block.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane += u64::from(u32::from_ne_bytes(*word));
            }
        }
        let (words, rest) = rest.as_chunks::<2>();
        let words = words.iter().map(|word| u64::from(u16::from_ne_bytes(*word))).sum::<u64>();
        let odd = rest.first().map_or(0, |byte| u64::from(u16::from_ne_bytes([*byte, 0])));
        self.0 += lanes.iter().sum::<u64>() + words + odd;
    }

    /// The checksum field's value, as the two bytes to write.
    pub(crate) fn finish(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        #[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits above")]
        let folded = sum as u16;
        (!folded).to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(data: &[u8]) -> [u8; 2] {
        let mut sum = Checksum::default();
        sum.add(data);
        sum.finish()
    }

    #[test]
    fn matches_the_example_of_rfc_1071() {
        // RFC 1071 §3: the sum of these is ddf2.
        assert_eq!(of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), (!0xddf2_u16).to_be_bytes());
    }

    #[test]
    fn a_buffer_with_its_checksum_sums_to_zero() {
        let mut data = [0x45, 0, 0, 0x54, 0x12, 0x34, 0x40, 0, 0x40, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let sum = of(&data);
        data[10..12].copy_from_slice(&sum);
        assert_eq!(of(&data), [0, 0]);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(data in prop::collection::vec(any::<u8>(), 0..3000)) {
            let theirs = etherparse::checksum::Sum16BitWords::new().add_slice(&data).ones_complement();
            prop_assert_eq!(of(&data), theirs.to_ne_bytes());
        }

        #[test]
        fn pieces_of_even_length_add_up(data in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..150) {
            let cut = (cut * 2).min(data.len() & !1);
            let mut pieces = Checksum::default();
            pieces.add(&data[..cut]);
            pieces.add(&data[cut..]);
            prop_assert_eq!(pieces.finish(), of(&data));
        }

        #[test]
        fn a_word_is_its_two_bytes(data in prop::collection::vec(any::<u8>(), 0..40), word: u16) {
            let mut by_word = Checksum::default();
            by_word.add_word(word);
            by_word.add(&data);
            let mut by_bytes = Checksum::default();
            by_bytes.add(&word.to_be_bytes());
            by_bytes.add(&data);
            prop_assert_eq!(by_word.finish(), by_bytes.finish());
        }
    }
}
