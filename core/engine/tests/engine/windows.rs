//! The target's receive window: RFC 9293 §3.8.6, RFC 7323 §2; and our own limits.

use tcpcopy_engine::{EngineOptions, Verdict};

use crate::script::{Play, Sent, ms};

/// An opened play with a target that offers `window` bytes, without scaling.
fn offered(window: u16) -> Play {
    offered_with(window, EngineOptions::default())
}

fn offered_with(window: u16, options: EngineOptions) -> Play {
    let mut play = Play::with(options);
    play.user.syn_options.window_scale = None;
    play.user_syn();
    play.target().syn_options.window_scale = None;
    play.target().window = window;
    play.target().syn_window = window;
    play.user_acks(0);
    play.target_syn_ack();
    play.expect(&["S 0", ". 1 ack 1"]);
    play
}

fn payload(sent: &[Sent]) -> usize {
    sent.iter().map(|sent| sent.payload.len()).sum()
}

#[test]
fn no_more_is_sent_than_the_window_offers() {
    let mut play = offered(3_000);
    play.user_says([b'x'; 10_000], 0);
    play.expect(&[". 1 ack 1 [1460]", ". 1461 ack 1 [1460]"]);
    play.target_acks_to(1_461);
    play.expect(&[". 2921 ack 1 [1460]"]);
}

#[test]
fn windows_are_scaled_but_not_that_of_the_syn_ack() {
    let mut play = Play::new();
    play.user_syn();
    play.target().window = 100;
    play.target().syn_window = 1_000;
    play.target_syn_ack();
    play.user_says([b'x'; 30_000], 0);
    assert_eq!(payload(&play.sent()), 1_000);
    play.target_acks();
    assert_eq!(payload(&play.sent()), 8 * 1_460); // of 100 << 7
}

#[test]
fn a_shift_above_fourteen_counts_as_fourteen() {
    // RFC 7323 §2.3.
    let mut play = Play::new();
    play.user_syn();
    play.target().syn_options.window_scale = Some(200);
    play.target().window = 1;
    play.target_syn_ack();
    play.target_acks();
    play.user_says([b'x'; 30_000], 0);
    assert_eq!(payload(&play.sent()), 11 * 1_460); // of 1 << 14
}

#[test]
fn windows_of_a_target_that_did_not_want_scaling_are_taken_as_they_are() {
    let mut play = Play::new();
    play.user_syn();
    play.target().syn_options.window_scale = None;
    play.target().window = 2_000;
    play.target_syn_ack();
    play.target_acks();
    play.sent();
    play.user_says([b'x'; 5_000], 0);
    play.expect(&[". 1 ack 1 [1460]"]);
}

#[test]
fn a_closed_window_is_probed_with_doubling_pauses() {
    let mut play = offered(0);
    play.user_says("hello", 0);
    play.expect_nothing();
    play.advance(4_000);
    let probes = play.sent();
    // One below SND.UNA, without payload: the target has to answer it.
    assert!(probes.iter().all(|probe| probe.line() == ". 0 ack 1"));
    assert_eq!(probes.iter().map(|probe| probe.at).collect::<Vec<_>>(), [200, 600, 1_400, 3_000]);
    assert_eq!(play.statistics().probes, 4);
}

#[test]
fn a_window_that_opens_is_used_at_once() {
    let mut play = offered(0);
    play.user_says("hello", 0);
    play.advance(1_000);
    play.sent();
    play.target().window = 1_000;
    play.target_acks();
    play.expect(&["P. 1 ack 1 hello"]);
    play.target_acks();
    play.advance(10_000);
    play.expect_nothing();
}

#[test]
fn what_is_lost_after_a_window_was_closed_is_repeated_as_soon_as_ever() {
    let mut play = offered(0);
    play.user_says("hello", 0);
    play.advance(30_000);
    play.sent();
    play.target().window = 1_000;
    play.target_acks();
    play.expect(&["P. 1 ack 1 hello"]);
    play.advance(200);
    play.expect(&["P. 1 ack 1 hello"]);
}

#[test]
fn a_window_that_opened_unheard_is_found_by_the_next_probe() {
    let mut play = offered(0);
    play.user_says("hello", 0);
    play.target().window = 1_000; // the update is lost on the way to us
    play.advance(200);
    play.expect(&[". 0 ack 1"]);
    play.target_acks();
    play.expect(&["P. 1 ack 1 hello"]);
}

#[test]
fn a_window_closed_from_the_start_is_probed_too() {
    let mut play = Play::new();
    play.user_syn();
    play.target().syn_window = 0;
    play.target_syn_ack();
    play.user_says("hello", 0);
    play.expect(&["S 0", ". 1 ack 1"]);
    play.advance(200);
    play.expect(&[". 0 ack 1"]);
    play.target().window = 512;
    play.target_acks();
    play.expect(&["P. 1 ack 1 hello"]);
}

#[test]
fn a_closed_window_that_keeps_answering_is_waited_for_without_end() {
    // RFC 9293 §3.8.6.1: as long as the probes are acknowledged the connection stays open.
    let options = EngineOptions { response_timeout: ms(30_000), ..EngineOptions::default() };
    let mut play = offered_with(0, options);
    play.user_says("hello", 0);
    for _ in 0..60 {
        play.advance(10_000);
        play.target_acks();
    }
    play.expect_alive();
    assert!(play.sent().iter().all(|sent| sent.payload.is_empty()));
}

#[test]
fn a_closed_window_whose_target_is_gone_ends_in_time() {
    let options = EngineOptions { response_timeout: ms(30_000), ..EngineOptions::default() };
    let mut play = offered_with(0, options);
    play.user_says("hello", 0);
    play.advance(32_000);
    play.expect_end(Verdict::TargetSilent);
}

