//! What the user said and the target has not yet taken: bytes with their turn marks.

use std::collections::VecDeque;
use std::time::Duration;

use tcpcopy_wire::Instant;

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkKind {
    /// Bytes of the stream.
    Data,
    /// The user closed here (no bytes).
    Fin,
    /// The user reset the connection here (no bytes).
    Reset,
}

/// A run of captured bytes that came in one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    /// Offset of its first byte in the stream.
    pub(crate) start: u64,
    pub(crate) len: u32,
    pub(crate) captured_at: Instant,
    /// PSH was set: the user had nothing more to say at that moment.
    pub(crate) push: bool,
    /// The user spoke here after hearing something (or for the first time).
    pub(crate) turn: Option<TurnMark>,
}

/// What is known of a turn from the way the user opened it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnMark {
    /// Bytes of the online server the user had heard since speaking last.
    pub(crate) heard: u64,
    /// How long the user had been silent.
    pub(crate) waited: Duration,
}

impl Chunk {
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }
}

/// The stream to transmit, from the first byte that may still have to be said (again) to the last captured.
#[derive(Default)]
pub(crate) struct Backlog {
    bytes: VecDeque<u8>,
    chunks: VecDeque<Chunk>,
    /// Offset of `bytes[0]`.
    kept_from: u64,
    end: u64,
}

/// Buffers larger than this are given back when they run empty.
const IDLE_CAPACITY: usize = 16 << 10;

impl Backlog {
    /// Offset just after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes of memory in use.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity() + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Appends a chunk of `bytes` (empty for anything but data).
    pub(crate) fn push(
        &mut self,
        kind: ChunkKind,
        bytes: &[u8],
        captured_at: Instant,
        push: bool,
        turn: Option<TurnMark>,
    ) {
        let chunk = Chunk { kind, start: self.end, len: bytes.len() as u32, captured_at, push, turn };
        self.bytes.extend(bytes);
        self.end += bytes.len() as u64;
        self.chunks.push_back(chunk);
    }

    /// The user's closing word, when it was captured.
    pub(crate) fn closing(&self) -> Option<&Chunk> {
        self.chunks.back().filter(|chunk| chunk.kind != ChunkKind::Data)
    }

    /// The chunk that is said when everything before `offset` has been said: the one that holds the byte at
    /// `offset`, or the closing word.
    pub(crate) fn chunk_at(&self, offset: u64) -> Option<&Chunk> {
        self.chunks.get(self.index_at(offset))
    }

    /// Where the first turn at or after `offset` begins.
    pub(crate) fn next_turn(&self, offset: u64) -> Option<&Chunk> {
        let from = self.chunks.partition_point(|chunk| chunk.start < offset);
        self.chunks.range(from..).find(|chunk| chunk.turn.is_some())
    }

    /// How many turns begin in `from..to` (the closing word is none).
    pub(crate) fn turns_between(&self, from: u64, to: u64) -> u64 {
        let at = self.chunks.partition_point(|chunk| chunk.start < from);
        let speaks = |chunk: &&Chunk| chunk.turn.is_some() && chunk.kind == ChunkKind::Data;
        self.chunks.range(at..).take_while(|chunk| chunk.start < to).filter(speaks).count() as u64
    }

    /// Turns and bytes in `from..` that the target has not completely taken: those that begin there, and the one
    /// that `from` lies in.
    pub(crate) fn unsaid_from(&self, from: u64) -> (u64, u64) {
        let from = from.min(self.end);
        let boundary = self.chunk_at(from).is_none_or(|chunk| chunk.start == from && chunk.turn.is_some());
        let begun = from < self.end && !boundary;
        (self.turns_between(from, self.end) + u64::from(begun), self.end - from)
    }

    /// Where the turn that holds the byte at `offset` begins; `None` when its beginning is forgotten.
    pub(crate) fn turn_start(&self, offset: u64) -> Option<u64> {
        let after = self.chunks.partition_point(|chunk| chunk.start <= offset);
        let opening = self.chunks.range(..after).rev().find(|chunk| chunk.turn.is_some());
        opening.map(|chunk| chunk.start).filter(|start| *start >= self.kept_from)
    }

