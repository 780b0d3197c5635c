//! What every source of captured frames has in common: options, the frame, the counters, the errors.

mod handover;
mod live;
mod readiness;
mod ring;
mod rings;
mod sieve;

use tcpcopy_wire::{Instant, LinkType};
use thiserror::Error;

pub use live::LiveCapture;

/// The bytes kept of each frame: all, also of the largest segment an offload hands over. 65 535 would cut the last 14
/// bytes, the Ethernet header's worth, off a full-sized one. Costs nothing: a frame takes the room it needs.
pub const DEFAULT_SNAPLEN: u32 = 262_144;

/// The kernel memory for one device's packets: survives a stop of the process of two seconds, and then some.
///
/// One half is a ring of 256 KiB blocks that the kernel hands over every millisecond; the other half is a reserve
/// with slower blocks that takes over while the first is full (`docs/decisions/0003-capture-rings.md`). So the time
/// survived grows with the square of the size while packets are few, and is bounded by the bytes when they are many:
/// a packet takes its length and about 100 bytes, and the reserve is used to three quarters. Measured, one stop in
/// which nobody reads, 190-byte packets at 12 000 a second:
///
/// | buffer | survives | one ring alone |
/// |---|---|---|
/// | 16 MiB | 0.4 s | 0.06 s |
/// | 32 MiB | 1.6 s | 0.13 s |
/// | 48 MiB | 3.5 s | 0.19 s |
/// | 64 MiB | over 6 s | 0.26 s |
///
/// The memory is taken when the capture is opened and counts as resident.
pub const DEFAULT_BUFFER_BYTES: usize = 48 << 20;

/// Which frames of a device are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CaptureDirection {
    /// Those the device received; on loopback each packet once.
    #[default]
    Inbound,
    /// Those it received and those it sent.
    Both,
    /// Those it received that pass the filter, and those it sent that pass one of their own.
    Apart {
        /// The filter for what it sent, in pcap's language; empty for everything.
        outbound: String,
    },
}

/// How to capture on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureOptions {
    /// The device's name; `any` for all of them.
    pub device: String,
    /// A filter in pcap's language; empty for everything.
    pub filter: String,
    /// Whether the filters shall also be tried inside one and two VLAN tags, on link types that have those.
    pub match_vlan_tagged: bool,
    /// Bytes kept of each frame, 1 to 262 144.
    pub snaplen: u32,
    /// Kernel memory for packets in bytes, at most 2 GiB, rounded up to 256 KiB; see [`DEFAULT_BUFFER_BYTES`].
    pub buffer_bytes: usize,
    /// Which frames are wanted.
    pub direction: CaptureDirection,
    /// Whether the device shall accept frames for other hosts. `any` cannot.
    pub promiscuous: bool,
}

/// One captured frame, borrowed from the ring for as long as the callback runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The bytes kept, link-layer header first.
    pub bytes: &'a [u8],
    /// The length of the frame on the wire: more than `bytes.len()` when it was cut at the snapshot length.
    pub wire_len: usize,
    /// When the kernel saw it.
    pub captured_at: Instant,
}

/// What the kernel counted since the source was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStatistics {
    /// Frames that passed the filter, those dropped afterwards included.
    pub received: u64,
    /// Frames that passed the filter and found the ring full.
    pub dropped: u64,
    /// Frames the interface or its driver dropped before any filter; known for promiscuous captures only.
    pub interface_dropped: u64,
}

/// Where captured frames come from.
pub trait CaptureSource {
    /// The link layer of every frame of this source.
    fn link_type(&self) -> LinkType;

    /// Hands at most `limit` frames that are ready to `on_frame` and returns how many those were; zero when
    /// none is ready. Never blocks.
    ///
    /// # Errors
    /// The source is of no further use.
    fn dispatch(&mut self, limit: usize, on_frame: impl FnMut(Frame<'_>)) -> Result<usize, CaptureError>;

    /// The kernel's counters, cumulative.
    ///
    /// # Errors
    /// The kernel could not be asked; the values of earlier calls stay valid.
    fn statistics(&mut self) -> Result<KernelStatistics, CaptureError>;
}

/// Why there is no capture, or no more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The process may not open packet sockets.
    #[error(
        "cannot capture on {device}: no permission; run as root or give CAP_NET_RAW (setcap cap_net_raw+ep)"
    )]
    NoPermission {
        /// The device asked for.
        device: String,
    },
    /// No device of that name.
    #[error("cannot capture on {device}: there is no such device; there are {}", list(known))]
    UnknownDevice {
        /// The device asked for.
        device: String,
        /// The devices there are.
        known: Vec<String>,
    },
    /// The filter is not one.
    #[error("cannot capture on {device}: the filter \"{filter}\" is wrong: {reason}")]
    BadFilter {
        /// The device asked for.
        device: String,
        /// The filter as it was given to pcap.
        filter: String,
        /// What pcap says.
        reason: String,
    },
    /// The frames of this device start with a header we cannot read.
    #[error(
        "cannot capture on {device}: its link type {link_type} is not supported; choose another device or \"any\""
    )]
    UnsupportedLinkType {
        /// The device asked for.
        device: String,
        /// The link type's name, or its number.
        link_type: String,
    },
    /// An option is out of range.
    #[error("cannot capture on {device}: {option} is {value}, must be {allowed}")]
    BadOption {
        /// The device asked for.
        device: String,
        /// Which option.
        option: &'static str,
        /// The value given.
        value: usize,
        /// The range.
        allowed: &'static str,
    },
    /// Opening failed for another reason.
    #[error("cannot capture on {device}: {reason}")]
    Open {
        /// The device asked for.
        device: String,
        /// What pcap says.
        reason: String,
    },
    /// The device was removed while we captured on it.
    #[error("capture on {device} ended: the device is gone")]
    DeviceGone {
        /// The device.
        device: String,
    },
    /// Reading failed for another reason.
    #[error("capture on {device} failed: {reason}")]
    Read {
        /// The device.
        device: String,
        /// What pcap says.
        reason: String,
    },
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
