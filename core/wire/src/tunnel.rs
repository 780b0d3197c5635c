//! What mirrors wrap a packet into to send it over an IP network: VXLAN (RFC 7348), GENEVE (RFC 8926), GRE (RFC 2784,
//! RFC 2890) with IP or Ethernet in it, and ERSPAN types I, II and III over GRE (draft-foschiano-erspan-03).
//!
//! Which network, session or port the packet was mirrored from is not looked at: all of them are one capture. Not here:
//! VXLAN-GPE, GRE with source routes (RFC 1701) or of PPTP (version 1), IP in IP.

use crate::DropReason;
use crate::layer::Layer;
use crate::link::{self, LinkType};

/// So many tunnels may be around a packet: a mirror's, and one that was there before.
const DEEPEST: u8 = 2;

const VXLAN: [u8; 2] = 4789_u16.to_be_bytes();
const GENEVE: [u8; 2] = 6081_u16.to_be_bytes();

const ETHERNET_IN_GRE: u16 = 0x6558;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ERSPAN_I_OR_II: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;

/// What is in a tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carried<'a> {
    /// An Ethernet frame.
    Ethernet(Layer<'a>),
    /// An IP packet.
    Ip(Layer<'a>),
}

impl<'a> Carried<'a> {
    /// The IP packet in it, which has `depth` tunnels around the present one.
    pub(crate) fn network_layer(self, depth: u8) -> Result<Layer<'a>, DropReason> {
        match self {
            _ if depth >= DEEPEST => Err(DropReason::NestedTooDeep),
            Self::Ethernet(frame) => link::network_layer(LinkType::Ethernet, frame),
            Self::Ip(packet) => Ok(packet),
        }
    }

    /// What a tunnel says is of this EtherType.
    fn of_type(ether_type: u16, rest: Layer<'a>) -> Result<Self, DropReason> {
        match ether_type {
            ETHERNET_IN_GRE => Ok(Self::Ethernet(rest)),
            IPV4 | IPV6 => Ok(Self::Ip(rest)),
            _ => Err(DropReason::NotIp),
        }
    }
}

