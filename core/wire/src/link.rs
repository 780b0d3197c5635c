//! What surrounds the IP packet in a captured frame.
//!
//! Ethernet with any stack of VLAN tags (IEEE 802.1Q, 802.1ad), Linux cooked captures, BSD loopback, bare IP.
//! Not here: 802.3 frames with LLC, PPPoE, MPLS, tunnels; what they carry counts as [`DropReason::NotIp`].

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
            past_vlan_tags([header[12], header[13]], rest)
        }
        LinkType::LinuxSll => {
            let (header, rest) = frame.split::<16>().ok_or(DropReason::TruncatedHeader)?;
            past_vlan_tags([header[14], header[15]], rest)
        }
        LinkType::LinuxSll2 => {
            let (header, rest) = frame.split::<20>().ok_or(DropReason::TruncatedHeader)?;
            past_vlan_tags([header[0], header[1]], rest)
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
    }
}

/// Follows a stack of VLAN tags, each two bytes of tag and the EtherType of what comes next.
#[inline]
fn past_vlan_tags(mut ether_type: [u8; 2], mut rest: Layer<'_>) -> Result<Layer<'_>, DropReason> {
    loop {
        match u16::from_be_bytes(ether_type) {
            0x0800 | 0x86dd => return Ok(rest),
            // 802.1Q, 802.1ad, and what was used for an outer tag before 802.1ad.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let (tag, inner) = rest.split::<4>().ok_or(DropReason::TruncatedHeader)?;
                ether_type = [tag[2], tag[3]];
                rest = inner;
            }
            _ => return Err(DropReason::NotIp),
        }
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
    fn a_frame_that_ends_inside_its_link_header_is_truncated() {
        for (link, header_len) in [
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
