//! How long a message's body is (RFC 9112 §6), and the other facts of its fields that decide where messages end.

use httparse::Header;

/// Why a message is malformed: a phrase that follows "malformed request:".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Empty,
    /// After so many bytes, more than none.
    Length(u64),
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What a request was, as far as the response to it depends on that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RequestKind {
    #[default]
    Plain,
    Head,
    Connect,
}

/// The facts of the fields of a head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    content_length: Option<Result<u64, Malformed>>,
    coding: Option<Coding>,
    /// The field `Expect: 100-continue`.
    pub(crate) expects_continue: bool,
    /// A field `Upgrade`.
    pub(crate) upgrades: bool,
    hosts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Anything else, or more than one field: whoever reads it may take it for something else than we do.
    Other,
}

impl Facts {
    pub(crate) fn of(headers: &[Header<'_>]) -> Self {
        let mut facts = Self::default();
        for Header { name, value } in headers {
            // The length first: it sorts most fields out.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => facts.hosts += 1,
                6 if name.eq_ignore_ascii_case("expect") => {
                    facts.expects_continue |= value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
                }
                7 if name.eq_ignore_ascii_case("upgrade") => facts.upgrades = true,
                14 if name.eq_ignore_ascii_case("content-length") => facts.add_content_length(value),
                17 if name.eq_ignore_ascii_case("transfer-encoding") => facts.add_coding(value),
                _ => {}
            }
        }
        facts
    }

    /// The body of a request with that minor version (RFC 9112 §6.3).
    pub(crate) fn request_body(&self, version: u8) -> Result<Body, Malformed> {
        if self.hosts > 1 {
            return Err(Malformed("more than one Host"));
        }
        match (self.coding, self.content_length) {
            (Some(_), Some(_)) => Err(Malformed("both Content-Length and Transfer-Encoding")),
            (Some(_), None) if version == 0 => Err(Malformed("Transfer-Encoding in HTTP/1.0")),
            (Some(Coding::Chunked), None) => Ok(Body::Chunked),
            (Some(Coding::Other), None) => Err(Malformed("a Transfer-Encoding other than chunked")),
            (None, Some(length)) => Ok(sized(length?)),
            (None, None) => Ok(Body::Empty),
        }
    }

    /// The body of a response with that status (RFC 9112 §6.3).
    pub(crate) fn response_body(&self, status: u16, request: RequestKind) -> Result<Body, Malformed> {
        if matches!(status, 100..=199 | 204 | 304) || request == RequestKind::Head {
            return Ok(Body::Empty);
        }
        match (self.coding, self.content_length) {
            (Some(Coding::Chunked), _) => Ok(Body::Chunked),
            (Some(Coding::Other), _) | (None, None) => Ok(Body::UntilClose),
            (None, Some(length)) => Ok(sized(length?)),
        }
    }

    fn add_content_length(&mut self, value: &[u8]) {
        let length = number(value).ok_or(Malformed("a Content-Length that is no number"));
        self.content_length = Some(match self.content_length {
            Some(before) if before != length => Err(Malformed("more than one Content-Length")),
            _ => length,
        });
    }

    fn add_coding(&mut self, value: &[u8]) {
        let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let last = names.next_back().unwrap_or_default();
        let known = [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"];
        let is_chunked = last.eq_ignore_ascii_case(b"chunked")
            && names.all(|name| known.iter().any(|known| name.eq_ignore_ascii_case(known)));
        self.coding = Some(if is_chunked && self.coding.is_none() { Coding::Chunked } else { Coding::Other });
    }
}

fn sized(length: u64) -> Body {
    if length == 0 { Body::Empty } else { Body::Length(length) }
}

/// Digits only: no sign, no space, and far from where sums of lengths would overflow.
fn number(digits: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(fields: &[(&'static str, &'static str)]) -> Facts {
        let headers: Vec<_> =
            fields.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        Facts::of(&headers)
    }

    #[test]
    fn a_request_body_is_as_long_as_its_fields_say() {
        let body = |fields: &[_]| facts(fields).request_body(1);
        assert_eq!(body(&[]), Ok(Body::Empty));
        assert_eq!(body(&[("content-LENGTH", "0")]), Ok(Body::Empty));
        assert_eq!(body(&[("Content-Length", "12")]), Ok(Body::Length(12)));
        assert_eq!(body(&[("Content-Length", "12"), ("Content-Length", "12")]), Ok(Body::Length(12)));
        assert_eq!(body(&[("Transfer-Encoding", "Chunked")]), Ok(Body::Chunked));
        assert_eq!(body(&[("Transfer-Encoding", "gzip , chunked")]), Ok(Body::Chunked));
    }

    #[test]
    fn a_request_body_that_servers_could_read_differently_is_malformed() {
        for fields in [
            &[("Content-Length", "1"), ("Transfer-Encoding", "chunked")][..],
            &[("Content-Length", "1"), ("Content-Length", "2")],
            &[("Content-Length", "1"), ("Content-Length", "x")],
            &[("Content-Length", "1, 1")],
            &[("Content-Length", "+1")],
            &[("Content-Length", "")],
            &[("Content-Length", "9999999999999999999")],
            &[("Transfer-Encoding", "identity")],
            &[("Transfer-Encoding", "chunked, gzip")],
            &[("Transfer-Encoding", "chunked, chunked")],
            &[("Transfer-Encoding", "xchunked")],
            &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
            &[("Transfer-Encoding", "")],
            &[("Host", "a"), ("Host", "a")],
        ] {
            assert!(facts(fields).request_body(1).is_err(), "{fields:?}");
        }
        assert!(facts(&[("Transfer-Encoding", "chunked")]).request_body(0).is_err());
    }

    #[test]
    fn a_response_body_depends_on_request_and_status() {
        let ten = facts(&[("Content-Length", "10")]);
        for (status, request, body) in [
            (200, RequestKind::Plain, Body::Length(10)),
            (200, RequestKind::Head, Body::Empty),
            (204, RequestKind::Plain, Body::Empty),
            (304, RequestKind::Plain, Body::Empty),
            (103, RequestKind::Plain, Body::Empty),
            (405, RequestKind::Connect, Body::Length(10)),
        ] {
            assert_eq!(ten.response_body(status, request), Ok(body), "{status} to {request:?}");
        }
        let plain = |fields: &[_]| facts(fields).response_body(200, RequestKind::Plain);
        assert_eq!(plain(&[]), Ok(Body::UntilClose));
        assert_eq!(plain(&[("Transfer-Encoding", "gzip")]), Ok(Body::UntilClose));
        assert_eq!(plain(&[("Transfer-Encoding", "chunked"), ("Content-Length", "3")]), Ok(Body::Chunked));
        assert!(plain(&[("Content-Length", "3"), ("Content-Length", "4")]).is_err());
    }
}
