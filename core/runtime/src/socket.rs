//! A non-blocking byte stream between two state machines: as much as the socket takes, as much as it has.

use std::io::{self, ErrorKind, Read, Write};

use mio::event::Event;
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

/// What the poll has said of a socket since it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Something can be done with it.
    pub(crate) is_ready: bool,
    /// The other side has closed: what there is ends, and no event will tell of it again.
    pub(crate) has_ended: bool,
}

impl Readiness {
    /// The poll said something more.
    pub(crate) fn mark(&mut self, event: &Event) {
        self.is_ready = true;
        self.has_ended |= event.is_read_closed();
    }
}

/// Reads what is there, a fair share at the most, and hands it to `on_bytes`.
///
/// A read that does not fill the buffer has emptied a socket that has not ended: whatever comes afterwards is another
/// event, see epoll(7). One that has ended is read up to its end.
pub(crate) fn read_some<E>(
    socket: &mut impl Read,
    has_ended: bool,
    buffer: &mut [u8],
    mut on_bytes: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Outcome, ReadError<E>> {
    for _ in 0..READS {
        match socket.read(buffer) {
            Ok(0) => return Ok(Outcome::Closed),
            Ok(count) => {
                on_bytes(&buffer[..count]).map_err(ReadError::Protocol)?;
                if count < buffer.len() && !has_ended {
                    return Ok(Outcome::Drained);
                }
            }
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A socket that has these pieces to read, and then nothing for now.
    struct Pieces {
        pieces: Vec<&'static [u8]>,
        reads: usize,
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            if self.pieces.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.pieces.remove(0).read(buffer)
        }
    }

    /// What comes of reading `pieces` with a buffer of four bytes, what was read, and by how many reads.
    fn outcome(pieces: Vec<&'static [u8]>, has_ended: bool) -> (Outcome, Vec<u8>, usize) {
        let mut socket = Pieces { pieces, reads: 0 };
        let mut seen = Vec::new();
        let outcome = read_some(&mut socket, has_ended, &mut [0; 4], |bytes| {
            seen.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        });
        let Ok(outcome) = outcome else { panic!("the socket failed") };
        (outcome, seen, socket.reads)
    }

    #[test]
    fn a_read_that_does_not_fill_the_buffer_is_the_last() {
        assert_eq!(outcome(vec![b"four", b"one"], false), (Outcome::Drained, b"fourone".to_vec(), 2));
        assert_eq!(outcome(vec![b"four"], false), (Outcome::Drained, b"four".to_vec(), 2));
    }

    #[test]
    fn one_that_has_ended_is_read_up_to_its_end() {
        assert_eq!(outcome(vec![b"one", b""], true), (Outcome::Closed, b"one".to_vec(), 2));
    }

    #[test]
    fn others_get_their_turn() {
        let (outcome, seen, reads) = outcome(vec![b"four"; READS + 1], false);
        assert_eq!((outcome, seen.len(), reads), (Outcome::More, 4 * READS, READS));
    }
}
