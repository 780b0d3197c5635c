//! Opening a connection: RFC 9293 §3.5 and §3.10.7.3, RFC 7323, RFC 6298 for the SYN.

use tcpcopy_engine::{EngineOptions, Registration, Verdict};
use tcpcopy_wire::{Flags, Flow, Options, SeqNum, Timestamps};

use crate::script::{ACK_DELAY, Play, TARGET, USER_ISN, User, end, mapping};

/// The options of the last segment transmitted.
#[track_caller]
fn last_options(play: &mut Play) -> Options {
    play.sent().last().expect("something was transmitted").options()
}

/// A user and a target that both want timestamps; the clocks read 7000 and 900.
fn stamped() -> Play {
    let mut play = Play::new();
    play.user.syn_options.timestamps = Some(Timestamps { value: 7_000, echo: 0 });
    play.user_syn();
    play.target().syn_options.timestamps = Some(Timestamps { value: 900, echo: 7_000 });
    play
}

#[test]
fn the_users_syn_is_transmitted_with_its_number_options_and_headers() {
    let mut play = Play::new();
    play.user.tos = 0x28;
    play.user_syn();
    let sent = play.sent();
    assert_eq!(sent.len(), 1);
    let syn = &sent[0];
    assert_eq!(syn.flow, Flow { client: end("10.1.0.1:4000"), server: end(TARGET) });
    assert_eq!((syn.headers.flags, syn.headers.seq, syn.headers.ack), (Flags::SYN, USER_ISN, SeqNum(0)));
    assert_eq!((syn.headers.window, syn.headers.ttl, syn.headers.tos), (64_240, 61, 0x28));
    assert_eq!((syn.options(), &syn.payload[..]), (play.user.syn_options, &b""[..]));
}

#[test]
fn intercept_hears_of_a_flow_before_its_syn_and_of_its_end_after_all() {
    let mut play = Play::opened();
    let id = play.session();
    let flow = Flow { client: play.user.end, server: end(TARGET) };
    assert_eq!(play.registrations, [Registration::Add { id, flow, depth: 0 }]);
    play.engine.handle_shutdown(play.now);
    play.settle();
    assert_eq!(play.registrations[1..], [Registration::Remove { id }]);
}

#[test]
fn a_hop_count_that_would_not_survive_a_detour_is_raised() {
    let mut play = Play::new();
    play.user.ttl = 3;
    play.user_syn();
    assert_eq!(play.sent()[0].headers.ttl, 32);
}

#[test]
fn the_mss_option_is_clamped_to_the_mtu() {
    for (mtu, theirs, ours) in [(1500, 8_960, 1_460), (1500, 1_200, 1_200), (1400, 1_460, 1_360)] {
        let mut play = Play::with(EngineOptions { mtu, ..EngineOptions::default() });
        play.user.syn_options.mss = Some(theirs);
        play.user_syn();
        assert_eq!(last_options(&mut play).mss, Some(ours));
    }
}

#[test]
fn no_packet_is_larger_than_the_mtu() {
    for mtu in [576, 1_280, 1_500, 9_000] {
        let mut play = Play::with(EngineOptions { mtu, ..EngineOptions::default() });
        play.user.syn_options.mss = Some(u16::MAX);
        play.user.syn_options.timestamps = Some(Timestamps { value: 7_000, echo: 0 });
        play.user_syn();
        play.target().syn_options = play.user.syn_options;
        play.target_syn_ack();
        play.user_says(vec![b'x'; 200_000], 0);
        let longest = play.sent().iter().map(|sent| 20 + 20 + 12 + sent.payload.len()).max();
        assert_eq!(longest, Some(usize::from(mtu)));
    }
}

