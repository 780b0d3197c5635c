//! The log of this program: kept, for tests to look into.

use std::sync::{Mutex, Once, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

static LINES: Mutex<Vec<(Level, String, String)>> = Mutex::new(Vec::new());

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = (record.level(), record.target().to_owned(), record.args().to_string());
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}

/// Collects from here on what is logged at debug or above.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Collector).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
}

/// Whether a line of a module of this level and target was logged that contains `text`.
pub(crate) fn has(level: Level, target: &str, text: &str) -> bool {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |said: &str| said.strip_prefix(target).is_some_and(|said| said.contains(text));
    lines.iter().any(|line| line.0 == level && line.1 == "tcpcopy_module" && is_it(&line.2))
}
