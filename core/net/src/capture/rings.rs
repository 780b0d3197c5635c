//! Two rings of one device: a quick one, and a reserve that takes over while we do not read.
//!
//! In a TPACKET_V3 ring a block is handed over when its time is up, however empty it is: with blocks of 256 KiB and
//! one millisecond, 64 MiB are used up after a quarter of a second in which nobody reads, by a few packets each. A
//! longer time survives a longer stop, but delays every packet. So there are two rings in one fan-out group
//! (packet(7), `PACKET_FANOUT`): the kernel puts a packet into the first ring, whose blocks are quick, and rolls over
//! to the reserve, whose blocks are slow, only while the first has no room.
//!
//! After an overflow the two are merged by time stamp until the reserve is empty. What is merged is copied once; in
//! quiet times frames are handed out straight from the first ring.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant as Clock};

use tcpcopy_wire::Instant;

use super::ring::{Blocks, Ring, RingOptions, kernel_now};
use super::{Frame, KernelStatistics};
use crate::sockopt;

/// The quick ring's blocks: a packet waits at most this long, give or take the kernel's timer.
const QUICK_BLOCK_MS: i32 = 1;
/// The longest time of the reserve's blocks.
const MAX_SLOW_BLOCK_MS: i32 = 100;
/// What the kernel's timer may add to the time of a block.
const TIMER_SLACK: Duration = Duration::from_millis(10);

/// The group prefers its first member (a classic-BPF group without a program) and rolls over when that is full. The
/// kernel picks the group's number.
const FANOUT: u32 = libc::PACKET_FANOUT_CBPF | libc::PACKET_FANOUT_FLAG_ROLLOVER;

pub(super) struct Rings {
    first: Ring,
    reserve: Option<Reserve>,
}

/// The second ring. It holds what arrived while the first was full.
struct Reserve {
    ring: Ring,
    /// Frames from before it joined the group are in the first ring too.
    joined_at: Instant,
    received_before_join: u64,
    /// It may hold frames that are older than those of the first ring.
    in_use: bool,
    /// Frames read so far, and frames the kernel put in.
    taken: u64,
    filled: u64,
    filled_at: Clock,
    /// After this long without a new frame every block was handed over.
    settled_after: Duration,
}

/// Shares out the blocks asked for: to the first ring and to the reserve.
///
/// Halves survive the longest stop: the reserve lasts for its number of blocks times the time of one block, and that
/// time must be shorter than what the first ring lasts while the reserve's last block is waited for.
fn shares(blocks: i32) -> (Blocks, Blocks) {
    let reserve = blocks / 2;
    let first = blocks - reserve;
    let slow_ms = (first * QUICK_BLOCK_MS / 2).clamp(1, MAX_SLOW_BLOCK_MS);
    (Blocks { count: first, timeout_ms: QUICK_BLOCK_MS }, Blocks { count: reserve, timeout_ms: slow_ms })
}

impl Rings {
    /// Opens the first ring, which decides whether there is a capture at all. `blocks` is for both rings.
    pub(super) fn open(device: &str, options: RingOptions, blocks: i32) -> Result<Self, pcap::Error> {
        let first = Ring::open(device, options, shares(blocks).0)?;
        Ok(Self { first, reserve: None })
    }

    pub(super) fn first(&mut self) -> &mut Ring {
        &mut self.first
    }

    /// The first ring, and the reserve if there is one.
    pub(super) fn rings(&self) -> impl Iterator<Item = &Ring> {
        std::iter::once(&self.first).chain(self.reserve.as_ref().map(|reserve| &reserve.ring))
    }

    /// Whether the reserve may hold frames that no [`dispatch`](Self::dispatch) has shown yet.
    pub(super) fn is_merging(&self) -> bool {
        self.reserve.as_ref().is_some_and(|reserve| reserve.in_use)
    }

    /// Adds the reserve, with the same options and `blocks` as the first ring was opened with. `prepare` gives it the
    /// same filter and direction.
    ///
    /// # Errors
    /// The rings work without the reserve.
    pub(super) fn add_reserve(
        &mut self,
        device: &str,
        options: RingOptions,
        blocks: i32,
        ignore_outgoing: bool,
        prepare: impl FnOnce(&mut Ring) -> Result<(), pcap::Error>,
    ) -> Result<(), ReserveError> {
        let (_, blocks) = shares(blocks);
        // The first ring keeps the device promiscuous; libpcap's counters are expensive on a promiscuous handle.
        let mut ring = Ring::open(device, RingOptions { promiscuous: false, ..options }, blocks)?;
        prepare(&mut ring)?;
        join_group(&self.first, &ring, ignore_outgoing)?;
        let joined_at = kernel_now();
        let statistics = ring.statistics()?;
        self.reserve = Some(Reserve {
            ring,
            joined_at,
            received_before_join: statistics.received,
            in_use: true,
            taken: 0,
            filled: 0,
            filled_at: clock(),
            settled_after: Duration::from_millis(2 * u64::from(blocks.timeout_ms.unsigned_abs()))
                + TIMER_SLACK,
        });
        Ok(())
    }

