//! One server's answers, read from its stream: where each ends, and what it was.

use std::mem::MaybeUninit;

use httparse::{ParserConfig, Status};
use xxhash_rust::xxh64::Xxh64;

use crate::chunked::{Chunked, Piece};
use crate::framing::{Body, Facts, Malformed, RequestKind};
use crate::head::{HeadEnd, HeadSearch, MAX_FIELDS};

/// Reads the responses of one stream, one behind the other.
pub(crate) struct ResponseReader {
    /// Whether bodies are looked at. If not, they are passed over unseen but for their last byte.
    digests: bool,
    search: HeadSearch,
    place: Place,
    /// Of the response whose body is being read.
    status: u16,
    size: u64,
    digest: Option<Xxh64>,
}

#[derive(Debug)]
enum Place {
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// What the bytes dealt with were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A part of a response.
    Part,
    /// All of a response.
    Response(Response),
    /// A response after which the connection speaks another protocol.
    Switch(Response),
    /// No response: the place in the stream is lost.
    Nonsense,
}

/// A response that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The bytes of its body, without chunk sizes and trailers.
    pub(crate) size: u64,
    /// A hash of them; 0 if they were not all seen.
    pub(crate) digest: u64,
}

impl ResponseReader {
    pub(crate) fn new(digests: bool) -> Self {
        Self { digests, search: HeadSearch::default(), place: Place::Head, status: 0, size: 0, digest: None }
    }

    /// A reader of what was taken for a status line, and what follows it.
    pub(crate) fn of_possible_response(digests: bool) -> Self {
        Self { search: HeadSearch::of_possible_response(), ..Self::new(digests) }
    }

    /// Reads a part of `input`: the response to a request of that kind. Returns how many bytes are dealt with, more than
    /// there are where a body is passed over, and none where more are needed.
    pub(crate) fn read(&mut self, input: &[u8], request: RequestKind) -> (u64, Heard) {
        let read = match &mut self.place {
            Place::Head => self.read_head(input, request),
            Place::Length(_) => Ok(self.read_body(input)),
            Place::Chunked(_) => self.read_chunk(input),
            Place::UntilClose => {
                self.see(input);
                Ok((input.len() as u64, Heard::Part))
            }
        };
        read.unwrap_or((0, Heard::Nonsense))
    }

    /// The next `count` bytes were lost.
    pub(crate) fn miss(&mut self, count: u64) -> Heard {
        self.digest = None;
        match &mut self.place {
            Place::Length(left) if *left >= count => {
                *left -= count;
                self.size += count;
                if *left == 0 { Heard::Response(self.finish()) } else { Heard::Part }
            }
            Place::Chunked(chunked) if chunked.data_left() >= count => {
                chunked.pass(count);
                self.size += count;
                Heard::Part
            }
            Place::UntilClose => {
                self.size += count;
                Heard::Part
            }
            _ => Heard::Nonsense,
        }
    }

    /// The stream is over: the response that ended with it, if one did. Of one that was not complete nothing is kept.
    pub(crate) fn end(&mut self) -> Option<Response> {
        let response = matches!(self.place, Place::UntilClose).then(|| self.finish());
        *self = Self::new(self.digests);
        response
    }

    /// Whether nothing of the next response has been seen.
    pub(crate) fn is_between_responses(&self) -> bool {
        matches!(self.place, Place::Head) && self.search.is_fresh()
    }

    fn read_head(&mut self, input: &[u8], request: RequestKind) -> Result<(u64, Heard), Malformed> {
        let length = match self.search.find(input) {
            HeadEnd::At(length) => length,
            HeadEnd::Later => {
                let begun = input.get(self.search.blank()..).unwrap_or_default();
                let is_possible = begun == b"\r" || b"HTTP/1.".iter().zip(begun).all(|(a, b)| a == b);
                return if is_possible { Ok((0, Heard::Part)) } else { Err(Malformed("no response")) };
            }
            HeadEnd::Nowhere => return Err(Malformed("a head that is none")),
        };
        let head = input.get(self.search.blank()..length).unwrap_or_default();
        self.search = HeadSearch::default();
        let (status, facts) = read_head(head)?;
        self.status = status;
        let opens_tunnel = request == RequestKind::Connect && (200..300).contains(&status);
        if status == 101 || opens_tunnel {
            return Ok((length as u64, Heard::Switch(self.finish())));
        }
        if status < 200 {
            return Ok((length as u64, Heard::Part));
        }
        self.digest = self.digests.then(|| Xxh64::new(0));
        self.place = match facts.response_body(status, request)? {
            Body::Empty => return Ok((length as u64, Heard::Response(self.finish()))),
            Body::Length(count) => Place::Length(count),
            Body::Chunked => Place::Chunked(Chunked::of_response()),
            Body::UntilClose => Place::UntilClose,
        };
        Ok((length as u64, Heard::Part))
    }

    fn read_body(&mut self, input: &[u8]) -> (u64, Heard) {
        let Place::Length(left) = &mut self.place else { return (0, Heard::Part) };
        let here = (*left).min(input.len() as u64);
        // The last byte is not passed over: it tells when the response is complete.
        let dealt = if self.digests || here == *left { here } else { *left - 1 };
        *left -= dealt;
        let is_complete = *left == 0;
        self.size += dealt - here;
        self.see(input.get(..here as usize).unwrap_or_default());
        (dealt, if is_complete { Heard::Response(self.finish()) } else { Heard::Part })
    }

