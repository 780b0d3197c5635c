//! What [`RawIpSink`] answers, and that nothing gets past the target guard.

use std::fs;

use tcpcopy_net::{LiveCapture, RawIpSink, Sink, TargetGuard, TransmitError};
use tcpcopy_wire::Endpoint;

use crate::namespace::{self, sh};
use crate::packet::tcp;
use crate::veth::{self, CLIENT_V4, CLIENT_V6, TARGET_V4, TARGET_V6, options, read, send, send_all};

#[test]
fn a_packet_above_the_mtu_costs_only_itself() {
    namespace::run("transmit::a_packet_above_the_mtu_costs_only_itself", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp")).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        // Often: what the kernel notes down about each must not fill up anything we need.
        for number in 0..5000 {
            for (from, to) in [(CLIENT_V4, TARGET_V4), (CLIENT_V6, TARGET_V6)] {
                let packet = tcp(from, to, 80, number, &[0; 1480]);
                assert_eq!(send(&mut sink, &packet), Err(TransmitError::MessageTooLong), "{to} {number}");
            }
        }
        for (from, to) in [(CLIENT_V4, TARGET_V4), (CLIENT_V6, TARGET_V6)] {
            assert_eq!(send(&mut sink, &tcp(from, to, 80, 1, &[0; 1440])), Ok(()), "{to}");
        }
        assert_eq!(read(&mut capture, 3).len(), 2);
    });
}

#[test]
fn a_packet_above_the_mtu_of_its_route_is_not_fragmented() {
    namespace::run("transmit::a_packet_above_the_mtu_of_its_route_is_not_fragmented", || {
        veth::lay();
        sh("ip route add 10.9.0.2/32 dev near mtu lock 1000");
        sh("ip -6 route add fd00:9::2/128 dev near mtu lock 1300");
        let mut capture = LiveCapture::open(&options("far", "ip or ip6")).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        for (from, to, fits, too_long) in
            [(CLIENT_V4, TARGET_V4, 960, 961), (CLIENT_V6, TARGET_V6, 1240, 1241)]
        {
            let too_long = tcp(from, to, 80, 1, &vec![0; too_long]);
            assert_eq!(send(&mut sink, &too_long), Err(TransmitError::MessageTooLong), "{to}");
            let fits = tcp(from, to, 80, 2, &vec![0; fits]);
            assert_eq!(send(&mut sink, &fits), Ok(()), "{to}");
            let seen = read(&mut capture, 100);
            let seen: Vec<_> = seen.iter().filter(|frame| frame.len() > 900).collect();
            assert!(seen.len() == 1 && seen[0].ends_with(&fits), "{to}: {} frames", seen.len());
        }
    });
}

#[test]
fn targets_without_a_way_are_unreachable() {
    namespace::run("transmit::targets_without_a_way_are_unreachable", || {
        veth::lay();
        let mut sink = RawIpSink::open().unwrap();
        let no_route = [tcp(CLIENT_V4, "192.0.2.1", 80, 1, b""), tcp(CLIENT_V6, "2001:db8:1::1", 80, 1, b"")];
        for packet in &no_route {
            assert_eq!(send(&mut sink, packet), Err(TransmitError::Unreachable));
        }
        sh("ip link set near down");
        let down = [tcp(CLIENT_V4, TARGET_V4, 80, 1, b""), tcp(CLIENT_V6, TARGET_V6, 80, 1, b"")];
        for packet in &down {
            assert_eq!(send(&mut sink, packet), Err(TransmitError::Unreachable));
        }
    });
}

#[test]
fn what_the_system_prohibits_is_refused() {
    namespace::run("transmit::what_the_system_prohibits_is_refused", || {
        veth::lay();
        sh("ip route add prohibit 10.8.0.0/16");
        let mut sink = RawIpSink::open().unwrap();
        assert_eq!(send(&mut sink, &tcp(CLIENT_V4, "10.8.0.1", 80, 1, b"")), Err(TransmitError::Refused));
    });
}

#[test]
fn what_a_full_queue_drops_is_reported() {
    namespace::run("transmit::what_a_full_queue_drops_is_reported", || {
        veth::lay();
        sh("tc qdisc add dev near root tbf rate 80kbit burst 3000 limit 6000");
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        let results: Vec<_> = (0..50)
            .flat_map(|number| {
                [(CLIENT_V4, TARGET_V4), (CLIENT_V6, TARGET_V6)]
                    .map(|(from, to)| send(&mut sink, &tcp(from, to, 80, number, &[0; 1000])))
            })
            .collect();
        assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(TransmitError::Congested))));
        let sent = results.iter().filter(|result| result.is_ok()).count();
        assert!((2..20).contains(&sent), "{sent}");
        assert_eq!(read(&mut capture, 100).len(), sent, "what was not reported as lost arrives");
    });
}

