//! The C tools at either end: against what they really said (`recorded/`, one line for each write; `>` is upstream, to
//! intercept), and our two ends against each other in their language.

use std::time::Duration;

use tcpcopy_feed::{
    CToolFormat, FeedError, FlowId, PeerError, PeerId, Registration, Relay, RelayEvent, RelayOptions, Routed,
    Subscriber, SubscriberEvent, SubscriberOptions, SubscriberState, Translation,
};
use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Segment, SeqNum};

use crate::pair::{World, flow, response, response_with};

const NOW: Instant = Instant::from_micros(1_700_000_000_000_000);
const C_VERSION_6: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0];

/// What was said in one direction.
fn recorded(record: &str, direction: char) -> Vec<Vec<u8>> {
    let lines = record.lines().filter_map(|line| line.strip_prefix(direction));
    let bytes = |line: &str| {
        let digits: Vec<u8> =
            line.trim().chars().map(|digit| digit.to_digit(16).expect("hexadecimal") as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    lines.map(bytes).collect()
}

fn local(client: u16, server: u16, server_addr: [u8; 4]) -> Flow {
    Flow {
        client: Endpoint::new([127, 0, 0, 1].into(), client),
        server: Endpoint::new(server_addr.into(), server),
    }
}

/// A subscriber that has waited long enough for a hello.
fn connected_to_c(options: SubscriberOptions) -> Subscriber {
    let mut subscriber = Subscriber::with_options(7, options, NOW);
    subscriber.handle_connected(NOW);
    subscriber.handle_timeout(subscriber.poll_timeout().expect("a time-out")).expect("no complaint");
    assert!(subscriber.is_c_intercept() && subscriber.state() == SubscriberState::Connected);
    assert_eq!(subscriber.poll_timeout(), None, "no heartbeats");
    subscriber
}

fn add(subscriber: &mut Subscriber, id: u64, flow: Flow) {
    subscriber.register(Registration::Add { id: FlowId(id), flow, depth: 0 });
}

fn take(subscriber: &mut Subscriber) -> Vec<u8> {
    let bytes = subscriber.poll_transmit().to_vec();
    subscriber.consume(bytes.len());
    bytes
}

/// Session, payload length and payload of every response that comes out of `writes`.
fn responses(subscriber: &mut Subscriber, writes: &[Vec<u8>]) -> Vec<(u64, u32, Vec<u8>)> {
    let mut seen = Vec::new();
    for bytes in writes {
        let on_event = |event: SubscriberEvent<'_>| {
            let SubscriberEvent::Response(response) = event else { panic!("{event:?}") };
            let segment = response.segment;
            assert_eq!(response.seen_at, NOW);
            seen.push((response.id.0, segment.payload_len, segment.payload.to_vec()));
        };
        subscriber.handle_bytes(NOW, bytes, on_event).expect("a C intercept");
    }
    seen
}

#[track_caller]
fn replays(record: &str, port: u16, payloads: [&[u8]; 6], payload: bool) {
    let mut subscriber = connected_to_c(SubscriberOptions::default());
    add(&mut subscriber, 5, local(port, 8080, [127, 0, 0, 1]));
    assert_eq!(take(&mut subscriber), recorded(record, '>').concat());
    let seen = responses(&mut subscriber, &recorded(record, '<'));
    let expected = [0, 0, 9, 9, 200, 0].into_iter().zip(payloads);
    let expected: Vec<_> = expected.map(|(length, payload)| (5, length, payload.to_vec())).collect();
    assert_eq!(seen, expected);
    assert_eq!(subscriber.c_payload(), Some(payload));
}

#[test]
fn a_c_intercept_is_understood() {
    replays(include_str!("recorded/c_intercept.hex"), 40001, [b""; 6], false);
}

#[test]
fn a_c_intercept_with_payload_is_understood() {
    let payloads = [&b""[..], b"", b"answer 0\n", b"answer 1\n", b"", b""];
    replays(include_str!("recorded/c_intercept_payload.hex"), 40002, payloads, true);
}

#[test]
fn a_c_intercept_without_batches_is_understood() {
    replays(include_str!("recorded/c_intercept_uncombined.hex"), 40003, [b""; 6], false);
}

#[test]
fn responses_before_the_presumption_settle_it() {
    let mut subscriber = Subscriber::new(7, NOW);
    subscriber.handle_connected(NOW);
    add(&mut subscriber, 5, local(40001, 8080, [127, 0, 0, 1]));
    let writes = recorded(include_str!("recorded/c_intercept.hex"), '<');
    assert_eq!(responses(&mut subscriber, &writes).len(), 6);
    assert!(subscriber.is_c_intercept());
}

#[test]
fn sessions_that_are_over_get_nothing_and_ipv6_is_counted() {
    let mut subscriber = connected_to_c(SubscriberOptions::default());
    take(&mut subscriber);
    let flow = local(40001, 8080, [127, 0, 0, 1]);
    add(&mut subscriber, 5, flow);
    let v6 = Endpoint::new("fd00::1".parse().unwrap(), 1);
    add(&mut subscriber, 6, Flow { client: v6, server: v6 });
    add(&mut subscriber, 7, flow);
    assert_eq!(take(&mut subscriber).len(), 2 * 14);
    assert_eq!(subscriber.untold(), 1);
    subscriber.register(Registration::Remove { id: FlowId(5) });
    let writes = recorded(include_str!("recorded/c_intercept.hex"), '<');
    assert_eq!(responses(&mut subscriber, &writes[..1])[0].0, 7, "the later one owns the flow");
    subscriber.register(Registration::Remove { id: FlowId(7) });
    assert!(responses(&mut subscriber, &writes[1..]).is_empty());
    assert!(take(&mut subscriber).is_empty(), "a C intercept is not told of ends");
}

#[test]
fn behind_address_translation_the_port_tells_the_session() {
    let writes = recorded(include_str!("recorded/c_intercept.hex"), '<');
    for (dnat, count) in [(false, 0), (true, 6)] {
        let mut subscriber = connected_to_c(SubscriberOptions { dnat, ..SubscriberOptions::default() });
        add(&mut subscriber, 5, local(40001, 8080, [10, 0, 0, 9]));
        assert_eq!(responses(&mut subscriber, &writes).len(), count);
    }
}

#[test]
fn an_intercept_of_ours_that_answers_late_is_connected_to_anew() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = crate::pair::Tcpcopy::new(1, world.now);
    world.relay.handle_connected(tcpcopy.peer, world.now);
    tcpcopy.subscriber.handle_connected(world.now);
    world.upstream(&mut tcpcopy);
    tcpcopy.add(1, 4001, 0);
    world.pass(Duration::from_secs(1));
    tcpcopy.subscriber.handle_timeout(world.now).unwrap();
    assert!(tcpcopy.subscriber.is_c_intercept());
    let routes = take(&mut tcpcopy.subscriber);
    assert!(world.relay.handle_bytes(tcpcopy.peer, world.now, &routes).is_err(), "no registration of ours");
    assert_eq!(world.downstream(&mut tcpcopy), Err(FeedError::LateHello));
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 1)), Routed::Held);
    world.disconnect(&mut tcpcopy);
    world.connect(&mut tcpcopy);
    assert_eq!(tcpcopy.responses(), [(1, 1)]);
    assert!(!tcpcopy.subscriber.is_c_intercept());
}

