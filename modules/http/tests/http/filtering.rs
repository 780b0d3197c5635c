//! Requests that are not said, and requests that are said otherwise.

use tcpcopy_plugin_api::Side;
use tcpcopy_plugin_api::testing::Transcript;

use crate::play;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_request_is_left_out_with_its_body() {
    let client = [GET, POST, GET, CHUNKED, GET].concat();
    let outcome = play("read_only = true", &Transcript::new().client(client).target(OK.repeat(3)));
    assert_eq!(outcome.said(), GET.repeat(3).as_bytes());
    assert_eq!(outcome.discarded["read only"], (POST.len() + CHUNKED.len()) as u64);
    assert_eq!(outcome.connection().completed.len(), 3);
    assert_eq!(outcome.exchanges.len(), 3);
}

#[test]
fn each_filter_counts_under_its_own_reason() {
    let client = [GET, POST].concat();
    for (configuration, reason) in [
        ("[[only]]\npath = '^/a'", "not among only"),
        ("[[never]]\nmethod = ['POST']", "among never"),
        ("read_only = true", "read only"),
    ] {
        let outcome = play(configuration, &Transcript::new().client(&client));
        assert_eq!(outcome.said(), GET.as_bytes());
        assert_eq!(outcome.discarded[reason], POST.len() as u64);
    }
    let outcome = play("sample.percent = 0", &Transcript::new().client(&client));
    assert_eq!(outcome.discarded["not in the sample"], client.len() as u64);
}

#[test]
fn a_chunked_body_that_is_left_out_and_malformed_lets_nothing_through() {
    let client = "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nPOST /smuggled HTTP/1.1\r\n\r\n";
    let outcome = play("read_only = true", &Transcript::new().client(client));
    assert_eq!(outcome.said(), b"");
    assert_eq!(outcome.gave_up.unwrap(), "malformed request: a chunk size that is no number");
    let outcome = play("sample.percent = 0", &Transcript::new().client(client));
    assert_eq!(outcome.said(), b"");
    assert!(outcome.gave_up.is_none());
}

#[test]
fn only_the_head_is_replaced_when_it_is_rewritten() {
    let configuration = "[rewrite]\nhost = 'test'\nadd_prefix = '/x'\nset = { Via = 'tcpcopy' }";
    let outcome =
        play(configuration, &Transcript::new().client(["\r\n", GET, POST, CHUNKED].concat()).target(OK));
    let said = "\r\nGET /x/a HTTP/1.1\r\nHost: test\r\nVia: tcpcopy\r\n\r\n\
        POST /x/b HTTP/1.1\r\nContent-Length: 5\r\nHost: test\r\nVia: tcpcopy\r\n\r\nhello\
        PUT /x/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: test\r\nVia: tcpcopy\r\n\r\n\
        5\r\nhello\r\n0\r\nA: b\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(outcome.said()), said);
    assert_eq!(outcome.connection().turns.len(), 3);
}

#[test]
fn a_body_that_is_left_out_ends_with_the_user() {
    let client = "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
    let outcome = play("read_only = true", &Transcript::new().client(client).ends(Side::Client));
    assert_eq!((outcome.said(), outcome.left), (&b""[..], 0));
}
