//! Fragments of captured packets, until all of a packet are there (RFC 791 §3.2, RFC 8200 §4.5).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Fragment, Instant};

use super::statistics::FragmentTotals;

/// A packet that is not whole after so long will not be: what kernels wait as well.
const PATIENCE: Duration = Duration::from_secs(30);
/// Unfinished packets hold no more than this, nor more than a quarter of the memory budget.
const MOST_BYTES: usize = 16 << 20;
/// What a packet takes beside its bytes.
const OVERHEAD: usize = 256;
/// More holes than this are in no packet that is worth the trouble.
const MOST_PIECES: usize = 64;
/// The end of the longest packet's content.
const LONGEST: u32 = 65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
}

/// A packet of which fragments are missing.
struct Unfinished {
    began_at: Instant,
    bytes: Vec<u8>,
    /// What of `bytes` is there: apart from each other, in order.
    pieces: Vec<(u32, u32)>,
    /// Known once the last fragment is there.
    len: Option<u32>,
    fragments: u64,
}

/// A packet that was put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// Its content.
    pub(super) bytes: Vec<u8>,
    fragments: u64,
}

/// What a fragment did to its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    New,
    Repeated,
    /// It contradicts those before: none of the packet can be trusted (RFC 5722).
    Contradicts,
}

/// The unfinished packets.
pub(super) struct Fragments {
    packets: HashMap<Key, Unfinished, FixedState>,
    /// When packets began, oldest first; those among them that are no longer there do not count.
    by_age: VecDeque<(Instant, Key)>,
    held: usize,
    most_bytes: usize,
    totals: FragmentTotals,
}

impl Fragments {
    pub(super) fn new(memory_budget: usize, seed: u64) -> Self {
        Self {
            packets: HashMap::with_hasher(FixedState::with_seed(seed)),
            by_age: VecDeque::new(),
            held: 0,
            most_bytes: MOST_BYTES.min(memory_budget / 4),
            totals: FragmentTotals::default(),
        }
    }

    /// Takes a fragment captured at `at`; returns its packet when that is whole by now.
    pub(super) fn add(&mut self, at: Instant, fragment: &Fragment<'_>) -> Option<Whole> {
        self.totals.captured += 1;
        self.forget_old(at);
        let Fragment { source, destination, identification, .. } = *fragment;
        let key = Key { source, destination, identification };
        if !is_sound(fragment) {
            self.totals.lost += 1;
            self.lose(&key);
            return None;
        }
        if !self.packets.contains_key(&key) {
            self.by_age.push_back((at, key));
            self.held += OVERHEAD;
        }
        let packet = self.packets.entry(key).or_insert_with(|| Unfinished::new(at));
        let held = packet.bytes.capacity();
        let fit = packet.add(fragment);
        self.held = self.held + packet.bytes.capacity() - held;
        match fit {
            Fit::New => {}
            Fit::Repeated => self.totals.repeated += 1,
            Fit::Contradicts => {
                self.totals.lost += 1;
                self.lose(&key);
            }
        }
        let is_whole = self.packets.get(&key).is_some_and(Unfinished::is_whole);
        let whole = if is_whole { self.remove(&key) } else { None };
        self.shed();
        whole.map(|Unfinished { bytes, fragments, .. }| {
            self.totals.joined += fragments;
            self.totals.datagrams += 1;
            Whole { bytes, fragments }
        })
    }

    /// A packet that was put together is no datagram.
    pub(super) fn lose_whole(&mut self, whole: &Whole) {
        self.totals.joined -= whole.fragments;
        self.totals.datagrams -= 1;
        self.totals.lost += whole.fragments;
    }

    pub(super) fn totals(&self) -> FragmentTotals {
        let pending = self.packets.values().map(|packet| packet.fragments).sum();
        FragmentTotals { pending, ..self.totals }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((_, key)) = self.by_age.pop_front_if(|(at, _)| now.since(*at) >= PATIENCE) {
            if self.packets.get(&key).is_some_and(|packet| now.since(packet.began_at) >= PATIENCE) {
                self.lose(&key);
            }
        }
        if self.by_age.len() > 2 * self.packets.len() + MOST_PIECES {
            self.by_age
                .retain(|(at, key)| self.packets.get(key).is_some_and(|packet| packet.began_at == *at));
        }
    }

