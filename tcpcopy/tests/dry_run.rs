//! `--dry-run`: what would be sent is in the file, nothing is sent, and nobody has to be there.

#![expect(clippy::unwrap_used, reason = "everything here is test code, functions without #[test] too")]

#[path = "built/modules.rs"]
mod built;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};
use tcpcopy_core::net::{FileInput, Recording};
use tcpcopy_core::wire::{Endpoint, Flags, Instant, Ipv4Identification, Segment, SeqNum, emit, parse_ip};

const USER: &str = "203.0.113.7:40000";
const ONLINE: &str = "192.0.2.1:80";
const TARGET: &str = "198.51.100.2:8080";
const REQUESTS: [&[u8]; 3] = [b"one", b"two, after an answer", b"three"];

fn end(text: &str) -> Endpoint {
    text.parse::<SocketAddr>().expect("an end").into()
}

/// A packet of the user, `payload` behind the `said` bytes before, who has heard `heard` bytes.
fn packet(flags: Flags, said: u32, heard: u32, payload: &[u8]) -> Vec<u8> {
    let segment = Segment {
        source: end(USER),
        destination: end(ONLINE),
        seq: SeqNum(1000 + said),
        ack: SeqNum(if flags.ack() { 5000 + heard } else { 0 }),
        flags,
        window: 60_000,
        ttl: 64,
        ..Segment::default()
    };
    let mut bytes = vec![0; 1500];
    let len = emit(&segment, Ipv4Identification(7), [payload, &[]], &mut bytes).expect("a packet");
    bytes.truncate(len);
    bytes
}

/// What a user said on one connection, ten milliseconds between two packets: a pcap of bare IP.
fn record(path: &Path) {
    record_requests(path, REQUESTS, 0);
}

/// The same of other requests, with a pause of so many seconds before the last one.
fn record_requests(path: &Path, requests: [&[u8]; 3], pause: u32) {
    let mut packets = vec![packet(Flags::SYN, 0, 0, b""), packet(Flags::ACK, 1, 1, b"")];
    let mut said = 1;
    for (turn, request) in requests.iter().enumerate() {
        packets.push(packet(Flags::ACK | Flags::PSH, said, 1 + 100 * turn as u32, request));
        said += request.len() as u32;
    }
    packets.push(packet(Flags::ACK | Flags::FIN, said, 301, b""));
    packets.push(packet(Flags::ACK, said + 1, 302, b""));
    let mut file = [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65_535, 101].map(u32::to_ne_bytes).concat();
    for (number, packet) in packets.iter().enumerate() {
        let len = packet.len() as u32;
        let second = 1_700_000_000 + if number < 4 { 0 } else { pause };
        file.extend([second, 10_000 * number as u32, len, len].map(u32::to_ne_bytes).concat());
        file.extend(packet);
    }
    fs::write(path, file).expect("a written file");
}

/// What is in the file that was written, packet by packet: the user's stream, and the flags of each.
fn written(file: PathBuf) -> (Vec<u8>, Vec<Flags>) {
    let mut written = Recording::open(&[FileInput::Path(file)], None).expect("the file opens");
    let (mut stream, mut flags, mut last) = (Vec::<u8>::new(), Vec::new(), Instant::ZERO);
    while let Some(frame) = written.next_frame() {
        let segment = parse_ip(frame.bytes, frame.wire_len).expect("a packet");
        assert_eq!((segment.source, segment.destination), (end(USER), end(TARGET)));
        assert!(frame.captured_at >= last);
        last = frame.captured_at;
        stream.extend(segment.payload);
        flags.push(segment.flags);
    }
    (stream, flags)
}

fn dry_run(recording: &Path, file: &Path) -> Command {
    dry_run_asked_at(Path::new("none"), recording, file)
}

fn dry_run_asked_at(admin: &Path, recording: &Path, file: &Path) -> Command {
    let mapping = format!("{ONLINE}-{TARGET}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcpcopy"));
    command.args(["-x", &mapping, "--offline", "-i"]).arg(recording);
    command.arg("--dry-run").arg(file).arg("--admin").arg(admin);
    command
}

#[test]
fn everything_that_would_be_sent_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (recording, file) = (folder.path().join("users.pcap"), folder.path().join("sent.pcapng"));
    record(&recording);
    let output = dry_run(&recording, &file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(format!("{report}{said}").contains("Written to the file, and not sent"), "{report}{said}");

    let (stream, flags) = written(file);
    assert_eq!(stream, REQUESTS.concat());
    assert!(flags.first().is_some_and(|first| *first == Flags::SYN), "{flags:?}");
    assert_eq!(flags.iter().filter(|flags| flags.fin()).count(), 1, "{flags:?}");
    assert!(flags.iter().all(|flags| !flags.rst()), "{flags:?}");
}

