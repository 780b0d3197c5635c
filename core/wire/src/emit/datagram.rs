//! A UDP datagram (RFC 768) as IP packets: one, or fragments where it is longer than the MTU (RFC 791 §2.3,
//! RFC 8200 §4.5).

use crate::datagram::UDP_HEADER_LEN;
use crate::ip_header::{IPV4_HEADER_LEN, IPV6_FRAGMENT_HEADER_LEN, IPV6_HEADER_LEN, IpHeader, Part};
use crate::{Datagram, EmitError};

/// UDP's number in the protocol and next header fields.
const UDP: u8 = 17;

/// Writes the packet that carries the bytes of `datagram` from `offset` on, UDP header included, to the start of `out`: as
/// many as fit into `mtu` bytes. Returns its length, and the offset of the next packet, if there is one.
///
/// The first packet has the offset 0, and all of them one `identification`. A datagram that fits into a packet is not to
/// be fragmented on the way (don't-fragment is set). Checksums are complete; `payload_len` is not looked at.
///
/// # Errors
/// [`EmitError`] when the addresses do not fit together, the datagram is longer than IP allows, there is nothing at
/// `offset`, or the packet does not fit into `out`, which is then left in an unspecified state; `mtu` has to be at least
/// 68 bytes, 1280 for IPv6.
pub fn emit_datagram(
    datagram: &Datagram<'_>,
    identification: u32,
    mtu: usize,
    offset: usize,
    out: &mut [u8],
) -> Result<(usize, Option<usize>), EmitError> {
    let is_v4 = datagram.source.addr.is_ipv4();
    let ip_len = if is_v4 { IPV4_HEADER_LEN } else { IPV6_HEADER_LEN };
    let len = UDP_HEADER_LEN + datagram.payload.len();
    // An IPv4 header counts in the length of its packet, an IPv6 header does not.
    if len + if is_v4 { ip_len } else { 0 } > usize::from(u16::MAX) || offset >= len {
        return Err(EmitError::TooLarge);
    }
    let is_whole = ip_len + len <= mtu;
    let fragment_header = if is_whole || is_v4 { 0 } else { IPV6_FRAGMENT_HEADER_LEN };
    let headers = ip_len + fragment_header;
    let room = mtu.checked_sub(headers + 8).ok_or(EmitError::TooLarge)? + 8;
    // All fragments but the last are of multiples of eight bytes.
    let end = if len - offset <= room { len } else { offset + (room & !7) };
    let offset_field = u16::try_from(offset).map_err(|_| EmitError::TooLarge)?;
    let header = IpHeader {
        source: datagram.source.addr,
        destination: datagram.destination.addr,
        ttl: datagram.ttl,
        tos: datagram.tos,
        protocol: UDP,
        identification,
        part: if is_whole {
            Part::Whole
        } else {
            Part::Fragment { offset: offset_field, has_more: end < len }
        },
    };
    let packet_len = headers + end - offset;
    let content = header.write(out.get_mut(..packet_len).ok_or(EmitError::TooLarge)?)?;
    let (udp, body) = content.split_at_mut(if offset == 0 { UDP_HEADER_LEN } else { 0 });
    udp.copy_from_slice(&udp_header(datagram, &header)[..udp.len()]);
    body.copy_from_slice(
        &datagram.payload[offset.max(UDP_HEADER_LEN) - UDP_HEADER_LEN..end - UDP_HEADER_LEN],
    );
    Ok((packet_len, (end < len).then_some(end)))
}

