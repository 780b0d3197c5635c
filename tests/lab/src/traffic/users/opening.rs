//! Opening connections: from the right address and port, as soon as that is free.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::{Interest, Token};
use slotmap::Key;

use super::super::request::RequestId;
use super::super::sockets;
use super::Crowd;
use super::connection::{Connection, Wake};
use super::record::{Failure, UserConnection, UserConnectionEnd};
use super::schedule::Tempo;

/// First wait for a source port or a file; doubles up to 64 times this.
const FIRST_WAIT_US: u64 = 500;

impl Crowd {
    /// Opens the next connection of a user.
    pub(super) fn open(&mut self, user: usize) -> io::Result<()> {
        let plan = &self.desk.record.plan;
        let index = plan.shard.user(user);
        let ordinal = self.users[user].next_connection;
        let target = plan.targets[index as usize % plan.targets.len()];
        let source = plan.sources.bind_address(index, ordinal);
        let socket = match sockets::dial(source, target, plan.reading.receive_buffer) {
            Ok(socket) => socket,
            Err(error) => return self.cope(user, &error, source.unwrap_or_else(|| unbound(target)), target),
        };
        self.users[user].waits = 0;
        let row = self.book_connection(user, socket.local_addr()?, target);
        let connection = Connection::new(user, row, socket, &self.desk.record.plan, self.desk.now);
        let key = self.connections.insert(connection);
        self.users[user].connection = Some(key);
        let token = Token(key.data().as_ffi() as usize);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut self.connections[key].socket, token, both)
    }

    /// A connection could not even be begun: waits for what it lacks, or books it as failed.
    fn cope(
        &mut self,
        user: usize,
        error: &io::Error,
        source: SocketAddr,
        target: SocketAddr,
    ) -> io::Result<()> {
        if is_port_in_use(error) {
            self.desk.record.port_waits += 1;
            self.wait(user);
        } else if sockets::out_of_files(error) {
            if self.course.tempo != Tempo::Connections || self.connections.is_empty() {
                // The plan wants more users at once than this process can have.
                return Err(too_many_files(self.connections.len()));
            }
            self.desk.record.file_waits += 1;
            self.wait(user);
        } else if error.kind() == io::ErrorKind::InvalidInput {
            return Err(io::Error::new(error.kind(), error.to_string()));
        } else {
            let row = self.book_connection(user, source, target);
            self.desk.record.connections[row].end = UserConnectionEnd::Failed(Failure::from(error));
            self.desk.tally.failed_connections += 1;
            self.release(user, true);
        }
        Ok(())
    }

    fn book_connection(&mut self, user: usize, source: SocketAddr, target: SocketAddr) -> usize {
        let record = &mut self.desk.record;
        let ordinal = self.users[user].next_connection;
        self.users[user].next_connection = (ordinal + 1) % RequestId::CONNECTIONS;
        record.connections.push(UserConnection {
            user: record.plan.first_user + record.plan.shard.user(user),
            ordinal,
            source,
            target,
            opened_at: self.desk.now,
            ended_at: self.desk.now,
            requests: 0,
            end: UserConnectionEnd::Stopped,
        });
        record.connections.len() - 1
    }

    pub(super) fn open_at(&mut self, user: usize, at: u64) {
        self.opening += 1;
        self.desk.timers.arm(at, Wake::Open(user));
    }

    fn wait(&mut self, user: usize) {
        let waits = &mut self.users[user].waits;
        let wait_us = FIRST_WAIT_US << (*waits).min(6);
        *waits += 1;
        self.open_at(user, self.desk.now + wait_us);
    }
}

/// The address of a socket that never had one.
fn unbound(target: SocketAddr) -> SocketAddr {
    let address: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(address, 0)
}

fn is_port_in_use(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse)
        // connect(2): the pair of source and target is still in TIME_WAIT, or all ephemeral ports are in use.
        || error.raw_os_error() == Some(nix::libc::EADDRNOTAVAIL)
}

fn too_many_files(open: usize) -> io::Error {
    io::Error::other(format!(
        "a users' process may open no file beyond its {open} connections: run the plan in more shards"
    ))
}