    /// Gives the oldest up while too much is held.
    fn shed(&mut self) {
        while self.held > self.most_bytes
            && let Some((at, key)) = self.by_age.pop_front()
        {
            if self.packets.get(&key).is_some_and(|packet| packet.began_at == at) {
                self.lose(&key);
            }
        }
    }

    fn lose(&mut self, key: &Key) {
        self.totals.lost += self.remove(key).map_or(0, |packet| packet.fragments);
    }

    fn remove(&mut self, key: &Key) -> Option<Unfinished> {
        let packet = self.packets.remove(key)?;
        self.held -= OVERHEAD + packet.bytes.capacity();
        Some(packet)
    }
}

/// Whether it is all there, and its place is one that a fragment can have.
fn is_sound(fragment: &Fragment<'_>) -> bool {
    let Fragment { offset, has_more, payload, payload_len, .. } = *fragment;
    let is_kept = payload.len() == payload_len as usize && payload_len > 0;
    let fits = offset.checked_add(payload_len).is_some_and(|end| end <= LONGEST);
    is_kept && fits && (!has_more || payload_len.is_multiple_of(8))
}

impl Unfinished {
    fn new(began_at: Instant) -> Self {
        Self { began_at, bytes: Vec::new(), pieces: Vec::new(), len: None, fragments: 0 }
    }

    fn add(&mut self, fragment: &Fragment<'_>) -> Fit {
        let (start, end) = (fragment.offset, fragment.offset + fragment.payload_len);
        let is_last = !fragment.has_more;
        let ends_elsewhere = self.len.is_some_and(|len| end > len || (is_last && end != len));
        let others_lie_behind = is_last && self.pieces.last().is_some_and(|(_, furthest)| *furthest > end);
        if ends_elsewhere || others_lie_behind {
            return Fit::Contradicts;
        }
        let at = self.pieces.partition_point(|(_, piece_end)| *piece_end <= start);
        if let Some((piece_start, piece_end)) =
            self.pieces.get(at).filter(|(piece_start, _)| *piece_start < end)
        {
            let is_there = *piece_start <= start && end <= *piece_end;
            let place = start as usize..end as usize;
            return if is_there && self.bytes.get(place) == Some(fragment.payload) {
                Fit::Repeated
            } else {
                Fit::Contradicts
            };
        }
        if self.bytes.len() < end as usize {
            self.bytes.resize(end as usize, 0);
        }
        self.bytes[start as usize..end as usize].copy_from_slice(fragment.payload);
        self.pieces.insert(at, (start, end));
        self.join_around(at);
        if self.pieces.len() > MOST_PIECES {
            return Fit::Contradicts;
        }
        self.fragments += 1;
        self.len = self.len.or(is_last.then_some(end));
        Fit::New
    }

    /// Makes one of the piece at `at` and those that touch it.
    fn join_around(&mut self, at: usize) {
        if at + 1 < self.pieces.len() && self.pieces[at].1 == self.pieces[at + 1].0 {
            self.pieces[at].1 = self.pieces.remove(at + 1).1;
        }
        if at > 0 && self.pieces[at - 1].1 == self.pieces[at].0 {
            self.pieces[at - 1].1 = self.pieces.remove(at).1;
        }
    }

    fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.pieces == [(0, len)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Instant = Instant::from_micros(1_000_000_000);

    fn fragments() -> Fragments {
        Fragments::new(usize::MAX, 1)
    }

    fn fragment(identification: u32, offset: u32, has_more: bool, payload: &[u8]) -> Fragment<'_> {
        Fragment {
            source: "10.1.0.1".parse().unwrap(),
            destination: "10.0.0.1".parse().unwrap(),
            ttl: 64,
            tos: 0,
            identification,
            offset,
            has_more,
            payload,
            payload_len: payload.len() as u32,
        }
    }

    #[track_caller]
    fn assert_sums(fragments: &Fragments) {
        let FragmentTotals { captured, joined, repeated, lost, pending, .. } = fragments.totals();
        assert_eq!(captured, joined + repeated + lost + pending);
        let held = fragments.packets.values().map(|packet| packet.bytes.capacity() + OVERHEAD).sum::<usize>();
        assert_eq!(fragments.held, held);
    }

