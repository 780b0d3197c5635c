//! The event loops that join capture, engine, feed and transmit: the only reader of the clock.
//!
//! [`Replay`] and [`Copying`] are tcpcopy's loops, for TCP and UDP, [`Relaying`] is intercept's. No protocol logic in
//! here: what a packet means is the engine's business, what a frame of the feed means is the feed's.
//!
//! Beside tcpcopy's loop runs the [admin thread](Ask): it loads modules and answers `tcpcopy ctl`.

#![forbid(unsafe_code)]

mod accounts;
mod admin;
mod capture_choice;
mod captures;
mod clock;
mod comparison;
mod copying;
mod doctor;
mod error;
mod feeds;
mod inquiries;
mod intake;
mod mapping_name;
mod modules;
mod outlet;
mod recorded;
mod relaying;
mod replay;
mod replayer;
mod response_capture;
mod rounds;
mod signals;
mod snapshot;
mod socket;
mod watch;
mod way_back;

pub use accounts::{Account, Accounts};
pub use admin::{
    ADMIN_VERSION, AdminPlace, Answer, Ask, AskError, MOST_SESSIONS, MappingStatus, ReloadAnswer, Reply,
    Request, SessionLine, SessionsAnswer, StatsAnswer, StatusAnswer, SwapAnswer, VerdictTotals,
    admin_sockets, admin_sockets_of, ask,
};
pub use capture_choice::{CaptureChoice, UNNAMED_RING_BYTES};
pub use comparison::{ComparisonTotals, Latency, RowTotals};
pub use copying::Copying;
pub use doctor::{DoctorOptions, Finding, State, examine};
pub use error::StartError;
pub use intake::IntakeChoice;
pub use mapping_name::mapping_name;
pub use modules::{
    ConfigurationSource, DiscardTotals, GenerationTotals, ModuleChoice, ModuleName, ModuleOptions,
    ModulesTotals, ReasonTotals, ShelfError,
};
pub use outlet::TransmitChoice;
pub use recorded::{FileTotals, RecordingChoice, RecordingTotals, Tempo};
pub use relaying::{Relaying, RelayingOptions};
pub use replay::{Replay, ReplayOptions};
pub use replayer::Transport;
pub use signals::Notice;
pub use snapshot::{
    CaptureTotals, FeedTotals, PeerTotals, RelaySnapshot, ReplayEnd, ReplaySnapshot, TransmitTotals,
    UnusableFrames,
};
pub use way_back::{InterceptChoice, SightingChoice, WayBackChoice};
