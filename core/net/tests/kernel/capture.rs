//! What [`LiveCapture`] sees, and what it says when it cannot.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tcpcopy_net::{
    CaptureDirection, CaptureError, CaptureOptions, CaptureSource, LiveCapture, RawIpSink, capture_filter,
};
use tcpcopy_wire::LinkType;

use crate::namespace::{self, sh};
use crate::packet::tcp;
use crate::veth::{
    self, CLIENT_V4, CLIENT_V6, ETHERNET_HEADER, TARGET_V4, TARGET_V6, inject, options, read, read_with,
    send, send_all,
};

#[test]
fn sees_byte_for_byte_what_the_sink_sends() {
    namespace::run("capture::sees_byte_for_byte_what_the_sink_sends", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        assert_eq!(capture.link_type(), LinkType::Ethernet);
        let mut sink = RawIpSink::open().unwrap();
        let numbered = |from: &'static str, to: &'static str| {
            (0..40)
                .map(move |n| tcp(from, to, 80, n, &(0..n * 35).map(|byte| byte as u8).collect::<Vec<_>>()))
        };
        let sent: Vec<_> = numbered(CLIENT_V4, TARGET_V4).chain(numbered(CLIENT_V6, TARGET_V6)).collect();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        send_all(&mut sink, &sent);
        let mut captured = Vec::new();
        read_with(&mut capture, sent.len(), |frame| {
            assert_eq!(frame.wire_len, frame.bytes.len());
            let at = u128::from(frame.captured_at.micros());
            assert!((before..before + 5_000_000).contains(&at), "{before} {at}");
            captured.push(frame.bytes[ETHERNET_HEADER..].to_vec());
        });
        assert_same(captured, &sent);
        let statistics = capture.statistics().unwrap();
        assert_eq!((statistics.received, statistics.dropped), (sent.len() as u64, 0));
    });
}

/// Compares packets as a set: a sink keeps the order within an address family only, and loopback may take several
/// queues.
fn assert_same(mut captured: Vec<Vec<u8>>, sent: &[Vec<u8>]) {
    let mut sent = sent.to_vec();
    sent.sort_unstable();
    captured.sort_unstable();
    assert_eq!(captured.len(), sent.len());
    assert!(captured == sent);
}

#[test]
fn loopback_shows_each_packet_once() {
    namespace::run("capture::loopback_shows_each_packet_once", || {
        sh("ip link set lo up");
        for direction in [CaptureDirection::Inbound, CaptureDirection::Both] {
            let options = CaptureOptions { direction, ..options("lo", "tcp dst port 80") };
            let mut capture = LiveCapture::open(&options).unwrap();
            let mut sink = RawIpSink::open().unwrap();
            let numbered =
                |from: &'static str, to: &'static str| (0..20).map(move |n| tcp(from, to, 80, n, b"local"));
            let sent: Vec<_> = numbered(CLIENT_V4, "127.0.0.1").chain(numbered("::1", "::1")).collect();
            send_all(&mut sink, &sent);
            let captured = read(&mut capture, sent.len() + 1);
            let captured: Vec<_> = captured.iter().map(|frame| frame[ETHERNET_HEADER..].to_vec()).collect();
            assert_same(captured, &sent);
        }
    });
}

#[test]
fn the_largest_packet_there_is_arrives_whole() {
    namespace::run("capture::the_largest_packet_there_is_arrives_whole", || {
        sh("ip link set lo up");
        let mut capture = LiveCapture::open(&options("lo", "tcp dst port 80")).unwrap();
        let packet = tcp(CLIENT_V4, "127.0.0.1", 80, 1, &[5; 65_535 - 40]);
        send(&mut RawIpSink::open().unwrap(), &packet).unwrap();
        let captured = read(&mut capture, 1);
        assert!(captured.len() == 1 && captured[0][ETHERNET_HEADER..] == packet);
    });
}

#[test]
fn what_the_machine_sends_is_seen_only_when_asked_for() {
    namespace::run("capture::what_the_machine_sends_is_seen_only_when_asked_for", || {
        veth::lay();
        let both = CaptureOptions { direction: CaptureDirection::Both, ..options("near", "tcp dst port 80") };
        let mut both = LiveCapture::open(&both).unwrap();
        let mut inbound = LiveCapture::open(&options("near", "tcp dst port 80")).unwrap();
        let packet = tcp(CLIENT_V4, TARGET_V4, 80, 1, b"out");
        send(&mut RawIpSink::open().unwrap(), &packet).unwrap();
        assert_eq!(read(&mut both, 2).len(), 1);
        assert_eq!(read(&mut inbound, 1).len(), 0);
        assert_eq!(inbound.statistics().unwrap().received, 0, "outgoing frames take no room in the ring");
    });
}

