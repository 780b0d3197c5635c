//! A session's timers: one deadline, and what happens when it passes.

use std::time::Duration;

use tcpcopy_wire::Instant;

use super::connection::State;
use super::loss::CONNECT_PATIENCE;
use super::{Context, Session};
use crate::EngineOptions;
use crate::verdict::Verdict;

/// A connection of which only one side has opened, or only one closed, is left after this long.
const HALF_WAY: Duration = Duration::from_secs(60);
/// Time-outs in a row after which a full segment is taken to be too large for the path (RFC 4821 §7.7).
const BLACK_HOLE_EXPIRATIONS: u32 = 3;
const BLACK_HOLE_MSS: u32 = 536;

impl Session {
    /// When [`Self::handle_timeout`] is due next, whether or not anything else happens; beside that, time-outs
    /// of many seconds are looked after by [`Self::is_out_of_patience`].
    pub(crate) fn deadline(&self, options: &EngineOptions, now: Instant) -> Instant {
        if self.verdict.is_some() {
            return Instant::MAX;
        }
        let connection = &self.connection;
        let connect =
            (connection.state == State::Closed && self.wants_connection()).then_some(connection.connect_at);
        [
            connection.retransmit_at,
            self.acknowledges_at(),
            connect,
            connection.gone_at,
            self.gap_at(options),
            self.module.as_ref().and_then(|half| half.next_at()),
            self.turn_opens_at(options, now),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(Instant::MAX)
    }

    /// Time has passed. Holes in the capture are the caller's: [`Self::split_at_gap`].
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if self.verdict.is_some() {
            return;
        }
        if self.connection.gone_at.is_some_and(|at| at <= cx.now) {
            self.connection.state = State::Closed;
            return self.end(self.closing_verdict, cx);
        }
        if self.connection.retransmit_at.is_some_and(|at| at <= cx.now) {
            self.retransmission_timeout(cx);
        }
        self.module_timeout(cx);
    }

    /// Whether the long time-outs (`-t`, `-k`) have passed: [`Self::lose_patience`] is due.
    pub(crate) fn is_out_of_patience(&self, options: &EngineOptions, now: Instant) -> bool {
        self.verdict.is_none() && self.patience_ends_at(options) <= now
    }

    /// Ends the session for having waited too long.
    pub(crate) fn lose_patience(&mut self, cx: &mut Context<'_>) {
        let is_module_late = self.backlog.draft_len() > 0 && !self.connection.awaits_acknowledgement();
        if is_module_late && self.judge.is_satisfied() {
            return self.give_up_on_module(cx);
        }
        let verdict = match self.connection.state {
            State::FinWait2 => self.closing_verdict,
            _ if self.has_words() || self.awaits_answer() => Verdict::TargetSilent,
            _ => Verdict::Idle,
        };
        self.end(verdict, cx);
    }

    /// Whether something captured is still to be said.
    pub(crate) fn has_words(&self) -> bool {
        self.connection.send.nxt < self.backlog.end()
            || self.backlog.draft_len() > 0
            || self.connection.awaits_acknowledgement()
            || (self.backlog.closing().is_some() && !self.connection.send.fin_sent)
    }

    /// The online server answered the user's last words, the target has not.
    fn awaits_answer(&self) -> bool {
        let answered_online = self.hearing.is_some_and(|hearing| hearing.total > self.last_word.heard);
        self.turn_at.is_some() && !self.is_answered() && answered_online
    }

    /// `-t` while something is due, `-k` while nothing is.
    fn patience_ends_at(&self, options: &EngineOptions) -> Instant {
        match self.connection.state {
            State::FinWait2 => self.active_at + HALF_WAY,
            State::TimeWait => Instant::MAX,
            _ if self.has_words() || self.awaits_answer() => {
                self.owed_since.max(self.heard_at) + options.response_timeout
            }
            // A SYN that was never followed up: a scan or a flood, not a user, however long the target repeats itself.
            _ if self.last_word.ack.is_none() => self.opened_at + HALF_WAY.min(options.idle_timeout),
            _ => self.active_at + options.idle_timeout,
        }
    }

    /// RFC 6298 §5.4–5.7, RFC 9293 §3.8.6.1 for a closed window.
    fn retransmission_timeout(&mut self, cx: &mut Context<'_>) {
        let asked_long = cx.now.since(self.connection.asked_at) >= CONNECT_PATIENCE;
        if self.connection.state == State::SynSent && asked_long {
            self.connection.state = State::Closed;
            return self.end(Verdict::TargetUnreachable, cx);
        }
        let connection = &mut self.connection;
        connection.rtt.back_off();
        connection.retransmit_at = Some(cx.now + connection.rtt.timeout());
        if connection.state == State::SynSent {
            cx.statistics.timeouts += 1;
            connection.syn_due = true;
            return;
        }
        if !connection.awaits_acknowledgement() {
            connection.probe_due = true;
            return;
        }
        cx.statistics.timeouts += 1;
        let in_flight = (connection.send.nxt - connection.send.una) as u32;
        connection.congestion.on_timeout(in_flight);
        let send = &mut connection.send;
        send.sacked.clear();
        send.lost_to = send.nxt;
        send.resent_to = send.una;
        send.recovering_to = Some(send.nxt);
        send.duplicate_acks = 0;
        send.timed = None;
        send.fin_lost = send.fin_sent;
        let full_segment = in_flight > BLACK_HOLE_MSS;
        if connection.rtt.expirations() == BLACK_HOLE_EXPIRATIONS && full_segment {
            connection.send.mss = connection.send.mss.min(BLACK_HOLE_MSS);
        }
    }
}
