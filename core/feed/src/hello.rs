//! How a connection between two of ours begins: each end's hello, or a refusal.

use tcpcopy_wire::Instant;

use crate::Malformed;
use crate::bytes::{Reader, Writer};
use crate::frame::{Frame, FrameKind};

/// The version of the feed protocol spoken here.
pub const VERSION: u16 = 2;

pub(crate) const MAGIC: [u8; 8] = *b"TCPCFEED";

/// The longest body of a hello or refusal.
pub(crate) const OPENING_BODY_MAX: usize = 1024;

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
    /// The tcpcopy registers nothing: every response is its own.
    pub const UNREGISTERED: Self = Self(4);

    /// Intercept can be asked about its host.
    pub const INQUIRY: Self = Self(8);

    /// All that this version can do.
    pub const OURS: Self =
        Self(Self::PAYLOAD.0 | Self::EXPECTS_PAYLOAD.0 | Self::UNREGISTERED.0 | Self::INQUIRY.0);

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
    Ok(readable(reason.remaining(), REASON_MAX))
}

/// The version of a hello or refusal, and what follows it.
fn parse_signature(frame: Frame<'_>) -> Result<(u16, Reader<'_>), Malformed> {
    let mut body = Reader::new(frame.body);
    if body.array()? != MAGIC {
        return Err(frame.unexpected());
    }
    Ok((body.u16()?, body))
}

/// A stranger's text made fit for a log line: one line of at most so many characters.
pub(crate) fn readable(text: &[u8], most: usize) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let body = [MAGIC.as_slice(), &[0, 3], b"whatever version 3 says"].concat();
        let frame = Frame { kind: FrameKind::Hello, body: &body };
        assert_eq!(parse_opening(frame), Ok(Opening::OtherVersion(3)));
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
}
