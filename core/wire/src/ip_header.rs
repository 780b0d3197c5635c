//! IP headers as they are written: IPv4 (RFC 791), IPv6 (RFC 8200). No options, and no extension header but that of a
//! fragment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::EmitError;
use crate::checksum::Checksum;

pub(crate) const IPV4_HEADER_LEN: usize = 20;
pub(crate) const IPV6_HEADER_LEN: usize = 40;
pub(crate) const IPV6_FRAGMENT_HEADER_LEN: usize = 8;
/// The next header field before a fragment header.
const FRAGMENT: u8 = 44;

/// Which part of its packet a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, not to be divided on the way either.
    Whole,
    /// A fragment that begins at so many bytes, a multiple of eight.
    Fragment { offset: u16, has_more: bool },
}

/// What an IP header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpHeader {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) protocol: u8,
    /// Of IPv4, its low half.
    pub(crate) identification: u32,
    pub(crate) part: Part,
}

impl IpHeader {
    /// Writes the header to the start of `packet`, whose whole length it tells, and returns the rest: what the header is
    /// about.
    #[inline]
    pub(crate) fn write<'p>(&self, packet: &'p mut [u8]) -> Result<&'p mut [u8], EmitError> {
        let packet_len = packet.len();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let total_len = u16::try_from(packet_len).map_err(|_| EmitError::TooLarge)?;
                let (header, rest) = packet.split_first_chunk_mut().ok_or(EmitError::TooLarge)?;
                *header = self.v4(total_len, source, destination);
                Ok(rest)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (header, mut rest) = packet.split_first_chunk_mut().ok_or(EmitError::TooLarge)?;
                let payload_len =
                    u16::try_from(packet_len - IPV6_HEADER_LEN).map_err(|_| EmitError::TooLarge)?;
                *header = self.v6(payload_len, source, destination);
                if let Part::Fragment { offset, has_more } = self.part {
                    let (fragment, content) = rest.split_first_chunk_mut().ok_or(EmitError::TooLarge)?;
                    *fragment = self.v6_fragment(offset, has_more);
                    rest = content;
                }
                Ok(rest)
            }
            _ => Err(EmitError::MixedFamilies),
        }
    }

    /// Both addresses and the protocol, which are part of a transport checksum (RFC 9293 §3.1, RFC 8200 §8.1).
    #[inline]
    pub(crate) fn pseudo_header(&self) -> Checksum {
        let mut checksum = Checksum::default();
        for addr in [self.source, self.destination] {
            match addr {
                IpAddr::V4(addr) => checksum.add(&addr.octets()),
                IpAddr::V6(addr) => checksum.add(&addr.octets()),
            }
        }
        checksum.add_word(u16::from(self.protocol));
        checksum
    }

    fn v4(&self, total_len: u16, source: Ipv4Addr, destination: Ipv4Addr) -> [u8; IPV4_HEADER_LEN] {
        let mut header = [0; IPV4_HEADER_LEN];
        // Version 4, five 32-bit words of header.
        header[0] = 0x45;
        header[1] = self.tos;
        header[2..4].copy_from_slice(&total_len.to_be_bytes());
        header[4..6].copy_from_slice(&(self.identification as u16).to_be_bytes());
        // Don't fragment; or more fragments, and the offset in units of eight bytes.
        let fragmenting = match self.part {
            Part::Whole => 0x4000,
            Part::Fragment { offset, has_more } => (u16::from(has_more) << 13) | (offset / 8),
        };
        header[6..8].copy_from_slice(&fragmenting.to_be_bytes());
        header[8] = self.ttl;
        header[9] = self.protocol;
        header[12..16].copy_from_slice(&source.octets());
        header[16..20].copy_from_slice(&destination.octets());
        let mut checksum = Checksum::default();
        checksum.add(&header);
        header[10..12].copy_from_slice(&checksum.finish());
        header
    }

    fn v6(&self, payload_len: u16, source: Ipv6Addr, destination: Ipv6Addr) -> [u8; IPV6_HEADER_LEN] {
        let mut header = [0; IPV6_HEADER_LEN];
        // Version 6, the traffic class across the next two half bytes, flow label 0.
        header[0] = 0x60 | self.tos >> 4;
        header[1] = self.tos << 4;
        header[4..6].copy_from_slice(&payload_len.to_be_bytes());
        header[6] = if self.part == Part::Whole { self.protocol } else { FRAGMENT };
        header[7] = self.ttl;
        header[8..24].copy_from_slice(&source.octets());
        header[24..40].copy_from_slice(&destination.octets());
        header
    }

    /// RFC 8200 §4.5: the offset in units of eight bytes stands in the upper 13 bits.
    fn v6_fragment(&self, offset: u16, has_more: bool) -> [u8; IPV6_FRAGMENT_HEADER_LEN] {
        let mut header = [0; IPV6_FRAGMENT_HEADER_LEN];
        header[0] = self.protocol;
        header[2..4].copy_from_slice(&((offset & !7) | u16::from(has_more)).to_be_bytes());
        header[4..8].copy_from_slice(&self.identification.to_be_bytes());
        header
    }
}
