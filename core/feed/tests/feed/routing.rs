//! Whose a response is, how deep, and in which order.

use std::net::Ipv6Addr;
use std::time::Duration;

use tcpcopy_feed::{
    Features, FlowId, PeerId, Registration, RelayEvent, RelayOptions, Routed, Subscriber, SubscriberOptions,
};
use tcpcopy_wire::{Endpoint, Flags, Flow, Segment};

use crate::pair::{Seen, Tcpcopy, World, response, response_with};

fn world() -> World {
    World::new(RelayOptions { identity: 77, seed: 5, ..RelayOptions::default() })
}

#[test]
fn a_response_reaches_the_session_that_registered_its_flow() {
    let mut world = world();
    let mut one = world.tcpcopy(1);
    let mut two = world.tcpcopy(2);
    one.add(10, 4001, 0);
    two.add(10, 4002, 0);
    world.exchange(&mut one).unwrap();
    world.exchange(&mut two).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 5)), Routed::Delivered);
    assert_eq!(world.relay.handle_response(world.now, &response(4002, 6)), Routed::Delivered);
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 7)), Routed::Delivered);
    world.exchange(&mut one).unwrap();
    world.exchange(&mut two).unwrap();
    assert_eq!(one.responses(), [(10, 5), (10, 7)]);
    assert_eq!(two.responses(), [(10, 6)]);
}

#[test]
fn flows_of_ipv6_are_routed_like_those_of_ipv4() {
    let mut world = world();
    let mut tcpcopy = world.tcpcopy(1);
    let client = Endpoint::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), 4001);
    let server = Endpoint::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into(), 80);
    tcpcopy.subscriber.register(Registration::Add { id: FlowId(3), flow: Flow { client, server }, depth: 0 });
    world.exchange(&mut tcpcopy).unwrap();
    let segment = Segment { source: server, destination: client, ..response(1, 9) };
    assert_eq!(world.relay.handle_response(world.now, &segment), Routed::Delivered);
    let backwards = Segment { source: client, destination: server, ..segment };
    assert_eq!(world.relay.handle_response(world.now, &backwards), Routed::Held);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(tcpcopy.responses(), [(3, 9)]);
}

#[test]
fn early_responses_are_delivered_in_order_before_later_ones() {
    let mut world = world();
    let mut tcpcopy = world.tcpcopy(1);
    let seen_at = world.now;
    let syn_ack = Segment { flags: Flags::SYN | Flags::ACK, ..response(4001, 1) };
    assert_eq!(world.relay.handle_response(world.now, &syn_ack), Routed::Held);
    world.pass(Duration::from_millis(3));
    for seq in 2..50 {
        assert_eq!(world.relay.handle_response(world.now, &response_with(4001, seq, b"early")), Routed::Held);
        assert_eq!(world.relay.handle_response(world.now, &response(5000 + seq as u16, seq)), Routed::Held);
    }
    tcpcopy.add(8, 4001, 2);
    world.upstream(&mut tcpcopy);
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 50)), Routed::Delivered);
    world.exchange(&mut tcpcopy).unwrap();

    let first = Seen::Response { id: FlowId(8), seen_at, seq: 1, payload: Vec::new(), payload_len: 0 };
    let second =
        Seen::Response { id: FlowId(8), seen_at: world.now, seq: 2, payload: b"ea".to_vec(), payload_len: 5 };
    let at = tcpcopy.seen.iter().position(|seen| *seen == first).expect("the SYN-ACK with its own time");
    assert_eq!(tcpcopy.seen[at + 1], second);
    assert_eq!(tcpcopy.responses(), (1..=50).map(|seq| (8, seq)).collect::<Vec<_>>());
    let totals = world.relay.totals();
    assert_eq!((totals.held, totals.held_delivered, totals.delivered), (97, 49, 1));

    world.pass(Duration::from_secs(6));
    world.relay.handle_timeout(world.now);
    assert_eq!(world.relay.totals().held_expired, 48, "the other flows' were never claimed");
}

#[test]
fn payload_travels_as_deep_as_registered() {
    let mut world = world();
    let mut tcpcopy = world.tcpcopy(1);
    tcpcopy.add(1, 4001, 0);
    for (depth, expected) in [(0, ""), (2, "ab"), (6, "abcdef"), (u32::MAX, "abcdef"), (1, "a"), (0, "")] {
        tcpcopy.subscriber.register(Registration::Depth { id: FlowId(1), depth });
        world.exchange(&mut tcpcopy).unwrap();
        world.relay.handle_response(world.now, &response_with(4001, 1, b"abcdef"));
        world.exchange(&mut tcpcopy).unwrap();
        let Some(Seen::Response { payload, payload_len, .. }) = tcpcopy.seen.last() else {
            panic!("no response")
        };
        assert_eq!((payload.as_slice(), *payload_len), (expected.as_bytes(), 6), "depth {depth}");
    }
}

#[test]
fn payload_is_wanted_from_the_first_depth_or_announcement_on() {
    let mut world = world();
    let mut tcpcopy = world.tcpcopy(1);
    tcpcopy.add(1, 4001, 0);
    world.exchange(&mut tcpcopy).unwrap();
    assert!(!world.relay.wants_payload());
    tcpcopy.subscriber.register(Registration::Depth { id: FlowId(1), depth: 1 });
    world.exchange(&mut tcpcopy).unwrap();
    assert!(world.relay.wants_payload());

    let mut world = self::world();
    let features = Features(Features::PAYLOAD.0 | Features::EXPECTS_PAYLOAD.0);
    let options = SubscriberOptions { features, ..SubscriberOptions::default() };
    let subscriber = Subscriber::with_options(7, options, world.now);
    world.connect(&mut Tcpcopy { peer: PeerId(7), subscriber, seen: Vec::new() });
    assert!(world.relay.wants_payload());
}

