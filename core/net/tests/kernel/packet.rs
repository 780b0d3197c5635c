//! TCP packets to send, built by hand: the code under test must not check itself.

use std::net::IpAddr;

/// A TCP packet with `payload`, numbered by its sequence number. Checksums of TCP are left out: nobody looks.
pub(crate) fn tcp(from: &str, to: &str, port: u16, number: u32, payload: &[u8]) -> Vec<u8> {
    let segment = segment(port, number, payload);
    match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut packet = vec![0x45, 0];
            packet.extend((20 + segment.len() as u16).to_be_bytes());
            packet.extend([0x12, 0x34, 0x40, 0, 57, 6, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
            let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            [packet, segment].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend((segment.len() as u16).to_be_bytes());
            packet.extend([6, 57]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            [packet, segment].concat()
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

fn segment(port: u16, number: u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = 40_000_u16.to_be_bytes().to_vec();
    segment.extend(port.to_be_bytes());
    segment.extend(number.to_be_bytes());
    segment.extend([0, 0, 0, 0, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

/// The number of an IPv4 packet made by [`tcp`], behind `link_header` bytes.
pub(crate) fn number_of(frame: &[u8], link_header: usize) -> u32 {
    u32::from_be_bytes(frame[link_header + 24..link_header + 28].try_into().unwrap())
}
