//! Where an IP packet goes, read from the very bytes about to be sent (RFC 791 §3.1, RFC 8200 §3).
//!
//! Deliberately its own few lines: a fault in the code that builds or parses packets must not blind the target
//! guard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcopy_wire::Endpoint;

const PROTOCOL_TCP: u8 = 6;
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
