//! The user's own round trip in turns and acknowledgements: measured, fixed by `-R`, or none.

use tcpcopy_engine::{EngineOptions, Pace};

use crate::script::{Play, ms};

/// An opened play whose user is `millis` away from production.
fn far_user(millis: u64) -> Play {
    far_user_with(millis, EngineOptions::default())
}

fn far_user_with(millis: u64, options: EngineOptions) -> Play {
    let mut play = Play::with(options);
    play.user_syn();
    play.target_syn_ack();
    play.advance(millis);
    play.user_acks(0);
    play.advance(1_000);
    play.expect(&["S 0", ". 1 ack 1"]);
    play
}

#[test]
fn a_user_who_speaks_before_hearing_everything_is_known_by_the_timing() {
    // A pipelining user 40 ms away acknowledges the first answer while the third question is already under way:
    // nobody can have heard an answer within a few milliseconds of asking.
    let mut play = far_user(40);
    play.user_says("one", 0);
    play.user_says("two", 0);
    play.advance(40);
    play.user_says("six", 100);
    play.advance(1);
    play.user_says("ten", 100);
    play.sent();
    play.target_says(200);
    play.advance(50);
    play.target_acks();
    play.advance(50);
    play.target_acks();
    play.advance(500);
    let said: Vec<String> = play.sent().iter().filter(|s| !s.payload.is_empty()).map(|s| s.line()).collect();
    assert_eq!(said, ["P. 7 ack 201 six", "P. 10 ack 201 ten"]);
}

#[test]
fn a_far_user_hears_and_speaks_at_a_distance() {
    let mut play = far_user(40);
    play.user_says("one", 0);
    play.advance(50);
    play.user_says("two", 100);
    play.sent();
    play.target_says(100);
    play.advance(39);
    play.expect_nothing();
    play.advance(1);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_far_users_acknowledgement_takes_its_time() {
    let mut play = far_user(40);
    play.user_says("one", 0);
    play.sent();
    play.target_says(100);
    play.advance(39);
    play.expect_nothing();
    play.advance(1);
    play.expect(&[". 4 ack 101"]);
}

#[test]
fn an_acknowledgement_never_waits_half_a_second() {
    // RFC 9293 §3.8.6.3.
    let mut play = far_user(900);
    play.user_says("one", 0);
    play.sent();
    play.target_says(100);
    play.advance(499);
    play.expect(&[". 4 ack 101"]);
}

#[test]
fn every_second_segment_of_a_near_users_answer_is_acknowledged() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.sent();
    for _ in 0..4 {
        play.target_goes_on(1_460);
    }
    play.expect(&[". 4 ack 2921", ". 4 ack 5841"]);
}

#[test]
fn a_long_answer_to_a_far_user_is_acknowledged_before_the_window_is_full() {
    let mut play = far_user(40);
    play.user_says("one", 0);
    play.sent();
    for _ in 0..44 {
        play.target_goes_on(1_460);
    }
    let acknowledged: Vec<u32> = play.sent().iter().map(|sent| sent.ack).collect();
    assert!(!acknowledged.is_empty(), "half of 502 << 7 bytes is used up");
}

#[test]
fn a_fixed_pace_is_that_of_every_user() {
    for measured in [0, 300] {
        let options = EngineOptions { pace: Pace::Fixed(ms(20)), ..EngineOptions::default() };
        let mut play = far_user_with(measured, options).asks_twice();
        play.sent();
        play.target_says(100);
        play.advance(19);
        play.expect_nothing();
        play.advance(1);
        play.expect(&["P. 4 ack 101 two"]);
    }
}

#[test]
fn a_pace_of_zero_turns_pacing_off() {
    let options = EngineOptions { pace: Pace::Fixed(ms(0)), ..EngineOptions::default() };
    let mut play = far_user_with(300, options).asks_twice();
    play.sent();
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_users_round_trip_is_not_believed_to_be_longer_than_a_second() {
    let mut play = far_user(9_000).asks_twice();
    play.sent();
    play.target_says(100);
    play.advance(999);
    assert!(play.sent().iter().all(|sent| sent.payload.is_empty()));
    play.advance(1);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn the_round_trip_is_that_of_the_syn_that_was_answered() {
    let mut play = Play::new();
    play.user_syn();
    play.target_syn_ack();
    play.advance(1_000);
    play.user_syn();
    play.advance(40);
    play.user_acks(0);
    play.advance(1_000);
    let mut play = play.asks_twice();
    play.sent();
    play.target_says(100);
    play.advance(39);
    play.expect_nothing();
    play.advance(1);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn the_round_trip_is_measured_on_the_captures_clock() {
    // What the kernel held while the process was stopped for two seconds is handed in all at once.
    let mut play = Play::new();
    let syn_at = play.now;
    play.advance(2_000);
    let syn = play.user.syn();
    play.capture_at(syn, syn_at);
    let ack = play.user.acks(0);
    play.capture_at(ack, syn_at + ms(40));
    play.target_syn_ack();
    play.advance(1_000);
    let mut play = play.asks_twice();
    play.sent();
    play.target_says(100);
    play.advance(39);
    play.expect_nothing();
    play.advance(1);
    play.expect(&["P. 4 ack 101 two"]);
}