/// What the UDP datagram carries, by its destination port.
pub(crate) fn carried_by_udp(datagram: Layer<'_>) -> Result<Carried<'_>, DropReason> {
    let (header, rest) = datagram.split::<8>().ok_or(DropReason::TruncatedHeader)?;
    match [header[2], header[3]] {
        VXLAN => past_vxlan(rest),
        GENEVE => past_geneve(rest),
        _ => Err(DropReason::NotTcp),
    }
}

/// RFC 7348 §5: the flag I, then the network's number.
fn past_vxlan(packet: Layer<'_>) -> Result<Carried<'_>, DropReason> {
    let (header, frame) = packet.split::<8>().ok_or(DropReason::TruncatedHeader)?;
    if header[0] & 0x08 == 0 {
        return Err(DropReason::NotTcp);
    }
    Ok(Carried::Ethernet(frame))
}

/// RFC 8926 §3.4: version and length of the options, flags (O: control, not data), EtherType, network; options.
fn past_geneve(packet: Layer<'_>) -> Result<Carried<'_>, DropReason> {
    let (header, rest) = packet.split::<8>().ok_or(DropReason::TruncatedHeader)?;
    if header[0] >> 6 != 0 || header[1] & 0x80 != 0 {
        return Err(DropReason::NotTcp);
    }
    let options_len = usize::from(header[0] & 0x3f) * 4;
    let rest = rest.skip(options_len).ok_or(DropReason::TruncatedHeader)?;
    Carried::of_type(u16::from_be_bytes([header[2], header[3]]), rest)
}

/// What the GRE packet carries: RFC 2784 §2.1 with the key and sequence number of RFC 2890 §2.
pub(crate) fn carried_by_gre(packet: Layer<'_>) -> Result<Carried<'_>, DropReason> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    let (header, rest) = packet.split::<4>().ok_or(DropReason::TruncatedHeader)?;
    let flags = header[0];
    if flags & ROUTING != 0 || header[1] & 0x07 != 0 {
        return Err(DropReason::NotTcp);
    }
    let present = [CHECKSUM, KEY, SEQUENCE].iter().filter(|flag| flags & **flag != 0).count();
    let rest = rest.skip(present * 4).ok_or(DropReason::TruncatedHeader)?;
    match u16::from_be_bytes([header[2], header[3]]) {
        // Type I has no header of its own; what tells it from type II is the missing sequence number.
        ERSPAN_I_OR_II if flags & SEQUENCE == 0 => Ok(Carried::Ethernet(rest)),
        ERSPAN_I_OR_II => {
            let (_, frame) = rest.split::<8>().ok_or(DropReason::TruncatedHeader)?;
            Ok(Carried::Ethernet(frame))
        }
        ERSPAN_III => past_erspan_iii(rest),
        other => Carried::of_type(other, rest),
    }
}

/// Twelve bytes, of which the last two are P, the frame's type (5 bits), hardware, direction, granularity and O: eight
/// more bytes follow, of the platform that mirrored.
fn past_erspan_iii(packet: Layer<'_>) -> Result<Carried<'_>, DropReason> {
    let (header, mut rest) = packet.split::<12>().ok_or(DropReason::TruncatedHeader)?;
    if header[11] & 0x01 != 0 {
        rest = rest.skip(8).ok_or(DropReason::TruncatedHeader)?;
    }
    match header[10] >> 2 & 0x1f {
        0 => Ok(Carried::Ethernet(rest)),
        2 => Ok(Carried::Ip(rest)),
        _ => Err(DropReason::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use crate::{DropReason, LinkType, Segment, parse_frame};

    /// A TCP segment of three bytes from port 4000 to port 80, in IPv4.
    fn tcp() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 43, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 7, 10, 0, 0, 1];
        packet.extend([0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
        packet.extend(b"GET");
        packet
    }

    fn ethernet(packet: &[u8]) -> Vec<u8> {
        let ether_type = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
        [&[2; 12][..], &ether_type, packet].concat()
    }

    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = (20 + payload.len() as u16).to_be_bytes();
        let header = [0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, protocol, 0, 0, 172, 16, 0, 1, 172, 16, 0, 2];
        [&header[..], payload].concat()
    }

    fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u16).to_be_bytes();
        let header = [0x60, 0, 0, 0, len[0], len[1], protocol, 64];
        [&header[..], &[0xfd; 32], payload].concat()
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let len = (8 + payload.len() as u16).to_be_bytes();
        let port = port.to_be_bytes();
        [&[0xc0, 0x00, port[0], port[1], len[0], len[1], 0, 0][..], payload].concat()
    }

    fn vxlan(frame: &[u8]) -> Vec<u8> {
        udp(4789, &[&[0x08, 0, 0, 0, 0, 0, 7, 0][..], frame].concat())
    }

    fn geneve(ether_type: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let ether_type = ether_type.to_be_bytes();
        let header = [options.len() as u8 / 4, 0, ether_type[0], ether_type[1], 0, 0, 7, 0];
        udp(6081, &[&header[..], options, payload].concat())
    }

    /// GRE with these flags, whose fields are zero.
    fn gre(flags: u8, ether_type: u16, payload: &[u8]) -> Vec<u8> {
        let fields = vec![0; 4 * (flags & 0xb0).count_ones() as usize];
        let ether_type = ether_type.to_be_bytes();
        [&[flags, 0, ether_type[0], ether_type[1]][..], &fields, payload].concat()
    }

    fn parse(packet: &[u8]) -> Result<Vec<u8>, DropReason> {
        let frame = ethernet(packet);
        parse_frame(LinkType::Ethernet, &frame, frame.len()).map(|segment| {
            let Segment { source, destination, payload, .. } = segment;
            assert_eq!((source.port, destination.port), (4000, 80));
            assert_eq!(destination.addr.to_string(), "10.0.0.1");
            payload.to_vec()
        })
    }

    #[track_caller]
    fn is_found(packet: &[u8]) {
        assert_eq!(parse(packet), Ok(b"GET".to_vec()));
    }

    #[test]
    fn vxlan_carries_a_frame_over_either_ip() {
        is_found(&ipv4(17, &vxlan(&ethernet(&tcp()))));
        is_found(&ipv6(17, &vxlan(&ethernet(&tcp()))));
        let mut tagged = ethernet(&tcp());
        tagged.splice(12..12, [0x81, 0x00, 0, 7]);
        is_found(&ipv4(17, &vxlan(&tagged)));
    }

    #[test]
    fn geneve_carries_frames_and_packets_behind_its_options() {
        is_found(&ipv4(17, &geneve(0x6558, &[], &ethernet(&tcp()))));
        is_found(&ipv4(17, &geneve(0x0800, &[0xaa; 24], &tcp())));
        is_found(&ipv6(17, &geneve(0x6558, &[0xaa; 252], &ethernet(&tcp()))));
    }

    #[test]
    fn gre_carries_frames_and_packets_behind_its_optional_fields() {
        for flags in [0x00, 0x80, 0x20, 0x10, 0xa0, 0xb0] {
            is_found(&ipv4(47, &gre(flags, 0x0800, &tcp())));
            is_found(&ipv6(47, &gre(flags, 0x6558, &ethernet(&tcp()))));
        }
    }

    #[test]
    fn erspan_of_every_type_carries_a_frame() {
        let frame = ethernet(&tcp());
        is_found(&ipv4(47, &gre(0x00, 0x88be, &frame)));
        is_found(&ipv4(47, &gre(0x10, 0x88be, &[&[0x10, 7, 0, 1, 0, 0, 0, 0][..], &frame].concat())));
        let third = |last: [u8; 2]| [&[0x20, 7, 0, 1, 0, 0, 0, 0, 0, 0][..], &last].concat();
        is_found(&ipv4(47, &gre(0x10, 0x22eb, &[&third([0, 0])[..], &frame].concat())));
        is_found(&ipv4(47, &gre(0x10, 0x22eb, &[&third([0, 1])[..], &[0; 8], &frame].concat())));
        is_found(&ipv4(47, &gre(0x10, 0x22eb, &[&third([2 << 2, 0])[..], &tcp()].concat())));
        let unknown = gre(0x10, 0x22eb, &[&third([1 << 2, 0])[..], &frame].concat());
        assert_eq!(parse(&ipv4(47, &unknown)), Err(DropReason::NotIp));
    }

    #[test]
    fn two_tunnels_are_opened_and_a_third_is_not() {
        let one = ipv4(17, &vxlan(&ethernet(&tcp())));
        let two = ipv4(47, &gre(0x10, 0x88be, &[&[0x10, 7, 0, 1, 0, 0, 0, 0][..], &ethernet(&one)].concat()));
        is_found(&two);
        assert_eq!(parse(&ipv4(17, &geneve(0x0800, &[], &two))), Err(DropReason::NestedTooDeep));
    }

    #[test]
    fn what_carries_nothing_of_ours_is_told_from_what_is_cut_short() {
        assert_eq!(parse(&ipv4(17, &udp(53, b"what is the address"))), Err(DropReason::NotTcp));
        assert_eq!(parse(&ipv4(17, &udp(4789, &[0; 60]))), Err(DropReason::NotTcp));
        let control = udp(6081, &[&[0, 0x80, 0x65, 0x58, 0, 0, 7, 0][..], &ethernet(&tcp())].concat());
        assert_eq!(parse(&ipv4(17, &control)), Err(DropReason::NotTcp));
        assert_eq!(parse(&ipv4(47, &gre(0x40, 0x0800, &tcp()))), Err(DropReason::NotTcp));
        assert_eq!(parse(&ipv4(47, &gre(0, 0x0806, &[0; 28]))), Err(DropReason::NotIp));
        let whole = ethernet(&ipv4(17, &vxlan(&ethernet(&tcp()))));
        for kept in 0..whole.len() - 3 {
            let parsed = parse_frame(LinkType::Ethernet, &whole[..kept], whole.len());
            assert_eq!(parsed.err(), Some(DropReason::TruncatedHeader), "{kept} bytes");
        }
    }

    #[test]
    fn a_fragment_of_a_tunnel_is_a_fragment() {
        let mut packet = ipv4(17, &vxlan(&ethernet(&tcp())));
        packet[6] = 0x20;
        assert_eq!(parse(&packet), Err(DropReason::Fragment));
    }

    #[test]
    fn what_a_mirror_cut_off_is_known_to_be_missing() {
        let mut frame = ethernet(&tcp());
        frame.truncate(frame.len() - 2);
        let packet = ethernet(&ipv4(17, &vxlan(&frame)));
        let segment = parse_frame(LinkType::Ethernet, &packet, packet.len()).unwrap();
        assert!(!segment.is_whole());
        assert_eq!((segment.payload, segment.payload_len), (&b"G"[..], 3));
    }
}