    pub(super) fn dispatch(
        &mut self,
        limit: usize,
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, pcap::Error> {
        let mut count = 0;
        if let Some(reserve) = &mut self.reserve {
            reserve.in_use |= !reserve.is_empty()?;
            if reserve.in_use {
                count = merge(&mut self.first, reserve, limit, on_frame)?;
                if reserve.in_use {
                    return Ok(count);
                }
            }
        }
        Ok(count + self.first.dispatch(limit - count, on_frame)?)
    }

    pub(super) fn statistics(&mut self) -> Result<KernelStatistics, pcap::Error> {
        let mut sum = self.first.statistics()?;
        if let Some(reserve) = &mut self.reserve {
            let statistics = reserve.ring.statistics()?;
            sum.received += statistics.received.saturating_sub(reserve.received_before_join);
            sum.dropped += statistics.dropped;
        }
        Ok(sum)
    }
}

/// Hands out the frames of both rings in the order of their time stamps, until the limit, until a frame that may
/// come first is not shown yet, or until the reserve is empty and no longer in use.
fn merge(
    first: &mut Ring,
    reserve: &mut Reserve,
    limit: usize,
    on_frame: &mut impl FnMut(Frame<'_>),
) -> Result<usize, pcap::Error> {
    let mut count = 0;
    while count < limit && reserve.in_use {
        let oldest = match (first.peek()?, reserve.peek()?) {
            (Some(quick), Some(slow)) if quick <= slow => first.take(),
            (_, Some(_)) => reserve.take(),
            (_, None) if reserve.is_settled()? => {
                reserve.in_use = false;
                first.take()
            }
            // The block being filled may hold older frames than the first ring shows.
            (_, None) => break,
        };
        if let Some(frame) = oldest {
            on_frame(frame);
            count += 1;
        }
    }
    Ok(count)
}

impl Reserve {
    fn peek(&mut self) -> Result<Option<Instant>, pcap::Error> {
        while let Some(captured_at) = self.ring.peek()? {
            if captured_at >= self.joined_at {
                return Ok(Some(captured_at));
            }
            self.take();
        }
        Ok(None)
    }

    fn take(&mut self) -> Option<Frame<'_>> {
        let frame = self.ring.take();
        self.taken += u64::from(frame.is_some());
        frame
    }

    /// Whether we read all the kernel put in, by its counters: one system call.
    fn is_empty(&mut self) -> Result<bool, pcap::Error> {
        let statistics = self.ring.statistics()?;
        let filled = statistics.received.saturating_sub(statistics.dropped);
        if filled != self.filled {
            self.filled = filled;
            self.filled_at = clock();
        }
        Ok(self.filled == self.taken)
    }

    /// Whether nothing more can show up in a ring that shows nothing. The counters say so; but they also count what
    /// libpcap then drops itself (outgoing frames where the kernel does not do that), so time says it too.
    fn is_settled(&mut self) -> Result<bool, pcap::Error> {
        if !self.is_empty()? && clock().duration_since(self.filled_at) < self.settled_after {
            return Ok(false);
        }
        self.taken = self.filled;
        Ok(true)
    }
}

/// Why there is no reserve.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReserveError {
    #[error("{0}")]
    Ring(#[from] pcap::Error),
    #[error("no fan-out: {0}")]
    Group(#[from] io::Error),
}

/// Puts both rings into one fan-out group, `first` as the one that is preferred.
fn join_group(first: &Ring, reserve: &Ring, ignore_outgoing: bool) -> io::Result<()> {
    let flags = if ignore_outgoing { FANOUT | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING } else { FANOUT };
    let join = |ring: &Ring, number: u32, flags: u32| {
        let value = (number | flags << 16).cast_signed();
        sockopt::set_int(ring.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, value)
    };
    join(first, 0, flags | libc::PACKET_FANOUT_FLAG_UNIQUEID)?;
    let number = sockopt::int(first.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT)?.cast_unsigned() & 0xffff;
    join(reserve, number, flags)
}

#[expect(clippy::disallowed_methods, reason = "how long the kernel kept quiet is a question about real time")]
fn clock() -> Clock {
    Clock::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ring_outlasts_the_wait_for_the_reserves_last_block() {
        for blocks in 4..1000 {
            let (first, reserve) = shares(blocks);
            assert_eq!(first.count + reserve.count, blocks);
            assert!(reserve.timeout_ms < first.count * first.timeout_ms, "{first:?} {reserve:?}");
        }
    }
}
