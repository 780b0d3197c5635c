//! Bytes that nobody saw, and finding the place again behind them.

use tcpcopy_plugin_api::testing::{Outcome, Transcript};
use tcpcopy_plugin_api::{Depth, Side};

use crate::{http, play};

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD_OF_100: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn reported(outcome: &Outcome) -> Vec<(Option<u32>, Option<u32>)> {
    let outcomes = |exchange: &tcpcopy_plugin_api::Exchange| {
        (exchange.online.map(|answer| answer.outcome), exchange.target.map(|answer| answer.outcome))
    };
    outcome.exchanges.iter().map(outcomes).collect()
}

#[test]
fn a_session_joined_in_the_middle_begins_with_the_next_request() {
    let rest = "of a body\nGET the milk\r\nPOST /x HTTP/2\r\nGET / HTTP/1.1\r\nno head\r\n\r\n";
    let transcript = Transcript::new().joined().client(rest).client([GET, GET].concat()).target(OK);
    for configuration in ["", "read_only = true"] {
        let outcome = play(configuration, &transcript);
        assert_eq!(outcome.said(), [GET, GET].concat().as_bytes());
        assert_eq!(outcome.discarded["no request"], rest.len() as u64);
        assert_eq!(outcome.connection().turns.len(), 2);
        assert_eq!(outcome.connection().completed.len(), 1);
    }
}

#[test]
fn text_that_passes_for_a_request_does_not_let_everything_pass() {
    let upload = ["text\r\n", GET, "more text\r\nof an upload\r\n"].concat();
    let real = "GET /b HTTP/1.1\r\nHost: prod\r\n\r\n";
    let transcript = Transcript::new().joined().client(upload).client([real, real].concat());
    let outcome = play("rewrite.host = 'test'", &transcript);
    let said = String::from_utf8_lossy(outcome.said()).into_owned();
    assert!(!said.contains("prod") && !said.contains("text"), "{said}");
    assert_eq!(said.matches("GET /b ").count(), 2);
    let again = Transcript::new().joined().client(["text\r\n", GET].concat()).client("more text\r\n");
    let outcome = play("rewrite.host = 'test'", &again.reconnect().client([real, real].concat()));
    let said = String::from_utf8_lossy(&outcome.connections[1].said).into_owned();
    assert!(!said.contains("prod") && !said.contains("text"), "{said}");
}

#[test]
fn a_malformed_request_behind_a_request_that_was_found_is_malformed() {
    let smuggled =
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nGET /in HTTP/1.1\r\n\r\n";
    let outcome = play("read_only = true", &Transcript::new().joined().client([GET, smuggled].concat()));
    assert_eq!(outcome.said(), GET.as_bytes());
    assert!(outcome.gave_up.unwrap().starts_with("malformed request: both Content-Length"));
}

#[test]
fn what_is_known_of_the_places_moves_along() {
    let answer = |status: u32| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let lost = Transcript::new()
        .client(GET.repeat(2))
        .target(OK.repeat(2))
        .missing(Side::Online, 10)
        .moves()
        .client(GET)
        .online(answer(200))
        .target(OK);
    let outcome = play("compare = true", &lost);
    assert_eq!((outcome.moves, outcome.wants_online), (1, false));
    let regained = Transcript::new().joined().client(GET).online(answer(200)).target(OK).moves();
    let outcome = play("compare = true", &regained.online(answer(777)).client(GET).target(OK));
    assert_eq!((outcome.moves, outcome.wants_online), (1, false));
}

/// Text that is all beginnings of requests or of responses is read in one pass: this test would take hours otherwise.
#[test]
fn beginnings_without_an_end_are_read_once() {
    let lines = "GET / HTTP/1.1\r\n".repeat(1 << 17);
    let module = http("");
    let joined = Transcript::new().joined().client(lines.as_str()).ends(Side::Client);
    let outcome = tcpcopy_plugin_api::testing::play(&module, &joined).unwrap();
    assert_eq!(outcome.discarded["no request"] as usize, lines.len() - 16, "all but the last");
    let lines = "HTTP/1.1 200 \r\n".repeat(1 << 17);
    let lost = Transcript::new().client(GET).missing(Side::Target, 20).target(lines.as_str());
    let outcome = tcpcopy_plugin_api::testing::play(&module, &lost).unwrap();
    assert!(outcome.guessing && outcome.connection().completed.is_empty());
}