fn relay_with(options: RelayOptions, peers: u64) -> Relay {
    let mut relay = Relay::new(options, NOW);
    for peer in 1..=peers {
        relay.handle_connected(PeerId(peer), NOW);
        relay.handle_bytes(PeerId(peer), NOW, &C_VERSION_6).expect("a C tcpcopy");
    }
    relay
}

fn take_from(relay: &mut Relay, peer: u64) -> Vec<u8> {
    let bytes = relay.poll_transmit(PeerId(peer)).to_vec();
    relay.consume(PeerId(peer), bytes.len());
    bytes
}

#[test]
fn a_c_tcpcopy_is_served() {
    let mut relay = Relay::new(RelayOptions::default(), NOW);
    relay.handle_connected(PeerId(1), NOW);
    let said = recorded(include_str!("recorded/c_tcpcopy.hex"), '>').concat();
    let segment = Segment {
        source: Endpoint::new([127, 0, 0, 2].into(), 9090),
        destination: Endpoint::new([127, 0, 0, 1].into(), 40004),
        seq: SeqNum(1000),
        flags: Flags::SYN | Flags::ACK,
        ..Segment::default()
    };
    // The target is quicker than the registration.
    assert_eq!(relay.handle_response(NOW, &segment), Routed::Held);
    said.chunks(5).for_each(|piece| relay.handle_bytes(PeerId(1), NOW, piece).unwrap());
    assert_eq!(relay.poll_event(), Some(RelayEvent::CConnected { peer: PeerId(1) }));
    assert_eq!(relay.handle_response(NOW, &segment), Routed::Delivered);
    assert_eq!(relay.poll_writable(), Some(PeerId(1)));
    let told = take_from(&mut relay, 1);
    assert_eq!((told.len(), &told[..2]), (2 + 2 * 64, &[0, 2][..]));
    assert_eq!(told[2..66], told[66..]);
    // Addresses, ports and sequence number, where a C tcpcopy looks for them.
    assert_eq!(told[2 + 12..2 + 28], [127, 0, 0, 2, 127, 0, 0, 1, 0x23, 0x82, 0x9c, 0x44, 0, 0, 3, 232]);

    relay.handle_timeout(NOW + Duration::from_secs(600));
    assert_eq!((relay.poll_event(), take_from(&mut relay, 1)), (None, Vec::new()), "it knows no heartbeats");
    relay.handle_shutdown();
    assert!(take_from(&mut relay, 1).is_empty(), "nor goodbyes");
    relay.handle_disconnected(PeerId(1));
    assert_eq!(relay.handle_response(NOW, &segment), Routed::Held, "it may come back");
}

