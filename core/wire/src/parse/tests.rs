//! Packets with something odd about them, made by hand from ordinary ones.

use super::*;
use crate::{Ipv4Identification, emit};

const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

fn segment(client: &str, server: &str) -> Segment<'static> {
    Segment {
        source: Endpoint::new(client.parse().unwrap(), 40_000),
        destination: Endpoint::new(server.parse().unwrap(), 80),
        seq: SeqNum(1_000),
        ack: SeqNum(2_000),
        flags: Flags::ACK | Flags::PSH,
        window: 502,
        ttl: 64,
        payload: PAYLOAD,
        payload_len: 18,
        ..Segment::default()
    }
}

fn v4() -> Segment<'static> {
    segment("192.0.2.1", "192.0.2.2")
}

fn v6() -> Segment<'static> {
    segment("2001:db8::1", "2001:db8::2")
}

fn packet(segment: &Segment<'_>) -> Vec<u8> {
    let mut packet = vec![0; 200];
    let len = emit(segment, Ipv4Identification(1), [PAYLOAD, &[]], &mut packet).unwrap();
    packet.truncate(len);
    packet
}

/// Parses a packet that was captured whole.
fn parse(packet: &[u8]) -> Result<Segment<'_>, DropReason> {
    parse_ip(packet, packet.len())
}

/// The IPv6 packet with `extensions` (the first of type `first`) before its TCP header.
fn extended(first: u8, extensions: &[u8]) -> Vec<u8> {
    let mut packet = packet(&v6());
    packet.splice(V6_HEADER..V6_HEADER, extensions.iter().copied());
    packet[6] = first;
    let payload_len = u16::try_from(packet.len() - V6_HEADER).unwrap();
    packet[4..6].copy_from_slice(&payload_len.to_be_bytes());
    packet
}

#[test]
fn ipv4_options_are_skipped() {
    let mut packet = packet(&v4());
    packet.splice(V4_HEADER..V4_HEADER, [1, 1, 1, 0, 0x94, 4, 0, 0]);
    packet[0] = 0x47;
    packet[3] += 8;
    assert_eq!(parse(&packet), Ok(v4()));
}

#[test]
fn a_zero_ipv4_length_is_taken_from_the_wire() {
    let mut packet = packet(&v4());
    packet[2..4].fill(0);
    packet.resize(V4_HEADER + 20 + 100_000, b'x');
    let parsed = parse(&packet).unwrap();
    assert_eq!(parsed.payload_len, 100_000);
    assert!(parsed.is_whole());

    let cut = parse_ip(&packet[..96], packet.len()).unwrap();
    assert_eq!((cut.payload.len(), cut.payload_len), (56, 100_000));
}

#[test]
fn a_zero_ipv6_length_is_taken_from_the_wire_with_and_without_the_jumbo_option() {
    let mut bare = packet(&v6());
    bare.resize(V6_HEADER + 20 + 100_000, b'x');
    bare[4..6].fill(0);
    assert_eq!(parse(&bare).map(|segment| segment.payload_len), Ok(100_000));

    let mut jumbo = extended(HOP_BY_HOP, &[TCP, 0, 0xc2, 4, 0, 1, 0x86, 0xbc]);
    jumbo.resize(V6_HEADER + 8 + 20 + 100_000, b'x');
    jumbo[4..6].fill(0);
    let parsed = parse(&jumbo).unwrap();
    assert_eq!(parsed.payload_len, 100_000);
    assert!(parsed.is_whole());
}

#[test]
fn the_largest_ipv4_length_is_read() {
    let mut packet = packet(&v4());
    packet.resize(65_535, b'x');
    packet[2..4].fill(0xff);
    assert_eq!(parse(&packet).map(|segment| segment.payload_len), Ok(65_535 - 40));
}

#[test]
fn a_payload_no_window_could_take_is_malformed() {
    let mut packet = packet(&v4());
    packet[2..4].fill(0);
    assert_eq!(parse_ip(&packet, usize::MAX), Err(DropReason::Malformed));
    assert_eq!(parse_ip(&packet, (1 << 30) + 41), Err(DropReason::Malformed));
    assert!(parse_ip(&packet, (1 << 30) + 40).is_ok());
}

#[test]
fn an_ip_length_beyond_the_frame_leaves_the_payload_incomplete() {
    let packet = packet(&v4());
    let parsed = parse(&packet[..packet.len() - 5]).unwrap();
    assert_eq!((parsed.payload.len(), parsed.payload_len), (13, 18));
    assert!(!parsed.is_whole());
}

