//! The modules that serve an engine's sessions: which generation is current, and what all of them told.

use std::collections::VecDeque;

use tcpcopy_plugin_api::{Actions, Conversation, Exchange, Module, SessionInfo};

use crate::SessionId;

/// Reasons for leaving bytes out that are told apart; further ones count as the last of them.
const MOST_REASONS: usize = 100;
const OTHER_REASONS: &str = "(other reasons)";
/// Events that wait to be asked for; exchanges beyond that are dropped and counted.
const MOST_EVENTS: usize = 1 << 16;
/// Generations of a mapping that are kept to go back to.
const MOST_EARLIER: usize = 8;

/// Something a module told, or that became of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An exchange for the report.
    Exchange {
        /// The index of the mapping.
        mapping: usize,
        /// The generation that recorded it.
        generation: u32,
        /// What it recorded.
        exchange: Exchange,
    },
    /// A module gave a session up.
    GaveUp {
        /// The index of the mapping.
        mapping: usize,
        /// The generation that served it.
        generation: u32,
        /// The session.
        session: SessionId,
        /// Its phrase.
        reason: String,
    },
    /// A module had something to say to the operator.
    Remark {
        /// The index of the mapping.
        mapping: usize,
        /// The generation that said it.
        generation: u32,
        /// The session in which it did.
        session: SessionId,
        /// Its phrase.
        phrase: String,
    },
    /// A module broke in a session.
    Fault {
        /// The index of the mapping.
        mapping: usize,
        /// The generation that served it.
        generation: u32,
        /// The session.
        session: SessionId,
        /// What happened.
        reason: String,
    },
    /// After too many faults new sessions are served by an older generation again.
    RolledBack {
        /// The index of the mapping.
        mapping: usize,
        /// The generation that failed.
        from: u32,
        /// The one that serves now.
        to: u32,
    },
}

/// Where a generation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// It serves new sessions.
    Current,
    /// It serves those that it has.
    Draining,
    /// It serves none any more.
    Retired,
    /// It failed and was replaced by an earlier one; sessions that it has may still end on it.
    RolledBack,
}

impl GenerationState {
    /// The name in reports: lower case with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What one generation of a module did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationStatistics {
    /// The index of the mapping it serves.
    pub mapping: usize,
    /// Its number.
    pub number: u32,
    /// Where it stands.
    pub state: GenerationState,
    /// Sessions that began with it.
    pub sessions_opened: u64,
    /// Sessions that it serves now.
    pub sessions_live: u64,
    /// Sessions that moved to it from an older generation.
    pub sessions_moved_in: u64,
    /// Turns taken into its sessions.
    pub turns_captured: u64,
    /// Turns lost by its sessions.
    pub turns_lost: u64,
    /// Sessions that it gave up.
    pub gave_up: u64,
    /// Sessions in which it broke.
    pub faults: u64,
}

/// Captured bytes that modules left out for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// How often.
    pub times: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A module in place, with its generation's place in the list.
struct Installed {
    module: Box<dyn Module>,
    generation: usize,
}

/// What serves one mapping.
#[derive(Default)]
struct Slot {
    current: Option<Installed>,
    /// Those that served before it, the latest last.
    earlier: Vec<Installed>,
    /// Sessions of older generations move to this one (an index) when they can.
    migrates: bool,
}

/// All modules of an engine, and what they told.
pub(crate) struct Serving {
    slots: Vec<Slot>,
    generations: Vec<GenerationStatistics>,
    events: VecDeque<Event>,
    events_dropped: u64,
    discards: Vec<(String, Discarded)>,
    faults_before_rollback: u32,
    /// Which generations want to know what online servers say.
    wants_online: Vec<bool>,
    /// Reused from call to call.
    actions: Actions,
}

impl Serving {
    pub(crate) fn new(mappings: usize, faults_before_rollback: u32) -> Self {
        Self {
            slots: (0..mappings).map(|_| Slot::default()).collect(),
            generations: Vec::new(),
            events: VecDeque::new(),
            events_dropped: 0,
            discards: Vec::new(),
            faults_before_rollback,
            wants_online: Vec::new(),
            actions: Actions::default(),
        }
    }

