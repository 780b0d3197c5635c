//! The stream half of a session: captured segments become words in the backlog, with the turns they open.

use std::time::Duration;

use tcpcopy_wire::{Instant, Segment, SeqNum};

use super::connection::State;
use super::user::Hearing;
use super::{Context, Rest, Session};
use crate::EngineOptions;
use crate::backlog::{ChunkKind, TurnKind, TurnMark, Word};
use crate::joining::LastSeen;
use crate::reassembly::{Mark, Place, Reassembly};
use crate::verdict::{Ignored, Verdict};

/// A user's segment farther from the stream than this is of another connection.
const REACH: u32 = 1 << 24;
/// And right after the SYN, not so far.
const HANDSHAKE_REACH: i32 = 1 << 20;
/// A handshake that took longer than this measures something else than the way to the user.
const LONGEST_RTT: Duration = Duration::from_secs(1);

/// A hole stays open for so long at least, however much faster than life a capture is replayed.
const LEAST_GAP_TIME: Duration = Duration::from_millis(200);

/// Whether captured words are kept, or belong to a turn that was given up. Where the next turn begins, a module says if
/// there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipping {
    No,
    /// The rest of the turn is not said any more; the turn is counted as lost.
    LostTurn,
    /// The turn was answered and the connection is gone: should more of the turn come, it is lost.
    AnsweredTurn,
}

impl Session {
    /// A captured segment of this connection, not a SYN.
    pub(crate) fn handle_capture(
        &mut self,
        segment: &Segment<'_>,
        captured_at: Instant,
        cx: &mut Context<'_>,
    ) {
        if self.verdict.is_some() {
            self.overhear(segment);
            cx.statistics.bytes_before_first_turn += u64::from(segment.payload_len);
            return cx.statistics.ignore(Ignored::NoSession);
        }
        self.active_at = cx.now;
        if !self.has_words() {
            self.owed_since = cx.now;
        }
        if !segment.flags.rst() {
            self.observe_user(segment, captured_at);
        }
        if self.user_has_closed() {
            return self.discard_behind_close(segment, captured_at, cx);
        }
        if segment.flags.rst() {
            return self.user_reset(segment, captured_at, cx);
        }
        if segment.is_empty() {
            return;
        }
        let mark = Mark::of(segment, captured_at);
        match self.reassembly.place(segment, mark, cx.now) {
            Place::InOrder { skip } => {
                self.append(segment.payload.get(skip..).unwrap_or_default(), mark, cx);
                self.take_ready(cx);
            }
            Place::Ahead => {}
            Place::Duplicate => cx.statistics.ignore(Ignored::Duplicate),
            Place::OutOfWindow => cx.statistics.ignore(Ignored::OutOfWindow),
            Place::NoRoom => self.end(Verdict::MemoryBudget, cx),
        }
        self.settle(cx);
    }

    /// Continues another session's capture behind its gap.
    pub(crate) fn resume_capture(&mut self, rest: Reassembly, cx: &mut Context<'_>) {
        self.reassembly = rest;
        self.connection.send.iss = self.reassembly.next() - 1;
        self.take_ready(cx);
    }

    /// The user has taken the port for another connection: nothing more will be said on this one.
    pub(crate) fn user_left(&mut self, cx: &mut Context<'_>) {
        if self.connection.state == State::TimeWait {
            return self.end(self.closing_verdict, cx);
        }
        if self.user_has_closed() {
            return;
        }
        if self.reassembly.has_hole() {
            self.closing_verdict = Verdict::CaptureGap;
            self.forget_capture(cx);
        }
        self.close_stream(ChunkKind::Fin, cx.now, None, cx);
        self.settle(cx);
    }

    /// The capture is over, and the user was still there: what was captured is said, then the connection is closed.
    pub(crate) fn capture_ended(&mut self, cx: &mut Context<'_>) {
        if self.verdict.is_none() && !self.user_has_closed() {
            self.closing_verdict = Verdict::CaptureEnded;
            self.user_left(cx);
        }
    }

    /// Gives up the hole in the capture: what was captured before it is still said, then the connection is
    /// reset. What lies behind the hole is for another session.
    pub(crate) fn split_at_gap(&mut self, cx: &mut Context<'_>) -> Option<Rest> {
        if self.gap_at(cx.options)? > cx.now {
            return None;
        }
        self.skip_gap(cx)
    }