#[test]
fn an_ipv6_user_reaches_an_ipv6_target_with_room_for_the_longer_header() {
    let mut play = Play::mapped(EngineOptions::default(), vec![mapping("[fd00::1]:80", "[fd00::2]:8080")]);
    play.user = User { online: end("[fd00::1]:80"), ..User::at("[fd01::7]:4000") };
    play.user_syn();
    play.user_acks(0);
    let syn = play.sent().remove(0);
    assert_eq!(syn.flow, Flow { client: end("[fd01::7]:4000"), server: end("[fd00::2]:8080") });
    assert_eq!(syn.options().mss, Some(1_440));
    play.target_syn_ack();
    play.user_says([b'x'; 1_460], 0);
    play.expect(&[". 1 ack 1", ". 1 ack 1 [1440]", "P. 1441 ack 1 xxxxxxxxxxxxxxxxxxxx"]);
}

#[test]
fn a_syn_ack_is_acknowledged() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.target_syn_ack();
    play.expect(&["S 0", ". 1 ack 1"]);
}

#[test]
fn the_first_word_acknowledges_the_syn_ack_by_itself() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("hello", 0);
    play.expect(&["S 0"]);
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 hello"]);
}

#[test]
fn an_unanswered_syn_is_repeated_with_doubling_pauses_for_half_a_minute() {
    let mut play = Play::new();
    play.user_syn();
    play.advance(60_000);
    let sent = play.sent();
    assert!(sent.iter().all(|syn| syn.line() == "S 0" && syn.options() == play.user.syn_options));
    assert_eq!(sent.iter().map(|syn| syn.at).collect::<Vec<_>>(), [0, 1_000, 3_000, 7_000, 15_000]);
    play.expect_end(Verdict::TargetUnreachable);
}

#[test]
fn a_session_waits_for_a_target_that_appears_after_some_seconds() {
    let mut play = Play::new();
    play.user_syn();
    play.user_says("hello", 0);
    play.advance(5_000);
    play.expect(&["S 0", "S 0", "S 0"]);
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 hello"]);
}

#[test]
fn a_repeated_syn_ack_is_acknowledged_again() {
    let mut play = Play::opened();
    play.advance(1_000);
    play.target_syn_ack();
    play.expect(&[". 1 ack 1"]);
}

#[test]
fn data_that_comes_with_the_syn_ack_is_left_for_the_target_to_repeat() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    let mut syn_ack = play.target().syn_ack();
    syn_ack.payload_len = 10;
    play.respond(syn_ack);
    play.expect(&["S 0", ". 1 ack 1"]);
    play.target_says(10);
    play.advance(ACK_DELAY);
    play.expect(&[". 1 ack 11"]);
}

#[test]
fn what_the_user_said_with_the_syn_is_said_after_the_handshake() {
    let mut play = Play::new();
    let early = play.user.repeats(play.user.isn, "early").without(Flags::ACK).with(Flags::SYN);
    play.user.next = play.user.isn + 6;
    play.capture(early);
    play.user_says(" bird", 0);
    play.expect(&["S 0"]);
    play.target_syn_ack();
    play.expect(&["P. 1 ack 1 early", "P. 6 ack 1  bird"]);
}

#[test]
fn an_older_connection_of_the_target_is_cleared_and_asked_again() {
    // RFC 9293 §3.5.1, figure 9: the target answers our SYN with an ACK of its old connection.
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.sent();
    let stale = play.target().acks_to(12_345);
    play.respond(stale);
    play.expect(&["R 12345"]);
    play.advance(10);
    play.expect(&["S 0"]);
    play.target().heard_to = USER_ISN + 1;
    play.target_syn_ack();
    play.expect(&[". 1 ack 1"]);
}

#[test]
fn a_target_that_insists_on_an_older_connection_is_not_asked_without_pause() {
    let mut play = Play::new();
    play.user_syn();
    for _ in 0..1_000 {
        play.target_acks_to(12_345);
        play.advance(1);
    }
    let syns = play.sent().iter().filter(|sent| sent.headers.flags.syn()).count();
    assert!(syns < 5, "{syns} SYNs in a second");
}