#[test]
fn both_ends_understand_each_other_in_the_language_of_the_c_tools() {
    let formats = [(false, true, 16), (true, true, 16), (false, false, 16), (false, true, 3)];
    for (payload, combined, batch) in formats {
        let options =
            RelayOptions { c_format: CToolFormat { payload, combined, batch }, ..RelayOptions::default() };
        let mut relay = Relay::new(options, NOW);
        relay.handle_connected(PeerId(1), NOW);
        relay.handle_bytes(PeerId(1), NOW, &C_VERSION_6).unwrap();
        assert_eq!(relay.wants_payload(), payload);
        let mut subscriber = connected_to_c(SubscriberOptions::default());
        take(&mut subscriber);
        (0..40).for_each(|id| add(&mut subscriber, id, flow(4000 + id as u16)));
        relay.handle_bytes(PeerId(1), NOW, &take(&mut subscriber)).unwrap();
        for id in 0..40 {
            relay.handle_response(NOW, &response_with(4000 + id, 1, b"answer"));
        }
        let seen = responses(&mut subscriber, &[take_from(&mut relay, 1)]);
        let carried = if payload { b"answer".to_vec() } else { Vec::new() };
        let expected: Vec<_> = (0..40).map(|id| (id, 6, carried.clone())).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn peers_of_both_kinds_are_served_side_by_side() {
    let mut world = World::new(RelayOptions::default());
    let mut ours = world.tcpcopy(1);
    ours.add(1, 4001, 0);
    world.exchange(&mut ours).unwrap();
    world.relay.handle_connected(PeerId(2), world.now);
    world.relay.handle_bytes(PeerId(2), world.now, &C_VERSION_6).unwrap();
    let mut subscriber = connected_to_c(SubscriberOptions::default());
    take(&mut subscriber);
    add(&mut subscriber, 2, flow(4002));
    world.relay.handle_bytes(PeerId(2), world.now, &take(&mut subscriber)).unwrap();
    for port in [4001, 4002, 4003] {
        world.relay.handle_response(world.now, &response(port, 1));
    }
    world.exchange(&mut ours).unwrap();
    assert_eq!(ours.responses(), [(1, 1)]);
    assert_eq!(take_from(&mut world.relay, 2).len(), 2 + 64);
    assert_eq!(world.relay.peers().map(|peer| peer.is_c).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_slow_c_tcpcopy_loses_counted_responses() {
    let mut relay = relay_with(RelayOptions { peer_buffer_bytes: 4096, ..RelayOptions::default() }, 1);
    let mut subscriber = connected_to_c(SubscriberOptions::default());
    take(&mut subscriber);
    add(&mut subscriber, 1, flow(4001));
    relay.handle_bytes(PeerId(1), NOW, &take(&mut subscriber)).unwrap();
    let outcomes: Vec<_> = (0..100).map(|seq| relay.handle_response(NOW, &response(4001, seq))).collect();
    let delivered = outcomes.iter().filter(|outcome| **outcome == Routed::Delivered).count();
    assert!(delivered < 64 && relay.totals().overflowed as usize == 100 - delivered, "{delivered}");
    assert_eq!(responses(&mut subscriber, &[take_from(&mut relay, 1)]).len(), delivered);
}

#[test]
fn of_its_flows_those_without_responses_make_room() {
    let mut relay = relay_with(RelayOptions { c_flows: 100, ..RelayOptions::default() }, 1);
    let mut subscriber = connected_to_c(SubscriberOptions::default());
    take(&mut subscriber);
    for id in 0..1000 {
        add(&mut subscriber, id, flow(id as u16));
        relay.handle_bytes(PeerId(1), NOW, &take(&mut subscriber)).unwrap();
        // The first one is a connection that lasts.
        assert_eq!(relay.handle_response(NOW, &response(0, 1)), Routed::Delivered);
    }
    assert_eq!(relay.peers().map(|peer| peer.flows).collect::<Vec<_>>(), [100]);
    assert_eq!(relay.handle_response(NOW, &response(1, 1)), Routed::Held);
    assert_eq!(relay.handle_response(NOW, &response(999, 1)), Routed::Delivered);
}

#[test]
fn responses_to_the_address_of_a_container_are_those_to_the_one_behind_it() {
    let [new, original] = [[10, 0, 0, 1], [10, 0, 0, 77]].map(Into::into);
    let translation = Some(Translation { new, original });
    let mut world = World::new(RelayOptions { translation, ..RelayOptions::default() });
    let mut tcpcopy = world.tcpcopy(1);
    let flow = Flow { client: Endpoint::new(original, 4001), ..flow(4001) };
    add(&mut tcpcopy.subscriber, 1, flow);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 1)), Routed::Delivered);
}

#[test]
fn with_dnat_the_servers_address_does_not_matter() {
    let mut world = World::new(RelayOptions { dnat: true, ..RelayOptions::default() });
    let mut tcpcopy = world.tcpcopy(1);
    let server = Endpoint::new([10, 9, 9, 9].into(), 80);
    add(&mut tcpcopy.subscriber, 1, Flow { server, ..flow(4001) });
    // What waits is found as well.
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 1)), Routed::Held);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 2)), Routed::Delivered);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(tcpcopy.responses(), [(1, 1), (1, 2)]);
    tcpcopy.remove(1);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 3)), Routed::Held);
}

