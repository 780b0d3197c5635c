//! Real traffic, recorded by others (`../shared/traces` beside the repository): every capture is replayed by the program itself,
//! into a file, and `--report` says of every packet and every byte what became of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tcpcopy_core::net::{FileInput, Recording};
use tcpcopy_core::wire::{Endpoint, parse_frame};

#[path = "../../core/wire/tests/wire/traces.rs"]
mod traces;

const TARGET: &str = "198.51.100.2";
const V6_TARGET: &str = "2001:db8::2";
const TARGET_PORT: u16 = 9;
/// Some users are at loopback addresses, which no target would answer.
const SOURCES: &str = "203.0.113.x,2001:db8:1::/120";

/// What is in a capture, and what of it cannot be replayed.
struct Expected {
    file: &'static str,
    online_port: u16,
    target: &'static str,
    /// What users say to the online port.
    sessions: u64,
    turns: u64,
    /// Packets that are no use, by the report's name for the reason; those of `files` and those of `segments_ignored`.
    explained: &'static [(&'static str, u64)],
}

const fn http(
    file: &'static str,
    sessions: u64,
    turns: u64,
    explained: &'static [(&'static str, u64)],
) -> Expected {
    Expected { file, online_port: 80, target: TARGET, sessions, turns, explained }
}

const fn mysql(
    file: &'static str,
    sessions: u64,
    turns: u64,
    explained: &'static [(&'static str, u64)],
) -> Expected {
    Expected { online_port: 3306, ..http(file, sessions, turns, explained) }
}

const CAPTURES: &[Expected] = &[
    http("http/100-continue.pcap", 1, 2, &[]),
    http("http/1000-requests-one-dropped-response.pcap.gz", 1, 1000, &[]),
    Expected {
        online_port: 8080,
        ..http("http/concurrent-range-requests-complete.pcap", 3, 3, &[("after_close", 3)])
    },
    // ARP; a connection of which only the end was captured.
    http("http/cooper-grill-dvwa.pcapng", 3, 3, &[("not_ip", 16), ("no_session", 2)]),
    http("http/entity_gap.pcap", 1, 1, &[("after_close", 1)]),
    http("http/get.pcap", 1, 1, &[("after_close", 1)]),
    http("http/get_nosyn.pcap", 1, 1, &[("after_close", 1)]),
    // A proxy beside its users: the other half of the packets is between it and its server.
    http("http/http-post-large.pcap", 1, 1, &[("not_mapped", 19)]),
    Expected { online_port: 5000, ..http("http/http-post-large.pcap", 1, 1, &[("not_mapped", 19)]) },
    http("http/http-qinq-0.pcap", 1, 1, &[("after_close", 1)]),
    http("http/http-vlan-0.pcap", 1, 1, &[("after_close", 1)]),
    Expected { target: V6_TARGET, ..http("http/ip6-tcp-good-chksum.pcap", 1, 0, &[]) },
    // ICMPv6.
    Expected { target: V6_TARGET, ..http("http/ipv6-http-atomic-frag.pcap", 4, 4, &[("not_tcp", 2)]) },
    http("http/methods.pcap", 49, 49, &[("after_close", 15)]),
    http("http/pipelined-requests.pcap", 1, 5, &[("after_close", 1)]),
    http("http/post.pcap", 1, 1, &[("after_close", 2)]),
    http("http/websocket.pcap", 1, 4, &[]),
    mysql("mysql/auth.pcap", 13, 12, &[("after_close", 26)]),
    mysql("mysql/caching_sha2_password.pcap", 3, 15, &[("after_close", 3)]),
    mysql("mysql/change-user-success.pcap", 1, 9, &[("after_close", 1)]),
    mysql("mysql/encrypted.pcap", 1, 3, &[("after_close", 1)]),
    mysql("mysql/mysql.pcap", 1, 18, &[]),
];

/// What was said to `port` in a capture, connection by connection and in the order of the bytes, without regard to who said it;
/// and the number of packets in the file.
fn said_to(file: &Path, port: u16) -> (Vec<Vec<u8>>, u64) {
    let mut recording =
        Recording::open(&[FileInput::Path(file.to_owned())], None).expect("the capture opens");
    let mut connections: BTreeMap<(Endpoint, Endpoint), BTreeMap<u32, Vec<u8>>> = BTreeMap::new();
    let mut frames = 0;
    while let Some(frame) = recording.next_frame() {
        frames += 1;
        let Some(Ok(segment)) = frame.link.map(|link| parse_frame(link, frame.bytes, frame.wire_len)) else {
            continue;
        };
        if segment.destination.port == port && !segment.payload.is_empty() {
            let said = connections.entry((segment.source, segment.destination)).or_default();
            let longest = said.entry(segment.seq.0).or_default();
            if segment.payload.len() > longest.len() {
                *longest = segment.payload.to_vec();
            }
        }
    }
    let mut streams: Vec<Vec<u8>> = connections.values().map(in_order).collect();
    streams.sort();
    (streams, frames)
}

