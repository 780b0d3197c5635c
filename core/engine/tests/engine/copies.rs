//! `-n`: every connection in several sessions at once, each with a source end and an end of its own.

use std::collections::HashSet;

use tcpcopy_engine::{EngineOptions, Registration, SessionId, Share, SourcePool, Verdict};
use tcpcopy_wire::Endpoint;

use crate::script::{Play, Sent, User, end};

fn play(copies: u16) -> Play {
    Play::with(EngineOptions { copies, ..EngineOptions::default() })
}

/// Where the sessions so far speak from, in order.
fn sources(play: &Play) -> Vec<Endpoint> {
    let added = |made: &Registration| match made {
        Registration::Add { flow, .. } => Some(flow.client),
        _ => None,
    };
    play.registrations.iter().filter_map(added).collect()
}

/// A play in which one user is connected `copies` times, and the sessions.
fn connected(copies: u16) -> (Play, Vec<SessionId>) {
    let mut play = play(copies);
    play.user_syn();
    let sessions = play.connected();
    assert_eq!(sessions.len(), usize::from(copies));
    for session in &sessions {
        play.turn_to(*session);
        play.target_syn_ack();
    }
    play.sent();
    (play, sessions)
}

#[test]
fn the_first_copy_speaks_from_the_users_own_end_and_the_others_from_ends_of_their_own() {
    let mut play = play(5);
    play.user_syn();
    let sources = sources(&play);
    assert_eq!(sources[0], end("10.1.0.1:4000"));
    assert!(sources.iter().all(|source| source.addr == sources[0].addr));
    assert_eq!(sources.iter().collect::<HashSet<_>>().len(), 5);
    assert_eq!(play.sent().iter().map(Sent::line).collect::<Vec<_>>(), ["S 0"; 5]);
}

#[test]
fn each_copy_hears_the_user_and_waits_for_its_own_answer() {
    let (mut play, sessions) = connected(3);
    play.user_says("ask", 0);
    play.expect(&["P. 1 ack 1 ask"; 3]);
    play.user_says("more", 100);
    play.expect_nothing();
    play.turn_to(sessions[1]);
    play.target_says(100);
    let sent = play.sent();
    assert_eq!(sent.iter().map(Sent::line).collect::<Vec<_>>(), ["P. 4 ack 101 more"]);
    assert_eq!(sent[0].flow.client, sources(&play)[1]);
    assert_eq!((play.statistics().turns_captured, play.engine.pending().turns), (6, 5));
}

#[test]
fn a_copy_that_the_target_resets_connects_again_and_the_others_go_on() {
    let (mut play, sessions) = connected(2);
    play.turn_to(sessions[0]);
    play.target_rst();
    play.user_says("ask", 0);
    play.turn_to(sessions[1]);
    play.target_says(10);
    play.advance(3_000);
    let sent = play.sent();
    let of = |copy: usize| {
        let its = sent.iter().filter(|sent| sent.flow.client == sources(&play)[copy]);
        its.map(Sent::line).collect::<Vec<_>>()
    };
    assert_eq!((of(0)[0].as_str(), of(1)[0].as_str()), ("S 0", "P. 1 ack 1 ask"));
    assert_eq!(play.statistics().turns_lost(), 0);
}

#[test]
fn every_copy_joins_a_connection_in_its_middle() {
    let mut play = play(3);
    play.capture_begins();
    play.advance(2_000);
    play.user_says("ask", 100);
    assert_eq!(play.statistics().sessions_joined, 3);
}

#[test]
fn a_connection_on_the_same_port_ends_every_copy_of_the_one_before() {
    let (mut play, _) = connected(3);
    play.user = User { isn: play.user.isn + 1_000_000, ..User::at("10.1.0.1:4000") };
    play.user_syn();
    assert_eq!(play.statistics().sessions_opened, 6);
    assert_eq!(sources(&play).iter().collect::<HashSet<_>>().len(), 6);
}

#[test]
fn the_end_of_the_capture_ends_every_copy() {
    let (mut play, sessions) = connected(3);
    play.engine.handle_capture_end(play.now);
    play.settle();
    for session in sessions {
        play.turn_to(session);
        play.target_fin();
    }
    play.advance(5_000);
    play.expect_end(Verdict::CaptureEnded);
}

#[test]
fn copies_that_find_no_source_end_are_counted_and_the_real_number_is_told() {
    let addr = "10.20.0.7".parse().unwrap();
    let mut play = Play::with(EngineOptions {
        copies: 10,
        sources: Some(SourcePool::new(vec![(addr, addr)])),
        // 15 ports.
        ports: Share::new(0, 4_300).unwrap(),
        ..EngineOptions::default()
    });
    for port in [4_000, 4_001] {
        play.user = User::at(&format!("10.1.0.1:{port}"));
        play.user_syn();
        play.user_rst();
    }
    let statistics = play.statistics();
    assert_eq!((statistics.sessions_opened, statistics.sessions_without_source), (20, 5));
    assert_eq!(play.ended(Verdict::SourcesExhausted), 5);
    assert_eq!(statistics.copies_reached(10), 7.5);
}

#[test]
fn the_memory_budget_is_one_for_all_copies() {
    let mut play =
        Play::with(EngineOptions { copies: 10, memory_budget: 400_000, ..EngineOptions::default() });
    play.user_syn();
    for _ in 0..100 {
        play.user_says([7; 1_000], 0);
    }
    assert!(play.engine.pending().memory <= 400_000);
    assert!(play.ended(Verdict::MemoryBudget) > 0);
}
