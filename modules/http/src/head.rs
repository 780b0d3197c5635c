//! Where the head of a message ends: the search for its empty line, which goes on where the last call left it.

use memchr::memchr_iter;

/// A head that is longer is malformed: most servers stop far below.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// A head with more fields is malformed.
pub(crate) const MAX_FIELDS: usize = 256;

/// How the lines of a head end. A line feed alone is allowed to be understood (RFC 9112 §2.2), and need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// With carriage return and line feed.
    Both,
    /// With a line feed alone.
    LineFeed,
    /// Some so and some so: servers may see different lines.
    Mixed,
}

/// The search for the end of a head whose bytes are given again, and more of them, until it is complete. Without it, a
/// head that comes byte by byte would be read from its beginning as often.
#[derive(Debug, Default)]
pub(crate) struct HeadSearch {
    searched: usize,
    line_start: usize,
    blank: usize,
    has_carriage_return: bool,
    has_bare_line_feed: bool,
}

impl HeadSearch {
    /// The length of the head, its empty line included, if it is complete. Empty lines before it belong to it.
    pub(crate) fn find(&mut self, input: &[u8]) -> Option<usize> {
        let from = self.searched;
        for feed in memchr_iter(b'\n', input.get(from..)?).map(|place| from + place) {
            let line = input.get(self.line_start..feed)?;
            let ends_with_both = line.ends_with(b"\r");
            self.has_carriage_return |= ends_with_both;
            self.has_bare_line_feed |= !ends_with_both;
            let is_empty = matches!(line, b"" | b"\r");
            let in_blank = self.line_start == self.blank;
            self.line_start = feed + 1;
            match (is_empty, in_blank) {
                (true, true) => self.blank = feed + 1,
                (true, false) => {
                    self.searched = feed + 1;
                    return Some(feed + 1);
                }
                (false, _) => {}
            }
        }
        self.searched = input.len();
        None
    }

    /// How many bytes of empty lines come before the head.
    pub(crate) fn blank(&self) -> usize {
        self.blank
    }

    /// How the lines so far end.
    pub(crate) fn line_ends(&self) -> LineEnds {
        match (self.has_carriage_return, self.has_bare_line_feed) {
            (_, false) => LineEnds::Both,
            (false, true) => LineEnds::LineFeed,
            (true, true) => LineEnds::Mixed,
        }
    }

    /// Whether nothing was searched since the last head.
    pub(crate) fn is_fresh(&self) -> bool {
        self.searched == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in_steps(input: &[u8]) -> (Option<usize>, usize, LineEnds) {
        let mut search = HeadSearch::default();
        let found = (1..=input.len()).find_map(|length| search.find(&input[..length]));
        (found, search.blank(), search.line_ends())
    }

    #[test]
    fn a_head_ends_with_its_empty_line_however_it_comes() {
        for (input, expected) in [
            (&b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n"[..], (Some(24), 0, LineEnds::Both)),
            (b"GET / HTTP/1.1\r\n\r", (None, 0, LineEnds::Both)),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", (Some(22), 4, LineEnds::Both)),
            (b"GET / HTTP/1.1\nA: b\n\nbody", (Some(21), 0, LineEnds::LineFeed)),
            (b"\n\r\n\r\n", (None, 5, LineEnds::Mixed)),
            (b"a\r\n\r\n", (Some(5), 0, LineEnds::Both)),
        ] {
            let mut search = HeadSearch::default();
            let found = search.find(input);
            assert_eq!((found, search.blank(), search.line_ends()), expected, "{}", input.escape_ascii());
            assert_eq!(find_in_steps(input), expected, "{}", input.escape_ascii());
        }
    }
}
