//! Commands, their answers, and what becomes of them when the target's connection is lost.

use tcpcopy_plugin_api::testing::{Outcome, Transcript};

use super::script::*;
use crate::login::Login;
use crate::packet::{LONGEST, Packet, packet};

/// Both servers answer a query in the same way.
fn both(transcript: Transcript, query_text: &str, answer: &[u8]) -> Transcript {
    transcript.client(query(query_text)).online(answer).target(answer)
}

/// Labels, and whether both sides are known and equal.
fn compared(outcome: &Outcome) -> Vec<(&str, bool)> {
    let equal = |exchange: &tcpcopy_plugin_api::Exchange| match (exchange.online, exchange.target) {
        (Some(online), Some(target)) => (online.outcome, online.size) == (target.outcome, target.size),
        _ => false,
    };
    outcome.exchanges.iter().map(|exchange| (exchange.label.as_str(), equal(exchange))).collect()
}

#[test]
fn answers_are_compared_command_by_command() {
    let file_request = said(1, &[b"\xfb/tmp/data"]);
    let loaded = packet(4, b"\0\xfc\xd0\x07\0\x02\0\0\0");
    let transcript = both(in_(), "SELECT 1", &rows(3));
    let transcript = transcript
        .client(query("LOAD DATA LOCAL INFILE '/tmp/data' INTO TABLE t"))
        .online(&file_request)
        .target(&file_request)
        .client(said(2, &[b"1,a\n2,b\n", b""]))
        .online(&loaded)
        .target(&loaded);
    let transcript = both(transcript, "SET @a = 1", &said(1, &[OK]));
    let outcome = play(&module("compare = true"), &both(transcript, "SELECT 2", &rows(1)));
    let compared = compared(&outcome);
    assert_eq!(compared.len(), 5);
    assert!(compared.iter().all(|(_, equal)| *equal), "{compared:?}");
}

#[test]
fn differences_are_told() {
    let transcript = in_()
        .client(query("SELECT 1"))
        .online(rows(3))
        .target(rows(2))
        .client(query("SELECT 2"))
        .online(rows(1))
        .target(said(1, &[b"\xff\x28\x04#42000no"]));
    let outcome = play(&module("compare = true"), &transcript);
    let target: Vec<_> = outcome.exchanges.iter().map(|exchange| exchange.target.unwrap()).collect();
    assert_eq!((target[1].size, target[2].outcome, target[2].failed), (2, 1064, true));
}

#[test]
fn a_file_is_said_when_the_target_asks_for_it() {
    let load = query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t");
    let file = said(2, &[b"1\n", b""]);
    let asked = in_().client(&load).client(&file).target(said(1, &[b"\xfbf"]));
    let outcome = play(&module(""), &asked);
    assert_eq!(behind_login(&outcome), [load.clone(), file.clone()].concat());
    assert_eq!(outcome.connection().waits.len(), 1);
    let refused = in_()
        .client(&load)
        .client(&file)
        .target(said(1, &[b"\xff\xd4\x0f#42000off"]))
        .client(query("SELECT 1"));
    let outcome = play(&module(""), &refused);
    assert_eq!(behind_login(&outcome), [load, query("SELECT 1")].concat());
    assert_eq!(outcome.discarded["a file that the target did not ask for"], file.len() as u64);
}

#[test]
fn one_file_is_asked_for_at_a_time() {
    let load = query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t");
    let asks_twice = said(1, &[b"\xfbf", b"\xfbg"]);
    let outcome = play(&module(""), &in_().client(&load).target(asks_twice).client(query("SELECT 1")));
    assert!(outcome.gave_up.unwrap().contains("before it has the one it asked for"));
}

