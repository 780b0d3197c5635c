//! Reading foreign bytes without a panic and writing short records without an allocation.
//!
//! Fixed-size integers are big-endian. A varint is LEB128: seven bits a byte, least significant group first,
//! the top bit set on every byte but the last.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcpcopy_wire::Endpoint;

use crate::Malformed;

/// The longest varint: 64 bits in groups of seven.
const VARINT_MAX: usize = 10;

/// A cursor over foreign bytes; every read past the end is [`Malformed::Truncated`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn remaining(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for group in 0..VARINT_MAX {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * u32::try_from(group).unwrap_or(0);
            if bits << shift >> shift != bits {
                return Err(Malformed::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }

    pub(crate) fn varint32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed::Number)
    }

    /// A signed distance, zigzag-coded so that small ones of either sign are short.
    pub(crate) fn zigzag(&mut self) -> Result<i64, Malformed> {
        let coded = self.varint()?;
        Ok((coded >> 1).cast_signed() ^ -(coded & 1).cast_signed())
    }

    pub(crate) fn endpoint(&mut self, v6: bool) -> Result<Endpoint, Malformed> {
        let addr = if v6 {
            IpAddr::V6(Ipv6Addr::from(self.array::<16>()?))
        } else {
            IpAddr::V4(Ipv4Addr::from(self.array::<4>()?))
        };
        Ok(Endpoint::new(addr, self.u16()?))
    }
}

/// A record of our own on the stack: everything of a record but payload and text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Writer {
    /// Room for the longest record we write: the head of a response with every option, 86 bytes.
    pub(crate) const CAPACITY: usize = 96;

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0 }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.put([value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.put(value.to_be_bytes());
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8(0x80 | value.to_le_bytes()[0]);
            value >>= 7;
        }
        self.u8(value.to_le_bytes()[0]);
    }

    pub(crate) fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn endpoint(&mut self, endpoint: Endpoint) {
        match endpoint.addr {
            IpAddr::V4(addr) => self.put(addr.octets()),
            IpAddr::V6(addr) => self.put(addr.octets()),
        }
        self.u16(endpoint.port);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64, signed: i64) {
            let mut writer = Writer::new();
            writer.varint(value);
            writer.zigzag(signed);
            let mut reader = Reader::new(writer.as_slice());
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.zigzag(), Ok(signed));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn arbitrary_bytes_are_a_varint_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            let before = bytes.len();
            let mut reader = Reader::new(&bytes);
            if reader.varint().is_ok() {
                prop_assert!(before - reader.remaining().len() <= VARINT_MAX);
            }
        }
    }

    #[test]
    fn small_numbers_take_one_byte_and_the_largest_ten() {
        for (value, length) in [(0, 1), (127, 1), (128, 2), (u64::MAX, 10)] {
            let mut writer = Writer::new();
            writer.varint(value);
            assert_eq!(writer.as_slice().len(), length, "{value}");
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_refused() {
        let mut eleven = [0xff_u8; 11];
        eleven[10] = 0;
        assert_eq!(Reader::new(&eleven).varint(), Err(Malformed::Number));
        let mut sixty_five_bits = [0xff_u8; 10];
        sixty_five_bits[9] = 0x02;
        assert_eq!(Reader::new(&sixty_five_bits).varint(), Err(Malformed::Number));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(Malformed::Truncated));
    }
}
