//! The live sessions, as people look at them.

use tcpcopy_wire::{Endpoint, Instant};

use super::{Engine, SessionId};

/// A live session, as people look at it.
#[derive(Clone, Copy, Debug)]
pub struct SessionSummary {
    /// Its id.
    pub id: SessionId,
    /// The index of its mapping.
    pub mapping: Option<usize>,
    /// The number of the generation of a module that serves it.
    pub generation: Option<u32>,
    /// The user.
    pub client: Endpoint,
    /// The online server.
    pub online: Endpoint,
    /// The end the copy speaks from.
    pub source: Endpoint,
    /// The target.
    pub target: Endpoint,
    /// In a word, where it stands.
    pub state: &'static str,
    /// Turns that the target has not taken.
    pub turns_pending: u64,
    /// Captured bytes that the target has not taken.
    pub bytes_pending: u64,
    /// When it began.
    pub opened_at: Instant,
    /// When user or target last said something.
    pub active_at: Instant,
}

impl Engine {
    /// The live sessions. Looks at every one: for people, not for every packet.
    pub fn sessions(&self) -> impl Iterator<Item = SessionSummary> {
        let live = self.sessions.iter().filter(|(_, session)| session.verdict().is_none());
        live.map(|(id, session)| {
            let (turns_pending, bytes_pending) = session.pending();
            let (opened_at, active_at) = session.times();
            let generation = session.generation().map(|index| self.serving.generations()[index].number);
            SessionSummary {
                id,
                mapping: self.mappings.entry_for(session.captured),
                generation,
                client: session.captured.client,
                online: session.captured.server,
                source: session.flow.client,
                target: session.flow.server,
                state: session.state_name(),
                turns_pending,
                bytes_pending,
                opened_at,
                active_at,
            }
        })
    }
}