#[test]
fn a_snapped_packet_without_any_payload_keeps_its_length() {
    let packet = packet(&v6());
    let parsed = parse_ip(&packet[..V6_HEADER + 20], packet.len()).unwrap();
    assert_eq!(parsed, Segment { payload: &[], ..v6() });
}

#[test]
fn extension_headers_are_skipped() {
    let options = [1, 4, 0, 0, 0, 0];
    let hop_then_destination =
        [&[DESTINATION, 0], &options[..], &[TCP, 1], &options, &[1, 6, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(parse(&extended(HOP_BY_HOP, &hop_then_destination)), Ok(v6()));

    let routing = [TCP, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(parse(&extended(ROUTING, &routing)), Ok(v6()));
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let atomic = [TCP, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];
    assert_eq!(parse(&extended(FRAGMENT, &atomic)), Ok(v6()));
}

#[test]
fn fragments_are_refused() {
    let first_v6 = [TCP, 0, 0, 1, 0, 0, 0, 9];
    let later_v6 = [TCP, 0, 0, 8, 0, 0, 0, 9];
    assert_eq!(parse(&extended(FRAGMENT, &first_v6)), Err(DropReason::Fragment));
    assert_eq!(parse(&extended(FRAGMENT, &later_v6)), Err(DropReason::Fragment));

    for flags_and_offset in [[0x20, 0], [0, 1], [0x1f, 0xff]] {
        let mut packet = packet(&v4());
        packet[6..8].copy_from_slice(&flags_and_offset);
        assert_eq!(parse(&packet), Err(DropReason::Fragment));
    }
}

#[test]
fn other_protocols_are_not_tcp() {
    let mut udp = packet(&v4());
    udp[9] = 17;
    assert_eq!(parse(&udp), Err(DropReason::NotTcp));
    let mut icmp = packet(&v6());
    icmp[6] = 58;
    assert_eq!(parse(&icmp), Err(DropReason::NotTcp));
    assert_eq!(parse(&extended(DESTINATION, &[59, 0, 1, 4, 0, 0, 0, 0])), Err(DropReason::NotTcp));
}

#[test]
fn other_versions_are_not_ip() {
    let mut packet = packet(&v4());
    for version in [0, 1, 5, 7, 15] {
        packet[0] = version << 4 | 5;
        assert_eq!(parse(&packet), Err(DropReason::NotIp));
    }
}

#[test]
fn nothing_at_all_is_truncated() {
    assert_eq!(parse(&[]), Err(DropReason::TruncatedHeader));
    assert_eq!(parse_ip(&[], 1_500), Err(DropReason::TruncatedHeader));
}

#[test]
fn lengths_that_contradict_each_other_are_malformed() {
    let malformed = |change: fn(&mut Vec<u8>)| {
        let mut packet = packet(&v4());
        change(&mut packet);
        assert_eq!(parse(&packet), Err(DropReason::Malformed));
    };
    malformed(|packet| packet[0] = 0x44);
    malformed(|packet| packet[3] = 19);
    malformed(|packet| packet[3] = 39);
    malformed(|packet| packet[V4_HEADER + 12] = 0x40);
    malformed(|packet| packet[V4_HEADER + 12] = 0xf0);

    let mut extension_too_long = extended(DESTINATION, &[TCP, 0, 1, 4, 0, 0, 0, 0]);
    extension_too_long[V6_HEADER + 1] = 255;
    assert_eq!(parse(&extension_too_long), Err(DropReason::Malformed));
    let kept = extension_too_long.len();
    let wire_len = kept + 2_048;
    let claimed = u16::try_from(wire_len - V6_HEADER).unwrap();
    extension_too_long[4..6].copy_from_slice(&claimed.to_be_bytes());
    assert_eq!(parse_ip(&extension_too_long, wire_len), Err(DropReason::TruncatedHeader));
}

#[test]
fn urgent_and_ecn_bits_are_kept() {
    let ecn = Segment { flags: Flags(0xff), tos: 0b1010_1001, ..v4() };
    assert_eq!(parse(&packet(&ecn)), Ok(ecn));
    let ecn = Segment { flags: Flags(0xff), tos: 0b1010_1001, ..v6() };
    assert_eq!(parse(&packet(&ecn)), Ok(ecn));
}
