//! The only maker of segments: what is due is derived from the state, as late as possible.

use tcpcopy_wire::{
    Flags, Instant, Ipv4Identification, Options, SackBlocks, Segment, SeqNum, Timestamps, emit,
};

use super::connection::{AckDue, Connection, State};
use super::{Context, Session, Skipping};
use crate::backlog::{Chunk, ChunkKind, TurnKind, TurnMark};
use crate::turns::Opening;
use crate::{Awaited, EngineOptions};

/// One segment to be made.
enum Due {
    Reset { seq: SeqNum, ack: Option<SeqNum> },
    Syn,
    Data { from: u64, len: usize, push: bool, fin: bool },
    Fin,
    Probe,
    Ack,
}

impl Session {
    /// Makes the next segment that is due, as an IP packet in `out`, and returns its length. `None`: nothing is
    /// due before the next `handle_*`.
    pub(crate) fn poll_transmit(
        &mut self,
        identification: Ipv4Identification,
        out: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        let due = self.next_due(cx)?;
        let again = self.record(&due, cx);
        let segment = self.segment(&due, cx.now);
        let payload = match due {
            Due::Data { from, len, .. } => self.backlog.slices(from, len),
            _ => [&[][..], &[][..]],
        };
        cx.statistics.segments += 1;
        cx.statistics.payload_bytes += (payload[0].len() + payload[1].len()) as u64;
        cx.statistics.retransmissions += u64::from(again);
        // Cannot fail: both ends are of one family, and segments respect the MTU.
        emit(&segment, identification, payload, out).ok()
    }

    /// When the next turn may begin; `None` when none waits for its time alone.
    pub(super) fn turn_opens_at(&self, options: &EngineOptions, now: Instant) -> Option<Instant> {
        let connection = &self.connection;
        if !connection.may_speak() {
            return None;
        }
        let chunk = self.backlog.chunk_at(connection.send.nxt)?;
        match self.opening(chunk, options) {
            Opening::Now | Opening::WhenComplete => None,
            Opening::NotBefore(at) => Some(at).filter(|at| *at > now),
        }
    }

    /// A connection is asked for when its SYN was captured or there is something to say.
    pub(super) fn wants_connection(&self) -> bool {
        let next = self.backlog.chunk_at(self.connection.send.una);
        let wanted = (self.first_connection && self.user.syn_at.is_some())
            || next.is_some_and(|chunk| chunk.kind == ChunkKind::Data)
            || (self.backlog.draft_len() > 0 && self.skipping == Skipping::No);
        wanted && self.unsayable.is_none()
    }

    fn next_due(&mut self, cx: &mut Context<'_>) -> Option<Due> {
        if let Some((seq, ack)) = self.connection.reset_due {
            return Some(Due::Reset { seq, ack });
        }
        if self.verdict.is_some() {
            return None;
        }
        if self.syn_due(cx.now) {
            return Some(Due::Syn);
        }
        if !self.connection.is_synchronised() {
            return None;
        }
        self.retransmission_due()
            .or_else(|| self.speech_due(cx))
            .or_else(|| self.connection.probe_due.then_some(Due::Probe))
            .or_else(|| self.acknowledges_at().is_some_and(|at| at <= cx.now).then_some(Due::Ack))
    }

    fn syn_due(&self, now: Instant) -> bool {
        let connection = &self.connection;
        match connection.state {
            State::Closed => connection.connect_at <= now && self.wants_connection(),
            State::SynSent => connection.syn_due,
            _ => false,
        }
    }

    /// What was lost, first hole first, as far as the windows allow.
    fn retransmission_due(&self) -> Option<Due> {
        let connection = &self.connection;
        let send = &connection.send;
        let from = send.resent_to.max(send.una);
        if let Some((start, end)) = send.sacked.hole(from, send.lost_to) {
            let chunk = self.backlog.chunk_at(start)?;
            let len = (end.min(chunk.end()) - start).min(u64::from(send.mss));
            let fits = connection.in_flight() + len <= u64::from(connection.congestion.window());
            let fin = send.fin_lost && start + len == send.nxt;
            let push = chunk.push && start + len == chunk.end();
            let first = start == send.una;
            return (fits || first).then_some(Due::Data { from: start, len: len as usize, push, fin });
        }
        send.fin_lost.then_some(Due::Fin)
    }

