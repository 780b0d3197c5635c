//! What a running program tells of itself: plain values, for summaries, reports and status lines.

use std::time::Duration;

use tcpcopy_engine::{DatagramStatistics, Pending, Statistics};
use tcpcopy_feed::{PeerSummary, RelayTotals};
use tcpcopy_wire::{DropReason, Instant};

use crate::{ComparisonTotals, ModulesTotals, RecordingTotals};

/// Frames without a usable TCP segment, by [`DropReason::ALL`].
pub type UnusableFrames = [u64; DropReason::ALL.len()];

/// All captures together, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureTotals {
    /// Devices that are still there to capture on.
    pub devices: usize,
    /// Frames the kernel handed to us.
    pub frames: u64,
    /// Frames that passed the kernel's filter.
    pub kernel_received: u64,
    /// Frames that passed the filter and found the ring full: lost.
    pub kernel_dropped: u64,
    /// Frames the interface dropped before any filter.
    pub interface_dropped: u64,
    /// Frames without a usable TCP segment.
    pub unusable: UnusableFrames,
}

/// Packets to the targets, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransmitTotals {
    /// Packets handed to the system.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Packets the system did not take, by the name of the reason.
    pub failed: Vec<(&'static str, u64)>,
}

/// All feeds of one tcpcopy together, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedTotals {
    /// Connections wanted: intercepts times connections each.
    pub wanted: usize,
    /// Connections that are up.
    pub connected: usize,
    /// Times a connection came up.
    pub connects: u64,
    /// Times a connection was lost.
    pub losses: u64,
    /// Responses received.
    pub responses: u64,
    /// Responses intercept had to drop because we read too slowly.
    pub overflowed: u64,
    /// Responses that intercept held for flows nobody registered in time.
    pub held_expired: u64,
    /// Frames that found intercept's capture ring full.
    pub intercept_kernel_dropped: u64,
}

/// A running tcpcopy at one moment.
#[derive(Clone, Debug)]
pub struct ReplaySnapshot {
    /// When.
    pub at: Instant,
    /// Since the start.
    pub running_for: Duration,
    /// What was captured.
    pub capture: CaptureTotals,
    /// How far files are replayed; `None` for a live capture.
    pub recording: Option<RecordingTotals>,
    /// How many sessions there are to be for each connection, or copies of each datagram.
    pub copies: u16,
    /// What the sessions did.
    pub engine: Statistics,
    /// What became of datagrams, where those are copied: then there are no sessions, modules or feeds.
    pub datagrams: Option<DatagramStatistics>,
    /// What is under way.
    pub pending: Pending,
    /// What modules did.
    pub modules: ModulesTotals,
    /// What was transmitted.
    pub transmit: TransmitTotals,
    /// What came back.
    pub feed: FeedTotals,
}

/// What came of a run of tcpcopy.
#[derive(Clone, Debug)]
pub struct ReplayEnd {
    /// The last snapshot.
    pub snapshot: ReplaySnapshot,
    /// How the answers compared.
    pub comparisons: Vec<ComparisonTotals>,
}

/// One tcpcopy connected to an intercept.
#[derive(Clone, Debug)]
pub struct PeerTotals {
    /// Its address.
    pub address: String,
    /// What the relay knows of it.
    pub summary: PeerSummary,
}

/// A running intercept at one moment.
#[derive(Clone, Debug)]
pub struct RelaySnapshot {
    /// When.
    pub at: Instant,
    /// Since the start.
    pub running_for: Duration,
    /// What was captured.
    pub capture: CaptureTotals,
    /// What was routed.
    pub relay: RelayTotals,
    /// Who is connected.
    pub peers: Vec<PeerTotals>,
}
