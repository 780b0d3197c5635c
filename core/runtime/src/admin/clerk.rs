//! The clerk: the admin thread, which answers one question after the other and loads modules.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use log::LevelFilter;
use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use tcpcopy_wire::Instant;

use super::desk::{Bell, Question};
use super::reply::{Answer, ReloadAnswer, Reply};
use super::request::{Ask, Request};
use crate::clock::Clock;
use crate::modules::{Fresh, Shelf};

const SOCKET: Token = Token(0);
const ORDERS: Token = Token(1);
/// No request is longer.
const REQUEST_BYTES: usize = 64 << 10;
/// A request is one line, sent at once, and a reply is read at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the loop wants of the clerk.
#[derive(Debug, Default)]
pub(super) struct Orders {
    reload: AtomicBool,
    stop: AtomicBool,
}

impl Orders {
    /// Load again what has changed.
    pub(super) fn reload(&self) {
        self.reload.store(true, Relaxed);
    }

    /// End.
    pub(super) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    fn takes_reload(&self) -> bool {
        self.reload.swap(false, Relaxed)
    }

    fn is_stop(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

pub(super) struct Clerk {
    poll: Poll,
    listener: Option<UnixListener>,
    orders: Arc<Orders>,
    bell: Bell,
    shelf: Shelf,
}

impl Clerk {
    /// A clerk, and what wakes it when there is an order.
    pub(super) fn new(
        mut listener: Option<UnixListener>,
        orders: Arc<Orders>,
        bell: Bell,
        shelf: Shelf,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), ORDERS)?;
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, SOCKET, Interest::READABLE)?;
        }
        Ok((Self { poll, listener, orders, bell, shelf }, waker))
    }

    /// Works until told to stop. Orders go before questions.
    pub(super) fn work(mut self) {
        let mut events = Events::with_capacity(8);
        while !self.orders.is_stop() {
            if self.orders.takes_reload() {
                self.reload_unasked();
            } else if let Some(stream) = self.accept() {
                if let Err(error) = self.serve(stream) {
                    log::debug!("a question at the admin socket was not answered: {error}");
                }
            } else if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return log::error!("the admin socket is closed, waiting for questions failed: {error}");
            }
        }
    }

    fn accept(&self) -> Option<UnixStream> {
        let (stream, _) = self.listener.as_ref()?.accept().ok()?;
        Some(OwnedFd::from(stream).into())
    }

    fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        let asker = getsockopt(&stream, PeerCredentials)?.uid();
        let line = read_line(&mut stream)?;
        if line.is_empty() {
            return Ok(()); // somebody looked whether we are there
        }
        let answer = if asker != 0 && asker != geteuid().as_raw() {
            Answer::Error("only the user that tcpcopy runs as, and root, may ask it".to_owned())
        } else if line.len() > REQUEST_BYTES {
            Answer::Error("a request has at most 64 KiB; put a long configuration into a file".to_owned())
        } else {
            match Request::parse(&line) {
                Ok(request) => self.answer(request.ask).unwrap_or_else(Answer::Error),
                Err(sentence) => Answer::Error(sentence),
            }
        };
        let mut reply = serde_json::to_vec(&Reply::new(answer))?;
        reply.push(b'\n');
        write_all(&mut stream, &reply)
    }

    /// The answer, or why there is none.
    fn answer(&mut self, ask: Ask) -> Result<Answer, String> {
        match ask {
            Ask::Status => self.ask(Question::Status),
            Ask::Modules => self.ask(Question::Modules),
            Ask::Sessions { limit } => self.ask(Question::Sessions(limit)),
            Ask::Stats => self.ask(Question::Stats),
            Ask::Reload => self.reload().map(Answer::Reload),
            Ask::Log { level } => set_log_level(&level),
            Ask::Swap { mapping, file, configuration, migrate } => {
                self.look_for_stuck()?;
                let index = self.shelf.mappings().iter().position(|known| *known == mapping);
                let index = index.ok_or_else(|| {
                    format!("there is no mapping {mapping}; -x has {}", self.shelf.mappings().join(", "))
                })?;
                let fresh =
                    self.shelf.load(index, &file, configuration).map_err(|error| error.to_string())?;
                self.install(fresh, migrate)
            }
        }
    }

    /// Asks the loop, unless it is known that it will not answer.
    fn ask(&self, question: Question) -> Result<Answer, String> {
        self.look_for_stuck()?;
        self.bell.ask(question)
    }

    fn look_for_stuck(&self) -> Result<(), String> {
        self.shelf.stuck().map_or(Ok(()), Err)
    }

    fn install(&self, fresh: Fresh, migrates: bool) -> Result<Answer, String> {
        let name = fresh.name.to_string();
        let told = |sentence: &String| log::error!("module {name} was loaded, but {sentence}");
        if let Some(sentence) = self.shelf.stuck() {
            told(&sentence);
            // Its library stays as well. To let it go would run its code here, where it must not be waited for.
            std::mem::forget(fresh);
            return Err(sentence);
        }
        self.bell.ask(Question::Install { fresh: Box::new(fresh), migrates }).inspect_err(told)
    }

    /// Loads again what has changed. What cannot be loaded is told; there the module that was goes on.
    fn reload(&mut self) -> Result<ReloadAnswer, String> {
        self.look_for_stuck()?;
        let mut answer = ReloadAnswer::default();
        for mapping in 0..self.shelf.mappings().len() {
            if self.orders.is_stop() {
                break;
            }
            match self.shelf.reload(mapping) {
                None if self.shelf.has_module(mapping) => {
                    answer.unchanged.push(self.shelf.mappings()[mapping].clone());
                }
                None => {}
                Some(Err(error)) => {
                    log::error!("{error}; the module that was loaded before goes on");
                    answer.failed.push(error.to_string());
                }
                Some(Ok(fresh)) => match self.install(fresh, false) {
                    Ok(Answer::Swap(swap)) => answer.reloaded.push(swap),
                    Ok(_) => {}
                    Err(sentence) => answer.failed.push(sentence),
                },
            }
        }
        Ok(answer)
    }

    /// SIGHUP: nobody reads an answer, but the log.
    fn reload_unasked(&mut self) {
        match self.reload() {
            Ok(ReloadAnswer { reloaded, failed, unchanged }) => {
                if reloaded.is_empty() && failed.is_empty() && !unchanged.is_empty() {
                    log::info!("SIGHUP: no module and no configuration has changed");
                }
            }
            Err(sentence) => log::error!("SIGHUP: no module is loaded again, since {sentence}"),
        }
    }
}

