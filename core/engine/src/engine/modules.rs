//! The engine's modules: installed, asked what they told, and given their part of every session.

use tcpcopy_plugin_api::Module;
use tcpcopy_wire::{Flow, Instant, Segment};

use super::{Engine, SessionId};
use crate::Registration;
use crate::replica::Replica;
use crate::serving::{Discarded, Event, GenerationStatistics};
use crate::session::ModuleHalf;
use crate::verdict::Ignored;

impl Engine {
    /// From now on `module` serves the new sessions of the mapping with index `mapping` in
    /// [`Mappings::as_slice`](crate::Mappings::as_slice), as generation `number`. Running sessions end on the generation
    /// they have; with `migrates` they move to this one when their conversations can.
    pub fn install(
        &mut self,
        mapping: usize,
        number: u32,
        module: Box<dyn Module>,
        migrates: bool,
        now: Instant,
    ) {
        self.serving.install(mapping, number, module, migrates);
        if migrates {
            let ids: Vec<SessionId> = self.sessions.keys().collect();
            for id in ids {
                self.settle_module(id, now);
            }
        }
    }

    /// What modules told and became, in order. To be drained once in a while, after [`Self::poll_transmit`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.serving.poll_event()
    }

    /// Exchanges that were dropped because nobody asked for them in time.
    #[must_use]
    pub fn exchanges_dropped(&self) -> u64 {
        self.serving.events_dropped()
    }

    /// How each generation did, in the order of installation.
    #[must_use]
    pub fn generations(&self) -> &[GenerationStatistics] {
        self.serving.generations()
    }

    /// What modules left out, by reason.
    pub fn discards(&self) -> impl Iterator<Item = (&str, Discarded)> {
        self.serving.discards()
    }

    /// Whether what the online servers say has to be captured as well.
    #[must_use]
    pub fn wants_online(&self) -> bool {
        self.serving.wants_online()
    }

    /// A captured segment that no user sent.
    pub(super) fn handle_online(&mut self, now: Instant, captured_at: Instant, segment: &Segment<'_>) {
        let captured = Flow { client: segment.destination, server: segment.source };
        if self.mappings.entry_for(captured).is_none() {
            return self.statistics.ignore(Ignored::NotMapped);
        }
        self.statistics.online_segments += 1;
        for replica in Replica::all(captured, self.options.copies) {
            if let Some(&id) = self.by_capture.get(&replica) {
                self.step(id, now, |session, cx| session.handle_online(segment, captured_at, cx));
            }
        }
    }

    /// Gives session `id` a conversation, if a module serves its mapping.
    pub(super) fn converse(&mut self, id: SessionId, mapping: usize, snapshot: Option<&[u8]>, now: Instant) {
        let info = self.sessions[id].info(id, false);
        let conversation = match snapshot {
            Some(snapshot) => self.serving.resume(mapping, &info, snapshot),
            None => self.serving.open(mapping, &info),
        };
        let Some((conversation, generation)) = conversation else { return };
        let half = ModuleHalf::new(conversation, id);
        self.step(id, now, |session, cx| session.converse(half, generation, cx));
    }

    /// What a session's module wants of others than the session: another depth, or to be replaced by a newer one.
    pub(super) fn settle_module(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if let Some(depth) = session.take_new_depth() {
            self.registrations.push_back(Registration::Depth { id, depth });
        }
        let Some(older) = session.generation().filter(|index| self.serving.is_to_move(*index)) else {
            return;
        };
        let Some(mapping) = self.mappings.entry_for(session.captured) else { return };
        let info = session.info(id, true);
        let Some(snapshot) = session.snapshot_at_rest() else { return };
        let Some((conversation, generation)) = self.serving.resume(mapping, &info, &snapshot) else { return };
        self.serving.leave(older);
        self.step(id, now, |session, cx| session.hand_over(conversation, generation, cx));
    }
}
