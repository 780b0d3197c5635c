//! One session: our replay of one captured connection against the target.
//!
//! `handle_*` only changes state; [`Session::poll_transmit`] alone makes segments. After every `handle_*` the
//! caller drains `poll_transmit` until it returns `None`, and then asks for [`Session::deadline`].

mod arrival;
mod capture;
mod connection;
mod conversing;
mod emission;
mod loss;
mod module_half;
mod obeying;
mod timing;
mod user;

use std::time::Duration;

use tcpcopy_plugin_api::SessionInfo;
use tcpcopy_wire::{Flags, Flow, Instant, Options, Segment, SeqNum};

use crate::backlog::{Backlog, ChunkKind, TurnMark};
use crate::joining::{LastSeen, Legacy};
use crate::judge::Judge;
use crate::reassembly::Reassembly;
use crate::replica::Replica;
use crate::serving::Serving;
use crate::turns::TurnGate;
use crate::verdict::Verdict;
use crate::{EngineOptions, Pace, SessionId, Statistics, path_mtu};

use capture::Skipping;
use connection::{Connection, State};
use module_half::Closing;
pub(crate) use module_half::ModuleHalf;
use user::{Hearing, LastWord, User};

/// What every step of a session may read and count.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) options: &'a EngineOptions,
    pub(crate) statistics: &'a mut Statistics,
    pub(crate) serving: &'a mut Serving,
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
    /// Which of the copies of the captured connection it is, from 0 on; given by the engine.
    pub(crate) copy: u16,
    /// The copied client and the target, as transmitted.
    pub(crate) flow: Flow,
    /// The captured initial sequence number; `None` for a connection joined in its middle.
    isn: Option<SeqNum>,
    user: User,
    reassembly: Reassembly,
    backlog: Backlog,
    connection: Connection,
    gate: TurnGate,
    judge: Judge,
    /// The conversation that edits what is said, while one is needed.
    module: Option<Box<ModuleHalf>>,
    /// What the conversation left when the session ended before the user did.
    legacy: Legacy,
    /// The index of the generation of modules that serves it.
    generation: Option<usize>,
    last_word: LastWord,
    hearing: Option<Hearing>,
    /// The first acknowledgement of all.
    first_heard: Option<SeqNum>,
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
    /// There is no source end for it, for this reason: what the user says is counted as lost.
    unsayable: Option<Verdict>,
    opened_at: Instant,
    /// Since when there has been something to say.
    owed_since: Instant,
    heard_at: Instant,
    active_at: Instant,
    verdict: Option<Verdict>,
    /// Scheduling, kept by the engine.
    pub(crate) is_ready: bool,
    pub(crate) is_at_work: bool,
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
            copy: 0,
            flow,
            isn: whole.then_some(segment.seq),
            user,
            reassembly: Reassembly::new(first_byte),
            backlog: Backlog::default(),
            connection: Connection::new(first_byte - 1, 0, mss, cx.now),
            gate: TurnGate::default(),
            judge: Judge::default(),
            module: None,
            legacy: None,
            generation: None,
            last_word: LastWord::default(),
            hearing: None,
            first_heard: None,
            skipping: Skipping::No,
            overlapping: false,
            turn_at: None,
            first_connection: true,
            repetitions: 0,
            has_lost_turns: false,
            closing_verdict: Verdict::Complete,
            unsayable: None,
            opened_at: cx.now,
            owed_since: cx.now,
            heard_at: cx.now,
            active_at: cx.now,
            verdict: None,
            is_ready: false,
            is_at_work: false,
            armed_at: Instant::MAX,
            memory: 0,
        }
    }

    /// What it replays.
    pub(crate) fn replica(&self) -> Replica {
        Replica { captured: self.captured, copy: self.copy }
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

    /// Whether it is over, or both sides have closed and only late segments are still waited for.
    pub(crate) fn is_over_but_for_waiting(&self) -> bool {
        self.is_spent() || self.connection.state == State::TimeWait
    }

    /// What was seen last of the user. One who has not spoken yet is listening.
    pub(crate) fn last_seen(&self) -> LastSeen {
        let is_listening = self.last_word.captured_at.is_none();
        LastSeen { heard: self.last_word.ack, next: self.reassembly.next(), is_listening }
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

    /// Ends a session that has no connection and nothing to ask for one.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let all_said = self.backlog.closing().is_some() && !self.wants_connection();
        if self.connection.state == State::Closed && all_said {
            self.end(self.closing_verdict, cx);
        }
    }

    /// Ends the session now; the target is told by a reset where it knows of the connection.
    pub(crate) fn end(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        if self.verdict.is_some() {
            return;
        }
        self.forget_capture(cx);
        let (turns, bytes) = self.pending();
        let went_well = matches!(verdict, Verdict::Complete | Verdict::UserReset | Verdict::CaptureEnded);
        let verdict = match self.unsayable {
            Some(unsayable) => unsayable,
            None if went_well && self.has_lost_turns => Verdict::TargetReset,
            None => verdict,
        };
        cx.statistics.end(verdict, turns, bytes);
        if let Some(generation) = self.generation {
            cx.serving.generation_mut(generation).turns_lost += turns;
        }
        self.verdict = Some(verdict);
        if !matches!(self.connection.state, State::Closed | State::TimeWait) {
            self.connection.reset_due =
                Some((self.connection.seq_after_all(), Some(self.connection.receive_next())));
        }
    }

    /// There is no source end for this session: nothing is said, everything counts as lost to `verdict`.
    pub(crate) fn give_up_speaking(&mut self, verdict: Verdict) {
        self.unsayable = Some(verdict);
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
        let module = self.module.as_ref().map_or(0, |half| half.held());
        self.backlog.held() + self.reassembly.held() + module
    }

    pub(crate) fn is_established(&self) -> bool {
        self.connection.may_speak()
    }

    /// Turns and bytes the target has not yet taken.
    pub(crate) fn pending(&self) -> (u64, u64) {
        let (turns, bytes) = self.backlog.unsaid_from(self.connection.send.una);
        (turns + self.judge.reopening(), bytes)
    }

    /// What a module is told of it. `connected`: its connection to the target exists already.
    pub(crate) fn info(&self, id: SessionId, connected: bool) -> SessionInfo {
        SessionInfo {
            id: id.to_bits(),
            client: self.captured.client.into(),
            online: self.captured.server.into(),
            source: self.flow.client.into(),
            target: self.flow.server.into(),
            joined: self.isn.is_none(),
            connected,
        }
    }

    /// The index of the generation of modules that serves it.
    pub(crate) fn generation(&self) -> Option<usize> {
        self.generation
    }

    /// How many payload bytes of each response are wanted, if that has changed since it was asked for.
    pub(crate) fn take_new_depth(&mut self) -> Option<u32> {
        let half = self.module.as_mut().filter(|half| half.is_depth_new)?;
        half.is_depth_new = false;
        Some(half.depth.0)
    }

    /// What another conversation of this user needs to know, when this one does not reach the rest of the connection.
    pub(crate) fn take_legacy(&mut self) -> Legacy {
        let present = self.module.as_mut().and_then(|half| half.snapshot());
        present.map(Vec::into_boxed_slice).or_else(|| self.legacy.take())
    }

    /// In a word, for people: where it stands.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.connection.state {
            State::Closed => "waiting",
            State::SynSent => "connecting",
            State::Established => "established",
            _ => "closing",
        }
    }

    /// When it began, and when anybody last said anything.
    pub(crate) fn times(&self) -> (Instant, Instant) {
        (self.opened_at, self.active_at)
    }

    /// Whether the target has answered the present turn: completely, where a module judges that.
    fn is_answered(&self) -> bool {
        if self.judge.is_judging() { self.judge.is_satisfied() } else { self.gate.is_answered() }
    }

    /// Whether the user's closing word has been captured.
    fn user_has_closed(&self) -> bool {
        self.backlog.closing().is_some() || self.module.as_ref().is_some_and(|half| half.closing.is_some())
    }

    /// The user closes: the word takes its place behind everything said before.
    fn close_stream(
        &mut self,
        kind: ChunkKind,
        captured_at: Instant,
        turn: Option<TurnMark>,
        cx: &mut Context<'_>,
    ) {
        if self.module.is_some() {
            self.close_through_module(Closing { kind, captured_at, turn }, cx);
        } else {
            self.backlog.push(kind, &[], captured_at, false, turn);
        }
    }

    /// A packet was larger than the path allows: segments shrink to the next usual MTU (RFC 1191 §7).
    pub(crate) fn shrink_segments(&mut self) {
        let headers = if self.flow.server.addr.is_ipv4() { 52 } else { 72 };
        let next = path_mtu::below((self.connection.send.mss + headers) as usize) as u32;
        self.connection.send.mss = (next - headers).max(88);
    }

    /// The time between hearing and speaking that is replayed.
    fn pace(&self, options: &EngineOptions) -> Duration {
        let measured = self.user.rtt.unwrap_or_default();
        match options.pace {
            Pace::Fixed(rtt) => rtt,
            Pace::Measured if measured < crate::turns::INTERNAL_RTT => Duration::ZERO,
            Pace::Measured => options.replayed(measured),
        }
    }
}