#[test]
fn a_statement_is_named_as_the_target_does() {
    let prepare = command(0x16, b"SELECT ?");
    let transcript = |module_compares: bool| {
        let begun = in_().client(&prepare).online(prepared(77, 1)).target(prepared(5, 1));
        let id = if module_compares { 77 } else { 1 };
        begun
            .client(execute(id, b"\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0"))
            .target(rows(1))
            .client(command(0x19, &u32::to_le_bytes(id)))
            .client(query("SELECT 1"))
    };
    let expected = [
        prepare.clone(),
        execute(5, b"\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0"),
        command(0x19, &[5, 0, 0, 0]),
        query("SELECT 1"),
    ]
    .concat();
    for (text, compares) in [("compare = true", true), ("", false)] {
        assert_eq!(behind_login(&play(&module(text), &transcript(compares))), expected);
    }
}

#[test]
fn attributes_are_where_they_seem_to_be_whatever_the_login_said() {
    const ATTRIBUTES: u32 = 0x0800_0000;
    let (short, long) = (&b"\0\x01\x08\0"[..], &b"\x01\0\x01\x08\0\0"[..]);
    let executed = |types: &[u8]| execute(1, &[b"\0\x01\0\0\0", types, b"\x2a\0\0\0\0\0\0\0"].concat());
    let plain = [query("SELECT 1"), command(0x16, b"SELECT ?"), executed(short)].concat();
    let with = [query("\0\u{1}SELECT 1"), command(0x16, b"SELECT ?"), executed(long)].concat();
    for (takes, expected) in [(true, &with), (false, &plain)] {
        let greeting = greets_able(if takes { 0xdeff_f7ff } else { 0xd6ff_f7ff }, TARGET);
        for user in [&plain, &with] {
            let prepared_first = user[query_length(user)..].to_vec();
            for said_by_user in [user.clone(), prepared_first] {
                let transcript = Transcript::new()
                    .target(&greeting)
                    .client(login(USUAL | ATTRIBUTES))
                    .target(said(2, &[OK]))
                    .client(&said_by_user)
                    .target(if said_by_user.len() == user.len() { rows(1) } else { vec![] })
                    .target(prepared(1, 1))
                    .target(rows(1));
                let begins_at = if said_by_user.len() == user.len() { 0 } else { query_length(expected) };
                assert_eq!(behind_login(&play(&module(""), &transcript)), expected[begins_at..]);
            }
        }
    }
}

/// How long the first packet is.
fn query_length(said: &[u8]) -> usize {
    crate::packet::Header::read(said).unwrap().total()
}

#[test]
fn an_execution_waits_for_what_the_target_calls_its_statement() {
    let prepare = command(0x16, b"SELECT 1");
    let transcript = in_().client(&prepare).client(execute(1, b"\0\x01\0\0\0"));
    assert_eq!(behind_login(&play(&module(""), &transcript)), prepare);
    let outcome = play(&module(""), &transcript.target(prepared(9, 0)));
    assert_eq!(behind_login(&outcome), [prepare, execute(9, b"\0\x01\0\0\0")].concat());
}

#[test]
fn what_has_no_statement_at_the_target_is_left_out() {
    let failed = in_()
        .client(command(0x16, b"SELECT 1"))
        .target(said(1, &[b"\xff\x28\x04#42000"]))
        .client(execute(1, b"\0\x01\0\0\0"))
        .client(execute(9, b"\0\x01\0\0\0"));
    let outcome = play(&module(""), &failed);
    assert_eq!(outcome.discarded["of a statement that the target could not prepare"], 14);
    assert_eq!(outcome.discarded["of a statement whose preparation was not captured"], 14);
}

#[test]
fn a_new_connection_is_brought_to_where_the_lost_one_was() {
    let ok = said(1, &[OK]);
    let transcript = in_()
        .client(query("SET NAMES utf8mb4"))
        .target(&ok)
        .client(query("USE other"))
        .target(&ok)
        .client(command(0x16, b"SELECT ?"))
        .target(prepared(3, 1))
        .client(execute(1, b"\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0"))
        .target(rows(1))
        .client(execute(1, b"\0\x01\0\0\0\0\0\x2b\0\0\0\0\0\0\0"))
        .reconnect()
        .target(greets(ONLINE))
        .target(said(2, &[OK]))
        .target(&ok)
        .target(prepared(8, 1));
    let outcome = play(&module(""), &transcript);
    let login = Login::read(Packet::read(outcome.said()).unwrap().payload).unwrap();
    assert_eq!((login.user.as_slice(), login.database.as_deref()), (&b"app_test"[..], Some(&b"other"[..])));
    let expected = [
        query("SET NAMES utf8mb4"),
        command(0x16, b"SELECT ?"),
        execute(8, b"\0\x01\0\0\0\0\x01\x08\0\x2b\0\0\0\0\0\0\0"),
    ];
    assert_eq!(behind_login(&outcome), expected.concat());
}