    /// The next new words: data or FIN, or the reset that the user's own reset asks for.
    fn speech_due(&mut self, cx: &mut Context<'_>) -> Option<Due> {
        if !self.connection.may_speak() {
            return None;
        }
        let nxt = self.connection.send.nxt;
        let chunk = *self.backlog.chunk_at(nxt)?;
        match self.opening(&chunk, cx.options) {
            Opening::NotBefore(at) if at > cx.now => return None,
            Opening::WhenComplete => return None,
            Opening::NotBefore(_) | Opening::Now => {}
        }
        if self.is_closed_by_target_before(&chunk) {
            self.start_over(cx);
            return self.connection.reset_due.map(|(seq, ack)| Due::Reset { seq, ack });
        }
        match chunk.kind {
            ChunkKind::Data => self.data_due(&chunk, cx),
            ChunkKind::Fin => Some(Due::Fin),
            ChunkKind::Reset => {
                if self.connection.send.una < nxt {
                    return None;
                }
                self.end(self.closing_verdict, cx);
                self.connection.reset_due.map(|(seq, ack)| Due::Reset { seq, ack })
            }
        }
    }

    /// The target has closed its half and the user speaks anew, or closes without the answer production gave:
    /// nothing will come back on this connection.
    fn is_closed_by_target_before(&self, chunk: &Chunk) -> bool {
        let Some(turn) = chunk.turn.filter(|_| self.connection.state == State::CloseWait) else {
            return false;
        };
        match chunk.kind {
            ChunkKind::Data => true,
            ChunkKind::Fin | ChunkKind::Reset => {
                turn.heard > 0 && self.turn_at.is_some() && !self.is_answered()
            }
        }
    }

    /// Whether `chunk` may be said, as far as turns are concerned.
    fn opening(&self, chunk: &Chunk, options: &EngineOptions) -> Opening {
        let Some(turn) = &chunk.turn else {
            return Opening::Now;
        };
        let begun = self.connection.send.nxt > chunk.start;
        let first_elsewhere = self.turn_at.is_none() && !self.first_connection;
        let overlaps = match options.awaited {
            Awaited::Answers => false,
            Awaited::Greetings => self.turn_at.is_some(),
            Awaited::Nothing => true,
        };
        let target_gone = self.connection.state == State::CloseWait;
        if begun || first_elsewhere || overlaps || target_gone {
            return Opening::Now;
        }
        let pace = self.pace(options);
        let turn = &TurnMark { waited: options.replayed(turn.waited), ..*turn };
        let caught_up = self.overlapping && self.gate.has_caught_up(turn);
        match self.judge.opening(turn, caught_up, pace) {
            // A request that was broken off is never answered; its user left all the same.
            Some(Opening::WhenComplete) if chunk.kind != ChunkKind::Data => self.gate.patience(),
            Some(opening) => opening,
            None => self.gate.opening(turn, self.overlapping, pace),
        }
    }

    /// RFC 9293 §3.8.6.2.1 (sender's silly window avoidance): a whole piece, or half the largest window, or
    /// anything at all when nothing is under way.
    fn data_due(&mut self, chunk: &Chunk, cx: &Context<'_>) -> Option<Due> {
        let connection = &self.connection;
        let send = &connection.send;
        let wanted = (chunk.end() - send.nxt).min(u64::from(send.mss));
        let offered = (send.una + u64::from(send.window)).saturating_sub(send.nxt);
        let allowed = u64::from(connection.congestion.window()).saturating_sub(connection.in_flight());
        let room = offered.min(allowed);
        let idle = send.nxt == send.una;
        let len = wanted.min(room);
        let worthwhile =
            len == wanted || len >= u64::from(send.largest_window / 2).max(1) || (idle && len > 0);
        if !worthwhile {
            self.persist(idle, cx);
            return None;
        }
        let end = send.nxt + len;
        let fin = end == self.backlog.end()
            && self.backlog.closing().is_some_and(|word| word.kind == ChunkKind::Fin && word.turn.is_none());
        Some(Due::Data { from: send.nxt, len: len as usize, push: chunk.push && end == chunk.end(), fin })
    }