#[test]
fn a_tcpcopy_that_does_not_know_payload_gets_none() {
    let mut world = world();
    let mut tcpcopy = Tcpcopy::new(1, world.now);
    world.relay.handle_connected(tcpcopy.peer, world.now);
    tcpcopy.subscriber.handle_connected(world.now);
    world.upstream(&mut tcpcopy);
    world.downstream(&mut tcpcopy).unwrap();
    let mut hello = tcpcopy.subscriber.poll_transmit().to_vec();
    tcpcopy.subscriber.consume(hello.len());
    // The features follow header, magic, version and role.
    hello[15..23].fill(0);
    world.relay.handle_bytes(tcpcopy.peer, world.now, &hello).unwrap();
    world.exchange(&mut tcpcopy).unwrap();
    tcpcopy.add(1, 4001, 100);
    world.exchange(&mut tcpcopy).unwrap();
    world.relay.handle_response(world.now, &response_with(4001, 1, b"abcdef"));
    world.exchange(&mut tcpcopy).unwrap();
    let Some(Seen::Response { payload, payload_len, .. }) = tcpcopy.seen.last() else {
        panic!("no response")
    };
    assert_eq!((payload.as_slice(), *payload_len), (&b""[..], 6));
}

#[test]
fn the_latest_registration_of_a_flow_wins_and_only_it_can_remove_the_route() {
    let mut world = world();
    let mut one = world.tcpcopy(1);
    let mut two = world.tcpcopy(2);
    one.add(1, 4001, 0);
    one.add(2, 4001, 0);
    world.exchange(&mut one).unwrap();
    one.remove(1);
    world.exchange(&mut one).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 5)), Routed::Delivered);
    world.exchange(&mut one).unwrap();
    assert_eq!(one.responses(), [(2, 5)]);

    two.add(2, 4001, 0);
    world.exchange(&mut two).unwrap();
    one.remove(2);
    world.exchange(&mut one).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 6)), Routed::Delivered);
    world.exchange(&mut two).unwrap();
    assert_eq!(two.responses(), [(2, 6)]);

    two.remove(2);
    world.exchange(&mut two).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 7)), Routed::Held);
}

#[test]
fn an_identity_registered_again_moves_to_its_new_flow() {
    let mut world = world();
    let mut tcpcopy = world.tcpcopy(1);
    tcpcopy.add(1, 4001, 0);
    world.exchange(&mut tcpcopy).unwrap();
    tcpcopy.add(1, 4002, 0);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 5)), Routed::Held);
    assert_eq!(world.relay.handle_response(world.now, &response(4002, 6)), Routed::Delivered);
    assert_eq!(world.relay.peers().map(|peer| peer.flows).sum::<usize>(), 1);
}

#[test]
fn flows_beyond_a_peers_limit_are_refused_and_told() {
    let mut world = World::new(RelayOptions { max_flows_per_peer: 2, ..RelayOptions::default() });
    let mut tcpcopy = world.tcpcopy(1);
    for id in 1..=5 {
        tcpcopy.add(id, 4000 + id as u16, 0);
    }
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(world.relay.totals().flows_refused, 3);
    assert_eq!(world.relay.handle_response(world.now, &response(4002, 1)), Routed::Delivered);
    assert_eq!(world.relay.handle_response(world.now, &response(4003, 1)), Routed::Held);
    world.pass(Duration::from_secs(1));
    world.relay.handle_timeout(world.now);
    world.exchange(&mut tcpcopy).unwrap();
    let told =
        tcpcopy.seen.iter().any(|seen| matches!(seen, Seen::Statistics(told) if told.flows_refused == 3));
    assert!(told, "{:?}", tcpcopy.seen);
}

#[test]
fn peers_with_output_are_named_once_until_it_is_taken() {
    let mut world = world();
    let mut one = world.tcpcopy(1);
    let mut two = world.tcpcopy(2);
    one.add(1, 4001, 0);
    two.add(1, 4002, 0);
    world.exchange(&mut one).unwrap();
    world.exchange(&mut two).unwrap();
    while world.relay.poll_writable().is_some() {}
    assert!(matches!(
        world.relay.poll_event(),
        Some(RelayEvent::Connected { peer: PeerId(1), identity: 1001, .. })
    ));

    for seq in 0..10 {
        world.relay.handle_response(world.now, &response(4002, seq));
    }
    assert_eq!(world.relay.poll_writable(), Some(PeerId(2)));
    world.relay.handle_response(world.now, &response(4002, 10));
    world.relay.handle_response(world.now, &response(4001, 11));
    assert_eq!(world.relay.poll_writable(), Some(PeerId(1)), "peer 2 still has what it was named for");
    assert_eq!(world.relay.poll_writable(), None);
    world.exchange(&mut two).unwrap();
    world.relay.handle_response(world.now, &response(4002, 12));
    assert_eq!(world.relay.poll_writable(), Some(PeerId(2)));
}
