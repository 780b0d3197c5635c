//! The sending side of one connection: a bounded queue of bytes with at most one frame open for records.

use crate::byte_queue::ByteQueue;
use crate::frame::{BATCH_BYTES, FrameKind, HEADER_BYTES, header};

/// Room kept free of batched records, so that heartbeats and statistics reach a slow peer too.
const CONTROL_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    kind: FrameKind,
    /// Position of its header. Only sealed frames are handed out to be sent, so it is still queued.
    at: u64,
}

/// Bytes to send. Never holds more than its limit: what does not fit is not taken, and the caller counts it.
#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: ByteQueue,
    open: Option<OpenFrame>,
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
        self.open.is_some_and(|open| open.kind == kind && self.body_len(open) + record <= BATCH_BYTES)
    }

    /// Whether `record` bytes of records fit, with a new frame's header if need be.
    pub(crate) fn has_room(&self, record: usize) -> bool {
        self.len() + HEADER_BYTES + record + CONTROL_BYTES <= self.limit
    }

    /// Opens a frame that [`Self::extend`] fills, and closes the one before.
    pub(crate) fn open(&mut self, kind: FrameKind) {
        self.seal();
        self.open = Some(OpenFrame { kind, at: self.bytes.end() });
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

    /// The next bytes to send, all of them in at most two calls.
    pub(crate) fn poll_transmit(&mut self) -> &[u8] {
        self.seal();
        self.bytes.front()
    }

    /// The first `count` bytes have been sent.
    pub(crate) fn consume(&mut self, count: usize) {
        self.bytes.discard(count);
    }

    /// Closes the open frame: its length is known now.
    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            let finished = header(open.kind, self.body_len(open));
            self.bytes.overwrite(open.at, &finished);
        }
    }

    fn body_len(&self, open: OpenFrame) -> usize {
        usize::try_from(self.bytes.end() - open.at).unwrap_or(usize::MAX) - HEADER_BYTES
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
