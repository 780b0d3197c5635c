//! Arbitrary bytes at either end, and streams cut anywhere.

use std::time::Duration;

use proptest::prelude::*;
use tcpcopy_feed::{
    CaptureStatistics, FeedError, FlowId, PeerId, Registration, Relay, RelayOptions, Routed, Subscriber,
    SubscriberState,
};
use tcpcopy_wire::Instant;

use crate::pair::{Seen, World, flow, response_with};

/// Frames with valid headers and arbitrary bodies, so that bodies are reached at all.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0..9_u8, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, body)| {
        let length = body.len() as u32;
        [vec![kind], length.to_be_bytes()[1..].to_vec(), body].concat()
    });
    prop::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}

/// What C tools may say: records that may add flows, batches that may be of packets.
fn routes_and_packets() -> impl Strategy<Value = Vec<u8>> {
    let route = (any::<[u8; 6]>(), 0..3_u16, any::<[u8; 6]>())
        .prop_map(|(client, kind, server)| [&client[..], &kind.to_be_bytes(), &server].concat());
    let packet = (0..4_u8, any::<[u8; 64]>()).prop_map(|(count, mut packet)| {
        (packet[0], packet[2], packet[9]) = (0x45 | packet[0] & 2, packet[2] & 1, 6);
        [&[0, count][..], &packet].concat()
    });
    prop::collection::vec(prop_oneof![route, packet], 0..8).prop_map(|parts| parts.concat())
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![framed(), routes_and_packets(), prop::collection::vec(any::<u8>(), 0..400)]
}

/// What intercept says in a short life: hello, responses with and without payload, statistics, goodbye.
fn intercepts_stream() -> (Vec<u8>, Instant) {
    let mut world = World::new(RelayOptions { identity: 3, ..RelayOptions::default() });
    let mut tcpcopy = crate::pair::Tcpcopy::new(1, world.now);
    tcpcopy.add(1, 4001, 100);
    tcpcopy.add(2, 4002, 0);
    world.relay.handle_connected(tcpcopy.peer, world.now);
    tcpcopy.subscriber.handle_connected(world.now);
    let mut stream = Vec::new();
    for round in 0..4 {
        world.upstream(&mut tcpcopy);
        world.relay.handle_response(world.now, &response_with(4001, round, b"some payload"));
        world.relay.handle_response(world.now, &response_with(4002, round, b"some payload"));
        world.relay.handle_capture_statistics(CaptureStatistics {
            captured: round.into(),
            ..CaptureStatistics::default()
        });
        world.now = world.relay.poll_timeout().expect("heartbeats");
        world.relay.handle_timeout(world.now);
        if round == 3 {
            world.relay.handle_shutdown();
        }
        let bytes = world.relay.poll_transmit(tcpcopy.peer).to_vec();
        world.relay.consume(tcpcopy.peer, bytes.len());
        tcpcopy.subscriber.handle_bytes(world.now, &bytes, |_| ()).expect("an intercept of ours");
        stream.extend(bytes);
    }
    (stream, world.now)
}

/// What tcpcopy says in a short life.
fn tcpcopys_stream() -> Vec<u8> {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = crate::pair::Tcpcopy::new(1, world.now);
    world.relay.handle_connected(tcpcopy.peer, world.now);
    tcpcopy.subscriber.handle_connected(world.now);
    let mut stream = Vec::new();
    for id in 0..200 {
        tcpcopy.add(id, id as u16, 5);
        if id % 3 == 0 {
            tcpcopy.remove(id / 2);
        }
        if id % 20 == 0 {
            tcpcopy.subscriber.register(Registration::Depth { id: FlowId(id / 3), depth: 9 });
            let bytes = tcpcopy.subscriber.poll_transmit().to_vec();
            tcpcopy.subscriber.consume(bytes.len());
            world.relay.handle_bytes(tcpcopy.peer, world.now, &bytes).expect("a tcpcopy of ours");
            world.downstream(&mut tcpcopy).expect("an intercept of ours");
            stream.extend(bytes);
        }
    }
    stream
}

fn connected_subscriber(now: Instant) -> Subscriber {
    let mut subscriber = Subscriber::new(4, now);
    subscriber.handle_connected(now);
    subscriber
}

fn events(pieces: &[&[u8]], now: Instant) -> (Result<(), FeedError>, Vec<Seen>) {
    let mut subscriber = connected_subscriber(now);
    let mut seen = Vec::new();
    let outcome = pieces
        .iter()
        .try_for_each(|piece| subscriber.handle_bytes(now, piece, |event| seen.push(event.into())));
    (outcome, seen)
}

fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = stream;
    for &length in cuts.iter().cycle() {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
        if rest.is_empty() {
            return pieces;
        }
    }
    pieces
}

proptest! {
    #[test]
    fn any_cut_of_intercepts_stream_gives_the_same_events(cuts in prop::collection::vec(1..60_usize, 1..30)) {
        let (stream, now) = intercepts_stream();
        let whole = events(&[&stream], now);
        prop_assert_eq!(&whole.0, &Ok(()));
        prop_assert_eq!(whole.1.last(), Some(&Seen::Goodbye));
        prop_assert!(whole.1.len() > 10, "{:?}", whole.1);
        prop_assert_eq!(events(&cut(&stream, &cuts), now), whole);
    }

    #[test]
    fn any_cut_of_a_damaged_stream_gives_the_same_events_and_error(
        cuts in prop::collection::vec(1..60_usize, 1..30),
        damage in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        let (mut stream, now) = intercepts_stream();
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        prop_assert_eq!(events(&cut(&stream, &cuts), now), events(&[&stream], now));
    }

    #[test]
    fn any_cut_of_tcpcopys_stream_registers_the_same(cuts in prop::collection::vec(1..60_usize, 1..30)) {
        let stream = tcpcopys_stream();
        let now = Instant::from_micros(1);
        let registered = |pieces: &[&[u8]]| {
            let mut relay = Relay::new(RelayOptions::default(), now);
            relay.handle_connected(PeerId(1), now);
            for piece in pieces {
                relay.handle_bytes(PeerId(1), now, piece).expect("a tcpcopy of ours");
            }
            (0..200).map(|port| relay.handle_response(now, &response_with(port, 1, b"payload"))).collect::<Vec<_>>()
        };
        let whole = registered(&[&stream]);
        prop_assert!(whole.contains(&Routed::Delivered));
        prop_assert!(whole.contains(&Routed::Held));
        prop_assert_eq!(registered(&cut(&stream, &cuts)), whole);
    }

    #[test]
    fn arbitrary_bytes_never_upset_tcpcopy(greeted in 0..3, pieces in prop::collection::vec(any_stream(), 1..5)) {
        let (stream, now) = intercepts_stream();
        let mut subscriber = connected_subscriber(now);
        match greeted {
            0 => {}
            1 => subscriber.handle_bytes(now, &stream, |_| ()).expect("an intercept of ours"),
            _ => subscriber.handle_timeout(now + Duration::from_secs(1)).expect("a C intercept"),
        }
        subscriber.register(Registration::Add { id: FlowId(1), flow: flow(1), depth: 0 });
        for piece in pieces {
            let before = subscriber.state();
            if subscriber.handle_bytes(now, &piece, |_| ()).is_err() {
                prop_assert_eq!(subscriber.state(), SubscriberState::Failed);
                prop_assert_ne!(before, SubscriberState::Failed, "a failed one hears nothing");
            }
            subscriber.poll_transmit();
        }
    }

    #[test]
    fn arbitrary_bytes_cost_one_peer_at_most(greeted in 0..3, pieces in prop::collection::vec(any_stream(), 1..5)) {
        let mut world = World::new(RelayOptions { max_flows_per_peer: 4, ..RelayOptions::default() });
        let mut good = world.tcpcopy(1);
        good.add(1, 4001, 3);
        world.exchange(&mut good).unwrap();
        let mut bad = world.tcpcopy(2);
        if greeted != 1 {
            world.relay.handle_disconnected(bad.peer);
            world.relay.handle_connected(bad.peer, world.now);
        }
        if greeted == 2 {
            let c_tcpcopy = [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0];
            world.relay.handle_bytes(bad.peer, world.now, &c_tcpcopy).expect("a C tcpcopy");
        }
        let mut delivered = 0;
        for piece in pieces {
            let _ = world.relay.handle_bytes(bad.peer, world.now, &piece);
            let routed = world.relay.handle_response(world.now, &response_with(4001, 1, b"abcdef"));
            prop_assert_eq!(routed, Routed::Delivered);
            delivered += 1;
        }
        prop_assert!(world.relay.peers().all(|peer| peer.flows <= 4));
        world.relay.handle_disconnected(bad.peer);
        bad.subscriber.handle_disconnected(world.now);
        good.seen.clear();
        world.exchange(&mut good).unwrap();
        for seen in &good.seen {
            let Seen::Response { payload, .. } = seen else { panic!("{seen:?}") };
            prop_assert_eq!(payload, b"abc");
        }
        prop_assert_eq!(good.seen.len(), delivered);
    }
}
