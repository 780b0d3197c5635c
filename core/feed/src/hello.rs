//! How a connection begins: each end's hello, or a refusal, and the recognition of strangers.
//!
//! The first 14 bytes of either frame (header, magic, version) are the same in every version of the feed, so
//! that two ends of different versions can still tell each other why they part.

use tcpcopy_wire::Instant;

use crate::Malformed;
use crate::bytes::{Reader, Writer};
use crate::frame::{Frame, FrameKind, HEADER_BYTES};

/// The version of the feed protocol spoken here.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"TCPCFEED";

/// Bytes after which a connection's opening is recognised: header, magic, version.
pub(crate) const OPENING_BYTES: usize = HEADER_BYTES + MAGIC.len() + 2;

/// The longest body of a hello or refusal.
const OPENING_BODY_MAX: usize = 1024;

/// The longest text of a refusal in bytes.
const REASON_MAX: usize = 512;

/// What an end can do beyond the minimum, one bit each. What is in use on a connection is what both offered;
/// bits that an end does not know are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(pub u64);

impl Features {
    /// Responses may carry payload, as deep as each flow's registration says.
    pub const PAYLOAD: Self = Self(1);
    /// Some flows will want payload: the tcpcopy has modules. Lets intercept capture it before the first one does.
    pub const EXPECTS_PAYLOAD: Self = Self(2);

    /// All that this version can do.
    pub const OURS: Self = Self(Self::PAYLOAD.0 | Self::EXPECTS_PAYLOAD.0);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both have.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Which of the two programs an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Tcpcopy,
    Intercept,
}

impl Role {
    const fn byte(self) -> u8 {
        match self {
            Self::Tcpcopy => 1,
            Self::Intercept => 2,
        }
    }
}

/// What the ends tell each other first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) role: Role,
    pub(crate) features: Features,
    pub(crate) identity: u64,
    pub(crate) clock: Instant,
}

/// A hello or refusal of any version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Hello(Hello),
    /// A hello of a version we do not speak.
    OtherVersion(u16),
    Refusal(String),
}

impl Hello {
    pub(crate) fn body(&self) -> Writer {
        let mut body = Writer::new();
        body.put(MAGIC);
        body.u16(VERSION);
        body.u8(self.role.byte());
        body.u64(self.features.0);
        body.u64(self.identity);
        body.u64(self.clock.micros());
        body
    }

    fn parse(mut body: Reader<'_>) -> Result<Self, Malformed> {
        let role = match body.u8()? {
            1 => Role::Tcpcopy,
            2 => Role::Intercept,
            _ => return Err(Malformed::Number),
        };
        // Bytes that follow belong to features we do not know.
        Ok(Self {
            role,
            features: Features(body.u64()?),
            identity: body.u64()?,
            clock: Instant::from_micros(body.u64()?),
        })
    }
}

/// The fixed part of a refusal's body; the reason follows, cut by [`fitting_reason`].
pub(crate) fn refusal_body() -> Writer {
    let mut body = Writer::new();
    body.put(MAGIC);
    body.u16(VERSION);
    body
}

/// As much of `reason` as a refusal carries, cut between characters.
pub(crate) fn fitting_reason(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_MAX)]
}

/// Reads the first frame of a connection.
pub(crate) fn parse_opening(frame: Frame<'_>) -> Result<Opening, Malformed> {
    let (version, body) = parse_signature(frame)?;
    match frame.kind {
        FrameKind::Hello if version != VERSION => Ok(Opening::OtherVersion(version)),
        FrameKind::Hello => Hello::parse(body).map(Opening::Hello),
        FrameKind::Refuse => parse_refusal(frame).map(Opening::Refusal),
        _ => Err(frame.unexpected()),
    }
}

/// The reason given in a refusal of any version, as one line.
pub(crate) fn parse_refusal(frame: Frame<'_>) -> Result<String, Malformed> {
    let (_, reason) = parse_signature(frame)?;
    Ok(readable(reason.remaining()))
}

/// The version of a hello or refusal, and what follows it.
fn parse_signature(frame: Frame<'_>) -> Result<(u16, Reader<'_>), Malformed> {
    let mut body = Reader::new(frame.body);
    if body.array()? != MAGIC {
        return Err(frame.unexpected());
    }
    Ok((body.u16()?, body))
}

/// A stranger's text made fit for a log line: one line of bounded length.
fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REASON_MAX)
        .collect()
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// Not enough bytes yet to say.
    Undecided,
    /// A hello or refusal of some version of the feed.
    Feed,
    /// A C tcpcopy of this protocol version.
    CTcpcopy(u16),
    /// Anything else.
    Stranger,
}