fn single() -> RelayOptions {
    RelayOptions { single: true, ..RelayOptions::default() }
}

/// Two connections of one tcpcopy that registers nothing.
fn unregistered(world: &World) -> [crate::pair::Tcpcopy; 2] {
    [1, 2].map(|number| {
        let options = SubscriberOptions { single: true, ..SubscriberOptions::default() };
        let subscriber = Subscriber::with_options(1000, options, world.now);
        crate::pair::Tcpcopy { subscriber, ..crate::pair::Tcpcopy::new(number, world.now) }
    })
}

#[test]
fn a_single_tcpcopy_gets_everything_and_registers_nothing() {
    let mut world = World::new(single());
    let mut both = unregistered(&world);
    both.iter_mut().for_each(|tcpcopy| world.connect(tcpcopy));
    for port in 0..100 {
        both.iter_mut().for_each(|tcpcopy| tcpcopy.add(u64::from(port), port, 0));
        assert_eq!(world.relay.handle_response(world.now, &response(port, port.into())), Routed::Delivered);
    }
    let mut seen = Vec::new();
    for tcpcopy in &mut both {
        assert!(take(&mut tcpcopy.subscriber).is_empty());
        world.exchange(tcpcopy).unwrap();
        let mine = tcpcopy.responses();
        assert!(mine.len() > 20, "both have their share");
        seen.extend(mine);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..100).map(|port| (port, port as u32)).collect::<Vec<_>>());
}

