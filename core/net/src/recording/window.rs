//! The piece of a stream that is being looked at: as large as the record in it, whatever the stream's length.

use std::io::{self, ErrorKind, Read};

/// Its size for usual records.
const USUAL: usize = 256 << 10;
/// No record is larger: what says so is damaged. Frames end at 256 KiB; pcapng's other blocks may be larger.
pub(super) const LARGEST: usize = 16 << 20;

pub(super) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the stream before `start`.
    passed: u64,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, buffer: vec![0; USUAL], start: 0, end: 0, passed: 0 }
    }

    /// What is at hand.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where in the stream [`Self::bytes`] begin.
    pub(super) fn position(&self) -> u64 {
        self.passed
    }

    /// Leaves the first `count` bytes behind.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.passed += count as u64;
    }

    /// Gets more bytes behind those at hand, which stay; `false` at the end of the stream.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).min(LARGEST), 0);
        }
        loop {
            match self.source.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether no more bytes can be had beside those at hand.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start >= LARGEST
    }
}
