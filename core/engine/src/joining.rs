//! Connections without a session: where one may begin in their middle. Each copy of a connection is watched by itself.
//!
//! A connection whose beginning was not captured, or whose session has ended, may be joined only where the user
//! opens a turn: anything else would be the rest of a word, or a word the target has heard already.

use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Instant, Segment, SeqNum};

use crate::replica::Replica;

/// Once the capture has run this long, a connection never seen before has been silent for as long: what it says
/// first opens a turn.
const SETTLED: Duration = Duration::from_secs(1);
/// A connection silent for once to twice this long is forgotten, as what it says next opens a turn anyway: a user who
/// repeats lost words backs off to a minute or two (RFC 6298 §2.5), not further.
const GENERATION: Duration = Duration::from_secs(64);
/// So many connections are watched at the most in each generation.
const MOST: usize = 1 << 19;
/// And so many bytes are kept of what modules left for their next sessions.
const MOST_LEFT_BEHIND: usize = 32 << 20;

/// What was seen last of a connection being watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastSeen {
    /// What the user had heard when speaking last; `None` when that is not known.
    pub(crate) heard: Option<SeqNum>,
    /// Where the user's next words begin.
    pub(crate) next: SeqNum,
    /// The user has heard more since, without speaking.
    pub(crate) is_listening: bool,
}

/// What the module of a connection's session left for the one of its next session.
pub(crate) type Legacy = Option<Box<[u8]>>;

#[derive(Debug)]
struct Watch {
    last: LastSeen,
    legacy: Legacy,
}

/// Connections watched, with how much was left behind for them.
struct Watched {
    replicas: HashMap<Replica, Watch, FixedState>,
    left_behind: usize,
}

impl Watched {
    fn new(seed: u64) -> Self {
        Self { replicas: HashMap::with_hasher(FixedState::with_seed(seed)), left_behind: 0 }
    }

    fn insert(&mut self, replica: Replica, watch: Watch) {
        if self.replicas.len() < MOST {
            self.left_behind += watch.legacy.as_deref().map_or(0, <[u8]>::len);
            self.replicas.insert(replica, watch);
        }
    }

    fn remove(&mut self, replica: &Replica) -> Option<Watch> {
        let watch = self.replicas.remove(replica)?;
        self.left_behind -= watch.legacy.as_deref().map_or(0, <[u8]>::len);
        Some(watch)
    }

    fn clear(&mut self) {
        self.replicas.clear();
        self.left_behind = 0;
    }
}

/// The connections being watched for the start of a turn.
pub(crate) struct Joining {
    recent: Watched,
    older: Watched,
    turned_at: Instant,
    began_at: Option<Instant>,
}

impl Joining {
    pub(crate) fn new(seed: u64) -> Self {
        let [recent, older] = [seed; 2].map(Watched::new);
        Self { recent, older, turned_at: Instant::ZERO, began_at: None }
    }

