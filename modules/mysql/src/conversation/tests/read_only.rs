//! What is held back where only reading is allowed.

use tcpcopy_plugin_api::testing::Transcript;
use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};

use super::script::*;
use crate::Mysql;

const READ_ONLY: &str = "read_only = true";
/// The status of a server to which a backslash is an ordinary character, in its answer that all is well.
const PLAIN: &[u8] = b"\0\0\0\x02\x02\0\0";
const GBK: u8 = 28;
const SWE7: u8 = 10;
/// To gbk, the backslash is the second half of a character, and what stands behind the quote is code.
const DISGUISED: &str = r"SELECT '中\' INTO OUTFILE '/tmp/x' -- '";

#[test]
fn nothing_that_writes_is_said_where_that_is_wanted() {
    let transcript = in_()
        .client(query("INSERT INTO t VALUES (1)"))
        .client(command(0x16, b"DELETE FROM t"))
        .client(execute(1, b"\0\x01\0\0\0"))
        .client(command(0x06, b"shop"))
        .client(query("SELECT 1"));
    let outcome = play(&module("read_only = true"), &transcript);
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
    assert_eq!(outcome.discarded["of a statement that was held back"], 14);
}

/// A session that begins in the character set of that collation.
fn in_character_set(collation: u8) -> Transcript {
    Transcript::new().target(greets(TARGET)).client(login_in(collation, USUAL)).target(said(2, &[OK]))
}

/// How many bytes were left out for a reason with this in it.
fn held_back(transcript: &Transcript, part: &str) -> (Vec<u8>, u64) {
    let outcome = play(&module(READ_ONLY), transcript);
    let reasons = outcome.discarded.iter().filter(|(reason, _)| reason.contains(part));
    (behind_login(&outcome), reasons.map(|(_, bytes)| bytes).sum())
}

#[test]
fn texts_that_a_double_byte_character_set_reads_otherwise_are_held_back() {
    let disguised = query(DISGUISED);
    let transcript =
        in_character_set(GBK).client(query("SELECT 'a'")).client(&disguised).client(query("SELECT 2"));
    let expected = ([query("SELECT 'a'"), query("SELECT 2")].concat(), disguised.len() as u64);
    assert_eq!(held_back(&transcript, "read only: a character set in which a quote"), expected);
    let prepared =
        in_character_set(GBK).client(command(0x16, DISGUISED.as_bytes())).client(query("SELECT 2"));
    assert_eq!(
        held_back(&prepared, "read only: a character set"),
        (query("SELECT 2"), disguised.len() as u64)
    );
    let utf8 = in_().client(&disguised);
    assert_eq!(held_back(&utf8, "read only").0, disguised);
}

#[test]
fn a_character_set_that_is_not_like_ascii_holds_everything_back() {
    let transcript = in_character_set(SWE7).client(query("SELECT 1"));
    assert_eq!(held_back(&transcript, "read only: a character set that is not known"), (vec![], 13));
}

#[test]
fn a_character_set_counts_from_when_the_target_has_taken_it() {
    let names = query("SET NAMES utf8mb4");
    let transcript = in_character_set(GBK)
        .client(&names)
        .client(query(DISGUISED))
        .target(said(1, &[OK]))
        .client(query(DISGUISED))
        .target(rows(1));
    let (said_then, bytes) = held_back(&transcript, "read only: a character set");
    assert_eq!((said_then, bytes), ([names, query(DISGUISED)].concat(), query(DISGUISED).len() as u64));
}

#[test]
fn a_reset_session_may_read_as_before_or_as_the_server_does_by_default() {
    const UTF8: u8 = 45;
    let length = query(DISGUISED).len() as u64;
    for (default, login, before, behind) in
        [(GBK, UTF8, 0, length), (UTF8, GBK, length, length), (UTF8, UTF8, 0, 0)]
    {
        let begun = Transcript::new()
            .target(greets_by_default(default, 2))
            .client(login_in(login, USUAL))
            .target(said(2, &[OK]))
            .client(query(DISGUISED))
            .target(if before == 0 { rows(1) } else { vec![] });
        assert_eq!(held_back(&begun, "read only: a character set").1, before);
        let reset = begun.client(command(0x1f, b"")).target(said(1, &[OK])).client(query(DISGUISED));
        assert_eq!(held_back(&reset, "read only: a character set").1, before + behind);
    }
}

#[test]
fn backslashes_are_held_back_where_they_escape_nothing() {
    let escaped = query(r"SELECT 'a\' INTO OUTFILE \'/tmp/x\' -- '");
    let expected = (query("SELECT 'a'"), escaped.len() as u64);
    let by_greeting =
        Transcript::new().target(greets_by_default(45, 0x0202)).client(login(USUAL)).target(said(2, &[OK]));
    let by_login = Transcript::new().target(greets(TARGET)).client(login(USUAL)).target(said(2, &[PLAIN]));
    for begun in [by_greeting, by_login] {
        let transcript = begun.client(&escaped).client(query("SELECT 'a'"));
        assert_eq!(held_back(&transcript, "read only: a backslash under NO_BACKSLASH_ESCAPES"), expected);
    }
}

