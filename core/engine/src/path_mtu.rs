//! What to try when a packet was larger than its path allows, and nobody says how large one may be.

/// The usual MTUs below those of Ethernet and jumbo frames (RFC 1191 §7).
const PLATEAUS: [usize; 8] = [8166, 4352, 2002, 1492, 1280, 1006, 508, 296];

/// The next smaller MTU that a path is likely to have, for a packet of `len` bytes that it does not take.
pub(crate) fn below(len: usize) -> usize {
    PLATEAUS.into_iter().find(|plateau| *plateau < len).unwrap_or(296)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_the_next_usual_mtu() {
        assert_eq!([9000, 1500, 1492, 1280, 300, 100].map(below), [8166, 1492, 1280, 1006, 296, 296]);
    }
}
