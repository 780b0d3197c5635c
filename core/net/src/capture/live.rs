//! Capture from a device through libpcap's memory-mapped rings (TPACKET_V3).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use pcap::Linktype;
use tcpcopy_wire::LinkType;

use super::handover::Handover;
use super::readiness::Readiness;
use super::ring::{BLOCK_BYTES, RingOptions};
use super::rings::Rings;
use super::sieve::Sieve;
use super::{CaptureError, CaptureOptions, CaptureSource, Frame, KernelStatistics};
use crate::devices::devices;

/// libpcap's pseudo-device for all devices.
const ANY: &str = "any";
/// libpcap's `MAXIMUM_SNAPLEN`.
const MAX_SNAPLEN: u32 = 262_144;
/// Half of it goes to each ring, whose size libpcap takes as a C integer.
const MAX_BUFFER_BYTES: usize = 2 << 30;
/// The kernel fills one block while we read another, in both rings.
const MIN_BLOCKS: usize = 4;

/// A capture on one device. Non-blocking; its descriptor is readable when [`CaptureSource::dispatch`] has something
/// to hand out.
///
/// A packet is handed out about a millisecond after it was captured. While nobody reads, packets gather in the
/// kernel, see [`DEFAULT_BUFFER_BYTES`](super::DEFAULT_BUFFER_BYTES).
///
/// A device that goes down is waited for; one that is removed ends the capture. libpcap notices the removal only in
/// `dispatch`, and the descriptor need not become readable for it: call `dispatch` about once a second even when
/// nothing is readable.
pub struct LiveCapture {
    options: CaptureOptions,
    link_type: LinkType,
    rings: Rings,
    readiness: Readiness,
    /// The rings before the present ones, while they are still read.
    handover: Option<Handover>,
    /// What the rings before the present ones had counted.
    carried: KernelStatistics,
    /// What the present rings had counted before they were read.
    unread: KernelStatistics,
}

impl LiveCapture {
    /// Opens the device and starts to capture.
    ///
    /// # Errors
    /// [`CaptureError`] naming the device and what to do.
    pub fn open(options: &CaptureOptions) -> Result<Self, CaptureError> {
        let (rings, link_type) = open_rings(options)?;
        let readiness = Readiness::new().map_err(|error| not_watched(options, &error))?;
        watch(&readiness, &rings).map_err(|error| not_watched(options, &error))?;
        Ok(Self {
            options: options.clone(),
            link_type,
            rings,
            readiness,
            handover: None,
            carried: KernelStatistics::default(),
            unread: KernelStatistics::default(),
        })
    }

    /// The name of the device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.options.device
    }

    /// How the capture was opened, or widened.
    #[must_use]
    pub fn options(&self) -> &CaptureOptions {
        &self.options
    }

    /// Captures as `wider` does from now on, which is open on the same device and lets through all that this one does: each
    /// of those frames is handed out once, and all frames in their order.
    ///
    /// Nothing of a capture can be changed in place without a loss: libpcap drops everything while it changes a filter,
    /// and the kernel does not let a fan-out group hear what it was made to leave out. So two captures run for some
    /// milliseconds and take their memory. Opening one takes the kernel a tenth of a second: best done on another thread.
    ///
    /// # Errors
    /// [`CaptureError`]; the capture goes on as it was.
    pub fn widen(&mut self, mut wider: Self) -> Result<(), CaptureError> {
        watch(&self.readiness, &wider.rings).map_err(|error| not_watched(&wider.options, &error))?;
        // From here on every frame is in both, and counted by the new one.
        let statistics = self.rings.statistics().map_err(|error| self.read_error(&error))?;
        let unread = wider.rings.statistics().map_err(|error| self.read_error(&error))?;
        let old = std::mem::replace(&mut self.rings, wider.rings);
        let snaplen = self.options.snaplen.min(wider.options.snaplen) as usize;
        self.handover = Some(Handover::begin(old, statistics.dropped, snaplen));
        self.carried = sum(self.carried, statistics);
        self.unread = sum(self.unread, unread);
        self.options = wider.options;
        Ok(())
    }

    /// Whether a [`widen`](Self::widen) is under way: frames may then be ready although the descriptor does not say so.
    #[must_use]
    pub fn is_widening(&self) -> bool {
        self.handover.is_some()
    }

    fn read_error(&self, error: &pcap::Error) -> CaptureError {
        let device = self.options.device.clone();
        let exists = |name: &str| devices().is_ok_and(|known| known.iter().any(|known| known.name == name));
        if device == ANY || exists(&device) {
            CaptureError::Read { device, reason: reason_of(error) }
        } else {
            CaptureError::DeviceGone { device }
        }
    }
}

