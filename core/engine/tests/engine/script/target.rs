//! The target's half of one connection: makes the responses that intercept would have seen.

use tcpcopy_wire::{Flags, Options, Segment, SeqNum};

/// The target's initial sequence number on the first connection.
const TARGET_ISN: SeqNum = SeqNum(u32::MAX - 20);

/// One connection of the target. Its sequence numbers begin elsewhere on each.
#[derive(Clone)]
pub(crate) struct Target {
    /// The initial sequence number of our SYN.
    pub(crate) iss: SeqNum,
    pub(crate) isn: SeqNum,
    pub(crate) next: SeqNum,
    /// Everything we sent before this has arrived, in order.
    pub(crate) heard_to: SeqNum,
    /// The window it offers, as on the wire, and that of its SYN, which is never scaled.
    pub(crate) window: u16,
    pub(crate) syn_window: u16,
    pub(crate) syn_options: Options,
    pub(crate) options: Options,
    /// Nothing that is sent to it arrives.
    pub(crate) is_deaf: bool,
}

impl Target {
    /// The `nth` connection, not yet asked for.
    pub(crate) fn new(nth: u32) -> Self {
        let isn = TARGET_ISN + nth.wrapping_mul(0x1234_5678);
        Self {
            iss: SeqNum(0),
            isn,
            next: isn,
            heard_to: SeqNum(0),
            window: 512,
            syn_window: 64_240,
            syn_options: Options {
                mss: Some(1460),
                window_scale: Some(7),
                sack_permitted: true,
                ..Options::default()
            },
            options: Options::default(),
            is_deaf: false,
        }
    }

    /// A segment of ours arrives; only what is next in order counts.
    pub(crate) fn hear(&mut self, segment: &Segment<'_>) {
        let skip = self.heard_to.distance(segment.seq);
        if segment.flags.syn() {
            self.iss = segment.seq;
            self.heard_to = segment.seq + 1;
        } else if !self.is_deaf && skip >= 0 && segment.len() > skip.unsigned_abs() {
            self.heard_to = segment.seq + segment.len();
        }
    }

    pub(crate) fn syn_ack(&mut self) -> Segment<'static> {
        self.next = self.isn + 1;
        let flags = Flags::SYN | Flags::ACK;
        Segment { seq: self.isn, flags, window: self.syn_window, options: self.syn_options, ..self.acks() }
    }

    pub(crate) fn says(&mut self, len: u32, flags: Flags) -> Segment<'static> {
        let said = Segment { payload_len: len, flags: Flags::ACK | flags, ..self.acks() };
        self.next += len;
        said
    }

    pub(crate) fn fin(&mut self) -> Segment<'static> {
        let fin = self.says(0, Flags::FIN);
        self.next += 1;
        fin
    }

    pub(crate) fn rst(&self) -> Segment<'static> {
        Segment { flags: Flags::RST | Flags::ACK, ..self.acks() }
    }

    pub(crate) fn refusal(&self) -> Segment<'static> {
        Segment { seq: SeqNum(0), ack: self.iss + 1, window: 0, ..self.rst() }
    }

    pub(crate) fn acks(&self) -> Segment<'static> {
        Segment {
            seq: self.next,
            ack: self.heard_to,
            flags: Flags::ACK,
            window: self.window,
            options: self.options,
            ttl: 64,
            ..Segment::default()
        }
    }

    /// Acknowledges what comes before the byte numbered `seq` from our SYN, which is number 0.
    pub(crate) fn acks_to(&mut self, seq: u32) -> Segment<'static> {
        self.heard_to = self.iss + seq;
        self.acks()
    }
}
