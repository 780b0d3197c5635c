//! Where sessions begin, beside a user's SYN: connections joined in their middle, and ports used again.

use tcpcopy_engine::{EngineOptions, Ignored, Verdict};
use tcpcopy_wire::{Flags, SeqNum};

use crate::script::{Play, Sent, User, ms};

#[test]
fn packets_for_nobodys_port_are_ignored() {
    let mut play = Play::new();
    play.user.online.port = 81;
    play.user_syn();
    play.user_says("hello", 0);
    play.expect_nothing();
    assert_eq!(play.ignored(Ignored::NotMapped), 2);
}

#[test]
fn a_connection_under_way_when_the_capture_begins_is_joined_at_its_next_whole_word() {
    let mut play = Play::new();
    play.user.next = SeqNum(5_000);
    let rest_of_a_word = play.user.says([b'x'; 100], 0).without(Flags::PSH);
    play.capture(rest_of_a_word);
    play.user_says("end of it", 0);
    play.expect_nothing();
    play.user_says("question", 500);
    let syn = play.sent().remove(0);
    assert_eq!((syn.line(), syn.headers.seq), ("S 0".into(), SeqNum(5_108)));
    assert_eq!(syn.options().mss, Some(1_460));
    assert!(syn.options().sack_permitted && syn.options().window_scale.is_some());
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 question"]);
    let statistics = play.statistics();
    assert_eq!((statistics.sessions_joined, statistics.bytes_before_first_turn), (1, 109));
}

#[test]
fn a_connection_silent_since_the_capture_began_is_joined_with_its_first_word() {
    let mut play = Play::new();
    play.capture_begins();
    play.advance(1_000);
    play.user.next = SeqNum(5_000);
    let first_part = play.user.says([b'x'; 1_460], 0).without(Flags::PSH);
    play.capture(first_part);
    assert_eq!(play.sent()[0].headers.seq, SeqNum(4_999));
}

#[test]
fn a_joined_connection_goes_on_like_any_other() {
    let mut play = Play::new();
    play.user.next = SeqNum(5_000);
    play.user_says("one", 0);
    play.target_syn_ack();
    play.expect(&["S 0", "P. 1 ack 1 one"]);
    play.user_says("two", 100);
    play.expect_nothing();
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
    play.user_fin(0);
    play.target_fin();
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_connection_without_its_syn_is_left_alone_if_only_whole_ones_are_wanted() {
    let options = EngineOptions { only_whole_sessions: true, ..EngineOptions::default() };
    let mut play = Play::with(options);
    play.user_says("one", 0);
    play.user_says("two", 100);
    play.expect_nothing();
    assert_eq!(play.ignored(Ignored::NotWhole), 2);
}

#[test]
fn acknowledgements_and_ends_of_unknown_connections_begin_nothing() {
    let mut play = Play::new();
    play.user_acks(0);
    play.user_fin(0);
    play.user_rst();
    play.expect_nothing();
    assert_eq!(play.ignored(Ignored::NoSession), 3);
    assert_eq!(play.statistics().sessions_opened, 0);
}

#[test]
fn what_a_user_repeats_after_the_end_of_a_session_begins_no_other() {
    let mut play = Play::opened();
    let last = play.user.says("bye", 0);
    play.capture(last.clone());
    play.user_fin(0);
    play.target_fin();
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
    play.sent();
    play.capture(last);
    play.advance(2_000);
    play.expect_nothing();
    assert_eq!(play.statistics().sessions_opened, 1);
}

#[test]
fn first_words_after_the_session_was_given_up_begin_another() {
    // A browser that connects ahead of need: its first words of all are a turn, whatever it has heard.
    let idle = EngineOptions { idle_timeout: ms(30_000), ..EngineOptions::default() };
    for (options, answers, verdict) in
        [(idle, true, Verdict::Idle), (EngineOptions::default(), false, Verdict::TargetUnreachable)]
    {
        let mut play = Play::with(options);
        play.user_syn();
        play.user_acks(0);
        if answers {
            play.target_syn_ack();
        }
        play.advance(40_000);
        play.expect_end(verdict);
        play.sent();
        play.user_says("ask", 0);
        play.target_syn_ack();
        play.expect(&["S 0", "P. 1 ack 1 ask"]);
    }
}

#[test]
fn a_port_used_again_is_another_connection() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_says(100);
    play.advance(10);
    let first = play.session();
    play.sent();
    // The user's close was not captured.
    play.user = User { isn: SeqNum(77_000), ..User::at("10.1.0.1:4000") };
    play.user_syn();
    let sent = play.sent();
    let lines: Vec<String> = sent.iter().map(Sent::line).collect();
    assert_eq!(lines, ["F. 4 ack 101", "S 0"]);
    assert_eq!((sent[0].session, sent[1].headers.seq), (first, SeqNum(77_000)));
    assert_ne!(sent[0].flow, sent[1].flow, "two live sessions never share a source end");
    play.user_says("two", 0);
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 two"]);
    play.turn_to(first);
    play.target_fin();
    play.advance(2_000);
    assert_eq!(play.ended(Verdict::Complete), 1);
}

#[test]
fn a_port_used_again_after_an_orderly_end_keeps_its_number() {
    let mut play = Play::opened();
    play.user_fin(0);
    play.target_fin();
    play.sent();
    play.advance(100);
    play.user = User { isn: SeqNum(77_000), ..User::at("10.1.0.1:4000") };
    play.user_syn();
    let syn = play.sent().remove(0);
    assert_eq!((syn.line(), syn.flow.client), ("S 0".into(), play.user.end));
    assert_eq!(play.ended(Verdict::Complete), 1);
}

#[test]
fn a_port_used_again_quickly_loses_nothing_of_either_connection() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("one", 0);
    let first = play.session();
    play.user = User { isn: SeqNum(77_000), ..User::at("10.1.0.1:4000") };
    play.user_syn();
    play.user_says("two", 0);
    let second = play.session();
    assert_ne!(first, second);
    play.sent();
    for (session, word) in [(first, "FP. 1 ack 1 one"), (second, "P. 1 ack 1 two")] {
        play.turn_to(session);
        play.target_syn_ack();
        play.expect(&[word]);
    }
}
