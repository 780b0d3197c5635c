//! Tagged requests: everything in them, to the last byte, follows from an id and three numbers.
//!
//! The request line carries id, wanted answer size and delay, `Content-Length` the body's size, and `X-Tag` a
//! fingerprint of all four; the body is a keystream of the id. So a receiver that knows nothing beforehand can
//! rebuild the whole request from its head, and one changed byte anywhere shows.

use std::fmt;
use std::io::Write;

use serde::{Deserialize, Serialize};

use super::outbox::Message;
use super::plan::{UsersPlan, Wording};

/// Names one request of a run: which user, which of its connections, which request there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(u64);

impl RequestId {
    /// Users an id can tell apart.
    pub const USERS: u32 = 1 << 20;
    /// Connections of one user an id can tell apart.
    pub const CONNECTIONS: u32 = 1 << 24;
    /// Requests of one connection an id can tell apart.
    pub const REQUESTS: u32 = 1 << 20;

    /// Each number is taken modulo its bound.
    pub const fn new(user: u32, connection: u32, request: u32) -> Self {
        let user = (user % Self::USERS) as u64;
        let connection = (connection % Self::CONNECTIONS) as u64;
        Self(user << 44 | connection << 20 | (request % Self::REQUESTS) as u64)
    }

    /// Which user.
    pub const fn user(self) -> u32 {
        (self.0 >> 44) as u32
    }

    /// Which connection of the user, from 0.
    pub const fn connection(self) -> u32 {
        (self.0 >> 20) as u32 % Self::CONNECTIONS
    }

    /// Which request of the connection, from 0.
    pub const fn request(self) -> u32 {
        self.0 as u32 % Self::REQUESTS
    }

    /// Names the user's connection: all requests on it have the same value here.
    pub(crate) const fn connection_key(self) -> u64 {
        self.0 >> 20
    }

