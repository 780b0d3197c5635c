//! The feed: the channel on which tcpcopy tells intercept which flows are its own and intercept returns the
//! target's responses to them. Both ends as state machines; the byte layouts are in `docs/feed-protocol.md`.
//! Either end also speaks with a C tool, and finds out by itself that it does.
//!
//! [`Subscriber`] is tcpcopy's end of one connection to one intercept, [`Relay`] is intercept's end of all
//! its connections. Neither opens a socket, starts a thread or reads a clock: bytes and time come in through
//! `handle_*`, bytes and events go out through `poll_*`. Everything that is kept is bounded; what does not fit
//! is dropped and counted, never waited for. Foreign bytes are refused with a sentence, never a panic.

#![forbid(unsafe_code)]

mod byte_queue;
mod bytes;
mod c_tool;
mod clock;
mod doorway;
mod error;
mod frame;
mod hello;
mod inbox;
mod inquiry;
mod outbox;
mod registration;
mod relay;
mod response;
mod statistics;
mod subscriber;

pub use c_tool::CToolFormat;
pub use error::{FeedError, Malformed, PeerError};
pub use frame::{DEFAULT_PORT, MAX_FRAME_BYTES};
pub use hello::{Features, VERSION};
pub use inquiry::{Answer, MAX_INQUIRY_FLOWS, Question, Sighting, Survey, SurveyedDevice};
pub use registration::{FlowId, Registration};
pub use relay::{PeerId, PeerSummary, Relay, RelayEvent, RelayOptions, RelayTotals, Routed, Translation};
pub use response::{MAX_DEPTH, Response};
pub use statistics::{CaptureStatistics, Statistics};
pub use subscriber::{Subscriber, SubscriberEvent, SubscriberOptions, SubscriberState};
