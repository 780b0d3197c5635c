//! The connection is lost and the user may still have something to say: what is said again, and where the
//! session goes on.

use std::time::Duration;

use super::connection::{Connection, SendSide, State};
use super::{Context, Session, Skipping};
use crate::backlog::{Ahead, ChunkKind};
use crate::turns::TurnGate;
use crate::verdict::Verdict;

/// A turn is begun anew this often before it is given up: it may be what makes the target reset.
const MOST_REPETITIONS: u8 = 2;
/// Acknowledged bytes that are kept so that an unanswered turn can be said again.
const KEPT_FOR_REPETITION: u64 = 1 << 20;
/// For this long a connection is asked for before the session ends.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY_DOUBLING: u32 = 4;

impl Session {
    /// The target answered our SYN with a reset.
    pub(super) fn refused(&mut self, cx: &mut Context<'_>) {
        cx.statistics.refusals += 1;
        if cx.now.since(self.connection.asked_at) >= CONNECT_PATIENCE {
            self.connection.state = State::Closed;
            return self.end(Verdict::TargetRefused, cx);
        }
        let doublings = self.connection.refusals.min(LAST_RETRY_DOUBLING);
        let connection = &mut self.connection;
        connection.state = State::Closed;
        connection.retransmit_at = None;
        connection.syn_due = false;
        connection.refusals += 1;
        connection.connect_at = cx.now + FIRST_RETRY * (1 << doublings);
        self.settle(cx);
    }

    /// The target reset an established connection.
    pub(super) fn connection_reset(&mut self, cx: &mut Context<'_>) {
        let all_taken = self.connection.send.fin_sent && self.connection.send.una == self.backlog.end();
        let over = self.connection.state == State::TimeWait;
        self.target_ended(cx);
        if self.verdict.is_some() {
            return;
        }
        if over || (all_taken && self.is_answered()) {
            self.connection.state = State::Closed;
            return self.end(self.closing_verdict, cx);
        }
        self.connection.state = State::Closed; // a reset is not answered by another
        if self.turn_at.is_none() && self.connection.receive.nxt == 0 {
            return self.refused_after_handshake(cx);
        }
        self.start_over(cx);
    }

    /// The target accepts connections and resets them before anything can be said: as good as a refusal.
    fn refused_after_handshake(&mut self, cx: &mut Context<'_>) {
        let Connection { refusals, asked_at, send, .. } = &self.connection;
        let (refusals, una) = (*refusals, send.una);
        let asked_at = if refusals == 0 { cx.now } else { *asked_at };
        let is_in_prologue = self.is_in_prologue();
        if is_in_prologue {
            self.withdraw_turns(una, cx);
        }
        self.next_connection(una, cx);
        self.connection.refusals = refusals;
        self.connection.asked_at = asked_at;
        self.refused(cx);
        if is_in_prologue && self.verdict.is_none() {
            self.owe_reconnect(true, cx);
        }
    }

    /// Whether a module speaks words of its own, and all that is not yet taken are those.
    fn is_in_prologue(&self) -> bool {
        self.module.as_ref().is_some_and(|half| half.is_in_prologue)
    }

    /// Leaves the present connection; the next one begins with the present turn if the target has not answered
    /// it, else with the turn after it.
    pub(super) fn start_over(&mut self, cx: &mut Context<'_>) {
        if self.judge.is_judging() {
            return self.start_over_judged(cx);
        }
        let una = self.connection.send.una;
        let resume = match self.turn_at {
            Some(turn) if !self.is_answered() => self.repeat_or_give_up(turn, una, cx),
            _ => self.abandon_rest_of_turn(una, cx),
        };
        cx.statistics.turns_repeated += self.backlog.turns_between(resume, self.connection.send.nxt);
        cx.statistics.bytes_repeated += una.saturating_sub(resume);
        self.next_connection(resume, cx);
        self.release_backlog();
        if self.module.is_some() {
            // What is skipped would be missing from what the module sees.
            return if self.skipping == Skipping::No {
                self.go_on_with_module(cx);
            } else {
                self.end(Verdict::TargetReset, cx);
            };
        }
        let only_closing = self.backlog.chunk_at(resume).is_some_and(|chunk| chunk.kind != ChunkKind::Data);
        if only_closing {
            self.end(self.closing_verdict, cx);
        }
    }

    /// The same where a module judges turns: it gives each of those without an answer its place anew. What cannot be
    /// given back whole, or has been said too often, ends the session; the user's next turn begins another one.
    fn start_over_judged(&mut self, cx: &mut Context<'_>) {
        let Connection { send: SendSide { una, nxt, .. }, .. } = self.connection;
        let oldest = self.judge.oldest_open();
        // A target that is lost again before anything could be said is no better than one that does not answer.
        self.repetitions += u8::from(oldest.is_some() || self.backlog.draft_len() > 0);
        if self.repetitions > MOST_REPETITIONS {
            return self.end(Verdict::TargetReset, cx);
        }
        let resume = match oldest.filter(|oldest| *oldest <= una) {
            Some(unanswered) => unanswered,
            None => self.skip_rest_of_answered_turn(una, cx),
        };
        if !self.is_turn_boundary(resume) {
            return self.end(Verdict::TargetReset, cx);
        }
        cx.statistics.turns_repeated += self.backlog.turns_between(resume, nxt);
        cx.statistics.bytes_repeated += una.saturating_sub(resume);
        if self.skipping == Skipping::No {
            self.withdraw_turns(resume, cx);
        }
        self.next_connection(resume, cx);
        self.go_on_with_module(cx);
    }

