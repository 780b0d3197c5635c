//! Connections without a session: where one may begin in their middle.
//!
//! A connection whose beginning was not captured, or whose session has ended, may be joined only where the user
//! opens a turn: anything else would be the rest of a word, or a word the target has heard already.

use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Flow, Instant, Segment, SeqNum};

/// Once the capture has run this long, a connection never seen before has been silent for as long: what it says
/// first opens a turn.
const SETTLED: Duration = Duration::from_secs(1);
/// A connection silent for once to twice this long is forgotten, as what it says next opens a turn anyway.
const GENERATION: Duration = Duration::from_secs(8);
/// So many connections are watched at the most in each generation.
const MOST: usize = 1 << 19;

type Watched = HashMap<Flow, Option<SeqNum>, FixedState>;

/// The connections being watched for the start of a turn, each with the last acknowledgement seen.
pub(crate) struct Joining {
    recent: Watched,
    older: Watched,
    turned_at: Instant,
    began_at: Option<Instant>,
}

impl Joining {
    pub(crate) fn new(seed: u64) -> Self {
        let watched = || HashMap::with_hasher(FixedState::with_seed(seed));
        Self { recent: watched(), older: watched(), turned_at: Instant::ZERO, began_at: None }
    }

    /// The capture has begun.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began_at.get_or_insert(now);
    }

    /// Watches a connection of which `heard` is the last acknowledgement seen.
    pub(crate) fn watch(&mut self, flow: Flow, heard: Option<SeqNum>, now: Instant) {
        if now.since(self.turned_at) >= GENERATION {
            self.turned_at = now;
            std::mem::swap(&mut self.recent, &mut self.older);
            self.recent.clear();
        }
        if self.recent.len() < MOST {
            self.recent.insert(flow, heard);
        }
    }

    /// The connection has a session, or is another one by now.
    pub(crate) fn forget(&mut self, flow: &Flow) {
        self.recent.remove(flow);
        self.older.remove(flow);
    }

    /// Whether a session may begin with `segment`, which has payload, of a connection without one.
    ///
    /// It may when the user is seen to have heard something new since speaking last; or, of a connection never
    /// seen before, when that has been silent long enough, or when the segment is a word of its own (pushed),
    /// as the rest of a longer one would be rare and short-lived.
    pub(crate) fn may_begin(&mut self, flow: &Flow, segment: &Segment<'_>, now: Instant) -> bool {
        let settled = self.began_at.is_some_and(|began| now.since(began) >= SETTLED);
        let opens = match self.recent.get(flow).or_else(|| self.older.get(flow)) {
            Some(Some(heard)) => segment.flags.ack() && segment.ack > *heard,
            Some(None) => false,
            None => settled || segment.flags.psh(),
        };
        if opens {
            self.forget(flow);
        } else {
            self.watch(*flow, segment.flags.ack().then_some(segment.ack), now);
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcopy_wire::Flags;

    const NOW: Instant = Instant::from_micros(1_000_000_000);

    fn word(ack: u32, flags: Flags) -> Segment<'static> {
        Segment {
            ack: SeqNum(ack),
            flags: flags | Flags::ACK,
            payload: b"x",
            payload_len: 1,
            ..Segment::default()
        }
    }

    fn begun() -> Joining {
        let mut joining = Joining::new(1);
        joining.begin(NOW);
        joining
    }

    #[test]
    fn the_rest_of_a_long_word_is_not_a_beginning() {
        let mut joining = begun();
        let flow = Flow::default();
        assert!(!joining.may_begin(&flow, &word(10, Flags::default()), NOW));
        assert!(!joining.may_begin(&flow, &word(10, Flags::PSH), NOW));
        assert!(joining.may_begin(&flow, &word(20, Flags::PSH), NOW));
    }

    #[test]
    fn a_connection_long_silent_begins_with_whatever_it_says() {
        assert!(begun().may_begin(&Flow::default(), &word(10, Flags::default()), NOW + SETTLED));
    }

    #[test]
    fn what_an_ended_session_has_said_begins_no_other() {
        let mut joining = begun();
        let later = NOW + SETTLED;
        joining.watch(Flow::default(), Some(SeqNum(10)), later);
        assert!(!joining.may_begin(&Flow::default(), &word(10, Flags::PSH), later));
    }

    #[test]
    fn forgotten_connections_leave_no_trace() {
        let mut joining = begun();
        joining.watch(Flow::default(), None, NOW);
        for port in 1..=2 {
            let client = tcpcopy_wire::Endpoint { port, ..Default::default() };
            joining.watch(Flow { client, ..Flow::default() }, None, NOW + GENERATION * u32::from(port));
        }
        assert_eq!(joining.recent.len() + joining.older.len(), 2);
        assert!(joining.may_begin(&Flow::default(), &word(10, Flags::default()), NOW + GENERATION * 2));
    }
}
