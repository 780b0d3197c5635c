//! UDP (RFC 768): what users sent to an online address is sent to its target once more, from other ends. Nothing comes
//! back, and nothing is waited for.
//!
//! Not here: TCP, which is the rest of this crate.

mod flows;
mod fragments;
mod statistics;

use tcpcopy_wire::{CapturedDatagram, Datagram, Endpoint, Flow, Fragment, Instant, emit_datagram};

use crate::sampling::Sampler;
use crate::sources::{NoSource, Sources};
use crate::{EngineOptions, Mappings, path_mtu};

use flows::Flows;
use fragments::Fragments;
pub use statistics::{DatagramStatistics, FragmentTotals, Uncopied};

/// Everybody takes IPv6 packets of this length (RFC 8200 §5).
const LEAST_IPV6_MTU: usize = 1280;
/// The longest payload of a datagram: what an IP header's length field leaves it, over IPv4 and over IPv6.
const LONGEST_PAYLOAD: [usize; 2] = [65_535 - 20 - 8, 65_535 - 8];

/// Copies datagrams, in the order in which they were captured.
///
/// After every `handle_*`, drain [`Self::poll_transmit`] until it returns `None`: it has one datagram in hand, no more.
pub struct Datagrams {
    options: EngineOptions,
    mappings: Mappings,
    /// For each mapping the longest packet that its path is known to take.
    mtus: Vec<usize>,
    sampler: Sampler,
    flows: Flows,
    fragments: Fragments,
    outgoing: Outgoing,
    identification: u32,
    statistics: DatagramStatistics,
}

/// The datagram in hand.
#[derive(Default)]
struct Outgoing {
    payload: Vec<u8>,
    ttl: u8,
    tos: u8,
    /// The index of its mapping.
    mapping: usize,
    /// Where its copies speak from.
    sources: Vec<Endpoint>,
    /// The copy whose packet was made last.
    present: usize,
    /// Where the next packet begins: in which copy, and how far into it.
    next: (usize, usize),
}

impl Datagrams {
    /// Of the options, those about MTU, sampling, shares, copies, sources and memory say something here. `seed` decides
    /// hashes, source addresses and alternative ports.
    #[must_use]
    pub fn new(options: EngineOptions, mappings: Mappings, seed: u64) -> Self {
        let sources = Sources::new(options.sources.clone(), options.loopback_source, options.ports, seed);
        let mtu = |is_v4: bool| usize::from(options.mtu).max(if is_v4 { 0 } else { LEAST_IPV6_MTU });
        let targets = mappings.as_slice().iter().map(|mapping| mapping.target);
        Self {
            mtus: targets.map(|target| mtu(target.addr.is_ipv4())).collect(),
            sampler: Sampler::new(options.sampling, options.share),
            flows: Flows::new(sources, options.copies, seed),
            fragments: Fragments::new(options.memory_budget, seed),
            outgoing: Outgoing::default(),
            identification: seed as u32,
            statistics: DatagramStatistics::default(),
            options,
            mappings,
        }
    }

    /// What was found of UDP in a captured frame, seen by the kernel at `captured_at`.
    pub fn handle_capture(&mut self, now: Instant, captured_at: Instant, captured: &CapturedDatagram<'_>) {
        self.sampler.begin(now);
        match captured {
            CapturedDatagram::Whole(datagram) => self.copy(now, datagram),
            CapturedDatagram::Fragment(fragment) => self.put_together(now, captured_at, fragment),
        }
    }

