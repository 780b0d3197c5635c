//! One session: our replay of one captured connection against the target.
//!
//! `handle_*` only changes state; [`Session::poll_transmit`] alone makes segments. After every `handle_*` the
//! caller drains `poll_transmit` until it returns `None`, and then asks for [`Session::deadline`].

mod arrival;
mod connection;
mod emission;
mod loss;
mod timing;

use std::time::Duration;

use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Options, Segment, SeqNum};

use crate::backlog::{Backlog, ChunkKind, TurnMark};
use crate::joining::LastSeen;
use crate::reassembly::{Mark, Place, Reassembly};
use crate::turns::TurnGate;
use crate::verdict::{Ignored, Verdict};
use crate::{EngineOptions, Pace, Statistics};

use connection::{Connection, State};

/// What every step of a session may read and count.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) options: &'a EngineOptions,
    pub(crate) statistics: &'a mut Statistics,
}

/// What the captured headers told of the user's own TCP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    /// Options of the SYN we send: the captured ones, with our MSS limit.
    pub(crate) syn_options: Options,
    pub(crate) syn_window: u16,
    /// The window we advertise, unscaled: the largest the user ever advertised, so that we never stall.
    pub(crate) window: u16,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// Our timestamp clock: the user's, read at `clock_at`, running on in milliseconds.
    clock: u32,
    clock_at: Instant,
    syn_at: Option<Instant>,
    rtt: Option<Duration>,
}

/// A hop count below this one would not survive a detour.
const LEAST_TTL: u8 = 32;
/// A user's segment farther from the stream than this is of another connection.
const REACH: u32 = 1 << 24;
/// And right after the SYN, not so far.
const HANDSHAKE_REACH: i32 = 1 << 20;
/// A handshake that took longer than this measures something else than the way to the user.
const LONGEST_RTT: Duration = Duration::from_secs(1);
/// The window scale and window of a connection whose SYN was not captured.
const JOINED_SHIFT: u8 = 7;
const JOINED_WINDOW: u16 = 2048;

impl User {
    /// What `segment`, the first one captured, says.
    fn new(
        segment: &Segment<'_>,
        captured_at: Instant,
        options: &EngineOptions,
        header_room: u16,
        now: Instant,
    ) -> Self {
        let whole = segment.flags.syn();
        let limit = options.mtu.saturating_sub(header_room);
        let syn_options = if whole {
            Options { mss: Some(segment.options.mss.unwrap_or(536).min(limit)), ..segment.options }
        } else {
            Options {
                mss: Some(options.joined_mss.min(limit)),
                window_scale: Some(JOINED_SHIFT),
                sack_permitted: true,
                timestamps: segment.options.timestamps,
                ..Options::default()
            }
        };
        let shift = segment.options.window_scale.unwrap_or(0).min(14);
        Self {
            syn_options,
            syn_window: if whole { segment.window } else { u16::MAX },
            window: if whole { (segment.window >> shift).max(1) } else { JOINED_WINDOW },
            ttl: segment.ttl.max(LEAST_TTL),
            tos: segment.tos,
            clock: segment.options.timestamps.map_or(0, |stamps| stamps.value),
            clock_at: now,
            syn_at: whole.then_some(captured_at),
            rtt: None,
        }
    }

    /// TSval for a segment sent now (RFC 7323 §5.4: about one tick a millisecond, never backwards).
    fn timestamp(&self, now: Instant) -> u32 {
        self.clock.wrapping_add(now.since(self.clock_at).as_millis() as u32)
    }
}

/// What the user had last said and heard, as far as it is in order.
#[derive(Clone, Copy, Debug, Default)]
struct LastWord {
    ack: Option<SeqNum>,
    captured_at: Option<Instant>,
    /// Bytes of the online server heard by then, on the scale of [`Hearing::total`].
    heard: u64,
}

/// How far the user has listened to the online server; every acknowledgement counts, so that an answer of more
/// than 2 GiB is followed.
#[derive(Clone, Copy, Debug)]
struct Hearing {
    latest: SeqNum,
    total: u64,
}

