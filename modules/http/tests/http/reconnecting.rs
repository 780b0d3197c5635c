//! New connections to the target: what was not answered is said again.

use tcpcopy_plugin_api::Side;
use tcpcopy_plugin_api::testing::{Outcome, Transcript};

use crate::play;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST_HEAD: &str = "POST /b HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn said(outcome: &Outcome) -> Vec<String> {
    let connections = outcome.connections.iter();
    connections.map(|connection| String::from_utf8_lossy(&connection.said).into_owned()).collect()
}

#[test]
fn an_unanswered_request_is_said_again_and_reported_once() {
    let transcript = Transcript::new()
        .client(GET.repeat(2))
        .online(OK.repeat(2))
        .target([OK, "HTTP/1.1 200 O"].concat())
        .reconnect()
        .target(OK)
        .client(GET)
        .online(OK)
        .target(OK);
    let outcome = play("compare = true", &transcript);
    assert_eq!(said(&outcome), [GET.repeat(2), GET.repeat(2)]);
    assert_eq!(outcome.connection().completed.len(), 2);
    assert_eq!(outcome.exchanges.len(), 3);
    assert!(outcome.exchanges.iter().all(|exchange| exchange.online.is_some() && exchange.target.is_some()));
}

#[test]
fn a_request_whose_body_was_under_way_is_read_again() {
    let transcript =
        Transcript::new().client(POST_HEAD).client("01234").reconnect().client("56789").target(OK);
    for configuration in ["", "rewrite.set = { A = 'b' }"] {
        let outcome = play(configuration, &transcript);
        assert!(outcome.said().ends_with(b"\r\n\r\n0123456789"));
        assert_eq!(outcome.connection().completed.len(), 1);
        assert_eq!(outcome.connection().turns, [0]);
    }
}

#[test]
fn a_chunked_body_under_way_is_read_again() {
    let head = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let transcript =
        Transcript::new().client([head, "5\r\nhe"].concat()).reconnect().client("llo\r\n0\r\n\r\n");
    assert_eq!(said(&play("", &transcript))[1], [head, "5\r\nhello\r\n0\r\n\r\n"].concat());
}

#[test]
fn the_rest_of_an_answered_request_is_not_said_to_another_connection() {
    let transcript =
        Transcript::new().client(POST_HEAD).client("01234").target(OK).ends(Side::Target).reconnect();
    let outcome = play("", &transcript.client("56789"));
    assert_eq!(said(&outcome), [[POST_HEAD, "01234"].concat(), String::new()]);
    assert!(outcome.gave_up.unwrap().contains("before it had all of a request"));
}

#[test]
fn what_was_left_out_between_is_left_out_again() {
    let post = [POST_HEAD, "0123456789"].concat();
    let transcript = Transcript::new().client([GET, &post, GET].concat()).reconnect().target(OK.repeat(2));
    let outcome = play("read_only = true", &transcript);
    assert_eq!(said(&outcome), [GET.repeat(2), GET.repeat(2)]);
    assert_eq!(outcome.discarded["read only"], post.len() as u64);
    assert_eq!(outcome.exchanges.len(), 2);
}

#[test]
fn a_head_that_was_incomplete_is_still_completed() {
    let transcript =
        Transcript::new().client(GET).target(OK).client(&GET[..9]).reconnect().client(&GET[9..]).target(OK);
    let outcome = play("", &transcript);
    assert_eq!(said(&outcome), [GET, GET]);
    assert_eq!(outcome.connection().completed.len(), 1);
}

#[test]
fn where_the_engine_guessed_it_goes_on_guessing() {
    let transcript = Transcript::new()
        .client(GET)
        .missing(Side::Target, 5)
        .client(GET)
        .reconnect()
        .target(OK)
        .client(GET)
        .target(OK);
    let outcome = play("", &transcript);
    assert!(outcome.guessing && outcome.gave_up.is_none() && outcome.exchanges.is_empty());
    assert_eq!(outcome.said(), GET.as_bytes());
}

#[test]
fn a_new_connection_is_followed_again_when_nothing_was_owed() {
    let transcript = Transcript::new()
        .client(GET)
        .missing(Side::Target, 5)
        .reconnect()
        .client(GET)
        .target(OK)
        .ends(Side::Client);
    let outcome = play("", &transcript);
    assert!(!outcome.guessing);
    assert_eq!(outcome.connection().completed.len(), 1);
}