/// The first line of what is sent, without its end. Of one that is too long, a byte more than a request may have.
fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let deadline = Deadline::new();
    let (mut line, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        stream.set_read_timeout(Some(deadline.left()?))?;
        let count = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let end = buffer[..count].iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&buffer[..end.unwrap_or(count)]);
        // Who is cut short while speaking does not hear the answer: the rest is read, and forgotten.
        line.truncate(REQUEST_BYTES + 1);
        if end.is_some() || count == 0 {
            return Ok(line);
        }
    }
}

fn write_all(stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    let deadline = Deadline::new();
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(deadline.left()?))?;
        match stream.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => bytes = &bytes[written?..],
        }
    }
    Ok(())
}

/// When patience with who asks ends.
struct Deadline {
    clock: Clock,
    until: Instant,
}

impl Deadline {
    fn new() -> Self {
        let clock = Clock::new();
        Self { until: clock.now() + PATIENCE, clock }
    }

    /// The time that is left.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.since(self.clock.now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn set_log_level(level: &str) -> Result<Answer, String> {
    match level.parse::<LevelFilter>() {
        Ok(level) if level != LevelFilter::Off => {
            log::set_max_level(level);
            Ok(Answer::Log(level.as_str().to_ascii_lowercase()))
        }
        _ => Err(format!("the log level cannot be \"{level}\": it takes error, warn, info, debug or trace")),
    }
}
