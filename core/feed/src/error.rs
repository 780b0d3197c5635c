//! What can be wrong with a feed, as sentences for the person who has to do something about it.

use thiserror::Error;

use crate::VERSION;
use crate::c_tool::C_VERSION;

/// Bytes that are not what the feed says, or the protocol of the C tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A frame ends inside a record.
    #[error("a frame ends inside a record")]
    Truncated,
    /// A number out of the range of what it stands for.
    #[error("a number is out of range")]
    Number,
    /// A frame of a kind that does not exist.
    #[error("frame kind {0} does not exist")]
    UnknownFrame(u8),
    /// A frame of a known kind that this end must not receive now.
    #[error("a frame of kind {0} does not belong here")]
    UnexpectedFrame(u8),
    /// A frame larger than [`crate::MAX_FRAME_BYTES`], in bytes.
    #[error("a frame of {0} bytes is larger than any may be")]
    FrameTooLarge(usize),
    /// A registration that is neither add, depth nor remove.
    #[error("registration {0:#04x} does not exist")]
    UnknownRegistration(u8),
    /// More SACK blocks than a TCP header holds.
    #[error("a response has {0} SACK blocks")]
    SackBlocks(u8),
    /// A response with more payload bytes at hand than its segment had.
    #[error("a response carries more payload than its segment had")]
    Payload,
    /// A C intercept sent a batch of so many packets.
    #[error("a batch of {0} packets does not exist")]
    Batch(u16),
    /// A C intercept sent something else than the headers of a TCP segment over IPv4.
    #[error("a packet has no IPv4 and TCP headers")]
    Headers,
}

/// Why tcpcopy gives up one connection to an intercept. The caller names the intercept, closes the connection
/// and tries again later.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The intercept said no, and why.
    #[error("intercept refused the feed: {0}")]
    Refused(String),
    /// Something else listens at that address.
    #[error("what listens there is no intercept: check the address and port given with -s")]
    NotAFeed,
    /// It was taken for a C intercept because its hello had not come in time.
    #[error("intercept answered late, and is not a C intercept after all: the connection is made anew")]
    LateHello,
    /// The intercept is of another release line; its feed version.
    #[error(
        "intercept speaks feed version {0}, this tcpcopy version {VERSION}: install the same release on both hosts"
    )]
    Version(u16),
    /// The other end is a tcpcopy, perhaps this very process: connecting to a local port of the ephemeral
    /// range can meet itself.
    #[error(
        "the connection leads to a tcpcopy, not to an intercept: check the address and port given with -s"
    )]
    NotAnIntercept,
    /// The connection was accepted, but no hello came; seconds waited.
    #[error("no intercept answered within {0} s: check that what listens there is this project's intercept")]
    NoHello(u64),
    /// Nothing was heard for this many seconds, not even a heartbeat.
    #[error("intercept has been silent for {0} s, the connection counts as dead and is made anew")]
    Silent(u64),
    /// The intercept broke the protocol.
    #[error("intercept sent something unreadable ({0}): install the same release on both hosts")]
    Malformed(#[from] Malformed),
}

/// Why intercept gives up the connection of one tcpcopy. The others are not affected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A C tcpcopy with another version of its protocol than the one spoken here.
    #[error(
        "this is a C tcpcopy of protocol {0}, and only {C_VERSION} can be served: use version 1.0 or later of it"
    )]
    CTcpcopy(u16),
    /// Another tcpcopy is served, and there may be one only.
    #[error(
        "intercept serves one tcpcopy only (--single) and has one: stop that one first, or run intercept without \
         --single"
    )]
    NotSingle,
    /// A tcpcopy that registers nothing, where it must.
    #[error("tcpcopy runs with --single and intercept does not: give it to both, or to neither")]
    Unregistered,
    /// Neither tcpcopy.
    #[error("the peer does not speak the tcpcopy feed: only tcpcopy may connect to this port")]
    NotAFeed,
    /// A tcpcopy of another release line; its feed version.
    #[error(
        "tcpcopy speaks feed version {0}, this intercept version {VERSION}: install the same release on both hosts"
    )]
    Version(u16),
    /// The peer is an intercept itself.
    #[error("the peer is an intercept, not a tcpcopy: only tcpcopy may connect to this port")]
    NotATcpcopy,
    /// The tcpcopy found something wrong with us, and said what.
    #[error("tcpcopy refused the feed: {0}")]
    Refused(String),
    /// Connected, but no hello came; seconds waited.
    #[error("the peer did not say hello within {0} s: only tcpcopy may connect to this port")]
    NoHello(u64),
    /// Nothing was heard for this many seconds, not even a heartbeat.
    #[error("tcpcopy has been silent for {0} s, its connection is closed; it may connect again")]
    Silent(u64),
    /// As many peers as intercept serves are connected already.
    #[error("intercept serves {0} connections already: stop another tcpcopy or use fewer connections (-C)")]
    TooManyPeers(usize),
    /// The tcpcopy broke the protocol.
    #[error("tcpcopy sent something unreadable ({0}): install the same release on both hosts")]
    Malformed(#[from] Malformed),
}
