//! What [`EthernetSink`] puts on the wire, whom it sends to, and what it answers.

use std::process::{Child, Command};
use std::time::Duration;

use tcpcopy_net::{
    CaptureDirection, CaptureOptions, EthernetOptions, EthernetSink, EthernetTarget, LiveCapture, MacAddress,
    Sink, TransmitError,
};
use tcpcopy_wire::Instant;

use crate::namespace::{self, sh, try_sh};
use crate::packet::tcp;
use crate::veth::{
    self, CLIENT_V4, CLIENT_V6, ETHERNET_HEADER, TARGET_V4, TARGET_V6, options, read, send, send_all,
};

const OTHER: &str = "02:00:00:00:00:09";

fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

fn targets(next_hop: Option<MacAddress>) -> EthernetOptions {
    let target = |text: &str| EthernetTarget { addr: text.parse().unwrap(), source: None, next_hop };
    EthernetOptions { device: "near".to_owned(), targets: [TARGET_V6, TARGET_V4].map(target).to_vec() }
}

fn packets() -> [Vec<u8>; 2] {
    [tcp(CLIENT_V4, TARGET_V4, 80, 1, b"four"), tcp(CLIENT_V6, TARGET_V6, 80, 2, b"six")]
}

/// The address of a device, as the kernel writes it.
fn mac_of(device: &str) -> String {
    let shown = sh(&format!("ip -o link show {device}"));
    let (_, mac) = shown.split_once("link/ether ").unwrap();
    mac.split(' ').next().unwrap().to_owned()
}

/// Whom an Ethernet frame is for, who it is from, and its protocol.
fn head(frame: &[u8]) -> (String, String, [u8; 2]) {
    let mac = |bytes: &[u8]| MacAddress::new(bytes.try_into().unwrap()).unwrap().to_string();
    (mac(&frame[..6]), mac(&frame[6..12]), [frame[12], frame[13]])
}

/// A second later.
fn later(sink: &mut EthernetSink, seconds: u64) {
    sink.handle_time(Instant::ZERO + Duration::from_secs(1 + seconds));
}

#[test]
fn frames_bear_the_addresses_that_were_given() {
    namespace::run("ethernet::frames_bear_the_addresses_that_were_given", || {
        veth::lay();
        // Neither is needed then.
        sh("ip route flush dev near");
        sh("ip neigh flush dev near nud permanent");
        let mut capture = LiveCapture::open(&options("far", "tcp")).unwrap();
        let source = Some(mac("02:00:00:00:00:05"));
        let mut given = targets(Some(mac(OTHER)));
        given.targets.iter_mut().for_each(|target| target.source = source);
        let mut sink = EthernetSink::open(&given).unwrap();
        send_all(&mut sink, &packets());
        let frames = read(&mut capture, 2);
        for ((frame, packet), protocol) in frames.iter().zip(packets()).zip([[8, 0], [0x86, 0xdd]]) {
            assert_eq!(frame[ETHERNET_HEADER..], packet);
            assert_eq!(head(frame), (OTHER.to_owned(), "02:00:00:00:00:05".to_owned(), protocol));
        }
        assert_eq!(frames.len(), 2);
    });
}

#[test]
fn addresses_come_from_routes_and_neighbours_and_their_changes_are_noticed() {
    namespace::run(
        "ethernet::addresses_come_from_routes_and_neighbours_and_their_changes_are_noticed",
        || {
            veth::lay();
            let mut capture = LiveCapture::open(&options("far", "tcp")).unwrap();
            let mut sink = EthernetSink::open(&targets(None)).unwrap();
            let mut next_hops = |sink: &mut EthernetSink| -> Vec<String> {
                send_all(sink, &packets());
                let frames = read(&mut capture, 2);
                assert!(frames.iter().all(|frame| head(frame).1 == mac_of("near")));
                frames.iter().map(|frame| head(frame).0).collect()
            };
            let far = mac_of("far");
            assert_eq!(next_hops(&mut sink), [far.clone(), far.clone()]);
            // A gateway comes between.
            sh(&format!("ip neigh add 10.9.0.9 lladdr {OTHER} dev near nud permanent"));
            sh("ip route add 10.9.0.2/32 via 10.9.0.9 dev near");
            later(&mut sink, 0);
            assert_eq!(next_hops(&mut sink), [OTHER.to_owned(), far]);
            // The target is given another card.
            sh(&format!("ip neigh replace {TARGET_V6} lladdr {OTHER} dev near nud permanent"));
            later(&mut sink, 1);
            assert_eq!(next_hops(&mut sink), [OTHER, OTHER]);
            // What an administrator has set stays as it was set.
            assert_eq!(sh("ip neigh show dev near nud permanent").lines().count(), 3);
        },
    );
}

/// Another host at the far end of the cable: a network namespace of its own, for as long as this lives.
struct FarHost(Child);