#[test]
fn a_new_connection_that_reads_otherwise_is_not_told_what_the_old_one_was() {
    let texts = [r"SET @a = 'x\'y', @b = 1", r"SELECT 'x\'y'"];
    let transcript = in_()
        .client(query(texts[0]))
        .target(said(1, &[OK]))
        .client(command(0x16, texts[1].as_bytes()))
        .target(prepared(3, 0))
        .reconnect()
        .target(greets(ONLINE))
        .target(said(2, &[PLAIN]))
        .client(command(0x17, b"\x01\0\0\0\0\x01\0\0\0"))
        .target(said(1, &[OK]))
        .target(said(1, &[OK]))
        .target(prepared(4, 0));
    let outcome = play(&module(READ_ONLY), &transcript);
    assert_eq!(behind_login(&outcome), query("SET @b = 1"));
    assert_eq!(outcome.discarded["of a statement that was held back"], 14);
    assert_eq!(outcome.remarks.values().sum::<u64>(), 2);
    let all = behind_login(&play(&module(""), &transcript));
    assert!(all.ends_with(&command(0x17, b"\x04\0\0\0\0\x01\0\0\0")));
}

#[test]
fn a_preparation_without_an_answer_is_judged_anew() {
    let prepare = command(0x16, br"SELECT 'x\'y'");
    let transcript = in_()
        .client(&prepare)
        .reconnect()
        .target(greets_by_default(45, 0x0202))
        .target(said(2, &[OK]))
        .client(execute(1, b"\0\x01\0\0\0"))
        .client(query("SELECT 1"));
    let outcome = play(&module(READ_ONLY), &transcript);
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
    assert_eq!(outcome.discarded["of a statement that was held back"], 14);
}

#[test]
fn no_file_is_said() {
    let transcript = in_()
        .client(query("SELECT 1"))
        .target(said(1, &[b"\xfb/etc/passwd"]))
        .client(said(2, &[b"1,2\n", b""]));
    let outcome = play(&module(READ_ONLY), &transcript);
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
    assert!(outcome.gave_up.unwrap().contains("asks for a file"));
}

#[test]
fn attributes_are_passed_over_as_the_server_does() {
    // 9 bytes behind a type that says how long it is: what a server executes begins behind them.
    for kind in [6_u16, 13, 9, 0x103] {
        let attributes = [&[1, 1, 0, 1][..], &kind.to_le_bytes(), b"\x01n\x09"].concat();
        let text = "SELECT 'INSERT INTO t VALUES (1) -- '";
        let said = command(3, &[&attributes, text.as_bytes()].concat());
        let transcript = Transcript::new()
            .target(greets(TARGET))
            .client(login(USUAL | 1 << 27))
            .target(super::script::said(2, &[OK]))
            .client(said);
        let outcome = play(&module(READ_ONLY), &transcript);
        assert_eq!(behind_login(&outcome), b"", "type {kind}");
    }
}

#[test]
fn a_collation_that_the_target_may_not_know_is_perhaps_its_own() {
    let transcript = |collation| {
        let greeted = Transcript::new().target(greets_by_default(GBK, 2)).client(login_in(collation, USUAL));
        greeted.target(said(2, &[OK])).client(query(DISGUISED))
    };
    assert_eq!(behind_login(&play(&module(READ_ONLY), &transcript(255))), b"");
}

/// A module that is replaced by another.
struct Replaced {
    first: Mysql,
    second: Mysql,
}

impl Module for Replaced {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Err(ConfigurationError::new("it is made by a test"))
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        self.first.open(session)
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        self.second.resume(session, snapshot)
    }
}

#[test]
fn what_was_prepared_before_is_judged_when_only_reading_is_allowed() {
    let transcript = in_()
        .client(command(0x16, b"DELETE FROM t"))
        .target(prepared(1, 0))
        .client(command(0x16, b"SELECT 1"))
        .target(prepared(2, 0))
        .moves()
        .client(execute(1, b"\0\x01\0\0\0"))
        .client(execute(2, b"\0\x01\0\0\0"));
    let module = Replaced { first: module(""), second: module(READ_ONLY) };
    let outcome = tcpcopy_plugin_api::testing::play(&module, &transcript).unwrap();
    assert_eq!(outcome.moves, 1);
    assert!(behind_login(&outcome).ends_with(&execute(2, b"\0\x01\0\0\0")));
    assert_eq!(outcome.discarded["of a statement that was held back"], 14);
}

#[test]
fn a_kill_is_not_prepared_either() {
    let outcome = play(&module(""), &in_().client(command(0x16, b"KILL 5")).client(query("SELECT 1")));
    assert_eq!(behind_login(&outcome), query("SELECT 1"));
}