    /// The bytes `from..from + len`, in two halves; shorter when the stream ends before.
    pub(crate) fn slices(&self, from: u64, len: usize) -> [&[u8]; 2] {
        let start = (from.saturating_sub(self.kept_from) as usize).min(self.bytes.len());
        let end = (start + len).min(self.bytes.len());
        let (front, back) = self.bytes.as_slices();
        let cut = |slice: &'_ [u8], base: usize| {
            (start.clamp(base, base + slice.len()) - base, end.clamp(base, base + slice.len()) - base)
        };
        let (a, b) = cut(front, 0);
        let (c, d) = cut(back, front.len());
        [&front[a..b], &back[c..d]]
    }

    /// Forgets everything before `offset`; chunks that end there go with it, the closing word stays.
    pub(crate) fn release(&mut self, offset: u64) {
        let offset = offset.clamp(self.kept_from, self.end);
        self.bytes.drain(..(offset - self.kept_from) as usize);
        self.kept_from = offset;
        while let Some(first) = self.chunks.front() {
            if first.kind != ChunkKind::Data || first.end() > offset {
                break;
            }
            self.chunks.pop_front();
        }
        if self.bytes.is_empty() && self.held() > IDLE_CAPACITY {
            self.bytes.shrink_to(IDLE_CAPACITY / 4);
            self.chunks.shrink_to(IDLE_CAPACITY / 4 / size_of::<Chunk>());
        }
    }

    /// Forgets everything and starts again at offset zero, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.release(self.end);
        self.chunks.clear();
        self.kept_from = 0;
        self.end = 0;
    }

    fn index_at(&self, offset: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.kind == ChunkKind::Data && chunk.end() <= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Option<TurnMark> {
        Some(TurnMark { heard: 0, waited: Duration::ZERO })
    }

    fn said(words: &[(&[u8], bool)]) -> Backlog {
        let mut backlog = Backlog::default();
        for (word, opens) in words {
            let mark = turn().filter(|_| *opens);
            backlog.push(ChunkKind::Data, word, Instant::ZERO, true, mark);
        }
        backlog
    }

    #[test]
    fn slices_join_to_the_bytes_asked_for_wherever_the_ring_wraps() {
        let mut backlog = Backlog::default();
        let mut offset = 0;
        for round in 0..100_u64 {
            let word: Vec<u8> = (0..37).map(|byte| byte + round as u8).collect();
            backlog.push(ChunkKind::Data, &word, Instant::ZERO, true, None);
            assert_eq!(backlog.slices(offset + 5, 20).concat(), word[5..25]);
            offset += word.len() as u64;
            backlog.release(offset);
        }
        assert_eq!(backlog.slices(offset, 10).concat(), b"");
    }

    #[test]
    fn turns_are_found_by_offset() {
        let backlog = said(&[(b"GET", true), (b" /", false), (b"PUT", true)]);
        assert_eq!(backlog.next_turn(1).map(|chunk| chunk.start), Some(5));
        assert_eq!((backlog.turn_start(4), backlog.turn_start(7)), (Some(0), Some(5)));
        assert_eq!(backlog.unsaid_from(0), (2, 8));
        assert_eq!(backlog.unsaid_from(1), (2, 7));
        assert_eq!(backlog.unsaid_from(5), (1, 3));
        assert_eq!(backlog.unsaid_from(8), (0, 0));
    }

    #[test]
    fn the_closing_word_outlives_the_bytes_before_it() {
        let mut backlog = said(&[(b"bye", true)]);
        backlog.push(ChunkKind::Fin, b"", Instant::ZERO, false, None);
        backlog.release(3);
        assert_eq!(backlog.chunk_at(3).map(|chunk| chunk.kind), Some(ChunkKind::Fin));
        assert_eq!(backlog.closing().map(|chunk| chunk.start), Some(3));
    }

    #[test]
    fn releasing_inside_a_chunk_keeps_its_rest() {
        let mut backlog = said(&[(b"abcdef", true)]);
        backlog.release(2);
        assert_eq!(backlog.chunk_at(2).map(|chunk| chunk.start), Some(0));
        assert_eq!(backlog.slices(2, 9).concat(), b"cdef");
        assert_eq!(backlog.turn_start(4), None);
    }
}
