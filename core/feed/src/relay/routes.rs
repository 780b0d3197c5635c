//! Which session of which peer owns a flow.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::Flow;

use crate::FlowId;

/// The session a flow's responses go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Index of the peer.
    pub(super) slot: usize,
    pub(super) id: FlowId,
    pub(super) depth: u32,
}

impl Owner {
    fn is(&self, slot: usize, id: FlowId) -> bool {
        self.slot == slot && self.id == id
    }
}

/// Flow to owner. A flow has one owner: the latest that registered it.
#[derive(Debug)]
pub(super) struct Routes {
    owners: HashMap<Flow, Owner, FixedState>,
}

impl Routes {
    pub(super) fn new(seed: u64) -> Self {
        Self { owners: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    pub(super) fn owner(&self, flow: &Flow) -> Option<Owner> {
        self.owners.get(flow).copied()
    }

    pub(super) fn insert(&mut self, flow: Flow, owner: Owner) {
        self.owners.insert(flow, owner);
    }

    /// Changes the depth if the flow is still owned by that session.
    pub(super) fn set_depth(&mut self, flow: &Flow, slot: usize, id: FlowId, depth: u32) {
        if let Some(owner) = self.owners.get_mut(flow).filter(|owner| owner.is(slot, id)) {
            owner.depth = depth;
        }
    }

    /// Removes the route if the flow is still owned by that session.
    pub(super) fn remove(&mut self, flow: &Flow, slot: usize, id: FlowId) {
        if self.owners.get(flow).is_some_and(|owner| owner.is(slot, id)) {
            self.owners.remove(flow);
        }
    }
}
