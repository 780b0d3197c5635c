//! The target closes, resets or refuses while the user still speaks: where the session goes on.

use tcpcopy_engine::{Awaited, EngineOptions, Verdict};
use tcpcopy_wire::Flags;

use crate::script::Play;

#[test]
fn a_target_that_closes_after_its_answer_gets_the_next_question_on_a_new_connection() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_says(100);
    play.target_fin();
    play.sent();
    play.user_says("two", 100);
    let sent = play.sent();
    let lines: Vec<String> = sent.iter().map(|sent| sent.line()).collect();
    assert_eq!(lines, ["R. 4 ack 102", "S 0"]);
    let (old, new) = (sent[0].headers.seq, sent[1].headers.seq);
    assert!(new > old + 100_000, "old segments are not mistaken for new ones");
    assert_eq!(sent[0].flow, sent[1].flow);
    assert_eq!(sent[1].options(), play.user.syn_options);
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 two"]);
    assert_eq!((play.statistics().reconnects, play.statistics().turns_repeated), (1, 0));
}

#[test]
fn ten_questions_reach_a_target_that_closes_after_each_answer() {
    let mut play = Play::opened();
    for question in 0..10 {
        let words = format!("question {question}");
        play.user_says(&words, if question == 0 { 0 } else { 100 });
        if question > 0 {
            play.target_syn_ack();
        }
        assert_eq!(play.sent().last().map(|sent| sent.payload.clone()), Some(words.into_bytes()));
        play.target_says(100);
        play.target_fin();
    }
    play.user_fin(100);
    play.target_acks();
    play.expect_end(Verdict::Complete);
    assert_eq!(play.statistics().turns_lost(), 0);
}

#[test]
fn an_unanswered_question_is_asked_again_after_a_reset() {
    let mut play = Play::unanswered();
    play.target_rst();
    play.target_syn_ack();
    let lines: Vec<String> = play.sent().iter().map(|sent| sent.line()).collect();
    assert_eq!(lines.last().map(String::as_str), Some("P. 1 ack 1 ask"));
    let statistics = play.statistics();
    assert_eq!((statistics.turns_repeated, statistics.bytes_repeated), (1, 3));
    assert_eq!(statistics.turns_lost(), 0);
}

#[test]
fn an_unanswered_question_is_asked_again_when_the_target_closed_and_the_user_goes_on() {
    let mut play = Play::unanswered();
    play.target_fin();
    play.sent();
    play.user_says("two", 100);
    play.target_syn_ack();
    play.expect(&["R. 4 ack 2", "S 0", "P. 1 ack 1 ask"]);
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn an_unanswered_question_is_asked_again_when_the_target_closed_and_the_user_leaves_answered() {
    let mut play = Play::unanswered();
    play.target_fin();
    play.sent();
    play.user_fin(100);
    play.target_syn_ack();
    play.expect(&["R. 4 ack 2", "S 0", "P. 1 ack 1 ask"]);
    play.target_says(100);
    play.expect(&["F. 4 ack 101"]);
}

#[test]
fn a_question_that_makes_the_target_reset_is_given_up_after_the_third_time() {
    let mut play = Play::unanswered();
    play.user_says("next", 100);
    for _ in 0..2 {
        play.target_rst();
        play.target_syn_ack();
        assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 ask".into()));
    }
    play.target_rst();
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 next".into()));
    assert_eq!((play.statistics().turns_repeated, play.statistics().turns_lost_to_resets), (2, 1));
    play.target_says(100);
    play.user_fin(100);
    play.target_fin();
    play.advance(2_000);
    play.expect_end(Verdict::TargetReset);
}

#[test]
fn a_session_whose_last_question_is_given_up_says_so() {
    let mut play = Play::unanswered();
    play.user_fin(100);
    for _ in 0..2 {
        play.target_rst();
        play.target_syn_ack();
    }
    play.target_rst();
    play.expect_end(Verdict::TargetReset);
    assert_eq!(play.statistics().turns_lost(), 1);
}

#[test]
fn an_answer_makes_the_next_question_be_asked_as_often_again() {
    let mut play = Play::unanswered();
    for _ in 0..2 {
        play.target_rst();
        play.target_syn_ack();
    }
    play.target_says(100);
    play.user_says("next", 100);
    for _ in 0..2 {
        play.target_rst();
        play.target_syn_ack();
        assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 next".into()));
    }
    assert_eq!(play.statistics().turns_lost(), 0);
}

#[test]
fn an_upload_reset_in_its_middle_is_begun_anew() {
    let mut play = Play::opened();
    play.target_acks();
    play.user_says([b'a'; 1_460], 0);
    play.user_says([b'b'; 1_460], 0);
    play.user_says([b'c'; 1_460], 0);
    play.target_acks_to(1 + 2_920);
    play.sent();
    play.target_rst();
    play.target_syn_ack();
    let said: Vec<u8> = play.sent().iter().flat_map(|sent| sent.payload.clone()).collect();
    assert_eq!(said, [[b'a'; 1_460], [b'b'; 1_460], [b'c'; 1_460]].concat());
    assert_eq!(play.statistics().bytes_repeated, 2_920);
}

#[test]
fn an_upload_too_long_to_be_kept_is_given_up_and_counted() {
    let mut play = Play::opened();
    play.target_acks();
    for _ in 0..100 {
        play.user_says(vec![b'x'; 29_200], 0);
        for _ in 0..5 {
            play.target_acks();
        }
    }
    play.user_says("next", 100);
    play.sent();
    play.target_rst();
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 next".into()));
    assert_eq!((play.statistics().turns_repeated, play.statistics().turns_lost_to_resets), (0, 1));
}

#[test]
fn the_rest_of_an_answered_question_is_not_said_on_a_new_connection() {
    // The target said 413 in the middle of an upload and reset.
    let mut play = Play::opened();
    play.target_acks();
    play.user_says([b'a'; 1_460], 0);
    play.user_says([b'b'; 1_460], 0);
    play.target().heard_to = play.target().iss + 1_461;
    play.target_says(50);
    play.target_rst();
    play.user_says("next", 100);
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 next".into()));
    let statistics = play.statistics();
    assert_eq!((statistics.turns_lost_to_resets, statistics.bytes_lost_to_resets), (1, 1_460));
}

#[test]
fn two_questions_under_way_are_both_asked_again() {
    let options = EngineOptions { awaited: Awaited::Greetings, ..EngineOptions::default() };
    let mut play = Play::with(options).open();
    play.user_says("one", 0);
    play.user_says("two", 100);
    play.expect(&["P. 1 ack 1 one", "P. 4 ack 1 two"]);
    play.target_acks_to(1);
    play.target_rst();
    play.target_syn_ack();
    let said: Vec<u8> = play.sent().iter().flat_map(|sent| sent.payload.clone()).collect();
    assert_eq!(said, b"onetwo");
}

#[test]
fn a_question_answered_before_all_of_it_arrived_is_not_lost_when_the_next_is_reset() {
    // The answer came while the last bytes of the question were still lost on the way to the target.
    let mut play = Play::opened();
    play.target_acks();
    play.user_says("one", 0);
    play.target().heard_to = play.target().iss + 2;
    play.target_says(100);
    play.user_says("two", 100);
    play.sent();
    let captured = play.statistics().bytes_captured;
    let rst = play.target().acks_to(2);
    play.respond(tcpcopy_wire::Segment { flags: Flags::RST | Flags::ACK, ..rst });
    play.target_syn_ack();
    let said: usize = play.sent().iter().map(|sent| sent.payload.len()).sum();
    // Whatever is decided for the two bytes, they are said again or counted as lost.
    assert_eq!(captured, 1 + said as u64 + play.statistics().bytes_lost());
}

#[test]
fn a_reset_while_the_fin_is_pending_repeats_both() {
    let mut play = Play::opened();
    play.user_says("ask", 0);
    play.user_fin(0);
    play.sent();
    play.target().heard_to = play.target().iss + 1;
    play.target_rst();
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("FP. 1 ack 1 ask".into()));
}

