//! The draft: captured bytes that a module has yet to deal with, and what becomes of them.

use tcpcopy_wire::Instant;

use super::{Backlog, Chunk, ChunkKind, Origin, TurnMark};

/// A run of draft bytes that came in one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) len: usize,
    pub(crate) captured_at: Instant,
    pub(crate) push: bool,
    /// The user had heard something before it.
    pub(crate) turn: Option<TurnMark>,
}

/// What becomes of captured bytes that have not come yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// They are shown.
    #[default]
    Nothing,
    /// So many are said unseen. `amid`: they go on with what is said already.
    Forward { count: u64, amid: bool },
    /// All that will ever come are said unseen.
    ForwardAll,
    /// So many are left out unseen, for the reason of this number.
    Discard(u64, u16),
}

/// What a withdrawal undid.
#[derive(Debug, Default)]
pub(crate) struct Withdrawn {
    /// Turns that will be opened again.
    pub(crate) turns: u64,
    /// The closing word, if it had been said already.
    pub(crate) closing: Option<Chunk>,
    /// Bytes left out, with the number of the reason.
    pub(crate) discards: Vec<(u16, u32)>,
}

impl Backlog {
    /// Bytes in the draft.
    pub(crate) fn draft_len(&self) -> usize {
        self.bytes.len() - self.said_len()
    }

    /// The draft's bytes.
    pub(crate) fn draft(&mut self) -> &[u8] {
        let said = self.said_len();
        let front = self.bytes.as_slices().0.len();
        if front <= said {
            return &self.bytes.as_slices().1[said - front..];
        }
        if front < self.bytes.len() {
            self.bytes.make_contiguous();
        }
        &self.bytes.as_slices().0[said..]
    }

    /// Bytes of the draft that came in its first segment.
    pub(crate) fn first_word_len(&self) -> usize {
        self.words.front().map_or(0, |word| word.len)
    }

    /// When the last of the draft's first `count` bytes was captured: those of its first segment, or all.
    pub(crate) fn drafted_at(&self, count: usize) -> Option<Instant> {
        let word = if count > self.first_word_len() { self.words.back() } else { self.words.front() };
        word.map(|word| word.captured_at)
    }

    /// Appends a captured segment to the draft.
    pub(crate) fn write(&mut self, bytes: &[u8], captured_at: Instant, push: bool, turn: Option<TurnMark>) {
        self.bytes.extend(bytes);
        self.words.push_back(Word { len: bytes.len(), captured_at, push, turn });
    }

    /// The next `count` bytes of the draft are said as they are. `mark` is asked, for each word that begins in them, what
    /// its mark becomes.
    pub(crate) fn forward(
        &mut self,
        count: usize,
        mut mark: impl FnMut(Option<TurnMark>) -> Option<TurnMark>,
    ) {
        let mut left = count.min(self.draft_len());
        while left > 0 {
            let Some(part) = self.take_word(left) else { return };
            left -= part.len;
            let turn = mark(part.turn);
            self.push_chunk(ChunkKind::Data, Origin::Captured, part.len, part.captured_at, part.push, turn);
        }
    }

    /// `by` is said instead of the next `count` bytes of the draft.
    pub(crate) fn replace(
        &mut self,
        count: usize,
        by: &[u8],
        now: Instant,
        mark: impl FnMut(Option<TurnMark>) -> Option<TurnMark>,
    ) {
        let (taken, captured_at, turn) = self.cut(count, by, mark);
        let origin = if taken == 0 { Origin::Inserted } else { Origin::Replaced(taken as u32) };
        self.push_chunk(ChunkKind::Data, origin, by.len(), captured_at.unwrap_or(now), true, turn);
    }

    /// The next `count` bytes of the draft are not said, for the reason of number `reason`. What the user had heard before
    /// them goes to `mark`, which cannot give it a place here.
    pub(crate) fn discard(
        &mut self,
        count: usize,
        reason: u16,
        now: Instant,
        mark: impl FnMut(Option<TurnMark>) -> Option<TurnMark>,
    ) {
        let (taken, captured_at, _) = self.cut(count, &[], mark);
        let origin = Origin::Discarded(taken as u32, reason);
        self.push_chunk(ChunkKind::Data, origin, 0, captured_at.unwrap_or(now), false, None);
    }