    fn from_hex(text: &str) -> Option<Self> {
        let canonical = text.len() == 16 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if canonical { u64::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A tagged request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// Bytes of its body; 0 makes it a GET.
    pub body: u32,
    /// Bytes it wants in the answer's body.
    pub want: u32,
    /// Milliseconds it wants the server to think for.
    pub delay_ms: u32,
}

impl Request {
    /// The request that `plan` has under `id`.
    pub(crate) fn drawn(plan: &UsersPlan, id: RequestId) -> Self {
        let draw = |salt: u64| mix(mix(plan.seed.wrapping_add(salt)) ^ id.0);
        Self {
            id,
            body: plan.body.pick(draw(1)) as u32,
            want: plan.want.pick(draw(2)) as u32,
            delay_ms: plan.delay_ms.pick(draw(3)) as u32,
        }
    }

    /// What `X-Tag` says of this request.
    pub(crate) fn tag(&self) -> u64 {
        let sizes = u64::from(self.body) << 32 | u64::from(self.want);
        mix(mix(mix(self.id.0) ^ sizes) ^ u64::from(self.delay_ms))
    }

    /// Appends the head, as users word it.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        self.write_head_worded(&Wording::default(), out);
    }

    /// Appends the head in that wording.
    fn write_head_worded(&self, wording: &Wording, out: &mut Vec<u8>) {
        let Self { id, body, want, delay_ms } = self;
        let tag = self.tag();
        let method = if *body == 0 { "GET" } else { "POST" };
        let host = wording.host.as_deref().unwrap_or("lab");
        let line = write!(
            out,
            "{method} /r/{id}?want={want}&delay_ms={delay_ms} HTTP/1.1\r\nHost: {host}\r\nX-Tag: {tag:016x}\r\n"
        );
        let length = if *body == 0 { Ok(()) } else { write!(out, "Content-Length: {body}\r\n") };
        line.and(length).expect("a Vec takes every byte");
        for field in &wording.added {
            out.extend_from_slice(field.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Bytes of head and body together.
    pub fn size(&self) -> u64 {
        let mut head = Vec::with_capacity(160);
        self.write_head(&mut head);
        head.len() as u64 + u64::from(self.body)
    }

    /// Reads a request line's target and a body length; `None` when this is no tagged request.
    pub(crate) fn from_target(target: &str, body: u32) -> Option<Self> {
        let (id, query) = target.strip_prefix("/r/")?.split_once('?')?;
        let (want, delay_ms) = query.strip_prefix("want=")?.split_once("&delay_ms=")?;
        let id = RequestId::from_hex(id)?;
        Some(Self { id, body, want: want.parse().ok()?, delay_ms: delay_ms.parse().ok()? })
    }
}

/// What the bytes at the start of a buffer are.
#[derive(Debug, PartialEq)]
pub(crate) enum Head {
    /// The beginning of a head.
    Partial,
    /// A head of `length` bytes; `exact` when each of them is as it must arrive.
    Whole { request: Request, length: usize, exact: bool },
    /// Not the head of a tagged request: where it ends is unknown.
    Malformed(&'static str),
}

/// A head longer than this was not made here.
const LONGEST_HEAD: usize = 4096;

impl Head {
    /// Reads the head at the start of `bytes`, which is to have that wording.
    pub(crate) fn parse(bytes: &[u8], wording: &Wording, rebuilt: &mut Vec<u8>) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut parsed = httparse::Request::new(&mut fields);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() <= LONGEST_HEAD => return Self::Partial,
            Ok(httparse::Status::Partial) => return Self::Malformed("the head does not end"),
            Err(_) => return Self::Malformed("not the head of an HTTP request"),
        };
        let Some(body) = body_length(parsed.headers) else {
            return Self::Malformed("the Content-Length is not a number");
        };
        let Some(request) = parsed.path.and_then(|target| Request::from_target(target, body)) else {
            return Self::Malformed("the request line carries no id");
        };
        rebuilt.clear();
        request.write_head_worded(wording, rebuilt);
        Self::Whole { request, length, exact: bytes.get(..length) == Some(rebuilt.as_slice()) }
    }
}

/// `Content-Length`, 0 without one; `None` when it is not a number.
pub(crate) fn body_length(fields: &[httparse::Header<'_>]) -> Option<u32> {
    match fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-length")) {
        None => Some(0),
        Some(field) => str::from_utf8(field.value).ok()?.parse().ok(),
    }
}

/// The bytes of a request's body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Body(u64);

impl Body {
    pub(crate) fn of(id: RequestId) -> Self {
        Self(mix(id.0))
    }

    fn word(self, index: u64) -> [u8; 8] {
        mix(self.0.wrapping_add(index.wrapping_mul(GOLDEN))).to_le_bytes()
    }

    /// Appends the bytes `offset..offset + count`.
    pub(crate) fn write(self, offset: u64, count: usize, out: &mut Vec<u8>) {
        let end = out.len() + count;
        let mut index = offset / 8;
        let skipped = (offset % 8) as usize;
        if skipped > 0 {
            out.extend_from_slice(&self.word(index)[skipped..]);
            index += 1;
        }
        while out.len() < end {
            out.extend_from_slice(&self.word(index));
            index += 1;
        }
        out.truncate(end);
    }

    /// Whether `bytes` are those that start at `offset`.
    pub(crate) fn matches(self, offset: u64, bytes: &[u8]) -> bool {
        let mut index = offset / 8;
        let skipped = (offset % 8) as usize;
        let (first, rest) = bytes.split_at(if skipped == 0 { 0 } else { bytes.len().min(8 - skipped) });
        if !first.is_empty() {
            if self.word(index)[skipped..skipped + first.len()] != *first {
                return false;
            }
            index += 1;
        }
        let (words, last) = rest.as_chunks::<8>();
        for word in words {
            if self.word(index) != *word {
                return false;
            }
            index += 1;
        }
        self.word(index)[..last.len()] == *last
    }
}

/// A request on its way out, and the row of its sender's record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) request: Request,
    pub(crate) row: usize,
    head: u64,
    halved: bool,
}

impl Outgoing {
    /// With `halved`, only its first half goes out.
    pub(crate) fn new(request: Request, row: usize, halved: bool) -> Self {
        Self { request, row, head: request.size() - u64::from(request.body), halved }
    }

    pub(crate) fn is_halved(&self) -> bool {
        self.halved
    }

    /// Bytes of the whole request, also when it is halved.
    pub(crate) fn whole_size(&self) -> u64 {
        self.head + u64::from(self.request.body)
    }
}

impl Message for Outgoing {
    fn size(&self) -> u64 {
        if self.halved { self.whole_size() / 2 } else { self.whole_size() }
    }

    fn write(&self, offset: u64, count: usize, out: &mut Vec<u8>) {
        let end = out.len() + count;
        let mut body_offset = offset.saturating_sub(self.head);
        if offset < self.head {
            let from = out.len();
            self.request.write_head(out);
            out.drain(from..from + offset as usize);
            out.truncate(end);
            body_offset = 0;
        }
        Body::of(self.request.id).write(body_offset, end - out.len(), out);
    }
}

/// 2^64 / golden ratio: the step that keeps successive inputs of [`mix`] far apart.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64: spreads every input bit over the whole word.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(GOLDEN);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: u32) -> Request {
        Request { id: RequestId::new(7, 3, 1), body, want: 100, delay_ms: 20 }
    }

