//! `-r`, `-g` and `--share`: which connections are replayed.

use std::time::Duration;

use tcpcopy_engine::{EngineOptions, Ignored, Sampling, Share};

use crate::script::{Play, User, ms};

fn play(sampling: Sampling) -> Play {
    Play::with(EngineOptions { sampling, ..EngineOptions::default() })
}

/// How many of a thousand users, numbered from `first`, get a session.
fn admitted(play: &mut Play, first: u32) -> u64 {
    let before = play.statistics().sessions_opened;
    for user in first..first + 1_000 {
        play.user = User::at(&format!("10.1.{}.{}:{}", user >> 8 & 255, user & 255, 1_024 + user % 50_000));
        play.user_syn();
    }
    play.sent();
    play.statistics().sessions_opened - before
}

#[test]
fn all_are_replayed_unless_told_otherwise() {
    assert_eq!(admitted(&mut play(Sampling::All), 0), 1_000);
}

#[test]
fn a_percentage_is_about_that_share_of_the_users() {
    for percent in [1, 10, 50, 99] {
        let mut play = play(Sampling::Percent(percent));
        let admitted: u64 = (0..5).map(|thousand| admitted(&mut play, thousand * 1_000)).sum();
        let expected = u64::from(percent) * 50;
        assert!(admitted.abs_diff(expected) < 40 + expected / 10, "{admitted} of 5000 for {percent} %");
        assert_eq!(admitted + play.ignored(Ignored::NotSampled), 5_000);
    }
}

#[test]
fn one_connection_is_always_decided_alike() {
    let mut twice = [play(Sampling::Percent(50)), play(Sampling::Percent(50))];
    let first: Vec<u64> = (0..5).map(|thousand| admitted(&mut twice[0], thousand * 1_000)).collect();
    let second: Vec<u64> = (0..5).map(|thousand| admitted(&mut twice[1], thousand * 1_000)).collect();
    assert_eq!(first, second);
}

#[test]
fn a_connection_left_out_stays_left_out() {
    let mut play = play(Sampling::Percent(1));
    play.user = User::at("10.1.0.1:4001");
    play.user_syn();
    assert_eq!(play.ignored(Ignored::NotSampled), 1, "this user is one of the 99");
    play.advance(5_000);
    for _ in 0..5 {
        play.user_says("hello", 100);
    }
    play.expect_nothing();
    assert_eq!(play.ignored(Ignored::NotSampled), 6);
}

#[test]
fn a_ramp_admits_nobody_at_first_half_in_its_middle_and_all_at_its_end() {
    let mut play = play(Sampling::Ramp(Duration::from_secs(100)));
    assert_eq!(admitted(&mut play, 0), 0);
    play.now += ms(50_000);
    let half = admitted(&mut play, 1_000);
    assert!(half.abs_diff(500) < 80, "{half} of 1000");
    play.now += ms(50_000);
    assert_eq!(admitted(&mut play, 2_000), 1_000);
    play.now += ms(500_000);
    assert_eq!(admitted(&mut play, 3_000), 1_000);
}

#[test]
fn a_connection_admitted_late_is_joined_in_its_middle() {
    let mut play = play(Sampling::Ramp(Duration::from_secs(100)));
    play.user_syn();
    play.user_says("one", 0);
    play.expect_nothing();
    play.advance(100_000);
    play.user_says("two", 100);
    play.target_syn_ack();
    play.expect(&["S 0", "P. 1 ack 1 two"]);
    assert_eq!(play.statistics().sessions_joined, 1);
}

#[test]
fn several_engines_have_every_user_among_them_once() {
    for sampling in [Sampling::All, Sampling::Percent(50)] {
        let engine = |share| Play::with(EngineOptions { sampling, share, ..EngineOptions::default() });
        let mut parts: Vec<Play> = (0..3).map(|index| engine(Share::new(index, 3).unwrap())).collect();
        let mut whole = engine(Share::WHOLE);
        let mut of_all = 0;
        for user in 0..1_000 {
            let takes = |play: &mut Play| {
                play.user = User::at(&format!("10.1.{}.{}:{}", user >> 8, user & 255, 1_024 + user));
                let before = play.statistics().sessions_opened;
                play.user_syn();
                play.statistics().sessions_opened - before
            };
            let expected = takes(&mut whole);
            of_all += expected;
            assert_eq!(parts.iter_mut().map(takes).sum::<u64>(), expected, "user {user}");
        }
        let least = parts.iter().map(|part| part.statistics().sessions_opened).min();
        assert!(least.unwrap() > of_all / 4, "{least:?} of {of_all}");
    }
}
