//! What goes downstream: the headers of one response in 64 bytes (IP 20, TCP 20, options 24), with payload in 192.
//!
//! They are copied from the packet as captured, so they are in network order, and lengths in them are those of the
//! packet: of its payload, none or all of at most 128 bytes is there, directly behind the TCP header.

use tcpcopy_wire::{Ipv4Identification, SackBlocks, Segment, emit, header_len, parse_ip};

use crate::Malformed;

/// A record without payload.
pub(crate) const HEADERS_BYTES: usize = 64;

/// The most payload that travels; of a longer one nothing does.
pub(crate) const PAYLOAD_MAX: usize = 128;

/// A record with room for payload.
pub(crate) const PACKET_MAX: usize = HEADERS_BYTES + PAYLOAD_MAX;

const IP_HEADER_BYTES: usize = 20;
/// Of a longer TCP header the end is cut off.
const TCP_HEADER_MAX: usize = HEADERS_BYTES - IP_HEADER_BYTES;
const TCP: u8 = 6;

/// How much of a record [`is_plausible`] looks at.
pub(crate) const PLAUSIBLE_BYTES: usize = 34;

/// Writes a response as a record; `None` if it is not of IPv4.
pub(crate) fn encode(segment: &Segment<'_>, payload: bool) -> Option<[u8; PACKET_MAX]> {
    if segment.source.addr.is_ipv6() {
        return None;
    }
    let mut record = [0; PACKET_MAX];
    let length = emit(&with_fitting_options(segment), Ipv4Identification(0), [&[]; 2], &mut record).ok()?;
    let total = u16::try_from(length + segment.payload_len as usize).unwrap_or(u16::MAX);
    record[2..4].copy_from_slice(&total.to_be_bytes());
    if payload
        && segment.payload.len() == segment.payload_len as usize
        && segment.payload.len() <= PAYLOAD_MAX
    {
        record[length..][..segment.payload.len()].copy_from_slice(segment.payload);
    }
    Some(record)
}

/// The same with as many SACK blocks as 24 bytes of options leave room for; everything else always fits.
fn with_fitting_options<'a>(segment: &Segment<'a>) -> Segment<'a> {
    let mut fitting = *segment;
    let mut blocks = segment.options.sack.as_slice();
    while header_len(&fitting) > HEADERS_BYTES
        && let Some((_, fewer)) = blocks.split_last()
    {
        blocks = fewer;
        fitting.options.sack = SackBlocks::default();
        blocks.iter().for_each(|&(left, right)| fitting.options.sack.push(left, right));
    }
    fitting
}

/// Reads a record of either length; it is put right where the C intercept forwards less than the headers say.
pub(crate) fn decode(record: &mut [u8]) -> Result<Segment<'_>, Malformed> {
    let layout = Layout::of(record).ok_or(Malformed::Headers)?;
    let Layout { ip_header, tcp_header, payload } = layout;
    let tcp_kept = tcp_header.min(TCP_HEADER_MAX);
    // IP options are counted in the header length but do not travel; TCP options behind the 24th byte neither.
    record[0] = 0x45;
    record[IP_HEADER_BYTES + 12] =
        u8::try_from(tcp_kept << 2).unwrap_or_default() | record[IP_HEADER_BYTES + 12] & 0x0f;
    let total = IP_HEADER_BYTES + tcp_kept + payload;
    record[2..4].copy_from_slice(&u16::try_from(total).unwrap_or(u16::MAX).to_be_bytes());
    let is_carried = record.len() > HEADERS_BYTES
        && payload <= PAYLOAD_MAX
        && tcp_kept == tcp_header
        && ip_header == IP_HEADER_BYTES;
    let kept = IP_HEADER_BYTES + tcp_kept + if is_carried { payload } else { 0 };
    let packet = record.get(..kept).ok_or(Malformed::Headers)?;
    parse_ip(packet, total).map_err(|_| Malformed::Headers)
}

/// Whether a record may begin with `bytes`, at least [`PLAUSIBLE_BYTES`] of them.
pub(crate) fn is_plausible(bytes: &[u8]) -> bool {
    Layout::of(bytes).is_some()
}