#[test]
fn the_any_device_works_cooked() {
    namespace::run("capture::the_any_device_works_cooked", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("any", "tcp dst port 80")).unwrap();
        assert!(matches!(capture.link_type(), LinkType::LinuxSll | LinkType::LinuxSll2));
        let sent = [tcp(CLIENT_V4, TARGET_V4, 80, 1, b"veth"), tcp(CLIENT_V4, "127.0.0.1", 80, 2, b"lo")];
        let mut sink = RawIpSink::open().unwrap();
        send_all(&mut sink, &sent);
        let captured = read(&mut capture, 3);
        assert_eq!(captured.len(), 2);
        assert!(captured.iter().zip(&sent).all(|(frame, packet)| frame.ends_with(packet)), "{captured:02x?}");
    });
}

#[test]
fn vlan_tagged_frames_pass_the_filter_for_untagged_ones() {
    namespace::run("capture::vlan_tagged_frames_pass_the_filter_for_untagged_ones", || {
        veth::lay();
        let filter = capture_filter(&[(Some(TARGET_V4.parse().unwrap()), 80)], &[]);
        let tagged = CaptureOptions { match_vlan_tagged: true, ..options("far", &filter) };
        let mut capture = LiveCapture::open(&tagged).unwrap();
        let packet = tcp(CLIENT_V4, TARGET_V4, 80, 1, b"tagged");
        let tags: [&[u8]; 4] = [&[], &[0x81, 0, 0, 9], &[0x88, 0xa8, 0, 8, 0x81, 0, 0, 9], &[0x81, 0, 0, 0]];
        let frames = tags.map(|tags| [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], tags, &[8, 0], &packet].concat());
        frames.iter().for_each(|frame| inject("near", frame));
        // libpcap puts the tag that the kernel took out back where it was.
        assert_eq!(read(&mut capture, frames.len() + 1), frames);
    });
}

#[test]
fn the_filter_keeps_out_other_ports_and_the_targets() {
    namespace::run("capture::the_filter_keeps_out_other_ports_and_the_targets", || {
        veth::lay();
        let target = tcpcopy_wire::Endpoint::new(TARGET_V4.parse().unwrap(), 80);
        let filter = capture_filter(&[(None, 80)], &[target]);
        let mut capture = LiveCapture::open(&options("far", &filter)).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        send(&mut sink, &tcp(CLIENT_V4, TARGET_V4, 80, 1, b"to the target")).unwrap();
        send(&mut sink, &tcp(CLIENT_V6, TARGET_V6, 81, 2, b"another port")).unwrap();
        let wanted = tcp(CLIENT_V6, TARGET_V6, 80, 3, b"wanted");
        send(&mut sink, &wanted).unwrap();
        let captured = read(&mut capture, 2);
        assert_eq!(captured.len(), 1);
        assert!(captured[0].ends_with(&wanted));
    });
}

#[test]
fn a_frame_cut_at_the_snapshot_length_says_how_long_it_was() {
    namespace::run("capture::a_frame_cut_at_the_snapshot_length_says_how_long_it_was", || {
        veth::lay();
        // Also without a filter, which is what cuts in the kernel.
        for filter in ["tcp dst port 80", ""] {
            let mut capture =
                LiveCapture::open(&CaptureOptions { snaplen: 96, ..options("far", filter) }).unwrap();
            let packet = tcp(CLIENT_V4, TARGET_V4, 80, 1, &[7; 900]);
            send(&mut RawIpSink::open().unwrap(), &packet).unwrap();
            let mut lengths = Vec::new();
            // The new device says of itself over IPv6 what it has to, and no filter keeps it out.
            read_with(&mut capture, 100, |frame| {
                if frame.bytes[12..ETHERNET_HEADER] == [8, 0] {
                    lengths.push((frame.bytes.len(), frame.wire_len));
                }
            });
            assert_eq!(lengths, [(96, ETHERNET_HEADER + packet.len())], "{filter:?}");
        }
    });
}

