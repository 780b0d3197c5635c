//! Getting in.

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;
use tcpcopy_plugin_api::testing::Transcript;

use super::script::*;
use crate::login::Login;
use crate::packet::{Packet, packet};

#[test]
fn the_login_is_ours_and_what_follows_the_users() {
    let query = query("SELECT 1");
    let transcript = in_().client(&query).target(rows(1));
    let outcome = play(&module(""), &transcript);
    let ours = Packet::read(outcome.said()).unwrap();
    let login = Login::read(ours.payload).unwrap();
    assert_eq!((login.user.as_slice(), login.database.as_deref()), (&b"app_test"[..], Some(&b"shop"[..])));
    let answer = scramble_native(TARGET, b"new").unwrap();
    assert!(ours.payload.windows(20).any(|part| part == answer));
    assert_eq!(behind_login(&outcome), query);
    assert_eq!(outcome.connection().turns.len(), 2);
    assert_eq!(outcome.connection().completed.len(), 2);
}

#[test]
fn a_user_who_is_early_is_kept_waiting() {
    let transcript = Transcript::new().client(login(USUAL)).client(query("SELECT 1")).target(greets(TARGET));
    let outcome = play(&module(""), &transcript);
    assert!(behind_login(&outcome).is_empty());
    let outcome = play(&module(""), &transcript.target(said(2, &[OK])));
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
}

#[test]
fn rounds_that_only_production_asked_for_are_not_said() {
    let transcript = Transcript::new()
        .target(greets(TARGET))
        .client(login(USUAL))
        .client(packet(3, b"12345678901234567890"))
        .client(packet(5, b""))
        .client(query("SELECT 1"))
        .target(said(2, &[OK]));
    assert_eq!(behind_login(&play(&module(""), &transcript)), query("SELECT 1"));
}

#[test]
fn rounds_that_only_the_target_asks_for_are_answered() {
    let switch = [b"\xfecaching_sha2_password\0", &ONLINE[..], b"\0"].concat();
    let transcript = Transcript::new()
        .target(greets(TARGET))
        .client(login(USUAL))
        .client(query("SELECT 1"))
        .target(packet(2, &switch))
        .target(said(4, &[b"\x01\x03", OK]));
    let answer = packet(3, &scramble_sha256(ONLINE, b"new").unwrap());
    assert_eq!(behind_login(&play(&module(""), &transcript)), [answer, query("SELECT 1")].concat());
}

#[test]
fn what_cannot_be_let_in_is_given_up_with_its_reason() {
    let gave_up = |transcript: Transcript| play(&module(""), &transcript).gave_up.unwrap_or_default();
    let refused = packet(2, b"\xff\x15\x04#28000Access denied");
    let begun = Transcript::new().target(greets(TARGET)).client(login(USUAL));
    assert_eq!(
        gave_up(begun.target(refused)),
        "the target refused the account \"app_test\": error 1045, access denied"
    );
    let mut stranger = login(USUAL);
    stranger[36..39].copy_from_slice(b"eve");
    let begun = Transcript::new().target(greets(TARGET));
    assert_eq!(gave_up(begun.clone().client(stranger)), "no account is configured for the user \"eve\"");
    let tls = packet(1, &[&(USUAL | 0x800).to_le_bytes()[..], &[0; 28]].concat());
    assert!(gave_up(begun.client(tls)).contains("TLS"));
    let busy = packet(0, b"\xff\x10\x04Too many connections");
    assert!(gave_up(Transcript::new().target(busy)).contains("error 1040"));
    assert!(
        gave_up(Transcript::new().target(packet(0, b"220 mail.example.org")))
            .contains("no greeting of MySQL")
    );
}

#[test]
fn a_session_joined_in_its_middle_begins_with_the_default_account() {
    let transcript =
        Transcript::new().joined().client(query("SELECT 1")).target(greets(TARGET)).target(said(2, &[OK]));
    let outcome = play(&module_with_default(""), &transcript);
    let login = Login::read(Packet::read(outcome.said()).unwrap().payload).unwrap();
    assert_eq!((login.user.as_slice(), login.database.as_deref()), (&b"copy"[..], Some(&b"shop"[..])));
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
    let outcome = play(&module(""), &Transcript::new().joined().client(query("SELECT 1")));
    assert!(outcome.gave_up.unwrap().contains("default_account"));
}

#[test]
fn a_joined_stream_that_is_not_readable_is_left_alone() {
    let joined = |said: &[u8]| {
        let transcript = Transcript::new().joined().target(greets(TARGET)).target(said_ok()).client(said);
        play(&module_with_default(""), &transcript).gave_up.unwrap_or_default()
    };
    assert!(joined(b"\x17\x03\x03\0\x20abcdefghijklmnopqrstuvwxyz").contains("TLS"));
    assert!(joined(b"GET / HTTP/1.1\r\n\r\n").contains("no command begins"));
    assert!(joined(b"\x05\0\0\0hello").contains("makes no sense"));
}

fn said_ok() -> Vec<u8> {
    said(2, &[OK])
}

#[test]
fn a_change_of_the_user_waits_for_the_answers_before_it() {
    let change = command(0x11, b"app\0\0shop\0\x2d\0mysql_native_password\0");
    let transcript = in_().client(query("SELECT 1")).client(&change).client(query("SELECT 2"));
    let early = play(&module(""), &transcript);
    assert_eq!(behind_login(&early), query("SELECT 1"));
    let outcome = play(&module(""), &transcript.target(rows(1)).target(said(1, &[OK])));
    assert!(behind_login(&outcome).ends_with(&query("SELECT 2")));
    assert_eq!(outcome.connection().completed.len(), 3);
}

#[test]
fn a_user_becomes_another_one() {
    let change = command(0x11, b"app\0\x14abcdefghijklmnopqrstother\0\x2d\0mysql_native_password\0");
    let switch = [b"\xfemysql_native_password\0", &ONLINE[..], b"\0"].concat();
    let transcript = in_()
        .client(&change)
        .client(packet(3, b"12345678901234567890"))
        .client(query("SELECT 1"))
        .target(packet(1, &switch))
        .target(said(3, &[OK]));
    let outcome = play(&module(""), &transcript);
    let said = behind_login(&outcome);
    let ours = Packet::read(&said).unwrap();
    assert!(ours.payload.starts_with(b"\x11app_test\0\x14"));
    let answer = packet(2, &scramble_native(ONLINE, b"new").unwrap());
    assert_eq!(said[ours.header.total()..], [answer, query("SELECT 1")].concat());
}