    /// What is forwarded before it comes goes on with nothing that is still to be said.
    pub(crate) fn break_forward_off(&mut self) {
        if let Ahead::Forward { amid, .. } = &mut self.ahead {
            *amid = false;
        }
    }

    /// The next `count` bytes of the draft are gone: they get no place in the stream, and cannot be given back.
    pub(crate) fn skip(&mut self, count: usize) {
        let mut left = count.min(self.draft_len());
        let from = self.said_len();
        self.bytes.drain(from..from + left);
        while left > 0 {
            let Some(part) = self.take_word(left) else { return };
            left -= part.len;
        }
    }

    /// Everything from the byte at `offset` on, where a chunk begins, is draft again, as captured. A module's own words may
    /// be cut in two: their rest is gone.
    pub(crate) fn withdraw(&mut self, offset: u64) -> Withdrawn {
        self.ahead = Ahead::Nothing;
        let from = self.chunks.partition_point(|chunk| chunk.start < offset);
        if let Some(own) = self.chunks.range_mut(..from).next_back()
            && own.end() > offset
        {
            own.len = (offset - own.start) as u32;
        }
        let mut withdrawn = Withdrawn::default();
        let mut draft: Vec<u8> = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        let replaced: usize = self.chunks.range(from..).map(|chunk| chunk.original_len()).sum();
        let mut originals = self.originals.split_off(self.originals.len() - replaced);
        for chunk in self.chunks.drain(from..) {
            if chunk.kind != ChunkKind::Data {
                withdrawn.closing = Some(chunk);
                continue;
            }
            withdrawn.turns += u64::from(chunk.opens_turn());
            let before = draft.len();
            match chunk.origin {
                Origin::Captured => {
                    let start = (chunk.start - self.kept_from) as usize;
                    draft.extend(self.bytes.range(start..start + chunk.len as usize));
                }
                Origin::Replaced(count) => draft.extend(originals.drain(..count as usize)),
                Origin::Discarded(count, reason) => {
                    withdrawn.discards.push((reason, count));
                    draft.extend(originals.drain(..count as usize));
                }
                Origin::Inserted => continue,
            }
            let Chunk { captured_at, push, turn, .. } = chunk;
            words.push(Word { len: draft.len() - before, captured_at, push, turn });
        }
        let rest = self.bytes.split_off(self.said_len());
        self.bytes.truncate((offset - self.kept_from) as usize);
        self.end = offset;
        self.bytes.extend(draft);
        self.bytes.extend(rest);
        for word in words.into_iter().rev() {
            self.words.push_front(word);
        }
        withdrawn
    }

    /// Cuts the next `count` bytes out of the draft, keeps them as originals, and puts `by` in their place. Returns how
    /// many they were, when the first of them was captured, and the mark of what is said instead.
    fn cut(
        &mut self,
        count: usize,
        by: &[u8],
        mut mark: impl FnMut(Option<TurnMark>) -> Option<TurnMark>,
    ) -> (usize, Option<Instant>, Option<TurnMark>) {
        let count = count.min(self.draft_len());
        let (mut left, mut captured_at, mut turn) = (count, None, None);
        while left > 0 {
            let Some(part) = self.take_word(left) else { break };
            left -= part.len;
            captured_at.get_or_insert(part.captured_at);
            turn = turn.or(mark(part.turn));
        }
        if count == 0 {
            turn = mark(None);
        }
        let mut rest = self.bytes.split_off(self.said_len());
        self.originals.extend(rest.drain(..count));
        self.bytes.extend(by);
        self.bytes.extend(rest);
        (count, captured_at, turn)
    }

    /// The next word of the draft, or its first `most` bytes. Only the first part has its mark; every part is pushed where
    /// the word is, or where the module stops, as nobody knows when the rest will be said.
    fn take_word(&mut self, most: usize) -> Option<Word> {
        let word = self.words.front_mut()?;
        if word.len <= most {
            return self.words.pop_front();
        }
        word.len -= most;
        Some(Word { len: most, push: true, turn: word.turn.take(), ..*word })
    }
}

