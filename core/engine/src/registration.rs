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
        /// Payload bytes wanted of each response; 0: headers are enough.
        depth: u32,
    },
    /// Session `id` wants another depth from now on.
    Depth {
        /// The session.
        id: SessionId,
        /// As in [`Self::Add`].
        depth: u32,
    },
    /// Session `id` is over.
    Remove {
        /// The session.
        id: SessionId,
    },
}