#[test]
fn a_fin_behind_a_closed_window_waits_for_its_data() {
    let mut play = offered(0);
    play.user_says("bye", 0);
    play.user_fin(0);
    play.advance(500);
    assert!(play.sent().iter().all(|sent| sent.line() == ". 0 ack 1"));
    play.target().window = 1_000;
    play.target_acks();
    play.expect(&["FP. 1 ack 1 bye"]);
}

#[test]
fn a_fin_alone_does_not_wait_for_a_window() {
    let mut play = offered(0);
    play.user_fin(0);
    play.advance(700);
    play.expect(&["F. 1 ack 1", "F. 1 ack 1", "F. 1 ack 1"]);
}

#[test]
fn a_pause_does_not_narrow_the_congestion_window() {
    let mut play = Play::opened();
    play.target_acks();
    for _ in 0..2 {
        play.user_says(vec![b'x'; 32 * 1_460], 0);
        assert_eq!(play.sent().len(), 32);
        play.target_acks();
        play.advance(100_000);
    }
}

#[test]
fn a_tiny_window_is_filled_when_nothing_is_under_way() {
    let mut play = offered(10);
    play.user_says("hello, target", 0);
    play.expect(&[". 1 ack 1 hello, tar"]);
    play.target_acks();
    play.expect(&["P. 11 ack 1 get"]);
}

#[test]
fn crumbs_of_a_window_are_not_sent() {
    // RFC 9293 §3.8.6.2.1: a whole segment, or half the largest window, or nothing.
    let mut play = offered(4_000);
    play.user_says([b'x'; 20_000], 0);
    play.expect(&[". 1 ack 1 [1460]", ". 1461 ack 1 [1460]"]);
    play.target().window = 2_640; // 100 bytes more than what is under way
    play.target_acks_to(1_461);
    play.expect_nothing();
    play.target().window = 4_000;
    play.target_acks_to(1_461);
    play.expect(&[". 2921 ack 1 [1460]"]);
}

#[test]
fn half_of_a_small_window_is_worth_sending() {
    let mut play = offered(1_000);
    play.user_says([b'x'; 5_000], 0);
    play.expect(&[". 1 ack 1 [1000]"]);
    play.target_acks_to(601);
    play.expect(&[". 1001 ack 1 [600]"]);
}

#[test]
fn a_window_that_shrinks_below_what_is_under_way_harms_nothing() {
    let mut play = offered(6_000);
    play.user_says([b'x'; 8_000], 0);
    assert_eq!(payload(&play.sent()), 4 * 1_460);
    play.target().window = 500;
    play.target_acks_to(1);
    play.expect_nothing();
    play.target_acks_to(1 + 4 * 1_460);
    play.expect(&[". 5841 ack 1 [500]"]);
}

#[test]
fn a_window_that_shrinks_to_nothing_is_probed_with_what_is_under_way() {
    // RFC 9293 §3.8.6: old data may be sent again beyond a window that shrank.
    let mut play = offered(6_000);
    play.user_says([b'x'; 8_000], 0);
    play.sent();
    play.target().window = 0;
    play.target_acks_to(1);
    play.advance(200);
    assert_eq!(play.sent()[0].seq, 1);
    play.target().window = 6_000;
    play.target_acks_to(5_841);
    assert_eq!(payload(&play.sent()), 8_000 - 5_840);
}

#[test]
fn an_overtaken_segment_does_not_bring_its_old_window_back() {
    // RFC 9293 §3.10.7.4: SND.WL1 and SND.WL2.
    let mut play = offered(3_000);
    let overtaken = play.target().says(10, tcpcopy_wire::Flags::PSH);
    play.target().window = 500;
    play.target_says(10);
    play.respond(overtaken);
    play.advance(10);
    play.sent();
    play.user_says([b'x'; 1_000], 0);
    assert_eq!(payload(&play.sent()), 500);
}

#[test]
fn the_first_flight_is_no_larger_than_the_congestion_window() {
    let mut play = Play::opened();
    play.target_acks();
    play.user_says(vec![b'x'; 44 * 1_460], 0);
    assert_eq!(play.sent().len(), 32);
    play.target_acks_to(1 + 2 * 1_460);
    assert_eq!(play.sent().len(), 4);
}

#[test]
fn an_upload_gets_through_a_receive_buffer_of_two_kibibytes() {
    // A target that takes in what it got only when its buffer is full, and says so late.
    let mut play = offered(2_048);
    let words: Vec<u8> = (0..65_536_u32).map(|at| (at % 251) as u8).collect();
    for chunk in words.chunks(1_460) {
        play.user_says(chunk, 0);
    }
    let mut heard: Vec<u8> = Vec::new();
    for _ in 0..2_000 {
        for sent in play.sent() {
            assert!(sent.payload.len() <= 2_048);
            let skip = heard.len() - (sent.seq as usize).saturating_sub(1).min(heard.len());
            heard.extend(sent.payload.get(skip..).unwrap_or_default());
        }
        if heard.len() == words.len() {
            break;
        }
        play.target().window = 0;
        play.target_acks();
        play.advance(5);
        play.target().window = 2_048;
        play.target_acks();
    }
    assert_eq!(heard, words);
    assert!(play.clock() < 1_000);
}

#[test]
fn a_target_that_acknowledges_without_ever_opening_gets_no_data() {
    let mut play = offered(0);
    play.user_says("hello", 0);
    for _ in 0..100 {
        play.target_acks();
        play.advance(100);
    }
    assert!(play.sent().iter().all(|sent| sent.payload.is_empty()));
    assert_eq!(play.engine.pending().bytes, 5);
}
