//! Responses that came before their registration: the target may answer a SYN before intercept has heard of
//! the session, and an intercept that was restarted sees responses before it is told whose they are.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Flow, Instant, Segment};

use crate::FlowId;
use crate::byte_queue::ByteQueue;
use crate::bytes::Reader;
use crate::response::{MAX_DEPTH, carried, head, parse};

/// What a held response costs beside its bytes: its slot, and at most one chain, each in a table that may be
/// half empty.
const SLOT_COST: usize = 2 * (size_of::<Slot>() + size_of::<(Flow, Chain)>());

#[derive(Clone, Copy, Debug)]
struct Slot {
    flow: Flow,
    seen_at: Instant,
    /// Length of its record in `Held::bytes`.
    length: usize,
    /// Position of its record there.
    at: u64,
    /// Serial number of the flow's next held response.
    next: Option<u64>,
    /// It still waits.
    live: bool,
}

/// The held responses of one flow, by serial number, in order of arrival.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: u64,
    last: u64,
}

/// What [`Held::push`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// The response waits now; otherwise it is too large.
    pub(super) held: bool,
    /// Older responses evicted to make room.
    pub(super) evicted: u64,
    /// Responses of the same flow made obsolete by its SYN.
    pub(super) superseded: u64,
}

/// A bounded queue of responses in order of arrival, evicted and expired from its old end, claimed by flow.
#[derive(Debug)]
pub(super) struct Held {
    limit: usize,
    held_for: Duration,
    slots: VecDeque<Slot>,
    /// Serial number of the slot in front.
    front: u64,
    bytes: ByteQueue,
    chains: HashMap<Flow, Chain, FixedState>,
    /// One record being read.
    record: Vec<u8>,
}

impl Held {
    pub(super) fn new(limit: usize, held_for: Duration, seed: u64) -> Self {
        Self {
            limit,
            held_for,
            slots: VecDeque::new(),
            front: 0,
            bytes: ByteQueue::new(limit),
            chains: HashMap::with_hasher(FixedState::with_seed(seed)),
            record: Vec::new(),
        }
    }

    /// Holds a response with all the payload at hand: how much is wanted is not known yet.
    pub(super) fn push(&mut self, seen_at: Instant, flow: Flow, segment: &Segment<'_>) -> Pushed {
        let payload = carried(segment, MAX_DEPTH);
        let head = head(seen_at, FlowId(0), seen_at, segment, payload.len());
        let length = head.as_slice().len() + payload.len();
        if length + SLOT_COST > self.limit {
            return Pushed::default();
        }
        // A connection begins anew: what is held of the one before it must not reach its successor.
        let superseded = if segment.flags.syn() { self.discard(&flow) } else { 0 };
        let mut evicted = 0;
        while self.cost() + length + SLOT_COST > self.limit {
            evicted += u64::from(self.pop_front());
        }
        let serial = self.front + self.slots.len() as u64;
        let at = self.bytes.end();
        self.slots.push_back(Slot { flow, seen_at, length, at, next: None, live: true });
        self.bytes.extend(head.as_slice());
        self.bytes.extend(payload);
        self.link(flow, serial);
        Pushed { held: true, evicted, superseded }
    }

    /// Takes out the flow's responses in order of arrival.
    pub(super) fn claim(&mut self, flow: &Flow, mut on_response: impl FnMut(Instant, &Segment<'_>)) {
        let mut next = self.chains.remove(flow).map(|chain| chain.first);
        while let Some(serial) = next {
            let Some(slot) = self.retire(serial) else { return };
            next = slot.next;
            self.record.clear();
            self.bytes.copy_to(slot.at, slot.length, &mut self.record);
            if let Ok(response) = parse(slot.seen_at, &mut Reader::new(&self.record)) {
                on_response(slot.seen_at, &response.segment);
            }
        }
    }

    /// Discards those that waited long enough and says how many.
    pub(super) fn expire(&mut self, now: Instant) -> u64 {
        let mut expired = 0;
        while self.slots.front().is_some_and(|slot| !slot.live || slot.seen_at + self.held_for <= now) {
            expired += u64::from(self.pop_front());
        }
        expired
    }

    /// When the oldest one's time is up.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.seen_at + self.held_for)
    }

    fn cost(&self) -> usize {
        self.bytes.len() + self.slots.len() * SLOT_COST
    }

    fn link(&mut self, flow: Flow, serial: u64) {
        let chain = self.chains.entry(flow).or_insert(Chain { first: serial, last: serial });
        let before = std::mem::replace(&mut chain.last, serial);
        if before != serial
            && let Some(slot) = self.slot_mut(before)
        {
            slot.next = Some(serial);
        }
    }

    /// Drops all of one flow and says how many they were.
    fn discard(&mut self, flow: &Flow) -> u64 {
        let mut next = self.chains.remove(flow).map(|chain| chain.first);
        let mut discarded = 0;
        while let Some(slot) = next.and_then(|serial| self.retire(serial)) {
            next = slot.next;
            discarded += 1;
        }
        discarded
    }

