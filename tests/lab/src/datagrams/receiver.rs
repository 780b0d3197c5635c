//! Receives datagrams, and notes what came from where.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use super::Print;
use crate::traffic::store;

const KIND: &str = "receiver";
/// Sockets that share an address: what comes from one end comes to one of them, and each has a buffer of its own, which
/// an ordinary user cannot enlarge.
const SOCKETS: usize = 16;
/// The longest payload there is.
const LONGEST: usize = 65_535;
/// Standard input: its end tells to stop.
const STDIN: Token = Token(usize::MAX);

/// Where a receiver listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverPlan {
    /// The addresses.
    pub listen: Vec<SocketAddr>,
}

/// What one receiver got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverRecord {
    /// Of each end that sent, and the address it sent to: what came, in order.
    pub rows: Vec<(SocketAddr, SocketAddr, Vec<Print>)>,
}

impl ReceiverRecord {
    /// Writes the record to a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        store::write(path, KIND, self)
    }

    /// Reads a record from a file.
    ///
    /// # Errors
    /// Those of the file; `InvalidData` when it holds something else.
    pub fn read_from(path: &Path) -> io::Result<Self> {
        store::read(path, KIND)
    }
}

/// Receives until standard input ends; `on_ready` is called when it listens.
///
/// # Errors
/// When it cannot listen, or cannot wait.
pub fn run_receiver(plan: &ReceiverPlan, on_ready: impl FnOnce()) -> io::Result<ReceiverRecord> {
    let mut poll = Poll::new()?;
    let mut sockets = Vec::new();
    for address in plan.listen.iter().flat_map(|address| [*address; SOCKETS]) {
        let mut socket = listen(address)?;
        poll.registry().register(&mut socket, Token(sockets.len()), Interest::READABLE)?;
        sockets.push((socket, address));
    }
    poll.registry().register(&mut SourceFd(&0), STDIN, Interest::READABLE)?;
    on_ready();
    let mut rows = Rows::default();
    let mut events = Events::with_capacity(64);
    let mut is_over = false;
    while !is_over {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        is_over = events.iter().any(|event| event.token() == STDIN) && has_ended()?;
        for (socket, address) in &sockets {
            rows.receive(socket, *address)?;
        }
    }
    Ok(ReceiverRecord { rows: rows.0.into_iter().map(|((from, to), row)| (from, to, row)).collect() })
}

fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(64 << 20)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

fn has_ended() -> io::Result<bool> {
    Ok(io::stdin().lock().read(&mut [0; 64])? == 0)
}

#[derive(Default)]
struct Rows(HashMap<(SocketAddr, SocketAddr), Vec<Print>>);

impl Rows {
    /// Takes everything that is there.
    fn receive(&mut self, socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
        let mut payload = vec![0; LONGEST];
        loop {
            match socket.recv_from(&mut payload) {
                Ok((len, from)) => {
                    self.0.entry((from, address)).or_default().push(Print::of(&payload[..len]));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
