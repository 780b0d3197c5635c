//! Where the head of a message ends: the search for its empty line, which goes on where the last call left it.

use memchr::{memchr, memchr_iter};

use crate::chunked::is_token;
use crate::seek::{Fit, status_line};

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
    /// Of a head that may be none: which lines it can have behind the first.
    can_have: Option<fn(&[u8]) -> bool>,
    searched: usize,
    line_start: usize,
    blank: usize,
    has_carriage_return: bool,
    has_bare_line_feed: bool,
}

/// Where a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadEnd {
    /// After so many bytes, its empty line and those before it included.
    At(usize),
    /// Not in what has come.
    Later,
    /// Nowhere: it is too long, or a line of it is none.
    Nowhere,
}

impl HeadSearch {
    /// The search behind a line that was taken for the first of a request. It is over with the first line that is no
    /// field, and so before the next such line: text full of them is searched once, not once from each of them on.
    pub(crate) fn of_possible_request() -> Self {
        Self { can_have: Some(is_field), ..Self::default() }
    }

    /// The same for a response, of which fields are understood leniently: it is over with the next status line.
    pub(crate) fn of_possible_response() -> Self {
        Self { can_have: Some(|line| status_line(line) != Fit::Yes), ..Self::default() }
    }

    /// Where the head ends. Empty lines before it belong to it.
    pub(crate) fn find(&mut self, input: &[u8]) -> HeadEnd {
        if input.len() < self.searched {
            return HeadEnd::Later; // a part of what was given before
        }
        let is_too_long = input.len() > MAX_HEAD;
        let input = input.get(..MAX_HEAD).unwrap_or(input);
        let from = self.searched;
        for feed in memchr_iter(b'\n', input.get(from..).unwrap_or_default()).map(|place| from + place) {
            let line = input.get(self.line_start..feed).unwrap_or_default();
            let is_empty = matches!(line, b"" | b"\r");
            let in_blank = self.line_start == self.blank;
            self.line_start = feed + 1;
            self.searched = feed + 1;
            if is_empty && in_blank {
                self.blank = feed + 1;
                continue;
            }
            let ends_with_both = line.ends_with(b"\r");
            self.has_carriage_return |= ends_with_both;
            self.has_bare_line_feed |= !ends_with_both;
            if is_empty {
                return HeadEnd::At(feed + 1);
            }
            if !in_blank && self.can_have.is_some_and(|can_have| !can_have(line)) {
                return HeadEnd::Nowhere;
            }
        }
        self.searched = input.len();
        if is_too_long { HeadEnd::Nowhere } else { HeadEnd::Later }
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

/// Whether a line is a field: nothing but the name before its colon (RFC 9112 §5).
fn is_field(line: &[u8]) -> bool {
    let name = line.get(..memchr(b':', line).unwrap_or_default()).unwrap_or_default();
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in_steps(search: HeadSearch, input: &[u8]) -> (HeadEnd, usize, LineEnds) {
        let mut search = search;
        let mut steps = (1..=input.len()).map(|length| {
            // As what came first is given again before all of it is.
            assert_eq!(search.find(&input[..length / 2]), HeadEnd::Later);
            search.find(&input[..length])
        });
        let found = steps.find(|end| *end != HeadEnd::Later).unwrap_or(HeadEnd::Later);
        (found, search.blank(), search.line_ends())
    }

    #[test]
    fn a_head_ends_with_its_empty_line_however_it_comes() {
        for (input, expected) in [
            (&b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n"[..], (HeadEnd::At(24), 0, LineEnds::Both)),
            (b"GET / HTTP/1.1\r\n\r", (HeadEnd::Later, 0, LineEnds::Both)),
            (b"\n\r\nGET / HTTP/1.1\r\n\r\n", (HeadEnd::At(21), 3, LineEnds::Both)),
            (b"GET / HTTP/1.1\nA: b\n\nbody", (HeadEnd::At(21), 0, LineEnds::LineFeed)),
            (b"GET / HTTP/1.1\nA: b\r\n\r\n", (HeadEnd::At(23), 0, LineEnds::Mixed)),
            (b"\n\r\n\r\n", (HeadEnd::Later, 5, LineEnds::Both)),
            (b"a\r\n\r\n", (HeadEnd::At(5), 0, LineEnds::Both)),
        ] {
            let mut search = HeadSearch::default();
            let found = search.find(input);
            assert_eq!((found, search.blank(), search.line_ends()), expected, "{}", input.escape_ascii());
            assert_eq!(find_in_steps(HeadSearch::default(), input), expected, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn a_head_is_not_looked_for_without_end() {
        let mut long = b"GET / HTTP/1.1\r\n".to_vec();
        long.resize(MAX_HEAD, b'a');
        assert_eq!(HeadSearch::default().find(&long), HeadEnd::Later);
        long.extend_from_slice(b"\r\n\r\n");
        assert_eq!(HeadSearch::default().find(&long), HeadEnd::Nowhere);
    }

    #[test]
    fn a_head_that_may_be_none_is_over_with_a_line_that_is_not_its_own() {
        let (request, response) = (HeadSearch::of_possible_request, HeadSearch::of_possible_response);
        for (search, input, end) in [
            (request as fn() -> HeadSearch, "GET / HTTP/1.1\r\nA:b\r\n\r\n", HeadEnd::At(23)),
            (request, "GET / HTTP/1.1\r\nA:b\r\nGET / HTTP/1.1\r\n", HeadEnd::Nowhere),
            (request, "GET / HTTP/1.1\r\nGET /a:b HTTP/1.1\r\n", HeadEnd::Nowhere),
            (request, "GET / HTTP/1.1\r\n: b\r\n", HeadEnd::Nowhere),
            (request, "GET / HTTP/1.1\r\nGET", HeadEnd::Later),
            (response, "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", HeadEnd::At(29)),
            (response, "HTTP/1.1 200 OK\r\nA: b\r\nHTTP/1.1 200 OK\r\n", HeadEnd::Nowhere),
        ] {
            assert_eq!(search().find(input.as_bytes()), end, "{input}");
            assert_eq!(find_in_steps(search(), input.as_bytes()).0, end, "{input}");
        }
    }
}
