//! One memory-mapped ring: a libpcap handle and what is read ahead of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use pcap::{Active, Capture, Linktype};
use tcpcopy_wire::Instant;

use super::{Frame, KernelStatistics};
use crate::sockopt;

/// Size of one block of the ring: libpcap takes its largest snapshot length, whatever the one asked for.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// What is the same for every ring of a capture.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingOptions {
    pub(super) snaplen: i32,
    pub(super) promiscuous: bool,
}

/// How large a ring is and when the kernel hands over a block that is not full, in libpcap's C integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) count: i32,
    pub(super) timeout_ms: i32,
}

pub(super) struct Ring {
    capture: Capture<Active>,
    counters: Counters,
    held: Held,
}

/// One frame copied out of the ring, to be compared with that of another ring.
#[derive(Default)]
struct Held {
    is_some: bool,
    bytes: Vec<u8>,
    wire_len: usize,
    captured_at: Instant,
}

impl Ring {
    /// Opens a non-blocking ring on `device`. Never in immediate mode: that falls back to TPACKET_V2, whose frames
    /// all take the snapshot length, with one wake-up per packet.
    pub(super) fn open(device: &str, options: RingOptions, blocks: Blocks) -> Result<Self, pcap::Error> {
        let capture = Capture::from_device(device)?
            .immediate_mode(false)
            .timeout(blocks.timeout_ms)
            .snaplen(options.snaplen)
            .buffer_size(blocks.count.saturating_mul(BLOCK_BYTES as i32))
            .promisc(options.promiscuous)
            .open()?
            .setnonblock()?;
        Ok(Self { capture, counters: Counters::default(), held: Held::default() })
    }

    pub(super) fn link_type(&self) -> Linktype {
        self.capture.get_datalink()
    }

    pub(super) fn set_filter(&mut self, filter: &str) -> Result<(), pcap::Error> {
        self.capture.filter(filter, true)
    }

    /// Sets a filter in the kernel alone, over the one set with [`set_filter`](Self::set_filter). libpcap itself tries
    /// its filter once more on the first block, and there it cannot tell inbound from outbound.
    pub(super) fn set_kernel_filter(&mut self, filter: &str) -> Result<(), pcap::Error> {
        let program = self.capture.compile(filter, true)?;
        sockopt::attach_filter(self.capture.as_fd(), program.get_instructions())
            .map_err(|error| pcap::Error::PcapError(error.to_string()))
    }

    pub(super) fn set_inbound(&mut self) -> Result<(), pcap::Error> {
        self.capture.direction(pcap::Direction::In)
    }

    /// Hands out at most `limit` frames, straight from the ring.
    pub(super) fn dispatch(
        &mut self,
        limit: usize,
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, pcap::Error> {
        let limit = limit.min(i32::MAX as usize);
        self.capture.dispatch(Some(limit), |packet| {
            on_frame(Frame {
                bytes: packet.data,
                wire_len: packet.header.len as usize,
                captured_at: instant_of(packet.header.ts),
            });
        })
    }

    /// When the next frame was captured, which stays in the ring's hand until [`take`](Self::take); `None` when the
    /// kernel shows none.
    pub(super) fn peek(&mut self) -> Result<Option<Instant>, pcap::Error> {
        let Self { capture, held, .. } = self;
        if !held.is_some {
            capture.dispatch(Some(1), |packet| {
                held.bytes.clear();
                held.bytes.extend_from_slice(packet.data);
                held.wire_len = packet.header.len as usize;
                held.captured_at = instant_of(packet.header.ts);
                held.is_some = true;
            })?;
        }
        Ok(held.is_some.then_some(held.captured_at))
    }

    /// The frame peeked at.
    pub(super) fn take(&mut self) -> Option<Frame<'_>> {
        let Held { bytes, wire_len, captured_at, is_some } = &mut self.held;
        std::mem::take(is_some).then_some(Frame { bytes, wire_len: *wire_len, captured_at: *captured_at })
    }

    pub(super) fn statistics(&mut self) -> Result<KernelStatistics, pcap::Error> {
        Ok(self.counters.advance(self.capture.stats()?))
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }
}

/// libpcap's counters are 32 bits wide and wrap; these do not.
#[derive(Debug, Default)]
struct Counters {
    last: [u32; 3],
    total: [u64; 3],
}

impl Counters {
    fn advance(&mut self, stat: pcap::Stat) -> KernelStatistics {
        let now = [stat.received, stat.dropped, stat.if_dropped];
        for ((total, last), now) in self.total.iter_mut().zip(&mut self.last).zip(now) {
            *total += u64::from(now.wrapping_sub(*last));
            *last = now;
        }
        let [received, dropped, interface_dropped] = self.total;
        KernelStatistics { received, dropped, interface_dropped }
    }
}

/// The time by the clock that the kernel stamps frames with.
#[expect(clippy::disallowed_methods, reason = "compared with the kernel's own time stamps")]
pub(super) fn kernel_now() -> Instant {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instant::ZERO + since_epoch
}

fn instant_of(time: libc::timeval) -> Instant {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Instant::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_after_a_wrap() {
        let mut counters = Counters::default();
        let stat = |received, dropped| pcap::Stat { received, dropped, if_dropped: 0 };
        counters.advance(stat(u32::MAX - 1, 7));
        let after = counters.advance(stat(8, 9));
        assert_eq!(after.received, u64::from(u32::MAX) + 9);
        assert_eq!(after.dropped, 9);
    }

    #[test]
    fn time_stamps_become_microseconds() {
        let time = libc::timeval { tv_sec: 1_700_000_000, tv_usec: 123_456 };
        assert_eq!(instant_of(time), Instant::from_micros(1_700_000_000_123_456));
        assert_eq!(instant_of(libc::timeval { tv_sec: -1, tv_usec: -1 }), Instant::ZERO);
    }
}
