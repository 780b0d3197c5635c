//! What the capture shows of the user, in whatever order and shape: out of order, overlapping, too large, with
//! holes, without its beginning; and ports used again.

use tcpcopy_engine::{Ignored, Registration, Verdict};
use tcpcopy_wire::{Flags, SeqNum};

use crate::script::{Play, Sent, User, ms, words};

/// One word said and acknowledged, the next one never captured, `behind` it a third of the same turn.
fn holed() -> Play {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_says(100);
    play.user.says("lost", 100);
    play.user_says("behind", 0);
    play.advance(100);
    play.expect(&["P. 1 ack 1 one", ". 4 ack 101"]);
    play
}

#[test]
fn segments_captured_out_of_order_are_said_in_order() {
    let mut play = Play::opened();
    let said = ["one ", "two ", "six ", "ten"].map(|word| play.user.says(word, 0));
    for at in [2, 0, 3, 1] {
        play.capture(said[at].clone());
    }
    assert_eq!(words(&play.sent()), b"one two six ten");
}

#[test]
fn what_is_captured_twice_is_said_once() {
    let mut play = Play::opened();
    let word = play.user.says("hello", 0);
    for _ in 0..3 {
        play.capture(word.clone());
    }
    play.expect(&["P. 1 ack 1 hello"]);
    assert_eq!(play.ignored(Ignored::Duplicate), 2);
    assert_eq!((play.statistics().bytes_captured, play.statistics().turns_captured), (5, 1));
}

#[test]
fn repetitions_with_other_boundaries_add_only_what_is_new() {
    let mut play = Play::opened();
    let start = play.user.next;
    play.user_says("abcdef", 0);
    for (at, text) in [(2, "cdefgh"), (0, "abcd"), (7, "hij"), (12, "mn"), (9, "jklmno")] {
        let again = play.user.repeats(start + at, text);
        play.capture(again);
    }
    assert_eq!(words(&play.sent()), b"abcdefghijklmno");
}

#[test]
fn a_segment_larger_than_any_packet_is_cut_at_the_mss() {
    // Segmentation offload on the captured host: 4000 bytes, pushed at the end.
    let mut play = Play::opened();
    let text: Vec<u8> = (0..4_000_u32).map(|at| at as u8).collect();
    play.user_says(&text, 0);
    let sent = play.sent();
    let lines: Vec<String> = sent.iter().map(Sent::line).collect();
    assert_eq!(lines, [". 1 ack 1 [1460]", ". 1461 ack 1 [1460]", "P. 2921 ack 1 [1080]"]);
    assert_eq!(words(&sent), text);
}

#[test]
fn a_huge_segment_with_fin_is_cut_with_the_fin_on_the_last_piece() {
    let mut play = Play::opened();
    let last = play.user.says([b'x'; 3_000], 0).with(Flags::FIN);
    play.capture(last);
    play.expect(&[". 1 ack 1 [1460]", ". 1461 ack 1 [1460]", "FP. 2921 ack 1 [80]"]);
}

#[test]
fn a_large_upload_is_said_byte_for_byte() {
    let mut play = Play::opened();
    let text: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7 % 256) as u8).collect();
    for chunk in text.chunks(60_000) {
        play.user_says(chunk, 0);
    }
    let mut heard = Vec::new();
    while heard.len() < text.len() {
        let sent = play.sent();
        assert!(!sent.is_empty(), "stalls after {} bytes", heard.len());
        heard.extend(words(&sent));
        play.target_acks();
    }
    assert_eq!(heard, text);
    assert_eq!(play.engine.pending().bytes, 0);
}

#[test]
fn a_hole_that_is_filled_in_time_is_none() {
    let mut play = Play::opened();
    let late = play.user.says("one ", 0);
    play.user_says("two", 0);
    play.advance(4_900);
    play.expect_nothing();
    play.capture(late);
    play.expect(&["P. 1 ack 1 one ", "P. 5 ack 1 two"]);
    play.advance(20_000);
    assert_eq!(play.statistics().bytes_never_captured, 0);
}

#[test]
fn a_hole_that_stays_ends_the_session_with_a_reset() {
    let mut play = holed();
    play.advance(4_899);
    play.expect_nothing();
    play.advance(1);
    play.expect(&["R. 4 ack 101"]);
    play.expect_end(Verdict::CaptureGap);
}

#[test]
fn a_hole_that_the_user_may_still_fill_is_given_longer() {
    // Nothing shows that the online server has those bytes: the user's time-out may have backed off.
    let mut play = Play::opened();
    let late = play.user.says("one ", 0);
    play.user_says("two", 0);
    play.advance(29_999);
    play.expect_nothing();
    play.capture(late);
    play.expect(&["P. 1 ack 1 one ", "P. 5 ack 1 two"]);
}

#[test]
fn nothing_behind_a_hole_is_said_in_its_place() {
    let mut play = holed();
    play.advance(60_000);
    assert!(words(&play.sent()).is_empty());
}

#[test]
fn a_later_turn_behind_a_hole_gets_a_session_of_its_own() {
    let mut play = holed();
    play.user_says("next", 100);
    play.user_says(" turn", 0);
    play.expect_nothing();
    let first = play.session();
    play.advance(5_000);
    assert_ne!(play.session(), first);
    play.sent();
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 next", "P. 5 ack 1  turn"]);
    let statistics = play.statistics();
    assert_eq!((statistics.sessions_opened, statistics.sessions_joined), (2, 1));
    assert_eq!(statistics.bytes_never_captured, 4 + 6);
    play.user_fin(100);
    play.target_says(100);
    play.target_fin();
    play.advance(2_000);
    assert_eq!((play.ended(Verdict::CaptureGap), play.ended(Verdict::Complete)), (1, 1));
}

