//! The answers of one side, on their way to a conversation.

use crate::Timestamp;

/// What the target or the online server said and the conversation did not deal with yet.
#[derive(Debug, Default)]
pub(super) struct Stream {
    bytes: Vec<u8>,
    /// How many of them were dealt with since the last came.
    dealt: usize,
    /// How many bytes to come were taken in advance.
    passing: u64,
    /// How many bytes of the stream were dealt with.
    offset: u64,
    at: Timestamp,
}

impl Stream {
    pub(super) fn arrive(&mut self, bytes: &[u8], at: Timestamp) {
        let passed = self.pass(bytes.len() as u64);
        self.bytes.drain(..std::mem::take(&mut self.dealt));
        self.bytes.extend_from_slice(&bytes[passed as usize..]);
        self.at = at;
    }

    /// Bytes that nobody will ever see. Returns how many of them the conversation has to be told of: those it did not
    /// take in advance. What was left before is gone with them.
    pub(super) fn lose(&mut self, count: u64) -> u64 {
        let told = count - self.pass(count);
        self.offset += told;
        if told > 0 {
            self.drop_left();
        }
        told
    }

    pub(super) fn take(&mut self, count: u64) {
        let taken = count.min(self.left().len() as u64);
        self.dealt += taken as usize;
        self.offset += taken;
        self.passing = self.passing.saturating_add(count - taken);
    }

    pub(super) fn drop_left(&mut self) {
        self.offset += self.left().len() as u64;
        self.dealt = self.bytes.len();
    }

    pub(super) fn left(&self) -> &[u8] {
        self.bytes.get(self.dealt..).unwrap_or_default()
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    fn pass(&mut self, count: u64) -> u64 {
        let passed = self.passing.min(count);
        if self.passing != u64::MAX {
            self.passing -= passed;
        }
        self.offset += passed;
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_taken_in_advance_are_passed_over() {
        let mut stream = Stream::default();
        stream.arrive(b"ab", Timestamp(1));
        stream.take(4);
        stream.arrive(b"cdef", Timestamp(2));
        assert_eq!((stream.left(), stream.offset()), (&b"ef"[..], 4));
    }

    #[test]
    fn only_bytes_not_taken_in_advance_are_missing() {
        let mut stream = Stream::default();
        stream.take(3);
        assert_eq!(stream.lose(2), 0);
        stream.arrive(b"xy", Timestamp(1));
        assert_eq!(stream.lose(5), 5);
        assert_eq!((stream.left(), stream.offset()), (&b""[..], 9));
    }
}
