//! Refusals, slow peers and goodbyes: each told to whom it concerns, nobody else disturbed.

use std::time::Duration;

use tcpcopy_feed::{
    FeedError, PeerError, PeerId, Relay, RelayEvent, RelayOptions, Routed, Subscriber, SubscriberState,
    VERSION,
};
use tcpcopy_wire::Instant;

use crate::pair::{Seen, World, response, response_with};

const HELLO_OF_VERSION_3: [u8; 14] = [1, 0, 0, 10, b'T', b'C', b'P', b'C', b'F', b'E', b'E', b'D', 0, 3];

fn relay() -> (Relay, Instant) {
    let now = Instant::from_micros(1_000_000);
    let mut relay = Relay::new(RelayOptions::default(), now);
    relay.handle_connected(PeerId(1), now);
    (relay, now)
}

/// What a tcpcopy of ours makes of what intercept has to say to that peer.
fn told(relay: &mut Relay, peer: PeerId, now: Instant) -> Result<(), FeedError> {
    let mut subscriber = Subscriber::new(5, now);
    subscriber.handle_connected(now);
    subscriber.handle_bytes(now, relay.poll_transmit(peer), |event| panic!("{event:?}"))
}

#[test]
fn another_version_is_refused_with_a_sentence_at_both_ends() {
    let (mut relay, now) = relay();
    let error = relay.handle_bytes(PeerId(1), now, &HELLO_OF_VERSION_3).unwrap_err();
    assert_eq!(error, PeerError::Version(3));
    let Err(FeedError::Refused(reason)) = told(&mut relay, PeerId(1), now) else { panic!("not refused") };
    assert_eq!(reason, error.to_string());
    assert!(reason.contains("version 3") && reason.contains("install the same release"), "{reason}");

    let mut subscriber = Subscriber::new(5, now);
    subscriber.handle_connected(now);
    let sent = subscriber.poll_transmit().len();
    subscriber.consume(sent);
    let error = subscriber.handle_bytes(now, &HELLO_OF_VERSION_3, |event| panic!("{event:?}")).unwrap_err();
    assert_eq!(error, FeedError::Version(3));
    assert_eq!(subscriber.state(), SubscriberState::Failed);
    // The intercept is told, in a frame that its version can read too.
    let refusal = subscriber.poll_transmit();
    assert_eq!(refusal.first(), Some(&2));
    assert_eq!(refusal[4..14], [b'T', b'C', b'P', b'C', b'F', b'E', b'E', b'D', 0, VERSION as u8]);
    let reason = String::from_utf8_lossy(&refusal[14..]);
    assert!(reason.contains("tcpcopy speaks feed version 2, intercept version 3"), "{reason}");
}

#[test]
fn a_c_tcpcopy_of_another_version_is_refused_and_not_told_so() {
    let (mut relay, now) = relay();
    let error = relay.handle_bytes(PeerId(1), now, &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0]).unwrap_err();
    assert_eq!(error, PeerError::CTcpcopy(5));
    assert!(error.to_string().starts_with("this is a C tcpcopy of protocol 5"), "{error}");
    assert!(relay.poll_transmit(PeerId(1)).is_empty(), "it could not read it");
}

#[test]
fn strangers_are_refused_and_not_heard_again() {
    let (mut relay, now) = relay();
    assert_eq!(relay.handle_bytes(PeerId(1), now, b"GET / HTTP/1.1\r\n"), Err(PeerError::NotAFeed));
    assert_eq!(relay.handle_bytes(PeerId(1), now, b"GET / HTTP/1.1\r\n"), Ok(()));
    assert_eq!(relay.poll_writable(), Some(PeerId(1)));

    let mut subscriber = Subscriber::new(5, now);
    subscriber.handle_connected(now);
    let outcome = subscriber.handle_bytes(now, b"HTTP/1.1 400", |event| panic!("{event:?}"));
    assert_eq!(outcome, Err(FeedError::NotAFeed));
}

#[test]
fn two_of_the_same_program_refuse_each_other() {
    let (mut relay, now) = relay();
    let mut subscriber = Subscriber::new(5, now);
    subscriber.handle_connected(now);
    // A connection to a local port of the ephemeral range can meet itself.
    let own = subscriber.poll_transmit().to_vec();
    assert_eq!(
        subscriber.handle_bytes(now, &own, |event| panic!("{event:?}")),
        Err(FeedError::NotAnIntercept)
    );

    relay.handle_bytes(PeerId(1), now, &own).unwrap();
    let intercepts = relay.poll_transmit(PeerId(1)).to_vec();
    let (mut other, now) = self::relay();
    assert_eq!(other.handle_bytes(PeerId(1), now, &intercepts), Err(PeerError::NotATcpcopy));
}

