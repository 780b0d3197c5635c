//! A server's byte stream on its way to a module: in order, each byte once, or known to be missing.

use std::collections::VecDeque;

use tcpcopy_wire::Instant;

/// Bytes that may wait behind a hole; what does not fit is missing.
const AHEAD_BYTES: usize = 1 << 20;
const AHEAD_PIECES: usize = 4096;

/// The next part of a stream: bytes, and behind them some that are there and were not given to us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<B> {
    pub(crate) bytes: B,
    pub(crate) missing: u64,
}

/// A run of bytes that came before its predecessor; of its `len` bytes only the first are known.
struct Piece {
    start: u64,
    len: u64,
    bytes: Box<[u8]>,
}

/// One server's stream, from its first byte at offset 0.
#[derive(Default)]
pub(crate) struct Incoming {
    next: u64,
    ahead: VecDeque<Piece>,
    ahead_bytes: usize,
    hole_since: Option<Instant>,
    /// Bytes given to the module that it has not taken.
    held: Vec<u8>,
    /// Bytes that the module takes without seeing them.
    skipping: u64,
    /// Missing bytes that the module has not been told of.
    untold: u64,
    /// Where the server closed, until that is reached.
    end: Option<u64>,
}

impl Incoming {
    /// The offset of the byte that is next in order.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Since when there has been a hole before what came last.
    pub(crate) fn hole_since(&self) -> Option<Instant> {
        self.hole_since
    }

    /// Bytes of memory in use.
    pub(crate) fn held(&self) -> usize {
        self.held.capacity() + self.ahead_bytes + self.ahead.capacity() * size_of::<Piece>()
    }

    /// Bytes the module was shown and did not take.
    pub(crate) fn left(&self) -> usize {
        self.held.len()
    }

