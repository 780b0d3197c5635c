//! The kernel filter for the mappings, as text in pcap's language (pcap-filter(7)).

use std::net::IpAddr;

use pcap::{Capture, Linktype};
use tcpcopy_wire::{Endpoint, LinkType};

/// The filter that lets through what users send to the online addresses (`None`: any address) and ports, and not
/// what goes to a target.
///
/// A target is excluded only where an entry without an address would catch it, which is when the ports are the
/// same. IPv6 packets with extension headers pass unseen into the TCP header (pcap's `tcp` looks no further than
/// the first header): the parser decides about those.
///
/// Empty when there are no entries: nothing would be wanted, and nobody should capture.
#[must_use]
pub fn capture_filter(online: &[(Option<IpAddr>, u16)], targets: &[Endpoint]) -> String {
    end_filter("tcp", "dst", online, targets)
}

/// The same for UDP. Of a packet in fragments only the first names a port: others pass for what they may be.
#[must_use]
pub fn datagram_filter(online: &[(Option<IpAddr>, u16)], targets: &[Endpoint]) -> String {
    let datagrams = end_filter("udp", "dst", online, targets);
    let mut hosts: Vec<String> = Vec::new();
    for (address, _) in online {
        match address {
            Some(IpAddr::V4(address)) => push_new(&mut hosts, format!("dst host {address}")),
            Some(IpAddr::V6(_)) => {}
            None => {
                let ours: Vec<String> =
                    targets.iter().map(|target| format!("not dst host {}", target.addr)).collect();
                push_new(&mut hosts, format!("({})", [vec!["ip".to_owned()], ours].concat().join(" and ")));
            }
        }
    }
    if hosts.is_empty() {
        return datagrams;
    }
    format!("({datagrams} or (ip proto 17 and ip[6:2] & 0x1fff != 0 and ({})))", hosts.join(" or "))
}

/// The filter that lets through what the online servers answer: what [`capture_filter`] lets through, in the other
/// direction.
#[must_use]
pub fn answer_filter(online: &[(Option<IpAddr>, u16)], targets: &[Endpoint]) -> String {
    end_filter("tcp", "src", online, targets)
}

/// Packets of `protocol` with one of `online` at the end that `end` names, `src` or `dst`.
fn end_filter(protocol: &str, end: &str, online: &[(Option<IpAddr>, u16)], targets: &[Endpoint]) -> String {
    let mut wanted: Vec<String> = Vec::new();
    let mut extended: Vec<String> = Vec::new();
    for (address, port) in online {
        push_new(&mut wanted, one_entry(end, *address, *port, targets));
        match address {
            Some(IpAddr::V6(address)) => push_new(&mut extended, format!("{end} host {address}")),
            Some(IpAddr::V4(_)) => {}
            None => push_new(&mut extended, "ip6".to_owned()),
        }
    }
    if wanted.is_empty() {
        return String::new();
    }
    let plain = format!("({protocol} and ({}))", wanted.join(" or "));
    if extended.is_empty() {
        return plain;
    }
    // Next header 0, 43, 44 and 60: hop-by-hop, routing, fragment and destination options (RFC 8200 §4). Behind them
    // ICMPv6 (58) is common, from multicast listeners, and never wanted.
    format!(
        "({plain} or (ip6 and ({}) and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 60) and ip6[40] != 58))",
        extended.join(" or ")
    )
}

fn one_entry(end: &str, address: Option<IpAddr>, port: u16, targets: &[Endpoint]) -> String {
    let Some(address) = address else {
        let same_port = targets.iter().filter(|target| target.port == port);
        let exclusions: String =
            same_port.map(|target| format!(" and not {end} host {}", target.addr)).collect();
        return format!("({end} port {port}{exclusions})");
    };
    format!("({end} port {port} and {end} host {address})")
}

fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// `filter`, and the same inside one and inside two VLAN tags (802.1Q, 802.1ad), where `link` has those.
///
/// `vlan` moves the offsets of all that follows it, so it comes last. On Linux it also looks at the tag that the
/// kernel took out of the frame.
pub(crate) fn also_inside_vlan_tags(filter: &str, link: LinkType) -> String {
    match link {
        LinkType::Ethernet if !filter.trim().is_empty() => {
            format!("({filter}) or (vlan and (({filter}) or (vlan and ({filter}))))")
        }
        _ => filter.to_owned(),
    }
}

/// Whether `filter`, in pcap's language, lets an IP packet through on an Ethernet device, as it is or inside a VLAN tag; `None`
/// when it is no filter.
#[must_use]
pub fn lets_through(filter: &str, packet: &[u8]) -> Option<bool> {
    const ETHER_TYPES: [[u8; 2]; 2] = [[0x08, 0x00], [0x86, 0xdd]];
    let ether_type = ETHER_TYPES[usize::from(packet.first()? >> 4 == 6)];
    let program = Capture::dead(Linktype::ETHERNET).ok()?.compile(filter, true).ok()?;
    let tags: [&[u8]; 2] = [&[], &[0x81, 0x00, 0, 1]];
    Some(tags.iter().any(|tag| program.filter(&[&[0; 12][..], tag, &ether_type[..], packet].concat())))
}

#[cfg(test)]
mod tests {
    use pcap::BpfProgram;

    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn target(text: &str, port: u16) -> Endpoint {
        Endpoint::new(addr(text), port)
    }

    fn compile(filter: &str, link: Linktype) -> BpfProgram {
        let text = also_inside_vlan_tags(filter, LinkType::from_number(link.0 as u32).unwrap());
        Capture::dead(link).unwrap().compile(&text, true).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// A TCP packet from port 4000 without options.
    fn tcp(to: &str, port: u16) -> Vec<u8> {
        let mut packet = match addr(to) {
            IpAddr::V4(to) => {
                let mut header = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 7];
                header.extend(to.octets());
                header
            }
            IpAddr::V6(to) => {
                let mut header = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
                header.extend([0x20; 16]);
                header.extend(to.octets());
                header
            }
        };
        packet.extend(4000_u16.to_be_bytes());
        packet.extend(port.to_be_bytes());
        packet.extend([0; 16]);
        packet
    }

    fn ethernet(tags: &[u8], packet: &[u8]) -> Vec<u8> {
        let ether_type = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        [&[2; 12], tags, &ether_type, packet].concat()
    }

    fn passes(filter: &str, to: &str, port: u16) -> bool {
        compile(filter, Linktype::ETHERNET).filter(&ethernet(&[], &tcp(to, port)))
    }

    #[test]
    fn a_packet_is_held_against_any_filter() {
        let packet = tcp("10.0.0.1", 80);
        assert_eq!(lets_through("tcp and dst port 80", &packet), Some(true));
        assert_eq!(lets_through("tcp and src port 80", &packet), Some(false));
        assert_eq!(lets_through("", &packet), Some(true));
        assert_eq!(lets_through("vlan and tcp and dst port 80", &packet), Some(true));
        assert_eq!(lets_through("tcp nad", &packet), None);
        assert_eq!(lets_through("ip6 and dst port 80", &tcp("fd00::1", 80)), Some(true));
    }

    #[test]
    fn only_what_goes_to_an_online_address_and_port_passes() {
        let filter = capture_filter(&[(Some(addr("10.0.0.1")), 80), (Some(addr("fd00::1")), 81)], &[]);
        assert!(passes(&filter, "10.0.0.1", 80));
        assert!(passes(&filter, "fd00::1", 81));
        for (to, port) in [("10.0.0.1", 81), ("10.0.0.2", 80), ("fd00::1", 80), ("fd00::2", 81)] {
            assert!(!passes(&filter, to, port), "{to} {port}");
        }
    }

