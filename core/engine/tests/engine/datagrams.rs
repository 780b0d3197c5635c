//! UDP: captured datagrams in, packets with their copies out.

use tcpcopy_engine::{Datagrams, EngineOptions, Mapping, Mappings, Share, SourcePool, Uncopied};
use tcpcopy_wire::{CapturedDatagram, Datagram, Endpoint, Instant, emit_datagram, parse_datagram_ip};

use crate::script::{end, mapping, ms};

const ONLINE: &str = "10.0.1.2:53";
const TARGET: &str = "10.0.3.2:5353";
const USER: &str = "10.1.0.1:4000";

/// What reached the target: from where, and what.
type Received = (Endpoint, Vec<u8>);

struct Play {
    datagrams: Datagrams,
    now: Instant,
    /// The target's host: it puts fragments together as we do.
    host: Datagrams,
    packets: Vec<usize>,
}

impl Play {
    fn new(options: EngineOptions) -> Self {
        Self::mapped(options, mapping(ONLINE, TARGET))
    }

    fn mapped(options: EngineOptions, mapping: Mapping) -> Self {
        let host = Mapping { online: tcpcopy_engine::OnlineAddress { addr: None, port: 5353 }, ..mapping };
        // The host takes everything at the port as it is.
        let host = Mapping { target: Endpoint { port: 9, ..host.target }, ..host };
        Self {
            datagrams: Datagrams::new(options, Mappings::new(vec![mapping]), 1),
            now: Instant::from_micros(1_700_000_000_000_000),
            host: Datagrams::new(
                EngineOptions { mtu: u16::MAX, ..EngineOptions::default() },
                Mappings::new(vec![host]),
                1,
            ),
            packets: Vec::new(),
        }
    }

    /// A user says `payload`; what arrives of it.
    fn says(&mut self, user: &str, payload: &[u8]) -> Vec<Received> {
        self.says_to(user, ONLINE, payload)
    }

    fn says_to(&mut self, user: &str, online: &str, payload: &[u8]) -> Vec<Received> {
        let datagram = datagram(user, online, payload);
        self.captures(&CapturedDatagram::Whole(datagram))
    }

    fn captures(&mut self, captured: &CapturedDatagram<'_>) -> Vec<Received> {
        self.datagrams.handle_capture(self.now, self.now, captured);
        self.drain(|_| true)
    }

    /// Everything that is transmitted and that its path takes.
    fn drain(&mut self, takes: impl Fn(usize) -> bool) -> Vec<Received> {
        let mut packet = vec![0; 65_600];
        let mut received = Vec::new();
        while let Some(len) = self.datagrams.poll_transmit(&mut packet) {
            if !takes(len) {
                self.datagrams.handle_too_large();
                continue;
            }
            self.packets.push(len);
            let captured = parse_datagram_ip(&packet[..len], len).expect("what we transmit is UDP");
            self.host.handle_capture(self.now, self.now, &captured);
            let mut whole = vec![0; 65_600];
            if let Some(len) = self.host.poll_transmit(&mut whole) {
                let Ok(CapturedDatagram::Whole(datagram)) = parse_datagram_ip(&whole[..len], len) else {
                    panic!("a host hands over whole datagrams");
                };
                received.push((datagram.source, datagram.payload.to_vec()));
                assert_eq!(self.host.poll_transmit(&mut whole), None);
            }
        }
        received
    }

    fn uncopied(&self, reason: Uncopied) -> u64 {
        self.datagrams.statistics().uncopied[reason as usize]
    }

    #[track_caller]
    fn assert_sums(&self) {
        let statistics = self.datagrams.statistics();
        assert_eq!(statistics.captured, statistics.copied + statistics.uncopied.iter().sum::<u64>());
        let wanted = statistics.copied * u64::from(self.datagrams.copies());
        assert_eq!(wanted, statistics.copies + statistics.copies_without_source);
    }
}

fn datagram<'a>(user: &str, online: &str, payload: &'a [u8]) -> Datagram<'a> {
    let (source, destination) = (end(user), end(online));
    Datagram { source, destination, ttl: 61, tos: 0, payload, payload_len: payload.len() as u32 }
}

fn pool(first: &str, last: &str) -> Option<SourcePool> {
    let end = |text: &str| text.parse().expect("an address");
    Some(SourcePool::new(vec![(end(first), end(last))]))
}

#[test]
fn datagrams_of_every_size_arrive_as_they_were_in_order() {
    let mut play = Play::new(EngineOptions::default());
    for len in [0, 1, 8, 1_472, 1_473, 1_480, 2_000, 9_000, 60_000, 65_507] {
        let payload: Vec<u8> = (0..len).map(|index| (index + len) as u8).collect();
        assert_eq!(play.says(USER, &payload), [(end(USER), payload)], "{len} bytes");
    }
    assert!(play.packets.iter().all(|len| *len <= 1_500));
    let statistics = play.datagrams.statistics();
    assert_eq!((statistics.captured, statistics.copies, statistics.fragmented_copies), (10, 10, 6));
    play.assert_sums();
}

#[test]
fn every_copy_comes_from_an_end_of_its_own_and_always_the_same() {
    let mut play = Play::new(EngineOptions {
        copies: 3,
        sources: pool("10.20.0.1", "10.20.0.254"),
        ..EngineOptions::default()
    });
    let ends = |received: Vec<Received>| received.into_iter().map(|(from, _)| from).collect::<Vec<_>>();
    let first = ends(play.says(USER, &[7; 3_000]));
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|end| end.port == 4000 && end.addr.to_string().starts_with("10.20.0.")));
    assert_ne!(first[0], first[1]);
    play.now += ms(100_000);
    assert_eq!(ends(play.says(USER, b"again")), first);
    assert_ne!(ends(play.says("10.1.0.2:4000", b"another")), first);
    play.assert_sums();
}

