//! A module between what is captured and what is said: edits, turns by its word, and what it costs to have none.

use tcpcopy_engine::{Event, Registration, Verdict};
use tcpcopy_plugin_api::Depth;
use tcpcopy_wire::{Flags, Segment};

use crate::script::{ACK_DELAY, Lines, Play, ms, words};

/// The labels of all exchanges.
fn labels(events: Vec<Event>) -> Vec<String> {
    let label = |event| match event {
        Event::Exchange { exchange, .. } => Some(exchange.label),
        _ => None,
    };
    events.into_iter().filter_map(label).collect()
}

/// The target answers the first line with so many thousand bytes, none of which the module takes.
fn answered_at_length(thousands: u32) -> Play {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    let words = "x".repeat(1000).leak();
    (0..thousands).for_each(|_| play.target_answers(words));
    play
}

/// How long the target took, in microseconds.
fn latency(event: &Event) -> Option<u64> {
    match event {
        Event::Exchange { exchange, .. } => exchange.target.map(|answer| answer.latency_us),
        _ => None,
    }
}

#[test]
fn whole_lines_are_said_and_the_rest_waits_for_its_end() {
    let mut play = Play::served_by(Lines::default());
    play.user_says("one\ntw", 0);
    play.expect(&["P. 1 ack 1 one\\n"]);
    play.user_says("o\n", 0);
    assert_eq!(words(&play.sent()), b"two\n");
}

#[test]
fn edits_shift_what_follows() {
    let mut play = Play::served_by(Lines::default());
    play.user_says("edit this\ndrop that\nlast\n", 0);
    assert_eq!(words(&play.sent()), b"EDITED\nlast\n");
    play.target_acks();
    let statistics = play.statistics();
    assert_eq!((statistics.bytes_captured, statistics.bytes_discarded), (25, 10));
    assert_eq!(play.engine.pending().bytes, 0);
    let discards: Vec<_> =
        play.engine.discards().map(|(reason, all)| (reason, all.times, all.bytes)).collect();
    assert_eq!(discards, [("dropped", 1, 10)]);
}

#[test]
fn bytes_forwarded_before_they_come_are_said_as_they_come() {
    let mut play = Play::served_by(Lines::default());
    play.user_says("long 10\n12345", 0);
    play.user_says("67890nex", 0);
    play.user_says("t\n", 0);
    assert_eq!(words(&play.sent()), b"long 10\n1234567890next\n");
    assert_eq!(play.statistics().turns_captured, 2);
}

#[test]
fn a_turn_waits_for_the_whole_answer_however_it_is_cut() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    play.user_says("two\n", 3);
    play.sent();
    play.target_answers("a long ans");
    play.advance(9_000);
    assert!(words(&play.sent()).is_empty(), "twice what production said, and silence, are not an answer");
    play.target_answers("wer\n");
    assert_eq!(words(&play.sent()), b"two\n");
}

#[test]
fn a_shorter_answer_that_is_whole_is_not_waited_for_any_longer() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    play.user_says("two\n", 5_000);
    play.sent();
    play.target_answers("\n");
    assert_eq!(words(&play.sent()), b"two\n");
    assert_eq!(play.statistics().turns_not_awaited, 0);
}

#[test]
fn a_user_who_did_not_wait_is_not_made_to() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\ntwo\n", 0);
    play.user_says("three\n", 0);
    assert_eq!(words(&play.sent()), b"one\ntwo\nthree\n");
    assert_eq!(play.statistics().turns_captured, 3);
}

#[test]
fn a_pause_within_a_turn_waits_where_the_user_did() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("wait\n", 0);
    play.user_says("body\n", 4);
    play.advance(100);
    assert_eq!(words(&play.sent()), b"wait\n");
    play.target_answers("go on\n");
    assert_eq!(words(&play.sent()), b"body\n");
}

#[test]
fn nothing_is_wanted_of_the_target_unless_the_module_asks() {
    let play = Play::served_by(Lines::default());
    assert!(matches!(play.registrations[..], [Registration::Add { depth: 0, .. }]));
    let play = Play::served_by(Lines { depth: Depth::first(100), ..Lines::default() });
    assert!(matches!(play.registrations[..], [Registration::Add { depth: 100, .. }]));
}

#[test]
fn a_module_that_wants_nothing_is_let_go() {
    let mut play = Play::served_by(Lines { is_idle: true, ..Lines::default() });
    play.user_says("break\n", 0);
    play.user_says("without an end", 1);
    play.target_says(1);
    assert_eq!(words(&play.sent()), b"break\nwithout an end");
    play.expect_alive();
    assert_eq!(play.engine.generations()[0].sessions_live, 1);
}

