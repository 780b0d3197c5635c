//! A capture that is widened while packets come: none is lost, none is shown twice, and the order stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tcpcopy_net::{
    CaptureDirection, CaptureOptions, CaptureSource, DEFAULT_BUFFER_BYTES, LiveCapture, RawIpSink, Sink,
};

use crate::namespace::{self, sh};
use crate::packet::{number_of, tcp};
use crate::veth::{self, CLIENT_V4, ETHERNET_HEADER, Injector, TARGET_V4, inject, options, read, send};

const USERS: &str = "tcp dst port 80";
const ANSWERS: &str = "tcp dst port 40000";

fn apart() -> CaptureDirection {
    CaptureDirection::Apart { outbound: ANSWERS.to_owned() }
}

/// What leaves on `far`, as Ethernet frame.
fn outbound(port: u16, number: u32) -> Vec<u8> {
    let packet = tcp(TARGET_V4, CLIENT_V4, port, number, b"answer");
    [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[8, 0], &packet].concat()
}

#[test]
fn directions_are_filtered_apart_from_the_first_frame_on() {
    namespace::run("widening::directions_are_filtered_apart_from_the_first_frame_on", || {
        veth::lay();
        let options = CaptureOptions { direction: apart(), ..options("far", USERS) };
        let mut capture = LiveCapture::open(&options).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        send(&mut sink, &tcp(CLIENT_V4, TARGET_V4, 80, 1, b"said")).unwrap();
        send(&mut sink, &tcp(CLIENT_V4, TARGET_V4, 40_000, 2, b"an answer's port, but inbound")).unwrap();
        inject("far", &outbound(40_000, 3));
        inject("far", &outbound(80, 4));
        let numbers: Vec<_> =
            read(&mut capture, 3).iter().map(|frame| number_of(frame, ETHERNET_HEADER)).collect();
        assert_eq!(numbers, [1, 3]);
    });
}

#[test]
fn tagged_frames_are_told_apart_as_well() {
    namespace::run("widening::tagged_frames_are_told_apart_as_well", || {
        veth::lay();
        let options = CaptureOptions { direction: apart(), match_vlan_tagged: true, ..options("far", USERS) };
        let mut capture = LiveCapture::open(&options).unwrap();
        let tagged = |mut frame: Vec<u8>| {
            frame.splice(12..12, [0x81, 0, 0, 9]);
            frame
        };
        inject("far", &tagged(outbound(40_000, 3)));
        inject("far", &tagged(outbound(80, 4)));
        inject("near", &tagged(outbound(80, 5)));
        inject("near", &tagged(outbound(40_000, 6)));
        let numbers: Vec<_> =
            read(&mut capture, 3).iter().map(|frame| number_of(frame, ETHERNET_HEADER + 4)).collect();
        assert_eq!(numbers, [3, 5]);
    });
}

#[test]
fn no_packet_is_lost_or_shown_twice_while_the_capture_is_widened() {
    namespace::run("widening::no_packet_is_lost_or_shown_twice_while_the_capture_is_widened", || {
        veth::lay();
        let large = CaptureOptions { buffer_bytes: DEFAULT_BUFFER_BYTES, ..options("far", USERS) };
        let mut capture = LiveCapture::open(&large).unwrap();
        let stop = AtomicBool::new(false);
        let (mut users, mut answers) = (Vec::new(), Vec::new());
        let (said, answered) = thread::scope(|scope| {
            let said = scope.spawn(|| {
                let mut sink = RawIpSink::open().unwrap();
                at_pace(&stop, |number| {
                    sink.send(&tcp(CLIENT_V4, TARGET_V4, 80, number, b"said")).unwrap();
                    sink.flush(&mut |_, error| panic!("{error}"));
                })
            });
            let answered = scope.spawn(|| {
                let injector = Injector::on("far");
                at_pace(&stop, |number| injector.send(&outbound(40_000, number)))
            });
            let wider = CaptureOptions { direction: apart(), ..large.clone() };
            let mut wider = Some(scope.spawn(move || LiveCapture::open(&wider).unwrap()));
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(900) {
                if begin.elapsed() > Duration::from_millis(100)
                    && let Some(wider) = wider.take_if(|wider| wider.is_finished())
                {
                    capture.widen(wider.join().unwrap()).unwrap();
                }
                stop.store(begin.elapsed() > Duration::from_millis(700), Ordering::Relaxed);
                let count = capture.dispatch(100, |frame| {
                    let port = &frame.bytes[ETHERNET_HEADER + 22..ETHERNET_HEADER + 24];
                    let numbers = if *port == 80_u16.to_be_bytes() { &mut users } else { &mut answers };
                    numbers.push(number_of(frame.bytes, ETHERNET_HEADER));
                });
                if count.unwrap() == 0 {
                    thread::sleep(Duration::from_micros(200));
                }
            }
            (said.join().unwrap(), answered.join().unwrap())
        });
        assert!(!capture.is_widening());
        let statistics = capture.statistics().unwrap();
        // A machine that lets the reader starve fills any ring: whatever is missing, the kernel has counted.
        let missing_users = missing(&users, 0..said);
        let first = answers.first().copied().expect("answers");
        let missing_answers = missing(&answers, first..answered);
        assert!(
            missing_users + missing_answers <= statistics.dropped,
            "{missing_users} of users and {missing_answers} of answers are missing: {statistics:?}"
        );
        assert!(statistics.received >= u64::from(said), "{statistics:?}");
    });
}

