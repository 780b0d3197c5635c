//! Requests after which the connection may speak another protocol.

use tcpcopy_plugin_api::testing::Transcript;
use tcpcopy_plugin_api::{Depth, Side};

use crate::play;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
const FRAME: &[u8] = b"\x81\x85\x01\x02\x03\x04hello";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const CONNECT: &str = "CONNECT db:5432 HTTP/1.1\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\n\r\n";

#[test]
fn an_upgraded_connection_is_forwarded_as_it_is() {
    let transcript = Transcript::new()
        .client(UPGRADE)
        .client(FRAME)
        .target([SWITCHING.as_bytes(), b"\x81\x03abc"].concat())
        .client("GET is no request here\r\n\r\n");
    for configuration in ["", "compare = true", "[[never]]\npath = '^/admin'"] {
        let outcome = play(configuration, &transcript);
        let said = [UPGRADE.as_bytes(), FRAME, b"GET is no request here\r\n\r\n"].concat();
        assert_eq!(outcome.said(), said, "{configuration}");
        assert_eq!(outcome.connection().turns, [0]);
        assert!(outcome.guessing && !outcome.wants_online && outcome.depth == Depth::NOTHING);
        assert_eq!(outcome.exchanges[0].target.unwrap().outcome, 101);
    }
}

#[test]
fn frames_wait_for_the_target_to_switch() {
    let transcript = Transcript::new().client(UPGRADE).client(FRAME);
    let outcome = play("", &transcript);
    assert_eq!((outcome.said(), outcome.left), (UPGRADE.as_bytes(), FRAME.len() as u64));
}

#[test]
fn a_refused_upgrade_goes_on_in_http() {
    let transcript =
        Transcript::new().client([UPGRADE, GET].concat()).target(NOT_FOUND).client(GET).target(NOT_FOUND);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), [UPGRADE, GET, GET].concat().as_bytes());
    assert_eq!(outcome.connection().turns.len(), 3);
    assert_eq!(outcome.connection().completed.len(), 2);
}

#[test]
fn frames_are_not_said_to_a_target_that_did_not_switch() {
    let transcript = Transcript::new().client(UPGRADE).client(FRAME).target(NOT_FOUND);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), UPGRADE.as_bytes());
    assert_eq!(outcome.gave_up.unwrap(), "the target did not change the protocol as the online server did");
}

#[test]
fn words_that_begin_like_a_method_are_no_request_either() {
    let transcript = Transcript::new().client(UPGRADE).client("0\r\nA: b\r\n\r\n").target(NOT_FOUND);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), UPGRADE.as_bytes());
    assert_eq!(outcome.gave_up.unwrap(), "the target did not change the protocol as the online server did");
}

#[test]
fn read_only_ends_where_it_cannot_judge() {
    let transcript = Transcript::new().client(UPGRADE).client(FRAME).target(SWITCHING);
    let outcome = play("read_only = true", &transcript);
    assert_eq!(outcome.said(), UPGRADE.as_bytes());
    assert!(outcome.gave_up.unwrap().starts_with("read only: "));
    let refused = Transcript::new().client(UPGRADE).target(NOT_FOUND).client(GET).target(NOT_FOUND);
    assert_eq!(play("read_only = true", &refused).connection().completed.len(), 2);
}

#[test]
fn a_tunnel_is_forwarded_once_it_is_open() {
    let transcript =
        Transcript::new().client(CONNECT).target("HTTP/1.1 200 OK\r\n\r\n").client("\x00\x01\x02");
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), [CONNECT, "\x00\x01\x02"].concat().as_bytes());
    assert!(outcome.guessing);
    let refused = Transcript::new().client(CONNECT).target(NOT_FOUND).client(GET).target(NOT_FOUND);
    assert_eq!(play("", &refused).connection().completed.len(), 2);
}

