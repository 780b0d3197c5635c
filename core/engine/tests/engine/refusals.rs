//! The target refuses or does not answer: how long, and how often, a connection is asked for.

use tcpcopy_engine::{EngineOptions, Verdict};

use crate::script::{Play, ms};

#[test]
fn a_refused_connection_is_asked_for_again_with_growing_pauses() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("ask", 0);
    for pause in [100, 200, 400, 800, 1_600, 1_600, 1_600] {
        play.expect(&["S 0"]);
        play.target_refuses();
        play.advance(pause - 1);
        play.expect_nothing();
        play.advance(1);
    }
    assert_eq!(play.statistics().refusals, 7);
    play.target_syn_ack();
    play.expect(&["S 0", "P. 1 ack 1 ask"]);
}

#[test]
fn a_target_that_refuses_for_half_a_minute_ends_the_session() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("ask", 0);
    for _ in 0..100 {
        if play.engine.pending().sessions == 0 {
            break;
        }
        play.target_refuses();
        play.advance(500);
    }
    assert!((30_000..33_000).contains(&play.clock()), "{} ms", play.clock());
    play.expect_end(Verdict::TargetRefused);
    assert_eq!(play.statistics().turns_lost(), 1);
}

#[test]
fn a_target_that_was_silent_for_five_seconds_hears_everything() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.advance(1_000);
    play.user_says("two", 100);
    play.advance(4_000);
    assert!(play.sent().iter().all(|sent| sent.line() == "P. 1 ack 1 one"));
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_target_that_restarted_is_asked_again() {
    // Its host answers our repetition with a reset, and then refuses until the server listens again.
    let mut play = Play::unanswered();
    play.user_says("two", 100);
    play.target_rst();
    play.target_refuses();
    play.advance(100);
    play.target_refuses();
    play.advance(200);
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 ask".into()));
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_target_that_resets_before_anything_can_be_said_is_not_asked_without_pause() {
    // A proxy without a backend: it accepts, offers no window, and resets.
    let mut play = Play::new();
    play.user_syn();
    play.user_says("ask", 0);
    for _ in 0..1_000 {
        if play.engine.pending().sessions == 0 {
            break;
        }
        play.target().syn_window = 0;
        play.target_syn_ack();
        play.target_rst();
        play.advance(1);
    }
    let syns = play.sent().iter().filter(|sent| sent.headers.flags.syn()).count();
    assert!(syns < 100, "{syns} connections in a second");
}

#[test]
fn an_unused_connection_that_is_reset_after_a_while_is_made_anew_when_the_user_speaks() {
    // A browser that connects ahead of need, and a target less patient than production.
    let mut play = Play::opened();
    play.advance(45_000);
    play.target_rst();
    play.advance(10_000);
    play.expect_alive();
    play.user_says("ask", 0);
    play.advance(2_000);
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 ask".into()));
}

#[test]
fn a_new_connection_that_is_never_made_ends_the_session_in_half_a_minute() {
    let mut play = Play::unanswered();
    play.target_rst();
    play.advance(40_000);
    play.expect_end(Verdict::TargetUnreachable);
    assert_eq!(play.statistics().ended[Verdict::TargetUnreachable as usize].turns_lost, 1);
}

#[test]
fn a_connection_asked_for_anew_has_half_a_minute_of_its_own() {
    let mut play = Play::unanswered();
    play.target_says(100);
    play.advance(100_000);
    play.target_rst();
    play.user_says("two", 100);
    play.advance(29_000);
    play.expect_alive();
    play.target_syn_ack();
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 1 ack 1 two".into()));
}

#[test]
fn a_short_response_timeout_counts_for_connecting_too() {
    let options = EngineOptions { response_timeout: ms(5_000), ..EngineOptions::default() };
    let mut play = Play::with(options);
    play.user_syn();
    play.user_says("ask", 0);
    play.advance(7_000);
    play.expect_end(Verdict::TargetSilent);
}

#[test]
fn a_target_that_takes_the_question_but_never_answers_is_silent() {
    let mut play =
        Play::with(EngineOptions { response_timeout: ms(3_000), ..EngineOptions::default() }).open();
    play.user_says("ask", 0);
    play.target_acks();
    play.advance(10_000);
    play.expect_alive(); // nobody says that production answered
    play.user_acks(100);
    play.advance(5_000);
    play.expect_end(Verdict::TargetSilent);
}
