//! Where an IP packet goes, read from the very bytes about to be sent (RFC 791 §3.1, RFC 8200 §3).
//!
//! Deliberately its own few lines: a fault in the code that builds or parses packets must not blind the target
//! guard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcopy_wire::Endpoint;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const FRAGMENT_HEADER: u8 = 44;
const FRAGMENT_HEADER_LEN: usize = 8;
const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

/// The destination address of an IP packet; `None` when the bytes are not one.
pub(super) fn destination_address(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => {
            let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
            Some(Ipv4Addr::from(*header[16..].first_chunk::<4>()?).into())
        }
        6 => {
            let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
            Some(Ipv6Addr::from(*header[24..].first_chunk::<16>()?).into())
        }
        _ => None,
    }
}

/// What tells the fragments of one packet from those of others (RFC 791 §3.2, RFC 8200 §4.5); all of them are of one
/// protocol here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FragmentedPacket {
    destination: IpAddr,
    identification: u32,
}

/// Where a UDP datagram, or a part of one, goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatagramPart {
    /// All of it, or its beginning in the first fragment of a packet.
    Beginning(Endpoint, Option<FragmentedPacket>),
    /// A later fragment, in which there are no ports.
    Continuation(FragmentedPacket),
}

/// What an IP packet has of a UDP datagram; `None` when there is any doubt about it, as in [`tcp_destination`].
pub(super) fn datagram_part(packet: &[u8]) -> Option<DatagramPart> {
    let destination = destination_address(packet)?;
    let (offset_and_more, identification, datagram) = match destination {
        IpAddr::V4(_) => {
            let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
            if header[0] & 0x0f != 5 || header[9] != PROTOCOL_UDP {
                return None;
            }
            let identification = u16::from_be_bytes([header[4], header[5]]).into();
            // Without the bit that says don't-fragment.
            let fragmenting = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
            (fragmenting, identification, packet.get(IPV4_HEADER_LEN..)?)
        }
        IpAddr::V6(_) => {
            let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
            let content = packet.get(IPV6_HEADER_LEN..)?;
            match header[6] {
                PROTOCOL_UDP => (0, 0, content),
                FRAGMENT_HEADER => {
                    let fragment: &[u8; FRAGMENT_HEADER_LEN] = content.first_chunk()?;
                    if fragment[0] != PROTOCOL_UDP {
                        return None;
                    }
                    let identification =
                        u32::from_be_bytes([fragment[4], fragment[5], fragment[6], fragment[7]]);
                    let fragmenting = u16::from_be_bytes([fragment[2], fragment[3]]);
                    // As IPv4 has it: the offset below, the bit for more fragments above.
                    let fragmenting = (fragmenting >> 3) | ((fragmenting & 1) << 13);
                    (fragmenting, identification, content.get(FRAGMENT_HEADER_LEN..)?)
                }
                _ => return None,
            }
        }
    };
    let whole = FragmentedPacket { destination, identification };
    if offset_and_more & 0x1fff != 0 {
        return Some(DatagramPart::Continuation(whole));
    }
    let ports: &[u8; 4] = datagram.first_chunk()?;
    let to = Endpoint::new(destination, u16::from_be_bytes([ports[2], ports[3]]));
    Some(DatagramPart::Beginning(to, (offset_and_more != 0).then_some(whole)))
}

/// The destination of a TCP segment in an IP packet; `None` when there is any doubt about it.
///
/// There is doubt about a packet with IPv4 options or IPv6 extension headers (a source route would take it
/// elsewhere), about a fragment that is not the first, and about everything that is not TCP.
pub(super) fn tcp_destination(packet: &[u8]) -> Option<Endpoint> {
    let addr = destination_address(packet)?;
    let segment = match addr {
        IpAddr::V4(_) => {
            let header: &[u8; IPV4_HEADER_LEN] = packet.first_chunk()?;
            let has_options = header[0] & 0x0f != 5;
            let fragment_offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
            if has_options || fragment_offset != 0 || header[9] != PROTOCOL_TCP {
                return None;
            }
            packet.get(IPV4_HEADER_LEN..)?
        }
        IpAddr::V6(_) => {
            let header: &[u8; IPV6_HEADER_LEN] = packet.first_chunk()?;
            if header[6] != PROTOCOL_TCP {
                return None;
            }
            packet.get(IPV6_HEADER_LEN..)?
        }
    };
    let ports: &[u8; 4] = segment.first_chunk()?;
    Some(Endpoint::new(addr, u16::from_be_bytes([ports[2], ports[3]])))
}