#[test]
fn a_users_reset_behind_a_repeated_question_is_passed_on_after_it() {
    let mut play = Play::unanswered();
    play.target_rst();
    play.user_rst();
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 ask".into()));
    play.target_acks();
    play.expect(&["R. 4 ack 1"]);
    play.expect_end(Verdict::UserReset);
}

#[test]
fn a_reset_heard_twice_costs_one_connection() {
    // Two intercepts that both see the target.
    let mut play = Play::unanswered();
    let rst = play.target().rst();
    play.respond_batch([rst, rst]);
    play.respond(rst);
    play.target_syn_ack();
    play.respond(rst);
    assert_eq!(play.statistics().reconnects, 1);
    assert_eq!(play.engine.pending().established, 1);
}

#[test]
fn a_late_answer_of_the_connection_before_is_not_taken_for_this_ones() {
    // RFC 9293 §3.10.7.4 (RFC 5961 §5.2): what acknowledges far less than was ever sent here is of another
    // connection, however well its sequence number fits.
    let mut play = Play::unanswered();
    let late = play.target().says(100, Flags::PSH);
    play.target_rst();
    play.target_syn_ack();
    play.sent();
    let now_at = play.target().next;
    for seq in [now_at, now_at + 1_000] {
        play.respond(tcpcopy_wire::Segment { seq, ..late });
    }
    play.advance(10);
    assert_eq!(play.statistics().response_bytes, 0);
    assert!(play.sent().iter().all(|sent| sent.options().sack.as_slice().is_empty()));
}

#[test]
fn a_target_that_resets_everything_costs_three_connections_a_question() {
    let mut play = Play::opened();
    for question in 0..5 {
        play.user_says(format!("question {question}"), if question == 0 { 0 } else { 100 });
    }
    for _ in 0..100 {
        play.target_acks();
        play.target_rst();
        if play.engine.pending().turns == 0 {
            break;
        }
        play.target_syn_ack();
    }
    let statistics = play.statistics();
    assert_eq!((statistics.turns_captured, statistics.turns_lost_to_resets), (5, 5));
    assert_eq!(statistics.turns_repeated, 10);
    assert!(statistics.reconnects <= 15);
    play.user_fin(100);
    play.expect_end(Verdict::TargetReset);
}

#[test]
fn a_target_that_closes_before_the_user_spoke_gets_the_question_on_a_new_connection() {
    let mut play = Play::opened();
    play.target_fin();
    play.expect(&[". 1 ack 2"]);
    play.user_says("ask", 0);
    play.target_syn_ack();
    play.expect(&["R. 1 ack 2", "S 0", "P. 1 ack 1 ask"]);
}

#[test]
fn a_target_that_greets_and_closes_before_the_user_spoke_is_asked_again() {
    let mut play = Play::opened();
    play.target_says(60);
    play.target_fin();
    play.sent();
    play.user_says("login", 60);
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 login".into()));
}