    /// A segment with `len` bytes from offset `start` on, of which the first are known. What of it is next in order is
    /// returned, and [`Self::pop_ready`] may have more; one that is ahead waits for its turn.
    pub(crate) fn arrive<'a>(
        &mut self,
        start: u64,
        len: u64,
        bytes: &'a [u8],
        now: Instant,
    ) -> Option<Part<&'a [u8]>> {
        if start + len <= self.next {
            return None;
        }
        if start > self.next {
            self.keep(start, len, bytes, now);
            return None;
        }
        let (skip, missing) = self.advance(start, len, bytes.len());
        Some(Part { bytes: bytes.get(skip..).unwrap_or_default(), missing })
    }

    /// What has become next in order.
    pub(crate) fn pop_ready(&mut self, now: Instant) -> Option<Part<Vec<u8>>> {
        while let Some(piece) = self.ahead.pop_front_if(|piece| piece.start <= self.next) {
            self.ahead_bytes -= piece.bytes.len();
            self.hole_since = (!self.ahead.is_empty()).then_some(now);
            if piece.start + piece.len > self.next {
                let mut bytes = piece.bytes.into_vec();
                let (skip, missing) = self.advance(piece.start, piece.len, bytes.len());
                bytes.drain(..skip.min(bytes.len()));
                return Some(Part { bytes, missing });
            }
        }
        None
    }

    /// Gives up the present hole: the bytes that are missing in it. What lies behind is then ready.
    pub(crate) fn skip_hole(&mut self) -> u64 {
        let Some(first) = self.ahead.front() else { return 0 };
        let hole = first.start.saturating_sub(self.next);
        self.next = self.next.max(first.start);
        hole
    }

    /// Bytes before `offset` have passed unseen: nobody wanted them.
    pub(crate) fn jump_to(&mut self, offset: u64) {
        let passed = offset.saturating_sub(self.next);
        self.next += passed;
        self.untold += self.miss(passed);
    }

    /// The server closed its side at `offset`.
    pub(crate) fn end_at(&mut self, offset: u64) {
        self.end = Some(offset);
    }

    /// Whether everything before the server's close has passed, and nothing of it is left; true once.
    pub(crate) fn take_end(&mut self) -> bool {
        let (next, is_left) = (self.next, !self.held.is_empty());
        self.end.take_if(|end| *end <= next && !is_left).is_some()
    }

    /// The stream begins anew (another connection); what was left of the old one is gone.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    fn keep(&mut self, start: u64, len: u64, bytes: &[u8], now: Instant) {
        let at = self.ahead.partition_point(|piece| piece.start <= start);
        if at > 0 && self.ahead[at - 1].start + self.ahead[at - 1].len >= start + len {
            return;
        }
        if self.ahead.len() == AHEAD_PIECES {
            return; // it will come again, or count as missing
        }
        let fits = self.ahead_bytes + bytes.len() <= AHEAD_BYTES;
        let bytes: Box<[u8]> = if fits { bytes.into() } else { Box::default() };
        self.ahead_bytes += bytes.len();
        self.ahead.insert(at, Piece { start, len, bytes });
        self.hole_since.get_or_insert(now);
    }

    /// The bytes `start..start + len`, the first `known` of them known, are next: how many of the known ones have been
    /// seen before, and how many are missing.
    fn advance(&mut self, start: u64, len: u64, known: usize) -> (usize, u64) {
        let seen = self.next - start;
        let missing = len - seen.max(known as u64).min(len);
        self.next = start + len;
        (seen as usize, missing)
    }

    /// Shows a module what it had left with `bytes`, which have come, behind it; or nothing when it passes over all of
    /// them. `show` returns how many it took, counted from the first, which may be more than there are.
    pub(crate) fn show(&mut self, bytes: &[u8], show: impl FnOnce(&[u8]) -> u64) {
        let skipped = self.skipping.min(bytes.len() as u64);
        self.skipping -= skipped;
        let bytes = &bytes[skipped as usize..];
        if !bytes.is_empty() {
            self.show_with_left(bytes, show);
        }
    }

    /// Shows a module what it had left once more.
    pub(crate) fn show_again(&mut self, show: impl FnOnce(&[u8]) -> u64) {
        if !self.held.is_empty() {
            self.show_with_left(&[], show);
        }
    }

    fn show_with_left(&mut self, bytes: &[u8], show: impl FnOnce(&[u8]) -> u64) {
        let mut held = std::mem::take(&mut self.held);
        let shown = if held.is_empty() {
            bytes
        } else {
            held.extend_from_slice(bytes);
            &held
        };
        let taken = show(shown);
        let known = taken.min(shown.len() as u64);
        self.skipping += taken - known;
        if held.is_empty() {
            held.extend_from_slice(&bytes[known as usize..]);
        } else {
            held.drain(..known as usize);
        }
        self.held = held;
    }

    /// `count` bytes are missing: how many of them the module has to be told of.
    pub(crate) fn miss(&mut self, count: u64) -> u64 {
        let skipped = self.skipping.min(count);
        self.skipping -= skipped;
        let told = count - skipped;
        if told > 0 {
            self.held.clear();
        }
        told
    }

    /// The missing bytes the module has not been told of, now that it is.
    pub(crate) fn take_untold(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    /// What comes out when `arrive` is called with these.
    fn parts(incoming: &mut Incoming, segments: &[(u64, u64, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut push = |bytes: &[u8], missing| {
            out.extend_from_slice(bytes);
            out.extend(std::iter::repeat_n(b'?', missing as usize));
        };
        for (start, len, bytes) in segments {
            if let Some(part) = incoming.arrive(*start, *len, bytes, NOW) {
                push(part.bytes, part.missing);
            }
            while let Some(part) = incoming.pop_ready(NOW) {
                push(&part.bytes, part.missing);
            }
        }
        out
    }

    #[test]
    fn any_order_and_overlap_gives_the_stream() {
        let mut incoming = Incoming::default();
        let segments: &[(u64, u64, &[u8])] =
            &[(4, 2, b"ef"), (2, 4, b"cdef"), (0, 3, b"abc"), (0, 3, b"abc"), (6, 1, b"g")];
        assert_eq!(parts(&mut incoming, segments), b"abcdefg");
        assert_eq!((incoming.hole_since(), incoming.ahead_bytes), (None, 0));
    }

    #[test]
    fn bytes_beyond_the_depth_are_missing() {
        assert_eq!(parts(&mut Incoming::default(), &[(3, 3, b"d"), (0, 3, b"ab")]), b"ab?d??");
    }

    #[test]
    fn a_hole_that_is_given_up_is_missing() {
        let mut incoming = Incoming::default();
        assert_eq!(parts(&mut incoming, &[(0, 1, b"a"), (3, 1, b"d")]), b"a");
        assert_eq!(incoming.skip_hole(), 2);
        assert_eq!(incoming.pop_ready(NOW), Some(Part { bytes: b"d".to_vec(), missing: 0 }));
        assert_eq!(incoming.hole_since(), None);
    }

    #[test]
    fn what_is_left_is_shown_again_with_what_has_come() {
        let mut incoming = Incoming::default();
        let mut seen = Vec::new();
        let mut show = |incoming: &mut Incoming, bytes: &[u8], takes| {
            incoming.show(bytes, |shown| {
                seen.push(shown.to_vec());
                takes
            });
        };
        show(&mut incoming, b"abc", 1);
        show(&mut incoming, b"d", 5);
        show(&mut incoming, b"ef", 0);
        show(&mut incoming, b"ghi", 1);
        assert_eq!(seen, [&b"abc"[..], b"bcd", b"ghi"]);
        assert_eq!(incoming.left(), 2);
    }

    #[test]
    fn missing_bytes_that_are_passed_over_are_not_told() {
        let mut incoming = Incoming::default();
        incoming.show(b"a", |_| 4);
        assert_eq!((incoming.miss(2), incoming.miss(2)), (0, 1));
    }
}
