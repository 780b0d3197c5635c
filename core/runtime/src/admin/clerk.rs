//! The clerk: the admin thread, which answers one question after the other and loads modules.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use log::LevelFilter;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use super::desk::{Bell, Question};
use super::reply::{Answer, ReloadAnswer, Reply};
use super::request::{Ask, Request};
use super::socket::AdminSocket;
use crate::clock::Clock;
use crate::modules::{Fresh, Shelf};

const SOCKET: Token = Token(0);
const ORDERS: Token = Token(1);
/// No request is longer.
const REQUEST_BYTES: usize = 64 << 10;
/// A request is one line, sent at once, and a reply is read at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the loop wants of the clerk.
pub(super) enum Order {
    /// Load again what has changed.
    Reload,
    /// End.
    Stop,
}

pub(super) struct Clerk {
    poll: Poll,
    socket: Option<AdminSocket>,
    orders: Receiver<Order>,
    bell: Bell,
    shelf: Shelf,
}

impl Clerk {
    /// A clerk, and what wakes it when there is an order.
    pub(super) fn new(
        mut socket: Option<AdminSocket>,
        orders: Receiver<Order>,
        bell: Bell,
        shelf: Shelf,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), ORDERS)?;
        if let Some(socket) = &mut socket {
            poll.registry().register(socket.listener(), SOCKET, Interest::READABLE)?;
        }
        Ok((Self { poll, socket, orders, bell, shelf }, waker))
    }

    /// Works until told to stop.
    pub(super) fn work(mut self) {
        let mut events = Events::with_capacity(8);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return log::error!("the admin socket is closed, waiting for questions failed: {error}");
            }
            loop {
                match self.orders.try_recv() {
                    Ok(Order::Reload) => self.reload_unasked(),
                    Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => break,
                }
            }
            while let Some(stream) = self.accept() {
                if let Err(error) = self.serve(stream) {
                    log::debug!("a question at the admin socket was not answered: {error}");
                }
            }
        }
    }

    fn accept(&mut self) -> Option<UnixStream> {
        let (stream, _) = self.socket.as_mut()?.listener().accept().ok()?;
        Some(OwnedFd::from(stream).into())
    }

    fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let asker = getsockopt(&stream, PeerCredentials)?.uid();
        let answer = if asker != 0 && asker != geteuid().as_raw() {
            Answer::Error("only the user that tcpcopy runs as, and root, may ask it".to_owned())
        } else {
            let line = read_line(&mut stream)?;
            if line.is_empty() {
                return Ok(()); // somebody looked whether we are there
            }
            match Request::parse(&line) {
                Ok(request) => self.answer(request.ask),
                Err(sentence) => Answer::Error(sentence),
            }
        };
        let mut reply = serde_json::to_vec(&Reply::new(answer))?;
        reply.push(b'\n');
        stream.write_all(&reply)
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Status => self.ask(Question::Status),
            Ask::Modules => self.ask(Question::Modules),
            Ask::Sessions { limit } => self.ask(Question::Sessions(limit)),
            Ask::Stats => self.ask(Question::Stats),
            Ask::Reload => Answer::Reload(self.reload()),
            Ask::Log { level } => set_log_level(&level),
            Ask::Swap { mapping, file, configuration, migrate } => {
                let Some(index) = self.shelf.mappings().iter().position(|known| *known == mapping) else {
                    return Answer::Error(format!(
                        "there is no mapping {mapping}; -x has {}",
                        self.shelf.mappings().join(", ")
                    ));
                };
                match self.shelf.load(index, &file, configuration) {
                    Ok(fresh) => self.install(fresh, migrate),
                    Err(error) => Answer::Error(error.to_string()),
                }
            }
        }
    }

    /// Asks the loop, unless it is known that it will not answer.
    fn ask(&self, question: Question) -> Answer {
        self.shelf.stuck().map_or_else(|| self.bell.ask(question), Answer::Error)
    }

    fn install(&self, fresh: Fresh, migrates: bool) -> Answer {
        let name = fresh.name.to_string();
        let answer = self.ask(Question::Install { fresh: Box::new(fresh), migrates });
        match &answer {
            Answer::Error(sentence) => log::error!("module {name} was loaded, but {sentence}"),
            _ => log::info!("module {name} serves new sessions from now on"),
        }
        answer
    }

    /// Loads again what has changed. What cannot be loaded is told; there the module that was goes on.
    fn reload(&mut self) -> ReloadAnswer {
        let mut answer = ReloadAnswer::default();
        for mapping in 0..self.shelf.mappings().len() {
            match self.shelf.reload(mapping) {
                None if self.shelf.has_module(mapping) => {
                    answer.unchanged.push(self.shelf.mappings()[mapping].clone());
                }
                None => {}
                Some(Err(error)) => answer.failed.push(error.to_string()),
                Some(Ok(fresh)) => match self.install(fresh, false) {
                    Answer::Swap(swap) => answer.reloaded.push(swap),
                    Answer::Error(sentence) => answer.failed.push(sentence),
                    _ => {}
                },
            }
        }
        for sentence in &answer.failed {
            log::error!("{sentence}; the module that was loaded before goes on");
        }
        answer
    }

    /// SIGHUP: nobody reads an answer, but the log.
    fn reload_unasked(&mut self) {
        let ReloadAnswer { reloaded, failed, unchanged } = self.reload();
        if reloaded.is_empty() && failed.is_empty() && !unchanged.is_empty() {
            log::info!("SIGHUP: no module and no configuration has changed");
        }
    }
}

/// The first line of what is sent, without its end.
fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let clock = Clock::new();
    let until = clock.now() + PATIENCE;
    let (mut line, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.since(clock.now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut buffer)?;
        let end = buffer[..count].iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&buffer[..end.unwrap_or(count)]);
        if line.len() > REQUEST_BYTES {
            return Err(io::Error::other("the request is too long"));
        }
        if end.is_some() || count == 0 {
            return String::from_utf8(line).map_err(io::Error::other);
        }
    }
}

fn set_log_level(level: &str) -> Answer {
    match level.parse::<LevelFilter>() {
        Ok(level) if level != LevelFilter::Off => {
            log::set_max_level(level);
            Answer::Log(level.as_str().to_ascii_lowercase())
        }
        _ => Answer::Error(format!(
            "the log level cannot be \"{level}\": it takes error, warn, info, debug or trace"
        )),
    }
}
