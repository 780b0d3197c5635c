//! The connections of a relay, each at an index that stays its own while it lasts.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::PeerId;
use super::peer::Peer;

/// Peers by index, which routes keep, and by the number the program gave them.
#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Peer>>,
    by_id: HashMap<PeerId, usize, FixedState>,
}

impl Peers {
    pub(super) fn new(seed: u64) -> Self {
        Self { slots: Vec::new(), by_id: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Every index in use is below this.
    pub(super) const fn end(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot_of(&self, id: PeerId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Peer> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn named_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.get_mut(self.slot_of(id)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.slots.iter().flatten()
    }

    /// Takes in a peer whose number is not in use, and says at which index.
    pub(super) fn insert(&mut self, peer: Peer) -> usize {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.by_id.insert(peer.id, slot);
        self.slots[slot] = Some(peer);
        slot
    }

    /// Lets a peer go. Its routes must be gone: the index will be another's.
    pub(super) fn remove(&mut self, slot: usize) {
        if let Some(peer) = self.slots.get_mut(slot).and_then(Option::take) {
            self.by_id.remove(&peer.id);
        }
    }
}