    /// The capture has begun.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began_at.get_or_insert(now);
    }

    /// Watches a connection from what was seen last of it. What was left behind for it stays.
    pub(crate) fn watch(&mut self, replica: Replica, last: LastSeen, now: Instant) {
        let legacy = self.forget(&replica);
        self.put(replica, Watch { last, legacy }, now);
    }

    /// Watches a connection whose session has ended and left `legacy`.
    pub(crate) fn watch_heir(&mut self, replica: Replica, last: LastSeen, legacy: Legacy, now: Instant) {
        self.forget(&replica);
        self.put(replica, Watch { last, legacy }, now);
    }

    /// The connection has a session, or is another one by now. Returns what was left behind for it.
    pub(crate) fn forget(&mut self, replica: &Replica) -> Legacy {
        let watch = self.recent.remove(replica).or_else(|| self.older.remove(replica));
        watch?.legacy
    }

    /// Every connection is another one by now.
    pub(crate) fn forget_all(&mut self) {
        self.recent.clear();
        self.older.clear();
        self.began_at = None;
    }

    /// A segment without payload of a connection without a session: a user who acknowledges, and speaks next right
    /// where that acknowledgement stood, opens a turn.
    pub(crate) fn observe(&mut self, replica: &Replica, segment: &Segment<'_>, now: Instant) {
        if !segment.flags.ack() {
            return;
        }
        let last = match self.last_seen(replica) {
            Some(last) if segment.seq < last.next => return,
            // Words are missing before it, which may have been said after hearing all that is acknowledged here.
            Some(last) if segment.seq > last.next => {
                LastSeen { heard: Some(segment.ack), next: segment.seq, is_listening: false }
            }
            Some(last) => {
                let more = last.heard.is_none_or(|heard| segment.ack > heard);
                LastSeen { next: segment.seq, is_listening: last.is_listening || more, ..last }
            }
            None => LastSeen { heard: Some(segment.ack), next: segment.seq, is_listening: true },
        };
        self.watch(*replica, last, now);
    }

    /// Whether a session may begin with `segment`, which has payload, of a connection without one.
    ///
    /// It may when the user is seen to have heard something new since speaking last, and nothing is missing in
    /// between; or, of a connection never seen before, when that has been silent long enough, or when the segment
    /// is a word of its own (pushed), as the rest of a longer one would be rare and short-lived.
    ///
    /// The connection is watched until it is [forgotten](Self::forget).
    pub(crate) fn may_begin(&mut self, replica: &Replica, segment: &Segment<'_>, now: Instant) -> bool {
        let settled = self.began_at.is_some_and(|began| now.since(began) >= SETTLED);
        let end = segment.seq + segment.len();
        let (opens, next) = match self.last_seen(replica) {
            Some(last) => {
                let heard_more = last.heard.is_some_and(|heard| segment.flags.ack() && segment.ack > heard);
                let opens = segment.seq == last.next && (last.is_listening || heard_more);
                (opens, if end > last.next { end } else { last.next })
            }
            None => (settled || segment.flags.psh(), end),
        };
        if !opens {
            let heard = segment.flags.ack().then_some(segment.ack);
            self.watch(*replica, LastSeen { heard, next, is_listening: false }, now);
        }
        opens
    }

    /// Takes in a connection that is not watched.
    fn put(&mut self, replica: Replica, mut watch: Watch, now: Instant) {
        if now.since(self.turned_at) >= GENERATION {
            self.turned_at = now;
            std::mem::swap(&mut self.recent, &mut self.older);
            self.recent.clear();
        }
        let left_behind = self.recent.left_behind + self.older.left_behind;
        watch.legacy = watch.legacy.filter(|legacy| left_behind + legacy.len() <= MOST_LEFT_BEHIND);
        self.recent.insert(replica, watch);
    }

    fn last_seen(&self, replica: &Replica) -> Option<LastSeen> {
        let watch = self.recent.replicas.get(replica).or_else(|| self.older.replicas.get(replica));
        watch.map(|watch| watch.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcopy_wire::{Flags, Flow};

    const NOW: Instant = Instant::from_micros(1_000_000_000);

    /// A word of ten bytes at `seq`.
    fn word(seq: u32, ack: u32, flags: Flags) -> Segment<'static> {
        let (seq, ack, flags) = (SeqNum(seq), SeqNum(ack), flags | Flags::ACK);
        Segment { seq, ack, flags, payload: b"0123456789", payload_len: 10, ..Segment::default() }
    }

    fn begun() -> Joining {
        let mut joining = Joining::new(1);
        joining.begin(NOW);
        joining
    }

    fn ended(heard: Option<u32>, next: u32) -> LastSeen {
        LastSeen { heard: heard.map(SeqNum), next: SeqNum(next), is_listening: false }
    }

    #[test]
    fn the_rest_of_a_long_word_is_not_a_beginning() {
        let mut joining = begun();
        let replica = Replica::default();
        assert!(!joining.may_begin(&replica, &word(0, 10, Flags::default()), NOW));
        assert!(!joining.may_begin(&replica, &word(10, 10, Flags::PSH), NOW));
        assert!(joining.may_begin(&replica, &word(20, 20, Flags::PSH), NOW));
    }

    #[test]
    fn a_word_behind_a_hole_is_not_a_beginning() {
        let mut joining = begun();
        let replica = Replica::default();
        assert!(!joining.may_begin(&replica, &word(0, 10, Flags::default()), NOW));
        assert!(!joining.may_begin(&replica, &word(20, 20, Flags::PSH), NOW));
        assert!(joining.may_begin(&replica, &word(30, 30, Flags::PSH), NOW));
    }

    #[test]
    fn a_user_seen_listening_begins_with_what_is_said_next() {
        let mut joining = begun();
        let replica = Replica::default();
        let listening = Segment { payload: b"", payload_len: 0, ..word(50, 10, Flags::default()) };
        joining.observe(&replica, &listening, NOW);
        assert!(joining.may_begin(&replica, &word(50, 10, Flags::default()), NOW));
    }

    #[test]
    fn a_user_who_said_something_unseen_before_listening_begins_only_after_hearing_more() {
        let mut joining = begun();
        let replica = Replica::default();
        let listening = |ack| Segment { payload: b"", payload_len: 0, ..word(60, ack, Flags::default()) };
        joining.watch(replica, ended(Some(10), 50), NOW);
        joining.observe(&replica, &listening(20), NOW);
        assert!(!joining.may_begin(&replica, &word(60, 20, Flags::PSH), NOW));
        joining.watch(replica, ended(Some(10), 50), NOW);
        joining.observe(&replica, &listening(20), NOW);
        joining.observe(&replica, &listening(30), NOW);
        assert!(joining.may_begin(&replica, &word(60, 30, Flags::PSH), NOW));
    }

    #[test]
    fn a_connection_long_silent_begins_with_whatever_it_says() {
        assert!(begun().may_begin(&Replica::default(), &word(0, 10, Flags::default()), NOW + SETTLED));
    }

    #[test]
    fn what_an_ended_session_has_said_begins_no_other() {
        let mut joining = begun();
        let later = NOW + SETTLED;
        joining.watch(Replica::default(), ended(Some(10), 10), later);
        assert!(!joining.may_begin(&Replica::default(), &word(0, 20, Flags::PSH), later));
        assert!(!joining.may_begin(&Replica::default(), &word(10, 20, Flags::PSH), later));
        assert!(joining.may_begin(&Replica::default(), &word(20, 30, Flags::PSH), later));
    }

    #[test]
    fn what_was_left_behind_stays_until_a_session_takes_it() {
        let mut joining = begun();
        let replica = Replica::default();
        joining.watch_heir(replica, ended(Some(10), 10), Some(b"legacy".as_slice().into()), NOW);
        let listening = Segment { payload: b"", payload_len: 0, ..word(10, 20, Flags::default()) };
        joining.observe(&replica, &listening, NOW);
        assert_eq!(joining.forget(&replica).as_deref(), Some(&b"legacy"[..]));
        assert_eq!(joining.recent.left_behind + joining.older.left_behind, 0);
        let too_much = vec![0; MOST_LEFT_BEHIND + 1].into_boxed_slice();
        joining.watch_heir(replica, ended(Some(10), 10), Some(too_much), NOW);
        assert_eq!(joining.forget(&replica), None);
    }

    #[test]
    fn forgotten_connections_leave_no_trace() {
        let mut joining = begun();
        joining.watch(Replica::default(), ended(None, 0), NOW);
        for port in 1..=2 {
            let client = tcpcopy_wire::Endpoint { port, ..Default::default() };
            let captured = Flow { client, ..Flow::default() };
            let replica = Replica { captured, copy: 0 };
            joining.watch(replica, ended(None, 0), NOW + GENERATION * u32::from(port));
        }
        assert_eq!(joining.recent.replicas.len() + joining.older.replicas.len(), 2);
        assert!(joining.may_begin(&Replica::default(), &word(0, 10, Flags::default()), NOW + GENERATION * 2));
    }
}
