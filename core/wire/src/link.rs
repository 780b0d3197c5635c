//! What surrounds the IP packet in a captured frame.
//!
//! Ethernet with any stack of VLAN tags (IEEE 802.1Q, 802.1ad) and with PPPoE (RFC 2516), Linux cooked captures, PPP
//! (RFC 1661), BSD loopback, bare IP. Not here: 802.3 frames with LLC and MPLS, which count as [`DropReason::NotIp`];
//! tunnels over IP, which are in `tunnel`.

use crate::DropReason;
use crate::layer::Layer;

/// A capture's link layer, by its registered LINKTYPE/DLT number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet (1), with or without 802.1Q/802.1ad tags.
    Ethernet,
    /// Linux cooked capture (113).
    LinuxSll,
    /// Linux cooked capture v2 (276).
    LinuxSll2,
    /// The IP packet itself (DLT_RAW 12 or 14, LINKTYPE_RAW 101, IPV4 228, IPV6 229).
    RawIp,
    /// BSD loopback (0 and 108): a four-byte address family first.
    Null,
    /// PPP (9 and 50), with or without the two bytes of HDLC framing (RFC 1662).
    Ppp,
    /// A PPPoE session packet without its Ethernet header (51).
    PppEther,
}

impl LinkType {
    /// The link type of a LINKTYPE or DLT number; `None` for one we cannot read.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Ethernet),
            113 => Some(Self::LinuxSll),
            276 => Some(Self::LinuxSll2),
            12 | 14 | 101 | 228 | 229 => Some(Self::RawIp),
            0 | 108 => Some(Self::Null),
            9 | 50 => Some(Self::Ppp),
            51 => Some(Self::PppEther),
            _ => None,
        }
    }
}

