//! Signals as readable descriptors.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// What a running program is told by a signal, but to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// SIGHUP: the terminal is gone, or files have changed.
    HangUp,
    /// SIGUSR1: the log file was moved away.
    ReopenLog,
}

impl Notice {
    /// How many there are.
    pub(crate) const COUNT: usize = 2;
}

/// SIGINT and SIGTERM on one pipe, and each notice on one of its own.
pub(crate) struct Signals {
    stop: UnixStream,
    notices: [(Notice, UnixStream); Notice::COUNT],
}

impl Signals {
    /// How many tokens [`Self::register`] takes.
    pub(crate) const TOKENS: usize = 1 + Notice::COUNT;

    pub(crate) fn new() -> io::Result<Self> {
        let stop = on_pipe(&[SIGINT, SIGTERM])?;
        let notices = [(Notice::HangUp, on_pipe(&[SIGHUP])?), (Notice::ReopenLog, on_pipe(&[SIGUSR1])?)];
        Ok(Self { stop, notices })
    }

    /// Takes tokens from `first` on.
    pub(crate) fn register(&mut self, registry: &Registry, first: Token) -> io::Result<()> {
        let notices = self.notices.iter_mut().map(|(_, pipe)| pipe);
        for (index, pipe) in std::iter::once(&mut self.stop).chain(notices).enumerate() {
            registry.register(pipe, Token(first.0 + index), Interest::READABLE)?;
        }
        Ok(())
    }

    /// What the token numbered `index` among those registered means: a notice, or to stop. Takes what has come so far, so
    /// that the next signal wakes the poll again.
    pub(crate) fn take(&mut self, index: usize) -> Option<Notice> {
        let (notice, pipe) = self.notices.get_mut(index.checked_sub(1)?)?;
        let mut bytes = [0; 16];
        while pipe.read(&mut bytes).is_ok_and(|count| count > 0) {}
        Some(*notice)
    }
}

/// From now on SIGINT and SIGTERM set `flag` as well, for a thread that would not hear of them otherwise.
pub(crate) fn set_on_stop(flag: Arc<AtomicBool>) -> io::Result<()> {
    flag::register(SIGINT, Arc::clone(&flag))?;
    flag::register(SIGTERM, flag)?;
    Ok(())
}

fn on_pipe(signals: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    let writer = std::os::unix::net::UnixStream::from(writer);
    for signal in signals {
        pipe::register(*signal, writer.try_clone()?)?;
    }
    Ok(reader)
}
