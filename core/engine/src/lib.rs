//! The sans-IO replay engine: what users said to the online server becomes real TCP sessions with a target.
//!
//! No socket, clock or thread in here: captured segments, responses and the time come in through `handle_*`,
//! packets and registrations go out through `poll_*` of [`Engine`]. Equal input and seed give equal output.
//!
//! A [session](Engine) has two halves joined by a byte stream: `reassembly` puts in order what the user said,
//! `session` says it again with a client TCP of its own, and `turns` decides when.
//!
//! [`Datagrams`] is the same for UDP, which has no sessions.

#![forbid(unsafe_code)]

mod backlog;
mod congestion;
mod datagrams;
mod engine;
mod incoming;
mod joining;
mod judge;
mod mapping;
mod options;
mod path_mtu;
mod reassembly;
mod registration;
mod replica;
mod rtt;
mod sampling;
mod scoreboard;
mod serving;
mod session;
mod share;
mod sources;
mod statistics;
mod timers;
mod turns;
mod verdict;
mod workload;

pub use datagrams::{DatagramStatistics, Datagrams, FragmentTotals, Uncopied};
pub use engine::{Engine, SessionId, SessionSummary};
pub use mapping::{Mapping, Mappings, OnlineAddress};
pub use options::{Awaited, EngineOptions, Pace, Sampling};
pub use registration::Registration;
pub use serving::{Discarded, Event, GenerationState, GenerationStatistics};
pub use share::Share;
pub use sources::SourcePool;
pub use statistics::{Ended, Pending, Statistics};
pub use verdict::{Ignored, Verdict};
pub use workload::Workload;
