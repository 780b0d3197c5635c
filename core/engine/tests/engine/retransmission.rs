//! Repeating what got lost after a time-out: RFC 6298, for data, FIN and both together.

use tcpcopy_engine::{EngineOptions, Verdict};

use crate::script::{ACK_DELAY, Play, Sent, ms};

fn times(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|sent| sent.at).collect()
}

/// A play in which the handshake with the target took `millis`.
fn with_round_trip(millis: u64) -> Play {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.advance(millis);
    play.target_syn_ack();
    play.expect(&["S 0", ". 1 ack 1"]);
    play
}

#[test]
fn unanswered_data_is_repeated_with_doubling_pauses() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.advance(20_000);
    let sent = play.sent();
    assert!(sent.iter().all(|sent| sent.line() == "P. 1 ack 1 hello"));
    assert_eq!(times(&sent), [0, 200, 600, 1_400, 3_000, 6_200, 12_600]);
    assert_eq!((play.statistics().timeouts, play.statistics().retransmissions), (6, 6));
}

#[test]
fn the_pause_never_exceeds_a_minute() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.advance(500_000);
    let times = times(&play.sent());
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest.is_some_and(|pause| (50_000..=60_000).contains(&pause)), "{times:?}");
}

#[test]
fn the_timeout_follows_the_handshakes_round_trip() {
    let mut play = with_round_trip(400);
    play.user_says("hello", 0);
    play.advance(2_000);
    // RFC 6298 §2.2: SRTT 400 ms + 4 × RTTVAR 200 ms.
    assert_eq!(times(&play.sent()), [400, 1_600]);
}

#[test]
fn an_acknowledged_segment_refines_the_timeout() {
    let mut play = with_round_trip(400);
    play.user_says("one", 0);
    play.advance(400);
    play.target_acks();
    play.user_says("two", 0);
    play.sent();
    play.advance(2_000);
    // RFC 6298 §2.3: SRTT 400 ms, RTTVAR 150 ms.
    assert_eq!(times(&play.sent()), [800 + 1_000]);
}

#[test]
fn an_acknowledgement_of_a_repeated_segment_measures_nothing() {
    let mut play = with_round_trip(400);
    play.user_says("one", 0);
    play.advance(1_300);
    play.target_acks(); // 100 ms after the repetition, 1300 ms after the original: nobody knows which
    play.sent();
    play.user_says("two", 0);
    play.advance(5_000);
    let times = times(&play.sent());
    assert_eq!(times[1] - times[0], 1_200);
}

#[test]
fn a_repeated_syn_measures_nothing() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.advance(1_100);
    play.target_syn_ack();
    play.user_says("one", 0);
    play.sent();
    play.advance(1_100);
    // RFC 6298 §2.1: one second until something has been measured.
    assert_eq!(times(&play.sent()), [2_100]);
}

#[test]
fn an_acknowledgement_of_something_new_ends_the_backing_off() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.advance(3_100);
    play.target_acks();
    play.sent();
    play.user_says("again", 0);
    play.advance(300);
    assert_eq!(times(&play.sent()), [3_100, 3_300]);
}

#[test]
fn each_acknowledgement_of_something_new_starts_the_timer_anew() {
    // RFC 6298 §5.3.
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.user_says("two", 0);
    play.advance(150);
    play.target_acks_to(4);
    play.sent();
    play.advance(199);
    play.expect_nothing();
    play.advance(1);
    play.expect(&["P. 4 ack 1 two"]);
}

#[test]
fn only_what_the_target_has_not_taken_is_repeated() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.target_acks_to(3);
    play.sent();
    play.advance(200);
    play.expect(&["P. 3 ack 1 llo"]);
}

#[test]
fn everything_under_way_is_repeated_after_a_timeout() {
    let mut play = Play::opened();
    for word in ["one", "two", "three"] {
        play.user_says(word, 0);
    }
    play.sent();
    play.advance(200);
    play.expect(&["P. 1 ack 1 one", "P. 4 ack 1 two", "P. 7 ack 1 three"]);
}

#[test]
fn what_was_not_said_before_a_timeout_is_said_after_it() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.advance(200);
    play.sent();
    play.user_says("two", 0);
    play.expect(&["P. 4 ack 1 two"]);
    play.target_acks();
    play.advance(5_000);
    play.expect_nothing();
}

