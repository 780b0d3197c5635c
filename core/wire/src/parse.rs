//! From captured bytes to a [`Segment`]: TCP (RFC 9293) in an IP packet, by itself or inside the tunnels of `tunnel`.
//!
//! Fragments are not put together and checksums are not verified.

use etherparse::{IpNumber, TcpHeaderSlice, err};

use crate::layer::Layer;
use crate::network::{Envelope, IpPacket, too_short};
use crate::tunnel;
use crate::{Endpoint, Flags, LinkType, Options, Segment, SeqNum, link};

/// The largest payload that is believed, 1 GiB: no receive window is larger (RFC 7323 §2.3). Real ones end at
/// the 512 KiB of Linux' BIG TCP.
const MAX_PAYLOAD_LEN: u32 = 1 << 30;

/// Why a captured frame is not used. Always counted, never an error of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The frame ends inside its link, IP or TCP header.
    TruncatedHeader,
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP, but not TCP.
    NotTcp,
    /// IP, but not UDP, where that is looked for.
    NotUdp,
    /// An IP fragment other than an atomic one: its TCP segment is not whole.
    Fragment,
    /// A header whose lengths contradict each other.
    Malformed,
    /// Wrapped into more than two tunnels.
    NestedTooDeep,
    /// Of a link type that is none of [`LinkType`]'s: only a capture file can have such frames.
    UnsupportedLink,
}

impl DropReason {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::TruncatedHeader,
        Self::NotIp,
        Self::NotTcp,
        Self::NotUdp,
        Self::Fragment,
        Self::Malformed,
        Self::NestedTooDeep,
        Self::UnsupportedLink,
    ];

    /// The name in reports: a lower-case phrase with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruncatedHeader => "truncated_header",
            Self::NotIp => "not_ip",
            Self::NotTcp => "not_tcp",
            Self::NotUdp => "not_udp",
            Self::Fragment => "fragment",
            Self::Malformed => "malformed",
            Self::NestedTooDeep => "nested_too_deep",
            Self::UnsupportedLink => "unsupported_link_type",
        }
    }
}

/// Parses a captured frame: `frame` holds the bytes kept, `wire_len` is the frame's length on the wire.
///
/// Checksums are not verified: offloads leave them unfinished on captured local traffic. A packet in a VXLAN, GENEVE,
/// ERSPAN or GRE tunnel is looked for in there, two tunnels deep.
///
/// # Errors
/// The [`DropReason`] when there is no usable TCP segment in the frame.
pub fn parse_frame(link: LinkType, frame: &[u8], wire_len: usize) -> Result<Segment<'_>, DropReason> {
    parse_network(link::network_layer(link, Layer::new(frame, wire_len))?, 0)
}

/// Parses an IP packet: `packet` holds the bytes kept, `wire_len` is the packet's length on the wire, which
/// stands in for the IP length field when that is zero (segmentation offload of more than 64 KiB).
///
/// # Errors
/// The [`DropReason`] when there is no usable TCP segment in the packet.
pub fn parse_ip(packet: &[u8], wire_len: usize) -> Result<Segment<'_>, DropReason> {
    parse_network(Layer::new(packet, wire_len), 0)
}

/// `depth` tunnels are around `packet`.
// Inlined, as what it calls: a layer handed over through memory costs more than parsing it.
#[inline]
fn parse_network(packet: Layer<'_>, depth: u8) -> Result<Segment<'_>, DropReason> {
    let IpPacket { envelope, protocol, content, place } = IpPacket::read(packet)?;
    match (protocol, place) {
        (IpNumber::TCP, None) => parse_tcp(&envelope, content),
        (IpNumber::UDP | IpNumber::GRE, None) => parse_carried(protocol, content, depth),
        (IpNumber::TCP | IpNumber::UDP | IpNumber::GRE, Some(_)) => Err(DropReason::Fragment),
        _ => Err(DropReason::NotTcp),
    }
}

/// What is no TCP itself may carry some.
#[cold]
fn parse_carried(protocol: IpNumber, rest: Layer<'_>, depth: u8) -> Result<Segment<'_>, DropReason> {
    let carried = match protocol {
        IpNumber::UDP => tunnel::carried_by_udp(rest)?,
        _ => tunnel::carried_by_gre(rest)?,
    };
    parse_network(carried.network_layer(depth)?, depth + 1)
}

#[inline]
fn parse_tcp<'a>(envelope: &Envelope, segment: Layer<'a>) -> Result<Segment<'a>, DropReason> {
    let header = TcpHeaderSlice::from_slice(segment.kept).map_err(|error| match error {
        err::tcp::HeaderSliceError::Len(_) => too_short(segment),
        err::tcp::HeaderSliceError::Content(_) => DropReason::Malformed,
    })?;
    let payload = segment.skip(header.slice().len()).ok_or_else(|| too_short(segment))?;
    let payload_len = u32::try_from(payload.wire_len).ok().filter(|len| *len <= MAX_PAYLOAD_LEN);
    Ok(Segment {
        source: Endpoint::new(envelope.source, header.source_port()),
        destination: Endpoint::new(envelope.destination, header.destination_port()),
        seq: SeqNum(header.sequence_number()),
        ack: SeqNum(header.acknowledgment_number()),
        flags: Flags(header.slice().get(13).copied().unwrap_or_default()),
        window: header.window_size(),
        options: Options::parse(header.options()),
        ttl: envelope.ttl,
        tos: envelope.tos,
        payload: payload.kept,
        payload_len: payload_len.ok_or(DropReason::Malformed)?,
    })
}

#[cfg(test)]
mod tests;
