//! Where a tagged request or its answer ends: a head up to an empty line, then as many bytes as `Content-Length` says.

/// A head longer than this is none of the lab's.
const LONGEST_HEAD: usize = 4096;

/// How requests begin.
pub(crate) const REQUESTS: &[&[u8]] = &[b"GET /", b"POST /"];
/// How answers begin.
pub(crate) const ANSWERS: &[&[u8]] = &[b"HTTP/1.1 "];

/// What stands at the beginning of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The beginning of a head, or nothing.
    Partial,
    /// A whole head of so many bytes; the body may still come.
    Head { length: usize, body: u64 },
    /// Something else.
    Unreadable,
}

impl Message {
    /// Reads the beginning of `bytes`, which has to be one of `beginnings`.
    pub(crate) fn read(bytes: &[u8], beginnings: &[&[u8]]) -> Self {
        let agrees = |beginning: &&[u8]| beginning.iter().zip(bytes).all(|(wanted, byte)| wanted == byte);
        if !beginnings.iter().any(agrees) {
            return Self::Unreadable;
        }
        let within = &bytes[..bytes.len().min(LONGEST_HEAD)];
        let Some(end) = within.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if bytes.len() < LONGEST_HEAD { Self::Partial } else { Self::Unreadable };
        };
        match body_length(&bytes[..end]) {
            Some(body) => Self::Head { length: end + 4, body },
            None => Self::Unreadable,
        }
    }
}

/// `Content-Length`, 0 without one; `None` when it is not a number.
fn body_length(head: &[u8]) -> Option<u64> {
    let fields = str::from_utf8(head).ok()?.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().map_or(Some(0), |(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: &[u8]) -> Message {
        Message::read(bytes, REQUESTS)
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let head = b"POST /r/1 HTTP/1.1\r\nHost: lab\r\ncontent-length: 70\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(request(&head[..end]), Message::Partial, "{end}");
        }
        assert_eq!(request(head), Message::Head { length: head.len(), body: 70 });
        assert_eq!(request(b"GET / HTTP/1.1\r\n\r\nmore"), Message::Head { length: 18, body: 0 });
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(Message::read(answer, ANSWERS), Message::Head { length: 38, body: 3 });
    }

    #[test]
    fn what_is_no_message_of_the_lab_is_unreadable() {
        let endless = [b"GET /".as_slice(), &[b'x'; LONGEST_HEAD]].concat();
        for bytes in [b"PUT".as_slice(), b"GET  /", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", &endless]
        {
            assert_eq!(request(bytes), Message::Unreadable);
        }
    }
}