    /// RFC 9293 §3.8.6.1: a closed window is probed when nothing else will tell of its opening.
    fn persist(&mut self, idle: bool, cx: &Context<'_>) {
        if idle && self.connection.retransmit_at.is_none() {
            self.connection.retransmit_at = Some(cx.now + self.connection.rtt.timeout());
        }
    }

    /// When the target's words are acknowledged without words of ours. Its SYN-ACK waits until the user has
    /// acknowledged production's: a flood of SYNs that no user follows up must not fill the target's accept queue.
    pub(super) fn acknowledges_at(&self) -> Option<Instant> {
        match self.connection.ack_due {
            AckDue::At(at) if !self.is_handshaking() => Some(at),
            _ => None,
        }
    }

    /// Moves the state past the segment about to be made; whether it had been made before.
    fn record(&mut self, due: &Due, cx: &mut Context<'_>) -> bool {
        match *due {
            Due::Reset { .. } => {
                self.connection.reset_due = None;
                return false;
            }
            Due::Syn => return self.record_syn(cx),
            Due::Data { from, len, fin, .. } => {
                let again = from < self.connection.send.nxt;
                self.record_data(from, from + len as u64, again, cx);
                if fin {
                    self.record_fin();
                }
                self.acknowledged_by_us();
                return again;
            }
            Due::Fin => {
                let again = self.connection.send.fin_lost;
                self.record_fin();
                self.connection.restart_retransmit(cx.now);
                self.acknowledged_by_us();
                return again;
            }
            Due::Probe => {
                cx.statistics.probes += 1;
                self.connection.probe_due = false;
            }
            Due::Ack => self.acknowledged_by_us(),
        }
        false
    }

    fn record_syn(&mut self, cx: &mut Context<'_>) -> bool {
        let connection = &mut self.connection;
        let again = connection.state == State::SynSent;
        if !again {
            if connection.refusals == 0 {
                connection.asked_at = cx.now;
                cx.statistics.reconnects += u64::from(!self.first_connection);
            }
            connection.state = State::SynSent;
            connection.send.timed = Some((connection.send.base, cx.now));
            connection.retransmit_at = Some(cx.now + connection.rtt.timeout());
        } else {
            connection.send.timed = None; // Karn's rule
        }
        connection.syn_due = false;
        again
    }

    fn record_data(&mut self, from: u64, end: u64, again: bool, cx: &mut Context<'_>) {
        if let Some(turn) =
            self.backlog.chunk_at(from).filter(|chunk| chunk.start == from && !again).and_then(|c| c.turn)
        {
            let waited_in_vain = self.turn_at.is_some() && turn.heard > 0 && !self.gate.is_answered();
            cx.statistics.turns_not_awaited +=
                u64::from(waited_in_vain && cx.options.awaited == Awaited::Answers);
            self.gate.on_turn(&turn, cx.now);
            if turn.kind != TurnKind::Pause {
                self.turn_at = Some(from);
            }
        }
        let send = &mut self.connection.send;
        if again {
            send.resent_to = end;
        } else {
            if send.timed.is_none() && send.recovering_to.is_none() {
                send.timed = Some((end, cx.now));
            }
            send.nxt = end;
            self.gate.on_speech(cx.now);
            self.judge.on_speech(from, cx.now);
        }
        if self.connection.retransmit_at.is_none() {
            self.connection.restart_retransmit(cx.now);
        }
    }

