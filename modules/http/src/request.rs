//! The head of a request (RFC 9112 §3): read strictly, since what one server takes for one request another may take for two.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig, Status};
use memchr::memchr;

use crate::chunked::is_token;
use crate::framing::{Body, Facts, Malformed, RequestKind};
use crate::head::MAX_FIELDS;
use crate::path::RequestTarget;

/// The longest name of a method.
const MAX_METHOD: usize = 32;
/// What is said of anything else.
pub(crate) const NOT_HTTP: Malformed = Malformed("not HTTP/1");

/// Room for the fields of a head.
pub(crate) type Fields<'b> = [MaybeUninit<Header<'b>>; MAX_FIELDS];

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Request<'h, 'b> {
    pub(crate) method: &'b str,
    pub(crate) target: RequestTarget<'b>,
    /// The minor version.
    pub(crate) version: u8,
    pub(crate) headers: &'h [Header<'b>],
    pub(crate) facts: Facts,
    pub(crate) body: Body,
}

impl<'h, 'b> Request<'h, 'b> {
    /// Reads a complete head, without the empty lines before it.
    pub(crate) fn read(head: &'b [u8], fields: &'h mut Fields<'b>) -> Result<Self, Malformed> {
        if !may_begin_request(head) {
            return Err(NOT_HTTP);
        }
        let mut parsed = httparse::Request::new(&mut []);
        match ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, head, fields) {
            Ok(Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(Malformed("a head that does not end at its empty line")),
            Err(error) => return Err(phrase(error)),
        }
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(NOT_HTTP);
        };
        let facts = Facts::of(parsed.headers);
        Ok(Self {
            method,
            target: RequestTarget::of(method, target),
            version,
            headers: parsed.headers,
            facts,
            body: facts.request_body(version)?,
        })
    }

    pub(crate) fn kind(&self) -> RequestKind {
        match self.method {
            "HEAD" => RequestKind::Head,
            "CONNECT" => RequestKind::Connect,
            _ => RequestKind::Plain,
        }
    }

    /// Whether the connection may speak another protocol after the response.
    pub(crate) fn may_switch(&self) -> bool {
        self.facts.upgrades(self.version) || self.kind() == RequestKind::Connect
    }

    /// The values of the fields with that name.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'b [u8]> + 'a {
        let named = self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    }
}

/// Whether a request may begin with `input`, as far as its first line has come: what is no HTTP/1 at all is recognised
/// before 64 KiB of it were waited for.
pub(crate) fn may_begin_request(input: &[u8]) -> bool {
    let method = input.get(..=MAX_METHOD).unwrap_or(input);
    match memchr(b' ', method) {
        Some(0) => return false,
        Some(end) if !method.iter().take(end).all(|byte| is_token(*byte)) => return false,
        Some(_) => {}
        None => {
            return input.len() <= MAX_METHOD
                && (input == b"\r" || method.iter().all(|byte| is_token(*byte)));
        }
    }
    match memchr(b'\n', input) {
        Some(feed) => {
            let line = input.get(..feed).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
        }
        None => true,
    }
}

fn phrase(error: Error) -> Malformed {
    Malformed(match error {
        Error::HeaderName => "a field name with a character that names do not have",
        Error::HeaderValue => "a field value with a control character",
        Error::TooManyHeaders => "too many fields",
        Error::NewLine => "a carriage return without a line feed",
        Error::Token | Error::Status | Error::Version => "a request line that is none",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &[u8]) -> Result<(String, String, Body), Malformed> {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let request = Request::read(head, &mut fields)?;
        Ok((request.method.to_owned(), request.target.path.to_owned(), request.body))
    }

    #[test]
    fn a_head_is_read() {
        let head = b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(read(head), Ok(("POST".into(), "/a/b".into(), Body::Length(7))));
    }

    #[test]
    fn heads_that_servers_could_read_differently_are_malformed() {
        for head in [
            &b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\n: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET / HTTP/1.2\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET /\r\n\r\n",
            b"G\xffT / HTTP/1.1\r\n\r\n",
            b" GET / HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
        ] {
            assert!(read(head).is_err(), "{}", head.escape_ascii());
        }
        let many = [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(MAX_FIELDS + 1), b"\r\n"].concat();
        assert_eq!(read(&many), Err(Malformed("too many fields")));
    }

    #[test]
    fn every_beginning_of_a_request_may_begin_one() {
        let line = b"PROPFIND /a?b=c%20d HTTP/1.0\r\nHost: x\r\n";
        for length in 0..=line.len() {
            assert!(may_begin_request(&line[..length]), "{length}");
        }
        for other in
            [&b"\x16\x03\x01"[..], b"PRI * HTTP/2.0\r\n", b"GET /\r\n", b"\x81\x05", b" ", b"GET / HTTP/1.\n"]
        {
            assert!(!may_begin_request(other), "{}", other.escape_ascii());
        }
        assert!(!may_begin_request(&[b'a'; MAX_METHOD + 1]));
    }
}
