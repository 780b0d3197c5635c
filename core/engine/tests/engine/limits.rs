//! Bounds on memory and patience.

use tcpcopy_engine::{EngineOptions, Pending, SessionId, Verdict};
use tcpcopy_wire::{Segment, SeqNum};

use crate::script::{Play, User, ms};

fn patient(response_s: u64, idle_s: u64) -> Play {
    let options = EngineOptions {
        response_timeout: ms(response_s * 1_000),
        idle_timeout: ms(idle_s * 1_000),
        ..EngineOptions::default()
    };
    Play::with(options)
}

fn budget(memory_budget: usize) -> Play {
    Play::with(EngineOptions { memory_budget, ..EngineOptions::default() })
}

#[test]
fn an_idle_session_ends_in_time() {
    let mut play = patient(600, 30).open();
    play.user_says("hello", 0);
    play.target_says(100);
    play.advance(29_000);
    play.expect_alive();
    play.advance(3_000);
    play.expect_end(Verdict::Idle);
    let ended = play.statistics().ended[Verdict::Idle as usize];
    assert_eq!((ended.turns_lost, ended.bytes_lost), (0, 0));
}

#[test]
fn a_session_in_which_either_side_speaks_is_not_idle() {
    let mut play = patient(600, 30).open();
    play.user_says("hello", 0);
    play.target_says(100);
    for _ in 0..10 {
        play.advance(20_000);
        play.user_acks(0);
        play.advance(20_000);
        play.target_acks();
    }
    play.expect_alive();
}

#[test]
fn a_user_who_connects_and_says_nothing_is_left_after_a_minute() {
    let mut play = Play::new();
    play.user_syn();
    play.target_syn_ack(); // no acknowledgement of the user: a scan
    play.advance(59_000);
    play.expect_alive();
    play.advance(3_000);
    play.expect_end(Verdict::Idle);
}

#[test]
fn a_target_that_keeps_answering_slowly_is_not_silent() {
    let mut play = patient(30, 600).open();
    play.user_says("hello", 0);
    for _ in 0..20 {
        play.advance(20_000);
        play.target_goes_on(1);
    }
    play.expect_alive();
}

#[test]
fn memory_is_given_back_when_sessions_end() {
    let mut play = Play::new();
    for port in 4_000..4_100 {
        play.user = User::at(&format!("10.1.0.1:{port}"));
        play.user_syn();
        play.user_says(vec![b'x'; 10_000], 0);
    }
    assert!(play.engine.pending().memory > 1_000_000);
    play.engine.handle_shutdown(play.now);
    play.settle();
    assert_eq!(play.engine.pending(), Pending::default());
}

#[test]
fn memory_is_given_back_when_the_target_has_taken_it() {
    let mut play = Play::opened();
    play.target_acks();
    play.user_says(vec![b'x'; 1_000_000], 0);
    assert!(play.engine.pending().memory > 1_000_000);
    while play.engine.pending().bytes > 0 {
        play.target_acks();
    }
    play.target_says(100);
    assert!(play.engine.pending().memory < 100_000, "{:?}", play.engine.pending());
}

#[test]
fn a_full_memory_opens_no_further_session() {
    let mut play = budget(100_000);
    for port in 4_000..4_200 {
        play.user = User::at(&format!("10.1.0.1:{port}"));
        play.user_syn();
    }
    let pending = play.engine.pending();
    assert!(pending.memory <= 110_000);
    assert_eq!(play.statistics().sessions_opened, pending.sessions);
    assert!(pending.sessions > 10 && pending.sessions < 200);
    // The last user was refused: what is said counts as lost, once for a turn however many segments it has.
    play.user_says("ask", 0);
    play.user_says("more", 0);
    assert_eq!(play.ended(Verdict::MemoryBudget), 1);
    assert_eq!(play.statistics().turns_lost(), 1);
    assert_eq!((play.statistics().bytes_lost(), play.statistics().bytes_before_first_turn), (3, 4));
}

#[test]
fn a_session_that_would_exceed_the_memory_ends_and_says_so() {
    let mut play = budget(100_000).open();
    for _ in 0..10 {
        play.user_says(vec![b'x'; 30_000], 0);
    }
    assert_eq!(play.sent().last().map(|sent| sent.headers.flags.rst()), Some(true));
    play.expect_end(Verdict::MemoryBudget);
    let statistics = play.statistics();
    let ended = statistics.ended[Verdict::MemoryBudget as usize];
    assert_eq!((ended.sessions, ended.turns_lost, ended.bytes_lost), (1, 1, statistics.bytes_captured));
}

