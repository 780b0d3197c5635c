//! Packets: a header of four bytes, and a payload made of fields.

/// Bytes of a header: the payload's length in three, and the packet's number in its exchange.
pub(crate) const HEADER: usize = 4;
/// A payload of this length is continued by the next packet.
pub(crate) const LONGEST: usize = 0xff_ffff;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of the payload.
    pub(crate) payload: usize,
    /// The packet's number: a command begins with 0, what follows counts on, on both sides.
    pub(crate) sequence: u8,
}

impl Header {
    /// The header at the beginning of `input`, if all of it is there.
    pub(crate) fn read(input: &[u8]) -> Option<Self> {
        let &[low, middle, high, sequence] = input.first_chunk::<HEADER>()?;
        Some(Self { payload: u32::from_le_bytes([low, middle, high, 0]) as usize, sequence })
    }

    /// Bytes of the packet, with its header.
    pub(crate) const fn total(self) -> usize {
        HEADER + self.payload
    }

    /// Whether the next packet goes on where this one ends.
    pub(crate) const fn is_continued(self) -> bool {
        self.payload == LONGEST
    }
}

/// A packet that is there as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet at the beginning of `input`, if all of it is there.
    pub(crate) fn read(input: &'a [u8]) -> Option<Self> {
        let header = Header::read(input)?;
        Some(Self { header, payload: input.get(HEADER..header.total())? })
    }
}

/// Appends a packet.
///
/// # Panics
/// In debug builds, when the payload is too long for one packet: only what a login or a restored statement needs is
/// written here.
pub(crate) fn write(sequence: u8, payload: &[u8], to: &mut Vec<u8>) {
    debug_assert!(payload.len() < LONGEST, "a payload of {} bytes needs several packets", payload.len());
    to.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
    to.push(sequence);
    to.extend_from_slice(payload);
}

/// A packet of its own.
pub(crate) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    write(sequence, payload, &mut bytes);
    bytes
}

/// The fields of a payload, from the first on. Each is `None` when the payload ends before it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(field)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.bytes(1).map(|field| field[0])
    }

    /// A number of `width` bytes, at most eight, the lowest first.
    fn number(&mut self, width: usize) -> Option<u64> {
        let field = self.bytes(width)?;
        Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.number(2).map(|number| number as u16)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.number(4).map(|number| number as u32)
    }

    /// A number that says how long it is. NULL and what only errors begin with are no numbers.
    pub(crate) fn length_encoded(&mut self) -> Option<u64> {
        match self.byte()? {
            0xfb | 0xff => None,
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            small => Some(small.into()),
        }
    }

    /// Bytes behind their length.
    pub(crate) fn length_encoded_bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length_encoded()?;
        self.bytes(usize::try_from(length).ok()?)
    }

    /// Bytes up to a NUL, which is passed.
    pub(crate) fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let field = self.bytes(end)?;
        self.bytes(1)?;
        Some(field)
    }

    /// Bytes up to a NUL, or all that are left: a last field may lack its NUL.
    pub(crate) fn until_nul_or_end(&mut self) -> &'a [u8] {
        self.until_nul().unwrap_or_else(|| std::mem::take(&mut self.0))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a number that says how long it is.
pub(crate) fn write_length(length: usize, to: &mut Vec<u8>) {
    let bytes = (length as u64).to_le_bytes();
    match length {
        0..0xfb => to.push(length as u8),
        0xfb..=0xffff => {
            to.push(0xfc);
            to.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            to.push(0xfd);
            to.extend_from_slice(&bytes[..3]);
        }
        _ => {
            to.push(0xfe);
            to.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_is_read_once_it_is_whole() {
        let bytes = packet(3, b"hello");
        assert_eq!(bytes, b"\x05\0\0\x03hello");
        assert_eq!(Packet::read(&bytes).unwrap().payload, b"hello");
        assert_eq!(Header::read(&bytes), Some(Header { payload: 5, sequence: 3 }));
        assert!(Packet::read(&bytes[..8]).is_none());
    }

    #[test]
    fn fields_end_where_the_payload_does() {
        let mut fields = Fields(b"\x01\x02\x00ab\0c");
        assert_eq!((fields.byte(), fields.u16()), (Some(1), Some(2)));
        assert_eq!(fields.until_nul(), Some(&b"ab"[..]));
        assert_eq!(fields.until_nul(), None);
        assert_eq!(fields.until_nul_or_end(), b"c");
        assert!(fields.is_empty() && fields.u32().is_none());
    }

    proptest! {
        #[test]
        fn lengths_come_back_as_they_were(length in prop_oneof![0_usize..70_000, any::<u32>().prop_map(|n| n as usize)]) {
            let mut bytes = Vec::new();
            write_length(length, &mut bytes);
            let mut fields = Fields(&bytes);
            prop_assert_eq!(fields.length_encoded(), Some(length as u64));
            prop_assert!(fields.is_empty());
        }
    }
}
