//! The sending side of one connection: a bounded queue of bytes with at most one frame open for records, or one
//! batch for the packets a C tool is sent.

use crate::byte_queue::ByteQueue;
use crate::frame::{BATCH_BYTES, FrameKind, HEADER_BYTES, header};

/// Room kept free of batched records, so that heartbeats and statistics reach a slow peer too.
const CONTROL_BYTES: usize = 1024;

/// What can still be added to. Its header is at position `at`: only what is sealed is handed out to be sent, so it is
/// still queued.
#[derive(Clone, Copy, Debug)]
enum Open {
    Frame { kind: FrameKind, at: u64 },
    Batch { packets: u16, at: u64 },
}

/// Bytes to send. Never holds more than its limit: what does not fit is not taken, and the caller counts it.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: ByteQueue,
    open: Option<Open>,
    limit: usize,
}

impl Outbox {
    /// A queue of at most `limit` bytes (and never less than control frames need).
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(2 * CONTROL_BYTES);
        Self { bytes: ByteQueue::new(limit), open: None, limit }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a frame of `kind` is open with room for a record of `record` bytes.
    pub(crate) fn has_open(&self, kind: FrameKind, record: usize) -> bool {
        matches!(self.open, Some(Open::Frame { kind: open, at })
            if open == kind && self.body_len(at) + record <= BATCH_BYTES)
    }

    /// Whether `record` bytes of records fit, with a new frame's header if need be.
    pub(crate) fn has_room(&self, record: usize) -> bool {
        self.len() + HEADER_BYTES + record + CONTROL_BYTES <= self.limit
    }

    /// Opens a frame that [`Self::extend`] fills, and closes the one before.
    pub(crate) fn open(&mut self, kind: FrameKind) {
        self.seal();
        self.open = Some(Open::Frame { kind, at: self.bytes.end() });
        self.bytes.extend(&header(kind, 0));
    }

    /// Appends to the open frame. The caller asked [`Self::has_room`] before.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Appends a whole frame with a body in two parts; `false` when there is no room for it.
    #[must_use]
    pub(crate) fn push_frame(&mut self, kind: FrameKind, body: [&[u8]; 2]) -> bool {
        let length = body[0].len() + body[1].len();
        if self.len() + HEADER_BYTES + length > self.limit {
            return false;
        }
        self.seal();
        self.bytes.extend(&header(kind, length));
        self.bytes.extend(body[0]);
        self.bytes.extend(body[1]);
        true
    }

    /// Appends bytes that are in no frame; `false` when there is no room for them.
    #[must_use]
    pub(crate) fn push_bare(&mut self, bytes: &[u8]) -> bool {
        if self.len() + bytes.len() > self.limit {
            return false;
        }
        self.seal();
        self.bytes.extend(bytes);
        true
    }

    /// Appends a packet to the open batch, or to a new one if there are `most` in it; `false` when there is no room
    /// for it.
    #[must_use]
    pub(crate) fn push_packet(&mut self, packet: &[u8], most: u16) -> bool {
        if self.len() + size_of_val(&most) + packet.len() > self.limit {
            return false;
        }
        match &mut self.open {
            Some(Open::Batch { packets, .. }) if *packets < most => *packets += 1,
            _ => {
                self.seal();
                self.open = Some(Open::Batch { packets: 1, at: self.bytes.end() });
                self.bytes.extend(&[0; 2]);
            }
        }
        self.bytes.extend(packet);
        true
    }

    /// The next bytes to send, all of them in at most two calls.
    pub(crate) fn poll_transmit(&mut self) -> &[u8] {
        self.seal();
        self.bytes.front()
    }

    /// The first `count` bytes have been sent.
    pub(crate) fn consume(&mut self, count: usize) {
        self.bytes.discard(count);
    }

    /// Closes the open frame or batch: how much is in it is known now.
    fn seal(&mut self) {
        match self.open.take() {
            Some(Open::Frame { kind, at }) => self.bytes.overwrite(at, &header(kind, self.body_len(at))),
            Some(Open::Batch { packets, at }) => self.bytes.overwrite(at, &packets.to_be_bytes()),
            None => {}
        }
    }

    /// Length of the body of the open frame whose header is at position `at`.
    fn body_len(&self, at: u64) -> usize {
        usize::try_from(self.bytes.end() - at).unwrap_or(usize::MAX) - HEADER_BYTES
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::parse_header;

    #[test]
    fn an_open_frame_is_sealed_with_its_length_before_it_is_sent() {
        let mut outbox = Outbox::new(4096);
        outbox.open(FrameKind::Responses);
        outbox.extend(b"one");
        outbox.extend(b"two");
        assert!(outbox.push_frame(FrameKind::Heartbeat, [b"h", &[]]));
        outbox.open(FrameKind::Responses);
        let sent = outbox.poll_transmit().to_vec();
        assert_eq!(parse_header(*sent.first_chunk().unwrap()), Ok((FrameKind::Responses, 10)));
        assert_eq!(&sent[4..10], b"onetwo");
        assert_eq!(&sent[10..15], &[FrameKind::Heartbeat.byte(), 0, 0, 1, b'h']);
        assert_eq!(&sent[15..], &header(FrameKind::Responses, 0));
    }

    #[test]
    fn a_frame_begun_after_a_partial_send_is_sealed_in_place() {
        let mut outbox = Outbox::new(4096);
        assert!(outbox.push_frame(FrameKind::Heartbeat, [&[1; 100], &[]]));
        outbox.poll_transmit();
        outbox.open(FrameKind::Responses);
        outbox.extend(b"abc");
        outbox.consume(60);
        outbox.extend(b"def");
        let sent = outbox.poll_transmit().to_vec();
        assert_eq!(&sent[44..], [&header(FrameKind::Responses, 6)[..], b"abcdef"].concat());
    }

    #[test]
    fn a_batch_is_sealed_with_its_number_before_it_is_sent() {
        let mut outbox = Outbox::new(4096);
        for packet in [b"one", b"two", b"six"] {
            assert!(outbox.push_packet(packet, 2));
        }
        assert_eq!(outbox.poll_transmit(), b"\0\x02onetwo\0\x01six");
        assert!(outbox.push_packet(b"new", 2));
        assert_eq!(outbox.poll_transmit()[13..], *b"\0\x01new");
        assert!(!outbox.push_packet(&[0; 4090], 2));
    }

    #[test]
    fn control_frames_find_room_when_records_do_not() {
        let mut outbox = Outbox::new(4096);
        outbox.open(FrameKind::Responses);
        while outbox.has_room(50) {
            outbox.extend(&[0; 50]);
        }
        assert!(outbox.push_frame(FrameKind::Statistics, [&[0; 64], &[]]));
        while outbox.push_frame(FrameKind::Heartbeat, [&[0; 8], &[]]) {}
        assert!(outbox.len() <= 4096);
        assert_eq!(outbox.capacity(), 4096);
    }
}
