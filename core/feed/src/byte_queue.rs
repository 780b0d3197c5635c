//! A bounded queue of bytes whose positions stay valid while older bytes leave.

use std::collections::VecDeque;

/// The first allocation, in bytes.
const INITIAL_BYTES: usize = 4096;

/// Bytes in order. A position counts from the first byte ever queued. Callers keep to the limit; the queue sees
/// to it that the capacity keeps to it too.
#[derive(Debug)]
pub(crate) struct ByteQueue {
    bytes: VecDeque<u8>,
    start: u64,
    limit: usize,
}

impl ByteQueue {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), start: 0, limit }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The position of the next byte to be queued.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            let grown = (2 * self.bytes.capacity()).max(INITIAL_BYTES).min(self.limit).max(needed);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    /// Replaces queued bytes from position `at` on.
    pub(crate) fn overwrite(&mut self, at: u64, bytes: &[u8]) {
        let skipped = self.index(at);
        for (slot, &byte) in self.bytes.iter_mut().skip(skipped).zip(bytes) {
            *slot = byte;
        }
    }

    /// Appends the `length` bytes from position `at` on, or as many as are queued, to `out`.
    pub(crate) fn copy_to(&self, at: u64, length: usize, out: &mut Vec<u8>) {
        let start = self.index(at).min(self.bytes.len());
        let end = start.saturating_add(length).min(self.bytes.len());
        let (front, back) = self.bytes.as_slices();
        let split = front.len();
        out.extend_from_slice(&front[start.min(split)..end.min(split)]);
        out.extend_from_slice(&back[start.saturating_sub(split)..end.saturating_sub(split)]);
    }

    /// The oldest bytes, as many as lie in one piece.
    pub(crate) fn front(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Drops the oldest `count` bytes.
    pub(crate) fn discard(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.start += count as u64;
    }

    fn index(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_valid_across_the_wrap() {
        let mut queue = ByteQueue::new(INITIAL_BYTES);
        queue.extend(&[0; INITIAL_BYTES - 3]);
        queue.discard(INITIAL_BYTES - 5);
        let at = queue.end();
        queue.extend(b"wrapped");
        queue.overwrite(at + 1, b"RAPP");
        let mut out = Vec::new();
        queue.copy_to(at, 7, &mut out);
        assert_eq!(out, b"wRAPPed");
        assert_eq!(queue.len(), 9);
        assert!(queue.front().len() < 9, "the bytes lie in two pieces");
        assert_eq!(queue.capacity(), INITIAL_BYTES);
    }

    #[test]
    fn capacity_never_exceeds_the_limit() {
        let mut queue = ByteQueue::new(10_000);
        for _ in 0..1000 {
            while queue.len() + 7 <= 10_000 {
                queue.extend(&[1; 7]);
            }
            queue.discard(5000);
        }
        assert_eq!(queue.capacity(), 10_000);
    }
}