impl FarHost {
    fn with_the_targets() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
        let host = Self(child);
        // The namespace is there once `unshare` has made it: until then it is this one, where the device is already.
        while !try_sh(&format!("test ! /proc/{}/ns/net -ef /proc/self/ns/net", host.0.id())) {
            std::thread::yield_now();
        }
        sh(&format!("ip link set far netns {}", host.0.id()));
        for command in [
            &format!("ip addr add {TARGET_V4}/24 dev far"),
            &format!("ip -6 addr add {TARGET_V6}/64 dev far nodad"),
            "ip link set far up",
        ] {
            host.sh(command);
        }
        sh("ip neigh flush dev near nud permanent");
        // Until then this side asks nobody (RFC 4862 §5.4).
        while sh("ip -6 addr show dev near tentative").contains("inet6") {
            std::thread::sleep(Duration::from_millis(10));
        }
        host
    }

    /// TCP segments that came to its address so far. (What goes past the queueing discipline, no capture on this side shows.)
    fn segments(&self) -> u64 {
        let counters = std::fs::read_to_string(format!("/proc/{}/net/snmp", self.0.id())).unwrap();
        let mut lines = counters.lines().filter(|line| line.starts_with("Tcp:"));
        let at = lines.next().unwrap().split(' ').position(|name| name == "InSegs").unwrap();
        lines.next().unwrap().split(' ').nth(at).unwrap().parse().unwrap()
    }

    fn sh(&self, command: &str) -> String {
        sh(&format!("nsenter --net=/proc/{}/ns/net {command}", self.0.id()))
    }
}

