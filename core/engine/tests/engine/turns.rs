//! When the user's next words are said: DESIGN §5, the rules of `turns`; all users here are near.

use tcpcopy_engine::{Awaited, EngineOptions};
use tcpcopy_wire::Flags;

use crate::script::{ACK_DELAY, Play};

/// One question is asked and, after hearing 100 bytes of production, a second one.
fn asked_twice() -> Play {
    Play::opened().asks_twice()
}

#[test]
fn the_second_question_waits_for_the_answer_to_the_first() {
    let mut play = asked_twice();
    play.expect(&["P. 1 ack 1 one"]);
    play.target_acks();
    play.advance(5_000);
    play.expect_nothing();
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn an_answer_that_came_before_the_second_question_is_not_waited_for() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.target_says(100);
    play.advance(50);
    play.sent();
    play.user_says("two", 100);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn an_answer_in_parts_is_complete_when_as_long_as_productions() {
    let mut play = asked_twice();
    play.sent();
    play.target_says(60);
    play.target_says(39);
    play.expect(&[". 4 ack 61", ". 4 ack 100"]);
    play.target_says(1);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_longer_answer_is_complete_when_it_is_pushed() {
    let mut play = asked_twice();
    for _ in 0..10 {
        play.target_goes_on(1_000);
    }
    assert!(play.sent().iter().skip(1).all(|sent| sent.payload.is_empty()));
    play.target_says(500);
    assert_eq!(play.sent().last().map(|sent| sent.line()), Some("P. 4 ack 10501 two".into()));
}

#[test]
fn a_shorter_answer_is_complete_after_the_silence_the_user_kept() {
    let mut play = asked_twice();
    play.target_says(10);
    play.advance(49);
    play.expect(&["P. 1 ack 1 one", ". 4 ack 11"]);
    play.advance(1);
    play.expect(&["P. 4 ack 11 two"]);
}

#[test]
fn the_silence_after_a_shorter_answer_is_bounded() {
    let mut play = Play::opened();
    play.user_says("one", 0);
    play.advance(9_000);
    play.user_says("two", 100);
    play.sent();
    play.target_says(10);
    play.advance(199);
    play.expect(&[". 4 ack 11"]);
    play.advance(1);
    play.expect(&["P. 4 ack 11 two"]);
}

#[test]
fn a_part_that_comes_during_the_silence_is_waited_for_anew() {
    let mut play = asked_twice();
    play.target_says(10);
    play.advance(40);
    play.target_says(10);
    play.sent();
    play.advance(49);
    assert!(play.sent().iter().all(|sent| sent.payload.is_empty()));
    play.advance(1);
    play.expect(&["P. 4 ack 21 two"]);
}

#[test]
fn an_answer_that_is_never_pushed_is_complete_after_a_longer_silence() {
    let mut play = asked_twice();
    play.target_goes_on(100);
    play.advance(199);
    play.expect(&["P. 1 ack 1 one", ". 4 ack 101"]);
    play.advance(1);
    play.expect(&["P. 4 ack 101 two"]);
}

#[test]
fn a_push_that_arrives_before_what_it_follows_counts_when_all_is_there() {
    for first_push in [Flags::default(), Flags::PSH] {
        let mut play = asked_twice();
        let first = play.target().says(60, first_push);
        let second = play.target().says(40, Flags::PSH);
        play.respond(second);
        play.sent();
        play.respond(first);
        play.expect(&["P. 4 ack 101 two"]);
    }
}

#[test]
fn an_answer_that_does_not_come_holds_the_user_back_for_ten_seconds() {
    let mut play = asked_twice();
    play.target_acks();
    play.advance(9_949);
    play.expect(&["P. 1 ack 1 one"]);
    play.advance(1);
    play.expect(&["P. 4 ack 1 two"]);
    assert_eq!(play.statistics().turns_not_awaited, 1);
}

#[test]
fn an_answer_that_comes_late_still_opens_the_next_turn() {
    let mut play = asked_twice();
    play.target_acks();
    play.advance(9_000);
    play.sent();
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two"]);
    assert_eq!(play.statistics().turns_not_awaited, 0);
}

#[test]
fn a_backlog_of_questions_is_asked_one_by_one() {
    let mut play = Play::opened();
    for word in ["one", "two", "six"] {
        play.user_says(word, 100);
    }
    // Even the first: production had spoken before the user did.
    play.expect_nothing();
    play.target_says(100);
    play.expect(&["P. 1 ack 101 one"]);
    play.target_says(100);
    play.expect(&["P. 4 ack 201 two"]);
    play.target_says(100);
    play.expect(&["P. 7 ack 301 six"]);
}

#[test]
fn the_segments_of_one_question_go_together() {
    let mut play = asked_twice();
    play.user_says(" more", 0);
    play.user_says(" words", 0);
    play.sent();
    play.target_says(100);
    play.expect(&["P. 4 ack 101 two", "P. 7 ack 101  more", "P. 12 ack 101  words"]);
}

#[test]
fn a_user_who_does_not_wait_is_not_made_to() {
    // Pipelining: ten questions without hearing anything.
    let mut play = Play::opened();
    for _ in 0..10 {
        play.user_says("ask", 0);
    }
    assert_eq!(play.sent().len(), 10);
}

#[test]
fn with_overlapping_turns_no_answer_is_waited_for() {
    let options = EngineOptions { awaited: Awaited::Greetings, ..EngineOptions::default() };
    let mut play = Play::with(options).open().asks_twice();
    play.expect(&["P. 1 ack 1 one", "P. 4 ack 1 two"]);
    assert_eq!(play.statistics().turns_not_awaited, 0);
}

#[test]
fn a_target_that_speaks_first_is_heard_first() {
    let mut play = Play::opened();
    play.user_says("login", 60);
    play.advance(2_000);
    play.expect_nothing();
    play.target_says(60);
    play.expect(&["P. 1 ack 61 login"]);
}

#[test]
fn a_target_that_speaks_first_is_heard_first_even_with_overlapping_turns() {
    let options = EngineOptions { awaited: Awaited::Greetings, ..EngineOptions::default() };
    let mut play = Play::with(options).open();
    play.user_says("login", 60);
    play.expect_nothing();
    play.target_says(60);
    play.expect(&["P. 1 ack 61 login"]);
}

#[test]
fn where_nothing_is_waited_for_a_target_need_not_speak_first() {
    let options = EngineOptions { awaited: Awaited::Nothing, ..EngineOptions::default() };
    let mut play = Play::with(options).open();
    play.user_says("login", 60);
    play.expect(&["P. 1 ack 1 login"]);
    play.user_says("query", 100);
    play.expect(&["P. 6 ack 1 query"]);
    assert_eq!(play.statistics().turns_not_awaited, 0);
}

#[test]
fn a_greeting_that_came_early_is_remembered() {
    let mut play = Play::opened();
    play.target_says(60);
    play.advance(100);
    play.expect(&[". 1 ack 61"]);
    play.user_says("login", 60);
    play.expect(&["P. 1 ack 61 login"]);
}

#[test]
fn an_overtaken_acknowledgement_opens_no_turn() {
    // The user repeats the first part of a question, having heard more by then; the second part, captured
    // before, acknowledges less. It is still one question.
    let mut play = Play::opened();
    play.user_says("zero", 0);
    play.target_says(200);
    let lost = play.user.says("one ", 100);
    let captured = play.user.says("and ", 0);
    play.capture(captured);
    let repeated = play.user.repeats(lost.headers.seq, "one ").having_heard_less(0);
    play.user_acks(100);
    let mut repeated_later = repeated;
    repeated_later.headers.ack = play.user.heard_to;
    play.sent();
    play.capture(repeated_later);
    play.user_says("two", 0);
    play.expect(&["P. 5 ack 201 one ", "P. 9 ack 201 and ", "P. 13 ack 201 two"]);
    assert_eq!(play.statistics().turns_captured, 2);
}

#[test]
fn a_turn_after_an_answer_of_three_gibibytes_is_still_a_turn() {
    // The user acknowledged the answer bit by bit; between two words the sum exceeds what a sequence number's
    // distance can say.
    let mut play = Play::opened();
    play.user_says("get it", 0);
    for _ in 0..6 {
        play.user_acks(1 << 29);
    }
    play.user_says("thanks", 0);
    play.expect(&["P. 1 ack 1 get it"]);
    assert_eq!(play.statistics().turns_captured, 2);
}

#[test]
fn answers_of_more_than_four_gibibytes_are_followed() {
    let mut play = Play::opened();
    play.user_says("get it", 0);
    for _ in 0..9 {
        play.target_goes_on(1 << 29);
    }
    play.target_says(1_000);
    play.advance(ACK_DELAY);
    assert_eq!(play.statistics().response_bytes, 9 * (1 << 29) + 1_000);
    let next = play.target().next;
    assert_eq!(play.sent().last().map(|sent| sent.headers.ack), Some(next));
}

#[test]
fn the_users_boundaries_are_kept() {
    let mut play = Play::opened();
    let no_push = play.user.says("GET / HTTP/1.1\r\n", 0).without(Flags::PSH);
    play.capture(no_push);
    play.user_says("\r\n", 0);
    play.expect(&[". 1 ack 1 GET / HTTP/1.1\\r\\n", "P. 17 ack 1 \\r\\n"]);
}

#[test]
fn words_kept_for_a_slow_target_keep_their_boundaries_too() {
    let mut play = Play::new();
    play.user_syn();
    for word in ["a", "bc", "def"] {
        play.user_says(word, 0);
    }
    play.sent();
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 a", "P. 2 ack 1 bc", "P. 4 ack 1 def"]);
}

#[test]
fn urgent_words_are_said_like_others() {
    let mut play = Play::opened();
    let urgent = play.user.says("now!", 0).with(Flags(0x20));
    play.capture(urgent);
    play.expect(&["P. 1 ack 1 now!"]);
}

#[test]
fn small_words_do_not_wait_for_company() {
    // No Nagle: the user's own segments are said when the user said them.
    let mut play = Play::opened();
    play.user_says("a", 0);
    play.user_says("b", 0);
    play.user_says("c", 0);
    play.expect(&["P. 1 ack 1 a", "P. 2 ack 1 b", "P. 3 ack 1 c"]);
}