    /// The same before the hole's time is up, as nothing will fill it any more.
    pub(crate) fn skip_gap(&mut self, cx: &mut Context<'_>) -> Option<Rest> {
        if self.verdict.is_some() || self.user_has_closed() || !self.reassembly.has_hole() {
            return None;
        }
        let next = self.reassembly.next();
        let mut rest = std::mem::replace(&mut self.reassembly, Reassembly::new(next));
        self.closing_verdict = Verdict::CaptureGap;
        self.close_stream(ChunkKind::Reset, cx.now, None, cx);
        self.settle(cx);
        let furthest = rest.furthest();
        let skipped = rest.skip_hole();
        let goes_on_at = skipped.map_or(furthest, |()| rest.next());
        cx.statistics.bytes_never_captured += u64::from(goes_on_at.distance(next).unsigned_abs());
        Some(match skipped {
            Ok(()) => Rest::Following(rest),
            Err((next, heard)) => Rest::Seeking(LastSeen { heard, next, is_listening: false }),
        })
    }

    /// Learns the user's round trip, window and manners from any captured segment.
    fn observe_user(&mut self, segment: &Segment<'_>, captured_at: Instant) {
        if !segment.flags.ack() || !self.is_plausible(segment.seq) {
            return;
        }
        self.user.window = self.user.window.max(segment.window);
        if let (Some(syn_at), None) = (self.user.syn_at, self.user.rtt) {
            self.user.rtt = Some(captured_at.since(syn_at).min(LONGEST_RTT));
        }
        self.listen(segment.ack);
        let (Some(heard), Some(spoke_at), Some(rtt)) =
            (self.last_word.ack, self.last_word.captured_at, self.user.rtt)
        else {
            return;
        };
        // What a user acknowledges sooner than an answer can have come was under way before the user spoke.
        let too_soon = captured_at.since(spoke_at) < rtt / 2;
        self.overlapping |= too_soon && segment.ack > heard;
    }

    /// Whether `seq` can be of this connection: not of an older one on the same port, whose last segments may be
    /// captured behind the new SYN.
    fn is_plausible(&self, seq: SeqNum) -> bool {
        let ahead = seq.distance(self.reassembly.next());
        if self.is_handshaking() {
            (0..=HANDSHAKE_REACH).contains(&ahead)
        } else {
            ahead.unsigned_abs() <= REACH
        }
    }

    /// The SYN was captured, and no acknowledgement of the user yet.
    pub(super) fn is_handshaking(&self) -> bool {
        self.isn.is_some() && self.last_word.ack.is_none()
    }

    fn take_ready(&mut self, cx: &mut Context<'_>) {
        while let Some((bytes, skip, mark)) = self.reassembly.pop_ready(cx.now) {
            self.append(bytes.get(skip..).unwrap_or_default(), mark, cx);
        }
    }

    /// Appends bytes that are next in order to the backlog, with the turn they open.
    fn append(&mut self, bytes: &[u8], mark: Mark, cx: &mut Context<'_>) {
        if let Some(ack) = mark.ack {
            self.listen(ack);
        }
        let mut turn = self.turn_of(mark);
        let is_served = self.module.is_some();
        if turn.is_some() && !is_served {
            self.skipping = Skipping::No;
        }
        if !bytes.is_empty() {
            cx.statistics.bytes_captured += bytes.len() as u64;
            cx.statistics.turns_captured += u64::from(turn.is_some() && !is_served);
            if let Some(verdict) = self.unsayable {
                cx.statistics.lose(verdict, u64::from(turn.take().is_some()), bytes.len() as u64);
            } else if is_served {
                let Mark { captured_at, push, .. } = mark;
                self.submit(bytes, Word { len: bytes.len(), captured_at, push, turn: turn.take() }, cx);
            } else if self.skipping == Skipping::No {
                self.backlog.push(ChunkKind::Data, bytes, mark.captured_at, mark.push, turn.take());
            } else {
                self.skip(bytes.len(), cx);
            }
        }
        if mark.fin {
            self.close_stream(ChunkKind::Fin, mark.captured_at, turn, cx);
        }
        self.heard(mark.ack);
        self.last_word.captured_at = Some(mark.captured_at);
    }

    /// More of a turn that is not said any more.
    fn skip(&mut self, bytes: usize, cx: &mut Context<'_>) {
        if self.skipping == Skipping::AnsweredTurn {
            self.skipping = Skipping::LostTurn;
            self.has_lost_turns = true;
            cx.statistics.turns_lost_to_resets += 1;
        }
        cx.statistics.bytes_lost_to_resets += bytes as u64;
    }

