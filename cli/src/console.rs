//! Where log lines and the status line go: standard error or a file.
//!
//! A log line never tears the status line: that is taken away first and shown again below. A log that cannot be
//! written costs lines, which are counted, and never the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Back to the first column, and everything from there on erased (ECMA-48 CR, EL).
const ERASE_LINE: &str = "\r\x1b[K";
/// What a status line may take when the terminal does not tell its width.
const USUAL_WIDTH: usize = 80;

/// The one place the program writes to while it runs.
pub(crate) struct Console(Mutex<State>);

struct State {
    sink: Sink,
    status: Option<String>,
    unwritten: u64,
}

enum Sink {
    StandardError,
    File { path: PathBuf, file: File },
}

impl Console {
    /// On standard error.
    pub(crate) fn on_standard_error() -> Self {
        Self::on(Sink::StandardError)
    }

    /// In a file, after what it holds already.
    pub(crate) fn in_file(path: &Path) -> io::Result<Self> {
        Ok(Self::on(Sink::File { path: path.to_owned(), file: open(path)? }))
    }

    fn on(sink: Sink) -> Self {
        Self(Mutex::new(State { sink, status: None, unwritten: 0 }))
    }

    /// Writes a line, or several: a newline is added.
    pub(crate) fn write_line(&self, line: &str) {
        self.state().write_line(line);
    }

    /// Shows `text` on the last line of the terminal until there is another one.
    pub(crate) fn show_status(&self, text: &str) {
        let mut state = self.state();
        state.status = Some(fitted(text, width()));
        state.draw_status();
    }

    /// Takes the status line away for good.
    pub(crate) fn clear_status(&self) {
        let mut state = self.state();
        if state.status.take().is_some() {
            // A terminal that is gone needs no cleaning.
            let _ = io::stderr().write_all(ERASE_LINE.as_bytes());
        }
    }

    /// Opens the log file anew, in case it was moved away; on standard error there is nothing to do.
    ///
    /// # Errors
    /// The path and what the system said; the old file stays in use.
    pub(crate) fn reopen(&self) -> Result<(), (PathBuf, io::Error)> {
        let mut state = self.state();
        if let Sink::File { path, file } = &mut state.sink {
            *file = open(path).map_err(|error| (path.clone(), error))?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in between can leave a torn line at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write_line(&mut self, line: &str) {
        let before = if self.status.is_some() { ERASE_LINE } else { "" };
        let missing = match self.unwritten {
            0 => String::new(),
            lines => format!("({lines} log lines before this one could not be written)\n"),
        };
        // One call, so that lines of several processes in one file do not mix.
        let text = format!("{before}{missing}{line}\n");
        let written = match &mut self.sink {
            Sink::StandardError => io::stderr().write_all(text.as_bytes()),
            Sink::File { file, .. } => file.write_all(text.as_bytes()),
        };
        match written {
            Ok(()) => self.unwritten = 0,
            Err(_) => self.unwritten += 1,
        }
        self.draw_status();
    }

    fn draw_status(&self) {
        if let Some(status) = &self.status {
            let _ = write!(io::stderr(), "{ERASE_LINE}{status}");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn width() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}

/// As much of `text` as fits without touching the last column, where some terminals begin a new line.
fn fitted(text: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_appended_to_and_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let console = Console::in_file(&path).unwrap();
        console.write_line("one");
        let moved = directory.path().join("log.1");
        fs::rename(&path, &moved).unwrap();
        console.write_line("two");
        console.reopen().unwrap();
        console.write_line("three");
        assert_eq!(fs::read_to_string(moved).unwrap(), "before\none\ntwo\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_anew_stays_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let console = Console::in_file(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(console.reopen().unwrap_err().0, path);
        console.write_line("still here");
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let console = Console::on(Sink::File { path: path.clone(), file: full });
        console.write_line("one");
        console.write_line("two");
        console.reopen().unwrap();
        console.write_line("three");
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "(2 log lines before this one could not be written)\nthree\n"
        );
    }

    #[test]
    fn a_status_line_keeps_off_the_last_column() {
        assert_eq!(fitted("12345", 6), "12345");
        assert_eq!(fitted("123456", 6), "1234…");
        assert_eq!(fitted("123456", 0), "…");
    }
}
