//! A UDP datagram (RFC 768) as a value, and how it is found in captured bytes: whole, or in fragments of an IP packet.

use std::fmt;
use std::net::IpAddr;

use etherparse::IpNumber;

use crate::layer::Layer;
use crate::network::{Envelope, IpPacket, too_short};
use crate::{DropReason, Endpoint, LinkType, link, tunnel};

/// The length of a UDP header in bytes.
pub(crate) const UDP_HEADER_LEN: usize = 8;

/// One UDP datagram: the same value for a captured one and one to transmit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes to. Same address family as `source`.
    pub destination: Endpoint,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 type of service or IPv6 traffic class.
    pub tos: u8,
    /// The payload bytes at hand: fewer than `payload_len` when the capture did not keep all.
    pub payload: &'a [u8],
    /// How many payload bytes the datagram had on the wire.
    pub payload_len: u32,
}

impl Datagram<'_> {
    /// Whether every payload byte that was on the wire is at hand.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.payload.len() == self.payload_len as usize
    }
}

impl fmt::Display for Datagram<'_> {
    /// One line as packet traces have it, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, payload_len, .. } = self;
        write!(f, "{source} > {destination}: UDP, len {payload_len}")
    }
}

/// A fragment of an IP packet with a UDP datagram in it (RFC 791 §2.3, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// Where the packet comes from.
    pub source: IpAddr,
    /// Where it goes to. Same address family as `source`.
    pub destination: IpAddr,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 type of service or IPv6 traffic class.
    pub tos: u8,
    /// The same in all fragments of a packet.
    pub identification: u32,
    /// Where `payload` stands in the datagram, UDP header included: a multiple of eight bytes.
    pub offset: u32,
    /// Another fragment comes behind it.
    pub has_more: bool,
    /// The bytes at hand: fewer than `payload_len` when the capture did not keep all.
    pub payload: &'a [u8],
    /// How many bytes the fragment had on the wire.
    pub payload_len: u32,
}

impl Fragment<'_> {
    /// The datagram that `bytes`, put together of all fragments of a packet, are. What the headers say beside is that of
    /// `self`, one of them.
    ///
    /// # Errors
    /// The [`DropReason`] when they are none.
    pub fn datagram<'a>(&self, bytes: &'a [u8]) -> Result<Datagram<'a>, DropReason> {
        let Self { source, destination, ttl, tos, .. } = *self;
        parse_udp(&Envelope { source, destination, ttl, tos }, Layer::new(bytes, bytes.len()))
    }
}

/// What was found of UDP in a captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapturedDatagram<'a> {
    /// A datagram.
    Whole(Datagram<'a>),
    /// A part of one.
    Fragment(Fragment<'a>),
}

impl CapturedDatagram<'_> {
    /// The address it was sent to, and the port, where that is in it.
    #[must_use]
    pub const fn destination(&self) -> (IpAddr, Option<u16>) {
        match self {
            Self::Whole(datagram) => (datagram.destination.addr, Some(datagram.destination.port)),
            Self::Fragment(fragment) => (fragment.destination, None),
        }
    }
}

/// Looks for UDP in a captured frame: `frame` holds the bytes kept, `wire_len` is the frame's length on the wire.
///
/// As [`parse_frame`](crate::parse_frame) does for TCP: checksums are not verified, and what is in a tunnel is looked
/// for in there, two tunnels deep.
///
/// # Errors
/// The [`DropReason`] when there is nothing of UDP in the frame that can be used.
pub fn parse_datagram_frame(
    link: LinkType,
    frame: &[u8],
    wire_len: usize,
) -> Result<CapturedDatagram<'_>, DropReason> {
    parse_network(link::network_layer(link, Layer::new(frame, wire_len))?, 0)
}

/// The same in an IP packet.
///
/// # Errors
/// As [`parse_datagram_frame`].
pub fn parse_datagram_ip(packet: &[u8], wire_len: usize) -> Result<CapturedDatagram<'_>, DropReason> {
    parse_network(Layer::new(packet, wire_len), 0)
}