    /// The next connection is opened when there is something to say; only then is the module told.
    fn go_on_with_module(&mut self, cx: &mut Context<'_>) {
        let is_silent = self.backlog.draft_len() == 0 && self.connection.send.una == self.backlog.end();
        if is_silent && self.user_has_closed() {
            self.end(self.closing_verdict, cx);
        } else {
            self.owe_reconnect(!is_silent, cx);
        }
    }

    /// Whether everything from `offset` on can be said on another connection: it is kept, and no turn is cut in two.
    fn is_turn_boundary(&self, offset: u64) -> bool {
        if self.is_in_prologue() {
            return true;
        }
        let is_kept = offset >= self.backlog.kept_from();
        let begins_there = match self.backlog.chunk_at(offset) {
            Some(chunk) => chunk.start == offset && (chunk.opens_turn() || chunk.kind != ChunkKind::Data),
            None => {
                let is_amid_word = self.backlog.ahead != Ahead::Nothing && self.judge.is_satisfied();
                !is_amid_word || self.skipping != Skipping::No
            }
        };
        is_kept && begins_there
    }

    /// The target answered a turn before it had taken all of it (an upload it refuses), then closed or reset: what is
    /// left of the turn is not said any more, also where the user has yet to say it. Returns where the next turn begins.
    fn skip_rest_of_answered_turn(&mut self, una: u64, cx: &mut Context<'_>) -> u64 {
        let is_amid = match self.backlog.chunk_at(una) {
            Some(chunk) => chunk.kind == ChunkKind::Data && !(chunk.start == una && chunk.opens_turn()),
            None => self.backlog.is_amid_forward(),
        };
        if is_amid && !self.is_in_prologue() { self.lose_turn(una, una, cx) } else { una }
    }

    /// The present turn was not answered.
    fn repeat_or_give_up(&mut self, turn: u64, una: u64, cx: &mut Context<'_>) -> u64 {
        // A turn before it may still be under way: the target has taken neither.
        let first = turn.min(una);
        if let Some(start) = self.backlog.turn_start(first).filter(|_| self.repetitions < MOST_REPETITIONS) {
            self.repetitions += 1;
            return start;
        }
        self.repetitions = 0;
        self.lose_turn(first, una, cx)
    }

    /// The turn that holds the byte at `within` is not said any more, as far as the target has not taken it, and
    /// neither is what may still be captured of it. Returns where the next turn begins.
    fn lose_turn(&mut self, within: u64, una: u64, cx: &mut Context<'_>) -> u64 {
        let next = self.backlog.next_turn(within + 1).map(|chunk| chunk.start);
        if next.is_none() {
            self.skipping = Skipping::LostTurn;
            self.backlog.break_forward_off();
        }
        let resume = next.unwrap_or(self.backlog.end());
        self.has_lost_turns = true;
        cx.statistics.turns_lost_to_resets += 1;
        cx.statistics.bytes_lost_to_resets += self.backlog.captured_between(una, resume);
        if let Some(generation) = self.generation {
            cx.serving.generation_mut(generation).turns_lost += 1;
        }
        resume
    }

    /// The present turn was answered, or none had begun: what the target has not taken of it is not said any
    /// more, since the answer to it has been given.
    fn abandon_rest_of_turn(&mut self, una: u64, cx: &mut Context<'_>) -> u64 {
        if self.turn_at.is_none() {
            return una;
        }
        match self.backlog.chunk_at(una) {
            Some(chunk) if chunk.kind == ChunkKind::Data && !(chunk.start == una && chunk.turn.is_some()) => {
                self.lose_turn(una, una, cx)
            }
            Some(_) => una,
            None => {
                self.skipping = Skipping::AnsweredTurn;
                una
            }
        }
    }

    /// A connection not yet asked for, whose sequence numbers lie well beyond the last one's so that neither
    /// the target nor we mistake old segments for new.
    pub(super) fn next_connection(&mut self, base: u64, cx: &mut Context<'_>) {
        const BEYOND: u32 = 1 << 26;
        let old = &self.connection;
        let iss = old.seq_after_all() + BEYOND;
        let reset = match old.state {
            State::Closed | State::SynSent | State::TimeWait => None,
            _ => Some((old.seq_after_all(), Some(old.receive_next()))),
        };
        let mss = u32::from(self.user.syn_options.mss.unwrap_or(536));
        let mut next = Connection::new(iss, base, mss, cx.now);
        next.reset_due = reset;
        self.connection = next;
        self.gate = TurnGate::default();
        self.turn_at = None;
        self.first_connection = false;
    }

    /// Forgets what need not be said again: everything the target has taken, except the turn it has not yet
    /// answered.
    pub(super) fn release_backlog(&mut self) {
        let una = self.connection.send.una;
        let keep = match self.judge.oldest_open().or(self.turn_at) {
            Some(turn) if !self.is_answered() => turn.max(una.saturating_sub(KEPT_FOR_REPETITION)),
            _ => una,
        };
        self.backlog.release(keep.min(una));
    }
}
