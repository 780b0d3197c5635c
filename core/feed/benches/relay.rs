//! Responses through a relay and a subscriber, beside a plain copy of the same bytes: look at the ratio.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tcpcopy_feed::{FlowId, PeerId, Registration, Relay, RelayOptions, Routed, Subscriber, SubscriberEvent};
use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Options, Segment, SeqNum, Timestamps};

/// Responses between two turns of the event loop.
const BATCH: u32 = 256;

struct Feed {
    relay: Relay,
    subscriber: Subscriber,
    now: Instant,
}

impl Feed {
    fn new(flows: u32) -> Self {
        let now = Instant::from_micros(1_700_000_000_000_000);
        let options = RelayOptions { peer_buffer_bytes: 64 << 20, ..RelayOptions::default() };
        let mut feed = Self { relay: Relay::new(options, now), subscriber: Subscriber::new(1, now), now };
        feed.relay.handle_connected(PeerId(1), now);
        feed.subscriber.handle_connected(now);
        for number in 0..flows {
            let id = FlowId(1 << 32 | u64::from(number));
            feed.subscriber.register(Registration::Add { id, flow: flow(number), depth: 65_535 });
        }
        while feed.upstream() | (feed.downstream() > 0) {}
        feed
    }

    fn upstream(&mut self) -> bool {
        let length = {
            let bytes = self.subscriber.poll_transmit();
            self.relay.handle_bytes(PeerId(1), self.now, bytes).expect("a tcpcopy of ours");
            bytes.len()
        };
        self.subscriber.consume(length);
        length > 0
    }

    /// Hands intercept's output to tcpcopy and says how many bytes that were.
    fn downstream(&mut self) -> usize {
        let mut total = 0;
        loop {
            let bytes = self.relay.poll_transmit(PeerId(1));
            let length = bytes.len();
            if length == 0 {
                return total;
            }
            let event = |event: SubscriberEvent<'_>| {
                black_box(&event);
            };
            self.subscriber.handle_bytes(self.now, bytes, event).expect("an intercept of ours");
            self.relay.consume(PeerId(1), length);
            total += length;
        }
    }

    /// One batch of responses of flows spread over all, from capture to event.
    fn batch(&mut self, flows: u32, payload: &[u8], round: u32) -> usize {
        for number in 0..BATCH {
            let flow = flow(round.wrapping_mul(BATCH).wrapping_add(number).wrapping_mul(7919) % flows);
            let routed = self.relay.handle_response(self.now, &response(flow, payload));
            assert_eq!(routed, Routed::Delivered);
        }
        self.downstream()
    }
}

fn flow(number: u32) -> Flow {
    let client = Ipv4Addr::from(0x0a00_0000 | number >> 14);
    let port = 1024 + u16::try_from(number & 0x3fff).expect("14 bits");
    let server = Endpoint::new(Ipv4Addr::new(10, 10, 3, 2).into(), 8080);
    Flow { client: Endpoint::new(client.into(), port), server }
}

fn response(flow: Flow, payload: &[u8]) -> Segment<'_> {
    let timestamps = Some(Timestamps { value: 123_456_789, echo: 987_654_321 });
    Segment {
        source: flow.server,
        destination: flow.client,
        seq: SeqNum(1_000_000_007),
        ack: SeqNum(2_000_000_011),
        flags: Flags::ACK | Flags::PSH,
        window: 501,
        options: Options { timestamps, ..Options::default() },
        payload,
        payload_len: u32::try_from(payload.len()).expect("a segment's payload"),
        ..Segment::default()
    }
}

/// Measures `routine` and says how long one run of it took in the latest sample.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn timed(bencher: &mut Bencher<'_>, mut routine: impl FnMut()) -> Duration {
    let mut once = Duration::ZERO;
    bencher.iter_custom(|runs| {
        let start = std::time::Instant::now();
        for _ in 0..runs {
            routine();
        }
        let elapsed = start.elapsed();
        once = elapsed.div_f64(runs as f64);
        elapsed
    });
    once
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("responses");
    group.throughput(Throughput::Elements(BATCH.into()));
    for (flows, payload) in [(1_000, 0), (200_000, 0), (1_000, 1448)] {
        let payload = vec![7_u8; payload];
        let mut feed = Feed::new(flows);
        let bytes = feed.batch(flows, &payload, 0);
        let name = format!("{flows}_flows_{}_bytes", payload.len());
        let mut fed = Duration::ZERO;
        group.bench_function(BenchmarkId::new("relay_and_subscriber", &name), |bencher| {
            let mut round = 0;
            fed = timed(bencher, || {
                round += 1;
                black_box(feed.batch(flows, &payload, round));
            });
        });
        let source = vec![7_u8; bytes];
        let mut copy = vec![0_u8; bytes];
        let mut copied = Duration::ZERO;
        group.bench_function(BenchmarkId::new("memcpy_of_the_same_bytes", &name), |bencher| {
            copied = timed(bencher, || {
                black_box(copy.as_mut_slice()).copy_from_slice(black_box(source.as_slice()))
            });
        });
        let ratio = fed.as_secs_f64() / copied.as_secs_f64();
        println!("{name}: {} bytes a response, {ratio:.1} × a plain copy of them", bytes / BATCH as usize);
    }
    group.finish();
}

criterion_group!(benches, responses);
criterion_main!(benches);
