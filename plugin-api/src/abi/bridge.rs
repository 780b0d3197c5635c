//! A module's log lines on their way to the host's log: a library has a `log` crate of its own, which nobody set up.

use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::HostApiRef;

/// The host of this library; the first to configure it.
static HOST: OnceLock<HostApiRef> = OnceLock::new();

/// Sends this library's log lines to `host`, unless it has one; returns whether it had none.
pub(super) fn install(host: HostApiRef) -> bool {
    let is_first = HOST.set(host).is_ok();
    if is_first && log::set_logger(&Bridge).is_ok() {
        // The host's level may change at any time, so it is asked for every line instead.
        log::set_max_level(LevelFilter::Trace);
    }
    is_first
}

/// The logger of a library.
struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        HOST.get().is_some_and(|host| number(metadata.level()) <= host.log_level()())
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(host) = HOST.get()
            && self.enabled(record.metadata())
        {
            let text = record.args().to_string();
            host.log()(number(record.level()), record.target().into(), text.as_str().into());
        }
    }

    fn flush(&self) {}
}

fn number(level: Level) -> u32 {
    match level {
        Level::Error => 1,
        Level::Warn => 2,
        Level::Info => 3,
        Level::Debug => 4,
        Level::Trace => 5,
    }
}