#[test]
fn what_a_new_connection_cannot_be_given_is_remarked_upon() {
    let ok = said(1, &[OK]);
    let transcript = in_()
        .client(query("SET @a = 1, @b = @a, @c = UUID()"))
        .target(&ok)
        .client(command(3, b"SET @d = '\xe9'"))
        .target(&ok)
        .client(command(3, b"USE caf\xe9"))
        .target(&ok)
        .reconnect()
        .target(greets(ONLINE))
        .target(said(2, &[OK]))
        .target(&ok)
        .client(query("SELECT 1"));
    let outcome = play(&module(""), &transcript);
    assert_eq!(behind_login(&outcome), [query("SET @a = 1"), query("SELECT 1")].concat());
    let remark = |part: &str| {
        outcome.remarks.iter().find(|(phrase, _)| phrase.contains(part)).map(|(_, count)| *count)
    };
    assert_eq!(remark("a value that only the lost connection knew"), Some(3));
    assert_eq!(remark("the database in use has a name that is not UTF-8"), Some(1));
}

#[test]
fn a_reset_forgets_what_was_before_it_alone() {
    let prepare = command(0x16, b"SELECT 1");
    let transcript = in_()
        .client(&prepare)
        .client(command(0x1f, b""))
        .client(&prepare)
        .client(execute(2, b"\0\x01\0\0\0"))
        .client(execute(1, b"\0\x01\0\0\0"))
        .target(prepared(3, 0))
        .target(said(1, &[OK]))
        .target(prepared(4, 0));
    let outcome = play(&module(""), &transcript);
    let expected = [prepare.clone(), command(0x1f, b""), prepare, execute(4, b"\0\x01\0\0\0")];
    assert_eq!(behind_login(&outcome), expected.concat());
    assert_eq!(outcome.discarded["of a statement whose preparation was not captured"], 14);
}

#[test]
fn a_login_that_was_lost_is_said_again() {
    let transcript = Transcript::new()
        .target(greets(TARGET))
        .client(login(USUAL))
        .reconnect()
        .target(greets(ONLINE))
        .target(said(2, &[OK]))
        .client(query("SELECT 1"));
    assert_eq!(behind_login(&play(&module(""), &transcript)), query("SELECT 1"));
}

#[test]
fn the_rest_of_a_lost_transaction_can_be_left_out() {
    let begun = said(1, &[b"\0\0\0\x03\0\0\0"]);
    let transcript = in_()
        .client(query("BEGIN"))
        .target(&begun)
        .reconnect()
        .client(query("INSERT INTO t VALUES (1)"))
        .client(query("COMMIT"))
        .client(query("SELECT 1"))
        .target(greets(ONLINE))
        .target(said(2, &[OK]));
    let remark = "a transaction was open when the target's connection was lost: what it had done is gone";
    let outcome = play(&module(""), &transcript);
    assert_eq!(outcome.remarks[remark], 1);
    assert!(behind_login(&outcome).starts_with(&query("INSERT INTO t VALUES (1)")));
    let outcome = play(&module("lost_transaction = \"skip\""), &transcript);
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
    assert_eq!(outcome.discarded.values().sum::<u64>(), 29 + 11);
}

#[test]
fn what_would_harm_the_target_is_never_said() {
    let transcript =
        in_().client(command(0x0c, &[1, 0, 0, 0])).client(command(0x08, b"")).client(query("SELECT 1"));
    assert_eq!(behind_login(&play(&module(""), &transcript)), query("SELECT 1"));
    let copy = play(&module(""), &in_().client(command(0x12, &[0; 10])));
    assert!(copy.gave_up.unwrap().contains("replication"));
}

