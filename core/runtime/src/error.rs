//! Why a program could not start, in one sentence each.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tcpcopy_net::{CaptureError, DeviceError, RecordingError, TransmitOpenError};
use thiserror::Error;

use crate::ShelfError;

/// Why tcpcopy or intercept could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A capture could not be opened.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A file cannot be replayed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The devices to capture on could not be found.
    #[error(transparent)]
    Devices(#[from] DeviceError),
    /// The transmit socket could not be opened.
    #[error(transparent)]
    Transmit(#[from] TransmitOpenError),
    /// The file of a dry run cannot be written.
    #[error("cannot write {}: {source}; name another place with --dry-run", path.display())]
    DryRun {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No intercept answered, and waiting for one was not asked for.
    #[error(
        "no intercept is reachable at {}: {reason}; start intercept there first, or give -L to wait for it",
        list(tried)
    )]
    NoIntercept {
        /// The addresses tried.
        tried: Vec<SocketAddr>,
        /// What the system said of the last one.
        reason: String,
    },
    /// The address to listen on is not to be had.
    #[error("cannot listen on {address}: {source}; choose another address (-b) or port (-p)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A module to begin with could not be loaded.
    #[error(transparent)]
    Module(#[from] ShelfError),
    /// The admin socket is not to be had at the place that was named.
    #[error("cannot open the admin socket {}: {source}; name another place with --admin, or none", path.display())]
    Admin {
        /// The place.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The event loop or the signal handlers could not be set up.
    #[error("cannot set up the event loop: {0}")]
    EventLoop(#[from] io::Error),
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
