//! The examples of `docs/feed-protocol.md` are what the code sends.

use tcpcopy_feed::{FlowId, PeerId, Registration, Relay, RelayOptions, Subscriber};
use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Options, Segment, SeqNum, Timestamps};

const DOCUMENT: &str = include_str!("../../../../docs/feed-protocol.md");
const NOW: Instant = Instant::from_micros(1_700_000_000_000_000);

/// The bytes of the example with that name.
fn example(name: &str) -> Vec<u8> {
    let opening = format!("```hex {name}\n");
    let (_, rest) = DOCUMENT.split_once(&opening).expect("an example of that name");
    let (block, _) = rest.split_once("```").expect("its end");
    let bytes = block.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect("a hexadecimal byte")).collect()
}

fn take(subscriber: &mut Subscriber) -> Vec<u8> {
    let bytes = subscriber.poll_transmit().to_vec();
    subscriber.consume(bytes.len());
    bytes
}

fn take_from(relay: &mut Relay) -> Vec<u8> {
    let bytes = relay.poll_transmit(PeerId(1)).to_vec();
    relay.consume(PeerId(1), bytes.len());
    bytes
}

#[test]
fn the_documents_examples_are_what_is_sent() {
    let mut subscriber = Subscriber::new(0x1122_3344_5566_7788, NOW);
    let mut relay = Relay::new(RelayOptions::default(), NOW);
    subscriber.handle_connected(NOW);
    relay.handle_connected(PeerId(1), NOW);
    let offer = take(&mut subscriber);
    assert_eq!(offer, example("offer"));
    relay.handle_bytes(PeerId(1), NOW, &offer).unwrap();
    subscriber.handle_bytes(NOW, &take_from(&mut relay), |_| ()).unwrap();
    let hello = take(&mut subscriber);
    assert_eq!(hello, example("hello"));
    relay.handle_bytes(PeerId(1), NOW, &hello).unwrap();

    let other = Flow { client: Endpoint::new([10, 0, 0, 1].into(), 1), ..Flow::default() };
    subscriber.register(Registration::Add { id: FlowId(300), flow: other, depth: 0 });
    relay.handle_bytes(PeerId(1), NOW, &take(&mut subscriber)).unwrap();
    let client = Endpoint::new([10, 0, 0, 1].into(), 4001);
    let server = Endpoint::new([10, 10, 3, 2].into(), 8080);
    subscriber.register(Registration::Add { id: FlowId(5), flow: Flow { client, server }, depth: 0 });
    subscriber.register(Registration::Remove { id: FlowId(300) });
    let registrations = take(&mut subscriber);
    assert_eq!(registrations, example("registrations"));
    relay.handle_bytes(PeerId(1), NOW, &registrations).unwrap();

    let acknowledgement = Segment {
        source: server,
        destination: client,
        seq: SeqNum(1000),
        ack: SeqNum(2000),
        flags: Flags::ACK,
        window: 501,
        options: Options { timestamps: Some(Timestamps { value: 7, echo: 8 }), ..Options::default() },
        ..Segment::default()
    };
    relay.handle_response(NOW, &acknowledgement);
    subscriber.register(Registration::Depth { id: FlowId(5), depth: 3 });
    relay.handle_bytes(PeerId(1), NOW, &take(&mut subscriber)).unwrap();
    let flags = Flags::ACK | Flags::PSH;
    let data = Segment { flags, payload: b"abcdefgh", payload_len: 1448, ..acknowledgement };
    relay.handle_response(Instant::from_micros(NOW.micros() + 20), &data);
    assert_eq!(take_from(&mut relay), example("responses"));
}