/// Calls `send` with 0, 1, 2 … until told to stop; how often.
fn at_pace(stop: &AtomicBool, mut send: impl FnMut(u32)) -> u32 {
    let begin = Instant::now();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if f64::from(number) < begin.elapsed().as_secs_f64() * 6_000.0 {
            send(number);
            number += 1;
        } else {
            thread::sleep(Duration::from_micros(100));
        }
    }
    number
}

/// Has `capture` show more.
fn widen(capture: &mut LiveCapture, change: impl FnOnce(&mut CaptureOptions)) {
    let mut options = capture.options().clone();
    change(&mut options);
    capture.widen(LiveCapture::open(&options).unwrap()).unwrap();
}

/// How many of `expected` are not in `numbers`, which have to rise: none twice, none out of order.
fn missing(numbers: &[u32], expected: std::ops::Range<u32>) -> u64 {
    let out_of_order: Vec<_> = numbers.windows(2).filter(|pair| pair[0] >= pair[1]).collect();
    assert!(out_of_order.is_empty(), "{out_of_order:?}");
    assert!(numbers.iter().all(|number| expected.contains(number)), "{expected:?}");
    expected.len() as u64 - numbers.len() as u64
}

#[test]
fn loopback_shows_each_packet_once_while_it_is_widened() {
    namespace::run("widening::loopback_shows_each_packet_once_while_it_is_widened", || {
        sh("ip link set lo up");
        let mut capture = LiveCapture::open(&options("lo", USERS)).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        let mut numbers = Vec::new();
        for number in 0..200 {
            if number == 50 {
                let filter = format!("({USERS}) or ({ANSWERS})");
                widen(&mut capture, |options| options.filter = filter);
            }
            let port = if number < 50 || number % 2 == 0 { 80 } else { 40_000 };
            send(&mut sink, &tcp(CLIENT_V4, "127.0.0.1", port, number, b"local")).unwrap();
            thread::sleep(Duration::from_millis(1));
            let mut count =
                |frame: tcpcopy_net::Frame<'_>| numbers.push(number_of(frame.bytes, ETHERNET_HEADER));
            capture.dispatch(100, &mut count).unwrap();
        }
        numbers.extend(read(&mut capture, 200).iter().map(|frame| number_of(frame, ETHERNET_HEADER)));
        let expected = |number: &u32| *number < 50 || number.is_multiple_of(2);
        let users: Vec<_> = numbers.iter().copied().filter(expected).collect();
        assert_eq!(users, (0..200).filter(expected).collect::<Vec<_>>());
        numbers.sort_unstable();
        let shown = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), shown, "shown twice");
        assert!(numbers.contains(&199));
    });
}

#[test]
fn a_longer_snapshot_length_shows_each_packet_once() {
    namespace::run("widening::a_longer_snapshot_length_shows_each_packet_once", || {
        veth::lay();
        let short = CaptureOptions { snaplen: 96, ..options("far", USERS) };
        let mut capture = LiveCapture::open(&short).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        let mut seen = Vec::new();
        for number in 0..150 {
            if number == 20 {
                widen(&mut capture, |options| options.snaplen = 2000);
            }
            send(&mut sink, &tcp(CLIENT_V4, TARGET_V4, 80, number, &[7; 900])).unwrap();
            thread::sleep(Duration::from_millis(1));
            let note = |frame: tcpcopy_net::Frame<'_>| {
                seen.push((number_of(frame.bytes, ETHERNET_HEADER), frame.bytes.len()));
            };
            capture.dispatch(100, note).unwrap();
        }
        seen.extend(
            read(&mut capture, 150).iter().map(|frame| (number_of(frame, ETHERNET_HEADER), frame.len())),
        );
        assert_eq!(seen.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..150).collect::<Vec<_>>());
        assert_eq!((seen[0].1, seen[149].1), (96, ETHERNET_HEADER + 40 + 900));
    });
}
