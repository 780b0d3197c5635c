//! Capture and transmit: the system calls, and nothing that knows what a TCP session is.
//!
//! Packets come in through a [`CaptureSource`] (today [`LiveCapture`]: libpcap's memory-mapped ring) or from the files of a
//! [`Recording`], and leave
//! through a [`Sink`] (today [`RawIpSink`]) that is always wrapped into a [`TargetGuard`]. [`devices`] and
//! [`capture_filter`] answer where to listen and for what.
//!
//! One of the two rooms where `unsafe` is allowed; each block says why it is sound.

mod capture;
mod devices;
mod filter;
mod netlink;
mod offloads;
mod readings;
mod recording;
mod routes;
mod sockopt;
mod transmit;

pub use capture::{
    CaptureDirection, CaptureError, CaptureOptions, CaptureSource, DEFAULT_BUFFER_BYTES, DEFAULT_SNAPLEN,
    Frame, KernelStatistics, LiveCapture,
};
pub use devices::{Device, DeviceError, devices, devices_for};
pub use filter::{answer_filter, capture_filter, datagram_filter, lets_through};
pub use offloads::{Offload, offloads};
pub use readings::{Capabilities, capabilities, forwarded, forwards, online_users, reverse_path_dropped};
pub use recording::{FileInput, ReadingProgress, RecordedFrame, Recording, RecordingError, capture_files};
pub use routes::{Neighbour, Route, neighbour, route_to};
pub use transmit::{RawIpSink, Sink, TargetGuard, TransmitError, TransmitOpenError};
