//! The simulated world: the real engine and feed between independent TCPs (smoltcp), in virtual time.
//!
//! One [`Scenario`], and with it one seed, decides everything: [`World::run`] gives the same [`Outcome`] each
//! time. The world checks after every step what must always hold, and at its end what must hold in the end;
//! what does not is a [`Violation`].
//!
//! ```text
//!  users ──link──► capture point ──► online server
//!                      │ tap
//!                  replayer ──link──► target
//!                      ▲                │ link
//!                      └──── feed ── assistant
//! ```

#![forbid(unsafe_code)]

mod coverage;
mod draw;
mod feed;
mod framing;
mod host;
mod invariants;
mod ledger;
mod link;
mod outcome;
mod protocol;
mod replayer;
mod scenario;
mod schedule;
mod script;
mod server;
mod user;
mod world;

pub use framing::Serving;
pub use host::Manner;
pub use link::{Faults, Phase};
pub use outcome::Outcome;
pub use scenario::{Capture, Ending, Outage, Scenario, Service, Sizes, Talk};
pub use world::{Onlooker, World};

/// Something that must hold did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
