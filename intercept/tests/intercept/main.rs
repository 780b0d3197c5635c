//! The built binary as a person meets it.

mod command_line;
mod daemon;