    pub(crate) fn install(&mut self, mapping: usize, number: u32, module: Box<dyn Module>, migrates: bool) {
        let Some(slot) = self.slots.get_mut(mapping) else { return };
        let generation = self.generations.len();
        self.generations.push(GenerationStatistics {
            mapping,
            number,
            state: GenerationState::Current,
            sessions_opened: 0,
            sessions_live: 0,
            sessions_moved_in: 0,
            turns_captured: 0,
            turns_lost: 0,
            gave_up: 0,
            faults: 0,
        });
        let replaced = slot.current.replace(Installed { module, generation });
        slot.migrates = migrates;
        self.wants_online.push(false);
        if let Some(replaced) = replaced {
            let older = replaced.generation;
            if slot.earlier.len() == MOST_EARLIER {
                let is_of_no_use = |of: &Installed| {
                    has_failed(&self.generations[of.generation], self.faults_before_rollback)
                };
                let spare = slot.earlier.iter().position(is_of_no_use).unwrap_or(0);
                slot.earlier.remove(spare);
            }
            slot.earlier.push(replaced);
            self.generations[older].state = GenerationState::Draining;
            self.retire_if_idle(older);
        }
    }

    /// A conversation of the mapping's present module, and the index of its generation.
    pub(crate) fn open(
        &mut self,
        mapping: usize,
        info: &SessionInfo,
    ) -> Option<(Box<dyn Conversation>, usize)> {
        let current = self.slots.get(mapping)?.current.as_ref()?;
        let generation = current.generation;
        let conversation = current.module.open(info);
        self.generations[generation].sessions_opened += 1;
        self.generations[generation].sessions_live += 1;
        Some((conversation, generation))
    }

    /// The same for a connection that another conversation served until now.
    pub(crate) fn resume(
        &mut self,
        mapping: usize,
        info: &SessionInfo,
        snapshot: &[u8],
    ) -> Option<(Box<dyn Conversation>, usize)> {
        let current = self.slots.get(mapping)?.current.as_ref()?;
        let generation = current.generation;
        let conversation = current.module.resume(info, snapshot);
        let statistics = &mut self.generations[generation];
        statistics.sessions_live += 1;
        if info.connected {
            statistics.sessions_moved_in += 1;
        } else {
            statistics.sessions_opened += 1;
        }
        Some((conversation, generation))
    }

    /// Whether sessions of the generation with this index should move to the present one.
    pub(crate) fn is_to_move(&self, generation: usize) -> bool {
        let mapping = self.generations[generation].mapping;
        let slot = &self.slots[mapping];
        slot.migrates && slot.current.as_ref().is_some_and(|current| current.generation > generation)
    }

    /// A session has left a generation: it ended, or moved.
    pub(crate) fn leave(&mut self, generation: usize) {
        self.generations[generation].sessions_live -= 1;
        self.retire_if_idle(generation);
    }

    /// A session of a generation was given up; after too many faults an earlier generation takes over.
    pub(crate) fn fail(&mut self, generation: usize, session: SessionId, reason: &str, is_fault: bool) {
        let GenerationStatistics { mapping, number, .. } = self.generations[generation];
        let reason = reason.to_owned();
        if !is_fault {
            self.generations[generation].gave_up += 1;
            return self.tell(Event::GaveUp { mapping, generation: number, session, reason });
        }
        self.generations[generation].faults += 1;
        self.tell(Event::Fault { mapping, generation: number, session, reason });
        if has_failed(&self.generations[generation], self.faults_before_rollback) {
            self.roll_back(mapping, generation);
        }
    }

    /// The latest of the earlier generations that has not failed itself takes the place of `failed`, if there is one.
    fn roll_back(&mut self, mapping: usize, failed: usize) {
        let slot = &mut self.slots[mapping];
        if slot.current.as_ref().is_none_or(|current| current.generation != failed) {
            return;
        }
        let is_good =
            |of: &Installed| !has_failed(&self.generations[of.generation], self.faults_before_rollback);
        let Some(good) = slot.earlier.iter().rposition(is_good) else { return };
        // What served after it has failed.
        let Some(earlier) = slot.earlier.drain(good..).next() else { return };
        let to = earlier.generation;
        slot.current = Some(earlier);
        slot.migrates = false;
        self.generations[failed].state = GenerationState::RolledBack;
        self.generations[to].state = GenerationState::Current;
        let (from, to) = (self.generations[failed].number, self.generations[to].number);
        self.tell(Event::RolledBack { mapping, from, to });
    }