#[test]
fn a_syn_ack_of_something_else_is_reset() {
    // RFC 9293 §3.10.7.3, first step: an unacceptable acknowledgement is answered by a reset made of it.
    let mut play = Play::new();
    play.user_syn();
    play.sent();
    play.target().heard_to = USER_ISN + 12_345;
    play.target_syn_ack();
    assert!(play.sent().iter().any(|sent| sent.line() == "R 12345"), "a reset with the number acknowledged");
    play.expect_alive();
}

#[test]
fn a_reset_that_does_not_acknowledge_the_syn_is_ignored() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    for stray in [play.target().acks_to(0), play.target().acks_to(2)] {
        play.respond(tcpcopy_wire::Segment { flags: Flags::RST | Flags::ACK, ..stray });
    }
    play.target().heard_to = USER_ISN + 1;
    let bare = play.target().acks();
    play.respond(tcpcopy_wire::Segment { flags: Flags::RST, ..bare });
    play.expect(&["S 0"]);
    assert_eq!(play.statistics().refusals, 0);
    play.target_syn_ack();
    play.expect(&[". 1 ack 1"]);
}

#[test]
fn a_bare_syn_of_the_target_is_ignored() {
    // Simultaneous opening is not supported: a server does not open towards its clients.
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    let syn = play.target().syn_ack();
    play.respond(tcpcopy_wire::Segment { flags: Flags::SYN, ..syn });
    play.expect(&["S 0"]);
    play.target_syn_ack();
    play.expect(&[". 1 ack 1"]);
}

#[test]
fn congestion_notification_is_not_asked_for() {
    // RFC 3168 §6.1: without ECE and CWR on the SYN no packet may say that it is capable of it.
    let mut play = Play::new();
    play.user.tos = 0x28 | 0b10;
    let syn = play.user.syn().with(Flags(0b1100_0000));
    play.capture(syn);
    let syn = play.sent().remove(0);
    assert_eq!((syn.headers.flags, syn.headers.tos), (Flags::SYN, 0x28));
}

#[test]
fn a_captured_syn_ack_is_no_beginning() {
    let mut play = Play::new();
    let syn_ack = play.user.syn().with(Flags::ACK);
    play.capture(syn_ack);
    play.expect_nothing();
    assert_eq!(play.statistics().sessions_opened, 0);
}

#[test]
fn a_syn_with_a_reset_is_no_beginning() {
    // RFC 9293 §3.10.7.2: a listener ignores a reset, whatever else the segment says.
    let mut play = Play::new();
    let odd = play.user.syn().with(Flags::RST);
    play.capture(odd);
    play.expect_nothing();
    assert_eq!(play.statistics().sessions_opened, 0);
}

#[test]
fn the_users_timestamp_clock_goes_on_in_milliseconds_and_echoes_the_targets() {
    let mut play = stamped();
    assert_eq!(last_options(&mut play).timestamps, Some(Timestamps { value: 7_000, echo: 0 }));
    play.user_acks(0);
    play.advance(30);
    play.target_syn_ack();
    assert_eq!(last_options(&mut play).timestamps, Some(Timestamps { value: 7_030, echo: 900 }));
    play.target().options.timestamps = Some(Timestamps { value: 950, echo: 7_030 });
    play.target_says(10);
    play.advance(ACK_DELAY);
    assert_eq!(last_options(&mut play).timestamps, Some(Timestamps { value: 7_070, echo: 950 }));
}

#[test]
fn a_repeated_syn_carries_the_time_of_its_repetition() {
    let mut play = stamped();
    play.advance(1_000);
    assert_eq!(last_options(&mut play).timestamps, Some(Timestamps { value: 8_000, echo: 0 }));
}

#[test]
fn a_segment_out_of_order_does_not_move_the_echo() {
    // RFC 7323 §4.3: TS.Recent is that of the segment that RCV.NXT lies in.
    let mut play = stamped();
    play.user_acks(0);
    play.target_syn_ack();
    play.sent();
    play.target().options.timestamps = Some(Timestamps { value: 990, echo: 7_000 });
    play.target().next += 10;
    play.target_says(10);
    assert_eq!(last_options(&mut play).timestamps.map(|stamps| stamps.echo), Some(900));
}