#[test]
fn nothing_of_a_tunnel_that_was_not_asked_for_is_said() {
    let transcript = Transcript::new().client(CONNECT).client(GET).ends(Side::Client);
    let outcome = play("read_only = true", &transcript);
    assert_eq!(outcome.said(), b"");
    assert_eq!(outcome.left, 0);
    assert_eq!(outcome.discarded["read only"], (CONNECT.len() + GET.len()) as u64);
}

#[test]
fn frames_behind_an_upgrade_that_was_not_said_are_not_said_either() {
    let configuration = "[[never]]\npath = '^/chat'";
    let transcript = Transcript::new().client(UPGRADE).client(FRAME).client("\n").client(GET);
    let outcome = play(configuration, &transcript);
    assert_eq!(outcome.said(), GET.as_bytes());
    assert_eq!(outcome.discarded["no request"], FRAME.len() as u64 + 1);
}

#[test]
fn an_upgraded_connection_cannot_be_opened_again() {
    let transcript = Transcript::new().client(UPGRADE).target(SWITCHING).client(FRAME).reconnect();
    let outcome = play("", &transcript);
    assert_eq!(outcome.gave_up.unwrap(), "the target closed a connection that spoke another protocol");
}

#[test]
fn a_switch_nobody_asked_for_lets_nothing_pass_the_filters() {
    let transcript =
        Transcript::new().client(GET).target(SWITCHING).client("POST / HTTP/1.1\r\n\r\n").client(GET);
    let outcome = play("read_only = true", &transcript);
    assert_eq!(outcome.said(), [GET, GET].concat().as_bytes());
    assert!(outcome.guessing);
}

#[test]
fn what_a_user_said_who_left_before_the_switch_is_said_behind_it() {
    let transcript = Transcript::new().client(UPGRADE).client(FRAME).ends(Side::Client).target(SWITCHING);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), [UPGRADE.as_bytes(), FRAME].concat());
    let refused = Transcript::new().client(UPGRADE).client(FRAME).ends(Side::Client).target(NOT_FOUND);
    let outcome = play("", &refused);
    assert_eq!(outcome.said(), UPGRADE.as_bytes());
    assert_eq!(outcome.gave_up.unwrap(), "the target did not change the protocol as the online server did");
}

#[test]
fn requests_of_a_user_who_left_before_the_answer_are_judged_behind_it() {
    let client = [UPGRADE, GET, "POST / HTTP/1.1\r\n\r\n", GET, "GET / HT"].concat();
    let transcript = Transcript::new().client(client).ends(Side::Client).target(NOT_FOUND);
    let outcome = play("read_only = true", &transcript);
    assert_eq!(outcome.said(), [UPGRADE, GET, GET].concat().as_bytes());
    assert_eq!((outcome.left, outcome.discarded["incomplete request"]), (0, 8));
    assert_eq!(outcome.connection().turns.len(), 3);
    let outcome = play("rewrite.host = 'test'", &transcript);
    assert_eq!(String::from_utf8_lossy(outcome.said()).matches("Host: test").count(), 4);
    assert!(outcome.said().ends_with(b"GET / HT"));
}

#[test]
fn who_goes_on_in_http_is_not_understood_by_a_target_that_switched() {
    let transcript = Transcript::new().client(UPGRADE).target(SWITCHING).client(GET);
    for configuration in ["", "[[never]]\npath = '^/admin'"] {
        let outcome = play(configuration, &transcript);
        assert_eq!(outcome.said(), UPGRADE.as_bytes());
        let reason = "the target changed the protocol, and the user goes on in HTTP";
        assert_eq!(outcome.gave_up.as_deref(), Some(reason), "{configuration}");
    }
    let tunnel = Transcript::new().client(CONNECT).target("HTTP/1.1 200 OK\r\n\r\n").client(GET);
    assert_eq!(play("", &tunnel).said(), [CONNECT, GET].concat().as_bytes());
    let never = "[[never]]\nmethod = ['DELETE']";
    assert!(play(never, &tunnel).gave_up.is_some());
    for disguised in ["\r\nGET / HTTP/1.1\r\n\r\n", "PROPFIND / HTTP/1.1\r\n\r\n", "GET x HTTP/1.0\n\n"] {
        let tunnel = Transcript::new().client(CONNECT).target("HTTP/1.1 200 OK\r\n\r\n").client(disguised);
        assert!(play(never, &tunnel).gave_up.is_some(), "{disguised}");
    }
}

