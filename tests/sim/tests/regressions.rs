//! One fact each: what the engine makes of one condition, the others being calm.

use std::time::Duration;

use tcpcopy_engine::Verdict;
use tcpcopy_sim::{Capture, Ending, Faults, Outage, Outcome, Phase, Scenario, Serving, World};

#[track_caller]
fn run(scenario: Scenario) -> Outcome {
    match World::run(scenario.clone()) {
        Ok(outcome) => outcome,
        Err(violation) => panic!("{violation}\n{scenario:#?}"),
    }
}

/// Several users with several turns each, long enough for something to happen meanwhile.
fn keepalive(seed: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed);
    scenario.talk.users = 4;
    scenario.talk.turns = 12..=12;
    scenario.talk.think = millis(100)..=millis(1000);
    scenario
}

/// Several users with many connections of one turn each.
fn short(seed: u64) -> Scenario {
    let mut scenario = Scenario::calm(seed);
    scenario.talk.users = 4;
    scenario.talk.connections = 10..=10;
    scenario
}

/// One user with one large request.
fn upload(seed: u64, bytes: usize) -> Scenario {
    let mut scenario = Scenario::calm(seed);
    scenario.talk.requests = vec![bytes..=bytes];
    scenario
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A phase in seconds.
fn phase(from: f64, lasts: f64) -> Phase {
    Phase { from: Duration::from_secs_f64(from), lasts: Duration::from_secs_f64(lasts) }
}

fn ended(outcome: &Outcome, verdict: Verdict) -> u64 {
    outcome.statistics.ended[verdict as usize].sessions
}

/// Everything arrived once, and every session came to the end its user meant.
#[track_caller]
fn assert_exact(outcome: &Outcome) {
    assert_eq!(
        (outcome.captured, outcome.missing(), outcome.repeated),
        (outcome.scripted, 0, 0),
        "{outcome}"
    );
    let orderly = ended(outcome, Verdict::Complete) + ended(outcome, Verdict::UserReset);
    assert_eq!(orderly, outcome.statistics.sessions_opened, "{outcome}");
}

#[test]
fn one_request_without_faults_arrives_once() {
    let outcome = run(Scenario::calm(1));
    assert_exact(&outcome);
    assert_eq!((outcome.statistics.retransmissions, outcome.statistics.timeouts), (0, 0));
}

#[test]
fn equal_seeds_give_equal_outcomes() {
    assert_eq!(World::run(Scenario::draw(7)), World::run(Scenario::draw(7)));
}

#[test]
fn a_syn_that_is_lost_is_repeated_ever_less_often() {
    let mut scenario = Scenario::calm(2);
    scenario.transmit_link.dark = vec![phase(0.0, 10.0)];
    let outcome = run(scenario);
    assert_exact(&outcome);
    // After 1, 2, 4 and 8 seconds, give or take the one that found the link up.
    assert!((3..=4).contains(&outcome.statistics.timeouts), "{outcome}");
}

#[test]
fn every_kind_of_segment_is_repeated_until_it_arrives() {
    let mut scenario = short(3);
    scenario.transmit_link.loss = 0.2;
    scenario.response_link.loss = 0.2;
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert!(outcome.statistics.timeouts > 10, "{outcome}");
}

#[test]
fn a_lost_fin_is_repeated() {
    // The user closes 10 ms after the answer; nothing else is under way by then.
    let mut scenario = Scenario::calm(4);
    scenario.talk.endings = vec![Ending::UserCloses];
    scenario.talk.begin_within = Duration::ZERO;
    let undisturbed = run(scenario.clone());
    let fin = undisturbed.lasted.saturating_sub(millis(2)).as_secs_f64();
    assert_exact(&undisturbed);
    scenario.transmit_link.dark = vec![phase(0.022, 1.0)];
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert!(fin > 0.022 && outcome.statistics.retransmissions > 0, "{outcome}");
}

#[test]
fn an_upload_recovers_from_losses_without_waiting_for_time_outs() {
    let mut scenario = upload(5, 400_000);
    scenario.target.manner.receive_buffer = 256 << 10;
    scenario.transmit_link.loss = 0.02;
    let outcome = run(scenario);
    assert_exact(&outcome);
    let statistics = &outcome.statistics;
    assert!(statistics.fast_retransmits > 0 && statistics.timeouts <= 2, "{outcome}");
    assert!(statistics.retransmissions < 40, "only what was lost is repeated: {outcome}");
}

#[test]
fn reordering_is_no_loss() {
    let mut scenario = upload(6, 100_000);
    scenario.transmit_link.reorder = 0.3;
    scenario.transmit_link.reorder_by = Duration::from_micros(50);
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!(outcome.statistics.timeouts, 0, "{outcome}");
}

#[test]
fn a_closed_window_is_probed_until_it_opens() {
    let mut scenario = upload(7, 64 << 10);
    scenario.target.manner.receive_buffer = 4 << 10;
    scenario.target.deaf = vec![phase(0.0, 8.0)];
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert!((2..=30).contains(&outcome.statistics.probes), "{outcome}");
}

#[test]
fn a_target_with_a_tiny_window_gets_everything() {
    let mut scenario = upload(8, 64 << 10);
    scenario.target.manner.receive_buffer = 500;
    scenario.target.reading = Some((100, millis(1)));
    assert_exact(&run(scenario));
}

#[test]
fn a_client_that_uses_its_port_again_gets_a_session_of_its_own_each_time() {
    let mut scenario = short(9);
    scenario.talk.same_port = 1.0;
    scenario.talk.begin_within = Duration::ZERO;
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!(outcome.statistics.sessions_opened, 40);
}

#[test]
fn a_port_used_again_after_a_connection_nobody_closed_is_another_session() {
    let mut scenario = short(10);
    scenario.talk.same_port = 1.0;
    scenario.talk.endings = vec![Ending::UserVanishes];
    let outcome = run(scenario);
    assert_eq!((outcome.missing(), outcome.repeated), (0, 0), "{outcome}");
    assert_eq!(outcome.captured, 40, "{outcome}");
}

#[test]
fn users_mapped_on_one_address_with_equal_ports_do_not_collide() {
    let mut scenario = keepalive(11);
    scenario.pool = 1;
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!(outcome.statistics.sessions_opened, 4);
}

#[test]
fn a_gap_in_the_capture_ends_in_a_verdict_and_the_next_turns_are_replayed() {
    let mut scenario = keepalive(12);
    scenario.talk.turns = 40..=40;
    scenario.capture = Capture { loss: 0.03, ..Capture::default() };
    let outcome = run(scenario);
    assert!(ended(&outcome, Verdict::CaptureGap) > 0, "{outcome}");
    assert!(outcome.statistics.sessions_joined > 0, "{outcome}");
    assert!(outcome.captured < outcome.scripted && outcome.replayed * 10 > outcome.captured * 9, "{outcome}");
    assert_eq!(outcome.repeated, 0);
}

#[test]
fn a_truncated_frame_is_never_replayed_wrong() {
    let mut scenario = keepalive(213);
    scenario.talk.requests = vec![200..=3000];
    scenario.capture = Capture { truncated: 0.02, ..Capture::default() };
    let outcome = run(scenario);
    assert!(outcome.statistics.ignored[tcpcopy_engine::Ignored::Truncated as usize] > 0, "{outcome}");
    assert!(ended(&outcome, Verdict::CaptureGap) > 0, "{outcome}");
}

#[test]
fn sessions_go_on_after_the_feed_was_cut() {
    let mut scenario = keepalive(14);
    scenario.outages = vec![(phase(2.0, 3.0), Outage::Cut)];
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!(outcome.statistics.sessions_opened, 4);
}

#[test]
fn sessions_go_on_after_intercept_was_restarted() {
    let mut scenario = keepalive(15);
    scenario.outages = vec![(phase(2.0, 3.0), Outage::Restart)];
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!((outcome.statistics.sessions_opened, outcome.statistics.reconnects), (4, 0));
}

#[test]
fn a_feed_that_stands_still_only_delays() {
    let mut scenario = keepalive(16);
    scenario.outages = vec![(phase(1.0, 5.0), Outage::Stall)];
    assert_exact(&run(scenario));
}

#[test]
fn a_tcpcopy_that_was_stopped_catches_up() {
    let mut scenario = keepalive(17);
    scenario.capture.stalls = vec![phase(1.0, 2.0), phase(6.0, 2.0)];
    assert_exact(&run(scenario));
}

#[test]
fn a_target_that_cannot_be_reached_for_a_while_gets_everything_later() {
    let mut scenario = keepalive(18);
    scenario.transmit_link.dark = vec![phase(2.0, 5.0)];
    assert_exact(&run(scenario));
}

#[test]
fn a_target_that_closes_after_each_response_gets_every_request() {
    let mut scenario = keepalive(19);
    scenario.target.closes_every = Some(1);
    let outcome = run(scenario);
    assert_eq!((outcome.missing(), outcome.repeated), (0, 0), "{outcome}");
    assert!(outcome.statistics.reconnects >= 4 * 11, "{outcome}");
}

#[test]
fn a_target_that_resets_gets_every_request_and_repetitions_are_counted() {
    let mut scenario = keepalive(20);
    scenario.target.resets_every = Some(5);
    let outcome = run(scenario);
    assert_eq!(outcome.missing(), 0, "{outcome}");
    assert!(outcome.repeated > 0 && outcome.repeated <= outcome.statistics.turns_repeated, "{outcome}");
}

/// A user of a module that judges turns, who goes on with a long request while the target resets instead of answering
/// the one before.
fn reset_amid_request(seed: u64) -> Scenario {
    let mut scenario = upload(seed, 100_000);
    scenario.serving = Serving::Judging;
    scenario.talk.pipelined = 2..=2;
    scenario.online.manner.receive_buffer = 8 << 10;
    scenario.user_link.latency = millis(50);
    scenario.target.resets_every = Some(1);
    scenario.only_whole_sessions = true;
    scenario
}

#[test]
fn a_request_is_lost_when_its_session_ends_before_the_user_has_said_all_of_it() {
    let outcome = run(reset_amid_request(44));
    assert_eq!((outcome.captured, outcome.replayed), (2, 1), "{outcome}");
    let ended = &outcome.statistics.ended[Verdict::TargetReset as usize];
    assert_eq!((ended.sessions, ended.turns_lost, ended.bytes_lost), (1, 1, 0), "{outcome}");
}

#[test]
fn requests_behind_one_that_the_target_answers_early_and_resets_are_said_in_the_same_session() {
    for serving in [Serving::Nobody, Serving::Judging] {
        let mut scenario = keepalive(45);
        scenario.serving = serving;
        scenario.talk.requests = vec![200..=200, 100_000..=100_000];
        scenario.online.manner.receive_buffer = 8 << 10;
        scenario.target.refuses_over = Some(50_000);
        let outcome = run(scenario);
        let statistics = &outcome.statistics;
        assert!(outcome.missing() > 10, "{outcome}");
        assert_eq!((outcome.missing(), outcome.repeated), (statistics.turns_lost_to_resets, 0), "{outcome}");
        assert_eq!((statistics.sessions_opened, ended(&outcome, Verdict::TargetReset)), (4, 4), "{outcome}");
    }
}

#[test]
fn a_target_server_that_restarts_loses_no_request() {
    let mut scenario = keepalive(21);
    scenario.target.down = vec![phase(2.0, 2.0)];
    let outcome = run(scenario);
    assert_eq!(outcome.missing(), 0, "{outcome}");
    assert!(outcome.statistics.refusals > 0, "{outcome}");
}

#[test]
fn a_greeting_is_waited_for() {
    let mut scenario = keepalive(22);
    scenario.greeting = Some(80);
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!(outcome.statistics.turns_not_awaited, 0, "{outcome}");
}

#[test]
fn ipv6_is_no_different() {
    let mut scenario = keepalive(23);
    scenario.ipv6 = true;
    scenario.pool = 3;
    assert_exact(&run(scenario));
}

#[test]
fn a_capture_that_begins_in_the_middle_replays_every_request_that_begins_later() {
    let mut scenario = keepalive(24);
    scenario.capture.from = millis(3000);
    let outcome = run(scenario);
    assert!(outcome.captured < outcome.scripted && outcome.captured > 20, "{outcome}");
    assert_eq!((outcome.missing(), outcome.repeated), (0, 0), "{outcome}");
    assert_eq!(outcome.statistics.sessions_joined, 4, "{outcome}");
}

#[test]
fn only_whole_sessions_are_replayed_when_asked_for() {
    let mut scenario = keepalive(25);
    scenario.capture.from = millis(3000);
    scenario.only_whole_sessions = true;
    let outcome = run(scenario);
    assert_eq!((outcome.replayed, outcome.statistics.sessions_opened), (0, 0), "{outcome}");
}

#[test]
fn every_ending_is_replayed_as_the_user_meant_it() {
    for (seed, ending) in [
        (30, Ending::UserCloses),
        (31, Ending::HalfClose),
        (32, Ending::ServerCloses),
        (33, Ending::UserResets),
        (34, Ending::UserResetsUnheard),
    ] {
        let mut scenario = short(seed);
        scenario.talk.endings = vec![ending];
        let outcome = run(scenario);
        let verdict = match ending {
            Ending::UserResets | Ending::UserResetsUnheard => Verdict::UserReset,
            _ => Verdict::Complete,
        };
        assert_eq!((outcome.missing(), outcome.repeated), (0, 0), "{ending:?}: {outcome}");
        assert_eq!(ended(&outcome, verdict), outcome.statistics.sessions_opened, "{ending:?}: {outcome}");
    }
}

#[test]
fn a_user_who_vanishes_ends_as_idle() {
    let mut scenario = Scenario::calm(35);
    scenario.talk.endings = vec![Ending::UserVanishes];
    let outcome = run(scenario);
    assert_eq!((outcome.missing(), ended(&outcome, Verdict::Idle)), (0, 1), "{outcome}");
}

#[test]
fn captured_segments_larger_than_the_mtu_are_cut_anew() {
    let mut scenario = upload(36, 300_000);
    scenario.user_manner.mtu = 32_000;
    scenario.online.manner.mtu = 32_000;
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert!(outcome.statistics.segments > 200, "{outcome}");
}

#[test]
fn a_path_that_refuses_large_packets_gets_smaller_ones() {
    let mut scenario = upload(37, 100_000);
    scenario.transmit_mtu = Some(1280);
    assert_exact(&run(scenario));
}

#[test]
fn a_path_that_swallows_large_packets_is_found_out() {
    let mut scenario = upload(38, 100_000);
    scenario.transmit_link.mtu = Some(1280);
    assert_exact(&run(scenario));
}

#[test]
fn losses_before_the_capture_are_the_users_to_repair() {
    let mut scenario = keepalive(39);
    scenario.talk.requests = vec![10..=10, 5_000..=20_000];
    scenario.user_link = Faults {
        latency: millis(20),
        loss: 0.05,
        duplicate: 0.05,
        reorder: 0.2,
        reorder_by: millis(15),
        ..Faults::default()
    };
    assert_exact(&run(scenario));
}

#[test]
fn pipelined_requests_arrive_in_order() {
    let mut scenario = keepalive(40);
    scenario.talk.pipelined = 10..=10;
    scenario.transmit_link.loss = 0.02;
    scenario.response_link.loss = 0.02;
    assert_exact(&run(scenario));
}

#[test]
fn a_slow_target_is_waited_for() {
    let mut scenario = keepalive(41);
    scenario.target.takes = millis(1500)..=millis(2000);
    let outcome = run(scenario);
    assert_exact(&outcome);
    assert_eq!(outcome.statistics.turns_not_awaited, 0, "{outcome}");
}

#[test]
fn responses_of_other_sizes_than_production_gave_change_nothing() {
    for (online, target) in [(100, 100_000), (100_000, 100), (0, 1_000_000)] {
        let mut scenario = keepalive(42);
        scenario.online.responses = vec![online..=online];
        scenario.target.responses = vec![target..=target];
        assert_exact(&run(scenario));
    }
}

#[test]
fn beyond_the_memory_budget_sessions_end_and_nothing_wrong_is_said() {
    let mut scenario = upload(43, 400_000);
    scenario.talk.users = 4;
    scenario.memory_budget = 300_000;
    scenario.transmit_link.dark = vec![phase(0.0, 3.0)];
    let outcome = run(scenario);
    assert!(ended(&outcome, Verdict::MemoryBudget) > 0, "{outcome}");
    assert_eq!(outcome.repeated, 0, "{outcome}");
}
