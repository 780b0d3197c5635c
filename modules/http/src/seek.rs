//! Finding the place again in a stream whose beginning, or some of whose bytes, nobody saw: lines that can hardly be
//! anything but the first of a request or of a response.

use memchr::{memchr, memchr_iter};

use crate::head::MAX_HEAD;
use crate::request::may_begin_request;

/// The methods a request is recognised by. Fewer than there are: a line of somebody's text must not pass for one.
const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE"];

/// How well a text fits what is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// So far: more bytes will tell.
    Maybe,
    No,
}

/// What became of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// What is sought begins after so many bytes.
    Found(usize),
    /// It does not begin in so many bytes; what is behind them has to be looked at again, with more.
    Passed(usize),
}

/// A search at the beginnings of lines.
#[derive(Debug)]
pub(crate) struct Seeker {
    at_line_start: bool,
}

impl Seeker {
    /// A search that begins at the beginning of a line, or in the middle of one.
    pub(crate) const fn new(at_line_start: bool) -> Self {
        Self { at_line_start }
    }

    /// The next byte may begin what is sought.
    pub(crate) fn begin_line(&mut self) {
        self.at_line_start = true;
    }

    /// Looks at every line that begins in `input`.
    pub(crate) fn find(&mut self, input: &[u8], fit: fn(&[u8]) -> Fit) -> Sought {
        let first = self.at_line_start.then_some(0);
        let others = memchr_iter(b'\n', input).map(|feed| feed + 1);
        for start in first.into_iter().chain(others) {
            let line = input.get(start..).unwrap_or_default();
            match fit(line) {
                Fit::Yes => return Sought::Found(start),
                Fit::Maybe if line.len() <= MAX_HEAD => {
                    self.at_line_start = true;
                    return Sought::Passed(start);
                }
                Fit::Maybe | Fit::No => {}
            }
        }
        self.at_line_start = input.last().map_or(self.at_line_start, |last| *last == b'\n');
        Sought::Passed(input.len())
    }
}

/// A request line with a common method and a path or URI.
pub(crate) fn request_line(input: &[u8]) -> Fit {
    let Some(space) = memchr(b' ', input.get(..8).unwrap_or(input)) else {
        let is_beginning = METHODS.iter().any(|method| method.starts_with(input));
        return if is_beginning { Fit::Maybe } else { Fit::No };
    };
    let (method, rest) = input.split_at(space);
    let target = rest.get(1..).unwrap_or_default();
    let begins_well = target.is_empty()
        || target.starts_with(b"/")
        || b"http".iter().zip(target).all(|(expected, found)| expected == found)
        || (method == b"OPTIONS" && target.starts_with(b"*"))
        || (method == b"CONNECT" && target.first().is_some_and(u8::is_ascii_graphic));
    if !METHODS.contains(&method) || !begins_well || !may_begin_request(input) {
        return Fit::No;
    }
    let line = target.get(..memchr(b'\n', target).unwrap_or(target.len())).unwrap_or_default();
    let spaces = line.iter().filter(|byte| **byte == b' ').count();
    let is_text = line.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r'));
    match (spaces <= 1 && is_text, line.len() < target.len()) {
        (false, _) => Fit::No,
        (true, true) => Fit::Yes,
        (true, false) => Fit::Maybe,
    }
}

/// `HTTP/1.x`, a space and three digits.
pub(crate) fn status_line(input: &[u8]) -> Fit {
    const PATTERN: &[u8] = b"HTTP/1.0 000";
    let fits = PATTERN.iter().zip(input).all(|(expected, found)| match expected {
        b'0' => found.is_ascii_digit(),
        expected => expected == found,
    });
    match (fits, input.get(PATTERN.len())) {
        (false, _) => Fit::No,
        (true, None) => Fit::Maybe,
        (true, Some(b' ' | b'\r')) => Fit::Yes,
        (true, Some(_)) => Fit::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_recognised_and_text_is_not() {
        for (text, fit) in [
            (&b"GET /a HTTP/1.1\r\nHost"[..], Fit::Yes),
            (b"OPTIONS * HTTP/1.0\r\n", Fit::Yes),
            (b"POST http://a/b HTTP/1.1\r\n", Fit::Yes),
            (b"", Fit::Maybe),
            (b"DEL", Fit::Maybe),
            (b"GET ", Fit::Maybe),
            (b"GET ht", Fit::Maybe),
            (b"GET /a HTTP/1.1\r", Fit::Maybe),
            (b"GET a HTTP/1.1\r\n", Fit::No),
            (b"get /a HTTP/1.1\r\n", Fit::No),
            (b"GET /a HTTP/2.0\r\n", Fit::No),
            (b"GET /a b HTTP/1.1\r\n", Fit::No),
            (b"GET the milk", Fit::No),
            (b"GET /a\x00", Fit::No),
            (b"FETCH /a HTTP/1.1\r\n", Fit::No),
        ] {
            assert_eq!(request_line(text), fit, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_status_line_is_recognised() {
        for (text, fit) in [
            (&b"HTTP/1.1 200 OK"[..], Fit::Yes),
            (b"HTTP/1.0 404\r\n", Fit::Yes),
            (b"HTTP/1.1 20", Fit::Maybe),
            (b"HTTP/1.1 2000", Fit::No),
            (b"HTTP/2 200", Fit::No),
            (b"http", Fit::No),
        ] {
            assert_eq!(status_line(text), fit, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn only_beginnings_of_lines_are_looked_at() {
        let mut seeker = Seeker::new(false);
        assert_eq!(seeker.find(b"GET / HTTP/1.1\r\nabc", request_line), Sought::Passed(19));
        assert_eq!(seeker.find(b"GET / HTTP/1.1\r\nGE", request_line), Sought::Passed(16));
        assert_eq!(seeker.find(b"GET / HTTP/1.1\r\n", request_line), Sought::Found(0));
    }
}
