//! What `[limits]` does.

use tcpcopy_plugin_api::testing::{Outcome, Transcript};

use super::script::*;

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