impl CaptureSource for LiveCapture {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn dispatch(&mut self, limit: usize, mut on_frame: impl FnMut(Frame<'_>)) -> Result<usize, CaptureError> {
        let dispatched = match &mut self.handover {
            None => self.rings.dispatch(limit, &mut on_frame),
            Some(handover) => handover.dispatch(&mut self.rings, limit, &mut on_frame),
        };
        if let Some(ended) = self.handover.take_if(|handover| handover.is_over()) {
            self.carried.dropped += ended.dropped_since();
        }
        dispatched.map_err(|error| self.read_error(&error))
    }

    fn statistics(&mut self) -> Result<KernelStatistics, CaptureError> {
        let statistics = self.rings.statistics().map_err(|error| self.read_error(&error))?;
        Ok(difference(sum(self.carried, statistics), self.unread))
    }
}

impl AsRawFd for LiveCapture {
    fn as_raw_fd(&self) -> RawFd {
        self.readiness.as_fd().as_raw_fd()
    }
}

impl AsFd for LiveCapture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness.as_fd()
    }
}

fn sum(one: KernelStatistics, other: KernelStatistics) -> KernelStatistics {
    KernelStatistics {
        received: one.received + other.received,
        dropped: one.dropped + other.dropped,
        interface_dropped: one.interface_dropped + other.interface_dropped,
    }
}

fn difference(one: KernelStatistics, other: KernelStatistics) -> KernelStatistics {
    KernelStatistics {
        received: one.received - other.received,
        dropped: one.dropped - other.dropped,
        interface_dropped: one.interface_dropped - other.interface_dropped,
    }
}

/// Opens both rings, with their filter and direction.
fn open_rings(options: &CaptureOptions) -> Result<(Rings, LinkType), CaptureError> {
    let device = options.device.as_str();
    let (ring_options, blocks) = ring_options(options)?;
    let mut rings = Rings::open(device, ring_options, blocks).map_err(|error| open_error(device, &error))?;
    let link_type = link_type_of(rings.first().link_type(), device)?;
    let sieve = Sieve::new(options, link_type);
    sieve.set_filter(rings.first()).map_err(|error| CaptureError::BadFilter {
        device: device.to_owned(),
        filter: sieve.filter().to_owned(),
        reason: reason_of(&error),
    })?;
    sieve.set_direction(rings.first(), device).map_err(|error| open_error(device, &error))?;
    let inbound_only = sieve.is_inbound_only();
    let reserve = rings.add_reserve(device, ring_options, blocks, inbound_only, |ring| {
        sieve.set_filter(ring)?;
        sieve.set_direction(ring, device)
    });
    if let Err(error) = reserve {
        log::warn!("{device}: no second ring ({error}): a stop of a fraction of a second loses packets");
    }
    Ok((rings, link_type))
}

/// The options as libpcap takes them, and the number of blocks in all rings.
fn ring_options(options: &CaptureOptions) -> Result<(RingOptions, i32), CaptureError> {
    let bad = |option, value, allowed| CaptureError::BadOption {
        device: options.device.clone(),
        option,
        value,
        allowed,
    };
    if !(1..=MAX_SNAPLEN).contains(&options.snaplen) {
        return Err(bad("the snapshot length", options.snaplen as usize, "1 to 262144 bytes"));
    }
    if !(1..=MAX_BUFFER_BYTES).contains(&options.buffer_bytes) {
        return Err(bad("the buffer", options.buffer_bytes, "1 byte to 2 GiB"));
    }
    let ring_options = RingOptions {
        snaplen: options.snaplen as i32,
        // libpcap warns about a promiscuous `any`, and the pcap crate takes a warning for a failure.
        promiscuous: options.promiscuous && options.device != ANY,
    };
    Ok((ring_options, options.buffer_bytes.div_ceil(BLOCK_BYTES).max(MIN_BLOCKS) as i32))
}

fn link_type_of(link: Linktype, device: &str) -> Result<LinkType, CaptureError> {
    let known = u32::try_from(link.0).ok().and_then(LinkType::from_number);
    known.ok_or_else(|| CaptureError::UnsupportedLinkType {
        device: device.to_owned(),
        link_type: link.get_name().unwrap_or_else(|_| link.0.to_string()),
    })
}

/// Makes `readiness` tell of both rings.
fn watch(readiness: &Readiness, rings: &Rings) -> std::io::Result<()> {
    rings.rings().try_for_each(|ring| readiness.add(ring.as_fd()))
}

fn not_watched(options: &CaptureOptions, error: &std::io::Error) -> CaptureError {
    CaptureError::Open { device: options.device.clone(), reason: error.to_string() }
}

/// Finds out why `device` could not be opened: libpcap's texts differ between versions, the facts do not.
fn open_error(device: &str, error: &pcap::Error) -> CaptureError {
    let device = device.to_owned();
    if device != ANY
        && let Ok(known) = devices()
        && !known.iter().any(|known| known.name == device)
    {
        return CaptureError::UnknownDevice {
            device,
            known: known.into_iter().map(|known| known.name).collect(),
        };
    }
    let probe = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, None);
    match probe {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            CaptureError::NoPermission { device }
        }
        _ => CaptureError::Open { device, reason: reason_of(error) },
    }
}

fn reason_of(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_can_move_to_another_thread() {
        fn sendable<T: Send>() {}
        sendable::<LiveCapture>();
    }
}
