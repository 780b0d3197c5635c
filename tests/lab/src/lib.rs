//! The lab: hosts in network namespaces, tagged traffic between them, and exact accounting of what the target
//! received. Used by the demo, the end-to-end tests and the benchmarks alike.
//!
//! [`world`] makes hosts and links, [`traffic`] the users and servers on them, [`datagrams`] those of UDP, [`mysql`]
//! real databases and their clients; [`scenario`] plays all together with the programs under test. The `lab` binary is the
//! way in: it needs namespaces of its own, which [`run_scenario`] arranges for tests.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "the lab lives in real time")]

pub mod bench;
pub mod check;
pub mod datagrams;
pub mod demo;
pub mod doctor;
pub mod fidelity;
mod invocation;
pub mod mirror;
pub mod mysql;
pub mod record;
pub mod scenario;
pub mod terminal;
pub mod traffic;
pub mod world;

pub use invocation::{run_doctor, run_scenario};
