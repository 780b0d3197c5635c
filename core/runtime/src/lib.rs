//! The event loops that join capture, engine, feed and transmit: the only reader of the clock.
//!
//! [`Replay`] is tcpcopy's loop, [`Relaying`] is intercept's. No protocol logic in here: what a packet means is
//! the engine's business, what a frame of the feed means is the feed's.

#![forbid(unsafe_code)]

mod captures;
mod clock;
mod error;
mod feeds;
mod outlet;
mod relaying;
mod replay;
mod rounds;
mod signals;
mod snapshot;
mod socket;

pub use error::StartError;
pub use relaying::{Relaying, RelayingOptions};
pub use replay::{CaptureChoice, Replay, ReplayOptions, UNNAMED_RING_BYTES};
pub use snapshot::{
    CaptureTotals, FeedTotals, PeerTotals, RelaySnapshot, ReplaySnapshot, TransmitTotals, UnusableFrames,
};
