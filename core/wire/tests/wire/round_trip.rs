//! A segment that is written and read again is the same segment; another implementation reads it the same
//! way.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use tcpcopy_wire::{DropReason, LinkType, Segment, parse_frame, parse_ip};

use crate::segments::{packet, segments};

proptest! {
    #[test]
    fn what_is_written_is_read(
        segment in segments(),
        payload in prop::collection::vec(any::<u8>(), 0..3000),
        cut in 0_usize..3000,
    ) {
        let packet = packet(&segment, &payload, cut);
        let payload_len = u32::try_from(payload.len()).unwrap();
        let expected = Segment { payload: &payload, payload_len, ..segment };
        prop_assert_eq!(parse_ip(&packet, packet.len()), Ok(expected));
    }

    #[test]
    fn checksums_are_those_another_implementation_expects(
        segment in segments(),
        payload in prop::collection::vec(any::<u8>(), 0..3000),
        cut in 0_usize..3000,
    ) {
        let packet = packet(&segment, &payload, cut);
        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
            panic!("not TCP: {sliced:?}");
        };
        prop_assert_eq!(tcp.payload(), &payload[..]);
        let expected = match sliced.net.as_ref().unwrap() {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                prop_assert!(header.dont_fragment());
                prop_assert_eq!(header.identification(), 7);
                prop_assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
                tcp.calc_checksum_ipv4(header.source(), header.destination()).unwrap()
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                tcp.calc_checksum_ipv6(header.source(), header.destination()).unwrap()
            }
            other => panic!("not IP: {other:?}"),
        };
        prop_assert_eq!(tcp.checksum(), expected);
    }

    #[test]
    fn ethernet_padding_is_not_payload(segment in segments(), payload in prop::collection::vec(any::<u8>(), 0..8)) {
        let packet = packet(&segment, &payload, 0);
        let ether_type: [u8; 2] = if segment.source.addr.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
        let mut frame = [&[0; 12], &ether_type[..], &packet].concat();
        frame.resize(frame.len().max(60) + 4, 0xee);
        let parsed = parse_frame(LinkType::Ethernet, &frame, frame.len()).unwrap();
        prop_assert_eq!(parsed.payload, &payload[..]);
        prop_assert!(parsed.is_whole());
    }

    #[test]
    fn a_packet_cut_by_the_capture_keeps_its_length(
        segment in segments(),
        payload in prop::collection::vec(any::<u8>(), 0..300),
        keep in 0_usize..400,
    ) {
        let packet = packet(&segment, &payload, 0);
        let kept = &packet[..keep.min(packet.len())];
        let payload_len = u32::try_from(payload.len()).unwrap();
        match kept.len().checked_sub(packet.len() - payload.len()) {
            Some(left) => {
                let expected = Segment { payload: &payload[..left], payload_len, ..segment };
                prop_assert_eq!(parse_ip(kept, packet.len()), Ok(expected));
            }
            None => {
                prop_assert_eq!(parse_ip(kept, packet.len()), Err(DropReason::TruncatedHeader));
            }
        }
    }
}
