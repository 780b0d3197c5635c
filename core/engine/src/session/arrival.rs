//! A response arrives: RFC 9293 §3.10.7, step by step.
//!
//! We see headers, later than the target sent them and not all of them; so a segment is judged by its place in
//! the target's stream alone, and what was lost on the way back is repaired by the target itself, since only
//! what was seen is acknowledged.

use std::time::Duration;

use tcpcopy_wire::{Instant, Segment};

use super::connection::{AckDue, State};
use super::{Context, Session};
use crate::backlog::Chunk;

/// Targets may have sent this much beyond what we have seen, whatever we advertise now.
const LEAST_REACH: i64 = 1 << 20;
/// An acknowledgement waits this long for the user's next words to go with (RFC 9293 §3.8.6.3: below 500 ms).
const DELAYED_ACK: Duration = Duration::from_millis(40);
const LONGEST_DELAY: Duration = Duration::from_millis(400);
/// How long an orderly closed connection answers repeated FINs.
const TIME_WAIT: Duration = Duration::from_secs(2);
/// A SYN is repeated this soon after the target was told to forget an older connection.
const HURRIED_SYN: Duration = Duration::from_millis(10);
/// Duplicate acknowledgements that mean a loss (RFC 5681 §3.2).
const DUPLICATE_THRESHOLD: u32 = 3;

impl Session {
    /// A segment of the target.
    pub(crate) fn handle_response(&mut self, segment: &Segment<'_>, seen_at: Instant, cx: &mut Context<'_>) {
        if self.verdict.is_some() {
            cx.statistics.stale_responses += 1;
            return;
        }
        if self.connection.state == State::Closed {
            return self.arrive_in_closed(segment, cx);
        }
        self.heard_at = cx.now;
        self.active_at = cx.now;
        if let Some(half) = &mut self.module {
            half.target_at = seen_at;
        }
        match self.connection.state {
            State::SynSent => self.arrive_in_syn_sent(segment, cx),
            _ => self.arrive_synchronised(segment, cx),
        }
    }

    /// RFC 9293 §3.10.7.1: the target still holds a connection that we have left; it is told so, as our reset may
    /// have been lost or overtaken.
    fn arrive_in_closed(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        cx.statistics.stale_responses += 1;
        if segment.flags.ack() && !segment.flags.rst() {
            self.connection.reset_due = Some((segment.ack, None));
        }
    }

    /// RFC 9293 §3.10.7.3.
    fn arrive_in_syn_sent(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        let acceptable = segment.flags.ack() && segment.ack == self.connection.send.iss + 1;
        if segment.flags.rst() {
            if acceptable {
                self.refused(cx);
            }
            return;
        }
        let is_handshake = segment.flags.ack() && (segment.is_empty() || segment.flags.syn());
        if is_handshake && !acceptable {
            // The target still holds an older connection of this end (RFC 9293 §3.5.1): clear it, ask again.
            self.connection.reset_due = Some((segment.ack, None));
            self.hurry_syn(cx.now);
            return;
        }
        if segment.flags.syn() && acceptable {
            self.establish(segment, cx);
        }
    }