#[test]
fn timestamps_the_target_does_not_want_are_not_sent() {
    let mut play = stamped();
    play.target().syn_options.timestamps = None;
    play.sent();
    play.user_acks(0);
    play.target_syn_ack();
    assert_eq!(last_options(&mut play), Options::default());
}

#[test]
fn timestamps_take_their_room_from_the_segment() {
    let mut play = stamped();
    play.target_syn_ack();
    play.sent();
    play.user_says([b'x'; 1_460], 0);
    play.expect(&[". 1 ack 1 [1448]", "P. 1449 ack 1 xxxxxxxxxxxx"]);
}

#[test]
fn a_window_is_advertised_unscaled_to_a_target_that_does_not_scale() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.target().syn_options.window_scale = None;
    play.target_syn_ack();
    let sent = play.sent();
    assert_eq!(sent[0].options().window_scale, Some(7));
    assert_eq!(sent[1].headers.window, u16::MAX);
}

#[test]
fn the_users_window_is_advertised_as_the_user_did() {
    let mut play = Play::opened();
    play.user.window = 1_234;
    play.user_says("hello", 0);
    assert_eq!(play.sent()[0].headers.window, 1_234);
    play.user.window = 3; // a slow user must not slow the target's answer down
    play.user_says("hello", 0);
    assert_eq!(play.sent()[0].headers.window, 1_234);
}

#[test]
fn the_targets_mss_limits_segments() {
    for (option, len) in [(Some(1_000), 1_000), (Some(9_000), 1_460), (None, 536), (Some(1), 88)] {
        let mut play = Play::new();
        play.user_syn();
        play.target().syn_options.mss = option;
        play.target_syn_ack();
        play.sent();
        play.user_says([b'x'; 1_460], 0);
        assert_eq!(play.sent()[0].payload.len(), len, "for {option:?}");
    }
}

#[test]
fn the_shortest_syn_of_all_is_enough() {
    let mut play = Play::new();
    play.user.syn_options = Options::default();
    play.user_syn();
    // RFC 9293 §3.7.1: without the option it is 536, so that may as well be said.
    assert_eq!(last_options(&mut play), Options { mss: Some(536), ..Options::default() });
    play.target_syn_ack();
    play.sent();
    play.user_says([b'x'; 600], 0);
    play.expect(&[". 1 ack 1 [536]", "P. 537 ack 1 [64]"]);
}

#[test]
fn numbers_run_through_the_end_of_the_sequence_space() {
    for isn in [u32::MAX - 5, u32::MAX - 1, u32::MAX, 0] {
        let mut play = Play::new();
        play.user.isn = SeqNum(isn);
        let mut play = play.open();
        play.user_says("hello", 0);
        let sent = play.sent().remove(0);
        assert_eq!((sent.headers.seq, &sent.payload[..]), (SeqNum(isn) + 1, &b"hello"[..]));
        play.target_says(100);
        play.user_says("again", 100);
        play.expect(&["P. 6 ack 101 again"]);
    }
}

#[test]
fn a_user_who_repeats_the_syn_has_one_session() {
    let mut play = Play::new();
    play.user_syn();
    play.user_acks(0);
    play.advance(500);
    play.user_syn();
    play.target_syn_ack();
    play.user_syn();
    play.expect(&["S 0", ". 1 ack 1"]);
    assert_eq!(play.statistics().sessions_opened, 1);
}

#[test]
fn a_syn_that_no_user_follows_up_never_opens_a_connection_at_the_target() {
    let mut play = Play::new();
    play.user_syn();
    play.target_syn_ack();
    play.target_syn_ack();
    play.advance(5_000);
    play.expect(&["S 0"]);
    play.user_acks(0);
    play.expect(&[". 1 ack 1"]);
}
