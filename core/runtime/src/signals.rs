//! Signals as readable descriptors.

use std::io::{self, Read};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// SIGINT and SIGTERM on one pipe, SIGHUP on another.
pub(crate) struct Signals {
    stop: UnixStream,
    hangup: UnixStream,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let (stop, writer) = UnixStream::pair()?;
        let (hangup, hangup_writer) = UnixStream::pair()?;
        let (interrupt, terminate) = (std::os::unix::net::UnixStream::from(writer), SIGTERM);
        pipe::register(SIGINT, interrupt.try_clone()?)?;
        pipe::register(terminate, interrupt)?;
        pipe::register(SIGHUP, std::os::unix::net::UnixStream::from(hangup_writer))?;
        Ok(Self { stop, hangup })
    }

    pub(crate) fn register(&mut self, registry: &Registry, stop: Token, hangup: Token) -> io::Result<()> {
        registry.register(&mut self.stop, stop, Interest::READABLE)?;
        registry.register(&mut self.hangup, hangup, Interest::READABLE)
    }

    /// Takes what has come so far, so that the next signal wakes the poll again.
    pub(crate) fn take_hangups(&mut self) {
        let mut bytes = [0; 16];
        while self.hangup.read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
}