    /// Marks one as no longer waiting; its bytes leave when they reach the front.
    fn retire(&mut self, serial: u64) -> Option<Slot> {
        let slot = self.slot_mut(serial)?;
        slot.live = false;
        Some(*slot)
    }

    fn slot_mut(&mut self, serial: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(serial.checked_sub(self.front)?).ok()?)
    }

    /// Drops the oldest and says whether it still waited. A live one in front is the first of its chain.
    fn pop_front(&mut self) -> bool {
        let Some(slot) = self.slots.pop_front() else {
            return false;
        };
        self.front += 1;
        self.bytes.discard(slot.length);
        if slot.live {
            match (slot.next, self.chains.get_mut(&slot.flow)) {
                (Some(next), Some(chain)) => chain.first = next,
                _ => {
                    self.chains.remove(&slot.flow);
                }
            }
        }
        slot.live
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_wire::{Endpoint, Flags, SeqNum};

    use super::*;

    const FOR: Duration = Duration::from_secs(5);

    fn flow(port: u16) -> Flow {
        Flow {
            client: Endpoint::new([10, 0, 0, 1].into(), port),
            server: Endpoint::new([10, 0, 0, 2].into(), 80),
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1000 * millis)
    }

    fn push(held: &mut Held, millis: u64, port: u16, seq: u32) -> Pushed {
        held.push(
            at(millis),
            flow(port),
            &Segment { seq: SeqNum(seq), flags: Flags::ACK, ..Segment::default() },
        )
    }

    fn claim(held: &mut Held, port: u16) -> Vec<u32> {
        let mut claimed = Vec::new();
        held.claim(&flow(port), |_, segment| claimed.push(segment.seq.0));
        claimed
    }

    #[test]
    fn each_flow_gets_its_own_in_order_of_arrival_once() {
        let mut held = Held::new(1 << 20, FOR, 1);
        for (millis, port, seq) in [(0, 1, 10), (1, 2, 20), (2, 1, 11), (3, 3, 30), (4, 1, 12)] {
            assert!(push(&mut held, millis, port, seq).held);
        }
        assert_eq!(claim(&mut held, 1), [10, 11, 12]);
        assert_eq!(claim(&mut held, 1), [0_u32; 0]);
        assert_eq!(claim(&mut held, 2), [20]);
        push(&mut held, 5, 1, 13);
        assert_eq!(claim(&mut held, 1), [13]);
        assert_eq!(held.expire(at(60_000)), 1, "only flow 3 was never claimed");
        assert_eq!(held.poll_timeout(), None);
        assert_eq!(held.cost(), 0);
    }

    #[test]
    fn whoever_waited_long_enough_expires() {
        let mut held = Held::new(1 << 20, FOR, 1);
        push(&mut held, 0, 1, 10);
        push(&mut held, 100, 1, 11);
        push(&mut held, 200, 2, 20);
        assert_eq!(held.poll_timeout(), Some(at(5000)));
        assert_eq!(held.expire(at(4999)), 0);
        assert_eq!(held.expire(at(5100)), 2);
        assert_eq!(claim(&mut held, 1), [0_u32; 0]);
        assert_eq!(claim(&mut held, 2), [20]);
    }

    #[test]
    fn the_oldest_make_room_and_memory_stays_bounded() {
        let limit = 100 * SLOT_COST;
        let mut held = Held::new(limit, FOR, 1);
        let mut evicted = 0;
        for seq in 0..10_000 {
            let pushed = push(&mut held, 0, u16::try_from(seq % 7).unwrap(), seq);
            assert!(pushed.held);
            evicted += pushed.evicted;
            assert!(held.cost() <= limit);
        }
        let kept: usize = (0..7).map(|port| claim(&mut held, port).len()).sum();
        assert_eq!(evicted + kept as u64, 10_000);
        assert!(kept > 80, "{kept}");
        assert!(held.bytes.capacity() <= limit);
        assert!(held.slots.capacity() * size_of::<Slot>() <= limit);
    }

    #[test]
    fn one_that_is_larger_than_all_room_is_not_held_and_evicts_nobody() {
        let mut held = Held::new(2000, FOR, 1);
        push(&mut held, 0, 1, 10);
        let payload = [0; 2000];
        let large = Segment { payload: &payload, payload_len: 2000, ..Segment::default() };
        assert_eq!(held.push(at(0), flow(1), &large), Pushed::default());
        assert_eq!(claim(&mut held, 1), [10]);
    }

    #[test]
    fn a_syn_supersedes_what_the_connection_before_left() {
        let mut held = Held::new(1 << 20, FOR, 1);
        push(&mut held, 0, 1, 10);
        push(&mut held, 0, 2, 20);
        push(&mut held, 0, 1, 11);
        let syn = Segment { seq: SeqNum(50), flags: Flags::SYN | Flags::ACK, ..Segment::default() };
        assert_eq!(held.push(at(1), flow(1), &syn), Pushed { held: true, evicted: 0, superseded: 2 });
        push(&mut held, 2, 1, 51);
        assert_eq!(claim(&mut held, 1), [50, 51]);
        assert_eq!(claim(&mut held, 2), [20]);
    }
}