#[test]
fn captured_fragments_are_copied_as_one_datagram() {
    let mut play = Play::new(EngineOptions::default());
    let payload: Vec<u8> = (0..5_000_u32).map(|index| index as u8).collect();
    let (mut received, mut next) = (Vec::new(), Some(0));
    while let Some(offset) = next {
        let mut packet = vec![0; 600];
        let whole = datagram(USER, ONLINE, &payload);
        let (len, then) = emit_datagram(&whole, 77, 600, offset, &mut packet).unwrap();
        received.extend(play.captures(&parse_datagram_ip(&packet[..len], len).unwrap()));
        next = then;
    }
    assert_eq!(received, [(end(USER), payload)]);
    let statistics = play.datagrams.statistics();
    assert_eq!((statistics.captured, statistics.fragments.captured, statistics.fragments.joined), (1, 9, 9));
}

#[test]
fn a_path_that_takes_less_gets_smaller_packets() {
    let mut play = Play::new(EngineOptions { copies: 2, ..EngineOptions::default() });
    let whole = datagram(USER, ONLINE, &[9; 1_400]);
    for _ in 0..2 {
        play.datagrams.handle_capture(play.now, play.now, &CapturedDatagram::Whole(whole));
        let received = play.drain(|len| len <= 1_300);
        assert_eq!(received.len(), 2);
        assert!(received.iter().all(|(_, payload)| payload == &[9; 1_400]));
    }
    assert!(play.packets.iter().all(|len| *len <= 1_300));
    assert_eq!(play.datagrams.statistics().copies, 4);
}

#[test]
fn a_path_that_takes_nothing_costs_the_copy_and_no_more() {
    let mut play = Play::new(EngineOptions { copies: 3, ..EngineOptions::default() });
    let whole = datagram(USER, ONLINE, &[9; 1_400]);
    play.datagrams.handle_capture(play.now, play.now, &CapturedDatagram::Whole(whole));
    assert_eq!(play.drain(|_| false), []);
    assert_eq!(play.says(USER, b"small").len(), 3);
}

#[test]
fn families_are_crossed_with_a_pool_and_refused_without() {
    let to_v6 = mapping(ONLINE, "[fd00::2]:5353");
    let options = EngineOptions { sources: pool("fd20::1", "fd20::1"), ..EngineOptions::default() };
    let mut play = Play::mapped(options, to_v6);
    assert_eq!(play.says(USER, &[1; 4_000]), [(end("[fd20::1]:4000"), vec![1; 4_000])]);
    let mut without = Play::mapped(EngineOptions::default(), to_v6);
    assert_eq!(without.says(USER, b"x"), []);
    assert_eq!(without.uncopied(Uncopied::NoSourceAddress), 1);
    without.assert_sums();
    let options = EngineOptions { sources: pool("10.20.0.1", "10.20.0.1"), ..EngineOptions::default() };
    let mut to_v4 = Play::mapped(options, mapping("[fd00::1]:53", TARGET));
    let longest = vec![2; 65_527];
    assert_eq!(to_v4.says_to("[fd01::1]:4000", "[fd00::1]:53", &longest[..65_507]).len(), 1);
    assert_eq!(to_v4.says_to("[fd01::1]:4000", "[fd00::1]:53", &longest), []);
    assert_eq!(to_v4.uncopied(Uncopied::TooLong), 1);
}

#[test]
fn a_local_user_speaks_from_the_stand_in() {
    let loopback_source = Some("10.0.0.9".parse().expect("an address"));
    let mut play = Play::new(EngineOptions { loopback_source, ..EngineOptions::default() });
    assert_eq!(play.says("127.0.0.1:4000", b"x")[0].0, end("10.0.0.9:4000"));
    let mut without = Play::new(EngineOptions::default());
    assert_eq!(without.says("127.0.0.1:4000", b"x"), []);
    assert_eq!(without.uncopied(Uncopied::NoSourceAddress), 1);
}

#[test]
fn what_is_not_copied_has_a_reason() {
    let mut play = Play::new(EngineOptions {
        share: Share::new(0, 2).unwrap(),
        copies: 4,
        sources: pool("10.20.0.1", "10.20.0.1"),
        // Five ports.
        ports: Share::new(0, 12_902).unwrap(),
        ..EngineOptions::default()
    });
    let cut = Datagram { payload_len: 9, ..datagram(USER, ONLINE, b"cut") };
    assert_eq!(play.captures(&CapturedDatagram::Whole(cut)), []);
    assert_eq!(play.says_to(USER, "10.0.1.2:54", b"elsewhere"), []);
    let copies: usize =
        (4_000..4_040).map(|port| play.says(&format!("10.1.0.1:{port}"), b"hello").len()).sum();
    let statistics = play.datagrams.statistics();
    assert_eq!((play.uncopied(Uncopied::Truncated), play.uncopied(Uncopied::NotMapped)), (1, 1));
    let not_sampled = play.uncopied(Uncopied::NotSampled);
    assert!((5..35).contains(&not_sampled), "{not_sampled}");
    assert_eq!((copies, statistics.copied, statistics.copies_without_source), (5, 2, 3));
    assert_eq!(play.uncopied(Uncopied::SourcesExhausted), 40 - 2 - not_sampled);
    play.assert_sums();
}
