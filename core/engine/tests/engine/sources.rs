//! The ends copied clients speak from: `-c`, `-H`, and never one pair for two live sessions.

use std::collections::HashSet;

use tcpcopy_engine::{EngineOptions, SourcePool, Verdict};
use tcpcopy_wire::Endpoint;

use crate::script::{ONLINE, Play, TARGET, User, end, mapping};

fn pool(first: &str, last: &str) -> EngineOptions {
    let range = (first.parse().expect("an address"), last.parse().expect("an address"));
    EngineOptions { sources: Some(SourcePool::new(vec![range])), ..EngineOptions::default() }
}

/// The source end from which `user` is copied.
#[track_caller]
fn source_of(play: &mut Play, user: &str) -> Endpoint {
    play.user = User::at(user);
    source_of_present(play)
}

/// The source end from which the present user is copied.
#[track_caller]
fn source_of_present(play: &mut Play) -> Endpoint {
    play.user_syn();
    let sent = play.sent();
    assert_eq!(sent.len(), 1, "one SYN");
    sent[0].flow.client
}

#[test]
fn a_user_is_copied_from_an_address_of_the_pool_with_the_same_port() {
    let mut play = Play::with(pool("10.20.0.7", "10.20.0.7"));
    assert_eq!(source_of(&mut play, "10.1.0.1:4000"), end("10.20.0.7:4000"));
}

#[test]
fn users_of_one_port_share_an_address_without_sharing_an_end() {
    let mut play = Play::with(pool("10.20.0.7", "10.20.0.7"));
    let ends: HashSet<Endpoint> =
        (0..200).map(|host| source_of(&mut play, &format!("10.1.0.{host}:4000"))).collect();
    assert_eq!(ends.len(), 200);
    assert!(ends.iter().all(|end| end.addr.to_string() == "10.20.0.7"));
}

#[test]
fn a_user_keeps_one_address_of_the_pool() {
    let mut play = Play::with(pool("10.20.0.1", "10.20.0.254"));
    let first = source_of(&mut play, "10.1.0.1:4000");
    let second = source_of(&mut play, "10.1.0.1:4001");
    assert_eq!((first.addr, second.port), (second.addr, 4001));
}

#[test]
fn many_users_spread_over_the_pool() {
    let mut play = Play::with(pool("10.20.0.1", "10.20.0.254"));
    let addresses: HashSet<_> =
        (0..250).map(|host| source_of(&mut play, &format!("10.1.0.{host}:4000")).addr).collect();
    assert!(addresses.len() > 100, "{} addresses of 254", addresses.len());
}

#[test]
fn an_end_is_free_again_when_its_session_is_over() {
    let mut play = Play::with(pool("10.20.0.7", "10.20.0.7"));
    for host in 0..5 {
        assert_eq!(source_of(&mut play, &format!("10.1.0.{host}:4000")), end("10.20.0.7:4000"));
        play.target_syn_ack();
        play.user_fin(0);
        play.target_fin();
        play.advance(2_000);
        play.sent();
    }
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_user_of_two_services_of_one_target_has_two_ends() {
    let online = ["10.0.1.2:80", "10.0.1.3:80"];
    let mappings = online.map(|online| mapping(online, TARGET)).to_vec();
    let mut play = Play::mapped(EngineOptions::default(), mappings);
    let ends = online.map(|online| {
        play.user = User { online: end(online), ..User::at("10.1.0.1:4000") };
        play.user_syn();
        play.sent()[0].flow.client
    });
    assert_eq!(ends[0], end("10.1.0.1:4000"));
    assert_ne!(ends[0], ends[1]);
}

#[test]
fn one_end_serves_two_targets() {
    let pairs = [(ONLINE, TARGET), ("10.0.1.2:81", "10.0.3.2:8081")];
    let mappings = pairs.map(|(online, target)| mapping(online, target)).to_vec();
    let mut play = Play::mapped(EngineOptions::default(), mappings);
    for (online, target) in pairs {
        play.user = User { online: end(online), ..User::at("10.1.0.1:4000") };
        play.user_syn();
        let flow = play.sent()[0].flow;
        assert_eq!((flow.client, flow.server), (play.user.end, end(target)));
    }
}

#[test]
fn a_local_user_speaks_from_the_stand_in() {
    let stand_in = "10.0.0.9".parse().expect("an address");
    let options = EngineOptions { loopback_source: Some(stand_in), ..EngineOptions::default() };
    let mut play = Play::with(options);
    assert_eq!(source_of(&mut play, "127.0.0.1:4000"), end("10.0.0.9:4000"));
    assert_eq!(source_of(&mut play, "10.1.0.1:4000"), end("10.1.0.1:4000"));
}

#[test]
fn a_local_user_without_a_stand_in_is_refused_with_a_reason() {
    let mut play = Play::new();
    play.user = User::at("127.0.0.1:4000");
    play.user_syn();
    play.user_says("ask", 0);
    play.user_says("again", 100);
    play.user_fin(0);
    play.expect_nothing();
    assert!(play.registrations.is_empty());
    play.expect_end(Verdict::NoSourceAddress);
    let statistics = play.statistics();
    assert_eq!((statistics.sessions_opened, statistics.sessions_joined), (1, 0));
    assert_eq!((statistics.turns_captured, statistics.turns_lost()), (2, 2));
    assert_eq!((statistics.bytes_captured, statistics.bytes_lost()), (8, 8));
}

#[test]
fn a_user_of_another_family_than_the_target_is_refused_with_a_reason() {
    let mut play = Play::mapped(EngineOptions::default(), vec![mapping(ONLINE, "[fd00::2]:8080")]);
    play.user_syn();
    play.user_rst();
    play.expect_nothing();
    play.expect_end(Verdict::NoSourceAddress);
}

#[test]
fn a_pool_of_the_targets_family_bridges_the_families() {
    let mut play = Play::mapped(pool("fd20::1", "fd20::1"), vec![mapping(ONLINE, "[fd00::2]:8080")]);
    play.user_syn();
    let syn = &play.sent()[0];
    assert_eq!(syn.flow.client, end("[fd20::1]:4000"));
    assert_eq!(syn.headers.options.mss, Some(1_440), "20 bytes less than the user's");
    let mut back = Play::mapped(pool("10.20.0.7", "10.20.0.7"), vec![mapping("[fd00::1]:80", TARGET)]);
    back.user = User { online: end("[fd00::1]:80"), ..User::at("[fd01::1]:4000") };
    assert_eq!(source_of_present(&mut back), end("10.20.0.7:4000"));
}

#[test]
fn a_full_pool_says_so() {
    let mut play = Play::with(pool("10.20.0.7", "10.20.0.7"));
    for session in 0..64_512_u32 {
        let [a, b] = u16::try_from(session).expect("less than 65536").to_be_bytes();
        let syn = User::at(&format!("10.1.{a}.{b}:{}", 1_024 + session)).syn();
        play.engine.handle_capture(play.now, play.now, &syn.segment());
    }
    assert_eq!(play.engine.pending().sessions, 64_512);
    play.user = User::at("10.2.0.1:4000");
    play.user_syn();
    play.user_says("ask", 0);
    play.user_rst();
    assert_eq!(play.ended(Verdict::SourcesExhausted), 1);
    assert_eq!((play.statistics().turns_lost(), play.statistics().bytes_lost()), (1, 3));
    assert_eq!(play.engine.pending().sessions, 64_512);
}
