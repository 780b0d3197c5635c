//! Capture from a device through libpcap's memory-mapped rings (TPACKET_V3).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use pcap::Linktype;
use tcpcopy_wire::LinkType;

use super::readiness::Readiness;
use super::ring::{BLOCK_BYTES, Ring, RingOptions};
use super::rings::Rings;
use super::{CaptureDirection, CaptureError, CaptureOptions, CaptureSource, Frame, KernelStatistics};
use crate::devices::devices;
use crate::{filter, sockopt};

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
    device: String,
    link_type: LinkType,
    rings: Rings,
    readiness: Readiness,
}

impl LiveCapture {
    /// Opens the device and starts to capture.
    ///
    /// # Errors
    /// [`CaptureError`] naming the device and what to do.
    pub fn open(options: &CaptureOptions) -> Result<Self, CaptureError> {
        let device = options.device.as_str();
        let (ring_options, blocks) = ring_options(options)?;
        let mut rings =
            Rings::open(device, ring_options, blocks).map_err(|error| open_error(device, &error))?;
        let link_type = link_type_of(rings.first().link_type(), device)?;
        let filter = if options.match_vlan_tagged {
            filter::also_inside_vlan_tags(&options.filter, link_type)
        } else {
            options.filter.clone()
        };
        rings.first().set_filter(&filter).map_err(|error| CaptureError::BadFilter {
            device: device.to_owned(),
            filter: filter.clone(),
            reason: reason_of(&error),
        })?;
        let inbound = options.direction == CaptureDirection::Inbound;
        let set_direction = |ring: &mut Ring| {
            if inbound { inbound_only(ring, device) } else { Ok(()) }
        };
        set_direction(rings.first()).map_err(|error| open_error(device, &error))?;
        let reserve = rings.add_reserve(device, ring_options, blocks, inbound, |ring| {
            ring.set_filter(&filter)?;
            set_direction(ring)
        });
        if let Err(error) = reserve {
            log::warn!("{device}: no second ring ({error}): a stop of a fraction of a second loses packets");
        }
        let readiness = readiness_of(&mut rings)
            .map_err(|error| CaptureError::Open { device: device.to_owned(), reason: error.to_string() })?;
        Ok(Self { device: options.device.clone(), link_type, rings, readiness })
    }

    /// The name of the device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    fn read_error(&self, error: &pcap::Error) -> CaptureError {
        let device = self.device.clone();
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
        self.rings.dispatch(limit, &mut on_frame).map_err(|error| self.read_error(&error))
    }

    fn statistics(&mut self) -> Result<KernelStatistics, CaptureError> {
        self.rings.statistics().map_err(|error| self.read_error(&error))
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

/// libpcap drops outgoing frames in user space, after they took room in the ring; the kernel (since 4.20) can leave
/// them out. Older kernels refuse the option, which then only costs that room.
fn inbound_only(ring: &mut Ring, device: &str) -> Result<(), pcap::Error> {
    if let Err(error) = sockopt::set_int(ring.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1) {
        log::debug!("{device}: the kernel cannot leave out outgoing frames ({error}); libpcap does");
    }
    ring.set_inbound()
}

fn readiness_of(rings: &mut Rings) -> std::io::Result<Readiness> {
    let readiness = Readiness::new()?;
    readiness.add(rings.first().as_fd())?;
    if let Some(reserve) = rings.reserve() {
        readiness.add(reserve.as_fd())?;
    }
    Ok(readiness)
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
