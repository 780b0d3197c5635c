//! The modules as the loop sees them: who serves, what they told, and what that adds up to.
//!
//! Loading is not done here but on the thread of [`Admin`](crate::admin::Admin), by its [`Shelf`].

mod choice;
mod in_place;
mod reasons;
mod shelf;
mod totals;

use std::sync::Arc;

use tcpcopy_engine::{Engine, Event, GenerationStatistics, SessionId};
use tcpcopy_host::{CallTimes, on_one_line};
use tcpcopy_wire::Instant;

use crate::ComparisonTotals;
use crate::comparison::Comparison;

pub use choice::{ConfigurationSource, ModuleChoice, ModuleOptions};
pub(crate) use in_place::InPlace;
pub use shelf::ShelfError;
pub(crate) use shelf::{Fresh, Shelf};
pub use totals::{DiscardTotals, GenerationTotals, ModuleName, ModulesTotals, ReasonTotals};

use reasons::Reasons;

/// Slow calls are told of again when there are so many times more of them.
const SLOW_TOLD_AGAIN: u64 = 10;

/// Everything the loop keeps about modules.
pub(crate) struct Modules {
    /// The online sides of the mappings, as `-x` takes them.
    mappings: Vec<String>,
    in_place: Arc<InPlace>,
    /// In the order of [`Engine::generations`].
    generations: Vec<Generation>,
    comparison: Comparison,
}

/// One loaded module, and why it failed sessions.
struct Generation {
    name: ModuleName,
    api: String,
    file: String,
    configuration: String,
    times: Arc<CallTimes>,
    gave_up: Reasons,
    faults: Reasons,
    remarks: Reasons,
    /// Slow calls that the log has told of.
    slow_told: u64,
}

impl Modules {
    /// No modules yet, for mappings of these names. What becomes of modules is told in `in_place`.
    pub(crate) fn new(mappings: Vec<String>, in_place: Arc<InPlace>) -> Self {
        Self { mappings, in_place, generations: Vec::new(), comparison: Comparison::default() }
    }

    /// From now on `fresh` serves the new sessions of its mapping.
    pub(crate) fn install(&mut self, engine: &mut Engine, fresh: Fresh, migrates: bool, now: Instant) {
        // What became of those before it comes first.
        self.take_events(engine);
        let Fresh { mapping, name, api, file, configuration, times, module, wants_online: _ } = fresh;
        engine.install(mapping, name.generation, module, migrates, now);
        self.in_place.install(mapping, name.generation);
        self.generations.push(Generation {
            name,
            api,
            file,
            configuration,
            times,
            gave_up: Reasons::default(),
            faults: Reasons::default(),
            remarks: Reasons::default(),
            slow_told: 0,
        });
    }

