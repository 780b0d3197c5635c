//! What the boundary between host and modules promises, held against libraries that were built outside of the workspace.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "everything here is test code, functions without #[test] too")]

mod bad_files;
mod builds;
mod c_modules;
mod calls;
mod collected_log;
mod drops;
mod loading;
mod panics;
mod play;
mod probing;
mod variants;
mod versions;