    #[test]
    fn a_packet_is_whole_when_its_last_hole_is_filled() {
        let mut fragments = fragments();
        assert_eq!(fragments.add(NOW, &fragment(1, 16, false, b"end")), None);
        assert_eq!(fragments.add(NOW, &fragment(1, 0, true, b"01234567")), None);
        assert_eq!(fragments.add(NOW, &fragment(2, 8, true, b"another!")), None);
        assert_eq!(fragments.totals().pending, 3);
        let whole = fragments.add(NOW, &fragment(1, 8, true, b"abcdefgh"));
        assert_eq!(whole.map(|whole| whole.bytes).as_deref(), Some(&b"01234567abcdefghend"[..]));
        assert_eq!((fragments.totals().joined, fragments.totals().pending), (3, 1));
        assert_sums(&fragments);
    }

    #[test]
    fn repeated_fragments_do_no_harm_and_contradicting_ones_end_their_packet() {
        let mut fragments = fragments();
        let first = fragment(1, 0, true, b"01234567");
        for _ in 0..3 {
            assert_eq!(fragments.add(NOW, &first), None);
        }
        assert_eq!(fragments.totals().repeated, 2);
        fragments.add(NOW, &fragment(1, 0, true, b"another!"));
        assert_eq!((fragments.totals().lost, fragments.totals().pending), (2, 0));
        fragments.add(NOW, &fragment(1, 8, false, b"end"));
        fragments.add(NOW, &fragment(1, 16, false, b"end"));
        fragments.add(NOW, &fragment(2, 16, true, b"01234567"));
        fragments.add(NOW, &fragment(2, 0, false, b"short"));
        assert_eq!(fragments.totals().pending, 0);
        assert_sums(&fragments);
    }

    #[test]
    fn what_cannot_be_a_fragment_is_lost() {
        let mut fragments = fragments();
        let cut = Fragment { payload_len: 16, ..fragment(1, 0, true, b"01234567") };
        for bad in [
            cut,
            fragment(2, 0, true, b"odd"),
            fragment(3, 65_528, true, b"01234567"),
            fragment(4, 8, true, b""),
            fragment(5, u32::MAX, true, b"01234567"),
        ] {
            assert_eq!(fragments.add(NOW, &bad), None);
        }
        assert_eq!(fragments.totals().lost, 5);
        assert_sums(&fragments);
    }

    #[test]
    fn unfinished_packets_are_given_up_after_a_while() {
        let mut fragments = fragments();
        fragments.add(NOW, &fragment(1, 0, true, b"01234567"));
        fragments.add(NOW + PATIENCE, &fragment(1, 8, false, b"end"));
        assert_eq!((fragments.totals().lost, fragments.totals().pending), (1, 1));
        assert_sums(&fragments);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_make_room() {
        let mut fragments = Fragments::new(4 * 1_000_000, 1);
        for identification in 0..10_000 {
            fragments.add(NOW, &fragment(identification, 60_000, true, b"01234567"));
            assert!(fragments.held <= 1_000_000);
        }
        assert!(fragments.totals().lost > 9_000);
        assert_sums(&fragments);
        for identification in 0..10_000 {
            fragments.add(NOW, &fragment(identification, 0, true, b"01234567"));
            fragments.add(NOW, &fragment(identification, 8, false, b"end"));
        }
        assert!(fragments.by_age.len() < 1_000, "{}", fragments.by_age.len());
        assert_sums(&fragments);
    }

    proptest! {
        #[test]
        fn any_order_makes_the_same_packet(cuts in prop::collection::btree_set(1_u32..200, 0..60), seed: u64, twice: bool) {
            let content: Vec<u8> = (0..1_603_u32).map(|index| index as u8).collect();
            let mut bounds: Vec<usize> = cuts.iter().map(|cut| *cut as usize * 8).collect();
            bounds.insert(0, 0);
            bounds.push(content.len());
            let mut parts: Vec<(usize, usize)> = bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
            if twice {
                parts.extend(parts.clone());
            }
            let mut state = seed;
            for index in (1..parts.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                parts.swap(index, (state >> 33) as usize % (index + 1));
            }
            let mut fragments = fragments();
            let mut whole = Vec::new();
            for (start, end) in parts {
                let more = end < content.len();
                whole.extend(fragments.add(NOW, &fragment(7, start as u32, more, &content[start..end])));
            }
            prop_assert!(whole.iter().all(|whole| whole.bytes == content));
            prop_assert!(whole.len() == 1 || twice);
            assert_sums(&fragments);
        }
    }
}