    /// Takes what the modules told.
    pub(crate) fn take_events(&mut self, engine: &mut Engine) {
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Exchange { mapping, exchange, .. } => self.comparison.count(mapping, &exchange),
                Event::GaveUp { generation, session, reason, .. } => {
                    self.gave_up(generation, session, &reason);
                }
                Event::Remark { generation, session, phrase, .. } => {
                    self.remarked(generation, session, &phrase);
                }
                Event::Fault { generation, session, reason, .. } => self.broke(generation, session, &reason),
                Event::RolledBack { mapping, from, to } => self.rolled_back(mapping, from, to),
            }
        }
    }

    /// About once a second: tells of modules that held up the loop; of each less and less often.
    pub(crate) fn tell_of_slow_calls(&mut self) {
        for generation in &mut self.generations {
            let calls = generation.times.summary();
            if calls.slow > SLOW_TOLD_AGAIN * generation.slow_told {
                generation.slow_told = calls.slow;
                log::warn!(
                    "module {} holds up everything: {} of its calls took 10 ms or more, the longest {} ms",
                    generation.name,
                    calls.slow,
                    calls.longest.as_millis()
                );
            }
        }
    }

    /// The module that serves the new sessions of the mapping with this index.
    pub(crate) fn serving(&self, engine: &Engine, mapping: usize) -> Option<&ModuleName> {
        let is_current = |statistics: &GenerationStatistics| {
            statistics.mapping == mapping && statistics.state == tcpcopy_engine::GenerationState::Current
        };
        let at = engine.generations().iter().position(is_current)?;
        self.generations.get(at).map(|generation| &generation.name)
    }

    /// The names of the mappings, by their index.
    pub(crate) fn mappings(&self) -> &[String] {
        &self.mappings
    }

    /// The names of all modules that were loaded.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ModuleName> {
        self.generations.iter().map(|generation| &generation.name)
    }

    /// What all modules did so far.
    pub(crate) fn totals(&self, engine: &Engine) -> ModulesTotals {
        let generations = engine.generations().iter().zip(&self.generations);
        let discards = engine.discards().map(|(reason, discarded)| DiscardTotals {
            reason: on_one_line(reason).into_owned(),
            times: discarded.times,
            bytes: discarded.bytes,
        });
        ModulesTotals {
            generations: generations.map(|(statistics, generation)| generation.totals(statistics)).collect(),
            discards: discards.collect(),
            exchanges_dropped: engine.exchanges_dropped(),
        }
    }

    /// The comparison so far. Takes a millisecond or so for hundreds of labels.
    pub(crate) fn comparisons(&self) -> Vec<ComparisonTotals> {
        self.comparison.totals(&self.mappings)
    }

    fn gave_up(&mut self, number: u32, session: SessionId, reason: &str) {
        let Some(Generation { name, gave_up, .. }) = self.generation(number) else { return };
        if let Some(reason) = gave_up.count(reason) {
            let session = session.to_bits();
            log::warn!(
                "module {name} gives sessions up, first session {session:x}: {reason}; further ones are counted"
            );
        }
    }

    fn remarked(&mut self, number: u32, session: SessionId, phrase: &str) {
        let Some(Generation { name, remarks, .. }) = self.generation(number) else { return };
        if let Some(phrase) = remarks.count(phrase) {
            let session = session.to_bits();
            log::warn!("module {name}, first in session {session:x}: {phrase}; further ones are counted");
        }
    }

    fn broke(&mut self, number: u32, session: SessionId, reason: &str) {
        let Some(Generation { name, faults, .. }) = self.generation(number) else { return };
        if let Some(reason) = faults.count(reason) {
            let session = session.to_bits();
            log::error!(
                "module {name} broke in session {session:x}, which is given up: {reason}; further ones are counted"
            );
        }
    }

    fn rolled_back(&mut self, mapping: usize, from: u32, to: u32) {
        self.in_place.roll_back(mapping, to);
        let text = |number| match self.generations.iter().find(|known| known.name.generation == number) {
            Some(generation) => generation.name.to_string(),
            None => format!("generation {number}"),
        };
        let mapping = self.mappings.get(mapping).map_or("", String::as_str);
        log::error!(
            "module {} broke too often and was rolled back: {} serves the new sessions of {mapping} again; load a better \
             one with: tcpcopy ctl swap {mapping} FILE",
            text(from),
            text(to)
        );
    }

    fn generation(&mut self, number: u32) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|known| known.name.generation == number)
    }
}

impl Generation {
    fn totals(&self, statistics: &GenerationStatistics) -> GenerationTotals {
        let calls = self.times.summary();
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        GenerationTotals {
            module: self.name.clone(),
            state: statistics.state.name().to_owned(),
            api: self.api.clone(),
            file: self.file.clone(),
            configuration: self.configuration.clone(),
            sessions_opened: statistics.sessions_opened,
            sessions_live: statistics.sessions_live,
            sessions_moved_in: statistics.sessions_moved_in,
            turns_captured: statistics.turns_captured,
            turns_lost: statistics.turns_lost,
            gave_up: statistics.gave_up,
            gave_up_reasons: self.gave_up.totals(),
            faults: statistics.faults,
            fault_reasons: self.faults.totals(),
            remarks: self.remarks.totals(),
            calls: calls.calls,
            mean_call_ns: calls.mean.map(nanos),
            longest_call_ns: nanos(calls.longest),
            slow_calls: calls.slow,
        }
    }
}
