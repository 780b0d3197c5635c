//! Where packets to the targets leave the program.

mod batch;
mod capture_file;
mod destination;
mod ethernet;
mod guard;
mod open_error;
mod raw_ip;
mod way;

use std::io;

use tcpcopy_wire::Instant;
use thiserror::Error;

pub use capture_file::CaptureFileSink;
pub use ethernet::{EthernetOptions, EthernetSink, EthernetTarget};
pub use guard::TargetGuard;
pub use open_error::TransmitOpenError;
pub use raw_ip::RawIpSink;

/// Takes whole IP packets and puts them on the wire.
///
/// A sink may queue: then `send` says only that there was room, and [`flush`](Sink::flush) reports which of the
/// packets queued were lost. Packets of one address family leave in the order they were given; nobody may count on
/// one having left before `flush` returned.
pub trait Sink {
    /// Sends or queues one IP packet, header first.
    ///
    /// # Errors
    /// This packet is lost; the sink stays usable.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError>;

    /// Sends what is queued and calls `on_lost` for every queued packet that was not sent. A sink that does not
    /// queue has nothing to do.
    fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        let _ = on_lost;
    }

    /// What is sent from now on is sent at `now`. To be called before every batch, and at least about once a second:
    /// some sinks look then whether the way to the targets has changed.
    fn handle_time(&mut self, now: Instant) {
        let _ = now;
    }

    /// Why no packet will ever be sent again; `None` as long as some may.
    fn failure(&self) -> Option<TransmitError> {
        None
    }
}

impl Sink for Box<dyn Sink> {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError> {
        (**self).send(packet)
    }

    fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        (**self).flush(on_lost);
    }

    fn handle_time(&mut self, now: Instant) {
        (**self).handle_time(now);
    }

    fn failure(&self) -> Option<TransmitError> {
        (**self).failure()
    }
}

/// Why one packet was not sent. Costs that packet, never the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TransmitError {
    /// It is longer than the way to the target takes (EMSGSIZE).
    #[error("the packet is longer than the MTU on the way to the target")]
    MessageTooLong,
    /// A queue or buffer was full (ENOBUFS, EAGAIN, ENOMEM): later it may work.
    #[error("the send queue is full")]
    Congested,
    /// The machine's rules forbid it (EPERM, EACCES): packet filter, connection tracking, broadcast.
    #[error("the system refuses to send it (packet filter or permission)")]
    Refused,
    /// There is no way to the target, or its device is down.
    #[error("there is no route to the target")]
    Unreachable,
    /// Its destination is not a configured target; the target guard stopped it.
    #[error("its destination is not a configured target")]
    NotATarget,
    /// The bytes are not an IP packet that can be sent.
    #[error("it is not a sendable IP packet")]
    Malformed,
    /// The capture file that takes it cannot be written on, by the system's error number.
    #[error("the file cannot be written: {}", io::Error::from_raw_os_error(*.0))]
    NotWritten(i32),
    /// Anything else, by its error number.
    #[error("{}", io::Error::from_raw_os_error(*.0))]
    Other(i32),
}

impl TransmitError {
    /// The name in counters: a lower-case phrase with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MessageTooLong => "message_too_long",
            Self::Congested => "congested",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NotATarget => "not_a_target",
            Self::Malformed => "malformed",
            Self::NotWritten(_) => "not_written",
            Self::Other(_) => "other",
        }
    }

    /// The class of a system error number.
    #[must_use]
    pub const fn from_errno(errno: i32) -> Self {
        match errno {
            libc::EMSGSIZE => Self::MessageTooLong,
            libc::ENOBUFS | libc::EAGAIN | libc::ENOMEM => Self::Congested,
            libc::EPERM | libc::EACCES => Self::Refused,
            libc::ENETUNREACH
            | libc::EHOSTUNREACH
            | libc::ENETDOWN
            | libc::EHOSTDOWN
            | libc::ENODEV
            | libc::ENXIO
            | libc::EADDRNOTAVAIL
            | libc::EAFNOSUPPORT => Self::Unreachable,
            other => Self::Other(other),
        }
    }
}

impl From<&io::Error> for TransmitError {
    fn from(error: &io::Error) -> Self {
        error.raw_os_error().map_or(Self::Other(0), Self::from_errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_fall_into_classes() {
        for (errno, class) in [
            (libc::EMSGSIZE, TransmitError::MessageTooLong),
            (libc::ENOBUFS, TransmitError::Congested),
            (libc::EWOULDBLOCK, TransmitError::Congested),
            (libc::EPERM, TransmitError::Refused),
            (libc::EACCES, TransmitError::Refused),
            (libc::ENETUNREACH, TransmitError::Unreachable),
            (libc::ENETDOWN, TransmitError::Unreachable),
            (libc::EINVAL, TransmitError::Other(libc::EINVAL)),
        ] {
            assert_eq!(TransmitError::from(&io::Error::from_raw_os_error(errno)), class);
        }
    }
}
