//! Either side goes away and comes back.

use std::time::Duration;

use tcpcopy_feed::{
    FlowId, Registration, Relay, RelayOptions, Routed, Subscriber, SubscriberOptions, SubscriberState,
};

use crate::pair::{Seen, Tcpcopy, World, flow, response};

fn restart(world: &mut World, tcpcopy: &mut Tcpcopy, identity: u64) {
    tcpcopy.subscriber.handle_disconnected(world.now);
    world.relay = Relay::new(RelayOptions { identity, ..RelayOptions::default() }, world.now);
}

#[test]
fn after_an_intercept_restart_all_live_flows_are_registered_again() {
    let mut world = World::new(RelayOptions { identity: 1, ..RelayOptions::default() });
    let mut tcpcopy = world.tcpcopy(1);
    for id in 1..=5000 {
        tcpcopy.add(id, id as u16, 0);
    }
    world.exchange(&mut tcpcopy).unwrap();
    for id in 1..=1000 {
        tcpcopy.remove(id);
    }
    restart(&mut world, &mut tcpcopy, 2);
    // While there is no connection sessions begin, end and change their mind.
    tcpcopy.add(6000, 6000, 0);
    tcpcopy.add(6001, 6001, 0);
    tcpcopy.remove(6001);
    tcpcopy.remove(5000);
    assert_eq!(tcpcopy.subscriber.flows(), 4000);
    // The target answers before intercept knows whose flow that is.
    assert_eq!(world.relay.handle_response(world.now, &response(2000, 99)), Routed::Held);

    tcpcopy.seen.clear();
    world.connect(&mut tcpcopy);
    let Some(Seen::Connected { identity: 2, restarted: true, .. }) = tcpcopy.seen.first() else {
        panic!("{:?}", tcpcopy.seen.first());
    };
    assert_eq!(tcpcopy.responses(), [(2000, 99)]);
    assert_eq!(world.relay.peers().map(|peer| peer.flows).collect::<Vec<_>>(), [4000]);
    for port in [1001, 4999, 6000] {
        assert_eq!(
            world.relay.handle_response(world.now, &response(port, 1)),
            Routed::Delivered,
            "port {port}"
        );
    }
    for port in [1, 1000, 5000, 6001] {
        assert_eq!(world.relay.handle_response(world.now, &response(port, 1)), Routed::Held, "port {port}");
    }
}

#[test]
fn the_same_intercept_again_is_no_restart() {
    let mut world = World::new(RelayOptions { identity: 1, ..RelayOptions::default() });
    let mut tcpcopy = world.tcpcopy(1);
    world.disconnect(&mut tcpcopy);
    tcpcopy.seen.clear();
    world.connect(&mut tcpcopy);
    assert!(matches!(tcpcopy.seen.first(), Some(Seen::Connected { restarted: false, .. })));
}

#[test]
fn of_two_sessions_with_one_flow_the_later_wins_again_after_a_reconnect() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = world.tcpcopy(1);
    tcpcopy.add(9, 4001, 0);
    tcpcopy.add(2, 4001, 0);
    world.exchange(&mut tcpcopy).unwrap();
    world.disconnect(&mut tcpcopy);
    world.connect(&mut tcpcopy);
    world.relay.handle_response(world.now, &response(4001, 5));
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(tcpcopy.responses(), [(2, 5)]);
}

#[test]
fn while_tcpcopy_is_gone_its_responses_wait_for_it() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = world.tcpcopy(1);
    tcpcopy.add(1, 4001, 0);
    world.exchange(&mut tcpcopy).unwrap();
    world.disconnect(&mut tcpcopy);
    assert_eq!(world.relay.handle_response(world.now, &response(4001, 5)), Routed::Held);
    world.pass(Duration::from_secs(2));
    world.connect(&mut tcpcopy);
    assert_eq!(tcpcopy.responses(), [(1, 5)]);
}

#[test]
fn a_stopped_intercept_is_waited_for_and_a_dead_one_is_not() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = world.tcpcopy(1);
    let connected = world.now;
    while let Some(at) = tcpcopy.subscriber.poll_timeout() {
        world.now = at;
        let outcome = tcpcopy.subscriber.handle_timeout(at);
        let silent = at.since(connected);
        if silent < Duration::from_secs(10) {
            assert_eq!(outcome, Ok(()), "after {silent:?}");
        } else if outcome.is_err() {
            break;
        }
    }
    let silent = world.now.since(connected);
    assert!(silent >= Duration::from_secs(10) && silent <= Duration::from_secs(12), "{silent:?}");
    assert_eq!(tcpcopy.subscriber.state(), SubscriberState::Failed);
    assert_eq!(tcpcopy.subscriber.since(), world.now);
}

#[test]
fn heartbeats_alone_keep_a_quiet_connection_alive() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = world.tcpcopy(1);
    let until = world.now + Duration::from_secs(120);
    while world.now < until {
        let due = [tcpcopy.subscriber.poll_timeout(), world.relay.poll_timeout()];
        world.now = due.into_iter().flatten().min().expect("heartbeats");
        tcpcopy.subscriber.handle_timeout(world.now).expect("a live intercept");
        world.relay.handle_timeout(world.now);
        world.exchange(&mut tcpcopy).unwrap();
    }
    assert_eq!(tcpcopy.subscriber.state(), SubscriberState::Connected);
    while let Some(event) = world.relay.poll_event() {
        assert!(matches!(event, tcpcopy_feed::RelayEvent::Connected { .. }), "{event:?}");
    }
}

#[test]
fn a_process_that_was_itself_stopped_does_not_blame_the_other() {
    let mut world = World::new(RelayOptions::default());
    let mut tcpcopy = world.tcpcopy(1);
    world.pass(Duration::from_secs(3600));
    assert_eq!(tcpcopy.subscriber.handle_timeout(world.now), Ok(()));
    world.relay.handle_timeout(world.now);
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(tcpcopy.subscriber.state(), SubscriberState::Connected);
}

#[test]
fn a_slow_intercept_costs_no_memory_and_learns_the_latest_state_only() {
    let mut world = World::new(RelayOptions::default());
    let options = SubscriberOptions { buffer_bytes: 4096, ..SubscriberOptions::default() };
    let subscriber = Subscriber::with_options(1, options, world.now);
    let mut tcpcopy = Tcpcopy { subscriber, ..Tcpcopy::new(1, world.now) };
    world.connect(&mut tcpcopy);
    // Nothing is taken from it while a hundred thousand sessions come and go.
    for id in 1..=100_000_u64 {
        tcpcopy.add(id, (id % 50_000) as u16, 0);
        tcpcopy.subscriber.poll_transmit();
        if id > 10 {
            tcpcopy.remove(id - 10);
        }
        tcpcopy.subscriber.poll_transmit();
        assert!(tcpcopy.subscriber.pending() <= 4096);
    }
    assert_eq!(tcpcopy.subscriber.flows(), 10);
    tcpcopy.subscriber.register(Registration::Depth { id: FlowId(99_995), depth: 7 });
    world.exchange(&mut tcpcopy).unwrap();
    assert_eq!(world.relay.peers().map(|peer| peer.flows).collect::<Vec<_>>(), [10]);
    for id in 99_991..=100_000_u64 {
        let outcome = world.relay.handle_response(world.now, &response((id % 50_000) as u16, 1));
        assert_eq!(outcome, Routed::Delivered, "{}", flow((id % 50_000) as u16));
    }
}
