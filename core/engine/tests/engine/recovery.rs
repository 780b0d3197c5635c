//! Repeating what got lost without waiting for a time-out: RFC 5681 §3.2, RFC 6582, RFC 2018, RFC 6675; and
//! telling the target what we miss.

use tcpcopy_engine::EngineOptions;
use tcpcopy_wire::{Options, SackBlocks, SeqNum};

use crate::script::Play;

/// Ten words of ten bytes under way: byte numbers 1, 11, … 91.
fn ten_words() -> Play {
    ten_words_with(Play::new())
}

fn ten_words_with(mut play: Play) -> Play {
    play.user_syn();
    play.target().window = 511; // as every later segment says
    play.user_acks(0);
    play.target_syn_ack();
    play.target_acks();
    for word in 0..10 {
        play.user_says([b'0' + word; 10], 0);
    }
    play.sent();
    play
}

/// The same, with words as large as a segment: byte numbers 1, 1461, 2921 …
fn ten_segments() -> Play {
    let mut play = Play::opened();
    play.target_acks();
    for word in 0..10 {
        play.user_says([b'0' + word; 1_460], 0);
    }
    play.sent();
    play
}

/// The target acknowledges what comes before `seq` and, selectively, `blocks`.
fn sack(play: &mut Play, seq: u32, blocks: &[(u32, u32)]) {
    let mut said = play.target().acks_to(seq);
    let iss = play.target().iss;
    let mut sack = SackBlocks::default();
    for (left, right) in blocks {
        sack.push(iss + *left, iss + *right);
    }
    said.options = Options { sack, ..said.options };
    play.respond(said);
}

#[test]
fn three_duplicate_acknowledgements_bring_the_missing_segment_at_once() {
    let mut play = ten_words();
    play.target_acks_to(1);
    play.target_acks_to(1);
    play.expect_nothing();
    play.target_acks_to(1);
    play.expect(&["P. 1 ack 1 0000000000"]);
    play.target_acks_to(1);
    play.expect_nothing();
    assert_eq!((play.statistics().fast_retransmits, play.statistics().timeouts), (1, 0));
}

#[test]
fn window_updates_are_no_duplicate_acknowledgements() {
    let mut play = ten_words();
    for window in [500, 400, 300, 200, 100] {
        play.target().window = window;
        play.target_acks_to(1);
    }
    play.expect_nothing();
}

#[test]
fn an_answer_in_several_segments_is_no_duplicate_acknowledgement() {
    let mut play = ten_words();
    play.target().is_deaf = true;
    play.target_acks_to(1);
    for _ in 0..5 {
        play.target_goes_on(1);
    }
    assert_eq!(play.statistics().fast_retransmits, 0);
    assert_eq!(play.statistics().retransmissions, 0);
}

#[test]
fn acknowledgements_repeated_while_nothing_is_under_way_mean_nothing() {
    let mut play = Play::opened();
    for _ in 0..10 {
        play.target_acks();
    }
    play.expect_nothing();
    assert_eq!(play.statistics().fast_retransmits, 0);
}

#[test]
fn a_partial_acknowledgement_brings_the_next_missing_segment() {
    // RFC 6582 §3.2 step 4: words at 1 and 31 were lost, the target does not do SACK.
    let mut play = ten_words();
    for _ in 0..3 {
        play.target_acks_to(1);
    }
    play.expect(&["P. 1 ack 1 0000000000"]);
    play.target_acks_to(31);
    play.expect(&["P. 31 ack 1 3333333333"]);
    play.target_acks_to(101);
    play.advance(10_000);
    play.expect_nothing();
    assert_eq!((play.statistics().fast_retransmits, play.statistics().timeouts), (1, 0));
}

#[test]
fn a_loss_halves_what_is_under_way() {
    let mut play = Play::opened();
    play.target_acks();
    let flight = |play: &mut Play| {
        play.user_says(vec![b'x'; 64 * 1_460], 0);
        play.sent().len() as u32
    };
    assert_eq!(flight(&mut play), 32);
    while play.engine.pending().bytes > 0 {
        play.target_acks();
        play.sent();
    }
    let una = 1 + 64 * 1_460;
    let sent = flight(&mut play);
    assert!(sent > 40);
    sack(&mut play, una, &[(una + 1_460, una + sent * 1_460)]);
    assert_eq!(play.sent()[0].seq, una);
    play.target_acks_to(una + sent * 1_460);
    while play.engine.pending().bytes > 0 {
        play.target_acks();
        play.sent();
    }
    let after = flight(&mut play);
    assert!((sent / 2..sent).contains(&after), "{after} segments, {sent} before");
}

