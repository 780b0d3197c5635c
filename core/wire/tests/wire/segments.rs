//! Arbitrary segments that can be written: what the property tests draw from.

use std::net::IpAddr;

use proptest::prelude::*;
use tcpcopy_wire::{
    Endpoint, Flags, Ipv4Identification, Options, SackBlocks, Segment, SeqNum, Timestamps, emit, header_len,
};

/// A segment without payload, of either address family, with options that fit into a header.
pub(crate) fn segments() -> impl Strategy<Value = Segment<'static>> {
    let header = (any::<[u16; 3]>(), any::<[u32; 2]>(), any::<[u8; 3]>());
    (addresses(), header, options()).prop_map(
        |(
            (source, destination),
            ([source_port, destination_port, window], [seq, ack], [flags, ttl, tos]),
            options,
        )| {
            Segment {
                source: Endpoint::new(source, source_port),
                destination: Endpoint::new(destination, destination_port),
                seq: SeqNum(seq),
                ack: SeqNum(ack),
                flags: Flags(flags),
                window,
                options,
                ttl,
                tos,
                payload: &[],
                payload_len: 0,
            }
        },
    )
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|[source, destination]| (source.into(), destination.into())),
        any::<[[u8; 16]; 2]>().prop_map(|[source, destination]| (source.into(), destination.into())),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let timestamps =
        any::<Option<(u32, u32)>>().prop_map(|stamps| stamps.map(|(value, echo)| Timestamps { value, echo }));
    let sack = prop::collection::vec(any::<(u32, u32)>(), 0..=4);
    (any::<Option<u16>>(), any::<Option<u8>>(), any::<bool>(), timestamps, sack).prop_map(
        |(mss, window_scale, sack_permitted, timestamps, edges)| {
            let others =
                Options { mss, window_scale, sack_permitted, timestamps, sack: SackBlocks::default() };
            let mut options = others;
            // Twenty bytes of fixed header leave forty for options; four and eight are SACK's own.
            let used = header_len(&Segment { options: others, ..Segment::default() }) - 60;
            for (left, right) in edges.into_iter().take((40_usize - used).saturating_sub(4) / 8) {
                options.sack.push(SeqNum(left), SeqNum(right));
            }
            options
        },
    )
}

/// The packet of `segment` with `payload` cut in two at `cut`.
pub(crate) fn packet(segment: &Segment<'_>, payload: &[u8], cut: usize) -> Vec<u8> {
    let (first, second) = payload.split_at(cut.min(payload.len()));
    let mut packet = vec![0xa5; header_len(segment) + payload.len()];
    let len = emit(segment, Ipv4Identification(7), [first, second], &mut packet)
        .expect("the buffer is large enough");
    assert_eq!(len, packet.len());
    packet
}
