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
    /// There was a response since this was last asked.
    pub(super) used: bool,
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

    /// The owner of a flow that there is a response of.
    pub(super) fn use_owner(&mut self, flow: &Flow) -> Option<Owner> {
        let owner = self.owners.get_mut(flow)?;
        owner.used = true;
        Some(*owner)
    }

    /// Whether the peer at that index owns the flow; if so, it is as if there had been a response.
    pub(super) fn renew(&mut self, flow: &Flow, slot: usize) -> bool {
        let owner = self.owners.get_mut(flow).filter(|owner| owner.slot == slot);
        owner.is_some_and(|owner| {
            owner.used = true;
            true
        })
    }

    /// Whether that session owns the flow and there was a response since this was last asked.
    pub(super) fn take_used(&mut self, flow: &Flow, slot: usize, id: FlowId) -> bool {
        let owner = self.owners.get_mut(flow).filter(|owner| owner.is(slot, id));
        owner.is_some_and(|owner| std::mem::take(&mut owner.used))
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