#[test]
fn a_repetition_without_a_timeout_measures_nothing_either() {
    // RFC 6298 §3.
    let mut play = ten_words();
    play.advance(100);
    for _ in 0..3 {
        play.target_acks_to(1);
    }
    play.advance(90);
    play.target_acks_to(101);
    play.user_says("more", 0);
    play.sent();
    play.advance(200);
    play.expect(&["P. 101 ack 1 more"]);
}

#[test]
fn a_second_loss_after_recovery_is_recovered_again() {
    let mut play = ten_words();
    for _ in 0..3 {
        play.target_acks_to(1);
    }
    play.target_acks_to(101);
    play.user_says("aaaaaaaaaa", 0);
    play.user_says("bbbbbbbbbb", 0);
    play.sent();
    for _ in 0..3 {
        play.target_acks_to(101);
    }
    play.expect(&["P. 101 ack 1 aaaaaaaaaa"]);
    assert_eq!(play.statistics().fast_retransmits, 2);
}

#[test]
fn with_sack_only_the_holes_are_repeated() {
    let mut play = ten_segments();
    // Segments 0, 1 and 4 are missing.
    sack(&mut play, 1, &[(2_921, 5_841)]);
    play.expect_nothing();
    sack(&mut play, 1, &[(7_301, 8_761), (2_921, 5_841)]);
    play.expect(&["P. 1 ack 1 [1460]", "P. 1461 ack 1 [1460]", "P. 5841 ack 1 [1460]"]);
    sack(&mut play, 1, &[(7_301, 14_601), (2_921, 5_841)]);
    play.expect_nothing();
    play.target_acks_to(14_601);
    play.advance(10_000);
    play.expect_nothing();
}

#[test]
fn three_segments_sacked_are_as_good_as_three_duplicates() {
    // RFC 6675 §5: also when the acknowledgements in between were lost on the way back.
    let mut play = ten_segments();
    sack(&mut play, 1, &[(1_461, 5_841)]);
    play.expect(&["P. 1 ack 1 [1460]"]);
}

#[test]
fn a_hole_found_during_recovery_is_repeated_too() {
    let mut play = ten_segments();
    sack(&mut play, 1, &[(1_461, 5_841)]);
    play.expect(&["P. 1 ack 1 [1460]"]);
    sack(&mut play, 1, &[(7_301, 11_681), (1_461, 5_841)]);
    play.expect(&["P. 5841 ack 1 [1460]"]);
}

#[test]
fn a_block_below_what_is_acknowledged_is_a_report_of_a_duplicate() {
    // RFC 2883: D-SACK.
    let mut play = ten_segments();
    sack(&mut play, 2_921, &[(1, 1_461)]);
    sack(&mut play, 2_921, &[(1, 1_461)]);
    play.expect_nothing();
    play.target_acks();
    assert_eq!(play.statistics().retransmissions, 0);
}

#[test]
fn blocks_of_what_was_never_said_are_not_believed() {
    let mut play = ten_segments();
    sack(&mut play, 1, &[(1_461, 1_000_000)]);
    sack(&mut play, 1, &[(5_841, 1_461)]);
    play.expect_nothing();
    play.advance(200);
    assert_eq!(play.sent().len(), 10);
}

#[test]
fn blocks_without_the_permission_are_not_believed() {
    let mut play = Play::new();
    play.user.syn_options.sack_permitted = false;
    let mut play = ten_words_with(play);
    sack(&mut play, 1, &[(11, 101)]);
    play.expect_nothing();
    play.advance(200);
    assert_eq!(play.sent().len(), 10);
}

#[test]
fn after_a_timeout_nothing_sacked_is_relied_on() {
    // RFC 2018 §8: the target may have dropped what it had reported.
    let mut play = ten_segments();
    sack(&mut play, 1, &[(2_921, 5_841)]);
    play.advance(250);
    let again: Vec<u32> = play.sent().iter().map(|sent| sent.seq).collect();
    assert_eq!(again, [1, 1_461, 2_921, 4_381, 5_841, 7_301, 8_761, 10_221, 11_681, 13_141]);
}