#[test]
fn a_session_moves_to_another_conversation() {
    let transcript = in_()
        .client(command(0x16, b"SELECT 1"))
        .target(prepared(4, 0))
        .moves()
        .client(execute(1, b"\0\x01\0\0\0"))
        .target(rows(1));
    let outcome = play(&module(""), &transcript);
    assert_eq!(outcome.moves, 1);
    assert!(behind_login(&outcome).ends_with(&execute(4, b"\0\x01\0\0\0")));
}

#[test]
fn a_compressed_connection_is_said_without_the_compression() {
    let frame = |plain: &[u8]| [&(plain.len() as u32).to_le_bytes()[..3], &[0, 0, 0, 0], plain].concat();
    let close = command(0x19, &[9, 0, 0, 0]);
    let both = [query("SELECT 1"), query("SELECT 2")].concat();
    let transcript = Transcript::new()
        .target(greets(TARGET))
        .client(login(USUAL | 0x20))
        .target(said(2, &[OK]))
        .client(frame(&query("SELECT 0")))
        .target(rows(1))
        .client(frame(&both[..10]))
        .client(frame(&both[10..]))
        .target(rows(1))
        .target(rows(1))
        .client(frame(&close));
    let outcome = play(&module(""), &transcript);
    assert_eq!(behind_login(&outcome), [query("SELECT 0"), both].concat());
    assert_eq!((outcome.connection().turns.len(), outcome.connection().completed.len()), (3, 3));
}

#[test]
fn the_packets_of_a_file_are_numbered_again_behind_255() {
    let load = query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t");
    // The 255th looks like a command.
    let file: Vec<u8> = (0..300_u32)
        .flat_map(|number| {
            packet((number + 2) as u8, if number == 254 { b"\x03DROP TABLE t" } else { b"1,2\n" })
        })
        .chain(packet(302_u32 as u8, b""))
        .collect();
    let next = query("SELECT 1");
    let transcript = in_().client(&load).client(&file).client(&next);
    let asked = transcript.clone().target(said(1, &[b"\xfbf"])).target(packet(47, OK));
    assert_eq!(behind_login(&play(&module(""), &asked)), [&load[..], &file, &next].concat());
    let refused = transcript.target(said(1, &[b"\xff\x28\x04#42000no"]));
    let outcome = play(&module(""), &refused);
    assert_eq!(behind_login(&outcome), [&load[..], &next].concat());
    assert_eq!(outcome.discarded["a file that the target did not ask for"], file.len() as u64);
}

#[test]
fn a_file_that_production_did_not_ask_for_is_ended_before_a_reset() {
    let load = query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t");
    let reset = command(0x1f, b"");
    let transcript = in_().client(&load).target(said(1, &[b"\xfbf"])).client(&reset).target(packet(3, OK));
    let said = behind_login(&play(&module(""), &transcript));
    assert_eq!(said, [&load[..], &packet(2, b""), &reset].concat());
}

#[test]
fn a_preparation_that_failed_names_no_statement() {
    let error: &[u8] = b"\xff\x28\x04#42000no";
    let transcript = in_()
        .client(command(0x16, b"SELEC 1"))
        .online(said(1, &[error]))
        .target(said(1, &[error]))
        .client(execute(77, b"\0\x01\0\0\0"))
        .client(query("SELECT 1"));
    assert!(behind_login(&play(&module("compare = true"), &transcript)).ends_with(&query("SELECT 1")));
}

#[test]
fn the_last_statement_is_none_once_it_was_closed() {
    let transcript = in_()
        .client(command(0x16, b"SELECT 1"))
        .target(prepared(1, 0))
        .client(command(0x19, &[0xff; 4]))
        .client(query("SELECT 1"))
        .target(rows(1))
        .client(execute(u32::MAX, b"\0\x01\0\0\0"))
        .client(query("SELECT 2"));
    assert!(behind_login(&play(&module(""), &transcript)).ends_with(&query("SELECT 2")));
}