impl Hearing {
    /// Far enough from zero that what was heard before the first acknowledgement has a place.
    fn new(ack: SeqNum) -> Self {
        Self { latest: ack, total: 1 << 32 }
    }

    fn total_at(self, ack: SeqNum) -> u64 {
        self.total.saturating_add_signed(i64::from(ack.distance(self.latest)))
    }

    fn advance(&mut self, ack: SeqNum) {
        if ack > self.latest {
            *self = Self { latest: ack, total: self.total_at(ack) };
        }
    }
}

/// Whether captured words are kept, or belong to a turn that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    No,
    /// The rest of the turn is not said any more; the turn is counted as lost.
    LostTurn,
    /// The turn was answered and the connection is gone: should more of the turn come, it is lost.
    AnsweredTurn,
}

/// What remains of a captured connection whose present session cannot go on.
pub(crate) enum Rest {
    /// The user spoke anew behind the hole: a session can begin there.
    Following(Reassembly),
    /// No new turn yet.
    Seeking(LastSeen),
}

pub(crate) struct Session {
    /// Client and online server, as captured.
    pub(crate) captured: Flow,
    /// The copied client and the target, as transmitted.
    pub(crate) flow: Flow,
    /// The captured initial sequence number; `None` for a connection joined in its middle.
    isn: Option<SeqNum>,
    user: User,
    reassembly: Reassembly,
    backlog: Backlog,
    connection: Connection,
    gate: TurnGate,
    last_word: LastWord,
    hearing: Option<Hearing>,
    skipping: Skipping,
    /// The user is known to speak before hearing everything.
    overlapping: bool,
    /// Where the last turn said on this connection began.
    turn_at: Option<u64>,
    /// Whether the present connection is the session's first.
    first_connection: bool,
    /// How often the present turn has been begun anew.
    repetitions: u8,
    /// A turn was given up because the target reset or closed instead of answering.
    has_lost_turns: bool,
    /// The verdict when everything captured has been said.
    closing_verdict: Verdict,
    heard_at: Instant,
    active_at: Instant,
    verdict: Option<Verdict>,
    /// Scheduling, kept by the engine.
    pub(crate) is_ready: bool,
    pub(crate) armed_at: Instant,
    pub(crate) memory: usize,
}

impl Session {
    /// A session that begins with `segment`: its SYN, or the first segment of a connection joined in its
    /// middle. The segment's payload is not taken: hand it to [`Self::handle_capture`].
    pub(crate) fn new(
        captured: Flow,
        flow: Flow,
        segment: &Segment<'_>,
        captured_at: Instant,
        cx: &mut Context<'_>,
    ) -> Self {
        let header_room: u16 = if flow.server.addr.is_ipv4() { 40 } else { 60 };
        let user = User::new(segment, captured_at, cx.options, header_room, cx.now);
        let mss = u32::from(user.syn_options.mss.unwrap_or(536));
        let whole = segment.flags.syn();
        let first_byte = if whole { segment.seq + 1 } else { segment.seq };
        cx.statistics.sessions_opened += 1;
        cx.statistics.sessions_joined += u64::from(!whole);
        Self {
            captured,
            flow,
            isn: whole.then_some(segment.seq),
            user,
            reassembly: Reassembly::new(first_byte),
            backlog: Backlog::default(),
            connection: Connection::new(first_byte - 1, 0, mss, cx.now),
            gate: TurnGate::default(),
            last_word: LastWord::default(),
            hearing: None,
            skipping: Skipping::No,
            overlapping: false,
            turn_at: None,
            first_connection: true,
            repetitions: 0,
            has_lost_turns: false,
            closing_verdict: Verdict::Complete,
            heard_at: cx.now,
            active_at: cx.now,
            verdict: None,
            is_ready: false,
            armed_at: Instant::MAX,
            memory: 0,
        }
    }

    /// Continues another session's capture behind its gap.
    pub(crate) fn resume_capture(&mut self, rest: Reassembly, cx: &mut Context<'_>) {
        self.reassembly = rest;
        self.connection.send.iss = self.reassembly.next() - 1;
        self.take_ready(cx);
    }

