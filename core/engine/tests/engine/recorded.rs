//! Replaying a recording: it ends, it may begin again, and its time is not ours.

use tcpcopy_engine::{EngineOptions, Ignored, Verdict};
use tcpcopy_wire::Instant;

use crate::script::{ACK_DELAY, Play, User, ms};

impl Play {
    #[track_caller]
    fn capture_ends(&mut self) {
        self.engine.handle_capture_end(self.now);
        self.settle();
    }
}

#[test]
fn a_user_who_was_still_there_at_the_end_of_the_capture_closes_in_order() {
    let mut play = Play::answered();
    play.capture_ends();
    play.expect(&["F. 4 ack 101"]);
    assert!(!play.engine.is_done());
    play.target_fin();
    play.expect(&[". 5 ack 102"]);
    assert!(play.engine.is_done(), "what is left is the wait for late segments");
    play.advance(2_000);
    play.expect_end(Verdict::CaptureEnded);
}

#[test]
fn what_was_captured_is_said_and_answered_before_the_end() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.user_says("two", 100);
    play.capture_ends();
    play.expect(&["P. 1 ack 1 one"]);
    play.target_says(100);
    play.advance(ACK_DELAY);
    play.expect(&["FP. 4 ack 101 two"]);
    play.target_fin();
    play.advance(2_000);
    play.expect_end(Verdict::CaptureEnded);
    assert_eq!(play.statistics().turns_lost(), 0);
}

#[test]
fn a_user_who_closed_before_the_end_is_complete() {
    let mut play = Play::user_closed();
    play.capture_ends();
    play.target_fin();
    play.advance(2_000);
    play.expect_end(Verdict::Complete);
}

#[test]
fn a_connection_that_nobody_followed_up_is_closed_as_well() {
    let mut play = Play::new();
    play.user_syn();
    play.capture_ends();
    play.target_syn_ack();
    play.expect(&["S 0", "F. 1 ack 1"]);
    play.target_fin();
    play.advance(2_000);
    play.expect_end(Verdict::CaptureEnded);
}

#[test]
fn what_is_captured_after_the_end_is_of_another_connection_on_the_same_ports() {
    let mut play = Play::answered();
    play.capture_ends();
    play.sent();
    let late = play.user.says("late", 100);
    play.capture(late);
    // Words of a connection never seen before: joined in their middle, by a session of their own.
    assert_eq!(play.statistics().sessions_joined, 1);
    play.user = User::at("10.1.0.1:4000");
    play.user_syn();
    assert_eq!(play.ignored(Ignored::Duplicate), 0);
    assert_eq!(play.statistics().sessions_opened, 3);
}

#[test]
fn what_lies_behind_a_hole_is_said_by_a_session_of_its_own() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_says(100);
    play.advance(ACK_DELAY);
    play.user.says("lost", 100);
    play.user_says("rest", 0);
    play.user_says("two", 100);
    play.sent();
    play.capture_ends();
    let first = play.ended(Verdict::CaptureGap);
    assert_eq!((first, play.statistics().sessions_opened), (1, 2));
    play.target_syn_ack();
    play.advance(1);
    let said: Vec<String> = play.sent().iter().map(|sent| sent.line()).collect();
    assert!(said.iter().any(|line| line.ends_with("two")), "{said:?}");
    assert_eq!(play.statistics().bytes_never_captured, 8);
}

/// A far user who asks twice, in a recording from long ago.
fn far_user(acceleration: f64) -> Play {
    let mut play = Play::with(EngineOptions { acceleration, ..EngineOptions::default() });
    let recorded = |millis| Instant::from_micros(1_000_000_000_000_000) + ms(millis);
    for (millis, step) in [(0, 0), (40, 1), (1_000, 2), (1_090, 3)] {
        let said = match step {
            0 => play.user.syn(),
            1 => play.user.acks(0),
            2 => play.user.says("one", 0),
            _ => play.user.says("two", 100),
        };
        play.capture_at(said, recorded(millis));
        if step == 0 {
            play.target_syn_ack();
        }
    }
    play.sent();
    play
}

#[test]
fn a_users_distance_shrinks_with_the_acceleration() {
    for (acceleration, millis) in [(0.5, 80), (1.0, 40), (10.0, 4)] {
        let mut play = far_user(acceleration);
        play.advance(200);
        play.sent();
        play.target_says(100);
        play.advance(millis - 1);
        assert!(play.sent().iter().all(|sent| sent.payload.is_empty()), "{acceleration}");
        play.advance(1);
        play.expect(&["P. 4 ack 101 two"]);
    }
}

#[test]
fn nobody_waits_for_users_at_top_speed() {
    let mut play = far_user(f64::INFINITY);
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_shorter_answer_is_waited_for_as_long_as_its_user_waited_at_that_speed() {
    let mut play = far_user(10.0);
    play.target_says(50);
    play.advance(8);
    assert!(play.sent().iter().all(|sent| sent.payload.is_empty()));
    play.advance(1);
    assert_eq!(play.sent().last().map(|sent| sent.line()).as_deref(), Some("P. 4 ack 51 two"));
}

#[test]
fn the_times_of_a_recording_end_no_session_too_early() {
    let mut play = far_user(1.0);
    play.advance(30_000);
    play.expect_alive();
    // The target answers, and the user goes on long after the response time-out.
    play.target_says(100);
    play.advance(700_000);
    let said = play.user.says("three", 100);
    play.capture_at(said, Instant::from_micros(1_000_000_700_000_000));
    play.advance(5_000);
    play.expect_alive();
}

#[test]
fn a_hole_is_given_less_time_at_a_higher_speed() {
    let mut play = Play::with(EngineOptions { acceleration: 10.0, ..EngineOptions::default() }).open();
    play.user_says("one", 0);
    play.target_says(100);
    play.user.says("lost", 100);
    play.user_says("rest", 0);
    play.user_says("two", 100);
    play.advance(499);
    assert_eq!(play.statistics().sessions_opened, 1);
    play.advance(1);
    assert_eq!(play.statistics().sessions_opened, 2);
}

#[test]
fn the_workload_is_what_has_not_been_taken() {
    let mut play = Play::opened();
    assert_eq!(play.engine.workload().sessions, 0);
    play.user_says("ask", 0);
    let work = play.engine.workload();
    assert!(work.sessions == 1 && work.memory > 3, "{work:?}");
    play.target_says(1);
    assert_eq!(play.engine.workload(), Default::default());
    play.user_fin(0);
    assert_eq!(play.engine.workload().sessions, 1);
    play.target_fin();
    assert_eq!(play.engine.workload(), Default::default());
}
