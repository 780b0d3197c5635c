//! Write a protocol module for tcpcopy.
//!
//! tcpcopy copies what users say to a production server and says it again, as real TCP sessions, to a test server. Most
//! protocols need nothing more. Some do: a login that depends on a number the server chose, a header that has to name
//! the test server, requests that must not be repeated, answers worth comparing. That is what a *module* is for: a shared
//! library, loaded with `tcpcopy --module ./libmy_mod.so`, and replaced while tcpcopy runs.
//!
//! A module never sees a packet. It sees, for each session, up to three byte streams (see [`Side`]), and answers with
//! [`Actions`]:
//!
//! ```
//! use tcpcopy_plugin_api::{Actions, Configuration, ConfigurationError, Conversation, GiveUp, Module, SessionInfo};
//!
//! /// A protocol of lines: each is a request, and answered by a line.
//! pub struct Lines;
//!
//! impl Module for Lines {
//!     fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
//!         Ok(Self)
//!     }
//!
//!     fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> {
//!         Box::new(Line)
//!     }
//! }
//!
//! struct Line;
//!
//! impl Conversation for Line {
//!     fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
//!         for line in input.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
//!             if line == b"shutdown\n" {
//!                 actions.discard(line.len() as u64, "shutdown is not repeated");
//!             } else {
//!                 actions.open_turn();
//!                 actions.forward(line.len() as u64);
//!             }
//!         }
//!         Ok(()) // a line that is not complete is left, and given again with its rest
//!     }
//! }
//! # #[cfg(feature = "abi")]
//! tcpcopy_plugin_api::export_module! { name: "lines", version: "1.0.0", module: Lines }
//! ```
//!
//! (This one leaves it to the engine to guess when an answer is over; one that wants to know calls
//! [`Actions::want_target`] and [`Actions::complete_turn`].)
//!
//! # Where to go from here
//!
//! - [`Module`] and [`Conversation`] are all there is to implement; [`Actions`] all there is to answer.
//! - The feature `testing` has a kit that plays a conversation against a module in every split.
//! - `docs/writing-a-module.md` leads from an empty folder to a loaded module; `tcpcopy new-module` makes the folder.
//!
//! # Versions
//!
//! The API has a version of its own, [`API_VERSION`]. A host loads modules made for its own major version and any minor
//! version: what is added later has a default, and is not asked of a module that does not know it.

#![deny(missing_docs)]
#![deny(unsafe_code)]

#[cfg(feature = "abi")]
#[doc(hidden)]
#[expect(unsafe_code, reason = "what crosses the boundary of a library is made by hand and by macros")]
pub mod abi;
mod actions;
mod conversation;
mod exchange;
#[cfg(feature = "abi")]
mod export;
pub mod ledger;
mod module;
#[cfg(feature = "testing")]
pub mod testing;

pub use actions::{Action, Actions, Depth, InvalidStep, Step, Timestamp};
pub use conversation::{Conversation, GiveUp, Side};
pub use exchange::{Answer, Exchange};
pub use module::{Configuration, ConfigurationError, Module, SessionInfo};

/// The version of this API, major and minor.
pub const API_VERSION: (u16, u16) = (1, 0);