    /// A SYN with sequence number `isn` was captured on this flow: whether it is this session's own, repeated.
    pub(crate) fn repeats_syn(&mut self, isn: SeqNum, captured_at: Instant) -> bool {
        let repeats = self.isn == Some(isn);
        if repeats {
            self.user.syn_at = Some(captured_at); // the round trip is that of the SYN that was answered
        }
        repeats
    }

    /// Whether it is over and has nothing left to transmit.
    pub(crate) fn is_spent(&self) -> bool {
        self.verdict.is_some() && self.connection.reset_due.is_none()
    }

    /// What was seen last of the user.
    pub(crate) fn last_seen(&self) -> LastSeen {
        LastSeen { heard: self.last_word.ack, next: self.reassembly.next(), is_listening: false }
    }

    /// The headers of a segment with which another session of this user begins at `seq`.
    pub(crate) fn like_joined(&self, seq: SeqNum) -> Segment<'static> {
        let timestamps = self.user.syn_options.timestamps;
        Segment {
            source: self.captured.client,
            destination: self.captured.server,
            seq,
            ack: self.last_word.ack.unwrap_or_default(),
            flags: Flags::ACK,
            options: Options { timestamps, ..Options::default() },
            ttl: self.user.ttl,
            tos: self.user.tos,
            ..Segment::default()
        }
    }

    /// Takes the memory of an ended session over.
    pub(crate) fn reuse(&mut self, mut backlog: Backlog) {
        backlog.clear();
        self.backlog = backlog;
    }

    /// Gives the memory up for another session.
    pub(crate) fn into_backlog(self) -> Backlog {
        self.backlog
    }

    /// A captured segment of this connection, not a SYN.
    pub(crate) fn handle_capture(
        &mut self,
        segment: &Segment<'_>,
        captured_at: Instant,
        cx: &mut Context<'_>,
    ) {
        if self.verdict.is_some() {
            self.overhear(segment);
            return cx.statistics.ignore(Ignored::NoSession);
        }
        self.active_at = cx.now;
        if !segment.flags.rst() {
            self.observe_user(segment, captured_at);
        }
        if self.backlog.closing().is_some() {
            return cx.statistics.ignore(Ignored::Duplicate);
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

    /// Ends a session that has no connection and nothing to ask for one.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let all_said = self.backlog.closing().is_some() && !self.wants_connection();
        if self.connection.state == State::Closed && all_said {
            self.end(self.closing_verdict, cx);
        }
    }

    /// The user has taken the port for another connection: nothing more will be said on this one.
    pub(crate) fn user_left(&mut self, cx: &mut Context<'_>) {
        if self.connection.state == State::TimeWait {
            return self.end(self.closing_verdict, cx);
        }
        if self.backlog.closing().is_some() {
            return;
        }
        if self.reassembly.has_hole() {
            self.closing_verdict = Verdict::CaptureGap;
            self.forget_capture();
        }
        self.backlog.push(ChunkKind::Fin, &[], cx.now, false, None);
        self.settle(cx);
    }

    /// Gives up the hole in the capture: what was captured before it is still said, then the connection is
    /// reset. What lies behind the hole is for another session.
    pub(crate) fn split_at_gap(&mut self, cx: &mut Context<'_>) -> Option<Rest> {
        if self.reassembly.gap_at(self.last_word.ack)? > cx.now {
            return None;
        }
        let next = self.reassembly.next();
        let mut rest = std::mem::replace(&mut self.reassembly, Reassembly::new(next));
        self.closing_verdict = Verdict::CaptureGap;
        self.backlog.push(ChunkKind::Reset, &[], cx.now, false, None);
        self.settle(cx);
        Some(match rest.skip_hole() {
            Ok(()) => {
                cx.statistics.bytes_never_captured += u64::from(rest.next().distance(next).unsigned_abs());
                Rest::Following(rest)
            }
            Err((next, heard)) => Rest::Seeking(LastSeen { heard, next, is_listening: false }),
        })
    }

    /// Ends the session now; the target is told by a reset where it knows of the connection.
    pub(crate) fn end(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        if self.verdict.is_some() {
            return;
        }
        let (turns, bytes) = self.pending();
        let went_well = matches!(verdict, Verdict::Complete | Verdict::UserReset);
        let verdict = if went_well && self.has_lost_turns { Verdict::TargetReset } else { verdict };
        cx.statistics.end(verdict, turns, bytes);
        self.verdict = Some(verdict);
        if !matches!(self.connection.state, State::Closed | State::TimeWait) {
            self.connection.reset_due =
                Some((self.connection.seq_after_all(), Some(self.connection.receive_next())));
        }
    }

    /// The program stops.
    pub(crate) fn shut_down(&mut self, cx: &mut Context<'_>) {
        let over = self.connection.state == State::TimeWait;
        self.end(if over { self.closing_verdict } else { Verdict::Shutdown }, cx);
    }

    /// Why the session is over, once it is and everything has been transmitted.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Bytes of memory in use beyond the session's own size.
    pub(crate) fn held(&self) -> usize {
        self.backlog.held() + self.reassembly.held()
    }

    pub(crate) fn is_established(&self) -> bool {
        self.connection.may_speak()
    }

    /// Turns and bytes the target has not yet taken.
    pub(crate) fn pending(&self) -> (u64, u64) {
        self.backlog.unsaid_from(self.connection.send.una)
    }

    /// A packet was larger than the path allows: segments shrink to the next usual MTU (RFC 1191 §7).
    pub(crate) fn shrink_segments(&mut self) {
        const PLATEAUS: [u32; 8] = [8166, 4352, 2002, 1492, 1280, 1006, 508, 296];
        let headers = if self.flow.server.addr.is_ipv4() { 52 } else { 72 };
        let packet = self.connection.send.mss + headers;
        let next = PLATEAUS.into_iter().find(|plateau| *plateau < packet).unwrap_or(296);
        self.connection.send.mss = (next - headers).max(88);
    }

    /// The remote end that responses come from.
    pub(crate) fn target(&self) -> Endpoint {
        self.flow.server
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
    fn is_handshaking(&self) -> bool {
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
        if turn.is_some() {
            self.skipping = Skipping::No;
        }
        if !bytes.is_empty() {
            cx.statistics.bytes_captured += bytes.len() as u64;
            cx.statistics.turns_captured += u64::from(turn.is_some());
            if self.skipping == Skipping::No {
                self.backlog.push(ChunkKind::Data, bytes, mark.captured_at, mark.push, turn.take());
            } else {
                self.skip(bytes.len(), cx);
            }
        }
        if mark.fin {
            self.backlog.push(ChunkKind::Fin, &[], mark.captured_at, false, turn);
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

    /// The session is over, but where the user's next turn begins is still followed.
    fn overhear(&mut self, segment: &Segment<'_>) {
        self.heard(segment.flags.ack().then_some(segment.ack));
        let end = segment.seq + segment.len();
        if end > self.reassembly.next() {
            self.reassembly = Reassembly::new(end);
        }
    }

    /// Nothing more is expected of the capture: what is held behind a hole is of no use.
    fn forget_capture(&mut self) {
        self.reassembly = Reassembly::new(self.reassembly.next());
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
                return Some(TurnMark { heard, waited: Duration::ZERO });
            }
        };
        (heard > 0).then_some(TurnMark { heard, waited })
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
            cx.statistics.bytes_never_captured += u64::from(missing.max(0).unsigned_abs());
            self.forget_capture();
        }
        let turn = self.turn_of(Mark::of(segment, captured_at));
        let turn = turn.filter(|_| self.last_word.captured_at.is_some());
        self.backlog.push(ChunkKind::Reset, &[], captured_at, false, turn);
        self.settle(cx);
    }

    /// The time between hearing and speaking that is replayed.
    fn pace(&self, options: &EngineOptions) -> Duration {
        let measured = self.user.rtt.unwrap_or_default();
        match options.pace {
            Pace::Fixed(rtt) => rtt,
            Pace::Measured if measured < crate::turns::INTERNAL_RTT => Duration::ZERO,
            Pace::Measured => measured,
        }
    }
}