    fn whole(request: Request) -> Vec<u8> {
        let outgoing = Outgoing::new(request, 0, false);
        let mut bytes = Vec::new();
        outgoing.write(0, outgoing.size() as usize, &mut bytes);
        bytes
    }

    fn parse(bytes: &[u8]) -> Head {
        Head::parse(bytes, &Wording::default(), &mut Vec::new())
    }

    #[test]
    fn ids_keep_their_parts() {
        let id = RequestId::new(RequestId::USERS - 1, RequestId::CONNECTIONS - 1, RequestId::REQUESTS - 1);
        assert_eq!(id.0, u64::MAX);
        let id = RequestId::new(5, 9, 11);
        assert_eq!((id.user(), id.connection(), id.request()), (5, 9, 11));
        assert_eq!(RequestId::from_hex(&id.to_string()), Some(id));
    }

    #[test]
    fn a_request_is_the_same_however_it_is_cut() {
        let bytes = whole(request(100));
        for step in [1, 3, 7, 8, 13, 64] {
            let outgoing = Outgoing::new(request(100), 0, false);
            let mut pieces = Vec::new();
            while pieces.len() < bytes.len() {
                let count = step.min(bytes.len() - pieces.len());
                outgoing.write(pieces.len() as u64, count, &mut pieces);
            }
            assert_eq!(pieces, bytes, "in pieces of {step}");
        }
    }

    #[test]
    fn a_head_rebuilds_itself_from_what_it_says() {
        for body in [0, 4096] {
            let bytes = whole(request(body));
            let head = parse(&bytes);
            let length = bytes.len() - body as usize;
            assert_eq!(head, Head::Whole { request: request(body), length, exact: true });
            assert_eq!(parse(&bytes[..length - 1]), Head::Partial);
        }
    }

    #[test]
    fn a_rewritten_head_is_exact_where_it_is_to_be_rewritten_and_nowhere_else() {
        let wording = Wording { host: Some("target.test".to_owned()), added: vec!["X-Copied: 1".to_owned()] };
        let mut rewritten = Vec::new();
        request(10).write_head_worded(&wording, &mut rewritten);
        assert!(str::from_utf8(&rewritten).unwrap().ends_with("Content-Length: 10\r\nX-Copied: 1\r\n\r\n"));
        let mut original = Vec::new();
        request(10).write_head(&mut original);
        for (bytes, as_rewritten) in [(rewritten, true), (original, false)] {
            for (wording, exact) in [(wording.clone(), as_rewritten), (Wording::default(), !as_rewritten)] {
                let head = Head::parse(&bytes, &wording, &mut Vec::new());
                assert_eq!(head, Head::Whole { request: request(10), length: bytes.len(), exact });
            }
        }
    }

    #[test]
    fn no_changed_byte_of_a_head_goes_unnoticed() {
        let bytes = whole(request(10));
        for position in 0..bytes.len() - 10 {
            for flip in [0x01, 0x20] {
                let mut changed = bytes.clone();
                changed[position] ^= flip;
                let exact = matches!(parse(&changed), Head::Whole { exact: true, .. });
                assert!(!exact, "byte {position} with {flip:#x} flipped");
            }
        }
    }

    #[test]
    fn bodies_match_from_every_offset_and_nowhere_else() {
        let body = Body::of(RequestId::new(1, 2, 3));
        let mut bytes = Vec::new();
        body.write(0, 50, &mut bytes);
        for from in 0..50 {
            for to in from..50 {
                assert!(body.matches(from as u64, &bytes[from..to]));
                if to > from {
                    let mut changed = bytes[from..to].to_vec();
                    changed[(to - from) / 2] ^= 1;
                    assert!(!body.matches(from as u64, &changed), "{from}..{to}");
                }
            }
        }
        assert!(!body.matches(1, &bytes[..40]));
    }
}
