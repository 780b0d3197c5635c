//! Log records become lines on the console.

use std::panic;
use std::sync::Arc;
use std::time::SystemTime;

use log::{LevelFilter, Metadata, Record};

use crate::Program;
use crate::console::Console;

/// Sends every record of our own crates at `level` or above, and warnings of foreign ones, to `console`; a panic too.
/// Only the first call of a process has an effect. The level can be changed by [`log::set_max_level`].
pub(crate) fn install(program: Program, level: LevelFilter, console: Arc<Console>) {
    let sink = move |record: &Record<'_>| console.write_line(&line(program, now(), record));
    let dispatch = fern::Dispatch::new().filter(is_wanted).chain(fern::Output::call(sink));
    if dispatch.apply().is_ok() {
        log::set_max_level(level);
        panic::set_hook(Box::new(|panic| log::error!("a defect in this program: {panic}")));
    }
}

fn is_wanted(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let is_ours = target.starts_with("tcpcopy") || target.starts_with("intercept");
    is_ours || metadata.level() <= LevelFilter::Warn
}

fn line(program: Program, at: SystemTime, record: &Record<'_>) -> String {
    let time = humantime::format_rfc3339_millis(at);
    format!("{time} {:<5} {}: {}", record.level(), program.name, record.args())
}

#[expect(clippy::disallowed_methods, reason = "log lines carry the wall clock; nothing is decided by it")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use log::Level;

    use super::*;

    #[test]
    fn a_line_has_time_level_program_and_message() {
        let program = Program { name: "tcpcopy", version: "0", manual: &[] };
        let at = UNIX_EPOCH + Duration::from_millis(1_795_400_000_250);
        let record = Record::builder().level(Level::Info).args(format_args!("ready")).build();
        assert_eq!(line(program, at, &record), "2026-11-23T02:13:20.250Z INFO  tcpcopy: ready");
    }

    #[test]
    fn foreign_crates_are_heard_only_when_they_warn() {
        let metadata = |target, level| Metadata::builder().target(target).level(level).build();
        assert!(is_wanted(&metadata("tcpcopy_engine::session", Level::Trace)));
        assert!(is_wanted(&metadata("intercept", Level::Debug)));
        assert!(is_wanted(&metadata("mio::poll", Level::Warn)));
        assert!(!is_wanted(&metadata("mio::poll", Level::Info)));
    }
}
