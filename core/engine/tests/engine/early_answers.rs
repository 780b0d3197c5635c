//! A target that answers a turn before it has taken all of it, as a server that refuses an upload does, and leaves: the
//! rest of the turn is lost, the user's next turn is said on a new connection. With a module that judges turns.

use tcpcopy_engine::Verdict;

use crate::script::{Lines, Play, words};

/// A user amid a line and 3000 bytes that a module forwards unseen, which the target answers and resets.
fn refused(lines: Lines) -> Play {
    let mut play = Play::served_by(lines);
    play.user_says("long 3000\n", 0);
    play.user_says([b'a'; 1_000], 0);
    assert_eq!(play.sent().len(), 2);
    play.target_answers("too long\n");
    play.target_rst();
    play
}

#[track_caller]
fn expect_lost(play: &Play, turns: u64, bytes: u64) {
    let statistics = play.statistics();
    assert_eq!((statistics.turns_lost_to_resets, statistics.bytes_lost_to_resets), (turns, bytes));
    assert_eq!((statistics.turns_repeated, statistics.sessions_ended()), (0, 0));
}

#[test]
fn what_the_user_goes_on_to_say_of_it_is_lost_and_the_next_turn_is_said() {
    let mut play = refused(Lines::judging());
    play.user_says([b'b'; 1_000], 0);
    play.user_says([b'c'; 1_000], 0);
    play.advance(1_000);
    play.expect_nothing();
    expect_lost(&play, 1, 2_000);
    play.user_says("two\n", 9);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"two\n");
    expect_lost(&play, 1, 2_000);
    play.target_answers("answer\n");
    assert_eq!((play.statistics().turns_captured, play.engine.pending().turns), (2, 0));
    play.user_fin(0);
    play.target_fin();
    play.advance(3_000);
    play.expect_end(Verdict::TargetReset);
}

#[test]
fn a_word_that_holds_the_end_of_it_and_the_next_turn_is_cut_between_them() {
    let mut play = refused(Lines::judging());
    play.user_says([b'b'; 1_999], 0);
    play.user_says("cedit\nthree\n", 0);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"EDITED\nthree\n");
    expect_lost(&play, 1, 2_000);
    assert_eq!(play.statistics().turns_captured, 3);
}

#[test]
fn turns_behind_it_that_were_captured_already_are_said_anew() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("long 3000\n", 0);
    play.target().is_deaf = true;
    play.user_says([b'a'; 3_000], 0);
    play.user_says("two\n", 9);
    assert_eq!(play.sent().len(), 4);
    play.target_answers("too long\n");
    assert_eq!(words(&play.sent()), b"two\n");
    play.target_rst();
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"two\n");
    let statistics = play.statistics();
    assert_eq!((statistics.turns_lost_to_resets, statistics.bytes_lost_to_resets), (1, 3_000));
    assert_eq!((statistics.turns_repeated, statistics.sessions_ended()), (1, 0));
}

#[test]
fn the_module_knows_the_new_connection_before_it_deals_with_the_next_turn() {
    let mut play = refused(Lines { logs_in: true, ..Lines::judging() });
    play.user_says([b'b'; 2_000], 0);
    play.user_says("two\n", 9);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"login\n");
    play.target_answers("welcome\n");
    assert_eq!(words(&play.sent()), b"two\n");
    expect_lost(&play, 1, 2_000);
}

#[test]
fn a_line_left_out_behind_it_is_left_out() {
    let mut play = refused(Lines::judging());
    play.user_says([b'b'; 2_000], 0);
    play.user_says("drop\ntwo\n", 9);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"two\n");
    expect_lost(&play, 1, 2_000);
    assert_eq!(play.statistics().bytes_discarded, 5);
}

#[test]
fn a_user_who_leaves_amid_it_leaves_nothing_behind() {
    let mut play = refused(Lines::judging());
    play.user_says([b'b'; 500], 0);
    play.user_fin(0);
    play.expect_nothing();
    play.expect_end(Verdict::TargetReset);
    assert_eq!((play.statistics().turns_lost(), play.statistics().bytes_lost()), (1, 500));
}

#[test]
fn a_module_that_does_not_know_where_it_ends_gives_the_session_up() {
    let mut play = refused(Lines::judging());
    play.user_says([b'b'; 2_000], 0);
    play.user_says("guess\n", 9);
    play.expect_end(Verdict::ModuleGaveUp);
    assert_eq!((play.statistics().turns_lost(), play.statistics().bytes_lost()), (1, 2_006));
}
