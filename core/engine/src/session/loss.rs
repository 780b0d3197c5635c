//! The connection is lost and the user may still have something to say: what is said again, and where the
//! session goes on.

use std::time::Duration;

use super::connection::{Connection, State};
use super::{Context, Session};
use crate::backlog::ChunkKind;
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
    }

    /// The target reset an established connection.
    pub(super) fn connection_reset(&mut self, cx: &mut Context<'_>) {
        let all_taken = self.connection.send.fin_sent && self.connection.send.una == self.backlog.end();
        let over = self.connection.state == State::TimeWait;
        if over || (all_taken && self.gate.is_answered()) {
            self.connection.state = State::Closed;
            return self.end(self.closing_verdict, cx);
        }
        self.connection.state = State::Closed; // a reset is not answered by another
        self.start_over(cx);
    }

    /// Leaves the present connection; the next one begins with the present turn if the target has not answered
    /// it, else with the turn after it.
    pub(super) fn start_over(&mut self, cx: &mut Context<'_>) {
        let una = self.connection.send.una;
        let resume = match self.turn_at {
            Some(turn) if !self.gate.is_answered() => self.repeat_or_give_up(turn, una, cx),
            _ => self.abandon_rest_of_turn(una, cx),
        };
        self.next_connection(resume, cx);
        self.release_backlog();
        let only_closing = self.backlog.chunk_at(resume).is_some_and(|chunk| chunk.kind != ChunkKind::Data);
        if only_closing {
            self.end(self.closing_verdict, cx);
        }
    }

    /// The present turn was not answered.
    fn repeat_or_give_up(&mut self, turn: u64, una: u64, cx: &mut Context<'_>) -> u64 {
        // A turn before it may still be under way: the target has taken neither.
        let first = turn.min(una);
        if let Some(start) = self.backlog.turn_start(first).filter(|_| self.repetitions < MOST_REPETITIONS) {
            self.repetitions += 1;
            cx.statistics.turns_repeated +=
                1 + self.backlog.turns_between(start + 1, self.connection.send.nxt);
            cx.statistics.bytes_repeated += una - start;
            return start;
        }
        self.repetitions = 0;
        let resume = self.backlog.next_turn(first + 1).map_or(self.backlog.end(), |chunk| chunk.start);
        self.lose(una, resume, cx);
        resume
    }

    /// What the target has not taken before `resume` is not said any more.
    fn lose(&mut self, una: u64, resume: u64, cx: &mut Context<'_>) {
        self.has_lost_turns = true;
        cx.statistics.turns_lost_to_resets += 1;
        cx.statistics.bytes_lost_to_resets += resume.saturating_sub(una);
    }

    /// The present turn was answered, or none had begun: what the target has not taken of it is not said any
    /// more, since the answer to it has been given.
    fn abandon_rest_of_turn(&mut self, una: u64, cx: &mut Context<'_>) -> u64 {
        let begun = self.turn_at.is_some_and(|turn| turn < una.max(self.connection.send.nxt));
        let at_boundary =
            self.backlog.chunk_at(una).is_none_or(|chunk| chunk.start == una && chunk.turn.is_some());
        if !begun || at_boundary || una == self.backlog.end() {
            return una;
        }
        let resume = self.backlog.next_turn(una).map_or(self.backlog.end(), |chunk| chunk.start);
        self.lose(una, resume, cx);
        resume
    }

    /// A connection not yet asked for, whose sequence numbers lie well beyond the last one's so that neither
    /// the target nor we mistake old segments for new.
    fn next_connection(&mut self, base: u64, cx: &mut Context<'_>) {
        const BEYOND: u32 = 1 << 20;
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
        let keep = match self.turn_at {
            Some(turn) if !self.gate.is_answered() => turn.max(una.saturating_sub(KEPT_FOR_REPETITION)),
            _ => una,
        };
        self.backlog.release(keep.min(una));
    }
}
