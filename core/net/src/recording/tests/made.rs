//! Writes captures byte by byte, as the formats' specifications have them.

/// A byte order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn i64(self, value: i64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// A pcap file.
pub(super) struct MadePcap {
    order: Order,
    pub(super) bytes: Vec<u8>,
}

impl MadePcap {
    pub(super) fn new(order: Order, nanoseconds: bool, link: u32) -> Self {
        let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut bytes = order.u32(magic).to_vec();
        bytes.extend([order.u16(2), order.u16(4)].concat());
        bytes.extend([0, 0, 65_535, link].map(|word| order.u32(word)).concat());
        Self { order, bytes }
    }

    pub(super) fn frame(&mut self, seconds: u32, fraction: u32, kept: &[u8], wire_len: u32) -> &mut Self {
        let words = [seconds, fraction, kept.len() as u32, wire_len];
        self.bytes.extend(words.map(|word| self.order.u32(word)).concat());
        self.bytes.extend(kept);
        self
    }
}

/// A pcapng file of one section.
pub(super) struct MadePcapNg {
    order: Order,
    pub(super) bytes: Vec<u8>,
}

impl MadePcapNg {
    pub(super) fn new(order: Order) -> Self {
        let mut made = Self { order, bytes: Vec::new() };
        let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8]].concat();
        made.block(0x0a0d_0d0a, &body);
        made
    }

    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let padded = body.len().next_multiple_of(4);
        let len = self.order.u32(padded as u32 + 12);
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(len);
        self.bytes.extend(body);
        self.bytes.extend(vec![0; padded - body.len()]);
        self.bytes.extend(len);
        self
    }

    pub(super) fn interface(&mut self, link: u16, resolution: Option<u8>, offset: Option<i64>) -> &mut Self {
        let order = self.order;
        let mut body = [&order.u16(link)[..], &order.u16(0), &order.u32(0)].concat();
        if let Some(resolution) = resolution {
            body.extend([&order.u16(9)[..], &order.u16(1), &[resolution, 0, 0, 0]].concat());
        }
        if let Some(offset) = offset {
            body.extend([&order.u16(14)[..], &order.u16(8), &order.i64(offset)].concat());
        }
        body.extend([0; 4]);
        self.block(1, &body)
    }

    pub(super) fn packet(&mut self, interface: u32, ticks: u64, kept: &[u8], wire_len: u32) -> &mut Self {
        let words = [interface, (ticks >> 32) as u32, ticks as u32, kept.len() as u32, wire_len];
        let body = [&words.map(|word| self.order.u32(word)).concat()[..], kept].concat();
        self.block(6, &body)
    }
}