/// Lengths as the headers say.
struct Layout {
    ip_header: usize,
    tcp_header: usize,
    payload: usize,
}

impl Layout {
    fn of(record: &[u8]) -> Option<Self> {
        let words = |byte: u8| usize::from(byte) * 4;
        let first = record.first().filter(|first| *first >> 4 == 4)?;
        record.get(9).filter(|protocol| **protocol == TCP)?;
        let ip_header = words(first & 0x0f);
        let tcp_header = words(record.get(IP_HEADER_BYTES + 12)? >> 4);
        let total = usize::from(u16::from_be_bytes([*record.get(2)?, *record.get(3)?]));
        let payload = total.checked_sub(ip_header + tcp_header)?;
        (ip_header >= IP_HEADER_BYTES && tcp_header >= 20).then_some(Self { ip_header, tcp_header, payload })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcpcopy_wire::{Endpoint, Flags, Options, SeqNum, Timestamps};

    use super::*;

    fn segment(payload: &[u8], payload_len: u32) -> Segment<'_> {
        Segment {
            source: Endpoint::new([10, 10, 3, 2].into(), 8080),
            destination: Endpoint::new([10, 20, 0, 1].into(), 4001),
            seq: SeqNum(1000),
            ack: SeqNum(2000),
            flags: Flags::ACK | Flags::PSH,
            window: 501,
            options: Options { timestamps: Some(Timestamps { value: 7, echo: 8 }), ..Options::default() },
            ttl: 64,
            payload,
            payload_len,
            ..Segment::default()
        }
    }

    #[test]
    fn headers_come_back_without_payload() {
        let mut record = encode(&segment(b"abc", 3), false).unwrap();
        assert_eq!(decode(&mut record[..HEADERS_BYTES]), Ok(segment(&[], 3)));
    }

    #[test]
    fn short_payload_comes_back_and_of_a_long_one_its_length() {
        let mut record = encode(&segment(b"abc", 3), true).unwrap();
        assert_eq!(decode(&mut record), Ok(segment(b"abc", 3)));
        let long = [7; 129];
        let mut record = encode(&segment(&long, 129), true).unwrap();
        assert_eq!(decode(&mut record), Ok(segment(&[], 129)));
    }

    #[test]
    fn as_many_sack_blocks_travel_as_there_is_room_for() {
        let mut segment = segment(&[], 0);
        for edge in 0..3 {
            segment.options.sack.push(SeqNum(edge), SeqNum(edge + 1));
        }
        let mut record = encode(&segment, false).unwrap();
        let decoded = decode(&mut record[..HEADERS_BYTES]).unwrap();
        assert_eq!(decoded.options.sack.as_slice(), &segment.options.sack.as_slice()[..1]);
        assert_eq!(decoded.options.timestamps, segment.options.timestamps);
    }

    #[test]
    fn ip_options_that_did_not_travel_are_not_taken_for_tcp() {
        let mut record = encode(&segment(&[], 0), false).unwrap();
        record[0] = 0x47;
        record[2..4].copy_from_slice(&(20 + 8 + 32 + 5_u16).to_be_bytes());
        assert_eq!(decode(&mut record[..HEADERS_BYTES]), Ok(segment(&[], 5)));
    }

    #[test]
    fn ipv6_cannot_be_said() {
        let v6 = Endpoint::new("fd00::1".parse().unwrap(), 1);
        assert_eq!(encode(&Segment { source: v6, destination: v6, ..segment(&[], 0) }, true), None);
    }

    proptest! {
        #[test]
        fn arbitrary_records_are_headers_or_an_error(
            mut bytes in prop::collection::vec(any::<u8>(), PACKET_MAX),
            is_tcp: bool,
            with_payload: bool,
        ) {
            if is_tcp {
                (bytes[0], bytes[9]) = (0x40 | bytes[0] & 0x0f, TCP);
            }
            let length = if with_payload { PACKET_MAX } else { HEADERS_BYTES };
            if let Ok(segment) = decode(&mut bytes[..length]) {
                prop_assert!(segment.payload.len() <= segment.payload_len as usize);
            }
        }
    }
}
