//! What a relay tells the program around it.

use tcpcopy_wire::Instant;

use crate::{Features, PeerError, Question};

/// One connection of a tcpcopy, numbered by whoever accepts connections; not used again while it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// Queued for the tcpcopy that registered its flow.
    Delivered,
    /// Nobody has registered its flow yet; it waits.
    Held,
    /// Dropped: the tcpcopy it belongs to does not take its responses in time.
    Overflowed,
    /// Dropped: nobody has registered its flow, and it is too large to be held.
    HoldFull,
}

/// Something the program around a relay wants to know or has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayEvent {
    /// A tcpcopy said hello.
    Connected {
        /// The connection.
        peer: PeerId,
        /// A number the tcpcopy process chose at its start: several connections may be of one process.
        identity: u64,
        /// What both ends can do.
        features: Features,
    },
    /// A C tcpcopy has said which version it is of. It hears of nothing but responses, as [`crate::CToolFormat`] says.
    CConnected {
        /// The connection.
        peer: PeerId,
    },
    /// A tcpcopy asks about this host. Answer with [`crate::Relay::answer`].
    Asked {
        /// The connection.
        peer: PeerId,
        /// What it asks.
        question: Question,
    },
    /// A tcpcopy is shutting down and will close the connection.
    Goodbye {
        /// The connection.
        peer: PeerId,
    },
    /// Send what is queued for it if that is possible at once, close the connection, and call
    /// [`crate::Relay::handle_disconnected`].
    Close {
        /// The connection.
        peer: PeerId,
        /// Why.
        error: PeerError,
    },
}

/// Counts since the relay began. Every response handed in is exactly one of `delivered`, `overflowed`, `held`
/// and `hold_full`; every held one becomes exactly one of `held_delivered`, `held_overflowed`, `held_expired`
/// and `held_evicted`, or waits still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayTotals {
    /// Responses queued for their tcpcopy at once.
    pub delivered: u64,
    /// Responses dropped because their tcpcopy does not take them in time.
    pub overflowed: u64,
    /// Responses held because nobody had registered their flow.
    pub held: u64,
    /// Responses too large to be held.
    pub hold_full: u64,
    /// Held ones queued for their tcpcopy when it registered their flow.
    pub held_delivered: u64,
    /// Held ones dropped at that moment because the tcpcopy does not take its responses in time.
    pub held_overflowed: u64,
    /// Held ones discarded unclaimed when their time was up, or made obsolete by a later SYN.
    pub held_expired: u64,
    /// Held ones discarded early because too much was held.
    pub held_evicted: u64,
    /// Flows not registered because their peer has too many.
    pub flows_refused: u64,
}

/// One connection, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerSummary {
    /// The connection.
    pub peer: PeerId,
    /// The tcpcopy process, once it has said hello.
    pub identity: Option<u64>,
    /// It is a C tcpcopy.
    pub is_c: bool,
    /// Since when it is connected.
    pub since: Instant,
    /// Flows it has registered.
    pub flows: usize,
    /// Responses queued for it so far.
    pub delivered: u64,
    /// Responses dropped because it did not take them in time.
    pub overflowed: u64,
    /// Bytes that wait to be sent to it.
    pub pending: usize,
}
