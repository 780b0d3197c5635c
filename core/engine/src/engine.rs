//! All sessions of one shard: who a captured segment or a response belongs to, what is due, what it costs.

mod beginning;
mod modules;
mod summary;

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slotmap::{Key, KeyData, SlotMap};
use tcpcopy_wire::{Flow, Instant, Ipv4Identification, Segment};

use crate::backlog::Backlog;
use crate::joining::Joining;
use crate::options::EngineOptions;
use crate::replica::Replica;
use crate::sampling::Sampler;
use crate::serving::Serving;
use crate::session::{Context, Session};
use crate::sources::Sources;
use crate::statistics::{Pending, Statistics};
use crate::timers::Timers;
use crate::verdict::{Ignored, Verdict};
use crate::workload::Workload;
use crate::{Mappings, Registration};

use beginning::Seen;
pub use summary::SessionSummary;

slotmap::new_key_type! {
    /// One session of one engine; never given to another one later.
    pub struct SessionId;
}

impl SessionId {
    /// The id as a number, to travel over the feed.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.data().as_ffi()
    }

    /// The id that [`Self::to_bits`] gave; any other number is an id of no session.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        KeyData::from_ffi(bits).into()
    }
}

/// How often sessions are looked at for having waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Backlogs of ended sessions kept for new ones.
const SPARE: usize = 256;
/// A spare backlog holds no more memory than this.
const SPARE_BYTES: usize = 32 << 10;

/// The replay engine of one shard.
///
/// Its methods are of four kinds: `handle_*` take input and change state, `poll_*` give output, the rest are
/// getters and construction. After every `handle_*`, drain [`Self::poll_registration`] and then
/// [`Self::poll_transmit`] until each returns `None`; then sleep no longer than [`Self::poll_timeout`] says.
/// A drain may be cut short to take more input, if it is taken up again before sleeping. What `poll_transmit` ends
/// is registered as removed by the next drain.
/// Time must not run backwards from one call to the next.
pub struct Engine {
    options: EngineOptions,
    mappings: Mappings,
    sessions: SlotMap<SessionId, Session>,
    by_capture: HashMap<Replica, SessionId, FixedState>,
    sources: Sources<SessionId>,
    sampler: Sampler,
    joining: Joining,
    timers: Timers,
    sweep_at: Instant,
    ready: VecDeque<SessionId>,
    registrations: VecDeque<Registration>,
    spare: Vec<Backlog>,
    memory: usize,
    workload: Workload,
    statistics: Statistics,
    serving: Serving,
    identification: u16,
}

impl Engine {
    /// An engine without sessions. `seed` decides hashes, source addresses and alternative ports; equal seeds
    /// and equal input give equal output.
    #[must_use]
    pub fn new(options: EngineOptions, mappings: Mappings, seed: u64) -> Self {
        Self {
            sources: Sources::new(options.sources.clone(), options.loopback_source, options.ports, seed),
            sampler: Sampler::new(options.sampling, options.share),
            joining: Joining::new(seed),
            by_capture: HashMap::with_hasher(FixedState::with_seed(seed)),
            sessions: SlotMap::with_key(),
            timers: Timers::default(),
            sweep_at: Instant::ZERO,
            ready: VecDeque::new(),
            registrations: VecDeque::new(),
            spare: Vec::new(),
            memory: 0,
            workload: Workload::default(),
            statistics: Statistics::default(),
            serving: Serving::new(mappings.as_slice().len(), options.faults_before_rollback),
            identification: seed as u16,
            options,
            mappings,
        }
    }

    /// A captured segment that a user sent, or an online server (where a [module](Self::wants_online) wants to know),
    /// seen by the kernel at `captured_at`.
    pub fn handle_capture(&mut self, now: Instant, captured_at: Instant, segment: &Segment<'_>) {
        self.statistics.captured_segments += 1;
        self.sampler.begin(now);
        self.joining.begin(now);
        let captured = Flow { client: segment.source, server: segment.destination };
        let Some(mapping) = self.mappings.entry_for(captured) else {
            return self.handle_online(now, captured_at, segment);
        };
        if !segment.is_whole() {
            return self.statistics.ignore(Ignored::Truncated);
        }
        for replica in Replica::all(captured, self.options.copies) {
            let seen = Seen { captured_at, replica, mapping, segment };
            if segment.flags.syn() {
                self.handle_syn(now, seen);
                continue;
            }
            match self.by_capture.get(&replica) {
                Some(&id) => self.deliver(id, now, captured_at, segment),
                None => self.handle_unknown(now, seen),
            }
        }
    }

