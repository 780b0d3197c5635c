//! Packets as bytes and as values: the lowest room.
//!
//! Nothing here does I/O, reads a clock or keeps state between calls. A captured frame goes in as bytes and
//! comes out as a [`Segment`] that borrows its payload; a [`Segment`] goes in with its payload and comes out
//! as the bytes of an IP packet. Foreign bytes never cause a panic: what cannot be used is a [`DropReason`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod checksum;
mod datagram;
mod emit;
mod flow;
mod ip_header;
mod layer;
mod link;
mod network;
mod options;
mod parse;
mod segment;
mod seq;
mod time;
mod tunnel;

pub use datagram::{CapturedDatagram, Datagram, Fragment, parse_datagram_frame, parse_datagram_ip};
pub use emit::{EmitError, Ipv4Identification, emit, emit_datagram, header_len};
pub use flow::{Endpoint, Flow};
pub use link::LinkType;
pub use options::{Options, SackBlocks, Timestamps};
pub use parse::{DropReason, parse_frame, parse_ip};
pub use segment::{Flags, Segment};
pub use seq::SeqNum;
pub use time::Instant;