    fn record_fin(&mut self) {
        let connection = &mut self.connection;
        connection.send.fin_sent = true;
        connection.send.fin_lost = false;
        connection.state = match connection.state {
            State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            other => other,
        };
    }

    /// Every segment but a SYN or RST acknowledges all we have seen.
    fn acknowledged_by_us(&mut self) {
        self.connection.ack_due = AckDue::Never;
        self.connection.receive.unacknowledged = 0;
    }

    fn segment(&self, due: &Due, now: Instant) -> Segment<'static> {
        let connection = &self.connection;
        let mut segment = Segment {
            source: self.flow.client,
            destination: self.flow.server,
            ack: connection.receive_next(),
            flags: Flags::ACK,
            window: if connection.receive.is_scaled { self.user.window } else { u16::MAX },
            ttl: self.user.ttl,
            tos: self.user.tos,
            ..Segment::default()
        };
        match *due {
            Due::Syn => return self.syn(segment, now),
            Due::Reset { seq, ack } => {
                segment.seq = seq;
                segment.ack = ack.unwrap_or_default();
                segment.flags = if ack.is_some() { Flags::RST | Flags::ACK } else { Flags::RST };
                return segment;
            }
            Due::Data { from, push, fin, .. } => {
                segment.seq = connection.seq(from);
                segment.flags = with(segment.flags, Flags::PSH, push);
                segment.flags = with(segment.flags, Flags::FIN, fin);
            }
            Due::Fin => {
                segment.seq = connection.seq(connection.send.nxt);
                segment.flags = segment.flags | Flags::FIN;
            }
            // One below SND.UNA: not acceptable, so it must be answered (RFC 9293 §3.10.7.4).
            Due::Probe => segment.seq = connection.seq(connection.send.una) - 1,
            Due::Ack => segment.seq = connection.seq_after_all(),
        }
        segment.options = self.options(now, matches!(due, Due::Ack));
        segment
    }

    fn syn(&self, segment: Segment<'static>, now: Instant) -> Segment<'static> {
        let stamps = self.user.syn_options.timestamps.map(|_| self.timestamps(now, 0));
        Segment {
            seq: self.connection.send.iss,
            ack: SeqNum(0),
            flags: Flags::SYN,
            window: self.user.syn_window,
            options: Options { timestamps: stamps, ..self.user.syn_options },
            ..segment
        }
    }

    /// SACK blocks go with segments that carry nothing else, so that a full segment stays within the MTU.
    fn options(&self, now: Instant, selective: bool) -> Options {
        let receive = &self.connection.receive;
        Options {
            timestamps: receive.ts_recent.map(|recent| self.timestamps(now, recent)),
            sack: if selective { self.sack_blocks() } else { SackBlocks::default() },
            ..Options::default()
        }
    }

    fn timestamps(&self, now: Instant, echo: u32) -> Timestamps {
        Timestamps { value: self.user.timestamp(now), echo }
    }

    /// RFC 2018 §4: what we hold above RCV.NXT, the block with the segment seen last first.
    fn sack_blocks(&self) -> SackBlocks {
        let connection = &self.connection;
        let receive = &connection.receive;
        let mut blocks = SackBlocks::default();
        if !connection.send.sack_permitted {
            return blocks;
        }
        let is_latest = |range: &(u64, u64)| (range.0..range.1).contains(&receive.latest);
        let latest = receive.ahead.iter().find(is_latest);
        let others = receive.ahead.iter().filter(|range| !is_latest(range));
        for (left, right) in latest.into_iter().chain(others) {
            blocks.push(connection.receive_seq(left), connection.receive_seq(right));
        }
        blocks
    }
}

impl Connection {
    /// The sequence number after everything sent so far.
    pub(super) fn seq_sent_to(&self) -> SeqNum {
        self.seq(self.send.nxt) + u32::from(self.send.fin_sent)
    }
}

fn with(flags: Flags, flag: Flags, wanted: bool) -> Flags {
    if wanted { flags | flag } else { flags }
}
