//! What parsing and emitting cost, beside etherparse on the same packets in the same run: only the ratios
//! mean something.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{PacketBuilder, SlicedPacket, TcpOptionElement};
use tcpcopy_wire::{
    Endpoint, Flags, Ipv4Identification, LinkType, Options, Segment, SeqNum, Timestamps, emit, header_len,
    parse_frame,
};

const SOURCE: [u8; 4] = [192, 0, 2, 1];
const DESTINATION: [u8; 4] = [192, 0, 2, 2];
const PAYLOAD_LENS: [usize; 3] = [0, 100, 1400];

/// An ordinary data segment, as an established Linux connection sends them.
fn segment() -> Segment<'static> {
    let options = Options { timestamps: Some(Timestamps { value: 1, echo: 2 }), ..Options::default() };
    Segment {
        source: Endpoint::new(SOURCE.into(), 40_000),
        destination: Endpoint::new(DESTINATION.into(), 80),
        seq: SeqNum(1_000),
        ack: SeqNum(2_000),
        flags: Flags::ACK | Flags::PSH,
        window: 502,
        options,
        ttl: 64,
        ..Segment::default()
    }
}

fn emit_ours(segment: &Segment<'_>, payload: &[u8], out: &mut [u8]) -> usize {
    emit(segment, Ipv4Identification(1), [payload, &[]], out).expect("the buffer is large enough")
}

fn emit_theirs(segment: &Segment<'_>, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    PacketBuilder::ipv4(SOURCE, DESTINATION, segment.ttl)
        .tcp(segment.source.port, segment.destination.port, segment.seq.0, segment.window)
        .ack(segment.ack.0)
        .psh()
        .options(&[TcpOptionElement::Noop, TcpOptionElement::Noop, TcpOptionElement::Timestamp(1, 2)])
        .expect("the options fit")
        .write(out, payload)
        .expect("a vector takes everything");
}

// The outcome is looked at by reference: moving it out of the closure would cost as much as parsing.
fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for payload_len in PAYLOAD_LENS {
        let segment = segment();
        let mut frame = vec![0; 14 + header_len(&segment) + payload_len];
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        emit_ours(&segment, &vec![b'x'; payload_len], &mut frame[14..]);
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(BenchmarkId::new("ours", payload_len), &frame, |bencher, frame| {
            bencher
                .iter(|| black_box(&parse_frame(LinkType::Ethernet, black_box(frame), frame.len())).is_ok());
        });
        group.bench_with_input(BenchmarkId::new("etherparse", payload_len), &frame, |bencher, frame| {
            bencher.iter(|| black_box(&SlicedPacket::from_ethernet(black_box(frame))).is_ok());
        });
    }
    group.finish();
}

fn emitting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("emit");
    for payload_len in PAYLOAD_LENS {
        let segment = segment();
        let payload = vec![b'x'; payload_len];
        let mut out = vec![0; header_len(&segment) + payload_len];
        let mut written = Vec::with_capacity(out.len());
        emit_ours(&segment, &payload, &mut out);
        emit_theirs(&segment, &payload, &mut written);
        // Like is compared with like only if both wrote the same packet, but for the identification (4..6)
        // and the header checksum (10..12) that covers it.
        assert_eq!((&out[..4], &out[12..]), (&written[..4], &written[12..]));
        group.throughput(Throughput::Elements(1));
        group.bench_with_input(BenchmarkId::new("ours", payload_len), &payload, |bencher, payload| {
            bencher.iter(|| emit_ours(black_box(&segment), black_box(payload), &mut out));
        });
        group.bench_with_input(BenchmarkId::new("etherparse", payload_len), &payload, |bencher, payload| {
            bencher.iter(|| emit_theirs(black_box(&segment), black_box(payload), &mut written));
        });
    }
    group.finish();
}

criterion_group!(benches, parsing, emitting);
criterion_main!(benches);
