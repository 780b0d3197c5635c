//! From a [`Segment`] to the bytes of an IP packet: IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293 §3.1).
//!
//! No IP options or extension headers are written, no packet is fragmented, nothing is allocated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Segment;
use crate::checksum::Checksum;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP_HEADER_LEN: usize = 20;
/// TCP's number in the protocol and next header fields.
const TCP: u8 = 6;

/// The identification field of an IPv4 header; ignored for IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv4Identification(pub u16);

/// Why a segment could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// Source and destination are of different address families.
    MixedFamilies,
    /// The packet is larger than the buffer or than an IP packet can be.
    TooLarge,
}

/// How many bytes of IP and TCP header, options included, [`emit`] writes for `segment`; what an MTU leaves
/// beside them is payload.
#[must_use]
pub fn header_len(segment: &Segment<'_>) -> usize {
    let ip_header_len = if segment.source.addr.is_ipv4() { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
    ip_header_len + TCP_HEADER_LEN + segment.options.len()
}

/// Writes `segment` as an IP packet (don't-fragment set, checksums complete) to the start of `out` and
/// returns its length in bytes.
///
/// The payload is `payload[0]` followed by `payload[1]` (a ring buffer's two halves); the segment's own
/// `payload` and `payload_len` are not looked at.
///
/// # Errors
/// [`EmitError`] when the addresses do not fit together or the packet does not fit into `out`; `out` is then
/// left in an unspecified state.
pub fn emit(
    segment: &Segment<'_>,
    identification: Ipv4Identification,
    payload: [&[u8]; 2],
    out: &mut [u8],
) -> Result<usize, EmitError> {
    let packet_len = header_len(segment) + payload[0].len() + payload[1].len();
    let packet = out.get_mut(..packet_len).ok_or(EmitError::TooLarge)?;
    match (segment.source.addr, segment.destination.addr) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total_len = u16::try_from(packet_len).map_err(|_| EmitError::TooLarge)?;
            let (header, rest) = packet.split_first_chunk_mut().ok_or(EmitError::TooLarge)?;
            *header = ipv4_header(segment, identification, total_len, source, destination);
            write_tcp(segment, payload, &header[12..], rest)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let payload_len = u16::try_from(packet_len - IPV6_HEADER_LEN).map_err(|_| EmitError::TooLarge)?;
            let (header, rest) = packet.split_first_chunk_mut().ok_or(EmitError::TooLarge)?;
            *header = ipv6_header(segment, payload_len, source, destination);
            write_tcp(segment, payload, &header[8..], rest)
        }
        _ => return Err(EmitError::MixedFamilies),
    }
    .ok_or(EmitError::TooLarge)?;
    Ok(packet_len)
}