#[test]
fn a_full_ring_is_counted() {
    namespace::run("capture::a_full_ring_is_counted", || {
        veth::lay();
        let small = CaptureOptions { buffer_bytes: 1 << 20, ..options("far", "tcp dst port 80") };
        let mut capture = LiveCapture::open(&small).unwrap();
        // What the new device says of itself can come before the ring has its filter, and counts.
        let before = capture.statistics().unwrap().received;
        let mut sink = RawIpSink::open().unwrap();
        let sent = 3000;
        for number in 0..sent {
            send(&mut sink, &tcp(CLIENT_V4, TARGET_V4, 80, number, &[1; 1400])).unwrap();
        }
        let captured = read(&mut capture, sent as usize).len() as u64;
        let statistics = capture.statistics().unwrap();
        assert_eq!(statistics.received - before, u64::from(sent));
        assert!(captured > 100 && statistics.dropped > 1000, "{captured} {statistics:?}");
        assert_eq!(captured + statistics.dropped, u64::from(sent));
    });
}

#[test]
fn the_descriptor_is_readable_when_there_is_something_to_read() {
    namespace::run("capture::the_descriptor_is_readable_when_there_is_something_to_read", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        assert!(!readable_within(&capture, 50));
        send(&mut RawIpSink::open().unwrap(), &tcp(CLIENT_V4, TARGET_V4, 80, 1, b"")).unwrap();
        let sent = Instant::now();
        assert!(readable_within(&capture, 1000));
        assert!(sent.elapsed() < Duration::from_millis(200), "{:?}", sent.elapsed());
        assert_eq!(capture.dispatch(10, |_| {}).unwrap(), 1);
        assert!(!readable_within(&capture, 50));
    });
}

fn readable_within(capture: &LiveCapture, milliseconds: i32) -> bool {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd { fd: capture.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid `pollfd`, which lives until the call returns.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 }
}

#[test]
fn a_device_that_comes_back_up_is_captured_again() {
    namespace::run("capture::a_device_that_comes_back_up_is_captured_again", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        sh("ip link set far down");
        for _ in 0..20 {
            assert_eq!(capture.dispatch(10, |_| {}).unwrap(), 0);
            thread::sleep(Duration::from_millis(2));
        }
        sh("ip link set far up");
        thread::sleep(Duration::from_millis(50));
        send(&mut RawIpSink::open().unwrap(), &tcp(CLIENT_V4, TARGET_V4, 80, 1, b"again")).unwrap();
        assert_eq!(read(&mut capture, 1).len(), 1);
    });
}

#[test]
fn a_device_that_is_removed_ends_the_capture_with_an_error() {
    namespace::run("capture::a_device_that_is_removed_ends_the_capture_with_an_error", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        sh("ip link del far");
        let end = Instant::now() + Duration::from_secs(3);
        let error = loop {
            assert!(Instant::now() < end, "the removal went unnoticed");
            match capture.dispatch(10, |_| {}) {
                Ok(_) => thread::sleep(Duration::from_millis(5)),
                Err(error) => break error,
            }
        };
        assert_eq!(error, CaptureError::DeviceGone { device: "far".to_owned() });
        assert_eq!(error.to_string(), "capture on far ended: the device is gone");
    });
}

#[test]
fn errors_of_opening_say_what_to_do() {
    namespace::run("capture::errors_of_opening_say_what_to_do", || {
        veth::lay();
        let text = |options: CaptureOptions| LiveCapture::open(&options).err().expect("an error").to_string();
        assert_eq!(
            text(options("eth7", "tcp")),
            "cannot capture on eth7: there is no such device; there are lo, far, near"
        );
        let error = text(options("far", "tcp dst port ("));
        assert!(
            error.starts_with("cannot capture on far: the filter \"tcp dst port (\" is wrong: "),
            "{error}"
        );
        assert!(error.contains("syntax error"), "{error}");
        let error = text(CaptureOptions { buffer_bytes: usize::MAX, ..options("far", "") });
        assert!(error.contains("the buffer is 18446744073709551615, must be"), "{error}");
        let error = text(CaptureOptions { snaplen: 0, ..options("far", "") });
        assert!(error.contains("the snapshot length is 0, must be"), "{error}");
        sh("ip link set near down");
        let error = text(options("near", "tcp"));
        assert!(error.starts_with("cannot capture on near: ") && error.contains("not up"), "{error}");
    });
}

#[test]
fn without_permission_the_error_names_the_capability() {
    namespace::run_powerless("capture::without_permission_the_error_names_the_capability", || {
        let error = LiveCapture::open(&options("lo", "tcp")).err().expect("an error");
        assert_eq!(error, CaptureError::NoPermission { device: "lo".to_owned() });
        assert!(error.to_string().contains("run as root or give CAP_NET_RAW"), "{error}");
        let error = RawIpSink::open().unwrap_err().to_string();
        assert!(error.contains("run as root or give CAP_NET_RAW"), "{error}");
    });
}
