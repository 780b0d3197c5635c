//! The stream that a C intercept sends, however it is cut, to single packets.
//!
//! A C intercept does not say how it was built. Whether packets come in batches shows in the first byte. Whether
//! there is room for payload in them shows as soon as there is something behind the first packet: either another
//! one begins 64 bytes after it, or that is 128 bytes later.

use tcpcopy_wire::Segment;

use super::BATCH_MAX;
use super::packet::{HEADERS_BYTES, PACKET_MAX, PLAUSIBLE_BYTES, decode, is_plausible};
use crate::Malformed;

/// The number of packets in front of a batch.
const COUNT_BYTES: usize = 2;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The number of packets in a batch.
    Count,
    /// Packets, so many of this batch.
    Packets(u16),
    /// The payload of the packet before, which was already handed out, or another batch.
    PayloadOrCount,
    /// The payload of the packet before, which was already handed out.
    Payload,
}

/// One packet as received.
pub(crate) struct Packet<'a>(&'a mut [u8]);

impl<'a> Packet<'a> {
    pub(crate) fn decode(self) -> Result<Segment<'a>, Malformed> {
        decode(self.0)
    }
}

/// The received side of a connection to a C intercept. Holds less than two packets.
#[derive(Debug)]
pub(crate) struct Batches {
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that were handed out or are done with.
    spent: usize,
    next: Next,
    /// Packets come in batches.
    combined: bool,
    /// Length of a packet, once known.
    packet: Option<usize>,
}

impl Batches {
    /// Of a C intercept that was built with batches or without, of which `first` was already taken in.
    pub(crate) fn opened(combined: bool, first: Vec<u8>) -> Self {
        // Without batches there is never payload: the C tools cannot be built so.
        let (next, packet) =
            if combined { (Next::Count, None) } else { (Next::Packets(1), Some(HEADERS_BYTES)) };
        Self { buffer: first, spent: 0, next, combined, packet }
    }

    /// Whether packets have room for payload, once that is known.
    pub(crate) fn has_payload(&self) -> Option<bool> {
        self.packet.map(|packet| packet == PACKET_MAX)
    }

    /// The next whole packet, taken from the start of `input`; `None` when `input` is used up.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Packet<'_>>, Malformed> {
        loop {
            match self.next {
                Next::Count => {
                    let Some(&[high, low]) = self.collect(input, COUNT_BYTES) else { return Ok(None) };
                    self.next = Next::Packets(checked_count(u16::from_be_bytes([high, low]))?);
                    self.spent = COUNT_BYTES;
                }
                Next::Packets(left) => {
                    let Some(length) = self.packet_length(left, input) else { return Ok(None) };
                    if self.collect(input, length).is_none() {
                        return Ok(None);
                    }
                    self.next = match (self.combined, left) {
                        (false, _) => Next::Packets(1),
                        (true, 1) if self.packet.is_none() => Next::PayloadOrCount,
                        (true, 1) => Next::Count,
                        (true, left) => Next::Packets(left - 1),
                    };
                    self.spent = length;
                    return Ok(self.buffer.get_mut(..length).map(Packet));
                }
                Next::PayloadOrCount => {
                    let Some(begun) = self.collect(input, COUNT_BYTES + PLAUSIBLE_BYTES) else {
                        return Ok(None);
                    };
                    let is_batch = begins_batch(begun);
                    self.packet = Some(if is_batch { HEADERS_BYTES } else { PACKET_MAX });
                    self.next = if is_batch { Next::Count } else { Next::Payload };
                }
                Next::Payload => {
                    let payload = PACKET_MAX - HEADERS_BYTES;
                    if self.collect(input, payload).is_none() {
                        return Ok(None);
                    }
                    self.spent = payload;
                    self.next = Next::Count;
                }
            }
        }
    }

    /// The length of the packet that comes next, of `left` in its batch; `None` when more bytes must tell.
    fn packet_length(&mut self, left: u16, input: &mut &[u8]) -> Option<usize> {
        if self.packet.is_some() {
            return self.packet;
        }
        self.collect(input, HEADERS_BYTES)?;
        if left == 1 && input.is_empty() && self.buffer.len() == HEADERS_BYTES {
            // Complete if there is no payload; if there is, its headers are all that matters at once.
            return Some(HEADERS_BYTES);
        }
        let behind = PLAUSIBLE_BYTES + if left == 1 { COUNT_BYTES } else { 0 };
        let begun = self.collect(input, HEADERS_BYTES + behind)?.get(HEADERS_BYTES..)?;
        let is_next = if left == 1 { begins_batch(begun) } else { is_plausible(begun) };
        self.packet = Some(if is_next { HEADERS_BYTES } else { PACKET_MAX });
        self.packet
    }

    /// The next `length` bytes, moved from `input` as far as they are missing; `None` if there are not as many.
    fn collect(&mut self, input: &mut &[u8], length: usize) -> Option<&[u8]> {
        self.buffer.drain(..std::mem::take(&mut self.spent));
        let missing = length.saturating_sub(self.buffer.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.buffer.extend_from_slice(taken);
        *input = rest;
        self.buffer.get(..length)
    }
}

fn checked_count(count: u16) -> Result<u16, Malformed> {
    if (1..=BATCH_MAX).contains(&count) { Ok(count) } else { Err(Malformed::Batch(count)) }
}

/// Whether these are the number of packets of a batch and the beginning of the first.
fn begins_batch(bytes: &[u8]) -> bool {
    bytes.split_first_chunk().is_some_and(|(count, packet)| {
        checked_count(u16::from_be_bytes(*count)).is_ok() && is_plausible(packet)
    })
}

#[cfg(test)]
mod tests;
