//! One transmitted packet, as it is looked at.

use std::fmt::Write;

use tcpcopy_engine::SessionId;
use tcpcopy_wire::{Flow, Options, Segment};

use super::Target;

/// Payloads longer than this are written as their length.
const LONGEST_QUOTE: usize = 40;

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) session: SessionId,
    /// Milliseconds since the play began.
    pub(crate) at: u64,
    pub(crate) flow: Flow,
    /// Everything as on the wire, without the payload.
    pub(crate) headers: Segment<'static>,
    pub(crate) payload: Vec<u8>,
    /// Sequence number counted from our SYN on this connection, which is 0.
    pub(crate) seq: u32,
    /// Acknowledgement counted from the target's SYN, which is 0.
    pub(crate) ack: u32,
}

impl Sent {
    pub(crate) fn new(session: SessionId, at: u64, segment: &Segment<'_>, target: &Target) -> Self {
        Self {
            session,
            at,
            flow: Flow { client: segment.source, server: segment.destination },
            headers: Segment { payload: &[], ..*segment },
            payload: segment.payload.to_vec(),
            seq: segment.seq.0.wrapping_sub(target.iss.0),
            ack: segment.ack.0.wrapping_sub(target.isn.0),
        }
    }

    pub(crate) fn options(&self) -> Options {
        self.headers.options
    }

    /// Like tcpdump with relative numbers: `S 0`, `. 1 ack 1`, `P. 1 ack 1 hello`, `. 1 ack 1 [1460]`, `R. 7 ack 9`.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{} {}", self.headers.flags, self.seq);
        if self.headers.flags.ack() {
            let _ = write!(line, " ack {}", self.ack);
        }
        match self.payload.len() {
            0 => {}
            1..=LONGEST_QUOTE => {
                let _ = write!(line, " {}", self.payload.escape_ascii());
            }
            len => {
                let _ = write!(line, " [{len}]");
            }
        }
        line
    }
}

/// Everything said, in order.
pub(crate) fn words(sent: &[Sent]) -> Vec<u8> {
    sent.iter().flat_map(|sent| sent.payload.clone()).collect()
}