/// Recognises the other end by its first (at most [`OPENING_BYTES`]) bytes.
///
/// A C tcpcopy opens with a record of the same 14 bytes: address (4) and port (2) zero, its protocol version
/// in place of a message type (2), address (4) and port (2) zero; all in network order.
pub(crate) fn recognise(first: &[u8]) -> Opener {
    let feed = |(at, &byte): (usize, &u8)| match at {
        0 => byte == FrameKind::Hello.byte() || byte == FrameKind::Refuse.byte(),
        1 => byte == 0,
        4..12 => MAGIC.get(at - HEADER_BYTES) == Some(&byte),
        _ => true,
    };
    let c_tcpcopy = |(at, &byte): (usize, &u8)| matches!(at, 6 | 7) || byte == 0;
    let enough = first.len() >= OPENING_BYTES;
    let mut numbered = first.iter().enumerate();
    if numbered.clone().all(feed) {
        return match first.get(2..4) {
            Some(&[high, low]) if enough => {
                let body = usize::from(u16::from_be_bytes([high, low]));
                let fits = (OPENING_BYTES - HEADER_BYTES..=OPENING_BODY_MAX).contains(&body);
                if fits { Opener::Feed } else { Opener::Stranger }
            }
            _ => Opener::Undecided,
        };
    }
    if !numbered.all(c_tcpcopy) {
        return Opener::Stranger;
    }
    match first.get(6..8) {
        Some(&[0, 0]) => Opener::Stranger,
        Some(&[high, low]) if enough => Opener::CTcpcopy(u16::from_be_bytes([high, low])),
        _ => Opener::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::header;

    const C_VERSION_6: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0];

    fn opening_of(kind: FrameKind, body: &[u8]) -> Vec<u8> {
        [&header(kind, body.len()), body].concat()
    }

    fn hello() -> Hello {
        Hello {
            role: Role::Intercept,
            features: Features(0xffff_0000_0000_0001),
            identity: 7,
            clock: Instant::from_micros(9),
        }
    }

    #[test]
    fn a_hello_comes_back_and_later_additions_are_ignored() {
        let mut body = hello().body().as_slice().to_vec();
        body.extend_from_slice(b"later");
        let frame = Frame { kind: FrameKind::Hello, body: &body };
        assert_eq!(parse_opening(frame), Ok(Opening::Hello(hello())));
    }

    #[test]
    fn a_hello_of_another_version_is_told_by_its_version_alone() {
        let body = [MAGIC.as_slice(), &[0, 2], b"whatever version 2 says"].concat();
        assert_eq!(recognise(&opening_of(FrameKind::Hello, &body)[..OPENING_BYTES]), Opener::Feed);
        let frame = Frame { kind: FrameKind::Hello, body: &body };
        assert_eq!(parse_opening(frame), Ok(Opening::OtherVersion(2)));
    }

    #[test]
    fn a_refusal_becomes_one_line_of_bounded_length() {
        let text = "go\naway\u{1b}[31m".to_owned() + &"!".repeat(2000);
        let body = [refusal_body().as_slice(), text.as_bytes()].concat();
        let Ok(Opening::Refusal(reason)) = parse_opening(Frame { kind: FrameKind::Refuse, body: &body })
        else {
            panic!("not a refusal");
        };
        assert!(reason.starts_with("go away [31m!!"), "{reason}");
        assert_eq!(reason.chars().count(), REASON_MAX);
        assert!(fitting_reason(&"ä".repeat(400)).len() <= REASON_MAX);
    }

    #[test]
    fn a_c_tcpcopy_is_recognised_with_its_version() {
        assert_eq!(recognise(&C_VERSION_6), Opener::CTcpcopy(6));
        for cut in 0..C_VERSION_6.len() {
            assert_eq!(recognise(&C_VERSION_6[..cut]), Opener::Undecided, "after {cut} bytes");
        }
    }

    #[test]
    fn strangers_are_recognised_early() {
        for first in
            [&b"GET / HTTP/1.1"[..], b"SSH-2.0", b"\x16\x03\x01", &[0; 8], &[1, 0, 0, 5, b'X'], &[1, 1]]
        {
            assert_eq!(recognise(first), Opener::Stranger, "{first:?}");
        }
        let endless = [&[1, 0, 0xff, 0xff][..], &MAGIC, &[0, 1]].concat();
        assert_eq!(recognise(&endless), Opener::Stranger);
    }

    proptest! {
        #[test]
        fn our_own_openings_are_never_strangers(cut in 0..OPENING_BYTES) {
            let opening = opening_of(FrameKind::Hello, hello().body().as_slice());
            prop_assert_eq!(recognise(&opening[..cut]), Opener::Undecided);
            prop_assert_eq!(recognise(&opening[..OPENING_BYTES]), Opener::Feed);
        }

        #[test]
        fn a_verdict_on_the_opening_is_never_taken_back(first in prop::collection::vec(any::<u8>(), 0..OPENING_BYTES)) {
            if recognise(&first) == Opener::Stranger {
                let mut longer = first;
                longer.push(0);
                prop_assert_eq!(recognise(&longer), Opener::Stranger);
            }
        }
    }
}
