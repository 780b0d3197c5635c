//! A process that is stopped for two seconds must lose nothing, and see everything in the order it came.

use std::thread;
use std::time::{Duration, Instant};

use tcpcopy_net::{CaptureOptions, CaptureSource, DEFAULT_BUFFER_BYTES, LiveCapture, RawIpSink, Sink};

use crate::namespace;
use crate::packet::{number_of, tcp};
use crate::veth::{self, CLIENT_V4, ETHERNET_HEADER, TARGET_V4, options};

/// What 5000 requests a second with keep-alive look like to one device: request, acknowledgement and a margin.
const PACKETS_PER_SECOND: u32 = 12_000;

#[test]
fn a_stop_of_two_seconds_loses_nothing_and_reorders_nothing() {
    namespace::run("stop::a_stop_of_two_seconds_loses_nothing_and_reorders_nothing", || {
        veth::lay();
        let options =
            CaptureOptions { buffer_bytes: DEFAULT_BUFFER_BYTES, ..options("far", "tcp dst port 80") };
        let mut capture = LiveCapture::open(&options).unwrap();
        let total = 3 * PACKETS_PER_SECOND;
        let sender = thread::spawn(move || send_at_pace(total));
        thread::sleep(Duration::from_millis(300));
        let mut numbers = Vec::new();
        // Before the stop, so that both halves have been in use.
        capture.dispatch(usize::MAX, |frame| numbers.push(number_of(frame.bytes, ETHERNET_HEADER))).unwrap();
        assert!(numbers.len() > 100, "{}", numbers.len());
        thread::sleep(Duration::from_millis(2000));
        // The sender goes on for 0.7 s: old and new packets meet while the backlog is read.
        let end = Instant::now() + Duration::from_secs(10);
        while numbers.len() < total as usize && Instant::now() < end {
            let count =
                capture.dispatch(500, |frame| numbers.push(number_of(frame.bytes, ETHERNET_HEADER))).unwrap();
            if count == 0 {
                thread::sleep(Duration::from_micros(500));
            }
        }
        sender.join().unwrap();
        let statistics = capture.statistics().unwrap();
        assert_eq!((statistics.received, statistics.dropped), (u64::from(total), 0));
        assert_eq!(numbers.len(), total as usize);
        let first_wrong = numbers.iter().zip(0..).find(|(number, expected)| **number != *expected);
        assert_eq!(first_wrong, None, "captured number and the one expected there");
    });
}

fn send_at_pace(total: u32) {
    let mut sink = RawIpSink::open().unwrap();
    let start = Instant::now();
    let mut number = 0;
    while number < total {
        let due = (start.elapsed().as_secs_f64() * f64::from(PACKETS_PER_SECOND)) as u32;
        while number < due.min(total) {
            sink.send(&tcp(CLIENT_V4, TARGET_V4, 80, number, &[9; 200])).unwrap();
            number += 1;
        }
        sink.flush(&mut |_, error| panic!("{error}"));
        thread::sleep(Duration::from_micros(100));
    }
}
