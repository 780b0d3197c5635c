//! Loads, checks and configures protocol modules: shared libraries that replace each other while sessions run.
//!
//! [`Host::load`] turns a file into a [`Loaded`] module, which is a plain [`Module`](tcpcopy_plugin_api::Module): the engine
//! never learns that a library is behind it. A load that fails changes nothing and says why in one sentence
//! ([`LoadError`]).
//!
//! There are two doors into a library: that of modules in Rust (the stable mirror of `tcpcopy_plugin_api`), and that of
//! modules in C (`include/tcpcopy_module.h`). What is loaded stays mapped as long as the process lives: its code may
//! still be referred to from anywhere, so nothing is ever unloaded, and [`HostOptions::most_loaded`] bounds how often.

mod c_door;
mod call_times;
mod elf;
mod error;
mod file;
mod host;
mod host_api;
mod library;
mod probe;
mod rust_door;
mod sealed;
mod smoke;
mod tally;
mod text;
mod watch;

pub use c_door::interface as c_interface;
pub use call_times::{CallSummary, CallTimes};
pub use error::{LoadError, Problem};
pub use file::read_file;
pub use host::{Host, HostOptions, Loaded, fingerprint};
pub use library::{About, Door, Library};
pub use probe::probe;
pub use text::{cut, on_one_line};
pub use watch::{Patience, exit_at_once};