#[test]
fn a_batch_that_goes_on_after_the_memory_is_full_adds_nothing_to_the_ended_session() {
    // The runtime hands in everything its ring holds before it lets the engine act.
    let mut play = budget(100_000).open();
    let batch: Vec<_> = (0..20).map(|_| play.user.says(vec![b'x'; 30_000], 0)).collect();
    play.capture_batch(batch);
    play.expect_end(Verdict::MemoryBudget);
    let statistics = play.statistics();
    assert_eq!(statistics.ended[Verdict::MemoryBudget as usize].bytes_lost, statistics.bytes_captured);
    assert!(statistics.bytes_captured <= 150_000);
}

#[test]
fn what_waits_behind_a_hole_is_bounded() {
    let mut play = Play::opened();
    play.user.says("lost", 0);
    for _ in 0..600 {
        play.user_says(vec![b'x'; 30_000], 0);
    }
    play.expect_end(Verdict::MemoryBudget);
}

#[test]
fn behind_a_hole_the_number_of_segments_is_bounded_too() {
    let mut play = Play::opened();
    play.user.says("lost", 0);
    for _ in 0..40_000 {
        play.user_says("x", 0);
    }
    play.expect_end(Verdict::MemoryBudget);
}

#[test]
fn an_engine_without_sessions_asks_for_no_wake_up() {
    let mut play = Play::new();
    assert_eq!(play.engine.poll_timeout(), None);
    play.user_syn();
    assert!(play.engine.poll_timeout().is_some());
    play.advance(100_000);
    assert_eq!(play.engine.pending().sessions, 0);
    assert_eq!(play.engine.poll_timeout(), None);
}

#[test]
fn a_response_for_nobody_is_counted_and_forgotten() {
    let mut play = Play::opened();
    let syn_ack = play.target().syn_ack();
    play.engine.handle_response(play.now, play.now, SessionId::from_bits(u64::MAX), &syn_ack);
    play.engine.handle_too_large(SessionId::from_bits(12_345));
    play.settle();
    play.expect_nothing();
    assert_eq!(play.statistics().stale_responses, 1);
}

#[test]
fn gigantic_answers_in_one_batch_do_no_harm() {
    let mut play = Play::opened();
    let batch: Vec<Segment<'static>> =
        (0..8).map(|_| play.target().says(1 << 29, tcpcopy_wire::Flags::default())).collect();
    play.respond_batch(batch);
    let lines: Vec<String> = play.sent().iter().map(|sent| sent.line()).collect();
    assert_eq!(lines, [". 1 ack 1"], "of exactly four gibibytes");
    assert_eq!(play.statistics().response_bytes, 8 << 29);
}

#[test]
fn a_timer_is_not_late_however_many_came_and_went() {
    let mut play = Play::opened();
    for question in 0..1_000 {
        play.user_says("ask", if question == 0 { 0 } else { 100 });
        play.target_says(100);
        play.advance(7);
    }
    play.sent();
    play.user_says("last", 100);
    let asked = play.sent().last().map(|sent| sent.at).expect("asked");
    play.advance(1_000);
    assert_eq!(play.sent()[0].at, asked + 200);
}

#[test]
fn old_numbers_are_followed_through_four_gibibytes_of_upload() {
    // Offsets are wider than sequence numbers: everything said lies where the user had it.
    let mut play = Play::with(EngineOptions { mtu: u16::MAX, ..EngineOptions::default() });
    play.user.syn_options.mss = Some(65_000);
    play.user_syn();
    play.target().syn_options = play.user.syn_options;
    play.target().window = u16::MAX;
    play.target_syn_ack();
    play.target_acks();
    play.sent();
    let piece = vec![b'x'; 8 << 20];
    for _ in 0..(4_u64 << 30).div_ceil(8 << 20) + 2 {
        let said = play.user.says(&piece, 0);
        play.engine.handle_capture(play.now, play.now, &said.segment());
        while play.engine.pending().bytes > 0 {
            play.settle();
            play.target_acks();
            play.sent();
        }
    }
    assert!(play.statistics().bytes_captured > 4 << 30);
    assert_eq!(play.statistics().retransmissions, 0);
    let next = play.user.next;
    play.user_says("bye", 0);
    let last = play.sent().remove(0);
    assert_eq!((last.headers.seq, &last.payload[..]), (next, &b"bye"[..]));
    assert_ne!(next, SeqNum(0));
}

#[test]
fn a_target_that_repeats_its_syn_ack_does_not_keep_a_silent_user_alive() {
    let mut play = Play::new();
    play.user_syn();
    for _ in 0..7 {
        play.target_syn_ack();
        play.advance(10_000);
    }
    play.expect_end(Verdict::Idle);
}
