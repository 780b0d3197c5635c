//! A TCP segment as a value, with what the IP header says of it.

use std::fmt;
use std::ops::BitOr;

use crate::{Endpoint, Options, SeqNum};

/// The TCP control bits we read and write (RFC 9293 §3.1), as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function: the sender had nothing more to send at that moment.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is significant.
    pub const ACK: Self = Self(0x10);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// PSH is set.
    #[must_use]
    pub const fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Flags, &str); 5] =
            [(Flags::SYN, "S"), (Flags::FIN, "F"), (Flags::RST, "R"), (Flags::PSH, "P"), (Flags::ACK, ".")];
        NAMES.iter().filter(|(flag, _)| self.contains(*flag)).try_for_each(|(_, name)| f.write_str(name))
    }
}

/// One TCP segment: the same value for a captured packet, a response and a packet to transmit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes to. Same address family as `source`.
    pub destination: Endpoint,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; meaningless unless [`Flags::ACK`] is set.
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as on the wire, unscaled.
    pub window: u16,
    /// The TCP options we understand.
    pub options: Options,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 type of service or IPv6 traffic class.
    pub tos: u8,
    /// The payload bytes at hand: fewer than `payload_len` when the capture kept only the headers.
    pub payload: &'a [u8],
    /// How many payload bytes the segment had on the wire.
    pub payload_len: u32,
}

impl fmt::Display for Segment<'_> {
    /// One line as packet traces have it, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, flags, seq, ack, window, payload_len, .. } = self;
        write!(
            f,
            "{source} > {destination}: [{flags}] seq {} ack {} win {window} len {payload_len}",
            seq.0, ack.0
        )
    }
}

impl Segment<'_> {
    /// SEG.LEN: payload plus one for SYN and one for FIN (RFC 9293 §3.3.1).
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.payload_len + self.flags.syn() as u32 + self.flags.fin() as u32
    }

    /// Whether it occupies no sequence space: a bare ACK or RST.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every payload byte that was on the wire is at hand.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.payload.len() == self.payload_len as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_reads_as_in_a_packet_trace() {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        let segment = Segment {
            source: end("10.0.0.1:4000"),
            destination: end("[fd00::1]:80"),
            seq: SeqNum(7),
            ack: SeqNum(9),
            flags: Flags::PSH | Flags::ACK,
            window: 502,
            payload_len: 3,
            ..Segment::default()
        };
        assert_eq!(segment.to_string(), "10.0.0.1:4000 > [fd00::1]:80: [P.] seq 7 ack 9 win 502 len 3");
    }
}
