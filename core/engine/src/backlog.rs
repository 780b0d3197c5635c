//! What the user said and the target has not yet taken: bytes with their turn marks.

mod draft;

use std::collections::VecDeque;
use std::time::Duration;

use tcpcopy_wire::Instant;

pub(crate) use draft::{Ahead, Word};

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

/// What the bytes of a chunk stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Themselves, as captured.
    Captured,
    /// So many captured bytes, that a module put these in the place of.
    Replaced(u32),
    /// So many captured bytes, that a module left out for the reason of this number.
    Discarded(u32, u16),
    /// Nothing captured: a module's own words.
    Inserted,
}

/// A run of captured bytes that came in one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) kind: ChunkKind,
    pub(crate) origin: Origin,
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
    pub(crate) kind: TurnKind,
    /// Bytes of the online server the user had heard since speaking last.
    pub(crate) heard: u64,
    /// How long the user had been silent.
    pub(crate) waited: Duration,
}

/// Who says when the turn may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnKind {
    /// The engine, from what is heard of the target.
    Guessed,
    /// A module, that has to tell so many turns before it complete.
    Judged(u64),
    /// No turn of its own: the user waited for something in the middle of one.
    Pause,
}

impl Chunk {
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }

    /// Whether a turn of the user begins with it.
    pub(crate) fn opens_turn(&self) -> bool {
        self.turn.is_some_and(|turn| turn.kind != TurnKind::Pause)
    }

    /// Captured bytes that the rest of it from `offset` on stands for.
    fn captured_from(&self, offset: u64) -> u64 {
        match self.origin {
            Origin::Captured => self.end() - offset.clamp(self.start, self.end()),
            Origin::Replaced(count) if offset < self.end() || (self.len == 0 && offset <= self.start) => {
                u64::from(count)
            }
            Origin::Replaced(_) | Origin::Discarded(..) | Origin::Inserted => 0,
        }
    }
}

/// The stream to transmit, from the first byte that may still have to be said (again) to the last captured.
///
/// Behind it lies the *draft*: captured bytes that a module has not yet dealt with, and that have no place in the
/// stream yet. Without a module there is none.
#[derive(Default)]
pub(crate) struct Backlog {
    /// The stream's bytes, then the draft's.
    bytes: VecDeque<u8>,
    chunks: VecDeque<Chunk>,
    /// Offset of `bytes[0]`.
    kept_from: u64,
    /// The end of the stream.
    end: u64,
    /// The segments that the draft consists of.
    words: VecDeque<Word>,
    /// What becomes of what is captured behind the draft.
    pub(crate) ahead: Ahead,
    /// The captured bytes of chunks that say something else, in order.
    originals: VecDeque<u8>,
}

/// Buffers larger than this are given back when they run empty.
const IDLE_CAPACITY: usize = 16 << 10;

impl Backlog {
    /// Offset of the first byte that is kept.
    pub(crate) fn kept_from(&self) -> u64 {
        self.kept_from
    }

    /// Offset just after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes of memory in use.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
            + self.originals.capacity()
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.words.capacity() * size_of::<Word>()
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
        self.bytes.extend(bytes);
        self.push_chunk(kind, Origin::Captured, bytes.len(), captured_at, push, turn);
    }

    /// The next `len` bytes become a chunk.
    fn push_chunk(
        &mut self,
        kind: ChunkKind,
        origin: Origin,
        len: usize,
        captured_at: Instant,
        push: bool,
        turn: Option<TurnMark>,
    ) {
        let chunk = Chunk { kind, origin, start: self.end, len: len as u32, captured_at, push, turn };
        self.end += len as u64;
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
        self.chunks.range(from..).find(|chunk| chunk.opens_turn())
    }

    /// How many turns begin in `from..to` (the closing word is none).
    pub(crate) fn turns_between(&self, from: u64, to: u64) -> u64 {
        let at = self.chunks.partition_point(|chunk| chunk.start < from);
        let speaks = |chunk: &&Chunk| chunk.opens_turn() && chunk.kind == ChunkKind::Data;
        self.chunks.range(at..).take_while(|chunk| chunk.start < to).filter(speaks).count() as u64
    }

    /// Turns and captured bytes in `from..` that the target has not completely taken: those that begin there, and
    /// the one that `from` lies in. The draft's bytes are among them.
    pub(crate) fn unsaid_from(&self, from: u64) -> (u64, u64) {
        let from = from.min(self.end);
        let boundary = self.chunk_at(from).is_none_or(|chunk| chunk.start == from && chunk.opens_turn());
        let begun = if from < self.end { !boundary } else { self.is_amid_forward() };
        let bytes = self.captured_between(from, self.end) + self.draft_len() as u64;
        (self.turns_between(from, self.end) + u64::from(begun), bytes)
    }

    /// How many captured bytes the bytes `from..to` stand for; none when `to` lies before `from`.
    pub(crate) fn captured_between(&self, from: u64, to: u64) -> u64 {
        let to = to.max(from);
        let chunks = self.chunks.range(self.index_at(from)..).take_while(|chunk| chunk.start < to);
        let counted = chunks.filter(|chunk| chunk.kind == ChunkKind::Data);
        counted.map(|chunk| chunk.captured_from(from) - chunk.captured_from(to)).sum()
    }

    /// Where the turn that holds the byte at `offset` begins; `None` when its beginning is forgotten.
    pub(crate) fn turn_start(&self, offset: u64) -> Option<u64> {
        let after = self.chunks.partition_point(|chunk| chunk.start <= offset);
        let opening = self.chunks.range(..after).rev().find(|chunk| chunk.opens_turn());
        opening.map(|chunk| chunk.start).filter(|start| *start >= self.kept_from)
    }

    /// The bytes `from..from + len`, in two halves; shorter when the stream ends before.
    pub(crate) fn slices(&self, from: u64, len: usize) -> [&[u8]; 2] {
        let said = self.said_len();
        let start = (from.saturating_sub(self.kept_from) as usize).min(said);
        let end = (start + len).min(said);
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
            if let Origin::Replaced(count) | Origin::Discarded(count, _) = first.origin {
                self.originals.drain(..count as usize);
            }
            self.chunks.pop_front();
        }
        if self.bytes.is_empty() && self.held() > IDLE_CAPACITY {
            self.bytes.shrink_to(IDLE_CAPACITY / 4);
            self.chunks.shrink_to(IDLE_CAPACITY / 4 / size_of::<Chunk>());
            self.originals.shrink_to(IDLE_CAPACITY / 4);
        }
    }

    /// Forgets everything and starts again at offset zero, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(self.said_len());
        self.words.clear();
        self.ahead = Ahead::Nothing;
        self.release(self.end);
        self.chunks.clear();
        self.originals.clear();
        self.kept_from = 0;
        self.end = 0;
    }

    /// Whether what is said is known to go on with what has not been captured yet.
    pub(crate) fn is_amid_forward(&self) -> bool {
        matches!(self.ahead, Ahead::Forward { amid: true, .. })
    }

    /// Bytes of the stream that are kept.
    fn said_len(&self) -> usize {
        (self.end - self.kept_from) as usize
    }

    fn index_at(&self, offset: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.kind == ChunkKind::Data && chunk.end() <= offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Option<TurnMark> {
        Some(TurnMark { kind: TurnKind::Guessed, heard: 0, waited: Duration::ZERO })
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