#[test]
fn a_repetition_that_is_lost_too_is_left_to_the_timeout() {
    let mut play = ten_segments();
    sack(&mut play, 1, &[(1_461, 14_601)]);
    play.expect(&["P. 1 ack 1 [1460]"]);
    for _ in 0..10 {
        sack(&mut play, 1, &[(1_461, 14_601)]);
    }
    play.expect_nothing();
    play.advance(200);
    assert_eq!(play.sent()[0].line(), "P. 1 ack 1 [1460]");
}

#[test]
fn a_lost_fin_is_found_missing_by_the_answer_to_it_only() {
    let mut play = Play::opened();
    play.user_says("bye", 0);
    play.target_acks();
    play.user_fin(0);
    play.sent();
    for _ in 0..3 {
        play.target_acks_to(4);
    }
    play.expect(&["F. 4 ack 1"]);
}

#[test]
fn data_lost_together_with_the_fin_is_repeated_with_it() {
    let mut play = Play::opened();
    for word in ["one", "two", "three"] {
        play.user_says(word, 0);
    }
    play.user_fin(0);
    play.expect(&["P. 1 ack 1 one", "P. 4 ack 1 two", "P. 7 ack 1 three", "F. 12 ack 1"]);
    play.target_acks_to(7);
    play.advance(300);
    play.expect(&["FP. 7 ack 1 three"]);
    play.target_acks_to(13);
    play.target_fin();
    play.expect(&[". 13 ack 2"]);
}

#[test]
fn new_words_go_on_during_recovery() {
    let mut play = ten_words();
    for _ in 0..3 {
        play.target_acks_to(1);
    }
    play.sent();
    play.user_says("more", 0);
    play.expect(&["P. 101 ack 1 more"]);
}

#[test]
fn a_missing_part_of_the_answer_is_asked_for_at_once() {
    let mut play = Play::opened();
    play.target().next += 100;
    play.target_says(50);
    let sent = play.sent().remove(0);
    let isn = play.target().isn;
    assert_eq!(sent.line(), ". 1 ack 1");
    assert_eq!(sent.options().sack.as_slice(), [(isn + 101, isn + 151)]);
}

#[test]
fn what_fills_the_hole_is_acknowledged_with_what_lay_behind_it() {
    let mut play = Play::opened();
    let lost = play.target().says(100, tcpcopy_wire::Flags::default());
    play.target_says(50);
    play.sent();
    play.respond(lost);
    let sent = play.sent().remove(0);
    assert_eq!(sent.line(), ". 1 ack 151");
    assert_eq!(sent.options(), Options::default());
}

#[test]
fn several_holes_are_reported_as_several_blocks() {
    let mut play = Play::opened();
    for _ in 0..5 {
        play.target().next += 100;
        play.target_says(10);
    }
    let sent = play.sent();
    let isn = play.target().isn;
    let reported: Vec<(SeqNum, SeqNum)> = sent[4].options().sack.as_slice().to_vec();
    assert!((3..=4).contains(&reported.len()));
    for (left, right) in reported {
        let at = left.distance(isn + 101);
        assert_eq!((at % 110, right.distance(left)), (0, 10));
    }
    // RFC 2018 §4: the first block is the one that the segment just received belongs to.
    assert_eq!(sent[4].options().sack.as_slice()[0].0, isn + 541);
}

#[test]
fn holes_are_not_reported_to_a_target_that_did_not_permit_it() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.target().syn_options.sack_permitted = false;
    play.target_syn_ack();
    play.sent();
    play.target().next += 100;
    play.target_says(50);
    assert_eq!(play.sent()[0].options(), Options::default());
}

#[test]
fn an_answer_heard_twice_is_acknowledged_twice_and_counted_once() {
    // Two intercepts that both see the target.
    let mut play = Play::opened();
    let said = play.target().says(100, tcpcopy_wire::Flags::PSH);
    play.respond(said);
    play.respond(said);
    play.expect(&[". 1 ack 101"]);
    play.respond(said);
    play.expect(&[". 1 ack 101"]);
    assert_eq!(play.statistics().response_bytes, 100);
}

#[test]
fn losses_never_throttle_below_ten_segments() {
    let mut play = Play::with(EngineOptions::default()).open();
    play.target_acks();
    play.user_says(vec![b'x'; 40 * 1_460], 0);
    play.sent();
    play.advance(200);
    assert_eq!(play.sent().len(), 10);
}
