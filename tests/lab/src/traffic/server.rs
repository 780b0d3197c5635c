//! The server: one event loop that checks tagged requests to the byte, keeps account of them and answers as its
//! plan says.

mod connection;
mod inbox;
mod record;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slotmap::{DefaultKey, Key, KeyData, SlotMap};

use self::connection::{Connection, Desk, Step, Wake};
pub use self::record::{
    Alteration, Arrival, Incomplete, ServerConnection, ServerConnectionEnd, ServerRecord,
};
use super::clock::{cpu_us, monotonic_us, until};
use super::plan::ServerPlan;
use super::sockets;

/// Carries out `plan` until `stop` becomes readable (or its other end closes); `ready` is called once connections
/// are accepted.
///
/// What has arrived by then is still read and recorded.
///
/// # Errors
/// `InvalidInput` when the plan cannot be carried out as written; otherwise those of the listening sockets and the
/// event loop. What happens to a connection is never an error here: it is in the record.
pub fn run_server(plan: ServerPlan, ready: impl FnOnce(), stop: impl AsFd) -> io::Result<ServerRecord> {
    let server = Server::bind(plan)?;
    ready();
    server.run(stop)
}

const STOP: Token = Token(usize::MAX);
/// Connections have the tokens their keys make, which are above all 32-bit numbers: those are the listeners'.
const FIRST_CONNECTION: usize = 1 << 32;
/// Wait before the next accept when this process has no files left.
const ACCEPT_RETRY_US: u64 = 10_000;
/// How long what has already arrived may take to be read after the stop.
const LAST_READING_US: u64 = 1_000_000;

/// A server that listens.
pub struct Server {
    poll: Poll,
    listeners: Vec<TcpListener>,
    connections: SlotMap<DefaultKey, Connection>,
    desk: Desk,
    cpu_before: u64,
}

impl Server {
    /// Listens at the plan's addresses; connections wait in the kernel until [`Self::run`].
    ///
    /// # Errors
    /// As [`run_server`].
    pub fn bind(plan: ServerPlan) -> io::Result<Self> {
        plan.check()?;
        sockets::raise_file_limit();
        let poll = Poll::new()?;
        let mut desk = Desk::new(plan);
        let mut listeners = Vec::new();
        for &address in &desk.plan.listen {
            let mut listener = sockets::listen(address, &desk.plan).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"))
            })?;
            poll.registry().register(&mut listener, Token(listeners.len()), Interest::READABLE)?;
            desk.record.listened.push(listener.local_addr()?);
            listeners.push(listener);
        }
        desk.now = monotonic_us();
        desk.record.started_at = desk.now;
        Ok(Self { poll, listeners, connections: SlotMap::new(), desk, cpu_before: cpu_us() })
    }

    /// Where it listens, with the ports that the kernel chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.desk.record.listened
    }

    /// Serves until `stop` becomes readable or its other end closes.
    ///
    /// # Errors
    /// Those of the event loop. `stop` must be a pipe, socket, terminal or eventfd: files cannot be waited for.
    pub fn run(mut self, stop: impl AsFd) -> io::Result<ServerRecord> {
        let stop_fd = stop.as_fd().as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&stop_fd), STOP, Interest::READABLE)?;
        let mut events = Events::with_capacity(1024);
        let mut stops_by = None;
        loop {
            let timeout = match stops_by {
                Some(_) => Some(Duration::ZERO),
                None => self.desk.timers.next_at().map(|at| until(at, self.desk.now)),
            };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            self.desk.now = monotonic_us();
            if let Some(stops_by) = stops_by
                && (events.is_empty() || self.desk.now >= stops_by)
            {
                break;
            }
            for event in &events {
                match event.token() {
                    STOP => stops_by = Some(self.desk.now + LAST_READING_US),
                    Token(listener) if listener < FIRST_CONNECTION => self.handle_knock(listener)?,
                    _ => self.handle_event(event),
                }
            }
            self.wake()?;
        }
        Ok(self.into_record())
    }

    fn into_record(mut self) -> ServerRecord {
        for (_, connection) in self.connections.drain() {
            connection.settle(ServerConnectionEnd::Stopped, &mut self.desk);
        }
        let mut record = self.desk.record;
        record.ended_at = self.desk.now;
        record.cpu_us = cpu_us() - self.cpu_before;
        record
    }

    fn wake(&mut self) -> io::Result<()> {
        while let Some(wake) = self.desk.timers.pop_due(self.desk.now) {
            match wake {
                Wake::Accept(listener) => self.accept(listener)?,
                Wake::Speak(key) => self.step(key, |connection, desk| connection.speak_more(key, desk)),
                Wake::Read(key) => self.step(key, |connection, desk| connection.read_more(key, desk)),
            }
        }
        Ok(())
    }

    fn handle_event(&mut self, event: &Event) {
        let key = DefaultKey::from(KeyData::from_ffi(event.token().0 as u64));
        let end_is_near = event.is_read_closed() || event.is_error();
        let readable = event.is_readable() || end_is_near;
        self.desk.now = monotonic_us();
        self.step(key, |connection, desk| connection.advance(key, readable, end_is_near, desk));
    }

    fn step(&mut self, key: DefaultKey, step: impl FnOnce(&mut Connection, &mut Desk) -> Step) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if let Err(end) = step(connection, &mut self.desk) {
            connection.settle(end, &mut self.desk);
            self.connections.remove(key);
        }
    }

    /// Somebody connected to a listener: accepts at once, or when the plan's delay is over.
    fn handle_knock(&mut self, listener: usize) -> io::Result<()> {
        match self.desk.plan.accept_delay_ms {
            0 => self.accept(listener),
            delay_ms => {
                self.desk.timers.arm(self.desk.now + delay_ms * 1000, Wake::Accept(listener));
                Ok(())
            }
        }
    }

    fn accept(&mut self, listener: usize) -> io::Result<()> {
        loop {
            let (socket, peer) = match self.listeners[listener].accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if sockets::out_of_files(&error) => {
                    self.desk.record.unaccepted += 1;
                    self.desk.timers.arm(self.desk.now + ACCEPT_RETRY_US, Wake::Accept(listener));
                    return Ok(());
                }
                // accept(2): what is already wrong with the next connection is reported here, and concerns only it.
                Err(_) => continue,
            };
            self.open(socket, peer)?;
        }
    }

    fn open(&mut self, socket: mio::net::TcpStream, peer: SocketAddr) -> io::Result<()> {
        let desk = &mut self.desk;
        let row = desk.record.connections.len();
        desk.record.connections.push(ServerConnection {
            peer,
            opened_at: desk.now,
            ended_at: desk.now,
            requests: 0,
            discarded: 0,
            end: ServerConnectionEnd::Stopped,
        });
        desk.open += 1;
        desk.record.peak_open = desk.record.peak_open.max(desk.open);
        let key = self.connections.insert(Connection::new(row, socket, desk));
        let token = Token(key.data().as_ffi() as usize);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(self.connections[key].socket(), token, both)?;
        if self.desk.plan.greeting.is_some() {
            self.step(key, |connection, desk| connection.speak_more(key, desk));
        }
        Ok(())
    }
}
