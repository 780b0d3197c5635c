//! Real traffic, recorded by others (`../shared/traces` beside the repository), replayed against a target that answers as
//! the online server did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tcpcopy_plugin_api::Answer;
use tcpcopy_plugin_api::testing::{Connection as Said, Outcome};

use crate::play;
use crate::reassembly::{load, traces};

/// What a file holds.
struct Facts {
    file: &'static str,
    connections: usize,
    /// Requests that opened a turn, and how many of them were answered completely.
    requests: usize,
    answered: usize,
    /// How often each label is in the report.
    labels: &'static [(&'static str, usize)],
}

const fn facts(
    file: &'static str,
    connections: usize,
    requests: usize,
    answered: usize,
    labels: &'static [(&'static str, usize)],
) -> Facts {
    Facts { file, connections, requests, answered, labels }
}

const CHANGES: &[(&str, usize)] = &[("GET /download/CHANGES.bro-aux.txt", 1)];

const CAPTURES: [Facts; 16] = [
    facts("100-continue.pcap", 1, 1, 1, &[("POST /", 1)]),
    // One response is missing: its request is not reported, and the one after it is said in no turn of ours.
    facts("1000-requests-one-dropped-response.pcap.gz", 1, 999, 998, &[("GET /", 998)]),
    facts("concurrent-range-requests-complete.pcap", 3, 3, 3, &[("GET /zeek.txt", 3)]),
    facts("cooper-grill-dvwa.pcapng", 4, 3, 3, &[("GET /dvwa/vulnerabilities/sqli/", 3)]),
    facts("entity_gap.pcap", 1, 1, 1, CHANGES),
    facts("get.pcap", 1, 1, 1, CHANGES),
    facts("get_nosyn.pcap", 1, 1, 1, CHANGES),
    facts("http-post-large.pcap", 2, 2, 2, &[("POST /hello", 2)]),
    facts("http-qinq-0.pcap", 1, 1, 1, CHANGES),
    facts("http-vlan-0.pcap", 1, 1, 1, CHANGES),
    facts("ip6-tcp-good-chksum.pcap", 1, 0, 0, &[]),
    // Four requests in HTTP/0.9, which has no heads: forwarded as they are.
    facts("ipv6-http-atomic-frag.pcap", 4, 0, 0, &[]),
    // 49 ways to write a request, and most are no HTTP/1: forwarded as they are.
    facts(
        "methods.pcap",
        49,
        9,
        9,
        &[
            ("(other) /", 1),
            ("CONNECT", 1),
            ("DELETE /", 1),
            ("GET /", 2),
            ("HEAD /", 1),
            ("OPTIONS *", 1),
            ("PUT /", 1),
            ("TRACE /", 1),
        ],
    ),
    facts(
        "pipelined-requests.pcap",
        1,
        5,
        5,
        &[
            ("GET /images/template/screen/bullet_utility.png", 1),
            ("GET /images/template/screen/key-point-top.png", 1),
            ("GET /projects/calendar/images/header-sunbird.png", 1),
            ("GET /script/urchin.js", 1),
            ("GET /style/enhanced.css", 1),
        ],
    ),
    facts("post.pcap", 1, 1, 1, &[("POST /post", 1)]),
    facts("websocket.pcap", 1, 1, 1, &[("GET /echo", 1)]),
];

/// How often each label was reported.
fn labels(outcomes: &[Outcome]) -> BTreeMap<&str, usize> {
    let mut labels = BTreeMap::new();
    for exchange in outcomes.iter().flat_map(|outcome| &outcome.exchanges) {
        *labels.entry(exchange.label.as_str()).or_default() += 1;
    }
    labels
}

#[test]
fn the_table_has_every_capture() {
    let Some(traces) = traces("http") else { return };
    let files =
        fs::read_dir(traces).expect("the folder is read").map(|entry| entry.expect("an entry").file_name());
    let files: BTreeSet<_> = files.map(|name| name.into_string().expect("a name in ASCII")).collect();
    let listed: BTreeSet<_> = CAPTURES.iter().map(|facts| facts.file.to_owned()).collect();
    assert_eq!(files, listed);
}

#[test]
fn every_capture_is_read_request_by_request() {
    let Some(traces) = traces("http") else { return };
    for Facts { file, connections, requests, answered, labels: expected } in CAPTURES {
        let loaded = load(&traces, file);
        let outcomes: Vec<_> =
            loaded.iter().map(|connection| play("compare = true", &connection.transcript())).collect();
        assert_eq!(outcomes.len(), connections, "connections of {file}");
        let said = || outcomes.iter().flat_map(|outcome| &outcome.connections);
        let count = |marks: fn(&Said) -> usize| said().map(marks).sum::<usize>();
        assert_eq!(count(|said| said.turns.len()), requests, "requests of {file}");
        assert_eq!(count(|said| said.completed.len()), answered, "answered requests of {file}");
        assert_eq!(labels(&outcomes), expected.iter().copied().collect(), "labels of {file}");
    }
}

#[test]
fn nothing_is_lost_where_nothing_is_configured() {
    let Some(traces) = traces("http") else { return };
    for Facts { file, .. } in CAPTURES {
        for connection in load(&traces, file) {
            let outcome = play("", &connection.transcript());
            assert!(outcome.said() == connection.said(), "{file}: {}", connection.name());
            assert_eq!((outcome.left, outcome.gave_up), (0, None), "{file}: {}", connection.name());
        }
    }
}

#[test]
fn answers_that_are_the_same_compare_as_the_same() {
    let Some(traces) = traces("http") else { return };
    for Facts { file, .. } in CAPTURES {
        for connection in load(&traces, file) {
            for exchange in play("compare = true", &connection.transcript()).exchanges {
                let told = |answer: Option<Answer>| {
                    answer.map(|answer| (answer.outcome, answer.failed, answer.size, answer.digest))
                };
                assert!(exchange.online.is_some(), "{file}: {}", exchange.label);
                assert_eq!(told(exchange.online), told(exchange.target), "{file}: {}", exchange.label);
            }
        }
    }
}
