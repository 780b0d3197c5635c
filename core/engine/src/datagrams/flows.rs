//! Where the copies of a user's datagrams come from: from the same ends for as long as the user speaks.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Endpoint, Flow, Instant};

use crate::sources::{NoSource, Sources};

/// A user who has said nothing for so long may come from elsewhere next time: what NATs grant as well (RFC 4787 §4.3).
const IDLE: Duration = Duration::from_secs(120);
/// So many source ends are held at the most.
const MOST_ENDS: usize = 1 << 18;
/// How many flows may be forgotten at once: more than come new, and not so many that anything has to wait.
const FORGOTTEN_AT_ONCE: usize = 4;

struct Speaking {
    /// One for each copy that has one.
    ends: Box<[Option<Endpoint>]>,
    spoke_at: Instant,
}

/// The ends users' copies speak from.
pub(super) struct Flows {
    /// By the user's end and the target.
    flows: HashMap<Flow, Speaking, FixedState>,
    /// Each flow once, with a time at which it spoke: roughly the order in which they fall idle.
    by_age: VecDeque<(Instant, Flow)>,
    sources: Sources<()>,
    copies: u16,
    forgotten: u64,
}

impl Flows {
    pub(super) fn new(sources: Sources<()>, copies: u16, seed: u64) -> Self {
        let flows = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { flows, by_age: VecDeque::new(), sources, copies, forgotten: 0 }
    }

    /// Adds to `ends` those from which the copies of what `client` says to `target` come. Returns why there are fewer than
    /// copies, if there are.
    pub(super) fn sources(
        &mut self,
        now: Instant,
        client: Endpoint,
        target: Endpoint,
        ends: &mut Vec<Endpoint>,
    ) -> Option<NoSource> {
        self.forget_idle(now);
        let flow = Flow { client, server: target };
        if !self.flows.contains_key(&flow) {
            self.make_room();
            self.by_age.push_back((now, flow));
        }
        let copies = usize::from(self.copies);
        let speaking = self
            .flows
            .entry(flow)
            .or_insert_with(|| Speaking { ends: vec![None; copies].into(), spoke_at: now });
        speaking.spoke_at = now;
        let mut missing = None;
        for (copy, end) in (0..).zip(&mut speaking.ends) {
            match end.map_or_else(|| self.sources.acquire(client, copy, target, ()), Ok) {
                Ok(source) => {
                    *end = Some(source);
                    ends.push(source);
                }
                Err(reason) => missing = Some(reason),
            }
        }
        missing
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// How many were forgotten for want of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn make_room(&mut self) {
        if (self.flows.len() + 1) * usize::from(self.copies) > MOST_ENDS
            && let Some((_, flow)) = self.by_age.pop_front()
        {
            self.forget(&flow);
            self.forgotten += 1;
        }
    }

    fn forget_idle(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((at, flow)) = self.by_age.pop_front_if(|(at, _)| now.since(*at) >= IDLE) else { return };
            match self.flows.get(&flow) {
                Some(speaking) if speaking.spoke_at > at => self.by_age.push_back((speaking.spoke_at, flow)),
                _ => self.forget(&flow),
            }
        }
    }

    fn forget(&mut self, flow: &Flow) {
        let Some(speaking) = self.flows.remove(flow) else { return };
        for end in speaking.ends.iter().flatten() {
            self.sources.release(&Flow { client: *end, server: flow.server });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Share;

    const NOW: Instant = Instant::from_micros(1_000_000_000);

    fn flows(copies: u16) -> Flows {
        Flows::new(Sources::new(None, None, Share::WHOLE, 1), copies, 1)
    }

    fn user(number: u32) -> Endpoint {
        Endpoint::new(std::net::Ipv4Addr::from_bits(0x0a01_0000 + number).into(), 4_000)
    }

    fn ends(flows: &mut Flows, now: Instant, client: Endpoint) -> Vec<Endpoint> {
        let mut ends = Vec::new();
        let target = "10.0.3.2:53".parse::<std::net::SocketAddr>().unwrap().into();
        assert_eq!(flows.sources(now, client, target, &mut ends), None);
        ends
    }

    #[test]
    fn a_user_who_goes_on_speaking_keeps_its_ends() {
        let mut flows = flows(3);
        let first = ends(&mut flows, NOW, user(1));
        assert_eq!((first.len(), first[0]), (3, user(1)));
        for minute in 1..10 {
            assert_eq!(ends(&mut flows, NOW + Duration::from_secs(60 * minute), user(1)), first);
        }
        assert_eq!((flows.len(), flows.by_age.len()), (1, 1));
    }

    #[test]
    fn ends_of_users_who_fell_silent_are_free_again() {
        let mut flows = flows(2);
        for number in 0..1_000 {
            ends(&mut flows, NOW, user(number));
        }
        for number in 0..1_000 {
            ends(&mut flows, NOW + IDLE, user(number + 5_000));
        }
        assert_eq!((flows.len(), flows.forgotten()), (1_000, 0));
        assert_eq!(ends(&mut flows, NOW + IDLE, user(1))[0], user(1));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut flows = flows(1_000);
        for number in 0..500 {
            ends(&mut flows, NOW, user(number));
        }
        assert!(flows.len() <= MOST_ENDS / 1_000);
        assert_eq!(flows.forgotten() as usize + flows.len(), 500);
        assert_eq!(flows.by_age.len(), flows.len());
    }
}
