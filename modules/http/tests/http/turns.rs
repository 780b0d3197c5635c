//! Each request is a turn, and over exactly where its response is.

use tcpcopy_plugin_api::testing::{Stage, Transcript};
use tcpcopy_plugin_api::{Depth, Side};

use crate::{http, play};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// What is said when nothing is configured: everything, in these turns.
#[track_caller]
fn said_as_captured(client: &str, target: &str, turns: &[usize], completed: &[usize]) {
    let transcript = Transcript::new().client(client).target(target);
    for configuration in ["", "compare = true"] {
        let outcome = play(configuration, &transcript);
        assert_eq!(outcome.said(), client.as_bytes());
        let found: Vec<_> = outcome.connection().turns.iter().map(|turn| *turn as usize).collect();
        assert_eq!(found, turns, "turns");
        let found: Vec<_> = outcome.connection().completed.iter().map(|place| *place as usize).collect();
        assert_eq!(found, completed, "completed");
        assert!(!outcome.guessing && outcome.left == 0 && outcome.gave_up.is_none());
    }
}

#[test]
fn a_request_is_a_turn() {
    said_as_captured(GET, OK, &[0], &[OK.len()]);
}

#[test]
fn pipelined_requests_are_turns_each() {
    let (length, answer) = (GET.len(), OK.len());
    said_as_captured(&GET.repeat(3), &OK.repeat(2), &[0, length, 2 * length], &[answer, 2 * answer]);
}

#[test]
fn a_body_belongs_to_its_request() {
    let post = "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello world";
    said_as_captured(&[post, GET].concat(), OK, &[0, post.len()], &[OK.len()]);
    let chunked = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n";
    said_as_captured(&[chunked, GET].concat(), OK, &[0, chunked.len()], &[OK.len()]);
}

#[test]
fn lines_may_end_with_a_line_feed_alone() {
    let bare = GET.replace('\r', "");
    said_as_captured(&bare.repeat(2), &OK.replace('\r', ""), &[0, bare.len()], &[OK.len() - 3]);
}

#[test]
fn empty_lines_are_said_behind_what_was_said_before() {
    let client = [GET, "\r\n", GET].concat();
    said_as_captured(&client, "", &[0, GET.len() + 2], &[]);
    said_as_captured(&client[..GET.len() + 2], OK, &[0], &[OK.len()]);
}

#[test]
fn interim_responses_complete_nothing() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let target = [early, early, OK].concat();
    said_as_captured(GET, &target, &[0], &[target.len()]);
}

#[test]
fn responses_without_a_body_are_complete_with_their_head() {
    let head = "HEAD / HTTP/1.1\r\n\r\n";
    let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let not_modified = "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n";
    let no_content = "HTTP/1.1 204 No Content\r\n\r\n";
    let client = [head, GET, GET, GET].concat();
    let target = [to_head, not_modified, no_content, OK].concat();
    let lengths = [head.len(), GET.len(), GET.len()];
    let turns: Vec<_> = (0..4).map(|count| lengths.iter().take(count).sum()).collect();
    let places = [to_head, not_modified, no_content, OK].map(str::len);
    let completed: Vec<usize> = (1..=4).map(|count| places.iter().take(count).sum()).collect();
    said_as_captured(&client, &target, &turns, &completed);
}

#[test]
fn a_chunked_response_is_complete_with_its_trailers() {
    let target = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nDigest: x\r\n\r\n";
    said_as_captured(GET, target, &[0], &[target.len()]);
}

#[test]
fn a_response_without_a_length_is_complete_when_the_target_closes() {
    let target = "HTTP/1.0 200 OK\r\n\r\nall of it";
    let transcript = Transcript::new().client(GET).target(target);
    assert!(play("", &transcript).connection().completed.is_empty());
    let outcome = play("", &transcript.ends(Side::Target));
    assert_eq!(outcome.connection().completed, [target.len() as u64]);
    assert_eq!(outcome.exchanges[0].target.unwrap().size, 9);
}

#[test]
fn a_body_that_is_announced_waits_for_the_target() {
    let head = "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
    let transcript =
        Transcript::new().client(head).target("HTTP/1.1 100 Continue\r\n\r\n").client("hello").target(OK);
    let outcome = play("", &transcript);
    assert_eq!(outcome.connection().waits, [head.len() as u64]);
    assert_eq!(outcome.connection().turns, [0]);
    assert_eq!(outcome.connection().completed.len(), 1);
    let without_body = "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n";
    assert!(play("", &Transcript::new().client(without_body)).connection().waits.is_empty());
}

#[test]
fn what_the_user_left_incomplete_is_said() {
    for client in ["GET / HT", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "\r"] {
        let transcript = Transcript::new().client(client).ends(Side::Client);
        let outcome = play("", &transcript);
        assert_eq!((outcome.said(), outcome.left), (client.as_bytes(), 0));
        let outcome = play("read_only = true", &transcript);
        assert_eq!((outcome.said(), outcome.left), (&b""[..], 0), "{client}");
    }
}

#[test]
fn a_long_body_costs_two_calls() {
    const PACKETS: usize = 1000;
    let module = http("");
    let mut stage = Stage::open(&module, Transcript::new().info()).unwrap();
    let opened = stage.calls();
    let body = [b'x'; 1000];
    stage.bytes(Side::Client, b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    (0..PACKETS).for_each(|_| stage.bytes(Side::Client, &body).unwrap());
    assert_eq!(stage.calls() - opened, 2, "the head and the last byte");
    stage.bytes(Side::Target, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    (0..PACKETS).for_each(|_| stage.bytes(Side::Target, &body).unwrap());
    assert_eq!(stage.calls() - opened, 5, "the head, the beginning of the body and its last byte");
    assert_eq!(stage.outcome().connection().completed.len(), 1);
}

#[test]
fn the_target_is_always_heard_and_the_online_server_when_compared() {
    let wants = |configuration| {
        let outcome = play(configuration, &Transcript::new().client(GET));
        (outcome.depth, outcome.wants_online)
    };
    assert_eq!(wants(""), (Depth::EVERYTHING, false));
    assert_eq!(wants("compare = true"), (Depth::EVERYTHING, true));
}

#[test]
fn an_answer_before_the_request_is_complete_completes_its_turn() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
    let transcript = Transcript::new().client(head).client("01234").target(OK).client("56789").client(GET);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), [head, "0123456789", GET].concat().as_bytes());
    assert_eq!(outcome.connection().completed, [OK.len() as u64]);
    assert_eq!(outcome.connection().turns.len(), 2);
}

#[test]
fn a_session_moves_between_requests() {
    let transcript = Transcript::new().client(GET).target(OK).moves().client(GET).target(OK);
    let outcome = play("", &transcript);
    assert_eq!((outcome.moves, outcome.connection().completed.len()), (1, 2));
    let unanswered = Transcript::new().client(GET).moves();
    assert_eq!(play("", &unanswered).moves, 0);
    let with_online =
        Transcript::new().client(GET).online(OK).target(OK).moves().client(GET).target(OK).online(OK);
    let outcome = play("compare = true", &with_online);
    assert_eq!(outcome.moves, 1);
    assert!(outcome.exchanges.iter().all(|exchange| exchange.online.is_some() && exchange.target.is_some()));
}
