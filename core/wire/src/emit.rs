//! From a [`Segment`] to the bytes of an IP packet (TCP: RFC 9293 §3.1), and from a [`Datagram`](crate::Datagram) to those of one or
//! several (`datagram`). Nothing is allocated.

mod datagram;

use crate::Segment;
use crate::checksum::Checksum;
use crate::ip_header::{IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpHeader, Part};

pub use datagram::emit_datagram;

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
    let header = IpHeader {
        source: segment.source.addr,
        destination: segment.destination.addr,
        ttl: segment.ttl,
        tos: segment.tos,
        protocol: TCP,
        identification: identification.0.into(),
        part: Part::Whole,
    };
    let rest = header.write(packet)?;
    write_tcp(segment, payload, header.pseudo_header(), rest).ok_or(EmitError::TooLarge)?;
    Ok(packet_len)
}

/// Writes the TCP header, its options and the payload to fill `out`. `checksum` has summed up what comes before the
/// length in the pseudo header.
///
/// `None` if `out` is not as long as they are together, or longer than a 16-bit length can say.
fn write_tcp(
    segment: &Segment<'_>,
    payload: [&[u8]; 2],
    mut checksum: Checksum,
    out: &mut [u8],
) -> Option<()> {
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
