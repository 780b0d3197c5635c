//! All captures of one program: several devices, one stream of segments.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::os::fd::AsRawFd;
use tcpcopy_net::{CaptureOptions, CaptureSource, LiveCapture};
use tcpcopy_wire::{Instant, Segment, parse_frame};

use crate::{CaptureTotals, StartError};

/// Frames taken from one device before others get their turn.
const BATCH: usize = 2048;

struct Source {
    capture: LiveCapture,
    /// There may be frames that no event will tell of.
    is_ready: bool,
    is_gone: bool,
}

/// Captures on several devices, taken in turns.
pub(crate) struct Captures {
    sources: Vec<Source>,
    totals: CaptureTotals,
}

impl Captures {
    /// Opens a capture per entry of `options`.
    pub(crate) fn open(options: &[CaptureOptions]) -> Result<Self, StartError> {
        let open = |options| {
            let capture = LiveCapture::open(options)?;
            Ok::<_, StartError>(Source { capture, is_ready: true, is_gone: false })
        };
        let sources = options.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { sources, totals: CaptureTotals::default() })
    }

    pub(crate) fn devices(&self) -> Vec<String> {
        self.sources.iter().map(|source| source.capture.device().to_owned()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Wakes `registry`'s poll with the tokens `0..len` when frames are ready.
    pub(crate) fn register(&self, registry: &Registry) -> std::io::Result<()> {
        for (index, source) in self.sources.iter().enumerate() {
            let fd = source.capture.as_raw_fd();
            registry.register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
        }
        Ok(())
    }

    /// The poll said that source `index` has frames.
    pub(crate) fn mark_ready(&mut self, index: usize) {
        if let Some(source) = self.sources.get_mut(index) {
            source.is_ready = true;
        }
    }

    /// Whether frames may be waiting that no event will tell of.
    pub(crate) fn is_ready(&self) -> bool {
        self.sources.iter().any(|source| source.is_ready)
    }

    /// About once a second: looks at every source, since the removal of a device wakes nobody.
    pub(crate) fn look_everywhere(&mut self) {
        for source in &mut self.sources {
            source.is_ready = !source.is_gone;
        }
    }

    /// Hands the segments that are ready to `on_segment`, a batch per device at the most.
    pub(crate) fn dispatch(&mut self, mut on_segment: impl FnMut(Instant, &Segment<'_>)) {
        let totals = &mut self.totals;
        for source in self.sources.iter_mut().filter(|source| source.is_ready) {
            let link = source.capture.link_type();
            let taken = source.capture.dispatch(BATCH, |frame| {
                totals.frames += 1;
                match parse_frame(link, frame.bytes, frame.wire_len) {
                    Ok(segment) => on_segment(frame.captured_at, &segment),
                    Err(reason) => totals.unusable[reason as usize] += 1,
                }
            });
            match taken {
                Ok(count) => source.is_ready = count == BATCH,
                Err(error) => {
                    log::error!("{error}; going on without it");
                    source.is_ready = false;
                    source.is_gone = true;
                }
            }
        }
    }

    /// Whether at least one device is still there.
    pub(crate) fn is_alive(&self) -> bool {
        self.sources.iter().any(|source| !source.is_gone)
    }

    /// Counters, the kernel's among them.
    pub(crate) fn totals(&mut self) -> CaptureTotals {
        let (mut received, mut dropped, mut interface_dropped) = (0, 0, 0);
        for source in &mut self.sources {
            match source.capture.statistics() {
                Ok(statistics) => {
                    received += statistics.received;
                    dropped += statistics.dropped;
                    interface_dropped += statistics.interface_dropped;
                }
                Err(error) => log::debug!("{error}"),
            }
        }
        self.totals.devices = self.sources.iter().filter(|source| !source.is_gone).count();
        // A device that is gone has taken its counters with it: totals never fall.
        self.totals.kernel_received = self.totals.kernel_received.max(received);
        self.totals.kernel_dropped = self.totals.kernel_dropped.max(dropped);
        self.totals.interface_dropped = self.totals.interface_dropped.max(interface_dropped);
        self.totals
    }
}
