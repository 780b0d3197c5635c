//! What `[limits]` does.

use tcpcopy_plugin_api::testing::{Outcome, Transcript};

use super::script::*;
use crate::packet::packet;

#[test]
fn what_limits_leave_no_room_for_is_told() {
    let limits = "[limits]\nlooked_at_kib = 1\nsettings_kib = 1\npreparations_mib = 1\n";
    let long = format!("SELECT '{}'", "x".repeat(2000));
    let prepare = command(0x16, long.as_bytes());
    let settings: String = (0..50).map(|number| format!(", @v{number} = {number}")).collect();
    let transcript = in_()
        .client(&prepare)
        .target(prepared(3, 0))
        .client(query(&format!("SET @a = 1{settings}")))
        .target(said(1, &[OK]))
        .reconnect()
        .client(execute(1, b"\0\x01\0\0\0"))
        .target(greets(ONLINE))
        .target(said(2, &[OK]))
        .target(said(1, &[OK]).repeat(50));
    let outcome = play(&module(limits), &transcript);
    assert_eq!(
        outcome.discarded["of a statement that was too long to be prepared again on a new connection"],
        14
    );
    assert!(
        outcome.remarks.keys().any(|phrase| phrase.contains("limits.settings_kib")),
        "{:?}",
        outcome.remarks
    );
}

#[test]
fn texts_that_are_not_looked_at_whole_are_not_judged() {
    let long = query(&format!("SELECT '{}'", "x".repeat(2000)));
    let transcript = in_().client(&long).client(query("SELECT 1"));
    let read_only = "read_only = true\n";
    assert_eq!(
        behind_login(&play(&module(read_only), &transcript)),
        [long.clone(), query("SELECT 1")].concat()
    );
    let outcome = play(&module(&format!("{read_only}[limits]\nlooked_at_kib = 1")), &transcript);
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
    assert_eq!(outcome.discarded["read only: too long to judge"], long.len() as u64);
}

/// How many commands the answers of both sides are known of, the login apart.
fn compared(outcome: &Outcome) -> usize {
    let is_known =
        |exchange: &&tcpcopy_plugin_api::Exchange| exchange.online.is_some() && exchange.target.is_some();
    outcome.exchanges.iter().filter(is_known).count() - 1
}

#[test]
fn an_early_answer_is_kept_as_far_as_there_is_room() {
    let transcript = in_().online(rows(200)).client(query("SELECT a FROM t")).target(rows(200));
    assert_eq!(compared(&play(&module("compare = true"), &transcript)), 1);
    let limited = module("compare = true\n[limits]\nearly_answers_kib = 1");
    assert_eq!(compared(&play(&limited, &transcript)), 0);
}

#[test]
fn commands_without_an_answer_are_remembered_as_far_as_there_is_room() {
    let said = (0..20).fold(in_(), |transcript, _| transcript.client(query("SELECT 1")).target(rows(1)));
    let transcript = (0..20).fold(said, |transcript: Transcript, _| transcript.online(rows(1)));
    assert_eq!(compared(&play(&module("compare = true"), &transcript)), 20);
    let limited = module("compare = true\n[limits]\nunanswered = 16");
    assert!(compared(&play(&limited, &transcript)) < 20);
}

/// A call that holds up everything takes time that is linear in what it is given: these would take minutes otherwise.
mod in_one_call {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use tcpcopy_plugin_api::testing::play;

    use super::*;

    const COMPRESS: u32 = 0x20;