impl Drop for FarHost {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_neighbour_is_asked_by_the_kernel_and_nobody_is_sent_anything() {
    namespace::run("ethernet::a_neighbour_is_asked_by_the_kernel_and_nobody_is_sent_anything", || {
        veth::lay();
        let host = FarHost::with_the_targets();
        let direction = CaptureDirection::Both;
        let mut capture = LiveCapture::open(&CaptureOptions { direction, ..options("near", "") }).unwrap();
        let mut sink = EthernetSink::open(&targets(None)).unwrap();
        let questions = read(&mut capture, 100);
        assert!(questions.len() >= 4, "a question and an answer for each family");
        for frame in questions {
            let is_arp = frame[12..14] == [0x08, 0x06];
            let is_icmpv6 = frame[12..14] == [0x86, 0xdd] && [0, 58].contains(&frame[20]);
            assert!(is_arp || is_icmpv6, "{frame:02x?}");
        }
        let before = host.segments();
        send_all(&mut sink, &packets());
        while host.segments() < before + 2 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_next_hop_that_is_away_is_unreachable_until_it_is_back() {
    namespace::run("ethernet::a_next_hop_that_is_away_is_unreachable_until_it_is_back", || {
        veth::lay();
        let host = FarHost::with_the_targets();
        host.sh("ip addr flush dev far");
        let mut sink = EthernetSink::open(&targets(None)).unwrap();
        for packet in packets() {
            assert_eq!(send(&mut sink, &packet), Err(TransmitError::Unreachable));
        }
        host.sh(&format!("ip addr add {TARGET_V4}/24 dev far"));
        let is_back = |sink: &mut EthernetSink| {
            (0..10).any(|second| {
                later(sink, second);
                std::thread::sleep(Duration::from_millis(500));
                send(sink, &packets()[0]).is_ok()
            })
        };
        assert!(is_back(&mut sink));
    });
}

#[test]
fn no_frame_goes_to_a_group() {
    namespace::run("ethernet::no_frame_goes_to_a_group", || {
        veth::lay();
        for group in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
            sh(&format!("ip neigh replace {TARGET_V4} lladdr {group} dev near nud permanent"));
            let mut capture = LiveCapture::open(&options("far", "tcp")).unwrap();
            let mut sink = EthernetSink::open(&targets(None)).unwrap();
            assert_eq!(send(&mut sink, &packets()[0]), Err(TransmitError::Unreachable));
            assert_eq!(send(&mut sink, &packets()[1]), Ok(()));
            assert_eq!(read(&mut capture, 2).len(), 1, "{group}");
        }
    });
}

#[test]
fn what_is_too_long_for_device_or_route_costs_only_itself() {
    namespace::run("ethernet::what_is_too_long_for_device_or_route_costs_only_itself", || {
        veth::lay();
        sh("ip route add 10.9.0.2/32 dev near mtu lock 1000");
        let mut capture = LiveCapture::open(&options("far", "tcp")).unwrap();
        let mut sink = EthernetSink::open(&targets(None)).unwrap();
        for (from, to, fits) in [(CLIENT_V4, TARGET_V4, 960), (CLIENT_V6, TARGET_V6, 1440)] {
            let too_long = tcp(from, to, 80, 1, &vec![0; fits + 1]);
            assert_eq!(sink.send(&too_long), Err(TransmitError::MessageTooLong), "{to}");
            send_all(&mut sink, &[tcp(from, to, 80, 2, &vec![0; fits])]);
        }
        assert_eq!(read(&mut capture, 3).len(), 2);
    });
}

#[test]
fn a_device_that_is_down_or_gone_costs_packets_and_nothing_else() {
    namespace::run("ethernet::a_device_that_is_down_or_gone_costs_packets_and_nothing_else", || {
        veth::lay();
        let mut sink = EthernetSink::open(&targets(Some(mac(OTHER)))).unwrap();
        sh("ip link set near down");
        let unreachable = |sink: &mut EthernetSink| {
            packets().iter().all(|packet| send(sink, packet) == Err(TransmitError::Unreachable))
        };
        assert!(unreachable(&mut sink));
        later(&mut sink, 0);
        assert!(unreachable(&mut sink));
        sh("ip link set near up");
        assert_eq!(send(&mut sink, &packets()[0]), Ok(()));
        sh("ip link del near");
        assert!(unreachable(&mut sink));
        later(&mut sink, 1);
        assert!(unreachable(&mut sink));
        // It comes back under another number.
        veth::lay();
        later(&mut sink, 2);
        assert_eq!(send(&mut sink, &packets()[0]), Ok(()));
    });
}

#[test]
fn long_and_short_packets_leave_in_the_order_given() {
    namespace::run("ethernet::long_and_short_packets_leave_in_the_order_given", || {
        veth::lay();
        let mut capture = LiveCapture::open(&options("far", "tcp dst port 80")).unwrap();
        let payload = |number: u32| vec![3; [0, 1400, 1240, 1241, 1440][number as usize % 5]];
        let ends = [(CLIENT_V4, TARGET_V4), (CLIENT_V6, TARGET_V6)];
        let packet = |n: u32| tcp(ends[n as usize % 2].0, ends[n as usize % 2].1, 80, n, &payload(n));
        let packets: Vec<_> = (0..300).map(packet).collect();
        send_all(&mut EthernetSink::open(&targets(None)).unwrap(), &packets);
        let captured = read(&mut capture, 300);
        let captured: Vec<_> = captured.iter().map(|frame| frame[ETHERNET_HEADER..].to_vec()).collect();
        assert!(captured == packets);
    });
}

#[test]
fn a_vlan_device_tags_what_is_sent_on_it() {
    namespace::run("ethernet::a_vlan_device_tags_what_is_sent_on_it", || {
        veth::lay();
        if !try_sh("ip link add link near name near.9 type vlan id 9") {
            return eprintln!("SKIPPED: this kernel has no VLAN devices");
        }
        sh("ip link set near.9 up");
        let mut capture = LiveCapture::open(&options("far", "vlan 9")).unwrap();
        let device = "near.9".to_owned();
        let mut sink = EthernetSink::open(&EthernetOptions { device, ..targets(Some(mac(OTHER))) }).unwrap();
        send_all(&mut sink, &packets());
        let frames = read(&mut capture, 2);
        assert!(
            frames.len() == 2 && frames.iter().zip(packets()).all(|(frame, packet)| frame.ends_with(&packet))
        );
    });
}

#[test]
fn what_cannot_be_sent_on_is_told() {
    namespace::run("ethernet::what_cannot_be_sent_on_is_told", || {
        veth::lay();
        sh("ip link add idle type veth peer name idle2");
        let refused = |device: &str, options: &EthernetOptions| {
            let options = EthernetOptions { device: device.to_owned(), ..options.clone() };
            EthernetSink::open(&options).err().unwrap().to_string()
        };
        let given = targets(Some(mac(OTHER)));
        let unknown = refused("eth99", &given);
        assert!(
            unknown.contains("there is no such device; there are lo,") && unknown.contains("near"),
            "{unknown}"
        );
        assert!(refused("a-name-that-no-device-can-have", &given).contains("no such device"));
        assert!(refused("lo", &given).contains("it is no Ethernet device"));
        assert!(refused("idle", &given).contains("it is down"));
        sh("ip route add unreachable 10.9.0.2/32");
        let no_way = refused("near", &targets(None));
        assert!(no_way.contains(TARGET_V4) && no_way.contains("-o") && no_way.contains("-x"), "{no_way}");
        sh("ip -6 route del fd00:9::/64 dev near");
        let no_way = refused(
            "near",
            &EthernetOptions { targets: targets(None).targets[..1].to_vec(), ..targets(None) },
        );
        assert!(no_way.contains(TARGET_V6), "{no_way}");
    });
}

/// Lays a cable as [`veth::lay`] does, without neighbours, and goes on without CAP_NET_ADMIN.
const WITHOUT_NET_ADMIN: &str = "ip link add near type veth peer name far && ip addr add 10.9.0.1/24 dev near && \
    ip -6 addr add fd00:9::1/64 dev near nodad && ip link set near up && ip link set far up && \
    exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin \"$@\"";

#[test]
fn without_the_right_to_ask_the_sentence_says_so() {
    let wrapper = ["sh", "-c", WITHOUT_NET_ADMIN, "sh"];
    namespace::run_with("ethernet::without_the_right_to_ask_the_sentence_says_so", &wrapper, || {
        let given = EthernetSink::open(&targets(Some(mac(OTHER))));
        assert!(given.is_ok(), "addresses that are given need not be asked for");
        let error = EthernetSink::open(&targets(None)).err().unwrap().to_string();
        assert!(error.contains("CAP_NET_ADMIN") && error.contains(TARGET_V4), "{error}");
    });
}