    /// Makes the next packet of the datagram in hand in `out` (at least as large as the MTU, and 1280 bytes), and returns
    /// its length. `None`: all its copies are made.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        let Outgoing { payload, ttl, tos, mapping, sources, present, next } = &mut self.outgoing;
        let (copy, offset) = *next;
        let datagram = Datagram {
            source: *sources.get(copy)?,
            destination: self.mappings.as_slice()[*mapping].target,
            ttl: *ttl,
            tos: *tos,
            payload,
            payload_len: payload.len() as u32,
        };
        if offset == 0 {
            self.identification = next_identification(self.identification);
        }
        let mtu = self.mtus[*mapping];
        // It was looked at whether IP can say it; so what is left is too small a buffer.
        let (len, then) = emit_datagram(&datagram, self.identification, mtu, offset, out).ok()?;
        self.statistics.fragmented_copies += u64::from(offset == 0 && then.is_some());
        *present = copy;
        *next = then.map_or((copy + 1, 0), |offset| (copy, offset));
        Some(len)
    }

    /// The packet transmitted last was larger than its path allows: its copy is made anew, of smaller ones.
    pub fn handle_too_large(&mut self) {
        let mtu = &mut self.mtus[self.outgoing.mapping];
        let is_v4 = self.mappings.as_slice()[self.outgoing.mapping].target.addr.is_ipv4();
        let smaller = path_mtu::below(*mtu).max(if is_v4 { 0 } else { LEAST_IPV6_MTU });
        let copy = self.outgoing.present;
        // With nothing smaller left the copy is given up; the packet that was not sent is counted where it was not.
        self.outgoing.next = if smaller < *mtu { (copy, 0) } else { (copy + 1, 0) };
        *mtu = smaller;
    }

    /// How many copies there are to be of each datagram.
    #[must_use]
    pub fn copies(&self) -> u16 {
        self.options.copies
    }

    /// Datagrams captured so far.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.statistics.captured
    }

    /// Counters since construction, and what is held now. Looks at every unfinished packet: for reports.
    #[must_use]
    pub fn statistics(&self) -> DatagramStatistics {
        DatagramStatistics {
            fragments: self.fragments.totals(),
            flows: self.flows.len() as u64,
            flows_forgotten: self.flows.forgotten(),
            ..self.statistics.clone()
        }
    }

    /// Takes the fragment to those of its packet, and the packet to hand if it is whole by now.
    fn put_together(&mut self, now: Instant, captured_at: Instant, fragment: &Fragment<'_>) {
        let Some(whole) = self.fragments.add(captured_at, fragment) else { return };
        match fragment.datagram(&whole.bytes) {
            Ok(datagram) => self.copy(now, &datagram),
            Err(_) => self.fragments.lose_whole(&whole),
        }
    }

    /// Takes the datagram to hand, or counts why not.
    fn copy(&mut self, now: Instant, datagram: &Datagram<'_>) {
        debug_assert!(
            self.outgoing.sources.len() <= self.outgoing.next.0,
            "the datagram before is not drained"
        );
        self.statistics.captured += 1;
        self.statistics.captured_bytes += u64::from(datagram.payload_len);
        self.outgoing.sources.clear();
        match self.take(now, datagram) {
            Ok(()) => self.statistics.copied += 1,
            Err(reason) => self.statistics.uncopied[reason as usize] += 1,
        }
    }

    fn take(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<(), Uncopied> {
        let captured = Flow { client: datagram.source, server: datagram.destination };
        let mapping = self.mappings.entry_for(captured).ok_or(Uncopied::NotMapped)?;
        if !datagram.is_whole() {
            return Err(Uncopied::Truncated);
        }
        if !self.sampler.takes(datagram.source, now) {
            return Err(Uncopied::NotSampled);
        }
        let target = self.mappings.as_slice()[mapping].target;
        if datagram.payload.len() > LONGEST_PAYLOAD[usize::from(target.addr.is_ipv6())] {
            return Err(Uncopied::TooLong);
        }
        let Outgoing { payload, sources, .. } = &mut self.outgoing;
        let missing = self.flows.sources(now, datagram.source, target, sources);
        if sources.is_empty() {
            return Err(match missing {
                Some(NoSource::Unusable) => Uncopied::NoSourceAddress,
                _ => Uncopied::SourcesExhausted,
            });
        }
        let copies = sources.len() as u64;
        self.statistics.copies += copies;
        self.statistics.copies_without_source += u64::from(self.options.copies) - copies;
        self.statistics.copied_bytes += copies * u64::from(datagram.payload_len);
        payload.clear();
        payload.extend_from_slice(datagram.payload);
        (self.outgoing.ttl, self.outgoing.tos) = (datagram.ttl, datagram.tos);
        (self.outgoing.mapping, self.outgoing.next) = (mapping, (0, 0));
        Ok(())
    }
}

/// The kernel puts a number of its own where an IPv4 header has zero, and would do so in each fragment.
fn next_identification(before: u32) -> u32 {
    let next = before.wrapping_add(1);
    if next as u16 == 0 { next.wrapping_add(1) } else { next }
}
