//! The stream half's first step: captured segments in, the user's bytes in order out.

use std::collections::VecDeque;
use std::time::Duration;

use tcpcopy_wire::{Instant, Segment, SeqNum};

/// A hole behind which the user speaks of having heard more: the online server has those bytes, the capture lost
/// them. It is given this long, since packets may be captured out of order.
const GAP_TIME: Duration = Duration::from_secs(5);
/// Any other hole: the user will repeat those bytes, with a time-out that has backed off, or is gone.
const LONGEST_GAP_TIME: Duration = Duration::from_secs(30);
/// A segment farther ahead than any sane receive window belongs to another connection.
const FARTHEST: i32 = 1 << 28;
/// Bytes and segments that may wait behind one hole.
const AHEAD_BYTES: usize = 16 << 20;
const AHEAD_PIECES: usize = 32 << 10;

/// What the headers said of a run of captured bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) captured_at: Instant,
    /// What the user had heard of the online server.
    pub(crate) ack: Option<SeqNum>,
    pub(crate) push: bool,
    pub(crate) fin: bool,
}

impl Mark {
    pub(crate) fn of(segment: &Segment<'_>, captured_at: Instant) -> Self {
        Self {
            captured_at,
            ack: segment.flags.ack().then_some(segment.ack),
            push: segment.flags.psh(),
            fin: segment.flags.fin(),
        }
    }
}

/// A captured segment that arrived before its predecessor.
struct Piece {
    start: SeqNum,
    bytes: Box<[u8]>,
    mark: Mark,
}

impl Piece {
    fn end(&self) -> SeqNum {
        self.start + self.bytes.len() as u32 + u32::from(self.mark.fin)
    }
}

/// Where a captured segment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Next in order, once its first `skip` payload bytes, captured before, are left out.
    InOrder { skip: usize },
    /// Kept until the hole before it is filled.
    Ahead,
    /// Nothing new in it.
    Duplicate,
    /// Too far from the stream to be part of it.
    OutOfWindow,
    /// No room behind the hole.
    NoRoom,
}

/// Puts captured segments of one connection in order.
pub(crate) struct Reassembly {
    next: SeqNum,
    ahead: VecDeque<Piece>,
    ahead_bytes: usize,
    hole_since: Instant,
}

impl Reassembly {
    /// A stream whose next byte has sequence number `next`.
    pub(crate) fn new(next: SeqNum) -> Self {
        Self { next, ahead: VecDeque::new(), ahead_bytes: 0, hole_since: Instant::ZERO }
    }

    /// The sequence number of the first byte not yet in order.
    pub(crate) fn next(&self) -> SeqNum {
        self.next
    }

    /// Bytes held behind holes.
    pub(crate) fn held(&self) -> usize {
        self.ahead_bytes + self.ahead.capacity() * size_of::<Piece>()
    }

    /// The end of all bytes seen, in order or not.
    pub(crate) fn furthest(&self) -> SeqNum {
        let ends = self.ahead.iter().map(|piece| piece.start + piece.bytes.len() as u32);
        ends.fold(self.next, |furthest, end| if end > furthest { end } else { furthest })
    }

