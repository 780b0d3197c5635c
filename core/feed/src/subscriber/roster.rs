//! The live flows of one connection, and which of them the intercept has yet to hear of.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::Flow;

use crate::registration::Keying;
use crate::{FlowId, Registration};

/// A queue with more stale identities than this beside its flows is tidied.
const STALE_MAX: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: Flow,
    depth: u32,
    /// Order of registration: of two sessions with one flow the later one must win again after a reconnect.
    serial: u64,
    /// The intercept of this connection knows it.
    announced: bool,
    /// The session is over; kept only until the intercept, which knows it, is told.
    removed: bool,
    /// Its identity waits in the queue.
    queued: bool,
}

/// What is to be told is decided when there is room to tell it: a change waits as the identity of its flow
/// and only the latest state is sent, so that a slow peer costs eight bytes per changed flow.
#[derive(Debug)]
pub(super) struct Roster {
    entries: HashMap<FlowId, Entry, FixedState>,
    queue: VecDeque<FlowId>,
    next_serial: u64,
    removed: usize,
    /// Who owns which flow, while responses come without identities.
    owners: Option<HashMap<Flow, FlowId, FixedState>>,
    keying: Keying,
    seed: u64,
}

impl Roster {
    pub(super) fn new(seed: u64, keying: Keying) -> Self {
        Self {
            entries: HashMap::with_hasher(FixedState::with_seed(seed)),
            queue: VecDeque::new(),
            next_serial: 0,
            removed: 0,
            owners: None,
            keying,
            seed,
        }
    }

    /// From now on, for as long as this connection lasts, sessions can be found by their flow.
    pub(super) fn index(&mut self) {
        let key = |entry: &Entry| self.keying.key(entry.flow);
        let mut order: Vec<_> =
            self.entries.iter().map(|(&id, entry)| (entry.serial, key(entry), id)).collect();
        order.sort_unstable_by_key(|&(serial, ..)| serial);
        let mut owners = HashMap::with_hasher(FixedState::with_seed(self.seed));
        owners.extend(order.into_iter().map(|(_, flow, id)| (flow, id)));
        self.owners = Some(owners);
    }

    /// The session that owns `flow`: the latest that registered it.
    pub(super) fn owner(&self, flow: Flow) -> Option<FlowId> {
        self.owners.as_ref()?.get(&self.keying.key(flow)).copied()
    }

    /// Flows whose sessions live.
    pub(super) fn live(&self) -> usize {
        self.entries.len() - self.removed
    }

