//! Ends of a connection: FIN in both directions, and being told to stop (RFC 9293 §3.6, §3.10.7.4).

use tcpcopy_engine::Verdict;
use tcpcopy_wire::Flags;

use crate::script::{ACK_DELAY, Play};

#[test]
fn the_user_closes_and_the_target_follows() {
    let mut play = Play::user_closed();
    play.target_acks();
    play.target_fin();
    play.expect(&[". 5 ack 102"]);
    play.advance(1_999);
    play.expect_alive();
    play.advance(1);
    play.expect_end(Verdict::Complete);
    play.expect_nothing();
}

#[test]
fn a_targets_fin_that_acknowledges_ours_closes_at_once() {
    let mut play = Play::user_closed();
    play.target_fin();
    play.expect(&[". 5 ack 102"]);
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_last_word_and_the_fin_go_in_one_segment() {
    let mut play = Play::answered();
    let bye = play.user.says("bye", 100).with(Flags::FIN);
    play.user.next += 1;
    play.capture(bye);
    play.expect(&["FP. 4 ack 101 bye"]);
    play.target_fin();
    play.expect(&[". 8 ack 102"]);
}

#[test]
fn a_fin_waits_for_the_answer_production_gave_before_it() {
    let mut play = Play::opened();
    play.user_says("ask", 0);
    play.user_fin(100);
    play.target_acks();
    play.advance(3_000);
    play.expect(&["P. 1 ack 1 ask"]);
    play.target_says(100);
    play.expect(&["F. 4 ack 101"]);
}

#[test]
fn a_fin_right_after_the_last_word_closes_half_of_the_connection() {
    let mut play = Play::opened();
    play.user_says("ask", 0);
    play.user_fin(0);
    play.expect(&["P. 1 ack 1 ask", "F. 4 ack 1"]);
    play.target_acks();
    for _ in 0..3 {
        play.target_says(1_000);
        play.advance(ACK_DELAY);
    }
    play.expect(&[". 5 ack 1001", ". 5 ack 2001", ". 5 ack 3001"]);
    play.target_fin();
    play.expect(&[". 5 ack 3002"]);
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn the_target_closes_and_the_user_follows() {
    let mut play = Play::answered();
    play.target_fin();
    play.expect(&[". 4 ack 102"]);
    play.advance(5_000);
    play.expect_nothing();
    play.user_fin(101);
    play.expect(&["F. 4 ack 102"]);
    play.target_acks();
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_target_that_closes_may_still_be_spoken_to() {
    // The rest of the same question: half-close works both ways.
    let mut play = Play::opened();
    play.user_says("one ", 0);
    play.target_says(10);
    play.target_fin();
    play.sent();
    play.user_says("more", 0);
    play.expect(&["P. 5 ack 12 more"]);
}

#[test]
fn a_last_acknowledgement_that_is_lost_is_asked_for_again() {
    let mut play = Play::answered();
    play.target_fin();
    play.user_fin(101);
    play.sent();
    play.advance(200);
    play.expect(&["F. 4 ack 102"]);
    play.target_acks();
    play.expect_end(Verdict::Complete);
}

#[test]
fn both_close_at_the_same_time() {
    let mut play = Play::user_closed();
    let crossing = play.target().acks_to(4);
    play.respond(tcpcopy_wire::Segment { flags: Flags::FIN | Flags::ACK, ..crossing });
    play.target().next += 1;
    play.expect(&[". 5 ack 102"]);
    play.target_acks_to(5);
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_repeated_fin_is_acknowledged_as_long_as_time_wait_lasts() {
    let mut play = Play::user_closed();
    let fin = play.target().fin();
    play.respond(fin);
    play.expect(&[". 5 ack 102"]);
    play.advance(200);
    play.respond(fin);
    play.expect(&[". 5 ack 102"]);
    play.advance(1_000);
    play.respond(fin);
    play.expect(&[". 5 ack 102"]);
    play.advance(5_000);
    play.expect_end(Verdict::Complete);
    play.respond(fin);
    play.expect_nothing();
    assert_eq!(play.statistics().stale_responses, 1);
}

#[test]
fn a_fin_that_overtakes_the_end_of_the_answer_waits_for_it() {
    let mut play = Play::opened();
    play.user_says("ask", 0);
    play.user_fin(0);
    play.target_acks();
    play.sent();
    let body = play.target().says(100, Flags::PSH);
    play.target_fin();
    play.expect(&[". 5 ack 1"]);
    play.respond(body);
    play.expect(&[". 5 ack 102"]);
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn an_answer_and_the_fin_in_one_segment_count_as_both() {
    let mut play = Play::opened();
    play.user_says("ask", 0);
    let last = play.target().says(100, Flags::PSH | Flags::FIN);
    play.target().next += 1;
    play.respond(last);
    play.expect(&["P. 1 ack 1 ask", ". 4 ack 102"]);
    play.user_fin(101);
    play.expect(&["F. 4 ack 102"]);
    play.target_acks();
    play.expect_end(Verdict::Complete);
    assert_eq!(play.statistics().response_bytes, 100);
}

#[test]
fn a_target_that_never_closes_its_half_is_left_after_a_minute() {
    let mut play = Play::user_closed();
    play.target_acks();
    play.advance(58_000);
    play.expect_alive();
    play.advance(4_000);
    play.expect(&["R. 5 ack 101"]);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_user_who_only_connects_and_leaves_does_so_at_the_target_too() {
    let mut play = Play::opened();
    play.user_fin(0);
    play.expect(&["F. 1 ack 1"]);
    play.target_fin();
    play.advance(2_000);
    play.expect(&[". 2 ack 2"]);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_user_who_left_before_the_handshake_was_done_is_replayed_in_full() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("ask", 0);
    play.user_fin(0);
    play.expect(&["S 0"]);
    play.target_syn_ack();
    play.expect(&["FP. 1 ack 1 ask"]);
}

#[test]
fn a_captured_fin_that_overtook_its_data_waits_for_it() {
    let mut play = Play::answered();
    let late = play.user.says("bye", 100);
    play.user_fin(0);
    play.expect_nothing();
    play.capture(late);
    play.expect(&["FP. 4 ack 101 bye"]);
}

#[test]
fn stopping_resets_every_connection() {
    let mut play = Play::answered();
    play.user_says("ask", 100);
    play.sent();
    play.engine.handle_shutdown(play.now);
    play.settle();
    play.expect(&["R. 7 ack 101"]);
    play.expect_end(Verdict::Shutdown);
    let ended = play.statistics().ended[Verdict::Shutdown as usize];
    assert_eq!((ended.turns_lost, ended.bytes_lost), (1, 3));
}

#[test]
fn stopping_twice_ends_nothing_twice() {
    let mut play = Play::answered();
    play.engine.handle_shutdown(play.now);
    play.engine.handle_shutdown(play.now);
    play.settle();
    assert_eq!(play.statistics().sessions_ended(), 1);
}

#[test]
fn a_keepalive_of_the_target_is_answered() {
    // RFC 9293 §3.8.4: one below RCV.NXT, with and without a byte of garbage.
    let mut play = Play::answered();
    for payload_len in [0, 1] {
        play.advance(60_000);
        let keepalive = play.target().acks();
        play.respond(tcpcopy_wire::Segment { seq: keepalive.seq - 1, payload_len, ..keepalive });
        play.expect(&[". 4 ack 101"]);
    }
    assert_eq!(play.statistics().response_bytes, 100);
}

#[test]
fn a_keepalive_of_the_user_is_not_a_word() {
    let mut play = Play::answered();
    let seq = play.user.next - 1;
    let mut keepalive = play.user.repeats(seq, "k");
    play.capture(keepalive.clone());
    keepalive = play.user.acks(0);
    keepalive.headers.seq = seq;
    play.capture(keepalive);
    play.expect_nothing();
    play.user_says("more", 100);
    play.expect(&["P. 4 ack 101 more"]);
}