#[test]
fn a_turn_that_begins_after_a_hole_was_given_up_gets_a_session_too() {
    let mut play = holed();
    play.advance(5_000);
    play.expect(&["R. 4 ack 101"]);
    play.user_says("same turn", 0);
    play.expect_nothing();
    let next = play.user.next;
    play.user_says("next turn", 100);
    let syn = play.sent().remove(0);
    // The captured number minus one, so that both sides line up in a trace.
    assert_eq!((syn.line(), syn.headers.seq), ("S 0".into(), next - 1));
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 next turn"]);
    assert_eq!(play.ignored(Ignored::BeforeFirstTurn), 1);
}

#[test]
fn what_was_captured_before_a_hole_is_said_before_the_reset() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("one", 0);
    play.user.says("lost", 0);
    play.user_says("behind", 100);
    play.advance(5_500);
    play.sent();
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 one"]);
    play.target_acks();
    play.expect(&["R. 4 ack 1"]);
    play.expect_end(Verdict::CaptureGap);
}

#[test]
fn a_users_reset_behind_a_hole_is_a_capture_gap() {
    let mut play = holed();
    play.user_rst();
    play.expect(&["R. 4 ack 101"]);
    play.expect_end(Verdict::CaptureGap);
    assert!(play.statistics().bytes_never_captured >= 4);
}

#[test]
fn a_truncated_segment_is_a_hole_and_never_wrong_bytes() {
    let mut play = Play::opened();
    let cut = play.user.says("secret", 0).truncated();
    play.capture(cut);
    play.user_says("behind", 0);
    assert_eq!(play.ignored(Ignored::Truncated), 1);
    play.advance(30_000);
    play.expect(&["R. 1 ack 1"]);
    play.expect_end(Verdict::CaptureGap);
}

#[test]
fn a_repetition_fills_the_hole_of_a_truncated_segment() {
    let mut play = Play::opened();
    let whole = play.user.says("secret", 0);
    play.capture(whole.clone().truncated());
    play.capture(whole);
    play.expect(&["P. 1 ack 1 secret"]);
}

#[test]
fn a_segment_far_outside_of_the_stream_is_not_part_of_it() {
    let mut play = Play::opened();
    let far = play.user.repeats(play.user.next + (1 << 30), "far");
    play.capture(far);
    play.user_says("near", 0);
    play.expect(&["P. 1 ack 1 near"]);
    assert_eq!(play.ignored(Ignored::OutOfWindow), 1);
    play.advance(10_000);
    play.expect_alive();
}

#[test]
fn a_port_used_again_over_an_open_hole_keeps_the_new_connection() {
    let mut play = holed();
    play.user_says("next", 100);
    let first = play.session();
    play.user = User { isn: SeqNum(77_000), ..User::at("10.1.0.1:4000") };
    play.user_syn();
    let second = play.session();
    assert_ne!(first, second);
    play.target_syn_ack();
    play.advance(10_000);
    play.sent();
    play.user_says("hello", 0);
    let said: Vec<_> = play.sent().into_iter().filter(|sent| !sent.payload.is_empty()).collect();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].session, said[0].line()), (second, "P. 1 ack 1 hello".into()));
    assert_eq!(play.ignored(Ignored::OutOfWindow), 0);
    // The one before was not complete, whatever its end looked like.
    play.turn_to(first);
    play.target_fin();
    play.advance(2_000);
    assert_eq!((play.ended(Verdict::CaptureGap), play.ended(Verdict::Complete)), (1, 0));
}

#[test]
fn every_session_is_registered_once_and_removed_once() {
    let mut play = holed();
    play.user_says("next", 100);
    play.advance(5_000);
    play.engine.handle_shutdown(play.now);
    play.settle();
    let mut live = Vec::new();
    for registration in &play.registrations {
        match registration {
            Registration::Add { id, .. } => {
                assert!(!live.contains(id));
                live.push(*id);
            }
            Registration::Depth { .. } => panic!("without a module nobody wants payload"),
            Registration::Remove { id } => {
                assert!(live.contains(id));
                live.retain(|other| other != id);
            }
        }
    }
    assert!(live.is_empty());
}

#[test]
fn an_upload_reordered_across_the_end_of_the_sequence_space_is_said_in_order() {
    let mut play = Play::new();
    play.user.isn = SeqNum(u32::MAX - 10_000);
    let mut play = play.open();
    play.target_acks();
    let text: Vec<u8> = (0..30_000_u32).map(|at| (at % 253) as u8).collect();
    let said: Vec<_> = text.chunks(1_000).map(|chunk| play.user.says(chunk, 0)).collect();
    for at in 0..said.len() {
        play.capture(said[at ^ 1].clone());
    }
    assert_eq!(words(&play.sent()), text);
}

#[test]
fn segments_in_one_batch_are_taken_like_single_ones() {
    let mut play = Play::new();
    let batch = [play.user.syn(), play.user.acks(0), play.user.says("one", 0), play.user.says("two", 100)];
    let fin = play.user.fin(100);
    play.capture_batch(batch.into_iter().chain([fin]));
    play.target_syn_ack();
    play.expect(&["S 0", "P. 1 ack 1 one"]);
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
    play.target_says(100);
    play.expect(&["F. 7 ack 201"]);
}

#[test]
fn a_gap_is_counted_from_when_it_was_noticed() {
    let mut play = Play::opened();
    play.advance(60_000);
    play.user.says("lost", 0);
    play.user_says("behind", 100);
    play.advance(4_999);
    play.expect_alive();
    let fix = play.user.repeats(play.user.isn + 1, "lost");
    play.capture_at(fix, play.now - ms(1));
    assert_eq!(words(&play.sent()), b"lostbehind");
}