#[test]
fn a_fin_is_repeated_until_it_is_acknowledged() {
    let mut play = Play::opened();
    play.user_fin(0);
    play.advance(1_500);
    let sent = play.sent();
    assert!(sent.iter().all(|sent| sent.line() == "F. 1 ack 1"));
    assert_eq!(times(&sent), [0, 200, 600, 1_400]);
    play.target_acks();
    play.advance(10_000);
    play.expect_nothing();
}

#[test]
fn data_and_fin_are_repeated_together() {
    let mut play = Play::opened();
    play.user_says("bye", 0);
    play.user_fin(0);
    play.sent();
    play.advance(200);
    play.expect(&["FP. 1 ack 1 bye"]);
}

#[test]
fn a_fin_whose_data_arrived_is_repeated_alone() {
    let mut play = Play::opened();
    play.user_says("bye", 0);
    play.user_fin(0);
    play.target_acks_to(4);
    play.sent();
    play.advance(200);
    play.expect(&["F. 4 ack 1"]);
}

#[test]
fn a_target_that_says_nothing_any_more_ends_the_session_in_time() {
    let options = EngineOptions { response_timeout: ms(30_000), ..EngineOptions::default() };
    let mut play = Play::with(options).open();
    play.user_says("hello", 0);
    play.advance(29_000);
    play.expect_alive();
    play.sent();
    play.advance(3_000);
    play.expect(&["R. 6 ack 1"]);
    play.expect_end(Verdict::TargetSilent);
    let ended = play.statistics().ended[Verdict::TargetSilent as usize];
    assert_eq!((ended.turns_lost, ended.bytes_lost), (1, 5));
}

#[test]
fn segments_that_never_arrive_shrink_in_case_the_path_swallows_large_ones() {
    // RFC 4821 §7.7: a black hole for full-sized packets, without any ICMP message.
    let mut play = Play::opened();
    play.user_says([b'x'; 1_460], 0);
    play.advance(700);
    assert!(play.sent().iter().all(|sent| sent.payload.len() == 1_460));
    play.advance(1_000);
    play.expect(&[". 1 ack 1 [536]", ". 537 ack 1 [536]", "P. 1073 ack 1 [388]"]);
}

#[test]
fn a_packet_too_large_for_the_path_is_cut_to_the_next_usual_size() {
    // RFC 1191 §7: after 1500 comes 1492.
    let mut play = Play::opened();
    play.user_says([b'x'; 1_460], 0);
    play.sent();
    let id = play.session();
    play.engine.handle_too_large(id);
    play.advance(200);
    let sent = play.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].payload.len() <= 1_452);
    assert_eq!(sent[0].payload.len() + sent[1].payload.len(), 1_460);
    assert_eq!(sent[1].seq, 1 + sent[0].payload.len() as u32);
}

#[test]
fn segments_never_shrink_to_nothing() {
    let mut play = Play::opened();
    let id = play.session();
    for _ in 0..100 {
        play.engine.handle_too_large(id);
    }
    play.user_says([b'x'; 1_000], 0);
    assert!(play.sent()[0].payload.len() >= 88);
}

#[test]
fn an_answer_acknowledges_what_was_said() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.target_says(10);
    play.sent();
    play.advance(ACK_DELAY);
    play.expect(&[". 6 ack 11"]);
    play.advance(60_000);
    play.expect_nothing();
}

#[test]
fn an_acknowledgement_lost_on_the_way_back_is_made_up_for_by_the_next() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.target(); // its acknowledgement never reaches us
    play.advance(200);
    play.expect(&["P. 1 ack 1 hello", "P. 1 ack 1 hello"]);
    play.target_acks();
    play.user_says("again", 0);
    play.expect(&["P. 6 ack 1 again"]);
    assert_eq!(play.engine.pending().bytes, 5);
}

#[test]
fn an_acknowledgement_of_what_was_never_said_is_not_believed() {
    let mut play = Play::opened();
    play.user_says("hello", 0);
    play.target_acks_to(7);
    assert_eq!(play.engine.pending().bytes, 5);
    play.sent();
    play.advance(200);
    play.expect(&["P. 1 ack 1 hello"]);
}
