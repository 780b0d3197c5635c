//! From captured bytes to a [`Segment`]: IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200), TCP
//! (RFC 9293), by itself or inside the tunnels of `tunnel`.
//!
//! Fragments are not put together and checksums are not verified. etherparse reads the headers; how long each
//! layer is is decided here, because a capture is not what its headers say: it is cut by the snapshot length,
//! padded by Ethernet, and larger than an IP length can say when segmentation offload made it.

use std::net::IpAddr;

use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
    TcpHeaderSlice, err,
};

use crate::layer::Layer;
use crate::tunnel::{self, Carried};
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
    pub const ALL: [Self; 7] = [
        Self::TruncatedHeader,
        Self::NotIp,
        Self::NotTcp,
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

/// What the IP header says of the segment.
struct Envelope {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    tos: u8,
}

/// `depth` tunnels are around `packet`.
// Inlined, as what it calls: a layer handed over through memory costs more than parsing it.
#[inline]
fn parse_network(packet: Layer<'_>, depth: u8) -> Result<Segment<'_>, DropReason> {
    let first = packet.kept.first().ok_or(DropReason::TruncatedHeader)?;
    match first >> 4 {
        4 => parse_ipv4(packet, depth),
        6 => parse_ipv6(packet, depth),
        _ => Err(DropReason::NotIp),
    }
}

#[inline]
fn parse_ipv4(packet: Layer<'_>, depth: u8) -> Result<Segment<'_>, DropReason> {
    let header = Ipv4HeaderSlice::from_slice(packet.kept).map_err(|error| match error {
        err::ipv4::HeaderSliceError::Len(_) => DropReason::TruncatedHeader,
        err::ipv4::HeaderSliceError::Content(_) => DropReason::Malformed,
    })?;
    if !matches!(header.protocol(), IpNumber::TCP | IpNumber::UDP | IpNumber::GRE) {
        return Err(DropReason::NotTcp);
    }
    if header.is_fragmenting_payload() {
        return Err(DropReason::Fragment);
    }
    let header_len = header.slice().len();
    let transport = packet.skip(header_len).ok_or(DropReason::TruncatedHeader)?;
    let transport = match usize::from(header.total_len()) {
        // Segmentation offload of a packet whose length the field cannot say.
        0 => transport,
        total_len => transport.limit(total_len.checked_sub(header_len).ok_or(DropReason::Malformed)?),
    };
    if header.protocol() != IpNumber::TCP {
        return parse_carried(header.protocol(), transport, depth);
    }
    let envelope = Envelope {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        ttl: header.ttl(),
        tos: header.dcp().value() << 2 | header.ecn().value(),
    };
    parse_tcp(&envelope, transport)
}

fn parse_ipv6(packet: Layer<'_>, depth: u8) -> Result<Segment<'_>, DropReason> {
    // Only its length can be wrong: the version was looked at.
    let header = Ipv6HeaderSlice::from_slice(packet.kept).map_err(|_| DropReason::TruncatedHeader)?;
    let rest = packet.skip(header.header_len()).ok_or(DropReason::TruncatedHeader)?;
    let rest = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675 §3), with or without the hop-by-hop option that says so: Linux' BIG TCP.
        0 => rest,
        payload_len => rest.limit(payload_len),
    };
    let (protocol, rest) = past_extension_headers(header.next_header(), rest)?;
    if protocol != IpNumber::TCP {
        return parse_carried(protocol, rest, depth);
    }
    let envelope = Envelope {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        ttl: header.hop_limit(),
        tos: header.traffic_class(),
    };
    parse_tcp(&envelope, rest)
}

/// Follows the chain of IPv6 extension headers (RFC 8200 §4) to the TCP header, or to one that can carry a tunnel.
fn past_extension_headers(
    mut next: IpNumber,
    mut rest: Layer<'_>,
) -> Result<(IpNumber, Layer<'_>), DropReason> {
    loop {
        let header_len = match next {
            IpNumber::TCP | IpNumber::UDP | IpNumber::GRE => return Ok((next, rest)),
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest.kept).map_err(|_| too_short(rest))?;
                next = header.next_header();
                header.slice().len()
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest.kept).map_err(|_| too_short(rest))?;
                // The only fragment of its packet is the whole packet: "atomic" (RFC 6946).
                if header.is_fragmenting_payload() {
                    return Err(DropReason::Fragment);
                }
                next = header.next_header();
                header.slice().len()
            }
            _ => return Err(DropReason::NotTcp),
        };
        rest = rest.skip(header_len).ok_or_else(|| too_short(rest))?;
    }
}

/// What is no TCP itself may carry some.
#[cold]
fn parse_carried(protocol: IpNumber, rest: Layer<'_>, depth: u8) -> Result<Segment<'_>, DropReason> {
    let carried = match protocol {
        IpNumber::UDP => tunnel::carried_by_udp(rest)?,
        _ => tunnel::carried_by_gre(rest)?,
    };
    if depth >= tunnel::DEEPEST {
        return Err(DropReason::NestedTooDeep);
    }
    match carried {
        Carried::Ethernet(frame) => parse_network(link::network_layer(LinkType::Ethernet, frame)?, depth + 1),
        Carried::Ip(packet) => parse_network(packet, depth + 1),
    }
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

/// Why a header behind the IP header does not fit: the capture cut it off, or the IP length leaves too little
/// room for it.
fn too_short(layer: Layer<'_>) -> DropReason {
    if layer.is_cut() { DropReason::TruncatedHeader } else { DropReason::Malformed }
}

#[cfg(test)]
mod tests;