#[test]
fn a_connection_without_hello_is_closed_and_one_more_than_served_is_refused() {
    let now = Instant::from_micros(1_000_000);
    let mut relay = Relay::new(RelayOptions { max_peers: 1, ..RelayOptions::default() }, now);
    relay.handle_connected(PeerId(1), now);
    relay.handle_connected(PeerId(2), now);
    let Some(RelayEvent::Close { peer: PeerId(2), error: PeerError::TooManyPeers(1) }) = relay.poll_event()
    else {
        panic!("not refused");
    };
    assert!(matches!(told(&mut relay, PeerId(2), now), Err(FeedError::Refused(_))));
    relay.handle_disconnected(PeerId(2));

    let mut at = now;
    while relay.poll_event().is_none() {
        at = relay.poll_timeout().expect("a time-out for the hello");
        relay.handle_timeout(at);
    }
    assert!(at.since(now) >= Duration::from_secs(10) && at.since(now) <= Duration::from_secs(11));
    let Err(FeedError::Refused(reason)) = told(&mut relay, PeerId(1), at) else { panic!("not refused") };
    assert_eq!(reason, PeerError::NoHello(10).to_string());
}

#[test]
fn a_silent_tcpcopy_is_closed_and_another_lives_on() {
    let mut world = World::new(RelayOptions::default());
    let silent = world.tcpcopy(1);
    let mut lively = world.tcpcopy(2);
    while world.relay.poll_event().is_some() {}
    let closed = loop {
        world.now = world.relay.poll_timeout().expect("heartbeats");
        world.relay.handle_timeout(world.now);
        lively.subscriber.handle_timeout(world.now).unwrap();
        world.exchange(&mut lively).unwrap();
        if let Some(event) = world.relay.poll_event() {
            break event;
        }
    };
    assert_eq!(closed, RelayEvent::Close { peer: silent.peer, error: PeerError::Silent(30) });
    assert_eq!(lively.subscriber.state(), SubscriberState::Connected);
}

#[test]
fn a_slow_peer_loses_counted_responses_and_stalls_nobody() {
    let limit = 64 * 1024;
    let mut world = World::new(RelayOptions { peer_buffer_bytes: limit, ..RelayOptions::default() });
    let mut slow = world.tcpcopy(1);
    let mut quick = world.tcpcopy(2);
    slow.add(1, 4001, 1000);
    quick.add(1, 4002, 1000);
    world.exchange(&mut slow).unwrap();
    world.exchange(&mut quick).unwrap();
    let payload = [7; 1448];
    let mut overflowed = 0;
    for seq in 0..1000 {
        match world.relay.handle_response(world.now, &response_with(4001, seq, &payload)) {
            Routed::Overflowed => overflowed += 1,
            outcome => assert_eq!((outcome, overflowed), (Routed::Delivered, 0)),
        }
        assert_eq!(
            world.relay.handle_response(world.now, &response_with(4002, seq, &payload)),
            Routed::Delivered
        );
        world.exchange(&mut quick).unwrap();
        assert!(world.relay.peers().all(|peer| peer.pending <= limit));
    }
    assert_eq!(quick.responses().len(), 1000);
    world.pass(Duration::from_secs(1));
    world.relay.handle_timeout(world.now);
    world.exchange(&mut slow).unwrap();
    world.exchange(&mut quick).unwrap();

    let told = |seen: &[Seen]| {
        seen.iter().rev().find_map(|seen| match seen {
            Seen::Statistics(statistics) => Some(statistics.overflowed),
            _ => None,
        })
    };
    assert_eq!(told(&slow.seen), Some(overflowed), "told once there is room");
    assert_eq!(told(&quick.seen), None);
    let arrived = slow.responses();
    assert_eq!(arrived.len() as u64 + overflowed, 1000);
    assert_eq!(arrived, (0..arrived.len() as u32).map(|seq| (1, seq)).collect::<Vec<_>>());
    assert_eq!(world.relay.totals().overflowed, overflowed);
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 1)), Routed::Delivered);
}

#[test]
fn what_tcpcopy_cannot_read_it_refuses_and_intercept_learns_why() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = world.tcpcopy(1);
    tcpcopy.add(1, 4001, 0);
    world.exchange(&mut tcpcopy).unwrap();
    // A frame of registrations is not for tcpcopy.
    let outcome = tcpcopy.subscriber.handle_bytes(world.now, &[3, 0, 0, 0], |event| panic!("{event:?}"));
    let Err(error @ FeedError::Malformed(_)) = outcome else { panic!("{outcome:?}") };
    let refusal = tcpcopy.subscriber.poll_transmit().to_vec();
    let heard = world.relay.handle_bytes(tcpcopy.peer, world.now, &refusal);
    assert_eq!(heard, Err(PeerError::Refused(error.to_string())));
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 1)), Routed::Held, "it may come back");
}

#[test]
fn a_goodbye_is_heard_at_the_other_end() {
    let mut world = World::new(RelayOptions::default());
    let mut one = world.tcpcopy(1);
    let mut two = world.tcpcopy(2);
    while world.relay.poll_event().is_some() {}
    one.add(1, 4001, 0);
    world.exchange(&mut one).unwrap();
    one.subscriber.handle_shutdown();
    world.exchange(&mut one).unwrap();
    assert_eq!(world.relay.poll_event(), Some(RelayEvent::Goodbye { peer: one.peer }));
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 1)), Routed::Held);
    world.relay.handle_shutdown();
    world.exchange(&mut two).unwrap();
    assert_eq!(two.seen.last(), Some(&Seen::Goodbye));
}