    #[test]
    fn a_port_without_an_address_passes_for_every_address() {
        let filter = capture_filter(&[(None, 80)], &[target("10.10.3.2", 8080)]);
        assert!(passes(&filter, "10.0.0.1", 80) && passes(&filter, "fd00::1", 80));
        assert!(!passes(&filter, "10.0.0.1", 8080));
        assert!(!filter.contains("10.10.3.2"), "a target on another port needs no exclusion: {filter}");
    }

    #[test]
    fn a_target_on_the_same_port_is_excluded_where_no_address_is_given() {
        let targets = [target("10.10.3.2", 80), target("fd00::3", 80)];
        let filter = capture_filter(&[(None, 80)], &targets);
        assert!(passes(&filter, "10.10.3.1", 80));
        assert!(!passes(&filter, "10.10.3.2", 80) && !passes(&filter, "fd00::3", 80));
    }

    #[test]
    fn a_target_that_is_also_named_online_passes() {
        let targets = [target("10.10.3.2", 80)];
        let filter = capture_filter(&[(None, 80), (Some(addr("10.10.3.2")), 80)], &targets);
        assert!(passes(&filter, "10.10.3.2", 80));
    }

    #[test]
    fn vlan_tags_do_not_hide_a_packet() {
        let filter = capture_filter(&[(Some(addr("10.0.0.1")), 80), (None, 81)], &[]);
        let program = compile(&filter, Linktype::ETHERNET);
        for tags in [&[0x81, 0x00, 0x00, 0x09][..], &[0x88, 0xa8, 0x00, 0x08, 0x81, 0x00, 0x00, 0x09]] {
            for (to, port) in [("10.0.0.1", 80), ("fd00::1", 81)] {
                assert!(program.filter(&ethernet(tags, &tcp(to, port))), "{to} {tags:x?}");
                assert!(!program.filter(&ethernet(tags, &tcp(to, 79))), "{to} {tags:x?}");
            }
        }
    }

    #[test]
    fn it_compiles_and_works_on_every_link_type() {
        let filter = capture_filter(&[(Some(addr("10.0.0.1")), 80), (None, 81)], &[target("fd00::2", 81)]);
        let packet = tcp("10.0.0.1", 80);
        let cooked = [&[0; 14][..], &[0x08, 0x00], &packet].concat();
        assert!(compile(&filter, Linktype::LINUX_SLL).filter(&cooked));
        let cooked2 = [&[0x08, 0x00][..], &[0; 18], &packet].concat();
        assert!(compile(&filter, Linktype(276)).filter(&cooked2));
        assert!(compile(&filter, Linktype(12)).filter(&packet));
        assert!(compile(&filter, Linktype::NULL).filter(&[&2_u32.to_ne_bytes()[..], &packet].concat()));
    }

    #[test]
    fn ipv6_extension_headers_do_not_hide_a_packet() {
        let filter = capture_filter(&[(Some(addr("fd00::1")), 80)], &[]);
        for (to, passes) in [("fd00::1", true), ("fd00::2", false)] {
            let mut packet = tcp(to, 80);
            packet.splice(40..40, [6, 0, 1, 4, 0, 0, 0, 0]);
            let program = compile(&filter, Linktype::ETHERNET);
            for header in [0, 43, 44, 60] {
                (packet[6], packet[40]) = (header, 6);
                assert_eq!(program.filter(&ethernet(&[], &packet)), passes, "{header} to {to}");
                packet[40] = 58;
                assert!(!program.filter(&ethernet(&[], &packet)), "ICMPv6 behind {header} to {to}");
            }
        }
    }

    #[test]
    fn udp_never_passes() {
        let filter = capture_filter(&[(None, 80)], &[]);
        let mut packet = tcp("10.0.0.1", 80);
        packet[9] = 17;
        assert!(!compile(&filter, Linktype::ETHERNET).filter(&ethernet(&[], &packet)));
    }

    fn udp(to: &str, port: u16) -> Vec<u8> {
        let mut packet = tcp(to, port);
        let at = if packet[0] >> 4 == 4 { 9 } else { 6 };
        packet[at] = 17;
        packet
    }

