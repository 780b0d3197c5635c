//! The IP packet in a captured frame: IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200).
//!
//! etherparse reads the headers; how long each layer is is decided here, because a capture is not what its headers say:
//! it is cut by the snapshot length, padded by Ethernet, and larger than an IP length can say when segmentation offload
//! made it.

use std::net::IpAddr;

use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, err,
};

use crate::DropReason;
use crate::layer::Layer;

/// What the IP header says of what is in it.
#[derive(Clone, Copy)]
pub(crate) struct Envelope {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
}

/// Where a fragment belongs in its packet.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) identification: u32,
    /// In bytes, from the beginning of what is divided.
    pub(crate) offset: u32,
    /// Another fragment comes behind it.
    pub(crate) has_more: bool,
}

/// An IP packet behind all its headers.
pub(crate) struct IpPacket<'a> {
    pub(crate) envelope: Envelope,
    /// What `content` is; unknown ones too.
    pub(crate) protocol: IpNumber,
    pub(crate) content: Layer<'a>,
    /// `content` is no more than a fragment. The only fragment of a packet is the whole packet: "atomic" (RFC 6946).
    pub(crate) place: Option<Place>,
}

impl<'a> IpPacket<'a> {
    // Inlined, as what it calls: a layer handed over through memory costs more than parsing it.
    #[inline]
    pub(crate) fn read(packet: Layer<'a>) -> Result<Self, DropReason> {
        let first = packet.kept.first().ok_or(DropReason::TruncatedHeader)?;
        match first >> 4 {
            4 => Self::read_v4(packet),
            6 => Self::read_v6(packet),
            _ => Err(DropReason::NotIp),
        }
    }

    #[inline]
    fn read_v4(packet: Layer<'a>) -> Result<Self, DropReason> {
        let header = Ipv4HeaderSlice::from_slice(packet.kept).map_err(|error| match error {
            err::ipv4::HeaderSliceError::Len(_) => DropReason::TruncatedHeader,
            err::ipv4::HeaderSliceError::Content(_) => DropReason::Malformed,
        })?;
        let header_len = header.slice().len();
        let content = packet.skip(header_len).ok_or(DropReason::TruncatedHeader)?;
        let content = match usize::from(header.total_len()) {
            // Segmentation offload of a packet whose length the field cannot say.
            0 => content,
            total_len => content.limit(total_len.checked_sub(header_len).ok_or(DropReason::Malformed)?),
        };
        let place = header.is_fragmenting_payload().then(|| Place {
            identification: header.identification().into(),
            offset: u32::from(header.fragments_offset().value()) * 8,
            has_more: header.more_fragments(),
        });
        let envelope = Envelope {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ttl: header.ttl(),
            tos: header.dcp().value() << 2 | header.ecn().value(),
        };
        Ok(Self { envelope, protocol: header.protocol(), content, place })
    }

    fn read_v6(packet: Layer<'a>) -> Result<Self, DropReason> {
        // Only its length can be wrong: the version was looked at.
        let header = Ipv6HeaderSlice::from_slice(packet.kept).map_err(|_| DropReason::TruncatedHeader)?;
        let rest = packet.skip(header.header_len()).ok_or(DropReason::TruncatedHeader)?;
        let rest = match usize::from(header.payload_length()) {
            // A jumbogram (RFC 2675 §3), with or without the hop-by-hop option that says so: Linux' BIG TCP.
            0 => rest,
            payload_len => rest.limit(payload_len),
        };
        let envelope = Envelope {
            source: header.source_addr().into(),
            destination: header.destination_addr().into(),
            ttl: header.hop_limit(),
            tos: header.traffic_class(),
        };
        let (protocol, content, place) = past_extension_headers(header.next_header(), rest)?;
        Ok(Self { envelope, protocol, content, place })
    }
}

/// Follows the chain of IPv6 extension headers (RFC 8200 §4) to what they stand before, or into a fragment.
fn past_extension_headers(
    mut next: IpNumber,
    mut rest: Layer<'_>,
) -> Result<(IpNumber, Layer<'_>, Option<Place>), DropReason> {
    loop {
        let (header_len, place) = match next {
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest.kept).map_err(|_| too_short(rest))?;
                next = header.next_header();
                (header.slice().len(), None)
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest.kept).map_err(|_| too_short(rest))?;
                next = header.next_header();
                let place = header.is_fragmenting_payload().then(|| Place {
                    identification: header.identification(),
                    offset: u32::from(header.fragment_offset().value()) * 8,
                    has_more: header.more_fragments(),
                });
                (header.slice().len(), place)
            }
            _ => return Ok((next, rest, None)),
        };
        rest = rest.skip(header_len).ok_or_else(|| too_short(rest))?;
        if place.is_some() {
            return Ok((next, rest, place));
        }
    }
}

/// Why a header behind the IP header does not fit: the capture cut it off, or the IP length leaves too little
/// room for it.
pub(crate) fn too_short(layer: Layer<'_>) -> DropReason {
    if layer.is_cut() { DropReason::TruncatedHeader } else { DropReason::Malformed }
}
