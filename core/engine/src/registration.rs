//! What the engine wants intercept to know.

use tcpcopy_wire::Flow;

use crate::SessionId;

/// A change of the set of flows whose responses are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Responses on `flow` belong to session `id` from now on.
    Add {
        /// The session.
        id: SessionId,
        /// Its source end and target.
        flow: Flow,
    },
    /// Session `id` is over.
    Remove {
        /// The session.
        id: SessionId,
    },
}
