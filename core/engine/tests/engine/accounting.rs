//! The sums of [`Statistics`](tcpcopy_engine::Statistics) agree, whatever became of a session: every byte and
//! every turn captured was taken by the target, is pending, or is lost with a reason.

use tcpcopy_engine::{Awaited, EngineOptions, Ignored, Verdict};

use crate::script::{Play, User, ms};

/// Every session opened is alive or has one verdict; nothing is lost or pending that was not captured.
#[track_caller]
fn assert_sums(play: &Play) {
    let (statistics, pending) = (play.statistics(), play.engine.pending());
    assert_eq!(statistics.sessions_opened, statistics.sessions_ended() + pending.sessions, "sessions");
    assert!(statistics.bytes_captured >= statistics.bytes_lost() + pending.bytes, "bytes");
    assert!(statistics.turns_captured >= statistics.turns_lost() + pending.turns, "turns");
}

/// `turns` and `bytes` were taken by the target, the rest is lost or pending.
#[track_caller]
fn assert_taken(play: &Play, turns: u64, bytes: u64) {
    assert_sums(play);
    let (statistics, pending) = (play.statistics(), play.engine.pending());
    assert_eq!(statistics.turns_captured, turns + statistics.turns_lost() + pending.turns, "turns");
    assert_eq!(statistics.bytes_captured, bytes + statistics.bytes_lost() + pending.bytes, "bytes");
}

#[test]
fn a_conversation_is_counted_word_by_word() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    assert_taken(&play, 0, 0);
    play.target_acks_to(2);
    assert_taken(&play, 0, 1);
    play.target_acks_to(4);
    play.target_says(100);
    assert_taken(&play, 1, 3);
    play.user_says("two", 100);
    play.user_says(" more", 0);
    assert_taken(&play, 1, 3);
    assert_eq!(play.engine.pending().turns, 1);
    play.target_acks_to(7);
    assert_taken(&play, 1, 6);
    play.target_acks_to(12);
    play.target_says(100);
    assert_taken(&play, 2, 11);
    let statistics = play.statistics();
    assert_eq!(
        (statistics.turns_captured, statistics.bytes_captured, statistics.response_bytes),
        (2, 11, 200)
    );
}

#[test]
fn what_is_transmitted_is_counted() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.advance(200);
    play.target_says(10);
    play.user_fin(10);
    play.target_fin();
    let statistics = play.statistics();
    // SYN, ACK, data, data again, FIN, ACK.
    assert_eq!((statistics.segments, statistics.payload_bytes, statistics.retransmissions), (6, 10, 1));
    assert_eq!((statistics.captured_segments, statistics.responses), (4, 3));
}

#[test]
fn a_session_ended_in_the_middle_of_a_word_has_lost_that_turn_and_those_behind() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.user_says("two", 100);
    play.user_says("six", 100);
    play.target_acks_to(3);
    play.engine.handle_shutdown(play.now);
    play.settle();
    let ended = play.statistics().ended[Verdict::Shutdown as usize];
    assert_eq!((ended.turns_lost, ended.bytes_lost), (3, 7));
    assert_taken(&play, 0, 2);
}

#[test]
fn a_session_ended_between_two_turns_has_lost_the_second_only() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.user_says("two", 100);
    play.target_acks();
    play.engine.handle_shutdown(play.now);
    play.settle();
    let ended = play.statistics().ended[Verdict::Shutdown as usize];
    assert_eq!((ended.turns_lost, ended.bytes_lost), (1, 3));
    assert_taken(&play, 1, 3);
}

#[test]
fn repeated_turns_are_pending_again() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_acks();
    assert_taken(&play, 1, 3);
    play.target_rst();
    assert_eq!((play.engine.pending().turns, play.engine.pending().bytes), (1, 3));
    play.target_syn_ack();
    play.target_says(100);
    assert_taken(&play, 1, 3);
}

#[test]
fn turns_given_up_after_resets_are_lost_once() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.user_says("two", 100);
    for _ in 0..2 {
        play.target().heard_to = play.target().iss + 1; // it resets before taking anything
        play.target_rst();
        play.target_syn_ack();
    }
    play.target().heard_to = play.target().iss + 1;
    play.target_rst();
    play.target_syn_ack();
    assert_taken(&play, 0, 0);
    assert_eq!(play.engine.pending().turns, 1);
    play.target_says(100);
    assert_taken(&play, 1, 3);
    assert_eq!((play.statistics().turns_lost(), play.statistics().bytes_lost()), (1, 3));
}

