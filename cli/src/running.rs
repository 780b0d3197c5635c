//! A program from its start to its end: log, pid file, daemon, status line, summaries, reports.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use serde::Serialize;
use tcpcopy_core::runtime::{Notice, StartError};

use crate::console::Console;
use crate::pid_file::PidFile;
use crate::{Cadence, Failure, Program, RunFlags, daemon, logging, report_file};

/// How often the status line is renewed.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// How often a program is asked for numbers when nobody wants to see them.
const UNSEEN_INTERVAL: Duration = Duration::from_secs(60);

/// A program that has begun to run.
pub struct Running {
    console: Arc<Console>,
    place: Place,
    is_daemon: bool,
    interval: Duration,
    report: Option<PathBuf>,
    _pid_file: Option<PidFile>,
}

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    File,
    Terminal,
    /// Standard error that is a file or a pipe.
    Elsewhere,
}

impl Running {
    /// Sets up everything around the program's work: with `-d` the daemon, then log, pid file and report.
    ///
    /// `None` in the process that has put the daemon into the background: it has nothing more to do.
    ///
    /// # Errors
    /// [`Failure::Start`] with a sentence; [`Failure::Reported`] when the daemon has given it already.
    pub fn begin(program: Program, flags: &RunFlags) -> Result<Option<Self>, Failure> {
        let in_background = flags.daemon || flags.detached;
        let usual = in_background.then(|| PathBuf::from(format!("/var/log/{}.log", program.name)));
        // Made absolute before a daemon leaves the directory they are relative to.
        let log = absolute(flags.log.clone().or(usual).as_deref())?;
        let report = absolute(flags.report.as_deref())?;
        let pid_file = absolute(flags.pid_file.as_deref())?;
        if in_background && !flags.detached {
            let pid = daemon::launch()?;
            let log = log.as_deref().unwrap_or(Path::new("nowhere")).display();
            // A notice, not a result: standard output stays empty.
            let _ = writeln!(io::stderr(), "{} runs as process {pid}, its log is {log}", program.name);
            return Ok(None);
        }
        if flags.detached {
            daemon::detach()?;
        }
        let place = match &log {
            Some(_) => Place::File,
            None if io::stderr().is_terminal() => Place::Terminal,
            None => Place::Elsewhere,
        };
        let console = Arc::new(console(log.as_deref())?);
        logging::install(program, flags.log_level, Arc::clone(&console));
        let begun = Self {
            console,
            place,
            is_daemon: flags.detached,
            interval: Duration::from_secs(flags.interval),
            _pid_file: None,
            report,
        };
        begun.hold(pid_file.as_deref()).map(Some)
    }

    /// Takes the pid file and looks whether the report can be written.
    fn hold(mut self, pid_file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = pid_file {
            let created = PidFile::create(path);
            let (held, left) =
                created.map_err(|error| self.log_failure(Failure::Start(error.to_string())))?;
            if let Some(pid) = left {
                log::warn!("{} named process {pid}, which ended without removing it", path.display());
            }
            self._pid_file = Some(held);
        }
        if let Some(path) = &self.report {
            report_file::check(path).map_err(|failure| self.log_failure(failure))?;
        }
        Ok(self)
    }

    /// How often the program should hand out numbers.
    #[must_use]
    pub fn snapshot_interval(&self) -> Duration {
        if self.is_live() {
            STATUS_INTERVAL
        } else if self.interval.is_zero() {
            UNSEEN_INTERVAL
        } else {
            self.interval
        }
    }

    /// When summary lines are due.
    #[must_use]
    pub fn cadence(&self) -> Cadence {
        Cadence::new(self.interval, self.snapshot_interval())
    }

    /// The work could not begin: the sentence for that, which also goes to a log file.
    #[must_use]
    pub fn start_failed(&self, error: StartError) -> Failure {
        self.log_failure(error.into())
    }

    /// The work has begun: says so in the log, and lets whoever waits for a daemon go.
    pub fn announce(&self, doing: &str) {
        log::info!("ready: {doing}");
        if self.is_daemon
            && let Err(error) = daemon::announce_ready()
        {
            log::warn!("cannot let go of the terminal: {error}");
        }
    }

    /// Shows the status line, if there is a terminal to show it on.
    pub fn show_status(&self, status: impl FnOnce() -> String) {
        if self.is_live() {
            self.console.show_status(&status());
        }
    }

    /// A log file is opened anew. Where the log goes to a terminal, SIGHUP means that it was closed, and the program stops
    /// as on SIGTERM.
    pub fn handle_notice(&self, notice: Notice) {
        match self.place {
            Place::File => match self.console.reopen() {
                Ok(()) => log::info!("log file opened anew"),
                Err((path, error)) => {
                    log::error!(
                        "cannot open the log file {} anew: {error}; using the old one",
                        path.display()
                    );
                }
            },
            Place::Terminal if notice == Notice::HangUp => {
                if let Err(error) = raise(Signal::SIGTERM) {
                    log::error!("the terminal is gone, but stopping failed: {}", error.desc());
                }
            }
            Place::Terminal | Place::Elsewhere => log::info!("there is no log file to open anew"),
        }
    }

    /// The work is done: the report for people goes to standard output and to a log file, the one for machines to the
    /// file of `--report`.
    ///
    /// # Errors
    /// [`Failure::Start`] when that file could not be written.
    pub fn finish(self, text: &str, report: &impl Serialize) -> Result<(), Failure> {
        self.console.clear_status();
        if self.place == Place::File {
            log::info!("{}", text.trim_end());
        }
        // Nobody may be there to read it.
        let _ = io::stdout().write_all(text.as_bytes());
        match &self.report {
            Some(path) => report_file::write(path, report).map_err(|failure| self.log_failure(failure)),
            None => Ok(()),
        }
    }

    fn is_live(&self) -> bool {
        let is_dumb = || env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        self.place == Place::Terminal && !is_dumb()
    }

    /// A failure is told on standard error by whoever ends the program; a log file must not miss it.
    fn log_failure(&self, failure: Failure) -> Failure {
        if self.place == Place::File {
            log::error!("{failure}");
        }
        failure
    }
}

fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::Start(format!("cannot find {}: {error}", path.display())))?;
    Ok(Some(absolute))
}

fn console(log: Option<&Path>) -> Result<Console, Failure> {
    let Some(path) = log else { return Ok(Console::on_standard_error()) };
    Console::in_file(path).map_err(|error| {
        Failure::Start(format!("cannot write the log file {}: {error}; name another with -l", path.display()))
    })
}
