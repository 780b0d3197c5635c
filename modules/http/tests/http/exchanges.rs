//! What the report is told.

use std::time::Duration;

use tcpcopy_plugin_api::testing::{Outcome, Transcript};
use tcpcopy_plugin_api::{Answer, Side};

use crate::play;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn response(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn labels(outcome: &Outcome) -> Vec<&str> {
    outcome.exchanges.iter().map(|exchange| exchange.label.as_str()).collect()
}

fn statuses(answers: impl Iterator<Item = Option<Answer>>) -> Vec<Option<u32>> {
    answers.map(|answer| answer.map(|answer| answer.outcome)).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn both_answers_are_told_with_what_can_be_compared() {
    let transcript = Transcript::new()
        .client(get("/users/7?x"))
        .wait(SECOND)
        .online(response(200, "hello"))
        .wait(2 * SECOND)
        .target(response(503, "sorry!"));
    let outcome = play("compare = true", &transcript);
    let exchange = &outcome.exchanges[0];
    assert_eq!(exchange.label, "GET /users/{id}");
    let (online, target) = (exchange.online.unwrap(), exchange.target.unwrap());
    assert_eq!((online.outcome, online.failed, online.size, online.latency_us), (200, false, 5, 1_000_000));
    assert_eq!((target.outcome, target.failed, target.size, target.latency_us), (503, true, 6, 3_000_000));
    assert!(online.digest != target.digest && online.digest != 0 && target.digest != 0);
}

#[test]
fn equal_bodies_have_equal_digests_however_they_are_sent() {
    let chunked = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let transcript = Transcript::new().client(get("/")).online(response(200, "hello")).target(chunked);
    let outcome = play("compare = true", &transcript);
    let exchange = &outcome.exchanges[0];
    let (online, target) = (exchange.online.unwrap(), exchange.target.unwrap());
    assert_eq!((online.size, online.digest), (target.size, target.digest));
}

#[test]
fn latency_runs_from_the_end_of_a_body() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
    let transcript = Transcript::new()
        .client(head)
        .wait(SECOND)
        .client("0123456789")
        .wait(SECOND)
        .online(response(200, ""))
        .target(response(200, ""));
    let outcome = play("compare = true", &transcript);
    let exchange = &outcome.exchanges[0];
    assert_eq!(exchange.online.unwrap().latency_us, 1_000_000);
    assert_eq!(exchange.target.unwrap().latency_us, 1_000_000);
}

#[test]
fn responses_that_come_together_are_each_measured_from_their_own_request() {
    let transcript = Transcript::new()
        .client(get("/a"))
        .wait(SECOND)
        .client(get("/b"))
        .wait(SECOND)
        .online([response(200, ""), response(200, "")].concat())
        .target([response(200, "a"), response(200, "b")].concat());
    for configuration in ["", "compare = true"] {
        let exchanges = play(configuration, &transcript).exchanges;
        let latencies: Vec<_> =
            exchanges.iter().map(|exchange| exchange.target.unwrap().latency_us).collect();
        assert_eq!(latencies, [2_000_000, 1_000_000], "{configuration}");
    }
}

#[test]
fn requests_that_were_not_said_are_answered_online_all_the_same() {
    let transcript = Transcript::new()
        .client([get("/a"), "POST /b HTTP/1.1\r\n\r\n".into(), get("/c")].concat())
        .online([response(201, ""), response(202, "x"), response(203, "")].concat())
        .target([response(301, ""), response(303, "")].concat());
    let outcome = play("read_only = true\ncompare = true", &transcript);
    assert_eq!(labels(&outcome), ["GET /a", "GET /c"]);
    let exchanges = &outcome.exchanges;
    assert_eq!(statuses(exchanges.iter().map(|exchange| exchange.online)), [Some(201), Some(203)]);
    assert_eq!(statuses(exchanges.iter().map(|exchange| exchange.target)), [Some(301), Some(303)]);
}

#[test]
fn without_comparing_the_target_alone_is_told() {
    let transcript =
        Transcript::new().client(get("/")).online(response(200, "")).target(response(200, "abc"));
    let outcome = play("", &transcript);
    assert_eq!(outcome.exchanges[0].online, None);
    assert_eq!(outcome.exchanges[0].target.unwrap().size, 3);
    assert_eq!(outcome.exchanges[0].target.unwrap().digest, 0);
}

#[test]
fn an_answer_the_target_never_gave_is_told_when_the_session_is_over() {
    let transcript = Transcript::new()
        .client(get("/a"))
        .client(get("/b"))
        .online(response(200, ""))
        .target(response(200, ""));
    let open = play("compare = true", &transcript.clone().ends(Side::Client));
    assert_eq!(open.exchanges.len(), 1);
    let closed = play("compare = true", &transcript.ends(Side::Client).ends(Side::Target));
    assert_eq!(labels(&closed), ["GET /a", "GET /b"]);
    assert_eq!((closed.exchanges[1].online, closed.exchanges[1].target), (None, None));
}

#[test]
fn an_online_server_that_closes_owes_nothing_more() {
    let transcript = Transcript::new()
        .client(get("/"))
        .online("HTTP/1.0 200 OK\r\n\r\nto the end")
        .target(response(200, "to the end"))
        .ends(Side::Online);
    let outcome = play("compare = true", &transcript);
    assert_eq!(outcome.exchanges[0].online.unwrap().digest, outcome.exchanges[0].target.unwrap().digest);
    let silent = Transcript::new().client(get("/")).target(response(200, "")).ends(Side::Online);
    assert_eq!(play("compare = true", &silent).exchanges.len(), 1);
}

#[test]
fn a_side_that_never_answers_keeps_nothing_for_ever() {
    let mut transcript = Transcript::new();
    for _ in 0..1100 {
        transcript = transcript.client(get("/")).target(response(200, ""));
    }
    let outcome = play("compare = true", &transcript);
    assert!(outcome.exchanges.len() >= 1024, "{}", outcome.exchanges.len());
    assert!(outcome.exchanges.iter().all(|exchange| exchange.online.is_none()));
    let deaf = play("", &Transcript::new().client(get("/").repeat(1100)));
    assert!(deaf.guessing && deaf.said().len() == 1100 * get("/").len());
}

#[test]
fn templates_of_the_operator_are_labels() {
    let configuration = "labels = ['/users/{name}', '/static/*']";
    let client = ["/users/anna", "/users/bob", "/static/a/b.css", "/x/12345"].map(get).concat();
    let outcome = play(configuration, &Transcript::new().client(client).target(response(200, "").repeat(4)));
    assert_eq!(labels(&outcome), ["GET /users/{name}", "GET /users/{name}", "GET /static/*", "GET /x/{id}"]);
}
