//! Connections whose beginning was not captured: where a session may begin in their middle.

use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Flow, Instant, Segment, SeqNum};

/// Once the capture has run this long, a connection never seen before has been silent for as long: what it says
/// first opens a turn.
const SETTLED: Duration = Duration::from_secs(1);
/// A connection not seen for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(120);
/// So many connections are watched at the most; further ones wait until others are forgotten.
const MOST: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Watched {
    /// The last acknowledgement seen, when there was one.
    heard: Option<SeqNum>,
    seen_at: Instant,
}

/// The connections being watched for the start of a turn.
pub(crate) struct Joining {
    watched: HashMap<Flow, Watched, FixedState>,
    began_at: Option<Instant>,
    swept_at: Instant,
}

impl Joining {
    pub(crate) fn new(seed: u64) -> Self {
        let watched = HashMap::with_hasher(FixedState::with_seed(seed));
        Self {
            watched,
            began_at: None,
            swept_at: Instant::ZERO,
        }
    }

    /// The capture has begun.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began_at.get_or_insert(now);
    }

    /// Watches a connection of which `heard` is the last acknowledgement seen.
    pub(crate) fn watch(&mut self, flow: Flow, heard: Option<SeqNum>, now: Instant) {
        self.sweep(now);
        if self.watched.len() < MOST {
            self.watched.insert(flow, Watched { heard, seen_at: now });
        }
    }

    pub(crate) fn forget(&mut self, flow: &Flow) {
        self.watched.remove(flow);
    }

    /// Whether a session may begin with `segment`, which has payload, of a connection without one.
    ///
    /// It may when the user is seen to have heard something new since speaking last; or, of a connection never
    /// seen before, when that has been silent long enough, or when the segment is a word of its own (pushed),
    /// as the rest of a longer one would be rare and short-lived.
    pub(crate) fn may_begin(&mut self, flow: &Flow, segment: &Segment<'_>, now: Instant) -> bool {
        let settled = self.began_at.is_some_and(|began| now.since(began) >= SETTLED);
        let opens = match self.watched.get(flow) {
            Some(Watched {
                heard: Some(heard), ..
            }) => segment.flags.ack() && segment.ack > *heard,
            Some(Watched { heard: None, .. }) => false,
            None => settled || segment.flags.psh(),
        };
        if opens {
            self.watched.remove(flow);
        } else {
            self.watch(*flow, segment.flags.ack().then_some(segment.ack), now);
        }
        opens
    }

    /// A segment without payload of a connection without a session: what it says next opens a turn if it has
    /// heard more by then, and for all we know it is listening now.
    pub(crate) fn observe(&mut self, flow: &Flow, now: Instant) {
        if let Some(watched) = self.watched.get_mut(flow) {
            watched.seen_at = now;
        }
    }

    fn sweep(&mut self, now: Instant) {
        if now.since(self.swept_at) < FORGOTTEN {
            return;
        }
        self.swept_at = now;
        self.watched
            .retain(|_, watched| now.since(watched.seen_at) < FORGOTTEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcpcopy_wire::Flags;

    fn word(ack: u32, flags: Flags) -> Segment<'static> {
        Segment {
            ack: SeqNum(ack),
            flags: flags | Flags::ACK,
            payload: b"x",
            payload_len: 1,
            ..Segment::default()
        }
    }

    #[test]
    fn the_rest_of_a_long_word_is_not_a_beginning() {
        let mut joining = Joining::new(1);
        let flow = Flow::default();
        let now = Instant::from_micros(1_000_000);
        joining.begin(now);
        assert!(!joining.may_begin(&flow, &word(10, Flags::default()), now));
        assert!(!joining.may_begin(&flow, &word(10, Flags::PSH), now));
        assert!(joining.may_begin(&flow, &word(20, Flags::PSH), now));
    }

    #[test]
    fn a_connection_long_silent_begins_with_whatever_it_says() {
        let mut joining = Joining::new(1);
        let began = Instant::from_micros(1_000_000);
        joining.begin(began);
        let later = began + SETTLED;
        assert!(joining.may_begin(&Flow::default(), &word(10, Flags::default()), later));
    }

    #[test]
    fn forgotten_connections_leave_no_trace() {
        let mut joining = Joining::new(1);
        let now = Instant::from_micros(1_000_000);
        joining.watch(Flow::default(), None, now);
        let other = Flow {
            client: tcpcopy_wire::Endpoint {
                port: 1,
                ..Default::default()
            },
            ..Flow::default()
        };
        joining.watch(other, None, now + FORGOTTEN + FORGOTTEN);
        assert_eq!(joining.watched.len(), 1);
    }
}