#[test]
fn overlapping_turns_reset_together_are_counted_one_by_one() {
    let options = EngineOptions { awaited: Awaited::Greetings, ..EngineOptions::default() };
    let mut play = Play::with(options).open();
    for word in ["one", "two", "six"] {
        play.user_says(word, 100);
        play.target_says(100); // the greeting, then answers
    }
    play.user_says("ten", 100);
    play.user_says("eleven", 100);
    play.target().heard_to = play.target().iss + 10;
    assert_taken(&play, 3, 9);
    for _ in 0..3 {
        play.target_rst();
        play.target_syn_ack();
        assert_sums(&play);
        play.target().heard_to = play.target().iss + 1;
    }
    play.target_acks_to(10);
    assert_sums(&play);
    play.user_fin(0);
    play.target_rst();
    play.advance(60_000);
    assert_sums(&play);
    assert_eq!(play.statistics().sessions_ended(), 1);
}

#[test]
fn every_byte_the_user_said_is_captured_or_accounted_for_as_missing() {
    // Thirteen bytes: three in order, four never captured, six behind those. Then, one by one, every way in which
    // the session can end before or after its hole is given up.
    let ends: [fn(&mut Play); 5] = [
        |play| play.advance(40_000),
        |play| {
            play.user_fin(0);
            play.advance(40_000);
        },
        |play| play.user_rst(),
        |play| {
            play.user = User { isn: play.user.next + 77_000, ..play.user.clone() };
            play.user_syn();
        },
        |play| {
            play.engine.handle_shutdown(play.now);
            play.settle();
        },
    ];
    for (at, end) in ends.into_iter().enumerate() {
        let mut play = Play::opened();
        play.user_says("one", 0);
        play.target_says(100);
        play.user.says("lost", 100);
        play.user_says("behind", 0);
        end(&mut play);
        let statistics = play.statistics();
        assert_eq!((statistics.bytes_captured, statistics.bytes_never_captured), (3, 10), "end {at}");
        assert_taken(&play, 1, 3);
    }
}

#[test]
fn what_is_said_after_the_end_of_a_session_is_counted_too() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_says(100);
    play.engine.handle_shutdown(play.now);
    play.user_says("late", 0); // in the same round, before the session is gone
    play.user_says("later", 0);
    let statistics = play.statistics();
    assert_eq!((statistics.bytes_captured, statistics.bytes_before_first_turn), (3, 9));
}

#[test]
fn ignored_segments_are_counted_by_reason() {
    let mut play = Play::opened();
    let word = play.user.says("hello", 0);
    play.capture(word.clone());
    play.capture(word.clone());
    play.capture(word.truncated());
    play.capture_begins();
    play.user = User::at("10.1.0.2:4000");
    play.user_acks(0);
    let reasons = [Ignored::Duplicate, Ignored::Truncated, Ignored::NotMapped, Ignored::NoSession];
    assert_eq!(reasons.map(|reason| play.ignored(reason)), [1; 4]);
    assert_eq!(play.statistics().ignored.iter().sum::<u64>(), 4);
    assert_eq!(play.statistics().captured_segments, 2 + 3 + 2);
}

#[test]
fn every_way_to_end_is_counted_once() {
    let options = EngineOptions { idle_timeout: ms(20_000), ..EngineOptions::default() };
    let mut play = Play::with(options);
    // Refused, unreachable, complete, reset, idle, all side by side.
    let mut sessions = Vec::new();
    for port in 4_000..4_005 {
        play.user = User::at(&format!("10.1.0.1:{port}"));
        play.user_syn();
        play.user_acks(0);
        sessions.push((play.session(), play.user.clone()));
    }
    for (id, _) in &sessions[2..] {
        play.turn_to(*id);
        play.target_syn_ack();
    }
    play.user = sessions[2].1.clone();
    play.user_fin(0);
    play.turn_to(sessions[2].0);
    play.target_fin();
    play.user = sessions[3].1.clone();
    play.user_rst();
    for _ in 0..40 {
        play.turn_to(sessions[0].0);
        play.target_refuses();
        play.advance(1_000);
    }
    let verdicts = [
        Verdict::TargetRefused,
        Verdict::TargetUnreachable,
        Verdict::Complete,
        Verdict::UserReset,
        Verdict::Idle,
    ];
    assert_eq!(verdicts.map(|verdict| play.ended(verdict)), [1; 5]);
    assert_sums(&play);
    assert_eq!(play.engine.pending().sessions, 0);
}

#[test]
fn names_in_reports_are_all_different() {
    let mut names: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.name()).collect();
    names.extend(Ignored::ALL.iter().map(|reason| reason.name()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    for (at, verdict) in Verdict::ALL.into_iter().enumerate() {
        assert_eq!(verdict as usize, at, "ALL is in the order of the counters");
    }
    for (at, reason) in Ignored::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, at, "ALL is in the order of the counters");
    }
}