#[test]
fn bytes_that_are_no_packet_are_malformed() {
    namespace::run("transmit::bytes_that_are_no_packet_are_malformed", || {
        let mut sink = RawIpSink::open().unwrap();
        let packet = tcp(CLIENT_V4, TARGET_V4, 80, 1, b"");
        for bytes in [&[][..], &packet[..19], &[0x60; 39], &[0x15; 40]] {
            assert_eq!(send(&mut sink, bytes), Err(TransmitError::Malformed), "{bytes:02x?}");
        }
    });
}

#[test]
fn the_sink_keeps_nothing_it_receives() {
    namespace::run("transmit::the_sink_keeps_nothing_it_receives", || {
        sh("ip link set lo up");
        let mut sink = RawIpSink::open().unwrap();
        for number in 0..100 {
            // Protocol 255 is the only one such a socket would be given; TCP must not come either.
            let mut packet = tcp("127.0.0.1", "127.0.0.1", 80, number, b"");
            send(&mut sink, &packet).unwrap();
            packet[9] = 255;
            send(&mut sink, &packet).unwrap();
            let mut packet = tcp("::1", "::1", 80, number, b"");
            packet[6] = 255;
            send(&mut sink, &packet).unwrap();
        }
        for table in ["/proc/self/net/raw", "/proc/self/net/raw6"] {
            let table = fs::read_to_string(table).unwrap();
            let socket = table.lines().nth(1).expect("our socket");
            let queues = socket.split_whitespace().nth(4).unwrap();
            assert!(queues.ends_with(":00000000"), "tx_queue:rx_queue is {queues}");
        }
    });
}

#[test]
fn nothing_gets_past_the_guard_to_the_wire() {
    namespace::run("transmit::nothing_gets_past_the_guard_to_the_wire", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp")).unwrap();
        let targets = [TARGET_V4, TARGET_V6].map(|target| Endpoint::new(target.parse().unwrap(), 80));
        let mut guarded = TargetGuard::new(RawIpSink::open().unwrap(), targets);
        let allowed = [tcp(CLIENT_V4, TARGET_V4, 80, 1, b"yes"), tcp(CLIENT_V6, TARGET_V6, 80, 2, b"yes")];
        let forbidden = [tcp(CLIENT_V4, TARGET_V4, 81, 3, b"no"), tcp(CLIENT_V6, "fd00:9::3", 80, 4, b"no")];
        for packet in forbidden.iter().chain(&allowed).chain(&forbidden) {
            let answer = send(&mut guarded, packet);
            let expected = if allowed.contains(packet) { Ok(()) } else { Err(TransmitError::NotATarget) };
            assert_eq!(answer, expected);
        }
        assert_eq!(guarded.refused(), 4);
        let seen = read(&mut capture, 3);
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().zip(&allowed).all(|(frame, packet)| frame.ends_with(packet)));
    });
}

#[test]
fn one_packet_that_cannot_be_sent_keeps_back_no_other() {
    namespace::run("transmit::one_packet_that_cannot_be_sent_keeps_back_no_other", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        let mut sink = RawIpSink::open().unwrap();
        // More than one batch, with losses at the beginning, in the middle and at the end of some.
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for number in 0..500 {
            let is_bad = number % 64 == 0 || number % 64 == 63 || (200..210).contains(&number);
            let to = if is_bad { "192.0.2.1" } else { TARGET_V4 };
            let packet = tcp(CLIENT_V4, to, 80, number, b"queued");
            sink.send(&packet).unwrap();
            if is_bad { &mut bad } else { &mut good }.push(packet);
        }
        let mut lost = Vec::new();
        sink.flush(&mut |packet, error| {
            assert_eq!(error, TransmitError::Unreachable);
            lost.push(packet.to_vec());
        });
        assert_eq!(lost, bad);
        sink.flush(&mut |_, error| panic!("reported twice: {error}"));
        let captured: Vec<_> = read(&mut capture, 500).iter().map(|frame| frame[14..].to_vec()).collect();
        assert_eq!(captured, good);
    });
}

#[test]
fn long_and_short_packets_leave_in_the_order_given() {
    namespace::run("transmit::long_and_short_packets_leave_in_the_order_given", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        let payload = |number: u32| vec![3; [0, 1400, 1240, 1241, 1460][number as usize % 5]];
        let packets: Vec<_> = (0..300).map(|n| tcp(CLIENT_V4, TARGET_V4, 80, n, &payload(n))).collect();
        send_all(&mut RawIpSink::open().unwrap(), &packets);
        let captured: Vec<_> = read(&mut capture, 300).iter().map(|frame| frame[14..].to_vec()).collect();
        assert!(captured == packets);
    });
}

#[test]
fn every_loss_is_reported_however_many() {
    namespace::run("transmit::every_loss_is_reported_however_many", || {
        veth::lay();
        let mut sink = RawIpSink::open().unwrap();
        let total = 5000;
        let mut at_once = 0;
        for number in 0..total {
            match sink.send(&tcp(CLIENT_V4, "192.0.2.1", 80, number, b"")) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, TransmitError::Unreachable);
                    at_once += 1;
                }
            }
        }
        let mut later = 0;
        sink.flush(&mut |_, _| later += 1);
        assert_eq!(at_once + later, total);
        assert!((1000..1200).contains(&later), "{later} packets were kept");
    });
}
