//! Taking bytes from a socket: all that is there, or a few at a time.

use std::io::{self, Read};
use std::ops::ControlFlow;

use super::plan::Reading;

/// Time between two reads of a slow reader, in microseconds.
pub(crate) const SLOW_TICK_US: u64 = 20_000;

/// How a [`pull`] ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pulled {
    /// Nothing is left; the next readiness event tells of more.
    Drained,
    /// The peer sends no more.
    Closed,
    /// There may be more: read again, without an event, after [`SLOW_TICK_US`] or when the receiver wants to.
    More,
}

/// Bytes a slow reader takes per [`SLOW_TICK_US`].
pub(crate) fn allowance(reading: &Reading) -> Option<usize> {
    let per_second = reading.bytes_per_second?;
    Some((per_second.saturating_mul(SLOW_TICK_US) / 1_000_000).max(1) as usize)
}

/// Reads into `buffer` and hands each chunk to `sink`, until nothing is left, `sink` breaks or `allowance` bytes
/// were read.
///
/// A read that leaves room in the buffer has emptied the socket (epoll(7), question 9), which saves the read that
/// would say so; `end_is_near` forbids that short cut, since the end of a stream is not announced twice.
pub(crate) fn pull(
    socket: &mut impl Read,
    buffer: &mut [u8],
    allowance: Option<usize>,
    end_is_near: bool,
    mut sink: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<Pulled> {
    let room = allowance.unwrap_or(usize::MAX).min(buffer.len());
    let buffer = &mut buffer[..room];
    loop {
        let length = match socket.read(buffer) {
            Ok(0) => return Ok(Pulled::Closed),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Pulled::Drained),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if sink(&buffer[..length]).is_break() || allowance.is_some() {
            return Ok(Pulled::More);
        }
        if length < room && !end_is_near {
            return Ok(Pulled::Drained);
        }
    }
}