#[test]
fn what_lies_beyond_the_depth_is_told_as_missing() {
    let mut play = Play::served_by(Lines { depth: Depth::first(2), ..Lines::default() });
    play.user_says("one\n", 0);
    let said = play.target().says(5, Flags::PSH);
    play.respond(Segment { payload: b"an", ..said });
    assert_eq!(labels(play.events()), ["Target misses 3"]);
}

#[test]
fn answers_out_of_order_are_shown_in_order() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    let flags = Flags::PSH;
    let [first, second] = [play.target().says(3, flags), play.target().says(3, flags)];
    play.respond(Segment { payload: b"er\n", ..second });
    assert_eq!(labels(play.events()), [""; 0]);
    play.respond(Segment { payload: b"ans", ..first });
    assert_eq!(labels(play.events()), ["line"]);
}

#[test]
fn both_answers_are_compared_with_their_times() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    assert!(play.engine.wants_online());
    play.user_says("one\n", 0);
    let online = play.user.online_says("online\n");
    play.capture(online);
    play.advance(30);
    play.target_answers("target!\n");
    let events = play.events();
    let [Event::Exchange { mapping: 0, generation: 1, exchange }] = &events[..] else {
        panic!("one exchange, not {events:?}");
    };
    assert_eq!(exchange.online.map(|answer| answer.size), Some(7));
    assert_eq!(exchange.target.map(|answer| (answer.size, answer.latency_us)), Some((8, 30_000)));
    assert_eq!(play.statistics().online_segments, 1);
}

#[test]
fn answers_in_one_packet_are_each_measured_from_when_their_turn_was_said() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.advance(20);
    play.user_says("two\n", 0);
    play.advance(10);
    play.target_answers("first\nsecond\nthi");
    let events = play.events();
    let latencies: Vec<_> = events.iter().filter_map(latency).collect();
    assert_eq!(latencies, [30_000, 10_000]);
}

#[test]
fn an_answer_is_measured_up_to_when_it_was_captured() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    // The second was captured before its turn was said: so far apart are the clocks.
    for (question, under_way) in [("one\n", 5), ("two\n", 500)] {
        play.user_says(question, 0);
        play.advance(20);
        let answer = play.target().says(7, Flags::PSH);
        play.respond_at(Segment { payload: b"answer\n", ..answer }, play.now - ms(under_way));
    }
    let events = play.events();
    let latencies: Vec<_> = events.iter().filter_map(latency).collect();
    assert_eq!(latencies, [15_000, 0]);
}

#[test]
fn an_online_answer_captured_before_its_question_is_shown_again_with_it() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    let question = play.user.says("one\n", 0);
    let answer = play.user.online_says("online\n");
    play.capture(answer);
    play.capture(question);
    play.target_answers("target!\n");
    let events = play.events();
    assert!(
        matches!(&events[..], [Event::Exchange { exchange, .. }] if exchange.online.is_some()),
        "{events:?}"
    );
}

#[test]
fn an_online_server_is_heard_however_much_it_says() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    for _ in 0..5 {
        let mut unseen = play.user.online_says("");
        unseen.headers.payload_len = 1 << 30;
        play.user.online_next = Some(unseen.headers.seq + (1 << 30));
        play.capture(unseen);
    }
    let answer = play.user.online_says("online\n");
    play.capture(answer);
    play.target_answers("answer\n");
    let events = play.events();
    let Some(Event::Exchange { exchange, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(exchange.online.unwrap().size, 7);
}

#[test]
fn a_comparison_that_begins_late_begins_with_what_comes_next() {
    let mut play = Play::served_by(Lines { moves: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_answers("answer\n");
    play.user_acks(7);
    play.install(2, Lines { compares: true, ..Lines::judging() }, true);
    play.user_says("two\n", 0);
    let answer = play.user.online_says("online\n");
    play.capture(answer);
    play.target_answers("target!\n");
    assert_eq!(labels(play.events()), ["Online misses 7", "line"]);
}

#[test]
fn a_hole_in_what_the_online_server_said_is_given_up() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    let [_, behind] = ["lost", "found\n"].map(|words| play.user.online_says(words));
    play.capture(behind);
    play.advance(6_000);
    assert_eq!(labels(play.events()), ["Online misses 4"]);
}

#[test]
fn a_module_that_gives_up_costs_its_session_alone() {
    let mut play = Play::served_by(Lines::default());
    play.user_says("quit\n", 0);
    play.expect_end(Verdict::ModuleGaveUp);
    let events = play.events();
    assert!(matches!(&events[..], [Event::GaveUp { generation: 1, reason, .. }] if reason == "it quit"));
    assert_eq!(play.statistics().ended[Verdict::ModuleGaveUp as usize].bytes_lost, 5);
}

#[test]
fn a_connection_given_up_for_good_begins_no_other_session() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    play.target_answers("answer\n");
    play.user_says("leave\n", 7);
    assert!(play.sent().iter().any(|sent| sent.headers.flags.rst()));
    play.user_says("more\n", 7);
    play.advance(5_000);
    play.user_says("and more\n", 7);
    play.expect_nothing();
    let statistics = play.statistics();
    assert_eq!((statistics.sessions_opened, statistics.sessions_ended()), (1, 0));
    assert_eq!(play.engine.generations()[0].sessions_live, 0);
    play.user_fin(7);
    play.expect_end(Verdict::ModuleGaveUp);
    let lost = play.statistics().ended[Verdict::ModuleGaveUp as usize];
    assert_eq!((lost.sessions, lost.bytes_lost), (1, 20));
}

#[test]
fn a_module_that_gave_up_is_not_given_up_again_for_what_it_left() {
    let mut play = answered_at_length(1048);
    play.expect_alive();
    play.target_answers(format!("{:1000}enough", "x").leak());
    play.expect_end(Verdict::ModuleGaveUp);
    let events = play.events();
    assert!(
        matches!(&events[..], [Event::GaveUp { reason, .. }] if reason == "it heard enough"),
        "{events:?}"
    );
}

#[test]
fn a_module_that_leaves_too_much_is_given_up() {
    let events = answered_at_length(1049).events();
    let expected = "it left more of one side than may wait";
    assert!(matches!(&events[..], [Event::GaveUp { reason, .. }] if reason == expected), "{events:?}");
}

#[test]
fn a_remark_is_told() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("tell\n", 0);
    assert_eq!(words(&play.sent()), b"tell\n");
    assert!(matches!(&play.events()[..], [Event::Remark { phrase, .. }] if phrase == "1 lines"));
}

