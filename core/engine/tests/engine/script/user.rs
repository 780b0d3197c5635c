//! The user of a play: makes the segments that would have been captured.

use tcpcopy_wire::{Endpoint, Flags, Options, Segment, SeqNum};

use super::{ONLINE, end};

/// The user's initial sequence number, as captured: the third byte wraps.
pub(crate) const USER_ISN: SeqNum = SeqNum(u32::MAX - 2);
/// The online server's.
const ONLINE_ISN: SeqNum = SeqNum(u32::MAX - 40);

/// A captured segment with its payload.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) headers: Segment<'static>,
    payload: Vec<u8>,
}

impl Said {
    pub(crate) fn segment(&self) -> Segment<'_> {
        Segment { payload: &self.payload, ..self.headers }
    }

    /// The same segment, kept without its payload: a capture with a short snapshot length.
    pub(crate) fn truncated(mut self) -> Self {
        self.payload.clear();
        self
    }

    pub(crate) fn with(mut self, flags: Flags) -> Self {
        self.headers.flags = self.headers.flags | flags;
        self
    }

    pub(crate) fn without(mut self, flags: Flags) -> Self {
        self.headers.flags = Flags(self.headers.flags.0 & !flags.0);
        self
    }

    /// The same segment, acknowledging `less` bytes fewer: sent earlier, or overtaken.
    pub(crate) fn having_heard_less(mut self, less: u32) -> Self {
        self.headers.ack = self.headers.ack - less;
        self
    }
}

/// Someone who talks to the online server.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) end: Endpoint,
    pub(crate) online: Endpoint,
    pub(crate) isn: SeqNum,
    pub(crate) next: SeqNum,
    /// The next byte of the online server the user has not heard.
    pub(crate) heard_to: SeqNum,
    pub(crate) window: u16,
    pub(crate) syn_options: Options,
    /// Options of all other segments.
    pub(crate) options: Options,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// The next byte of the online server, once it has said something.
    pub(crate) online_next: Option<SeqNum>,
}

impl User {
    pub(crate) fn at(address: &str) -> Self {
        Self {
            end: end(address),
            online: end(ONLINE),
            isn: USER_ISN,
            next: USER_ISN,
            heard_to: ONLINE_ISN + 1,
            window: 502,
            syn_options: Options {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: true,
                ..Options::default()
            },
            options: Options::default(),
            ttl: 61,
            tos: 0,
            online_next: None,
        }
    }

    pub(crate) fn syn(&mut self) -> Said {
        self.next = self.isn + 1;
        let segment = Segment {
            seq: self.isn,
            ack: SeqNum(0),
            flags: Flags::SYN,
            window: 64_240,
            options: self.syn_options,
            ..self.headers(0)
        };
        Said { headers: segment, payload: Vec::new() }
    }

    pub(crate) fn acks(&mut self, heard: u32) -> Said {
        self.heard_to += heard;
        Said { headers: self.headers(0), payload: Vec::new() }
    }

    /// `words` with a push, after hearing `heard` further bytes.
    pub(crate) fn says(&mut self, words: impl AsRef<[u8]>, heard: u32) -> Said {
        self.heard_to += heard;
        let said = self.repeats(self.next, words);
        self.next += said.headers.payload_len;
        said
    }

    /// `words` at `seq`, whether or not anything was said there before.
    pub(crate) fn repeats(&self, seq: SeqNum, words: impl AsRef<[u8]>) -> Said {
        let payload = words.as_ref().to_vec();
        let headers = Segment { seq, flags: Flags::ACK | Flags::PSH, ..self.headers(payload.len() as u32) };
        Said { headers, payload }
    }

    pub(crate) fn fin(&mut self, heard: u32) -> Said {
        let fin = self.acks(heard).with(Flags::FIN);
        self.next += 1;
        fin
    }

    pub(crate) fn rst(&mut self) -> Said {
        self.acks(0).with(Flags::RST)
    }

    /// The online server says `words`, and the user has not acknowledged them yet.
    pub(crate) fn online_says(&mut self, words: impl AsRef<[u8]>) -> Said {
        let payload = words.as_ref().to_vec();
        let headers = Segment {
            source: self.online,
            destination: self.end,
            seq: self.online_next.unwrap_or(self.heard_to),
            ack: self.next,
            ..self.headers(payload.len() as u32)
        };
        self.online_next = Some(headers.seq + headers.payload_len);
        Said { headers, payload }
    }

    fn headers(&self, payload_len: u32) -> Segment<'static> {
        Segment {
            source: self.end,
            destination: self.online,
            seq: self.next,
            ack: self.heard_to,
            flags: Flags::ACK,
            window: self.window,
            options: self.options,
            ttl: self.ttl,
            tos: self.tos,
            payload_len,
            ..Segment::default()
        }
    }
}
