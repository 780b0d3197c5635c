//! From the rings of one capture to those of another on the same device, without losing a frame, showing one twice, or
//! changing the order.
//!
//! For a while both pairs of rings get the same packets. Frames from before a moment in that time come from the old
//! pair, later ones from the new pair. The kernel may stamp the two copies of a packet some microseconds apart, so around
//! that moment the frames of the old pair are remembered, and their copies are recognised by their headers.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tcpcopy_wire::Instant;

use super::Frame;
use super::ring::kernel_now;
use super::rings::Rings;

/// More than the time between the two stamps of one packet.
const SKEW: Duration = Duration::from_millis(5);
/// After the turning point, how long the old rings may take to show what came before it: the time of their blocks,
/// and what the kernel's timer adds to it.
const LATENESS: Duration = Duration::from_millis(25);
/// The bytes by which two copies of a packet are recognised: all headers there may be, sequence numbers among them.
const IDENTIFYING_BYTES: usize = 128;

pub(super) struct Handover {
    /// Until all before the turning point was read.
    old: Option<Rings>,
    turning_point: Instant,
    /// Frames of the old rings less than [`SKEW`] before the turning point: how often, by a hash of their beginning.
    remembered: HashMap<u64, u32>,
    hasher: RandomState,
    /// How much of that both pairs of rings keep.
    identifying_bytes: usize,
    /// Frames the old rings had dropped when they were left, and have since.
    dropped_before: u64,
    dropped_since: u64,
    /// The new rings have shown a frame that cannot have been remembered.
    is_over: bool,
}

impl Handover {
    /// Begins to leave `old`, which has dropped so many frames; the new rings are open already, and both keep `snaplen`
    /// bytes of a frame at least.
    pub(super) fn begin(old: Rings, dropped: u64, snaplen: usize) -> Self {
        Self {
            old: Some(old),
            turning_point: kernel_now() + 2 * SKEW,
            remembered: HashMap::new(),
            hasher: RandomState::new(),
            identifying_bytes: snaplen.min(IDENTIFYING_BYTES),
            dropped_before: dropped,
            dropped_since: 0,
            is_over: false,
        }
    }

    /// Whether everything comes from the new rings, and as it comes.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Frames the old rings dropped after they were left.
    pub(super) fn dropped_since(&self) -> u64 {
        self.dropped_since
    }

    /// Looks at `limit` frames at the most, and hands out those that were not before.
    pub(super) fn dispatch(
        &mut self,
        new: &mut Rings,
        limit: usize,
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, pcap::Error> {
        if let Some(mut old) = self.old.take() {
            let (count, is_read) = self.finish(&mut old, limit, on_frame)?;
            if !is_read {
                self.old = Some(old);
                return Ok(count);
            }
            self.dropped_since = old.statistics()?.dropped.saturating_sub(self.dropped_before);
            close(old);
        }
        let mut count = 0;
        let taken = new.dispatch(limit, &mut |frame| {
            if self.is_new(&frame) {
                on_frame(frame);
                count += 1;
            }
        })?;
        let is_quiet = taken == 0 && kernel_now() > self.turning_point + SKEW + LATENESS;
        self.is_over |= is_quiet && !new.is_merging();
        Ok(count)
    }

    /// Reads on in the old rings, and says whether all before the turning point was read.
    fn finish(
        &mut self,
        old: &mut Rings,
        limit: usize,
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> Result<(usize, bool), pcap::Error> {
        let (mut count, mut is_read) = (0, false);
        let taken = old.dispatch(limit, &mut |frame| {
            if frame.captured_at >= self.turning_point {
                is_read = true;
                return;
            }
            if frame.captured_at + SKEW >= self.turning_point {
                *self.remembered.entry(self.identity(&frame)).or_default() += 1;
            }
            on_frame(frame);
            count += 1;
        })?;
        let is_quiet = taken == 0 && kernel_now() > self.turning_point + LATENESS;
        Ok((count, is_read || (is_quiet && !old.is_merging())))
    }

    /// Whether a frame of the new rings was not handed out by the old ones.
    fn is_new(&mut self, frame: &Frame<'_>) -> bool {
        if self.is_over || frame.captured_at + SKEW < self.turning_point {
            return self.is_over;
        }
        if frame.captured_at > self.turning_point + SKEW {
            self.is_over = true;
            return true;
        }
        let identity = self.identity(frame);
        let Some(times) = self.remembered.get_mut(&identity).filter(|times| **times > 0) else { return true };
        *times -= 1;
        false
    }

    /// What the copies of a packet have in common.
    fn identity(&self, frame: &Frame<'_>) -> u64 {
        let beginning = &frame.bytes[..frame.bytes.len().min(self.identifying_bytes)];
        self.hasher.hash_one((frame.wire_len, beginning))
    }
}

/// Closing a ring takes the kernel tens of milliseconds, in which nobody would read the new ones.
fn close(old: Rings) {
    let closing = std::thread::Builder::new().name("capture-close".to_owned()).spawn(move || drop(old));
    if let Err(error) = closing {
        log::debug!("a capture was closed at once, for lack of a thread: {error}");
    }
}