/// The bytes of segments that may overlap; none of these captures crosses the end of the sequence numbers.
fn in_order(segments: &BTreeMap<u32, Vec<u8>>) -> Vec<u8> {
    let (mut stream, mut next) = (Vec::new(), None);
    for (&seq, payload) in segments {
        let known = next.map_or(0, |next: u32| next.saturating_sub(seq)) as usize;
        stream.extend(payload.get(known..).unwrap_or_default());
        next = next.max(Some(seq + payload.len() as u32));
    }
    stream
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

/// The members of an object that are not zero.
fn counted(object: &Value) -> Vec<(&str, u64)> {
    let members = object.as_object().expect("an object").iter();
    members.map(|(name, value)| (name.as_str(), number(value))).filter(|(_, count)| *count > 0).collect()
}

/// Replays a capture into a file, and returns what is in the file and the report.
fn replay(capture: &Path, expected: &Expected) -> (Vec<Vec<u8>>, u64, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let (sent, report) = (folder.path().join("sent.pcapng"), folder.path().join("report.json"));
    let target = if expected.target.contains(':') { format!("[{V6_TARGET}]") } else { TARGET.to_owned() };
    let mapping = format!("{}-{target}:{TARGET_PORT}", expected.online_port);
    let output = Command::new(env!("CARGO_BIN_EXE_tcpcopy"))
        .args(["-x", &mapping, "-c", SOURCES, "--admin", "none", "--offline", "--top-speed", "-i"])
        .arg(capture)
        .arg("--dry-run")
        .arg(&sent)
        .arg("--report")
        .arg(&report)
        .output()
        .expect("tcpcopy runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", expected.file);
    let report = fs::read(report).expect("a report");
    let report = serde_json::from_slice(&report).expect("JSON");
    let (streams, packets) = said_to(&sent, TARGET_PORT);
    (streams, packets, report)
}

#[test]
fn every_capture_of_others_is_replayed_or_explained_packet_by_packet() {
    let Some(traces) = traces::folder() else { return };
    for expected in CAPTURES {
        let name = expected.file;
        let capture = traces.join(name);
        let (captured, frames) = said_to(&capture, expected.online_port);
        let (sent, packets, report) = replay(&capture, expected);
        assert_eq!(sent, captured, "{name}: what users said");

        let [file] = &report["recording"]["files"].as_array().unwrap()[..] else {
            panic!("{name}: one file")
        };
        assert_eq!(number(&file["frames"]), frames, "{name}");
        let unusable: u64 = counted(&file["unusable"]).iter().map(|(_, count)| count).sum();
        let rest = ["used", "not_due", "before_start", "filtered", "not_mapped", "answers"];
        let classes: u64 = rest.iter().map(|class| number(&file[*class])).sum();
        assert_eq!(classes + unusable, frames, "{name}: every packet is of one class");

        let bytes = &report["bytes"];
        assert_eq!(bytes["segments_captured"], file["used"], "{name}");
        let said: usize = captured.iter().map(Vec::len).sum();
        let of = |field: &str| number(&bytes[field]);
        assert_eq!((of("bytes_captured"), of("bytes_delivered")), (said as u64, said as u64), "{name}");
        assert_eq!(report["transmit"]["packets"], packets, "{name}: packets in the file");

        let (sessions, turns) = (&report["sessions"], &report["turns"]);
        assert_eq!(number(&sessions["sessions_opened"]), expected.sessions, "{name}: sessions");
        assert_eq!(sessions["sessions_ended"], sessions["sessions_opened"], "{name}");
        assert_eq!(turns["turns_captured"], expected.turns, "{name}: turns");
        assert_eq!(turns["turns_delivered"], expected.turns, "{name}: turns");

        let mut explained = counted(&file["unusable"]);
        explained.extend(counted(&bytes["segments_ignored"]));
        explained
            .extend([("not_mapped", number(&file["not_mapped"]))].iter().filter(|(_, count)| *count > 0));
        assert_eq!(explained, expected.explained, "{name}");
    }
}

/// A capture that is added to the folder has to be added here.
#[test]
fn no_capture_is_left_out() {
    let Some(traces) = traces::folder() else { return };
    let mut files: Vec<String> = Vec::new();
    for folder in ["http", "mysql"] {
        let entries = fs::read_dir(traces.join(folder)).unwrap();
        files.extend(entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().display())));
    }
    for file in files {
        assert!(CAPTURES.iter().any(|expected| expected.file == file), "{file}");
    }
}
