//! All captures of one program: several devices, one stream of segments.

use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use tcpcopy_net::{CaptureError, CaptureOptions, CaptureSource, Frame, LiveCapture};
use tcpcopy_wire::{DropReason, Instant, Segment, parse_frame};

use crate::replayer::Seen;
use crate::{CaptureTotals, StartError};

/// Frames taken from one device before others get their turn.
const BATCH: usize = 2048;
/// How often a capture is looked at that is being widened.
const WIDENING_LOOK: Duration = Duration::from_millis(1);
const NOT_WIDER: &str = "the capture goes on without what modules want to see";

struct Source {
    capture: LiveCapture,
    /// There may be frames that no event will tell of.
    is_ready: bool,
    is_gone: bool,
    /// Where the same device appears once it was opened with wider options, on another thread: that takes long.
    wider: Option<Receiver<Result<LiveCapture, CaptureError>>>,
}

impl Source {
    /// Goes over to the wider capture, if it is open.
    fn adopt_wider(&mut self) {
        self.is_ready |= self.capture.is_widening();
        let Some(opened) = self.wider.as_ref().and_then(|wider| wider.try_recv().ok()) else { return };
        self.wider = None;
        match opened.and_then(|wider| self.capture.widen(wider)) {
            Ok(()) => self.is_ready = true,
            Err(error) => log::warn!("{error}; {NOT_WIDER}"),
        }
    }
}

/// Captures on several devices, taken in turns.
pub(crate) struct Captures {
    sources: Vec<Source>,
    totals: CaptureTotals,
}

impl Captures {
    /// Opens a capture per entry of `options`; with wider ones where there are some that can be used.
    pub(crate) fn open(
        options: &[CaptureOptions],
        wider: impl Fn(&CaptureOptions) -> Option<CaptureOptions>,
    ) -> Result<Self, StartError> {
        let open = |options| {
            let capture = match wider(options).map(|wider| LiveCapture::open(&wider)) {
                Some(Ok(capture)) => capture,
                None => LiveCapture::open(options)?,
                Some(Err(error)) => {
                    let capture = LiveCapture::open(options)?;
                    log::warn!("{error}; {NOT_WIDER}");
                    capture
                }
            };
            Ok::<_, StartError>(Source { capture, is_ready: true, is_gone: false, wider: None })
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

    /// Has every capture show more, where there are wider options for it. One that cannot goes on as it was.
    pub(crate) fn widen(&mut self, wider: impl Fn(&CaptureOptions) -> Option<CaptureOptions>) {
        for source in self.sources.iter_mut().filter(|source| !source.is_gone) {
            let Some(options) = wider(source.capture.options()) else { continue };
            let (sender, opened) = mpsc::channel();
            // Nobody waits for it any more when the program ends.
            let open = move || drop(sender.send(LiveCapture::open(&options)));
            match std::thread::Builder::new().name("capture-open".to_owned()).spawn(open) {
                Ok(_) => source.wider = Some(opened),
                Err(error) => log::warn!("{}: {NOT_WIDER}: {error}", source.capture.device()),
            }
        }
    }

    /// Whether [`Self::widen`] has not taken effect yet.
    pub(crate) fn is_widening(&self) -> bool {
        self.sources.iter().any(|source| source.wider.is_some() || source.capture.is_widening())
    }

    /// When [`Self::dispatch`] is due although no event tells so: some times in the moments after [`Self::widen`].
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.is_widening().then(|| now + WIDENING_LOOK)
    }

    /// Hands the segments that are ready to `on_segment`, a batch per device at the most.
    pub(crate) fn dispatch(&mut self, mut on_segment: impl FnMut(Instant, &Segment<'_>)) {
        self.dispatch_frames(|seen| {
            let segment = parse_frame(seen.link, seen.bytes, seen.wire_len)?;
            on_segment(seen.at, &segment);
            Ok(())
        });
    }

    /// The same of frames; `on_frame` says why one cannot be used.
    pub(crate) fn dispatch_frames(&mut self, mut on_frame: impl FnMut(Seen<'_>) -> Result<(), DropReason>) {
        let totals = &mut self.totals;
        self.sources.iter_mut().for_each(Source::adopt_wider);
        for source in self.sources.iter_mut().filter(|source| source.is_ready) {
            let link = source.capture.link_type();
            let taken = source.capture.dispatch(BATCH, |frame| {
                totals.frames += 1;
                let Frame { bytes, wire_len, captured_at: at } = frame;
                if let Err(reason) = on_frame(Seen { link, bytes, wire_len, at }) {
                    totals.unusable[reason as usize] += 1;
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