/// `depth` tunnels are around `packet`.
fn parse_network(packet: Layer<'_>, depth: u8) -> Result<CapturedDatagram<'_>, DropReason> {
    let IpPacket { envelope, protocol, content, place } = IpPacket::read(packet)?;
    let carried = match (protocol, place) {
        (IpNumber::UDP, Some(place)) => {
            let payload_len = u32::try_from(content.wire_len).map_err(|_| DropReason::Malformed)?;
            return Ok(CapturedDatagram::Fragment(Fragment {
                source: envelope.source,
                destination: envelope.destination,
                ttl: envelope.ttl,
                tos: envelope.tos,
                identification: place.identification,
                offset: place.offset,
                has_more: place.has_more,
                payload: content.kept,
                payload_len,
            }));
        }
        (IpNumber::UDP, None) => match tunnel::carried_by_udp(content) {
            Ok(carried) => carried,
            // It is no tunnel's.
            Err(_) => return parse_udp(&envelope, content).map(CapturedDatagram::Whole),
        },
        (IpNumber::GRE, Some(_)) => return Err(DropReason::Fragment),
        (IpNumber::GRE, None) => tunnel::carried_by_gre(content)?,
        _ => return Err(DropReason::NotUdp),
    };
    parse_network(carried.network_layer(depth)?, depth + 1)
}

fn parse_udp<'a>(envelope: &Envelope, datagram: Layer<'a>) -> Result<Datagram<'a>, DropReason> {
    let (header, payload) = datagram.split::<UDP_HEADER_LEN>().ok_or_else(|| too_short(datagram))?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let payload = match usize::from(field(4)) {
        // A jumbogram (RFC 2675 §4), or a capture in front of the offload that would have filled it in.
        0 => payload,
        len => {
            let payload_len = len.checked_sub(UDP_HEADER_LEN).ok_or(DropReason::Malformed)?;
            // More than the packet holds would be of another one.
            if payload_len > payload.wire_len {
                return Err(DropReason::Malformed);
            }
            payload.limit(payload_len)
        }
    };
    Ok(Datagram {
        source: Endpoint::new(envelope.source, field(0)),
        destination: Endpoint::new(envelope.destination, field(2)),
        ttl: envelope.ttl,
        tos: envelope.tos,
        payload: payload.kept,
        payload_len: u32::try_from(payload.wire_len).map_err(|_| DropReason::Malformed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram of three bytes from port 4000 to port 53.
    fn udp() -> Vec<u8> {
        [&[0x0f, 0xa0, 0, 53, 0, 11, 0, 0][..], b"abc"].concat()
    }

    fn ipv4(protocol: u8, fragmenting: u16, content: &[u8]) -> Vec<u8> {
        let len = (20 + content.len() as u16).to_be_bytes();
        let [high, low] = fragmenting.to_be_bytes();
        let header =
            [0x45, 0x20, len[0], len[1], 1, 2, high, low, 61, protocol, 0, 0, 10, 1, 0, 1, 10, 0, 0, 1];
        [&header[..], content].concat()
    }

    fn ipv6(next: u8, content: &[u8]) -> Vec<u8> {
        let len = (content.len() as u16).to_be_bytes();
        [&[0x60, 0, 0, 0, len[0], len[1], next, 61][..], &[0xfd; 32], content].concat()
    }

    fn parse(packet: &[u8]) -> Result<CapturedDatagram<'_>, DropReason> {
        parse_datagram_ip(packet, packet.len())
    }

    #[track_caller]
    fn payload(packet: &[u8]) -> (&[u8], u32) {
        match parse(packet) {
            Ok(CapturedDatagram::Whole(Datagram { source, destination, payload, payload_len, .. })) => {
                assert_eq!((source.port, destination.port), (4_000, 53));
                (payload, payload_len)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_datagram_is_found_behind_options_and_extension_headers_and_without_padding() {
        assert_eq!(payload(&ipv4(17, 0, &udp())), (&b"abc"[..], 3));
        let padded = [ipv4(17, 0x4000, &udp()), vec![0; 15]].concat();
        assert_eq!(payload(&padded), (&b"abc"[..], 3));
        assert_eq!(payload(&ipv6(17, &udp())), (&b"abc"[..], 3));
        let extended = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &udp()].concat();
        assert_eq!(payload(&ipv6(60, &extended)), (&b"abc"[..], 3));
        let atomic = [&[17, 0, 0, 0, 0, 0, 0, 7][..], &udp()].concat();
        assert_eq!(payload(&ipv6(44, &atomic)), (&b"abc"[..], 3));
    }

    #[test]
    fn fragments_say_where_they_belong() {
        let first = ipv4(17, 0x2000, &[7; 16]);
        let Ok(CapturedDatagram::Fragment(fragment)) = parse(&first) else { panic!("a fragment") };
        assert_eq!((fragment.identification, fragment.offset, fragment.has_more), (0x0102, 0, true));
        let last = [&[17, 0, 0x05, 0xb8, 0, 1, 2, 3][..], b"end"].concat();
        let last = ipv6(44, &last);
        let Ok(CapturedDatagram::Fragment(fragment)) = parse(&last) else { panic!("a fragment") };
        assert_eq!((fragment.identification, fragment.offset, fragment.has_more), (0x0001_0203, 1464, false));
        assert_eq!((fragment.payload, fragment.payload_len), (&b"end"[..], 3));
    }

    #[test]
    fn what_was_cut_off_is_known_to_be_missing() {
        let packet = ipv4(17, 0, &udp());
        let cut = &packet[..packet.len() - 2];
        let Ok(CapturedDatagram::Whole(datagram)) = parse_datagram_ip(cut, packet.len()) else { panic!() };
        assert!(!datagram.is_whole());
        assert_eq!((datagram.payload, datagram.payload_len), (&b"a"[..], 3));
        assert_eq!(parse_datagram_ip(&packet[..25], packet.len()), Err(DropReason::TruncatedHeader));
    }

    #[test]
    fn lengths_that_contradict_each_other_are_malformed() {
        for len in [7, 12, 600] {
            let mut content = udp();
            content[5] = len as u8;
            content[4] = (len >> 8) as u8;
            assert_eq!(parse(&ipv4(17, 0, &content)), Err(DropReason::Malformed), "{len}");
        }
        assert_eq!(parse(&ipv4(17, 0, &udp()[..7])), Err(DropReason::Malformed));
        assert_eq!(parse(&ipv4(6, 0, &[0; 20])), Err(DropReason::NotUdp));
        assert_eq!(parse(&ipv6(58, &[0; 20])), Err(DropReason::NotUdp));
    }

    #[test]
    fn mirrors_wrap_datagrams_too() {
        let frame = [&[2; 12][..], &[8, 0], &ipv4(17, 0, &udp())].concat();
        let len = ((16 + frame.len()) as u16).to_be_bytes();
        let vxlan =
            [&[0xc0, 0, 0x12, 0xb5, len[0], len[1], 0, 0, 8, 0, 0, 0, 0, 0, 7, 0][..], &frame].concat();
        assert_eq!(payload(&ipv4(17, 0, &vxlan)), (&b"abc"[..], 3));
        let gre = [&[0, 0, 8, 0][..], &ipv4(17, 0, &udp())].concat();
        assert_eq!(payload(&ipv6(47, &gre)), (&b"abc"[..], 3));
        assert_eq!(parse(&ipv4(47, 0x2000, &gre)), Err(DropReason::Fragment));
    }
}