    /// The next SYN need not wait for its whole time-out, as it has hardly been lost; once per connection, so that
    /// a target that answers each SYN like this is not asked without pause.
    fn hurry_syn(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.connection.is_hurried, true) {
            self.connection.retransmit_at = Some(now + HURRIED_SYN);
        }
    }

    fn establish(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        let ours = self.user.syn_options;
        let connection = &mut self.connection;
        if let Some((_, sent_at)) = connection.send.timed.take() {
            connection.rtt.sample(cx.now.since(sent_at));
        }
        connection.state = State::Established;
        connection.syn_due = false;
        connection.retransmit_at = None;
        connection.rtt.forgive();
        connection.receive.irs = segment.seq;
        connection.receive.ts_recent =
            ours.timestamps.and(segment.options.timestamps).map(|stamps| stamps.value);
        let send = &mut connection.send;
        // RFC 7323 §1.3: scaling is on only if both sides sent the option; §2.3: a shift above 14 means 14.
        let scaled = ours.window_scale.and(segment.options.window_scale);
        send.window_shift = scaled.map_or(0, |shift| shift.min(14));
        connection.receive.is_scaled = scaled.is_some() || ours.window_scale.is_none();
        send.sack_permitted = ours.sack_permitted && segment.options.sack_permitted;
        let stamps = if connection.receive.ts_recent.is_some() { 12 } else { 0 };
        let path = send.mss;
        // RFC 9293 §3.7.1: 536 when the option is missing.
        let theirs = u32::from(segment.options.mss.unwrap_or(536)).max(88);
        send.mss = theirs.min(path).saturating_sub(stamps).max(76);
        connection.congestion = crate::congestion::Congestion::new(send.mss);
        // RFC 7323 §2.2: the window of a SYN is never scaled.
        send.window = u32::from(segment.window);
        send.largest_window = send.window;
        send.window_seq = segment.seq;
        send.window_ack = segment.ack;
        self.gate.on_speech(cx.now);
        let delay = self.pace(cx.options).min(LONGEST_DELAY);
        self.connection.acknowledge_within(delay, cx.now);
    }

    fn arrive_synchronised(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        if segment.flags.syn() || !self.is_in_stream(segment) {
            return self.arrive_again(segment, cx);
        }
        // RFC 5961 §3.2: a reset exactly at RCV.NXT is believed as it is.
        let exact_reset = segment.flags.rst() && segment.seq == self.connection.receive_next();
        if !exact_reset && !self.acknowledges_plausibly(segment) {
            if !segment.flags.rst() {
                self.connection.ack_due = AckDue::At(cx.now);
            }
            return;
        }
        if segment.flags.rst() {
            return self.connection_reset(cx);
        }
        self.note_timestamp(segment);
        if segment.flags.ack() {
            self.arrive_ack(segment, cx);
        }
        if self.connection.state != State::Closed && self.verdict.is_none() {
            self.arrive_payload(segment, cx);
        }
    }

    /// Nothing new: a repeated SYN-ACK, segment or FIN means our ACK was lost, a keepalive asks for one
    /// (RFC 9293 §3.8.4). Its acknowledgement may still be news, since others were lost on the way to us.
    fn arrive_again(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        if segment.flags.rst() {
            return;
        }
        self.connection.ack_due = AckDue::At(cx.now);
        if segment.flags.ack() && !segment.flags.syn() && self.acknowledges_plausibly(segment) {
            self.arrive_ack(segment, cx);
        }
    }

    /// Farther than this from RCV.NXT nothing of this connection can be: twice the window we advertise.
    fn farthest(&self) -> i32 {
        let shift = self.user.syn_options.window_scale.unwrap_or(0).min(14);
        let window = (i64::from(self.user.window) << shift).max(LEAST_REACH);
        i32::try_from(2 * window).unwrap_or(i32::MAX)
    }

    /// RFC 9293 §3.10.7.4, first step: not wholly before RCV.NXT, and not beyond the window.
    fn is_in_stream(&self, segment: &Segment<'_>) -> bool {
        let next = self.connection.receive_next();
        let ahead = segment.seq.distance(next);
        let end = (segment.seq + segment.len()).distance(next);
        ahead < self.farthest() && (end > 0 || (segment.is_empty() && ahead == 0))
    }

    /// RFC 5961 §5.2: an acknowledgement of what was never sent, or of what lies more than a window back, is of
    /// another connection of this end.
    fn acknowledges_plausibly(&self, segment: &Segment<'_>) -> bool {
        let connection = &self.connection;
        let una = connection.seq(connection.send.una);
        let advance = segment.ack.distance(una);
        let oldest = -i64::from(connection.send.largest_window);
        !segment.flags.ack() || (segment.ack <= connection.seq_sent_to() && i64::from(advance) >= oldest)
    }

    /// RFC 7323 §4.3: TS.Recent follows the segment that RCV.NXT lies in.
    fn note_timestamp(&mut self, segment: &Segment<'_>) {
        let in_order = segment.seq <= self.connection.receive_next();
        if let (Some(recent), Some(stamps), true) =
            (&mut self.connection.receive.ts_recent, segment.options.timestamps, in_order)
            && stamps.value.wrapping_sub(*recent).cast_signed() > 0
        {
            *recent = stamps.value;
        }
    }

    /// RFC 9293 §3.10.7.4, fifth step.
    fn arrive_ack(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        let connection = &mut self.connection;
        let una = connection.seq(connection.send.una);
        let advance = segment.ack.distance(una);
        let outstanding = connection.seq_sent_to().distance(una);
        let window_before = connection.send.window;
        self.update_window(segment, cx);
        self.note_sack(segment);
        if advance > 0 {
            self.acknowledged(advance.unsigned_abs(), cx);
        } else if advance == 0 {
            let is_duplicate =
                segment.is_empty() && outstanding > 0 && self.connection.send.window == window_before;
            self.duplicate_ack(is_duplicate, cx);
        }
    }

    /// SND.WND, by the rule of SND.WL1 and SND.WL2.
    fn update_window(&mut self, segment: &Segment<'_>, cx: &Context<'_>) {
        let connection = &mut self.connection;
        let send = &mut connection.send;
        let newer = segment.seq > send.window_seq
            || (segment.seq == send.window_seq && segment.ack >= send.window_ack);
        if !newer {
            return;
        }
        let was_closed = send.window == 0;
        send.window = u32::from(segment.window) << send.window_shift;
        send.largest_window = send.largest_window.max(send.window);
        send.window_seq = segment.seq;
        send.window_ack = segment.ack;
        if was_closed && send.window > 0 {
            connection.probe_due = false;
            connection.rtt.forgive();
            connection.restart_retransmit(cx.now);
        }
    }

    fn note_sack(&mut self, segment: &Segment<'_>) {
        let connection = &mut self.connection;
        if !connection.send.sack_permitted {
            return;
        }
        let (una, nxt) = (connection.send.una, connection.send.nxt);
        let una_seq = connection.seq(una);
        for (left, right) in segment.options.sack.as_slice() {
            let (left, right) = (left.distance(una_seq), right.distance(una_seq));
            // A block below SND.UNA is a D-SACK (RFC 2883): nothing is missing there.
            if left >= 0 && right > left && una + u64::from(right.unsigned_abs()) <= nxt {
                let from = una + u64::from(left.unsigned_abs());
                connection.send.sacked.insert(from, una + u64::from(right.unsigned_abs()));
            }
        }
    }

    /// SND.UNA advances by `advance` sequence numbers.
    fn acknowledged(&mut self, advance: u32, cx: &mut Context<'_>) {
        let connection = &mut self.connection;
        let send = &mut connection.send;
        let data = u64::from(advance).min(send.nxt - send.una);
        connection.refusals = 0;
        let fin_acknowledged = send.fin_sent && u64::from(advance) > data;
        send.una += data;
        send.sacked.advance(send.una);
        send.duplicate_acks = 0;
        if let Some((end, sent_at)) = send.timed
            && send.una >= end
        {
            send.timed = None;
            connection.rtt.sample(cx.now.since(sent_at));
        }
        connection.rtt.forgive();
        connection.congestion.on_acknowledged(data as u32);
        self.continue_recovery();
        self.release_backlog();
        if fin_acknowledged {
            self.fin_acknowledged(cx);
        }
        self.connection.restart_retransmit(cx.now);
    }

    /// RFC 6582 §3.2 and RFC 6675 §5: a partial acknowledgement during recovery shows the next hole.
    fn continue_recovery(&mut self) {
        let send = &mut self.connection.send;
        let Some(recover) = send.recovering_to else { return };
        if send.una >= recover {
            send.recovering_to = None;
            return;
        }
        let lost_to = match send.sacked.highest() {
            Some(highest) => highest,
            None => self.missing_segment_end().min(recover),
        };
        let send = &mut self.connection.send;
        send.lost_to = send.lost_to.max(lost_to);
    }

    /// The end of "what appears to be the missing segment" (RFC 5681 §3.2).
    fn missing_segment_end(&self) -> u64 {
        let send = &self.connection.send;
        let end = self.backlog.chunk_at(send.una).map_or(send.nxt, Chunk::end);
        end.min(send.una + u64::from(send.mss))
    }

    /// An acknowledgement that acknowledges nothing new: RFC 5681 §3.2, with SACK RFC 6675 §5.
    fn duplicate_ack(&mut self, is_duplicate: bool, cx: &mut Context<'_>) {
        let missing_end = self.missing_segment_end();
        let connection = &mut self.connection;
        let mss = u64::from(connection.send.mss);
        let send = &mut connection.send;
        send.duplicate_acks += u32::from(is_duplicate);
        let sacked_enough = send.sacked.total() > u64::from(DUPLICATE_THRESHOLD - 1) * mss;
        if send.duplicate_acks < DUPLICATE_THRESHOLD && !sacked_enough {
            return;
        }
        let lost_to = send.sacked.highest().unwrap_or(missing_end.min(send.nxt));
        if send.recovering_to.is_some() {
            send.lost_to = send.lost_to.max(send.sacked.highest().unwrap_or(0));
            return;
        }
        let in_flight = (send.nxt - send.una) as u32;
        send.recovering_to = Some(send.nxt);
        send.lost_to = lost_to;
        send.resent_to = send.una;
        send.timed = None;
        send.fin_lost |= send.fin_sent && send.nxt == send.una;
        connection.congestion.on_loss(in_flight);
        cx.statistics.fast_retransmits += 1;
    }

    /// RFC 9293 §3.10.7.4, fifth step: our FIN has arrived.
    fn fin_acknowledged(&mut self, cx: &mut Context<'_>) {
        match self.connection.state {
            State::FinWait1 => self.connection.state = State::FinWait2,
            State::Closing => self.enter_time_wait(cx),
            State::LastAck => {
                self.connection.state = State::Closed;
                self.end(self.closing_verdict, cx);
            }
            _ => {}
        }
    }

    /// RFC 9293 §3.10.7.4, seventh and eighth step: payload and FIN take their place in the target's stream.
    fn arrive_payload(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) {
        if segment.is_empty() {
            return;
        }
        let now = cx.now;
        let connection = &mut self.connection;
        let before = connection.receive.nxt;
        let offset = segment.seq.distance(connection.receive_next());
        let start = before.saturating_add_signed(i64::from(offset));
        let end = start + u64::from(segment.payload_len);
        if segment.flags.fin() {
            connection.receive.fin_at = Some(end);
        }
        if segment.flags.psh() {
            connection.receive.pushed_to = connection.receive.pushed_to.max(end);
        }
        let was_complete = connection.receive.ahead.is_empty();
        connection.receive.ahead.insert(start.max(before), end);
        connection.receive.latest = start;
        connection.receive.nxt = connection.receive.ahead.advance(before);
        let gained = connection.receive.nxt - before;
        let unacknowledged = u64::from(connection.receive.unacknowledged) + gained;
        connection.receive.unacknowledged = unacknowledged.min(u64::from(u32::MAX)) as u32;
        let in_order = was_complete && start <= before && connection.receive.ahead.is_empty();
        if gained > 0 {
            cx.statistics.response_bytes += gained;
            let pushed = connection.receive.pushed_to >= connection.receive.nxt;
            self.gate.on_answer(gained, pushed, now);
            if !self.judge.is_judging() {
                self.repetitions = 0;
            }
            self.release_backlog();
        }
        if segment.payload_len > 0 {
            self.hear_target(start, segment, cx);
            if self.verdict.is_some() {
                return;
            }
        }
        if segment.payload_len > 0 || !in_order {
            self.schedule_ack(in_order, cx);
        }
        if self.connection.receive.fin_at == Some(self.connection.receive.nxt) {
            self.arrive_fin(cx);
        }
    }

    /// RFC 9293 §3.8.6.3 and RFC 5681 §4.2: at once when something is missing, when half the window is used up,
    /// for every second full segment, and when the user's next words wait for the rest of this answer; else a
    /// moment later, in the hope of company. A far user's acknowledgement takes its time.
    fn schedule_ack(&mut self, in_order: bool, cx: &Context<'_>) {
        let pace = self.pace(cx.options);
        let waiting = self.connection.receive.unacknowledged;
        let shift = self.user.syn_options.window_scale.unwrap_or(0).min(14);
        let window = u32::from(self.user.window) << shift;
        let words_wait = self.connection.send.nxt < self.backlog.end();
        let delay = if !in_order || waiting >= window / 2 {
            Duration::ZERO
        } else if pace > Duration::ZERO {
            pace.min(LONGEST_DELAY)
        } else if words_wait || waiting >= 2 * self.connection.send.mss {
            Duration::ZERO
        } else {
            DELAYED_ACK
        };
        self.connection.acknowledge_within(delay, cx.now);
    }

    /// RFC 9293 §3.10.7.4, eighth step.
    fn arrive_fin(&mut self, cx: &mut Context<'_>) {
        let connection = &mut self.connection;
        connection.receive.nxt += 1;
        connection.ack_due = AckDue::At(cx.now);
        match connection.state {
            State::Established => connection.state = State::CloseWait,
            State::FinWait1 => connection.state = State::Closing,
            State::FinWait2 => self.enter_time_wait(cx),
            _ => {}
        }
        self.target_ended(cx);
    }

    fn enter_time_wait(&mut self, cx: &mut Context<'_>) {
        self.connection.state = State::TimeWait;
        self.connection.gone_at = Some(cx.now + TIME_WAIT);
        self.connection.retransmit_at = None;
    }
}