#[test]
fn a_response_is_found_where_the_one_before_ends_without_a_line() {
    let transcript = Transcript::new()
        .client("HEAD / HTTP/1.1\r\n\r\n")
        .target("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        .target("hello")
        .client(GET)
        .target(OK)
        .client(GET)
        .target(OK);
    let outcome = play("", &transcript);
    assert_eq!(outcome.connection().completed.len(), 2, "of the HEAD, and behind what was guessed");
    assert!(!outcome.guessing);
}

#[test]
fn online_answers_are_not_guessed_where_several_may_be_lost() {
    let answer = |status: u32| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let transcript = Transcript::new()
        .client(GET.repeat(2))
        .target(OK.repeat(2))
        .missing(Side::Online, 10)
        .client(GET)
        .online(answer(202))
        .online(answer(203))
        .target(OK);
    let outcome = play("compare = true", &transcript);
    assert_eq!(reported(&outcome), [(None, Some(200)); 3]);
    assert!(!outcome.wants_online);
}

#[test]
fn an_online_answer_too_many_shows_that_the_place_was_not_found() {
    let answer = |status: u32| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let transcript = Transcript::new()
        .joined()
        .client(GET)
        .online(answer(200))
        .online(answer(201))
        .target(OK)
        .client(GET)
        .online(answer(202))
        .target(OK);
    let outcome = play("compare = true", &transcript);
    assert_eq!(reported(&outcome), [(Some(200), Some(200)), (None, Some(200))]);
    assert!(!outcome.wants_online);
}

#[test]
fn many_requests_that_are_not_said_do_not_end_the_report() {
    let post = "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let transcript =
        Transcript::new().client(GET).client(post.repeat(1100)).target(OK).client(GET).target(OK);
    let outcome = tcpcopy_plugin_api::testing::play(&http("read_only = true"), &transcript).unwrap();
    assert_eq!(reported(&outcome), [(None, Some(200)); 2]);
}

#[test]
fn a_session_joined_at_a_request_loses_nothing() {
    let outcome = play("", &Transcript::new().joined().client(GET).target(OK));
    assert_eq!(outcome.said(), GET.as_bytes());
    assert!(outcome.discarded.is_empty());
}

#[test]
fn nothing_of_a_joined_session_is_said_before_a_request() {
    let transcript = Transcript::new().joined().client("binary \x00\r\nGET /unfin").ends(Side::Client);
    let outcome = play("", &transcript);
    assert_eq!((outcome.said(), outcome.left), (&b""[..], 0));
}

#[test]
fn bytes_lost_inside_a_body_do_not_lose_the_place() {
    let transcript = Transcript::new()
        .client(GET)
        .target(HEAD_OF_100)
        .target("x".repeat(30))
        .missing(Side::Target, 60)
        .target("x".repeat(10))
        .client(GET)
        .target(OK);
    for configuration in ["", "compare = true"] {
        let outcome = play(configuration, &transcript);
        assert!(!outcome.guessing);
        assert_eq!(outcome.connection().completed.len(), 2, "{configuration}");
    }
}

#[test]
fn the_last_bytes_of_a_body_may_be_lost() {
    let transcript =
        Transcript::new().client(GET).target(HEAD_OF_100).missing(Side::Target, 100).client(GET).target(OK);
    for configuration in ["", "compare = true"] {
        assert_eq!(play(configuration, &transcript).connection().completed.len(), 2, "{configuration}");
    }
}

#[test]
fn behind_a_lost_head_the_engine_guesses_until_the_next() {
    let lost = Transcript::new()
        .client(GET)
        .missing(Side::Target, 20)
        .target("-Length: 3\r\n\r\nabc")
        .client(GET)
        .target("rest of something\n");
    let outcome = play("", &lost);
    assert_eq!(outcome.said(), GET.repeat(2).as_bytes());
    assert!(outcome.guessing && outcome.connection().turns.len() == 1);
    let found = lost.target(OK).client(GET).target(OK);
    let outcome = play("", &found);
    assert!(!outcome.guessing);
    assert_eq!(outcome.connection().turns.len(), 2);
    assert_eq!(outcome.connection().completed.len(), 1);
    assert_eq!(reported(&outcome), [(None, Some(200))], "only what was followed is reported");
}

#[test]
fn a_session_whose_place_is_lost_may_move() {
    let transcript = Transcript::new().target("GET is no response\r\n\r\n").moves().client(GET);
    let outcome = play("", &transcript);
    assert_eq!((outcome.moves, outcome.said()), (1, GET.as_bytes()));
    assert!(outcome.guessing && outcome.depth == Depth::NOTHING);
}

#[test]
fn where_several_answers_may_be_lost_the_engine_guesses_for_good() {
    let transcript =
        Transcript::new().client(GET.repeat(2)).missing(Side::Target, 20).target(OK).client(GET).target(OK);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), GET.repeat(3).as_bytes());
    assert!(outcome.guessing && outcome.exchanges.is_empty());
    assert_eq!(outcome.depth, Depth::NOTHING);
}