#[test]
fn what_was_set_before_a_statement_failed_is_set_again() {
    let more = b"\0\0\0\x0a\0\0\0";
    let transcript = in_()
        .client(query("USE other; SET @a = 1; SELEC; SET @b = 1"))
        .target(said(1, &[more, more, b"\xff\x28\x04#42000no"]))
        .reconnect()
        .target(greets(TARGET))
        .target(said(2, &[OK]))
        .target(said(1, &[OK]))
        .client(query("DELETE FROM t"));
    let outcome = play(&module(""), &transcript);
    let said = outcome.connections[1].said.escape_ascii().to_string();
    assert!(said.contains("other") && said.contains("SET @a = 1") && !said.contains("@b"), "{said}");
}

#[test]
fn losses_within_a_row_are_no_matter() {
    let row = packet(4, &[b'x'; 1000]);
    let begun = in_().client(query("SELECT a FROM t")).target(said(1, &[b"\x01", COLUMN, EOF]));
    let lost = |first: usize, count| {
        let side = tcpcopy_plugin_api::Side::Target;
        let transcript = begun.clone().target(&row[..first]).missing(side, count).target(packet(5, EOF));
        play(&module(""), &transcript)
    };
    assert_eq!(lost(100, 904).connection().completed.len(), 2);
    assert!(lost(100, 905).gave_up.is_some());
    assert!(lost(1004, 50).gave_up.is_some());
}

#[test]
fn a_key_that_makes_no_sense_refuses_the_account() {
    let switch = [&b"\xfesha256_password\0"[..], &[b'z'; 20]].concat();
    let key = b"\x01-----BEGIN PUBLIC KEY-----\nMFwwDQYJ\n-----END PUBLIC KEY-----\n";
    let transcript = Transcript::new()
        .target(greets(TARGET))
        .client(login(USUAL))
        .target(said(2, &[&switch]))
        .target(said(4, &[key]));
    let reason = play(&module(""), &transcript).gave_up.unwrap();
    assert!(reason.contains("makes no sense"), "{reason}");
}

#[test]
fn an_incomplete_command_of_a_user_who_left_is_counted() {
    let transcript = in_().client(&query("SELECT 1")[..7]).ends(tcpcopy_plugin_api::Side::Client);
    assert_eq!(play(&module(""), &transcript).discarded["an incomplete command"], 7);
    let whole = in_().ends(tcpcopy_plugin_api::Side::Client);
    assert!(play(&module(""), &whole).discarded.is_empty());
}

#[test]
fn words_without_an_answer_belong_to_what_follows() {
    let transcript = in_()
        .client(command(0x16, b"INSERT INTO t VALUES (?)"))
        .target(prepared(2, 1))
        .client(command(0x18, b"\x01\0\0\0\0\0long"))
        .client(execute(1, b"\0\x01\0\0\0\0\x01\xfc\0"))
        .target(said(1, &[OK]));
    let outcome = play(&module(""), &transcript);
    assert_eq!((outcome.connection().turns.len(), outcome.connection().completed.len()), (3, 3));
}

#[test]
fn a_command_of_several_packets_is_one_command() {
    let long = [&[3][..], &vec![b'x'; LONGEST - 1]].concat();
    let said = [packet_of_any_length(0, &long), packet(1, b"and its end"), query("SELECT 1")].concat();
    let transcript =
        in_().client(&said[..5_000_000]).client(&said[5_000_000..]).target(said_ok()).target(rows(1));
    let outcome = tcpcopy_plugin_api::testing::play(&module(""), &transcript).unwrap();
    assert!(behind_login(&outcome) == said);
    assert_eq!((outcome.connection().turns.len(), outcome.connection().completed.len()), (3, 3));
    let outcome = tcpcopy_plugin_api::testing::play(&module("read_only = true"), &transcript).unwrap();
    assert!(behind_login(&outcome) == query("SELECT 1"));
    assert_eq!(
        outcome.discarded["read only: too long to judge"],
        (said.len() - query("SELECT 1").len()) as u64
    );
}

fn said_ok() -> Vec<u8> {
    said(1, &[OK])
}

fn packet_of_any_length(sequence: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes()[..3], &[sequence], payload].concat()
}
