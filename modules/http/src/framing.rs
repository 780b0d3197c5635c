//! How long a message's body is (RFC 9112 §6), and the other facts of its fields that decide where messages end.

use httparse::Header;

/// Why a message is malformed: a phrase that follows "malformed request:".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

const NO_LENGTH: Malformed = Malformed("a Content-Length that is no number");

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
    /// It was given as a list of equal numbers.
    is_listed: bool,
    coding: Option<Coding>,
    /// The codings of the whole field, `identity` and empty ones aside: the last of them.
    last_coding: Option<Coding>,
    /// The field `Expect: 100-continue`.
    pub(crate) expects_continue: bool,
    /// A field `Upgrade`, and whether `Connection` names it (RFC 9110 §7.8).
    upgrade: bool,
    connection_upgrade: bool,
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
                7 if name.eq_ignore_ascii_case("upgrade") => facts.upgrade = true,
                10 if name.eq_ignore_ascii_case("connection") => {
                    facts.connection_upgrade |=
                        members(value).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
                }
                14 if name.eq_ignore_ascii_case("content-length") => facts.add_content_length(value),
                17 if name.eq_ignore_ascii_case("transfer-encoding") => facts.add_coding(value),
                _ => {}
            }
        }
        facts
    }

    /// Whether a request with that minor version asks for another protocol.
    pub(crate) fn upgrades(&self, version: u8) -> bool {
        self.upgrade && self.connection_upgrade && version > 0
    }

    /// The body of a request with that minor version (RFC 9112 §6.3), read strictly.
    pub(crate) fn request_body(&self, version: u8) -> Result<Body, Malformed> {
        if self.hosts > 1 {
            return Err(Malformed("more than one Host"));
        }
        if self.is_listed {
            return Err(NO_LENGTH);
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

    /// The body of a response with that status (RFC 9112 §6.3), read as user agents do: its coding decides by the last one
    /// that is named, and its length may be a list of equal ones.
    pub(crate) fn response_body(&self, status: u16, request: RequestKind) -> Result<Body, Malformed> {
        if matches!(status, 100..=199 | 204 | 304) || request == RequestKind::Head {
            return Ok(Body::Empty);
        }
        match (self.last_coding, self.content_length) {
            (Some(Coding::Chunked), _) => Ok(Body::Chunked),
            (Some(Coding::Other), _) | (None, None) => Ok(Body::UntilClose),
            (None, Some(length)) => Ok(sized(length?)),
        }
    }

    fn add_content_length(&mut self, value: &[u8]) {
        self.is_listed |= value.contains(&b',');
        for member in value.split(|byte| *byte == b',') {
            let length = number(member.trim_ascii()).ok_or(NO_LENGTH);
            self.content_length = Some(match self.content_length {
                Some(before) if before != length => Err(Malformed("more than one Content-Length")),
                _ => length,
            });
        }
    }

    fn add_coding(&mut self, value: &[u8]) {
        for coding in members(value).filter(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.last_coding = Some(if is_chunked { Coding::Chunked } else { Coding::Other });
        }
        let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let last = names.next_back().unwrap_or_default();
        let known = [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"];
        let is_chunked = last.eq_ignore_ascii_case(b"chunked")
            && names.all(|name| known.iter().any(|known| name.eq_ignore_ascii_case(known)));
        self.coding = Some(if is_chunked && self.coding.is_none() { Coding::Chunked } else { Coding::Other });
    }
}

/// The members of a field that is a list, empty ones left out (RFC 9110 §5.6.1).
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
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
        assert_eq!(plain(&[("Transfer-Encoding", "chunked, br")]), Ok(Body::UntilClose));
        for value in ["br, chunked", "zstd,chunked", "identity, Chunked", "chunked,", "chunked, chunked"] {
            assert_eq!(plain(&[("Transfer-Encoding", value)]), Ok(Body::Chunked), "{value}");
        }
        let two = [("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")];
        assert_eq!(plain(&two), Ok(Body::Chunked));
        assert_eq!(plain(&[("Transfer-Encoding", "identity"), ("Content-Length", "3")]), Ok(Body::Length(3)));
        assert_eq!(plain(&[("Content-Length", "3, 3")]), Ok(Body::Length(3)));
        assert!(plain(&[("Content-Length", "3, 4")]).is_err());
        assert_eq!(plain(&[("Transfer-Encoding", "chunked"), ("Content-Length", "3")]), Ok(Body::Chunked));
        assert!(plain(&[("Content-Length", "3"), ("Content-Length", "4")]).is_err());
    }

    #[test]
    fn another_protocol_is_asked_for_with_both_fields() {
        let both = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "websocket")];
        assert!(facts(&both).upgrades(1));
        assert!(!facts(&both).upgrades(0));
        assert!(!facts(&both[..1]).upgrades(1) && !facts(&both[1..]).upgrades(1));
    }
}