impl Chunk {
    /// Captured bytes of it that lie among the originals.
    fn original_len(&self) -> usize {
        match self.origin {
            Origin::Replaced(count) | Origin::Discarded(count, _) => count as usize,
            Origin::Captured | Origin::Inserted => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafted(words: &[&[u8]]) -> Backlog {
        let mut backlog = Backlog::default();
        for word in words {
            backlog.write(word, Instant::ZERO, true, None);
        }
        backlog
    }

    fn said(backlog: &Backlog) -> Vec<u8> {
        backlog.slices(0, usize::MAX >> 1).concat()
    }

    #[test]
    fn what_is_forwarded_keeps_the_users_segments() {
        let mut backlog = drafted(&[b"abc", b"defg"]);
        backlog.forward(5, |turn| turn);
        assert_eq!((said(&backlog), backlog.draft()), (b"abcde".to_vec(), &b"fg"[..]));
        let ends: Vec<_> = [0, 3].map(|at| backlog.chunk_at(at).unwrap().end()).into();
        assert_eq!(ends, [3, 5]);
    }

    #[test]
    fn edits_change_what_is_said_and_not_what_was_captured() {
        let mut backlog = drafted(&[b"GET / Host: a", b" more"]);
        backlog.forward(6, |turn| turn);
        backlog.replace(7, b"Host: other", Instant::ZERO, |turn| turn);
        backlog.discard(2, 0, Instant::ZERO, |turn| turn);
        backlog.replace(0, b"!", Instant::ZERO, |turn| turn);
        assert_eq!((said(&backlog), backlog.draft()), (b"GET / Host: other!".to_vec(), &b"ore"[..]));
        assert_eq!(backlog.captured_between(0, backlog.end()), 13);
        assert_eq!(backlog.unsaid_from(0), (1, 16));
        assert_eq!(backlog.unsaid_from(9), (1, 10));
    }

    #[test]
    fn a_withdrawal_gives_everything_captured_back() {
        let mut backlog = drafted(&[b"zero", b"one", b"two", b"three"]);
        backlog.forward(4, |turn| turn);
        backlog.replace(3, b"ONE!", Instant::ZERO, |turn| turn);
        backlog.discard(1, 7, Instant::ZERO, |turn| turn);
        backlog.forward(2, |turn| turn);
        backlog.replace(0, b"inserted", Instant::ZERO, |turn| turn);
        let withdrawn = backlog.withdraw(4);
        assert_eq!((said(&backlog), backlog.draft()), (b"zero".to_vec(), &b"onetwothree"[..]));
        assert_eq!(withdrawn.discards, [(7, 1)]);
        assert!(backlog.originals.is_empty());
        backlog.forward(11, |turn| turn);
        assert_eq!(said(&backlog), b"zeroonetwothree");
        assert_eq!(backlog.words.len(), 0);
    }

    #[test]
    fn a_turn_is_not_said_before_the_last_of_its_bytes_has_come() {
        let mut backlog = drafted(&[b"PUT / ab"]);
        backlog.forward(8, |turn| turn);
        assert_eq!(backlog.unsaid_from(8), (0, 0));
        backlog.ahead = Ahead::Forward { count: 2, amid: true };
        assert_eq!(backlog.unsaid_from(8), (1, 0));
        backlog.clear();
        assert_eq!((backlog.unsaid_from(0), backlog.ahead), ((0, 0), Ahead::Nothing));
    }

    #[test]
    fn what_is_skipped_leaves_the_rest_of_the_draft() {
        let mut backlog = drafted(&[b"abc", b"defg", b"hi"]);
        backlog.forward(1, |turn| turn);
        backlog.skip(4);
        assert_eq!((said(&backlog), backlog.draft()), (b"a".to_vec(), &b"fghi"[..]));
        assert_eq!((backlog.first_word_len(), backlog.unsaid_from(1)), (2, (0, 4)));
    }

    #[test]
    fn released_edits_take_their_originals_along() {
        let mut backlog = drafted(&[b"abcdef"]);
        backlog.replace(3, b"X", Instant::ZERO, |turn| turn);
        backlog.replace(2, b"YY", Instant::ZERO, |turn| turn);
        backlog.release(1);
        assert_eq!(backlog.originals, b"de");
        assert_eq!(backlog.withdraw(1).turns, 0);
        assert_eq!(backlog.draft(), b"def");
    }
}
