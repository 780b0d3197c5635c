//! What every message is wrapped in: one byte of kind, three bytes of length (big-endian), the body.

use crate::Malformed;

/// The port intercept listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 36524;

/// The longest frame in bytes, its header included: a response with the largest payload fits.
pub const MAX_FRAME_BYTES: usize = 128 * 1024;

/// Bytes of kind and length in front of a body.
pub(crate) const HEADER_BYTES: usize = 4;

/// A frame that records are batched into is closed at this body length; only a longer record exceeds it.
pub(crate) const BATCH_BYTES: usize = 16 * 1024;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    Hello = 1,
    Refuse = 2,
    Registrations = 3,
    Responses = 4,
    Statistics = 5,
    Heartbeat = 6,
    Goodbye = 7,
    Unregistered = 8,
    Question = 9,
    Answer = 10,
}

impl FrameKind {
    const ALL: [Self; 10] = [
        Self::Hello,
        Self::Refuse,
        Self::Registrations,
        Self::Responses,
        Self::Statistics,
        Self::Heartbeat,
        Self::Goodbye,
        Self::Unregistered,
        Self::Question,
        Self::Answer,
    ];

    pub(crate) const fn byte(self) -> u8 {
        self as u8
    }

    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte).ok_or(Malformed::UnknownFrame(byte))
    }
}

/// One frame as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    pub(crate) const fn unexpected(&self) -> Malformed {
        Malformed::UnexpectedFrame(self.kind.byte())
    }
}

/// The header of a frame with `body` bytes of body; bodies are below [`MAX_FRAME_BYTES`].
pub(crate) fn header(kind: FrameKind, body: usize) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(body).unwrap_or(u32::MAX).to_be_bytes();
    [kind.byte(), length[1], length[2], length[3]]
}

/// Kind and whole length (header included) of the frame that begins with `header`.
pub(crate) fn parse_header(header: [u8; HEADER_BYTES]) -> Result<(FrameKind, usize), Malformed> {
    let [kind, high, middle, low] = header;
    let kind = FrameKind::from_byte(kind)?;
    let body = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let total = HEADER_BYTES + body;
    if total > MAX_FRAME_BYTES {
        return Err(Malformed::FrameTooLarge(total));
    }
    Ok((kind, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back() {
        for kind in FrameKind::ALL {
            for body in [0, 1, 255, 256, 65_536, MAX_FRAME_BYTES - HEADER_BYTES] {
                assert_eq!(parse_header(header(kind, body)), Ok((kind, HEADER_BYTES + body)));
            }
        }
    }

    #[test]
    fn unknown_kinds_and_oversized_frames_are_refused() {
        assert_eq!(parse_header([0, 0, 0, 0]), Err(Malformed::UnknownFrame(0)));
        assert_eq!(parse_header([11, 0, 0, 0]), Err(Malformed::UnknownFrame(11)));
        let largest = HEADER_BYTES + 0xff_ffff;
        assert_eq!(parse_header([4, 0xff, 0xff, 0xff]), Err(Malformed::FrameTooLarge(largest)));
    }
}