#[test]
fn an_interrupt_in_the_middle_of_a_recording_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (recording, file) = (folder.path().join("users.pcap"), folder.path().join("sent.pcapng"));
    let report = folder.path().join("report.json");
    // Whatever goes wrong, the run is over by itself after a minute.
    record_requests(&recording, REQUESTS, 60);
    let mut tcpcopy = dry_run(&recording, &file);
    tcpcopy.args(["--log-level", "trace", "--report"]).arg(&report);
    let mut running = tcpcopy.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines().map(Result::unwrap);
    let is_second = |line: &String| line.contains("transmits for session") && line.ends_with("len 20");
    let second = lines.find(is_second);
    let acknowledged = lines.find(|line| line.contains("response for session"));
    let pid = running.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    // A pipe that nobody empties would hold it up.
    let rest: Vec<String> = lines.collect();
    assert!(running.wait().unwrap().success(), "{rest:?}");
    assert!(second.is_some() && acknowledged.is_some(), "the second request was not said: {rest:?}");

    let (stream, flags) = written(file);
    assert_eq!(stream, REQUESTS[..2].concat());
    assert!(flags.last().is_some_and(|last| last.rst()), "{flags:?}");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let recording = &report["recording"];
    assert_eq!(recording["is_read"], false);
    let read = &recording["files"][0];
    assert_eq!((&read["frames"], &read["used"], &read["not_due"]), (&json!(7), &json!(4), &json!(3)));
    assert_eq!(report["sessions"]["verdicts"]["shutdown"]["sessions"], 1);
    assert_eq!((&report["turns"]["turns_delivered"], &report["turns"]["turns_lost"]), (&json!(2), &json!(0)));
}

#[test]
fn a_file_that_cannot_grow_ends_the_run_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (recording, file) = (folder.path().join("users.pcap"), folder.path().join("sent.pcapng"));
    record(&recording);
    // At most 512 bytes, and not the signal that usually comes with it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]);
    let tcpcopy = dry_run(&recording, &file);
    let output = command.arg(tcpcopy.get_program()).args(tcpcopy.get_args()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        "tcpcopy: nothing more can be sent: the file cannot be written: File too large (os error 27)"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("not_written"), "{output:?}");
}

#[test]
fn a_place_where_nothing_can_be_written_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("users.pcap");
    record(&recording);
    let output = dry_run(&recording, Path::new("/dev/full")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write /dev/full: No space left on device"), "{said}");
}

/// A dry run with a module that does not return from its second request, and the line of its log that says so.
struct StuckRun {
    folder: tempfile::TempDir,
    process: Child,
    log: BufReader<ChildStderr>,
    told: String,
}

impl StuckRun {
    fn start(timeout: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let request = |path| format!("GET /{path} HTTP/1.1\r\n\r\n").into_bytes();
        let requests = ["1", "stuck", "3"].map(request);
        record_requests(&path("users.pcap"), requests.each_ref().map(Vec::as_slice), 0);
        let module = built::module("tcpcopy-mod-tagged", "libtagged_mod.so");
        let mut tcpcopy = dry_run_asked_at(&path("ctl.sock"), &path("users.pcap"), &path("sent.pcapng"));
        tcpcopy.arg("--module").arg(format!("{}:stays_on = \"stuck\"", module.display()));
        tcpcopy.args(["--module-timeout", timeout]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = tcpcopy.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let is_told =
            |line: &String| line.contains("has not returned from a call for 1 s: nothing is replayed");
        let told = log.by_ref().lines().map(Result::unwrap).find(is_told).expect("the log tells");
        Self { folder, process, log, told }
    }

    /// The exit status, and the last line of the log.
    fn end(mut self) -> (Option<i32>, String) {
        let last = self.log.lines().last().map_or_else(String::new, Result::unwrap);
        (self.process.wait().unwrap().code(), last)
    }
}

#[test]
fn a_module_that_does_not_return_is_told_of_and_ends_the_run() {
    let run = StuckRun::start("5");
    assert!(run.told.ends_with("; after 5 s this process ends"), "{}", run.told);
    let socket = run.folder.path().join("ctl.sock");
    let mut ctl = Command::new(env!("CARGO_BIN_EXE_tcpcopy"));
    let answer = ctl.args(["ctl", "--socket"]).arg(socket).arg("status").output().unwrap();
    let answer = String::from_utf8(answer.stderr).unwrap();
    assert!(answer.contains("module tagged") && answer.contains("has not returned"), "{answer}");
    let (status, last) = run.end();
    assert_eq!(status, Some(1), "{last}");
    assert!(last.contains("for 5 s: this process ends") && last.contains("another module"), "{last}");
}

#[test]
fn a_run_with_a_module_that_does_not_return_can_be_stopped() {
    let run = StuckRun::start("0");
    assert!(run.told.ends_with("until it does"), "{}", run.told);
    let pid = run.process.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    let (status, last) = run.end();
    assert_eq!(status, Some(1), "{last}");
    assert!(last.contains("this process ends"), "{last}");
}