#[test]
fn what_a_session_leaves_is_for_the_next_one_of_its_user() {
    let mut play = Play::served_by(Lines { moves: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_answers("answer\n");
    play.user_says("quit\n", 7);
    play.expect_end(Verdict::ModuleGaveUp);
    play.events();
    play.user_says("tell\n", 7);
    assert!(
        matches!(&play.events()[..], [Event::Remark { phrase, .. }] if phrase == "3 lines"),
        "the lines of both sessions are counted"
    );
}

#[test]
fn words_that_waited_have_their_own_times() {
    let mut play = Play::served_by(Lines { logs_in: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_rst();
    play.advance(ACK_DELAY);
    let mut spoken_at = vec![];
    for _ in 0..3 {
        play.advance(20);
        spoken_at.push(format!("{} ms", play.clock()));
        play.user_says("clock\n", 7);
    }
    play.target_syn_ack();
    play.target_answers("welcome\n");
    let phrase = |event| match event {
        Event::Remark { phrase, .. } => Some(phrase),
        _ => None,
    };
    let phrases: Vec<_> = play.events().into_iter().filter_map(phrase).collect();
    assert_eq!(phrases, spoken_at);
}

#[test]
fn a_module_whose_user_has_left_is_given_all_there_is() {
    let mut play = Play::served_by(Lines { logs_in: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_rst();
    play.advance(ACK_DELAY);
    for part in ["in ", "three ", "parts and more\n"] {
        play.user_says(part, 7);
    }
    play.user_fin(7);
    play.target_syn_ack();
    play.target_answers("welcome\n");
    play.target_answers("answer\n");
    let said = words(&play.sent());
    assert!(said.ends_with(b"in three parts and more\n"), "{}", said.escape_ascii());
}

#[test]
fn an_online_server_that_closes_early_is_heard_to_its_end() {
    let mut play = Play::served_by(Lines { compares: true, ..Lines::judging() });
    let question = play.user.says("one\n", 0);
    let answer = play.user.online_says("online\n").with(Flags::FIN);
    play.capture(answer);
    assert!(labels(play.events()).is_empty());
    play.capture(question);
    play.target_answers("target!\n");
    assert_eq!(labels(play.events()), ["Online ended", "line"]);
}

#[test]
fn a_session_joined_in_its_middle_begins_with_its_modules_words() {
    let mut play = Play::serving(Lines { logs_in: true, is_greeted: true, ..Lines::judging() });
    play.capture_begins();
    play.advance(2_000);
    play.user_says("one\n", 0);
    play.target_syn_ack();
    assert!(words(&play.sent()).is_empty());
    play.target_answers("greeting\n");
    assert_eq!(words(&play.sent()), b"login\n");
    play.target_answers("welcome\n");
    assert_eq!(words(&play.sent()), b"one\n");
    play.target_answers("answer\n");
    play.user_says("two\n", 7);
    assert_eq!(words(&play.sent()), b"two\n");
}

#[test]
fn the_users_close_waits_for_the_module() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    play.user_fin(0);
    play.target_answers("answer\n");
    play.advance(ACK_DELAY);
    assert!(play.sent().iter().any(|sent| sent.headers.flags.fin()));
    play.target_acks();
    play.target_fin();
    play.advance(3_000);
    play.expect_end(Verdict::Complete);
    assert_eq!(labels(play.events()), ["Client ended", "Target ended"]);
}

#[test]
fn a_line_without_an_end_is_lost_and_counted() {
    let mut play = Play::served_by(Lines::default());
    play.user_says("one\nhalf", 0);
    play.user_fin(0);
    play.target_acks();
    play.advance(700_000);
    play.expect_end(Verdict::ModuleGaveUp);
    assert_eq!(play.statistics().bytes_lost(), 4);
}

#[test]
fn a_turn_without_an_answer_is_said_again_as_the_module_edits_it() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    play.target_answers("answer\n");
    play.user_says("edit two\ndrop it\n", 7);
    play.target_rst();
    play.sent();
    play.advance(ACK_DELAY);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"EDITED\n");
    let statistics = play.statistics();
    assert_eq!((statistics.turns_captured, statistics.turns_repeated), (2, 1));
    assert_eq!((statistics.bytes_captured, statistics.bytes_discarded), (21, 8));
}

#[test]
fn a_module_logs_in_before_a_turn_is_said_again() {
    let mut play = Play::served_by(Lines { logs_in: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_rst();
    play.sent();
    play.advance(ACK_DELAY);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"login\n");
    play.target_answers("welcome\n");
    assert_eq!(words(&play.sent()), b"one\n");
    play.target_answers("answer\n");
    play.user_says("two\n", 5);
    assert_eq!(words(&play.sent()), b"two\n");
}

#[test]
fn a_login_that_waits_for_a_greeting_gets_its_connection() {
    let mut play = Play::served_by(Lines { logs_in: true, is_greeted: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_rst();
    play.sent();
    play.advance(ACK_DELAY);
    play.target_syn_ack();
    assert!(words(&play.sent()).is_empty());
    play.target_answers("greeting\n");
    assert_eq!(words(&play.sent()), b"login\n");
    play.target_answers("welcome\n");
    assert_eq!(words(&play.sent()), b"one\n");
}

#[test]
fn a_target_lost_while_nothing_is_due_is_asked_again_when_the_user_speaks() {
    let mut play = Play::served_by(Lines { logs_in: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_answers("answer\n");
    play.target_rst();
    play.advance(60_000);
    play.sent();
    play.user_says("two\n", 7);
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"login\n");
    play.target_answers("welcome\n");
    assert_eq!(words(&play.sent()), b"two\n");
}

#[test]
fn a_target_that_resets_every_login_ends_the_session() {
    let mut play = Play::served_by(Lines { logs_in: true, is_greeted: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_answers("ans");
    for _ in 0..2 {
        play.target_rst();
        play.advance(ACK_DELAY);
        play.target_syn_ack();
        play.target_answers("greeting\n");
    }
    assert_eq!(words(&play.sent()), b"one\nlogin\nlogin\n");
    play.target_rst();
    play.expect_end(Verdict::TargetReset);
    assert_eq!(play.statistics().reconnects, 2);
}

#[test]
fn a_target_that_resets_a_login_unheard_is_asked_again_with_a_login() {
    let mut play = Play::served_by(Lines { logs_in: true, ..Lines::judging() });
    play.user_says("one\n", 0);
    play.target_answers("ans");
    for _ in 0..3 {
        play.target_rst();
        play.advance(2_000);
        play.target_syn_ack();
    }
    assert_eq!(words(&play.sent()), b"one\nlogin\nlogin\nlogin\n");
    play.target_answers("welcome\n");
    assert_eq!(words(&play.sent()), b"one\n");
}

#[test]
fn a_turn_that_the_target_resets_each_time_ends_the_session() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\n", 0);
    for _ in 0..3 {
        play.target_rst();
        play.advance(ACK_DELAY);
        if play.engine.pending().sessions > 0 {
            play.target_syn_ack();
        }
    }
    play.expect_end(Verdict::TargetReset);
    assert_eq!((play.statistics().turns_repeated, play.statistics().turns_lost()), (2, 1));
}

#[test]
fn a_module_that_is_given_a_broken_off_line_again_is_told_again_that_it_was() {
    let mut play = Play::served_by(Lines::judging());
    play.user_says("one\ntw", 0);
    play.user_fin(0);
    play.target_rst();
    play.target_syn_ack();
    assert_eq!(words(&play.sent()), b"one\none\n");
    assert_eq!(labels(play.events()), ["Client ended", "Target ended", "Client ended"]);
}

#[test]
fn a_modules_timer_wakes_it() {
    let mut play = Play::served_by(Lines { ticks: Some(500), ..Lines::default() });
    play.advance(499);
    play.expect_nothing();
    play.advance(1);
    assert_eq!(words(&play.sent()), b"tick\n");
    assert_eq!(play.statistics().bytes_inserted, 5);
}