    fn retire_if_idle(&mut self, generation: usize) {
        let statistics = &mut self.generations[generation];
        if statistics.state == GenerationState::Draining && statistics.sessions_live == 0 {
            statistics.state = GenerationState::Retired;
        }
    }

    pub(crate) fn record(&mut self, generation: usize, exchange: Exchange) {
        let GenerationStatistics { mapping, number, .. } = self.generations[generation];
        self.tell(Event::Exchange { mapping, generation: number, exchange });
    }

    pub(crate) fn remark(&mut self, generation: usize, session: SessionId, phrase: &str) {
        let GenerationStatistics { mapping, number, .. } = self.generations[generation];
        self.tell(Event::Remark { mapping, generation: number, session, phrase: phrase.to_owned() });
    }

    /// Failures are always told: there is at most one a session.
    fn tell(&mut self, event: Event) {
        let may_be_many = matches!(event, Event::Exchange { .. } | Event::Remark { .. });
        if self.events.len() >= MOST_EVENTS && may_be_many {
            self.events_dropped += 1;
            return;
        }
        self.events.push_back(event);
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    /// Counts `bytes` left out for `reason`, and returns the reason's number.
    pub(crate) fn discard(&mut self, reason: &str, bytes: u64) -> u16 {
        let known = self.discards.iter().position(|(known, _)| known == reason);
        let at = known.unwrap_or_else(|| {
            if self.discards.len() < MOST_REASONS {
                self.discards.push((reason.to_owned(), Discarded::default()));
            } else if self.discards.len() == MOST_REASONS {
                self.discards.push((OTHER_REASONS.to_owned(), Discarded::default()));
            }
            self.discards.len() - 1
        });
        let discarded = &mut self.discards[at].1;
        discarded.times += 1;
        discarded.bytes += bytes;
        at as u16
    }

    /// More of what was left out for the reason of this number.
    pub(crate) fn discard_more(&mut self, reason: u16, bytes: u64) {
        self.discards[usize::from(reason)].1.bytes += bytes;
    }

    /// What was left out is given to its module again.
    pub(crate) fn take_discard_back(&mut self, reason: u16, bytes: u64) {
        let discarded = &mut self.discards[usize::from(reason)].1;
        discarded.times = discarded.times.saturating_sub(1);
        discarded.bytes = discarded.bytes.saturating_sub(bytes);
    }

    pub(crate) fn discards(&self) -> impl Iterator<Item = (&str, Discarded)> {
        self.discards.iter().map(|(reason, discarded)| (reason.as_str(), *discarded))
    }

    pub(crate) fn generations(&self) -> &[GenerationStatistics] {
        &self.generations
    }

    pub(crate) fn generation_mut(&mut self, generation: usize) -> &mut GenerationStatistics {
        &mut self.generations[generation]
    }

    pub(crate) fn want_online(&mut self, generation: usize) {
        self.wants_online[generation] = true;
    }

    pub(crate) fn wants_online(&self) -> bool {
        let serves = |statistics: &GenerationStatistics| {
            statistics.state == GenerationState::Current || statistics.sessions_live > 0
        };
        self.generations
            .iter()
            .zip(&self.wants_online)
            .any(|(generation, wanted)| *wanted && serves(generation))
    }

    /// The actions, to be filled by a call and put back.
    pub(crate) fn take_actions(&mut self) -> Actions {
        std::mem::take(&mut self.actions)
    }

    pub(crate) fn put_actions_back(&mut self, actions: Actions) {
        self.actions = actions;
    }
}

/// Whether a generation broke too often to serve new sessions.
fn has_failed(generation: &GenerationStatistics, faults_before_rollback: u32) -> bool {
    generation.faults >= u64::from(faults_before_rollback)
}
