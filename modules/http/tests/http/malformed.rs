//! What could be read in two ways is never made worse: forwarded as it is, or the session is given up.

use tcpcopy_plugin_api::Depth;
use tcpcopy_plugin_api::testing::Transcript;

use crate::play;

const GET: &str = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";

/// Heads that servers disagree about, or that are none, and the reason that is given.
const MALFORMED: [(&str, &str); 13] = [
    (
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "both Content-Length and",
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "more than one Content-Length",
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
        "a Transfer-Encoding other than chunked",
    ),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding in HTTP/1.0"),
    ("GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n", "a field name"),
    ("GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", "a field value"),
    ("GET / HTTP/1.1\r\nX: a\rb: c\r\n\r\n", ""),
    ("GET / HTTP/1.1\r\nX : a\r\n\r\n", "a field name"),
    ("GET / HTTP/1.\r\nX: a\r\n\r\n", "not HTTP/1"),
    ("GET / HTTP/1.1\r\nX: a\n\r\n", "a line feed without a carriage return"),
    ("GET /\r\n\r\n", "not HTTP/1"),
    ("\x16\x03\x01\x02\x00", "not HTTP/1"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not HTTP/1"),
];

#[test]
fn malformed_requests_are_forwarded_as_they_are() {
    for (malformed, _) in MALFORMED {
        let transcript = Transcript::new().client(GET).client(malformed).client(GET);
        let outcome = play("", &transcript);
        assert_eq!(outcome.said(), [GET, malformed, GET].concat().as_bytes());
        assert_eq!(outcome.connection().turns, [0], "{malformed:?}");
        assert!(outcome.guessing && outcome.depth == Depth::NOTHING, "{malformed:?}");
    }
}

#[test]
fn malformed_requests_are_given_up_where_that_is_configured_or_something_is_forbidden() {
    let configurations = [
        "malformed = 'give_up'",
        "malformed = 'forward'\nread_only = true",
        "[[never]]\npath = '^/never'",
        "[[only]]\npath = '^/'",
    ];
    for configuration in configurations {
        for (malformed, reason) in MALFORMED {
            let outcome = play(configuration, &Transcript::new().client(GET).client(malformed).client(GET));
            assert_eq!(outcome.said(), GET.as_bytes(), "{configuration}, {malformed:?}");
            let gave_up = outcome.gave_up.unwrap();
            assert!(
                gave_up.starts_with("malformed request: ") && gave_up.contains(reason),
                "{malformed:?}: {gave_up}"
            );
        }
    }
}

#[test]
fn bare_line_feeds_get_past_no_filter() {
    let outcome = play("read_only = true", &Transcript::new().client("GET / HTTP/1.1\nX: a\n\n"));
    assert_eq!(outcome.gave_up.unwrap(), "malformed request: a line feed without a carriage return");
}

#[test]
fn a_bad_chunk_is_forwarded_or_given_up() {
    let client = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n-1\r\nGET /smuggled HTTP/1.1\r\n\r\n";
    let outcome = play("", &Transcript::new().client(client));
    assert_eq!(outcome.said(), client.as_bytes());
    let outcome = play("malformed = 'give_up'", &Transcript::new().client(client));
    assert_eq!(outcome.gave_up.unwrap(), "malformed request: a chunk size that is no number");
    assert!(!outcome.connections[0].said.ends_with(b"-1\r\n"));
}

#[test]
fn a_head_of_more_than_64_kib_is_malformed() {
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(65 * 1024));
    let outcome = play("", &Transcript::new().client(&long).client(GET));
    assert_eq!(outcome.said(), [&long, GET].concat().as_bytes());
    let outcome = play("malformed = 'give_up'", &Transcript::new().client(&long));
    assert_eq!(outcome.gave_up.unwrap(), "malformed request: a head of more than 64 KiB");
    let allowed = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(63 * 1024));
    assert!(!play("", &Transcript::new().client(allowed)).guessing);
}

#[test]
fn a_target_that_speaks_something_else_is_left_to_the_engine() {
    let transcript = Transcript::new().client(GET).target("220 mail ready\r\n").client(GET);
    let outcome = play("", &transcript);
    assert_eq!(outcome.said(), [GET, GET].concat().as_bytes());
    assert!(outcome.guessing && outcome.gave_up.is_none());
}