    /// The user acknowledges up to `ack`. The first acknowledgement of all is where hearing begins: that of the
    /// handshake, or that of the first words of a connection joined in its middle.
    fn listen(&mut self, ack: SeqNum) {
        self.first_heard.get_or_insert(ack);
        let hearing = self.hearing.get_or_insert_with(|| Hearing::new(ack));
        hearing.advance(ack);
        let heard = hearing.total;
        if self.last_word.ack.is_none() {
            self.last_word.ack = Some(ack);
            self.last_word.heard = heard;
        }
    }

    /// The user, when speaking, had heard up to `ack`; what was captured late does not take that back.
    fn heard(&mut self, ack: Option<SeqNum>) {
        if let (Some(ack), Some(hearing)) = (ack, self.hearing)
            && hearing.total_at(ack) >= self.last_word.heard
        {
            self.last_word.ack = Some(ack);
            self.last_word.heard = hearing.total_at(ack);
        }
    }

    /// A segment behind the user's FIN or reset: the online server discards what it says, and so do we.
    fn discard_behind_close(&mut self, segment: &Segment<'_>, captured_at: Instant, cx: &mut Context<'_>) {
        cx.statistics.ignore(Ignored::AfterClose);
        if segment.flags.rst() {
            return;
        }
        let mut discard = |bytes: usize| cx.statistics.bytes_after_close += bytes as u64;
        let mark = Mark::of(segment, captured_at);
        if let Place::InOrder { skip } = self.reassembly.place(segment, mark, cx.now) {
            discard(segment.payload.len().saturating_sub(skip));
            while let Some((bytes, skip, _)) = self.reassembly.pop_ready(cx.now) {
                discard(bytes.len().saturating_sub(skip));
            }
        }
    }

    /// When the present hole in the capture counts as a gap; `None` without one, or when nothing more is said.
    pub(super) fn gap_at(&self, options: &EngineOptions) -> Option<Instant> {
        let (since, patience) = self.reassembly.hole(self.last_word.ack)?;
        let patience = options.replayed(patience).max(LEAST_GAP_TIME.min(patience));
        Some(since + patience).filter(|_| !self.user_has_closed())
    }

    /// The session is over, but where the user's next turn begins is still followed.
    fn overhear(&mut self, segment: &Segment<'_>) {
        self.heard(segment.flags.ack().then_some(segment.ack));
        let end = segment.seq + segment.len();
        if end > self.reassembly.next() {
            self.reassembly = Reassembly::new(end);
        }
    }

    /// Nothing more is expected of the capture: what is held behind a hole is of no use.
    pub(super) fn forget_capture(&mut self, cx: &mut Context<'_>) {
        let next = self.reassembly.next();
        cx.statistics.bytes_never_captured +=
            u64::from(self.reassembly.furthest().distance(next).unsigned_abs());
        self.reassembly = Reassembly::new(next);
    }

    /// The turn that words with `mark` open: the first ones of all, or those after hearing something.
    fn turn_of(&self, mark: Mark) -> Option<TurnMark> {
        let heard = match (mark.ack, self.hearing) {
            (Some(ack), Some(hearing)) => hearing.total_at(ack).saturating_sub(self.last_word.heard),
            _ => 0,
        };
        let waited = match self.last_word.captured_at {
            Some(before) => mark.captured_at.since(before),
            None => {
                return Some(TurnMark { kind: TurnKind::Guessed, heard, waited: Duration::ZERO });
            }
        };
        (heard > 0).then_some(TurnMark { kind: TurnKind::Guessed, heard, waited })
    }

    /// The user aborted the connection, before or after `segment`'s place in the stream.
    fn user_reset(&mut self, segment: &Segment<'_>, captured_at: Instant, cx: &mut Context<'_>) {
        let missing = segment.seq.distance(self.reassembly.next());
        // Before the handshake is done only one number is right.
        if !self.is_plausible(segment.seq) || (self.is_handshaking() && missing != 0) {
            return cx.statistics.ignore(Ignored::OutOfWindow);
        }
        self.closing_verdict = Verdict::UserReset;
        if missing > 0 || self.reassembly.has_hole() {
            self.closing_verdict = Verdict::CaptureGap;
            let beyond = segment.seq.distance(self.reassembly.furthest()).max(0);
            cx.statistics.bytes_never_captured += u64::from(beyond.unsigned_abs());
            self.forget_capture(cx);
        }
        let turn = self.turn_of(Mark::of(segment, captured_at));
        let turn = turn.filter(|_| self.last_word.captured_at.is_some());
        self.close_stream(ChunkKind::Reset, captured_at, turn, cx);
        self.settle(cx);
    }
}
