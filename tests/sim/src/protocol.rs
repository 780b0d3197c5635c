//! What users and servers say: tagged messages with a length and bytes that follow from the tag.
//!
//! A message is one byte of kind, three bytes of tag (low ones first, so that few bytes tell messages apart),
//! four bytes of body length, and the body.

use fastrand::Rng;

/// Bytes before the body.
pub(crate) const HEADER: usize = 8;
/// The tag of a server's greeting.
pub(crate) const GREETING: u32 = 0x00ff_ffff;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Request => 0xa5,
            Self::Response => 0x5a,
        }
    }
}

/// Appends the message `tag` with a body of `body` bytes.
pub(crate) fn write(kind: Kind, tag: u32, body: usize, out: &mut Vec<u8>) {
    out.push(kind.byte());
    out.extend_from_slice(&tag.to_le_bytes()[..3]);
    out.extend_from_slice(&(body as u32).to_be_bytes());
    let start = out.len();
    out.resize(start + body, 0);
    Rng::with_seed(u64::from(tag) << 8 | u64::from(kind.byte())).fill(&mut out[start..]);
}

/// The tag of the message that `bytes` begin with; `None` when no message of `kind` does.
pub(crate) fn tag_of(kind: Kind, bytes: &[u8]) -> Option<u32> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let [first, a, b, c, ..] = *header;
    (first == kind.byte()).then(|| u32::from_le_bytes([a, b, c, 0]))
}

/// How long the message is that `bytes` begin with: `None` until its header has come, `Some(None)` when it is none.
pub(crate) fn length_of(kind: Kind, bytes: &[u8]) -> Option<Option<usize>> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let [first, _, _, _, body @ ..] = *header;
    Some((first == kind.byte()).then(|| HEADER + u32::from_be_bytes(body) as usize))
}

/// What was read is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

/// Reads messages from a stream cut anywhere. Bodies are not looked at.
pub(crate) struct Messages {
    kind: Kind,
    header: Vec<u8>,
    body_left: usize,
}

impl Messages {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, header: Vec::new(), body_left: 0 }
    }

    /// Takes `bytes` and hands the tag of every message that is now complete to `on_message`.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut on_message: impl FnMut(u32)) -> Result<(), Garbled> {
        while !bytes.is_empty() {
            let wanted = if self.header.len() < HEADER { HEADER - self.header.len() } else { self.body_left };
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            bytes = later;
            if self.header.len() < HEADER {
                self.header.extend_from_slice(now);
                if self.header.len() < HEADER {
                    break;
                }
                self.body_left = self.body_len()?;
            } else {
                self.body_left -= now.len();
            }
            if self.body_left == 0 {
                let tag = tag_of(self.kind, &self.header).ok_or(Garbled)?;
                self.header.clear();
                on_message(tag);
            }
        }
        Ok(())
    }

    /// The tag and the length of the body that has begun to come.
    pub(crate) fn begun(&self) -> Option<(u32, usize)> {
        let tag = tag_of(self.kind, &self.header)?;
        Some((tag, self.body_len().ok()?))
    }

    fn body_len(&self) -> Result<usize, Garbled> {
        match *self.header.as_slice() {
            [kind, _, _, _, a, b, c, d] if kind == self.kind.byte() => {
                Ok(u32::from_be_bytes([a, b, c, d]) as usize)
            }
            _ => Err(Garbled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_however_they_are_cut() {
        let mut stream = Vec::new();
        for (tag, body) in [(1, 0), (2, 1), (3, 300)] {
            write(Kind::Request, tag, body, &mut stream);
        }
        for cut in [1, 7, 8, 9, 1000] {
            let mut tags = Vec::new();
            let mut messages = Messages::new(Kind::Request);
            for piece in stream.chunks(cut) {
                messages.read(piece, |tag| tags.push(tag)).unwrap();
            }
            assert_eq!(tags, [1, 2, 3]);
        }
    }

    #[test]
    fn a_stream_joined_inside_a_body_is_garbled() {
        let mut stream = Vec::new();
        write(Kind::Request, 1, 100, &mut stream);
        assert_eq!(Messages::new(Kind::Request).read(&stream[20..], |_| {}), Err(Garbled));
    }
}
