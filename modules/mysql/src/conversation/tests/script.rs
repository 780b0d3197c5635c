//! The words of sessions.

use tcpcopy_plugin_api::testing::{Outcome, Transcript, check_every_split};
use tcpcopy_plugin_api::{Configuration, Module};

use crate::Mysql;
use crate::greeting::tests::greeting;
use crate::packet::packet;

pub(super) const ONLINE: &[u8; 20] = b"online-online-online";
pub(super) const TARGET: &[u8; 20] = b"target-target-target";
pub(super) const OK: &[u8] = b"\0\0\0\x02\0\0\0";
pub(super) const EOF: &[u8] = b"\xfe\0\0\x02\0";
pub(super) const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
/// Protocol 4.1, secure connection, plugins, and a database.
pub(super) const USUAL: u32 = 0x0008_8208 | 1;

/// The module with accounts of its own at the target.
pub(super) fn module(more: &str) -> Mysql {
    let text =
        format!("{more}\n[[account]]\nuser = \"app\"\npassword = \"new\"\ntarget_user = \"app_test\"\n");
    Mysql::configure(&Configuration::new(&text, "mysql.toml")).unwrap()
}

/// The same with an account for whoever is not known.
pub(super) fn module_with_default(more: &str) -> Mysql {
    module(&format!(
        "default_account = {{ user = \"copy\", password = \"copied\", database = \"shop\" }}\n{more}"
    ))
}

pub(super) fn play(module: &Mysql, transcript: &Transcript) -> Outcome {
    check_every_split(module, transcript).unwrap()
}

/// What a server says first.
pub(super) fn greets(challenge: &[u8; 20]) -> Vec<u8> {
    greets_able(0xdeff_f7ff, challenge)
}

/// The same of a server that can do that.
pub(super) fn greets_able(capabilities: u32, challenge: &[u8; 20]) -> Vec<u8> {
    packet(0, &greeting(capabilities, 0, challenge, "mysql_native_password"))
}

/// The same of a server with that default collation and status.
pub(super) fn greets_by_default(collation: u8, status: u16) -> Vec<u8> {
    /// Behind the header, the version, the connection's number, the first part of the challenge and the capabilities.
    const COLLATION: usize = 31;
    let mut greeting = greets(TARGET);
    greeting[COLLATION] = collation;
    greeting[COLLATION + 1..COLLATION + 3].copy_from_slice(&status.to_le_bytes());
    greeting
}

/// A user's login, with production's password.
pub(super) fn login(capabilities: u32) -> Vec<u8> {
    login_in(45, capabilities)
}

/// The same in the character set of that collation.
pub(super) fn login_in(collation: u8, capabilities: u32) -> Vec<u8> {
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend_from_slice(&[0, 0, 0, 1, collation]);
    payload.extend_from_slice(&[0; 23]);
    payload.extend_from_slice(b"app\0\x14abcdefghijklmnopqrst");
    payload.extend_from_slice(b"shop\0mysql_native_password\0");
    packet(1, &payload)
}

/// Packets of one side, numbered from `first`.
pub(super) fn said(first: u8, payloads: &[&[u8]]) -> Vec<u8> {
    payloads.iter().zip(first..).flat_map(|(payload, sequence)| packet(sequence, payload)).collect()
}

/// A command.
pub(super) fn command(code: u8, rest: &[u8]) -> Vec<u8> {
    packet(0, &[&[code], rest].concat())
}

pub(super) fn execute(id: u32, rest: &[u8]) -> Vec<u8> {
    command(0x17, &[&id.to_le_bytes()[..], rest].concat())
}

pub(super) fn query(text: &str) -> Vec<u8> {
    command(3, text.as_bytes())
}

/// A result of so many rows.
pub(super) fn rows(count: usize) -> Vec<u8> {
    let mut payloads: Vec<&[u8]> = vec![b"\x01", COLUMN, EOF];
    payloads.extend(std::iter::repeat_n(&b"\x01x"[..], count));
    payloads.push(EOF);
    said(1, &payloads)
}

/// A statement was prepared.
pub(super) fn prepared(id: u32, parameters: u16) -> Vec<u8> {
    let mut head = vec![0];
    head.extend_from_slice(&id.to_le_bytes());
    head.extend_from_slice(&[0, 0]);
    head.extend_from_slice(&parameters.to_le_bytes());
    head.extend_from_slice(&[0, 0, 0]);
    let mut payloads: Vec<&[u8]> = vec![&head];
    payloads.extend(std::iter::repeat_n(COLUMN, parameters.into()));
    if parameters > 0 {
        payloads.push(EOF);
    }
    said(1, &payloads)
}

/// A session in which the user has logged in on both sides.
pub(super) fn in_() -> Transcript {
    Transcript::new()
        .online(greets(ONLINE))
        .target(greets(TARGET))
        .client(login(USUAL))
        .online(said(2, &[OK]))
        .target(said(2, &[OK]))
}

/// What was said behind the login.
pub(super) fn behind_login(outcome: &Outcome) -> Vec<u8> {
    let said = outcome.said();
    let header = crate::packet::Header::read(said).unwrap();
    said[header.total()..].to_vec()
}