    /// A response of the target for session `id`, as the feed brought it: its addresses are not looked at. `seen_at` is
    /// when it was captured, on the clock of `now` as far as that can be told: modules measure with it, and nothing else.
    pub fn handle_response(&mut self, now: Instant, seen_at: Instant, id: SessionId, segment: &Segment<'_>) {
        self.statistics.responses += 1;
        if !self.sessions.contains_key(id) {
            self.statistics.stale_responses += 1;
            return;
        }
        self.step(id, now, |session, cx| session.handle_response(segment, seen_at, cx));
    }

    /// Time has passed: every session that is due gets its turn.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sweep_at <= now {
            self.sweep_at = now + SWEEP_INTERVAL;
            self.sweep(now);
        }
        while let Some((at, id)) = self.timers.pop(now) {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            if session.armed_at != at {
                continue; // replaced by an earlier entry
            }
            session.armed_at = Instant::MAX;
            let mut rest = None;
            self.step(id, now, |session, cx| {
                rest = session.split_at_gap(cx);
                session.handle_timeout(cx);
            });
            if let Some(rest) = rest {
                self.rejoin(id, rest, now);
            }
        }
    }

    /// The packet that session `id` transmitted last was larger than its path allows.
    pub fn handle_too_large(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.shrink_segments();
        }
    }

    /// Nothing more is captured of the connections there are. What is captured after this belongs to others, also where
    /// their addresses are the same: a recording may be replayed several times.
    ///
    /// Sessions go on until they have said what was captured. Those whose user was still there then close their
    /// connection, and end as [`Verdict::CaptureEnded`].
    pub fn handle_capture_end(&mut self, now: Instant) {
        let mut ids: Vec<SessionId> = self.sessions.keys().collect();
        // Behind a hole a session of its own begins, whose capture may have a hole as well.
        while let Some(id) = ids.pop() {
            let mut rest = None;
            self.step(id, now, |session, cx| rest = session.skip_gap(cx));
            if let Some(rest) = rest {
                let replica = self.sessions.get(id).map(Session::replica);
                self.rejoin(id, rest, now);
                ids.extend(replica.and_then(|replica| self.by_capture.get(&replica)));
            }
        }
        ids.extend(self.sessions.keys());
        for id in ids {
            self.step(id, now, |session, cx| session.capture_ended(cx));
        }
        self.by_capture.clear();
        self.joining.forget_all();
    }

    /// The program stops: every session ends, the target is told.
    pub fn handle_shutdown(&mut self, now: Instant) {
        let ids: Vec<SessionId> = self.sessions.keys().collect();
        for id in ids {
            self.step(id, now, |session, cx| session.shut_down(cx));
        }
    }

    /// What the feed has to be told next. To be drained before [`Self::poll_transmit`], so that intercept knows
    /// a flow before the target can answer on it.
    pub fn poll_registration(&mut self) -> Option<Registration> {
        self.registrations.pop_front()
    }

    /// Makes the next segment that is due as an IP packet in `out` (at least as large as the MTU), and returns
    /// its session and length. `None`: nothing more is due now.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<(SessionId, usize)> {
        while let Some(&id) = self.ready.front() {
            if let Some(session) = self.sessions.get_mut(id) {
                let mut cx = Context {
                    now,
                    options: &self.options,
                    statistics: &mut self.statistics,
                    serving: &mut self.serving,
                };
                let identification = Ipv4Identification(self.identification);
                if let Some(len) = session.poll_transmit(identification, out, &mut cx) {
                    self.identification = self.identification.wrapping_add(1);
                    return Some((id, len));
                }
                self.settle_module(id, now);
                self.drained(id, now);
            }
            self.ready.pop_front();
        }
        None
    }

    /// When [`Self::handle_timeout`] is due; `None` while no session waits for anything. It may name a time at which
    /// nothing is due any more, once: a needless wake-up, never a missed one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sweep = (!self.sessions.is_empty()).then_some(self.sweep_at);
        self.timers.next().into_iter().chain(sweep).min()
    }

    /// Counters since construction.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// How many sessions there are to be for each connection.
    #[must_use]
    pub fn copies(&self) -> u16 {
        self.options.copies
    }

    /// What is under way now. Looks at every session: for reports, not for every packet.
    #[must_use]
    pub fn pending(&self) -> Pending {
        let mut pending = Pending { memory: self.memory, ..Pending::default() };
        for session in self.sessions.values().filter(|session| session.verdict().is_none()) {
            let (turns, bytes) = session.pending();
            pending.sessions += 1;
            pending.established += u64::from(session.is_established());
            pending.turns += turns;
            pending.bytes += bytes;
        }
        pending
    }

    /// What sessions have yet to say, at a glance.
    #[must_use]
    pub fn workload(&self) -> Workload {
        self.workload
    }

    /// Whether every session is over, or only waits for the target to have heard its last word: nothing that can still
    /// go wrong depends on waiting any longer.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sessions.values().all(Session::is_over_but_for_waiting)
    }

    fn deliver(&mut self, id: SessionId, now: Instant, captured_at: Instant, segment: &Segment<'_>) {
        self.step(id, now, |session, cx| session.handle_capture(segment, captured_at, cx));
        if self.memory > self.options.memory_budget {
            self.step(id, now, |session, cx| session.end(Verdict::MemoryBudget, cx));
        }
    }

    /// One step of a session: the state changes, its memory is counted, and it is due to be drained.
    fn step(&mut self, id: SessionId, now: Instant, change: impl FnOnce(&mut Session, &mut Context<'_>)) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let mut cx = Context {
            now,
            options: &self.options,
            statistics: &mut self.statistics,
            serving: &mut self.serving,
        };
        change(session, &mut cx);
        if !session.is_ready {
            session.is_ready = true;
            self.ready.push_back(id);
        }
        self.account(id);
    }

    fn sweep(&mut self, now: Instant) {
        let options = &self.options;
        let out_of_patience = |(_, session): &(SessionId, &Session)| session.is_out_of_patience(options, now);
        let ids: Vec<SessionId> = self.sessions.iter().filter(out_of_patience).map(|(id, _)| id).collect();
        for id in ids {
            self.step(id, now, |session, cx| session.lose_patience(cx));
        }
    }

    fn account(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        let held = size_of::<Session>() + session.held();
        self.workload.leave(session);
        self.memory = self.memory + held - session.memory;
        session.memory = held;
        session.is_at_work = session.verdict().is_none() && session.has_words();
        self.workload.enter(session);
    }

    /// Session `id` has nothing more to transmit now: it is over, or waits for its next deadline.
    fn drained(&mut self, id: SessionId, now: Instant) {
        let session = &mut self.sessions[id];
        session.is_ready = false;
        if session.verdict().is_some() {
            return self.remove(id, now);
        }
        let deadline = session.deadline(&self.options, now);
        if deadline < session.armed_at {
            session.armed_at = deadline;
            self.timers.arm(deadline, id);
        }
    }

    fn remove(&mut self, id: SessionId, now: Instant) {
        let Some(mut session) = self.sessions.remove(id) else {
            return;
        };
        if let Some(generation) = session.generation() {
            self.serving.leave(generation);
        }
        self.memory -= session.memory;
        self.workload.leave(&session);
        let replica = session.replica();
        if self.by_capture.get(&replica) == Some(&id) {
            self.by_capture.remove(&replica);
            // What the user repeats, or goes on to say in the middle of a turn, begins no session.
            let legacy = session.take_legacy();
            self.joining.watch_heir(replica, session.last_seen(), legacy, now);
        }
        if self.sources.holder(&session.flow) == Some(id) {
            self.sources.release(&session.flow);
            self.registrations.push_back(Registration::Remove { id });
        }
        let backlog = session.into_backlog();
        if self.spare.len() < SPARE && backlog.held() <= SPARE_BYTES {
            self.spare.push(backlog);
        }
    }
}