    /// A frame with this in it, compressed if that is wanted.
    pub(super) fn frame(plain: &[u8], compresses: bool) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        let (body, length) =
            if compresses { (encoder.finish().unwrap(), plain.len()) } else { (plain.to_vec(), 0) };
        [&(body.len() as u32).to_le_bytes()[..3], &[0], &(length as u32).to_le_bytes()[..3], &body].concat()
    }

    pub(super) fn in_compressed() -> Transcript {
        Transcript::new()
            .online(greets_able(0xdeff_f7ff | COMPRESS, ONLINE))
            .target(greets(TARGET))
            .client(login(USUAL | COMPRESS))
            .online(said(2, &[OK]))
            .target(said(2, &[OK]))
    }

    #[test]
    fn many_commands_wait_for_answers() {
        let pings = command(0x0e, b"").repeat(200_000);
        let transcript = in_().client(&pings).target(said(1, &[OK]).repeat(1000));
        let outcome = play(&module(""), &transcript).unwrap();
        let said = behind_login(&outcome).len() / 5;
        assert!((1000..6000).contains(&said), "{said}");
        assert_eq!(outcome.connection().completed.len(), 1001);
    }

    #[test]
    fn many_statements_and_settings_are_known_by_name() {
        let prepare = command(0x16, b"SELECT 1");
        let all = (1..=16_000)
            .fold(in_(), |transcript, number| transcript.client(&prepare).target(prepared(number, 0)));
        let closes = command(0x19, &[0xff, 0xff, 0xff, 0]).repeat(60_000);
        let settings: String = (0..16_000).map(|number| format!(", @v{number}=1")).collect();
        let set = query(&format!("SET @a=1{settings}"));
        let transcript = all.client(&closes).client(&set).target(said(1, &[OK])).client(query("SELECT 1"));
        assert!(behind_login(&play(&module(""), &transcript).unwrap()).ends_with(&query("SELECT 1")));
    }

    #[test]
    fn frames_that_end_within_packets_are_read_once() {
        let query = query(&"x".repeat(100));
        // Each frame ends one byte before a packet does.
        let frames: Vec<u8> = (0..40_000)
            .flat_map(|_| frame(&[&query[query.len() - 1..], &query[..query.len() - 1]].concat(), false))
            .collect();
        let first = frame(&query[..query.len() - 1], false);
        let transcript = in_compressed().client([first, frames].concat());
        assert_eq!(behind_login(&play(&module(""), &transcript).unwrap()), b"");
    }

    #[test]
    fn frames_that_hold_more_than_a_command_may_are_given_up() {
        let bomb = frame(&vec![0xff; (1 << 24) - 1], true);
        let outcome = play(&module(""), &in_compressed().client(bomb.repeat(10))).unwrap();
        assert_eq!(outcome.gave_up.unwrap(), "a compressed command of the user has more than 64 MiB");
    }

    #[test]
    fn a_long_answer_in_one_frame_is_read_once() {
        let row = packet(0, b"\x01x").repeat(250_000);
        let answer = [&said(1, &[b"\x01", COLUMN, EOF])[..], &row, &packet(0, EOF)].concat();
        let transcript = in_compressed()
            .client(frame(&query("SELECT a FROM t"), false))
            .target(rows(1))
            .online(frame(&answer, true));
        assert_eq!(compared(&play(&module("compare = true"), &transcript).unwrap()), 1);
    }
}

#[test]
fn answers_that_come_in_one_frame_are_all_read() {
    use in_one_call::{frame, in_compressed};
    let transcript = in_compressed()
        .client(frame(&query("SELECT 1"), false))
        .client(frame(&query("SELECT 2"), false))
        .target(rows(1))
        .target(rows(2))
        .online(frame(&[rows(1), rows(2)].concat(), false));
    assert_eq!(compared(&play(&module("compare = true"), &transcript)), 2);
}

#[test]
fn a_change_of_the_user_is_no_longer_than_a_login() {
    let mut change = command(0x11, &vec![0; 1 << 20]);
    change.extend_from_slice(&query("SELECT 1"));
    let outcome = tcpcopy_plugin_api::testing::play(&module(""), &in_().client(change)).unwrap();
    assert_eq!(outcome.gave_up.unwrap(), "a change of the user is longer than any is");
}

#[test]
fn what_a_change_of_the_user_is_asked_beside_it_comes_in_frames_too() {
    use in_one_call::{frame, in_compressed};
    let change = command(0x11, b"app\0\x14abcdefghijklmnopqrstshop\0\x2d\0mysql_native_password\0");
    let transcript = in_compressed()
        .client(frame(&change, false))
        .target(said(1, &[OK]))
        .client(frame(&packet(3, b"abcdefghijklmnopqrst"), false))
        .client(frame(&query("SELECT 1"), false))
        .target(rows(1))
        .client(frame(&query("SELECT 2"), false));
    let said = behind_login(&play(&module(""), &transcript));
    assert!(said.ends_with(&[query("SELECT 1"), query("SELECT 2")].concat()), "{}", said.escape_ascii());
}
