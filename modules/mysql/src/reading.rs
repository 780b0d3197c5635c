//! How the target reads texts: by the character set that it takes them to be in.

use mysql_common::collations::{Collation, CollationId};

use crate::greeting::Greeting;
use crate::sql::has_plain_ascii;

/// Character sets in which the second byte of a character can be an ASCII character, a quote or a backslash among them. One
/// that begins with such a byte is that character all the same.
const DOUBLE_BYTE: [&str; 6] = ["big5", "cp932", "euckr", "gb18030", "gbk", "sjis"];
/// MariaDB's collations without padding have the numbers of those with it and this.
const NO_PAD: u16 = 1024;
/// MariaDB's collations of utf8mb3 and utf8mb4 by version 14 of Unicode.
const UCA_1400: std::ops::Range<u16> = 2048..2560;

/// Collations up to this every server knows; one that does not know another takes its own.
const KNOWN_TO_ALL: u16 = 247;

/// What is known of how the target reads a text, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reading {
    /// As this module does: an ASCII byte is always that character.
    LikeUs,
    /// So are texts of nothing but ASCII.
    AsciiLikeUs,
    /// Nothing.
    NotKnown,
}

impl Reading {
    /// Of the character set of a collation; of one that is not told, or that servers do not know, the target's own.
    pub(crate) fn of(collation: Option<u16>, greeting: &Greeting) -> Self {
        let own = match greeting.collation {
            // One of MariaDB's, all for Unicode, of whose number the greeting shows the lower eight bits.
            0 => Self::LikeUs,
            number => Self::of_collation(number.into()).unwrap_or(Self::NotKnown),
        };
        match collation.and_then(Self::of_collation) {
            Some(reading) if collation <= Some(KNOWN_TO_ALL) => reading,
            Some(reading) => reading.max(own),
            None => own,
        }
    }

    /// Of a collation that servers know.
    fn of_collation(number: u16) -> Option<Self> {
        if UCA_1400.contains(&number) {
            return Some(Self::LikeUs);
        }
        let number = if (NO_PAD..2 * NO_PAD).contains(&number) { number - NO_PAD } else { number };
        let id = CollationId::from(number);
        let is_known = id != CollationId::UNKNOWN_COLLATION_ID;
        is_known.then(|| match Collation::resolve(id).charset() {
            name if has_plain_ascii(name) => Self::LikeUs,
            name if DOUBLE_BYTE.contains(&name) => Self::AsciiLikeUs,
            _ => Self::NotKnown,
        })
    }

    /// Why the target may read a text otherwise than this module does.
    pub(crate) fn misreading(self, text: &[u8]) -> Option<&'static str> {
        match self {
            Self::LikeUs => None,
            Self::AsciiLikeUs if text.is_ascii() => None,
            Self::AsciiLikeUs => Some("a character set in which a quote can be half a character"),
            Self::NotKnown => Some("a character set that is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greeting::tests::greeting;

    /// Of a server that greets with utf8mb4.
    fn reading(collation: u16) -> Reading {
        let greeting = Greeting::read(&greeting(u32::MAX, 0, &[b'x'; 20], "")).unwrap();
        Reading::of(Some(collation), &greeting)
    }

    #[test]
    fn character_sets_are_known_by_their_collations() {
        // latin1, utf8mb3, utf8mb4 (three of them), binary, koi8r, utf8mb4_nopad_bin and uca1400 of MariaDB
        for collation in [8, 33, 45, 224, 255, 63, 7, 46 + NO_PAD, 2304] {
            assert_eq!(reading(collation), Reading::LikeUs, "{collation}");
        }
        // big5, sjis, gbk, cp932, gb18030, euckr, gbk_nopad
        for collation in [1, 84, 13, 88, 28, 87, 95, 96, 248, 249, 250, 19, 28 + NO_PAD] {
            assert_eq!(reading(collation), Reading::AsciiLikeUs, "{collation}");
        }
    }

    #[test]
    fn character_sets_that_are_not_like_ascii_are_not_known() {
        // swe7, ucs2, utf16, utf32
        for collation in [10, 82, 35, 54, 60] {
            assert_eq!(reading(collation), Reading::NotKnown, "{collation}");
        }
    }

    #[test]
    fn what_servers_do_not_know_is_their_default() {
        let mut greeting = Greeting::read(&greeting(u32::MAX, 0, &[b'x'; 20], "")).unwrap();
        for (default, reading) in
            [(45, Reading::LikeUs), (28, Reading::AsciiLikeUs), (10, Reading::NotKnown), (0, Reading::LikeUs)]
        {
            greeting.collation = default;
            for collation in [None, Some(0), Some(9999)] {
                assert_eq!(Reading::of(collation, &greeting), reading, "{collation:?} {default}");
            }
        }
    }

    #[test]
    fn ascii_is_ascii_in_every_double_byte_character_set() {
        assert_eq!(Reading::AsciiLikeUs.misreading(b"SELECT 'a'"), None);
        // To gbk, the backslash is the second half of a character, and the quote behind it the end of the text.
        assert!(
            Reading::AsciiLikeUs.misreading(r"SELECT '中\' INTO OUTFILE '/tmp/x' -- '".as_bytes()).is_some()
        );
        assert_eq!(Reading::LikeUs.misreading("SELECT 'é'".as_bytes()), None);
        assert!(Reading::NotKnown.misreading(b"SELECT 1").is_some());
    }
}