    fn read_chunk(&mut self, input: &[u8]) -> Result<(u64, Heard), Malformed> {
        let Place::Chunked(chunked) = &mut self.place else { return Ok((0, Heard::Part)) };
        match chunked.next(input)? {
            None => Ok((0, Heard::Part)),
            Some(Piece::Line(length)) => Ok((length as u64, Heard::Part)),
            Some(Piece::Last(length)) => Ok((length as u64, Heard::Response(self.finish()))),
            Some(Piece::Data(left)) => {
                let here = left.min(input.len() as u64);
                let dealt = if self.digests { here } else { left };
                chunked.pass(dealt);
                self.size += dealt - here;
                self.see(input.get(..here as usize).unwrap_or_default());
                Ok((dealt, Heard::Part))
            }
        }
    }

    /// Bytes of the body.
    fn see(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
    }

    fn finish(&mut self) -> Response {
        // 0 stands for none.
        let digest = self.digest.take().map_or(0, |digest| digest.digest().max(1));
        self.place = Place::Head;
        Response { status: self.status, size: std::mem::take(&mut self.size), digest }
    }
}

/// Reads a complete head, leniently: what a server sends does not become better by not being understood.
fn read_head(head: &[u8]) -> Result<(u16, Facts), Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true)
        .parse_response_with_uninit_headers(&mut parsed, head, &mut fields);
    match (outcome, parsed.code) {
        (Ok(Status::Complete(_)), Some(status @ 100..=999)) => Ok((status, Facts::of(parsed.headers))),
        _ => Err(Malformed("a head that is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All responses in `stream`, cut into pieces of that length, and whether the stream made sense.
    fn read(digests: bool, request: RequestKind, stream: &[u8], step: usize) -> (Vec<Response>, bool) {
        let mut reader = ResponseReader::new(digests);
        let (mut responses, mut dealt) = (Vec::new(), 0);
        for end in (0..stream.len()).step_by(step).map(|start| (start + step).min(stream.len())) {
            while dealt < end {
                let (count, heard) = reader.read(&stream[dealt..end], request);
                dealt += count as usize;
                match heard {
                    Heard::Part if count == 0 => break,
                    Heard::Part => {}
                    Heard::Response(response) | Heard::Switch(response) => responses.push(response),
                    Heard::Nonsense => return (responses, false),
                }
            }
        }
        responses.extend(reader.end());
        (responses, true)
    }

    fn sizes(stream: &[u8]) -> Vec<(u16, u64)> {
        let whole = read(false, RequestKind::Plain, stream, stream.len());
        let seen = read(true, RequestKind::Plain, stream, stream.len());
        for step in [1, 2, 3, 7] {
            assert_eq!(read(false, RequestKind::Plain, stream, step), whole);
            assert_eq!(
                read(true, RequestKind::Plain, stream, step),
                seen,
                "digests do not depend on the calls"
            );
        }
        assert!(whole.1);
        whole.0.iter().map(|response| (response.status, response.size)).collect()
    }

    #[test]
    fn every_kind_of_body_is_read() {
        let stream = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
            HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n\
            \r\nHTTP/1.0 404 \r\nContent-Length: 1\r\n\r\nxHTTP/1.0 500\r\n\r\nuntil the end";
        assert_eq!(sizes(stream), [(200, 5), (304, 0), (200, 5), (404, 1), (500, 13)]);
    }

    #[test]
    fn a_digest_is_of_the_body_however_it_was_sent() {
        let sent = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let digest = |stream| read(true, RequestKind::Plain, stream, 1000).0[0].digest;
        assert_eq!(digest(sent), digest(chunked));
        assert_ne!(digest(sent), digest(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhullo"));
        assert_ne!(digest(sent), 0);
    }

    #[test]
    fn a_body_that_is_not_looked_at_is_passed_over_but_for_its_last_byte() {
        let mut reader = ResponseReader::new(false);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        assert_eq!(reader.read(head, RequestKind::Plain), (head.len() as u64, Heard::Part));
        assert_eq!(reader.read(b"abc", RequestKind::Plain), (999, Heard::Part));
        let whole = Response { status: 200, size: 1000, digest: 0 };
        assert_eq!(reader.read(b"z", RequestKind::Plain), (1, Heard::Response(whole)));
    }

    #[test]
    fn bytes_lost_inside_a_body_cost_its_digest_only() {
        let mut reader = ResponseReader::new(true);
        reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", RequestKind::Plain);
        assert_eq!(reader.miss(4), Heard::Part);
        let whole = Response { status: 200, size: 10, digest: 0 };
        assert_eq!(reader.read(b"123456", RequestKind::Plain), (6, Heard::Response(whole)));
        assert_eq!(reader.miss(1), Heard::Nonsense);
    }

    #[test]
    fn what_is_no_response_is_nonsense() {
        for stream in [
            &b"SSH-2.0"[..],
            b"HTTP/2 200 OK\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(!read(false, RequestKind::Plain, stream, 1).1, "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn after_a_switch_there_are_no_responses() {
        let mut reader = ResponseReader::new(false);
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        let (_, heard) = reader.read(head, RequestKind::Connect);
        assert!(matches!(heard, Heard::Switch(Response { status: 200, .. })));
    }
}
