//! What sessions have yet to say, kept up to date with every step, so that whoever reads a capture ahead of its time can
//! stop in time.

use crate::session::Session;

/// The sessions with something left to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// How many they are. A session counts until the target has acknowledged all that is captured of it.
    pub sessions: usize,
    /// Bytes of memory they hold.
    pub memory: usize,
}

impl Workload {
    /// Counts `session` in, if it is at work.
    pub(crate) fn enter(&mut self, session: &Session) {
        if session.is_at_work {
            self.sessions += 1;
            self.memory += session.memory;
        }
    }

    /// Takes `session` out as it was counted in.
    pub(crate) fn leave(&mut self, session: &Session) {
        if session.is_at_work {
            self.sessions -= 1;
            self.memory -= session.memory;
        }
    }
}