/// The header, with the checksum over all of the datagram.
fn udp_header(datagram: &Datagram<'_>, ip: &IpHeader) -> [u8; UDP_HEADER_LEN] {
    let len = (UDP_HEADER_LEN + datagram.payload.len()) as u16;
    let mut header = [0; UDP_HEADER_LEN];
    header[0..2].copy_from_slice(&datagram.source.port.to_be_bytes());
    header[2..4].copy_from_slice(&datagram.destination.port.to_be_bytes());
    header[4..6].copy_from_slice(&len.to_be_bytes());
    let mut checksum = ip.pseudo_header();
    checksum.add_word(len);
    checksum.add(&header);
    checksum.add(datagram.payload);
    header[6..8].copy_from_slice(&match checksum.finish() {
        // RFC 768: zero would mean that there is none.
        [0, 0] => [0xff, 0xff],
        checksum => checksum,
    });
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{CapturedDatagram, Endpoint, parse_datagram_ip};

    fn datagram<'a>(from: &str, to: &str, payload: &'a [u8]) -> Datagram<'a> {
        Datagram {
            source: Endpoint::new(from.parse().unwrap(), 4_000),
            destination: Endpoint::new(to.parse().unwrap(), 53),
            ttl: 64,
            tos: 0x20,
            payload,
            payload_len: payload.len() as u32,
        }
    }

    fn v4(payload: &[u8]) -> Datagram<'_> {
        datagram("192.0.2.1", "192.0.2.2", payload)
    }

    fn v6(payload: &[u8]) -> Datagram<'_> {
        datagram("2001:db8::1", "2001:db8::2", payload)
    }

    fn packets(datagram: &Datagram<'_>, mtu: usize) -> Result<Vec<Vec<u8>>, EmitError> {
        let (mut packets, mut next) = (Vec::new(), Some(0));
        while let Some(offset) = next {
            let mut packet = vec![0; mtu];
            let (len, then) = emit_datagram(datagram, 0x0001_0203, mtu, offset, &mut packet)?;
            packet.truncate(len);
            packets.push(packet);
            next = then;
        }
        Ok(packets)
    }

    /// What a receiver makes of fragments that come in order.
    fn put_together(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            match parse_datagram_ip(packet, packet.len()).unwrap() {
                CapturedDatagram::Fragment(fragment) => {
                    assert_eq!(fragment.offset as usize, bytes.len());
                    assert_eq!(fragment.has_more, index + 1 < packets.len());
                    assert!(!fragment.has_more || fragment.payload.len() % 8 == 0);
                    bytes.extend(fragment.payload);
                }
                CapturedDatagram::Whole(_) => panic!("a fragment was expected"),
            }
        }
        bytes
    }

    #[test]
    fn a_datagram_that_fits_is_one_packet_as_others_write_it() {
        let theirs = |payload: &[u8]| {
            let mut packet = Vec::new();
            let builder = etherparse::PacketBuilder::ipv6(
                "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets(),
                "2001:db8::2".parse::<std::net::Ipv6Addr>().unwrap().octets(),
                64,
            );
            builder.udp(4_000, 53).write(&mut packet, payload).unwrap();
            packet
        };
        for payload in [&b""[..], b"a", b"what is the address"] {
            let ours = packets(&Datagram { tos: 0, ..v6(payload) }, 1_280).unwrap();
            assert_eq!(ours, [theirs(payload)]);
        }
        let packet = &packets(&v4(b"x"), 1_500).unwrap()[0];
        assert_eq!((packet.len(), packet[6]), (29, 0x40), "don't fragment");
    }

    #[test]
    fn it_comes_back_as_it_was() {
        for datagram in [v4(b""), v4(b"abc"), v6(b""), v6(b"abc")] {
            let packet = &packets(&datagram, 1_500).unwrap()[0];
            assert_eq!(parse_datagram_ip(packet, packet.len()), Ok(CapturedDatagram::Whole(datagram)));
        }
    }

    #[test]
    fn only_what_ip_can_say_is_written() {
        let payload = vec![7; 65_528];
        assert!(packets(&v4(&payload[..65_507]), 1_500).is_ok());
        assert_eq!(packets(&v4(&payload[..65_508]), 1_500), Err(EmitError::TooLarge));
        assert!(packets(&v6(&payload[..65_527]), 1_500).is_ok());
        assert_eq!(packets(&v6(&payload), 1_500), Err(EmitError::TooLarge));
        assert_eq!(packets(&datagram("192.0.2.1", "2001:db8::2", b""), 1_500), Err(EmitError::MixedFamilies));
        assert_eq!(emit_datagram(&v4(b"abc"), 1, 1_500, 11, &mut [0; 100]), Err(EmitError::TooLarge));
        assert_eq!(emit_datagram(&v4(b"abc"), 1, 1_500, 0, &mut [0; 30]), Err(EmitError::TooLarge));
    }

    #[test]
    fn a_checksum_of_zero_is_written_as_its_other_zero() {
        let found = (0..=u16::MAX).any(|word| {
            let payload = word.to_be_bytes();
            packets(&v4(&payload), 1_500).unwrap()[0][26..28] == [0xff, 0xff]
        });
        assert!(found);
        assert!(
            (0..=u16::MAX).all(|word| packets(&v4(&word.to_be_bytes()), 100).unwrap()[0][26..28] != [0, 0])
        );
    }

    proptest! {
        #[test]
        fn fragments_are_the_datagram(len in 0_usize..65_507, mtu in 68_usize..9_000, family: bool) {
            let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
            let (datagram, mtu) = if family { (v4(&payload), mtu) } else { (v6(&payload), mtu.max(1_280)) };
            let packets = packets(&datagram, mtu).unwrap();
            prop_assert!(packets.iter().all(|packet| packet.len() <= mtu));
            if let [packet] = packets.as_slice() {
                prop_assert_eq!(parse_datagram_ip(packet, packet.len()), Ok(CapturedDatagram::Whole(datagram)));
            } else {
                let bytes = put_together(&packets);
                let CapturedDatagram::Fragment(first) = parse_datagram_ip(&packets[0], packets[0].len()).unwrap()
                else { panic!("fragments were expected") };
                prop_assert_eq!(first.identification, if family { 0x0203 } else { 0x0001_0203 });
                prop_assert_eq!(first.datagram(&bytes), Ok(datagram));
                // The sum over a datagram with its checksum is all ones.
                let mut sum = IpHeader {
                    source: datagram.source.addr,
                    destination: datagram.destination.addr,
                    ttl: 0,
                    tos: 0,
                    protocol: UDP,
                    identification: 0,
                    part: Part::Whole,
                }.pseudo_header();
                sum.add_word(bytes.len() as u16);
                sum.add(&bytes);
                prop_assert_eq!(sum.finish(), [0, 0]);
            }
        }
    }
}
