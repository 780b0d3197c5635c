//! What a request costs in a conversation, beside memchr looking once at the same bytes: only the ratios mean something.
//!
//! One iteration is a request and its response: what tcpcopy calls this module for, with the actions it reads back.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_mod::Http;
use memchr::memchr_iter;
use tcpcopy_plugin_api::testing::Transcript;
use tcpcopy_plugin_api::{Action, Actions, Configuration, Conversation, Module, Timestamp};

const GET: &[u8] = b"GET /users/4711/posts?page=2 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
    x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;\
    q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: \
    session=0123456789abcdef0123456789abcdef\r\n\r\n";
const POST_HEAD: &str = "POST /users HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.5\r\nAccept: */*\r\nContent-Type: \
    application/json\r\nContent-Length: 1000\r\n\r\n";
const RESPONSE_HEAD: &str = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 26 Nov 2026 07:00:00 GMT\r\nContent-Type: \
    text/html; charset=utf-8\r\nContent-Length: 1000\r\nConnection: keep-alive\r\n\r\n";

fn with_body(head: &str) -> Vec<u8> {
    [head.as_bytes(), &[b'x'; 1000]].concat()
}

/// What was asked for, as a host goes through it.
fn carry_out(actions: &Actions) -> usize {
    actions.iter().filter(|action| !matches!(action, Action::WantOnline(_))).count()
}

/// One request and its answers.
fn exchange(
    conversation: &mut dyn Conversation,
    actions: &mut Actions,
    request: &[u8],
    response: &[u8],
    compares: bool,
) -> usize {
    let now = Timestamp(1_000_000);
    let mut carried_out = 0;
    actions.begin(now, now, None);
    conversation.client(black_box(request), actions).expect("a proper request");
    carried_out += carry_out(actions);
    if compares {
        actions.begin(now, now, None);
        conversation.online(black_box(response), actions).expect("a proper response");
        carried_out += carry_out(actions);
    }
    actions.begin(now, now, Some(now));
    conversation.target(black_box(response), actions).expect("a proper response");
    carried_out + carry_out(actions)
}

fn requests(criterion: &mut Criterion) {
    let response = with_body(RESPONSE_HEAD);
    for (name, request) in [("small GET", GET.to_vec()), ("POST of 1000 bytes", with_body(POST_HEAD))] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for (label, configuration) in [
            ("conversation", ""),
            ("conversation, compared", "compare = true"),
            ("conversation, rewritten", "rewrite.host = 'test.example.com'"),
            ("conversation, filtered", "[[never]]\npath = '^/admin'"),
        ] {
            let module =
                Http::configure(&Configuration::new(configuration, "benchmark")).expect("it is right");
            let mut conversation = module.open(Transcript::new().info());
            let mut actions = Actions::default();
            let compares = configuration.contains("compare");
            group.bench_function(label, |bencher| {
                bencher.iter(|| exchange(&mut *conversation, &mut actions, &request, &response, compares));
            });
        }
        group.bench_function("memchr over request and response", |bencher| {
            bencher.iter(|| {
                memchr_iter(b'\n', black_box(&request)).count()
                    + memchr_iter(b'\n', black_box(&response)).count()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);