    /// Whether something is held behind a hole.
    pub(crate) fn has_hole(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Since when there is a hole, and after how long it counts as a gap, the user having heard up to `heard` before it;
    /// `None` without a hole.
    pub(crate) fn hole(&self, heard: Option<SeqNum>) -> Option<(Instant, Duration)> {
        let newest = self.ahead.back()?;
        let heard_more = matches!((newest.mark.ack, heard), (Some(ack), Some(before)) if ack > before);
        Some((self.hole_since, if heard_more { GAP_TIME } else { LONGEST_GAP_TIME }))
    }

    /// Finds the place of `segment`. One that is next in order is taken as consumed; one that is ahead is
    /// copied.
    pub(crate) fn place(&mut self, segment: &Segment<'_>, mark: Mark, now: Instant) -> Place {
        let offset = segment.seq.distance(self.next);
        if offset.abs() > FARTHEST {
            return Place::OutOfWindow;
        }
        if segment.is_empty() || (segment.seq + segment.len()).distance(self.next) <= 0 {
            return Place::Duplicate;
        }
        if offset > 0 {
            return self.keep(segment, mark, now);
        }
        self.next = segment.seq + segment.len();
        Place::InOrder { skip: offset.unsigned_abs() as usize }
    }

    /// The piece that has become next in order, if any, with how many of its first bytes to leave out.
    pub(crate) fn pop_ready(&mut self, now: Instant) -> Option<(Box<[u8]>, usize, Mark)> {
        let ready = self.ahead.partition_point(|piece| piece.start <= self.next);
        let at = self.ahead.iter().take(ready).position(|piece| piece.end() > self.next);
        let stale = at.unwrap_or(ready);
        for piece in self.ahead.drain(..stale) {
            self.ahead_bytes -= piece.bytes.len();
        }
        at?;
        let piece = self.ahead.pop_front()?;
        self.ahead_bytes -= piece.bytes.len();
        let skip = self.next.distance(piece.start).unsigned_abs() as usize;
        self.next = piece.end();
        self.hole_since = now;
        Some((piece.bytes, skip, piece.mark))
    }

    /// Gives up the present hole: jumps to the first held piece that continues the one before it and acknowledges
    /// more, as that is where the user began to speak anew; a piece right behind a hole may be the rest of a longer
    /// word. Without such a piece everything held is dropped, and the end of it and the last acknowledgement are
    /// returned as the error.
    pub(crate) fn skip_hole(&mut self) -> Result<(), (SeqNum, Option<SeqNum>)> {
        let mut before: Option<(SeqNum, Option<SeqNum>)> = None;
        let opening = self.ahead.iter().position(|piece| {
            let advanced = matches!((before, piece.mark.ack),
                (Some((end, Some(heard))), Some(ack)) if piece.start == end && ack > heard);
            let (end, heard) = before.unwrap_or((piece.end(), None));
            before = Some((if piece.end() > end { piece.end() } else { end }, piece.mark.ack.or(heard)));
            advanced && !piece.bytes.is_empty()
        });
        let Some(at) = opening else {
            self.ahead.clear();
            self.ahead_bytes = 0;
            return Err(before.unwrap_or((self.next, None)));
        };
        for piece in self.ahead.drain(..at) {
            self.ahead_bytes -= piece.bytes.len();
        }
        self.next = self.ahead[0].start;
        Ok(())
    }

    fn keep(&mut self, segment: &Segment<'_>, mark: Mark, now: Instant) -> Place {
        let piece = Piece { start: segment.seq, bytes: segment.payload.into(), mark };
        if self.ahead_bytes + piece.bytes.len() > AHEAD_BYTES || self.ahead.len() == AHEAD_PIECES {
            return Place::NoRoom;
        }
        let at = self.ahead.partition_point(|other| other.start <= piece.start);
        if at > 0 && self.ahead[at - 1].end() >= piece.end() {
            return Place::Duplicate;
        }
        if self.ahead.is_empty() {
            self.hole_since = now;
        }
        self.ahead_bytes += piece.bytes.len();
        self.ahead.insert(at, piece);
        Place::Ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(seq: u32, ack: u32, payload: &[u8]) -> Segment<'_> {
        Segment {
            seq: SeqNum(seq),
            ack: SeqNum(ack),
            flags: tcpcopy_wire::Flags::ACK,
            payload,
            payload_len: payload.len() as u32,
            ..Segment::default()
        }
    }

    /// Feeds `segments` and returns the bytes that came out in order.
    fn run(reassembly: &mut Reassembly, segments: &[Segment<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let now = Instant::from_micros(at as u64);
            if let Place::InOrder { skip } = reassembly.place(segment, Mark::of(segment, now), now) {
                out.extend_from_slice(&segment.payload[skip..]);
            }
            while let Some((bytes, skip, _)) = reassembly.pop_ready(now) {
                out.extend_from_slice(&bytes[skip..]);
            }
        }
        out
    }

    #[test]
    fn any_order_overlap_and_repetition_gives_the_same_bytes() {
        let start = u32::MAX - 3; // across the wrap
        let text = b"abcdefghijkl";
        let cut = |from: usize, to: usize| data(start.wrapping_add(from as u32), 1, &text[from..to]);
        let orders = [
            vec![cut(0, 4), cut(4, 8), cut(8, 12)],
            vec![cut(8, 12), cut(4, 8), cut(0, 4)],
            vec![cut(6, 12), cut(0, 4), cut(0, 4), cut(2, 8)],
            vec![cut(4, 8), cut(4, 6), cut(8, 12), cut(2, 9), cut(0, 3)],
        ];
        for order in orders {
            let mut reassembly = Reassembly::new(SeqNum(start));
            assert_eq!(run(&mut reassembly, &order), text);
            assert!(!reassembly.has_hole());
            assert_eq!(reassembly.ahead_bytes, 0);
        }
    }

    #[test]
    fn a_fin_takes_its_place_behind_a_hole() {
        let mut reassembly = Reassembly::new(SeqNum(0));
        let mut last = data(3, 1, b"d");
        last.flags = last.flags | tcpcopy_wire::Flags::FIN;
        assert_eq!(reassembly.place(&last, Mark::of(&last, Instant::ZERO), Instant::ZERO), Place::Ahead);
        assert_eq!(run(&mut reassembly, &[data(0, 1, b"abc")]), b"abcd");
        assert_eq!(reassembly.next(), SeqNum(5));
    }

    #[test]
    fn a_hole_that_stays_is_skipped_to_where_the_user_spoke_anew() {
        let mut reassembly = Reassembly::new(SeqNum(0));
        run(&mut reassembly, &[data(0, 10, b"ab"), data(4, 15, b"ef"), data(6, 20, b"gh")]);
        assert_eq!(reassembly.hole(Some(SeqNum(10))), Some((Instant::from_micros(1), GAP_TIME)));
        assert_eq!(reassembly.hole(Some(SeqNum(20))), Some((Instant::from_micros(1), LONGEST_GAP_TIME)));
        assert_eq!(reassembly.skip_hole(), Ok(()));
        let (bytes, skip, _) = reassembly.pop_ready(Instant::ZERO).unwrap();
        assert_eq!((&bytes[..], skip), (&b"gh"[..], 0));
    }

    #[test]
    fn a_hole_without_a_later_turn_tells_what_was_heard_last() {
        let mut reassembly = Reassembly::new(SeqNum(0));
        run(&mut reassembly, &[data(0, 10, b"ab"), data(4, 10, b"ef")]);
        assert_eq!(reassembly.skip_hole(), Err((SeqNum(6), Some(SeqNum(10)))));
        assert!(!reassembly.has_hole());
    }

    #[test]
    fn what_lies_far_outside_is_of_another_connection() {
        let mut reassembly = Reassembly::new(SeqNum(0));
        let stray = data(1 << 30, 1, b"x");
        assert_eq!(
            reassembly.place(&stray, Mark::of(&stray, Instant::ZERO), Instant::ZERO),
            Place::OutOfWindow
        );
    }
}