#[test]
fn a_line_without_an_end_is_not_waited_for_without_end() {
    let long = ["GET /", &"a".repeat(1 << 20)].concat();
    let transcript = Transcript::new().client(UPGRADE).target(SWITCHING).client(long.as_str());
    let outcome = tcpcopy_plugin_api::testing::play(&crate::http(""), &transcript).unwrap();
    assert_eq!(outcome.said().len(), UPGRADE.len() + long.len());
    let outcome =
        tcpcopy_plugin_api::testing::play(&crate::http("[[never]]\npath = '^/x'"), &transcript).unwrap();
    assert!(outcome.gave_up.is_some());
}

#[test]
fn an_upgrade_that_was_answered_before_its_end_was_refused() {
    let post = UPGRADE.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\na");
    let transcript = Transcript::new().client(post.as_str()).target(NOT_FOUND).client("b").client(FRAME);
    let outcome = play("", &transcript);
    assert_eq!(outcome.gave_up.unwrap(), "the target did not change the protocol as the online server did");
}

#[test]
fn a_protocol_that_begins_like_a_method_is_entered_all_the_same() {
    let begun = Transcript::new().client(UPGRADE).target(SWITCHING).client("GE");
    assert_eq!(play("", &begun).left, 2);
    let gone = begun.ends(Side::Client);
    assert_eq!(play("", &gone).said(), [UPGRADE, "GE"].concat().as_bytes());
}

#[test]
fn an_upgrade_is_asked_for_with_two_fields() {
    let half = "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n";
    let outcome = play("", &Transcript::new().client([half, GET].concat()));
    assert_eq!(outcome.said(), [half, GET].concat().as_bytes());
}

#[test]
fn any_request_may_follow_an_upgrade_that_was_not_said() {
    let configuration = "compare = true\n[[never]]\npath = '^/chat'";
    let search = "PROPFIND /x HTTP/1.1\r\nContent-Length: 20\r\n\r\nGET /in HTTP/1.1\r\n\r\n";
    let transcript = Transcript::new().client([UPGRADE, search, GET].concat());
    let outcome = play(configuration, &transcript);
    assert_eq!(outcome.said(), [search, GET].concat().as_bytes());
    assert_eq!(outcome.connection().turns.len(), 2);
}

#[test]
fn nothing_of_a_protocol_is_said_behind_a_chunked_upgrade_that_was_not_said() {
    let head =
        "POST /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = [head, "1\r\na\r\n0\r\n\r\n"].concat();
    let transcript = Transcript::new().client([chunked.as_bytes(), FRAME].concat()).client("\n").client(GET);
    let outcome = play("[[never]]\npath = '^/chat'", &transcript);
    assert_eq!(outcome.said(), GET.as_bytes());
}

#[test]
fn a_refused_upgrade_is_told_apart_until_the_next_request() {
    let transcript = Transcript::new().client(UPGRADE).target(NOT_FOUND).moves().client(FRAME);
    let outcome = play("", &transcript);
    assert_eq!((outcome.moves, outcome.said()), (0, UPGRADE.as_bytes()));
}

#[test]
fn where_answers_are_not_known_frames_are_forwarded() {
    let transcript = Transcript::new()
        .client(GET.repeat(2))
        .missing(Side::Target, 10)
        .client(UPGRADE)
        .target(SWITCHING)
        .client(FRAME);
    let outcome = play("", &transcript);
    assert!(outcome.said().ends_with(FRAME) && outcome.gave_up.is_none());
}
