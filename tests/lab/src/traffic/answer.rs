//! Answers: as the lab's server makes them, and as users read them from any HTTP server.

use std::io::Write;

use super::outbox::Message;
use super::request::{Request, body_length};

/// What a server says at once: its greeting, or an answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    head: Vec<u8>,
    body: u32,
    /// Index of the arrival it answers.
    pub(crate) arrival: Option<usize>,
}

impl Reply {
    /// The server's first line.
    pub(crate) fn greeting(line: &str) -> Self {
        Self { head: line.as_bytes().to_vec(), body: 0, arrival: None }
    }

    /// A 200 with `body` bytes, naming the request it answers by its tag.
    pub(crate) fn answer(request: &Request, body: u32, arrival: usize) -> Self {
        let mut head = Vec::with_capacity(96);
        let tag = request.tag();
        write!(head, "HTTP/1.1 200 OK\r\nContent-Length: {body}\r\nX-Tag: {tag:016x}\r\n\r\n")
            .expect("a Vec takes every byte");
        Self { head, body, arrival: Some(arrival) }
    }
}

impl Message for Reply {
    fn size(&self) -> u64 {
        self.head.len() as u64 + u64::from(self.body)
    }

    fn write(&self, offset: u64, count: usize, out: &mut Vec<u8>) {
        let end = out.len() + count;
        let from = self.head.len().min(offset as usize);
        let to = self.head.len().min(from + count);
        out.extend_from_slice(&self.head[from..to]);
        out.resize(end, b'x');
    }
}

/// Why bytes are no answer to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NoAnswer;

/// Reads the answers on one connection, chunk by chunk.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    /// A head that began in an earlier chunk.
    head: Vec<u8>,
    /// The answer whose body is being read.
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    body_left: u32,
    tag: Option<u64>,
}

/// A head longer than this is no server's answer here.
const LONGEST_HEAD: usize = 16 << 10;

impl AnswerReader {
    /// Takes a chunk; `finished` gets the tag (if the server gave one) of each answer that ends in it, and may refuse
    /// it.
    pub(crate) fn read(
        &mut self,
        mut chunk: &[u8],
        mut finished: impl FnMut(Option<u64>) -> Result<(), NoAnswer>,
    ) -> Result<(), NoAnswer> {
        loop {
            if let Some(current) = &mut self.current {
                let taken = chunk.len().min(current.body_left as usize);
                chunk = &chunk[taken..];
                current.body_left -= taken as u32;
                if current.body_left > 0 {
                    return Ok(());
                }
                finished(current.tag)?;
                self.current = None;
            }
            if chunk.is_empty() {
                return Ok(());
            }
            chunk = self.read_head(chunk)?;
        }
    }

    /// Takes a head, or as much as is there; gives back what follows it.
    fn read_head<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], NoAnswer> {
        let earlier = self.head.len();
        let bytes = if earlier == 0 {
            chunk
        } else {
            self.head.extend_from_slice(chunk);
            &self.head
        };
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(bytes).map_err(|_| NoAnswer)? {
            httparse::Status::Complete(length) if parsed.code == Some(200) => length,
            httparse::Status::Partial if bytes.len() <= LONGEST_HEAD => {
                if earlier == 0 {
                    self.head.extend_from_slice(chunk);
                }
                return Ok(&[]);
            }
            _ => return Err(NoAnswer),
        };
        let body_left = body_length(parsed.headers).ok_or(NoAnswer)?;
        self.current = Some(Current { body_left, tag: echoed_tag(parsed.headers) });
        self.head.clear();
        Ok(&chunk[length - earlier..])
    }
}

fn echoed_tag(fields: &[httparse::Header<'_>]) -> Option<u64> {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case("x-tag"))?;
    u64::from_str_radix(str::from_utf8(field.value).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::request::RequestId;
    use super::*;

    fn answers() -> (Vec<u8>, [u64; 3]) {
        let requests =
            [0, 5, 300].map(|want| Request { id: RequestId::new(1, 1, want), body: 0, want, delay_ms: 0 });
        let mut bytes = Vec::new();
        for request in &requests {
            let reply = Reply::answer(request, request.want, 0);
            reply.write(0, reply.size() as usize, &mut bytes);
        }
        (bytes, requests.map(|request| request.tag()))
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let (bytes, tags) = answers();
        for step in 1..bytes.len() {
            let mut reader = AnswerReader::default();
            let mut read = Vec::new();
            for chunk in bytes.chunks(step) {
                reader
                    .read(chunk, |tag| {
                        read.extend(tag);
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(read, tags, "in chunks of {step}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let other = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".as_slice();
        for bytes in [other, b"220 hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
            assert_eq!(AnswerReader::default().read(bytes, |_| Ok(())), Err(NoAnswer));
        }
        let (bytes, _) = answers();
        assert_eq!(AnswerReader::default().read(&bytes, |_| Err(NoAnswer)), Err(NoAnswer));
    }
}
