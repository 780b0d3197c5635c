//! RST, the user's and the target's, in every state (RFC 9293 §3.10.7.4).

use tcpcopy_engine::{Ignored, Verdict};

use crate::script::Play;

#[test]
fn a_user_who_only_connects_and_leaves_may_be_reset() {
    let mut play = Play::opened();
    play.user_fin(0);
    play.target_rst();
    play.advance(1_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_users_reset_is_passed_on_when_everything_has_arrived() {
    let mut play = Play::answered();
    play.user_says("bye", 100);
    play.user_rst();
    play.expect(&["P. 4 ack 101 bye"]);
    play.advance(100);
    play.expect_nothing();
    play.target_acks();
    play.expect(&["R. 7 ack 101"]);
    play.expect_end(Verdict::UserReset);
}

#[test]
fn words_before_a_users_reset_are_repeated_until_they_arrive() {
    let mut play = Play::answered();
    play.user_says("bye", 100);
    play.user_rst();
    play.advance(200);
    play.expect(&["P. 4 ack 101 bye", "P. 4 ack 101 bye"]);
    play.target_acks();
    play.expect(&["R. 7 ack 101"]);
    play.expect_end(Verdict::UserReset);
}

#[test]
fn a_user_who_resets_at_once_is_replayed_as_such() {
    let mut play = Play::new();
    play.user_syn();
    play.user_rst();
    play.expect(&["S 0"]);
    play.target_syn_ack();
    play.expect(&["R. 1 ack 1"]);
    play.expect_end(Verdict::UserReset);
}

#[test]
fn a_reset_that_follows_the_users_fin_changes_nothing() {
    let mut play = Play::user_closed();
    play.user_rst();
    play.expect_nothing();
    play.target_fin();
    play.advance(2_000);
    play.expect(&[". 5 ack 102"]);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_target_that_resets_an_answered_and_closed_connection_ends_it() {
    // FIN-WAIT-1, FIN-WAIT-2, CLOSING, TIME-WAIT, LAST-ACK.
    let fin_wait_1 = Play::user_closed();
    let mut fin_wait_2 = Play::user_closed();
    fin_wait_2.target_acks();
    let mut closing = Play::user_closed();
    closing.target().heard_to = closing.target().iss + 4;
    closing.target_fin();
    let mut time_wait = Play::user_closed();
    time_wait.target_fin();
    let mut last_ack = Play::answered();
    last_ack.target_fin();
    last_ack.user_fin(101);
    for mut play in [fin_wait_1, fin_wait_2, closing, time_wait, last_ack] {
        play.sent();
        play.target_rst();
        play.expect_nothing();
        play.expect_end(Verdict::Complete);
        assert_eq!(play.statistics().reconnects, 0);
    }
}

#[test]
fn a_target_that_resets_while_nothing_is_due_is_asked_again_when_the_user_speaks() {
    // ESTABLISHED and CLOSE-WAIT.
    for target_closes_first in [false, true] {
        let mut play = Play::answered();
        if target_closes_first {
            play.target_fin();
        }
        play.sent();
        play.target_rst();
        play.advance(1_000);
        play.expect_nothing();
        play.expect_alive();
        play.user_says("again", 100);
        play.expect(&["S 0"]);
        play.target_syn_ack();
        play.expect(&["P. 1 ack 1 again"]);
    }
}

#[test]
fn a_reset_from_before_what_we_have_seen_is_not_believed() {
    let mut play = Play::answered();
    let stale = play.target().rst();
    play.respond(tcpcopy_wire::Segment { seq: stale.seq - 1, ..stale });
    play.user_says("more", 100);
    play.expect(&["P. 4 ack 101 more"]);
}

#[test]
fn a_reset_beyond_what_was_lost_on_the_way_back_is_believed() {
    let mut play = Play::answered();
    play.target().next += 5_000; // an answer we never saw
    play.target_rst();
    play.user_says("more", 100);
    play.expect(&["S 0"]);
}

#[test]
fn a_reset_is_not_answered() {
    // RFC 9293 §3.10.7.4, second step: the connection is gone, nothing is sent on it.
    let mut play = Play::opened();
    play.user_says("ask", 0);
    play.sent();
    play.target_rst();
    assert!(play.sent().iter().all(|sent| !sent.headers.flags.rst()));
}

#[test]
fn a_user_who_closes_after_a_reset_leaves_nothing_behind() {
    let mut play = Play::answered();
    play.target_rst();
    play.user_fin(100);
    play.expect_nothing();
    play.expect_end(Verdict::Complete);
}

#[test]
fn words_captured_behind_a_users_reset_are_counted_and_not_said() {
    let mut play = Play::answered();
    let captured = play.statistics().bytes_captured;
    play.user_says("bye", 100);
    play.user_rst();
    let [first, second] = [play.user.says("one", 0), play.user.says("two!", 0)];
    for behind in [&second, &first, &second] {
        play.capture(behind.clone());
    }
    play.target_acks();
    play.expect_end(Verdict::UserReset);
    let statistics = play.statistics();
    assert_eq!((statistics.bytes_captured - captured, statistics.bytes_after_close), (3, 7));
    assert_eq!(play.ignored(Ignored::AfterClose), 3);
}

#[test]
fn a_target_that_holds_on_to_a_connection_we_have_left_is_reset() {
    let mut play = Play::answered();
    play.target_rst();
    play.sent();
    play.target_says(10);
    play.expect(&["R 4"]);
    play.expect_alive();
}