    /// Takes a registration; `connected`: it is to be told to the intercept soon.
    pub(super) fn register(&mut self, registration: Registration, connected: bool) {
        let id = match registration {
            Registration::Add { id, flow, depth } => {
                self.add(id, flow, depth);
                id
            }
            Registration::Depth { id, depth } => {
                let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.removed) else {
                    return;
                };
                entry.depth = depth;
                id
            }
            Registration::Remove { id } => {
                self.remove(id);
                id
            }
        };
        if connected {
            self.enqueue(id);
        }
    }

    fn add(&mut self, id: FlowId, flow: Flow, depth: u32) {
        self.disown(id);
        if let Some(owners) = &mut self.owners {
            owners.insert(self.keying.key(flow), id);
        }
        let queued = self.entries.get(&id).is_some_and(|entry| entry.queued);
        let entry = Entry { flow, depth, serial: self.next_serial, announced: false, removed: false, queued };
        self.next_serial += 1;
        if self.entries.insert(id, entry).is_some_and(|before| before.removed) {
            self.removed -= 1;
        }
    }

    fn remove(&mut self, id: FlowId) {
        self.disown(id);
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.removed) else {
            return;
        };
        if entry.announced {
            entry.removed = true;
            self.removed += 1;
        } else {
            self.entries.remove(&id);
        }
    }

    /// The session is not found by its flow any more.
    fn disown(&mut self, id: FlowId) {
        let (Some(owners), Some(entry)) = (&mut self.owners, self.entries.get(&id)) else {
            return;
        };
        let flow = self.keying.key(entry.flow);
        if owners.get(&flow) == Some(&id) {
            owners.remove(&flow);
        }
    }

    fn enqueue(&mut self, id: FlowId) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.queued) else {
            return;
        };
        entry.queued = true;
        self.queue.push_back(id);
        if self.queue.len() > 2 * self.entries.len() + STALE_MAX {
            // Flows that came and went while the peer took nothing left their identities behind.
            self.queue.retain(|id| self.entries.contains_key(id));
        }
    }

    /// The connection is gone, and with it all that the intercept knew.
    pub(super) fn forget_announced(&mut self) {
        self.queue.clear();
        self.entries.retain(|_, entry| {
            entry.announced = false;
            entry.queued = false;
            !entry.removed
        });
        self.removed = 0;
        self.owners = None;
    }

    /// There is a new connection: everything is to be told again, in the order it was registered.
    pub(super) fn requeue(&mut self) {
        let mut order: Vec<(u64, FlowId)> = Vec::with_capacity(self.entries.len());
        for (&id, entry) in &mut self.entries {
            entry.queued = true;
            order.push((entry.serial, id));
        }
        order.sort_unstable();
        self.queue = order.into_iter().map(|(_, id)| id).collect();
    }

    /// Hands what waits to `send`, until that says that there is no room for more.
    pub(super) fn poll_registrations(&mut self, mut send: impl FnMut(&Registration) -> bool) {
        while let Some(&id) = self.queue.front() {
            let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.queued) else {
                self.queue.pop_front();
                continue;
            };
            let registration = match *entry {
                Entry { removed: true, .. } => Registration::Remove { id },
                Entry { announced: true, depth, .. } => Registration::Depth { id, depth },
                Entry { flow, depth, .. } => Registration::Add { id, flow, depth },
            };
            if !send(&registration) {
                return;
            }
            self.queue.pop_front();
            entry.queued = false;
            entry.announced = true;
            if entry.removed {
                self.entries.remove(&id);
                self.removed -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Outbox;
    use crate::subscriber::send_frame;

    fn roster() -> Roster {
        Roster::new(1, Keying::default())
    }

    /// Sends what there is room for.
    fn send(roster: &mut Roster, outbox: &mut Outbox) {
        roster.poll_registrations(|registration| send_frame(outbox, registration));
    }

    fn add(roster: &mut Roster, id: u64) {
        roster.register(Registration::Add { id: FlowId(id), flow: Flow::default(), depth: 0 }, true);
    }

    fn remove(roster: &mut Roster, id: u64) {
        roster.register(Registration::Remove { id: FlowId(id) }, true);
    }

    #[test]
    fn sessions_that_come_and_go_while_nothing_is_sent_leave_nothing_behind() {
        let mut roster = roster();
        let mut outbox = Outbox::new(4096);
        for id in 0..100_000 {
            add(&mut roster, id);
            send(&mut roster, &mut outbox);
            remove(&mut roster, id);
            send(&mut roster, &mut outbox);
        }
        assert_eq!(roster.live(), 0);
        // What was announced before the outbox was full must still be taken back; the rest is forgotten.
        assert!(roster.entries.len() < 4096 / 8, "{}", roster.entries.len());
        assert!(roster.queue.len() <= 2 * roster.entries.len() + STALE_MAX, "{}", roster.queue.len());
        assert!(roster.queue.capacity() <= 4 * STALE_MAX, "{}", roster.queue.capacity());
        roster.forget_announced();
        assert!(roster.entries.is_empty());
    }

    #[test]
    fn only_what_is_true_when_there_is_room_is_sent() {
        let mut roster = roster();
        let mut outbox = Outbox::new(4096);
        add(&mut roster, 1);
        remove(&mut roster, 1);
        add(&mut roster, 2);
        roster.register(Registration::Depth { id: FlowId(2), depth: 9 }, true);
        send(&mut roster, &mut outbox);
        let flow = Flow::default();
        let expected = Registration::Add { id: FlowId(2), flow, depth: 9 }.record();
        assert_eq!(&outbox.poll_transmit()[4..], expected.as_slice());
        assert!(roster.queue.is_empty());
    }

    #[test]
    fn an_identity_removed_and_added_again_is_announced_again() {
        let mut roster = roster();
        let mut outbox = Outbox::new(4096);
        add(&mut roster, 1);
        send(&mut roster, &mut outbox);
        let sent = outbox.poll_transmit().len();
        outbox.consume(sent);
        remove(&mut roster, 1);
        add(&mut roster, 1);
        assert_eq!(roster.live(), 1);
        send(&mut roster, &mut outbox);
        let expected = Registration::Add { id: FlowId(1), flow: Flow::default(), depth: 0 }.record();
        assert_eq!(&outbox.poll_transmit()[4..], expected.as_slice());
    }
}