#[test]
fn online_answers_behind_a_hole_are_compared_from_the_next_request_on() {
    let transcript = Transcript::new()
        .client(GET)
        .target(OK)
        .online("HTTP/1.1 500 ")
        .missing(Side::Online, 10)
        .online("whatever\r\n\r\n")
        .client(GET)
        .online(OK)
        .target(OK);
    let outcome = play("compare = true", &transcript);
    assert_eq!(reported(&outcome), [(None, Some(200)), (Some(200), Some(200))]);
}

#[test]
fn an_online_answer_still_under_way_is_not_taken_for_the_next() {
    let transcript = Transcript::new()
        .joined()
        .online("the rest of an answer")
        .client(GET)
        .online("and its very end")
        .online(OK)
        .target(OK)
        .client(GET)
        .online(OK)
        .target(OK);
    let outcome = play("compare = true", &transcript);
    assert_eq!(reported(&outcome), [(None, Some(200)), (Some(200), Some(200))]);
}

#[test]
fn online_bytes_lost_inside_a_body_cost_the_digest() {
    let transcript = Transcript::new()
        .client(GET)
        .online(HEAD_OF_100)
        .missing(Side::Online, 99)
        .online("x")
        .target([HEAD_OF_100, &"x".repeat(100)].concat());
    let outcome = play("compare = true", &transcript);
    let online = outcome.exchanges[0].online.unwrap();
    assert_eq!((online.size, online.digest), (100, 0));
    assert_ne!(outcome.exchanges[0].target.unwrap().digest, 0);
}

#[test]
fn an_online_answer_may_come_before_its_request() {
    let transcript = Transcript::new().online(&OK[..20]).client(GET).online(&OK[20..]).target(OK);
    assert_eq!(reported(&play("compare = true", &transcript)), [(Some(200), Some(200))]);
}

#[test]
fn what_came_early_and_is_no_answer_costs_one_request() {
    for early in ["no answer", "HTTP/1.1 101 Switching\r\n\r\nno HTTP"] {
        let transcript = Transcript::new()
            .online(early)
            .client(GET.repeat(2))
            .target(OK.repeat(2))
            .online(OK)
            .client(GET)
            .online(OK)
            .target(OK);
        let outcome = play("compare = true", &transcript);
        assert_eq!(reported(&outcome)[1..], [(Some(200), Some(200)); 2], "{early}");
    }
}

#[test]
fn what_came_early_and_was_lost_is_forgotten() {
    let transcript = Transcript::new()
        .online("no answer")
        .missing(Side::Online, 1)
        .client(GET.repeat(2))
        .target(OK.repeat(2))
        .online("HTTP/1.1 101 Switching\r\n\r\n")
        .moves();
    let outcome = play("compare = true", &transcript);
    assert_eq!(reported(&outcome), [(None, Some(200)), (None, Some(200))], "whose answer it is is not known");
    assert_eq!(outcome.moves, 1);
}

#[test]
fn nothing_is_left_of_an_answer_that_ended_with_its_connection() {
    let transcript =
        Transcript::new().target("HTTP/1.1 404 ").ends(Side::Target).target(["\n", OK].concat()).moves();
    assert_eq!(play("", &transcript).moves, 1);
}