fn ipv4_header(
    segment: &Segment<'_>,
    identification: Ipv4Identification,
    total_len: u16,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> [u8; IPV4_HEADER_LEN] {
    let mut header = [0; IPV4_HEADER_LEN];
    // Version 4, five 32-bit words of header.
    header[0] = 0x45;
    header[1] = segment.tos;
    header[2..4].copy_from_slice(&total_len.to_be_bytes());
    header[4..6].copy_from_slice(&identification.0.to_be_bytes());
    // Don't fragment.
    header[6] = 0x40;
    header[8] = segment.ttl;
    header[9] = TCP;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    let mut checksum = Checksum::default();
    checksum.add(&header);
    header[10..12].copy_from_slice(&checksum.finish());
    header
}

fn ipv6_header(
    segment: &Segment<'_>,
    payload_len: u16,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> [u8; IPV6_HEADER_LEN] {
    let mut header = [0; IPV6_HEADER_LEN];
    // Version 6, the traffic class across the next two half bytes, flow label 0.
    header[0] = 0x60 | segment.tos >> 4;
    header[1] = segment.tos << 4;
    header[4..6].copy_from_slice(&payload_len.to_be_bytes());
    header[6] = TCP;
    header[7] = segment.ttl;
    header[8..24].copy_from_slice(&source.octets());
    header[24..40].copy_from_slice(&destination.octets());
    header
}

/// Writes the TCP header, its options and the payload to fill `out`. `addresses` are both addresses as they
/// stand in the IP header: they are part of the checksum, with the protocol and the length (RFC 9293 §3.1,
/// RFC 8200 §8.1).
///
/// `None` if `out` is not as long as they are together, or longer than a 16-bit length can say.
fn write_tcp(segment: &Segment<'_>, payload: [&[u8]; 2], addresses: &[u8], out: &mut [u8]) -> Option<()> {
    let options_len = segment.options.len();
    let (header, rest) = out.split_first_chunk_mut::<TCP_HEADER_LEN>()?;
    *header = [0; TCP_HEADER_LEN];
    header[0..2].copy_from_slice(&segment.source.port.to_be_bytes());
    header[2..4].copy_from_slice(&segment.destination.port.to_be_bytes());
    header[4..8].copy_from_slice(&segment.seq.0.to_be_bytes());
    header[8..12].copy_from_slice(&segment.ack.0.to_be_bytes());
    // The data offset counts 32-bit words in the upper half of the byte.
    header[12] = u8::try_from((TCP_HEADER_LEN + options_len) << 2).ok()?;
    header[13] = segment.flags.0;
    header[14..16].copy_from_slice(&segment.window.to_be_bytes());
    let (options, body) = rest.split_at_mut_checked(options_len)?;
    segment.options.write(options)?;
    let (first, second) = body.split_at_mut_checked(payload[0].len())?;
    first.copy_from_slice(payload[0]);
    second.copy_from_slice(payload[1]);

    let mut checksum = Checksum::default();
    checksum.add(addresses);
    checksum.add_word(u16::from(TCP));
    checksum.add_word(u16::try_from(out.len()).ok()?);
    checksum.add(out);
    out.get_mut(16..18)?.copy_from_slice(&checksum.finish());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endpoint, Options, Timestamps};

    fn segment(source: &str, destination: &str) -> Segment<'static> {
        Segment {
            source: Endpoint::new(source.parse().unwrap(), 1),
            destination: Endpoint::new(destination.parse().unwrap(), 2),
            ..Segment::default()
        }
    }

    fn emit_zeros(segment: &Segment<'_>, payload_len: usize, buffer_len: usize) -> Result<usize, EmitError> {
        let payload = vec![0; payload_len];
        emit(segment, Ipv4Identification(0), [&payload, &[]], &mut vec![0; buffer_len])
    }

    #[test]
    fn a_packet_fills_its_buffer_exactly_or_is_too_large() {
        let v4 = segment("192.0.2.1", "192.0.2.2");
        assert_eq!(emit_zeros(&v4, 5, 45), Ok(45));
        for buffer_len in 0..45 {
            assert_eq!(emit_zeros(&v4, 5, buffer_len), Err(EmitError::TooLarge));
        }
    }

    #[test]
    fn the_length_fields_are_the_limit() {
        let v4 = segment("192.0.2.1", "192.0.2.2");
        assert_eq!(emit_zeros(&v4, 65_535 - 40, 70_000), Ok(65_535));
        assert_eq!(emit_zeros(&v4, 65_535 - 39, 70_000), Err(EmitError::TooLarge));
        let v6 = segment("2001:db8::1", "2001:db8::2");
        assert_eq!(emit_zeros(&v6, 65_535 - 20, 70_000), Ok(65_575));
        assert_eq!(emit_zeros(&v6, 65_535 - 19, 70_000), Err(EmitError::TooLarge));
    }

    #[test]
    fn mixed_families_are_refused() {
        assert_eq!(emit_zeros(&segment("192.0.2.1", "2001:db8::2"), 0, 100), Err(EmitError::MixedFamilies));
        assert_eq!(emit_zeros(&segment("2001:db8::1", "192.0.2.2"), 0, 100), Err(EmitError::MixedFamilies));
    }

    #[test]
    fn nothing_behind_the_packet_is_touched() {
        let mut out = [0xa5; 60];
        let v4 = segment("192.0.2.1", "192.0.2.2");
        assert_eq!(emit(&v4, Ipv4Identification(0), [b"ab", b"c"], &mut out), Ok(43));
        assert_eq!(out[40..43], *b"abc");
        assert_eq!(out[43..], [0xa5; 17]);
    }

    #[test]
    fn the_header_length_counts_the_options() {
        let options = Options { timestamps: Some(Timestamps::default()), ..Options::default() };
        assert_eq!(header_len(&Segment { options, ..segment("192.0.2.1", "192.0.2.2") }), 52);
        assert_eq!(header_len(&Segment { options, ..segment("2001:db8::1", "2001:db8::2") }), 72);
    }
}
