//! What this host gives a module: its log.

use std::panic::catch_unwind;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RStr;
use log::Level;
use tcpcopy_plugin_api::abi::{ApiVersion, HostApi, HostApiRef};

use crate::on_one_line;

/// The one table for all modules.
pub(crate) const HOST_API: HostApiRef = {
    const TABLE: &WithMetadata<HostApi> =
        &WithMetadata::new(HostApi { api: ApiVersion::CURRENT, log_level, log });
    HostApiRef(TABLE.static_as_prefix())
};

extern "C" fn log_level() -> u32 {
    level()
}

extern "C" fn log(level: u32, target: RStr<'_>, text: RStr<'_>) {
    say(level, target.as_str(), text.as_str());
}

/// The level of the log as a number: 0 nothing, 1 errors … 5 traces.
pub(crate) fn level() -> u32 {
    log::max_level() as u32
}

/// Under which target the lines of all modules are logged, so that a log which is silent about foreign crates hears them.
const TARGET: &str = "tcpcopy_module";

/// A line of a module, with its own target before the text. A log that panics must not unwind into the module.
pub(crate) fn say(level: u32, target: &str, text: &str) {
    let level = match level {
        0 | 1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        4 => Level::Debug,
        _ => Level::Trace,
    };
    let line = || log::log!(target: TARGET, level, "{}: {}", on_one_line(target), on_one_line(text));
    let _ = catch_unwind(line);
}
