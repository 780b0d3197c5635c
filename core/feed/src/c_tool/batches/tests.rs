//! Streams of C intercepts of every build, cut anywhere, and streams of nobody.

use proptest::prelude::*;
use tcpcopy_wire::{Endpoint, Flags, Options, SeqNum, Timestamps};

use super::super::packet::encode;
use super::*;

/// A response numbered by its sequence number; only odd ones have payload.
fn response(seq: u32) -> Segment<'static> {
    let payload: &[u8] = if seq % 2 == 1 { b"an answer" } else { &[] };
    Segment {
        source: Endpoint::new([10, 10, 3, 2].into(), 8080),
        destination: Endpoint::new([10, 20, 0, 1].into(), 4001),
        seq: SeqNum(seq),
        flags: Flags::ACK,
        options: Options { timestamps: Some(Timestamps { value: 7, echo: seq }), ..Options::default() },
        payload,
        payload_len: u32::try_from(payload.len()).unwrap(),
        ..Segment::default()
    }
}

/// Batches of these sizes, as an intercept that was built with or without payload sends them.
fn stream(batches: &[u16], with_payload: bool) -> Vec<u8> {
    let length = if with_payload { PACKET_MAX } else { HEADERS_BYTES };
    let mut stream = Vec::new();
    let mut seq = 0;
    for &count in batches {
        stream.extend(count.to_be_bytes());
        for _ in 0..count {
            stream.extend(&encode(&response(seq), with_payload).unwrap()[..length]);
            seq += 1;
        }
    }
    stream
}

/// Sequence numbers and payloads that come out of `pieces`.
fn read(batches: &mut Batches, pieces: &[&[u8]]) -> Result<Vec<(u32, Vec<u8>)>, Malformed> {
    let mut read = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(packet) = batches.next(&mut piece)? {
            let segment = packet.decode()?;
            read.push((segment.seq.0, segment.payload.to_vec()));
        }
        assert!(piece.is_empty());
    }
    Ok(read)
}

fn expected(count: u32, with_payload: bool) -> Vec<(u32, Vec<u8>)> {
    let payload = |seq| if with_payload { response(seq).payload.to_vec() } else { Vec::new() };
    (0..count).map(|seq| (seq, payload(seq))).collect()
}

fn combined() -> Batches {
    Batches::opened(true, Vec::new())
}

#[test]
fn payload_is_found_by_what_follows_the_first_packet() {
    for (sizes, with_payload) in [(&[1, 1][..], false), (&[1, 1], true), (&[2], false), (&[2], true)] {
        let mut batches = combined();
        let read = read(&mut batches, &[&stream(sizes, with_payload)]);
        assert_eq!(read, Ok(expected(2, with_payload)), "{sizes:?}");
        assert_eq!(batches.has_payload(), Some(with_payload));
    }
}

#[test]
fn a_lonely_first_packet_is_not_waited_with() {
    for with_payload in [false, true] {
        let stream = stream(&[1, 1, 2], with_payload);
        let (first, rest) = stream.split_at(COUNT_BYTES + HEADERS_BYTES);
        let mut batches = combined();
        assert_eq!(read(&mut batches, &[first]), Ok(expected(1, false)));
        assert_eq!(batches.has_payload(), None);
        assert_eq!(read(&mut batches, &[rest]).unwrap(), expected(4, with_payload)[1..]);
    }
}

#[test]
fn packets_without_batches_are_read_one_by_one() {
    let packet = encode(&response(0), false).unwrap();
    let mut batches = Batches::opened(false, vec![packet[0]]);
    assert_eq!(read(&mut batches, &[&packet[1..64], &packet[..64]]).unwrap().len(), 2);
}

#[test]
fn a_batch_of_no_or_too_many_packets_is_refused() {
    for count in [0_u16, 17, 17_664] {
        let bytes = count.to_be_bytes();
        assert_eq!(read(&mut combined(), &[&bytes]), Err(Malformed::Batch(count)));
    }
}

proptest! {
    #[test]
    fn the_cut_of_the_stream_does_not_matter(
        sizes in prop::collection::vec(1..=6_u16, 2..8),
        with_payload: bool,
        cuts in prop::collection::vec(1..400_usize, 1..30),
    ) {
        let stream = stream(&sizes, with_payload);
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for &cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let count = sizes.iter().copied().map(u32::from).sum();
        let mut batches = combined();
        // The first packet may have been handed out before it was known whether payload follows; it has none.
        prop_assert_eq!(read(&mut batches, &pieces), Ok(expected(count, with_payload)));
        prop_assert_eq!(batches.has_payload(), Some(with_payload));
    }

    #[test]
    fn arbitrary_bytes_are_packets_or_an_error(
        is_combined: bool,
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..10),
        plausible: bool,
    ) {
        let mut batches = Batches::opened(is_combined, Vec::new());
        if plausible {
            let _ = read(&mut batches, &[&stream(&[1, 2], true)]);
        }
        for piece in &pieces {
            if read(&mut batches, &[piece]).is_err() {
                break;
            }
            prop_assert!(batches.buffer.len() <= PACKET_MAX);
        }
    }
}