    #[test]
    fn datagrams_and_later_fragments_of_some_pass() {
        let online = [(Some(addr("10.0.0.1")), 53), (None, 54), (Some(addr("fd00::1")), 53)];
        let filter = datagram_filter(&online, &[target("10.10.3.2", 54), target("fd00::2", 54)]);
        let program = compile(&filter, Linktype::ETHERNET);
        let passes = |packet: &[u8]| program.filter(&ethernet(&[], packet));
        for (to, port) in [("10.0.0.1", 53), ("10.0.0.9", 54), ("fd00::1", 53), ("fd00::9", 54)] {
            assert!(passes(&udp(to, port)), "{to} {port}");
            assert!(!passes(&tcp(to, port)), "TCP to {to} {port}");
        }
        for (to, port) in [("10.0.0.2", 53), ("10.10.3.2", 54), ("fd00::2", 54)] {
            assert!(!passes(&udp(to, port)), "{to} {port}");
        }
        let later = |to: &str| {
            let mut packet = udp(to, 9);
            packet[7] = 100;
            packet
        };
        assert!(passes(&later("10.0.0.1")) && passes(&later("10.0.0.9")) && !passes(&later("10.10.3.2")));
        let mut later_v6 = udp("fd00::1", 9);
        later_v6[6] = 44;
        later_v6.splice(40..40, [17, 0, 1, 0, 0, 0, 0, 7]);
        assert!(passes(&later_v6));
    }

    #[test]
    fn only_fragments_to_a_named_host_pass() {
        let filter = datagram_filter(&[(Some(addr("10.0.0.1")), 53)], &[]);
        let program = compile(&filter, Linktype::ETHERNET);
        let mut later = udp("10.0.0.2", 9);
        later[7] = 100;
        assert!(!program.filter(&ethernet(&[], &later)));
        assert_eq!(datagram_filter(&[], &[]), "");
    }

    #[test]
    fn many_mappings_still_fit_into_the_kernel() {
        let online: Vec<_> = (1..=64).map(|n| (Some(addr(&format!("fd00::{n:x}"))), 8000 + n)).collect();
        let both =
            |online: &[_]| format!("({}) or ({})", capture_filter(online, &[]), answer_filter(online, &[]));
        for filter in [capture_filter(&online, &[]), both(&online[..40])] {
            let instructions = compile(&filter, Linktype::ETHERNET).get_instructions().len();
            // BPF_MAXINSNS of the kernel.
            assert!(instructions <= 4096, "{instructions}");
        }
    }

    #[test]
    fn without_mappings_there_is_no_filter() {
        assert_eq!(capture_filter(&[], &[target("10.0.0.1", 80)]), "");
    }

    #[test]
    fn answers_are_what_users_say_the_other_way_round() {
        let online = [(Some(addr("10.0.0.1")), 80), (None, 81)];
        let filter = answer_filter(&online, &[target("10.10.3.2", 81)]);
        let program = compile(&filter, Linktype::ETHERNET);
        let turned = |from: &str, port| ethernet(&[], &turned_round(tcp(from, port)));
        for (from, port, passes) in [
            ("10.0.0.1", 80, true),
            ("10.0.0.9", 81, true),
            ("fd00::1", 81, true),
            ("10.0.0.2", 80, false),
            ("10.10.3.2", 81, false),
        ] {
            assert_eq!(program.filter(&turned(from, port)), passes, "{from} {port}");
            assert!(!program.filter(&ethernet(&[], &tcp(from, port))), "what a user says to {from} {port}");
        }
    }

    /// Swaps the ends of an IP packet made by [`tcp`].
    fn turned_round(mut packet: Vec<u8>) -> Vec<u8> {
        let (source, length, ports) = if packet[0] >> 4 == 4 { (12, 4, 20) } else { (8, 16, 40) };
        for index in 0..length {
            packet.swap(source + index, source + length + index);
        }
        packet.swap(ports, ports + 2);
        packet.swap(ports + 1, ports + 3);
        packet
    }
}
