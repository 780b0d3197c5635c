//! The rules of docs/architecture.md and CONTRIBUTING.md that neither the compiler nor clippy can keep, as functions from what was read
//! ([`workspace`], [`source`]) to breaches. They know nothing of what the code does: only its shape.
#![forbid(unsafe_code)]

pub mod breach;
pub mod edges;
pub mod machine;
pub mod names;
pub mod opening;
pub mod rooms;
pub mod source;
pub mod unsafety;
pub mod workspace;