/// The IP packet inside `frame`.
#[inline]
pub(crate) fn network_layer(link: LinkType, frame: Layer<'_>) -> Result<Layer<'_>, DropReason> {
    match link {
        LinkType::Ethernet => {
            let (header, rest) = frame.split::<14>().ok_or(DropReason::TruncatedHeader)?;
            past_ether_type([header[12], header[13]], rest)
        }
        LinkType::LinuxSll => {
            let (header, rest) = frame.split::<16>().ok_or(DropReason::TruncatedHeader)?;
            past_ether_type([header[14], header[15]], rest)
        }
        LinkType::LinuxSll2 => {
            let (header, rest) = frame.split::<20>().ok_or(DropReason::TruncatedHeader)?;
            past_ether_type([header[0], header[1]], rest)
        }
        LinkType::RawIp => Ok(frame),
        LinkType::Null => {
            let (family, packet) = frame.split::<4>().ok_or(DropReason::TruncatedHeader)?;
            // In the byte order of the machine that captured (0) or of the network (108). AF_INET is 2
            // everywhere, AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS.
            match family {
                [0, 0, 0, 2 | 10 | 24 | 28 | 30] | [2 | 10 | 24 | 28 | 30, 0, 0, 0] => Ok(packet),
                _ => Err(DropReason::NotIp),
            }
        }
        LinkType::Ppp => past_ppp(frame),
        LinkType::PppEther => past_pppoe(frame),
    }
}

/// Follows a stack of VLAN tags, each two bytes of tag and the EtherType of what comes next, and a PPPoE session behind.
#[inline]
fn past_ether_type(mut ether_type: [u8; 2], mut rest: Layer<'_>) -> Result<Layer<'_>, DropReason> {
    loop {
        match u16::from_be_bytes(ether_type) {
            0x0800 | 0x86dd => return Ok(rest),
            // 802.1Q, 802.1ad, and what was used for an outer tag before 802.1ad.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let (tag, inner) = rest.split::<4>().ok_or(DropReason::TruncatedHeader)?;
                ether_type = [tag[2], tag[3]];
                rest = inner;
            }
            0x8864 => return past_pppoe(rest),
            _ => return Err(DropReason::NotIp),
        }
    }
}

/// The session packet of RFC 2516 §4: version and type, code, session, length; then PPP.
fn past_pppoe(packet: Layer<'_>) -> Result<Layer<'_>, DropReason> {
    let (header, rest) = packet.split::<6>().ok_or(DropReason::TruncatedHeader)?;
    match header {
        [0x11, 0, ..] => past_ppp(rest),
        _ => Err(DropReason::NotIp),
    }
}

/// The protocol field of RFC 1661 §2, behind the address and control bytes of HDLC framing if they are there. The
/// field's first byte is left out where it is zero and the peers agreed so: an odd first byte is the whole field.
fn past_ppp(packet: Layer<'_>) -> Result<Layer<'_>, DropReason> {
    let packet = match packet.split::<2>() {
        Some(([0xff, 0x03], rest)) => rest,
        _ => packet,
    };
    let (protocol, rest) = match packet.split::<1>().ok_or(DropReason::TruncatedHeader)? {
        ([compressed], rest) if compressed % 2 == 1 => (u16::from(*compressed), rest),
        _ => {
            let (protocol, rest) = packet.split::<2>().ok_or(DropReason::TruncatedHeader)?;
            (u16::from_be_bytes(*protocol), rest)
        }
    };
    match protocol {
        0x0021 | 0x0057 => Ok(rest),
        _ => Err(DropReason::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 3] = [0x45, 0xaa, 0xbb];

    fn strip(link: LinkType, header: &[u8]) -> Result<Vec<u8>, DropReason> {
        let frame = [header, &PACKET].concat();
        let packet = network_layer(link, Layer::new(&frame, 1_000))?;
        assert_eq!(packet.wire_len, 1_000 - (frame.len() - packet.kept.len()));
        Ok(packet.kept.to_vec())
    }

    fn ethernet(after_addresses: &[u8]) -> Result<Vec<u8>, DropReason> {
        strip(LinkType::Ethernet, &[&[0x02; 12], after_addresses].concat())
    }

    #[test]
    fn ethernet_carries_either_ip() {
        assert_eq!(ethernet(&[0x08, 0x00]), Ok(PACKET.to_vec()));
        assert_eq!(ethernet(&[0x86, 0xdd]), Ok(PACKET.to_vec()));
        assert_eq!(ethernet(&[0x08, 0x06]), Err(DropReason::NotIp));
    }

    #[test]
    fn any_stack_of_vlan_tags_is_skipped() {
        assert_eq!(ethernet(&[0x81, 0x00, 0, 7, 0x08, 0x00]), Ok(PACKET.to_vec()));
        assert_eq!(ethernet(&[0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 8, 0x86, 0xdd]), Ok(PACKET.to_vec()));
        let mut four_tags = [0x91, 0x00, 0, 1].repeat(4);
        four_tags.extend([0x08, 0x00]);
        assert_eq!(ethernet(&four_tags), Ok(PACKET.to_vec()));
        assert_eq!(ethernet(&[0x81, 0x00, 0, 7, 0x08, 0x06]), Err(DropReason::NotIp));
        assert_eq!(ethernet(&[0x81, 0x00]), Err(DropReason::TruncatedHeader));
    }

    #[test]
    fn cooked_captures_are_read() {
        let mut v1 = [0; 16];
        v1[14] = 0x08;
        assert_eq!(strip(LinkType::LinuxSll, &v1), Ok(PACKET.to_vec()));
        let mut v2 = [0; 20];
        v2[0..2].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(strip(LinkType::LinuxSll2, &v2), Ok(PACKET.to_vec()));
        v2[0..2].copy_from_slice(&[0x81, 0x00]);
        assert_eq!(strip(LinkType::LinuxSll2, &[&v2, &[0, 7, 8, 0][..]].concat()), Ok(PACKET.to_vec()));
    }

    #[test]
    fn bsd_loopback_is_read_in_either_byte_order() {
        assert_eq!(strip(LinkType::Null, &[2, 0, 0, 0]), Ok(PACKET.to_vec()));
        assert_eq!(strip(LinkType::Null, &[0, 0, 0, 30]), Ok(PACKET.to_vec()));
        assert_eq!(strip(LinkType::Null, &[0, 0, 0, 7]), Err(DropReason::NotIp));
    }

    #[test]
    fn ppp_is_read_with_and_without_framing_and_compression() {
        for header in [&[0xff, 0x03, 0x00, 0x21][..], &[0x00, 0x57], &[0xff, 0x03, 0x21], &[0x57]] {
            assert_eq!(strip(LinkType::Ppp, header), Ok(PACKET.to_vec()), "{header:x?}");
        }
        assert_eq!(strip(LinkType::Ppp, &[0xff, 0x03, 0xc0, 0x21]), Err(DropReason::NotIp));
    }

    #[test]
    fn pppoe_sessions_are_read_with_and_without_ethernet() {
        let session = [0x11, 0x00, 0x00, 0x01, 0x00, 0x05, 0x00, 0x21];
        assert_eq!(strip(LinkType::PppEther, &session), Ok(PACKET.to_vec()));
        assert_eq!(ethernet(&[&[0x88, 0x64][..], &session].concat()), Ok(PACKET.to_vec()));
        assert_eq!(ethernet(&[&[0x81, 0x00, 0, 7, 0x88, 0x64][..], &session].concat()), Ok(PACKET.to_vec()));
        // Discovery (a code other than zero) carries no packet.
        assert_eq!(strip(LinkType::PppEther, &[0x11, 0x09, 0, 0, 0, 0, 0x00, 0x21]), Err(DropReason::NotIp));
        // LCP, and discovery by its own EtherType.
        assert_eq!(strip(LinkType::PppEther, &[0x11, 0, 0, 1, 0, 5, 0xc0, 0x21]), Err(DropReason::NotIp));
        assert_eq!(ethernet(&[0x88, 0x63]), Err(DropReason::NotIp));
    }

    #[test]
    fn a_frame_that_ends_inside_its_link_header_is_truncated() {
        for (link, header_len) in [
            (LinkType::Ppp, 2),
            (LinkType::PppEther, 6),
            (LinkType::Ethernet, 14),
            (LinkType::LinuxSll, 16),
            (LinkType::LinuxSll2, 20),
            (LinkType::Null, 4),
        ] {
            for len in 0..header_len {
                let frame = vec![0; len];
                let stripped = network_layer(link, Layer::new(&frame, len));
                assert_eq!(stripped.err(), Some(DropReason::TruncatedHeader), "{link:?} of {len} bytes");
            }
        }
    }
}