#[test]
fn a_second_tcpcopy_is_refused_until_the_first_is_gone() {
    let mut world = World::new(single());
    let mut both = unregistered(&world);
    both.iter_mut().for_each(|tcpcopy| world.connect(tcpcopy));
    let mut second = crate::pair::Tcpcopy::new(3, world.now);
    world.relay.handle_connected(second.peer, world.now);
    second.subscriber.handle_connected(world.now);
    world.upstream(&mut second);
    world.downstream(&mut second).unwrap();
    let hello = take(&mut second.subscriber);
    assert_eq!(world.relay.handle_bytes(second.peer, world.now, &hello), Err(PeerError::NotSingle));
    let outcome = world.downstream(&mut second);
    assert_eq!(outcome, Err(FeedError::Refused(PeerError::NotSingle.to_string())));

    both.iter_mut().for_each(|tcpcopy| world.disconnect(tcpcopy));
    world.disconnect(&mut second);
    world.connect(&mut second);
    second.add(1, 4001, 0);
    world.exchange(&mut second).unwrap();
    world.relay.handle_response(world.now, &response(4001, 1));
    world.exchange(&mut second).unwrap();
    assert_eq!(second.responses(), [(1, 1)], "one that registers is served as ever");
}

#[test]
fn a_single_c_tcpcopy_is_known_by_connecting_at_once() {
    let mut relay = relay_with(single(), 2);
    let later = NOW + Duration::from_secs(4);
    relay.handle_connected(PeerId(3), later);
    assert_eq!(relay.handle_bytes(PeerId(3), later, &C_VERSION_6), Err(PeerError::NotSingle));
    (0..100).for_each(|port| assert_eq!(relay.handle_response(NOW, &response(port, 1)), Routed::Delivered));
    let lengths = [take_from(&mut relay, 1).len(), take_from(&mut relay, 2).len()];
    assert!(lengths.iter().all(|length| *length > 1000), "{lengths:?}");
    assert!(take_from(&mut relay, 3).is_empty());
}

#[test]
fn a_tcpcopy_that_registers_nothing_is_refused_where_it_must() {
    let mut world = World::new(RelayOptions::default());
    let [mut tcpcopy, _] = unregistered(&world);
    world.relay.handle_connected(tcpcopy.peer, world.now);
    tcpcopy.subscriber.handle_connected(world.now);
    world.upstream(&mut tcpcopy);
    world.downstream(&mut tcpcopy).unwrap();
    let hello = take(&mut tcpcopy.subscriber);
    assert_eq!(world.relay.handle_bytes(tcpcopy.peer, world.now, &hello), Err(PeerError::Unregistered));
}
