//! A non-blocking byte stream between two state machines: as much as the socket takes, as much as it has.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt};

/// Bytes asked for at once.
pub(crate) const READ_BYTES: usize = 256 << 10;
/// Reads from one socket before others get their turn.
const READS: usize = 8;

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing more for now: an event will tell.
    Drained,
    /// There may be more, and no event will tell.
    More,
    /// The other side has closed.
    Closed,
}

/// Reads what is there, a fair share at the most, and hands it to `on_bytes`.
pub(crate) fn read_some<E>(
    socket: &mut impl Read,
    buffer: &mut [u8],
    mut on_bytes: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Outcome, ReadError<E>> {
    for _ in 0..READS {
        match socket.read(buffer) {
            Ok(0) => return Ok(Outcome::Closed),
            Ok(count) => on_bytes(&buffer[..count]).map_err(ReadError::Protocol)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Outcome::Drained),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Socket(error)),
        }
    }
    Ok(Outcome::More)
}

/// Why a read failed: the socket, or what came out of it.
pub(crate) enum ReadError<E> {
    Socket(io::Error),
    Protocol(E),
}

/// Writes one offer; how much the socket took, zero when it takes no more for now.
pub(crate) fn write_some(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sets up a connection of a feed: nothing waits for more to send, and a host that is gone is noticed although a C tool
/// sends no heartbeats. Where the system refuses that, it only costs time.
pub(crate) fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = setsockopt(socket, sockopt::KeepAlive, &true);
    let _ = setsockopt(socket, sockopt::TcpKeepIdle, &10);
    let _ = setsockopt(socket, sockopt::TcpKeepInterval, &5);
    let _ = setsockopt(socket, sockopt::TcpUserTimeout, &30_000);
}

/// A number nobody outside can guess.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
