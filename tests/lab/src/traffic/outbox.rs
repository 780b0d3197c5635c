//! Messages on their way into a socket: written as far as the socket takes them, cut into pieces where the plan
//! says so. No byte is kept: what a socket did not take is made again when it has room.

use std::collections::VecDeque;
use std::io::{self, Write};

use super::plan::Pieces;

/// Something whose bytes can be made from any offset.
pub(crate) trait Message {
    /// Bytes in all.
    fn size(&self) -> u64;
    /// Appends the bytes `offset..offset + count`; the range lies within the message.
    fn write(&self, offset: u64, count: usize, out: &mut Vec<u8>);
}

/// How a [`Outbox::flush`] ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flushed {
    /// Everything is written.
    Empty,
    /// The socket is full; its next readiness event is the time to go on.
    Blocked,
    /// A piece is written; go on at this time.
    Paused(u64),
}

/// Bytes made and handed to the kernel at once.
const CHUNK: usize = 64 << 10;

/// The messages a connection has yet to write.
pub(crate) struct Outbox<M> {
    queue: VecDeque<M>,
    /// Bytes of the first message that are written.
    offset: u64,
    pieces: Pieces,
    paused_until: Option<u64>,
}

impl<M: Message> Outbox<M> {
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self { queue: VecDeque::new(), offset: 0, pieces, paused_until: None }
    }

    pub(crate) fn push(&mut self, message: M) {
        self.queue.push_back(message);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes what the socket takes. `written` gets each message whose last byte is in the kernel's hands.
    ///
    /// Messages that are not cut into pieces share their writes, as a pipelining client's do.
    pub(crate) fn flush(
        &mut self,
        socket: &mut impl Write,
        now: u64,
        chunk: &mut Vec<u8>,
        mut written: impl FnMut(M),
    ) -> io::Result<Flushed> {
        if let Some(until) = self.paused_until {
            if now < until {
                return Ok(Flushed::Paused(until));
            }
            self.paused_until = None;
        }
        while !self.queue.is_empty() {
            chunk.clear();
            self.fill(chunk);
            let count = match socket.write(chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.advance(count as u64, &mut written);
            if self.pieces.gap_ms > 0 && self.offset > 0 && self.offset == self.piece_start() {
                let until = now + self.pieces.gap_ms * 1000;
                self.paused_until = Some(until);
                return Ok(Flushed::Paused(until));
            }
        }
        Ok(Flushed::Empty)
    }

    /// The next bytes to write, at most a chunk and not past the end of a piece.
    fn fill(&self, chunk: &mut Vec<u8>) {
        let mut offset = self.offset;
        for message in &self.queue {
            let end = self.piece_end(message, offset).min(offset + (CHUNK - chunk.len()) as u64);
            message.write(offset, (end - offset) as usize, chunk);
            offset = 0;
            if self.pieces.count > 1 || chunk.len() == CHUNK {
                return;
            }
        }
    }

    fn advance(&mut self, count: u64, written: &mut impl FnMut(M)) {
        self.offset += count;
        while let Some(size) = self.queue.front().map(Message::size)
            && self.offset >= size
        {
            self.offset -= size;
            self.queue.pop_front().map(&mut *written);
        }
    }

    /// Where the piece that holds the byte at `offset` ends.
    fn piece_end(&self, message: &M, offset: u64) -> u64 {
        let (size, count) = (message.size(), u64::from(self.pieces.count));
        (1..=count).map(|piece| size * piece / count).find(|&end| end > offset).unwrap_or(size)
    }

    /// Where the piece that holds the next byte of the first message starts.
    fn piece_start(&self) -> u64 {
        let Some(message) = self.queue.front() else {
            return 0;
        };
        let (size, count) = (message.size(), u64::from(self.pieces.count));
        (0..count).rev().map(|piece| size * piece / count).find(|&start| start <= self.offset).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text(&'static [u8]);

    impl Message for Text {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn write(&self, offset: u64, count: usize, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0[offset as usize..offset as usize + count]);
        }
    }

    /// Takes `room` bytes, then blocks.
    struct Socket {
        writes: Vec<Vec<u8>>,
        room: usize,
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.writes.push(bytes[..count].to_vec());
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn outbox(pieces: Pieces, messages: &[&'static [u8]]) -> Outbox<Text> {
        let mut outbox = Outbox::new(pieces);
        messages.iter().for_each(|&message| outbox.push(Text(message)));
        outbox
    }

    #[test]
    fn whole_messages_share_a_write() {
        let mut outbox = outbox(Pieces::default(), &[b"one", b"two"]);
        let mut socket = Socket { writes: Vec::new(), room: 100 };
        let mut written = 0;
        let flushed = outbox.flush(&mut socket, 0, &mut Vec::new(), |_| written += 1).unwrap();
        assert_eq!((flushed, written), (Flushed::Empty, 2));
        assert_eq!(socket.writes, [b"onetwo"]);
    }

    #[test]
    fn pieces_are_written_apart_with_their_gap() {
        let mut outbox = outbox(Pieces { count: 3, gap_ms: 2 }, &[b"abcdefg", b"xyz"]);
        let mut socket = Socket { writes: Vec::new(), room: 100 };
        let mut now = 0;
        let mut pauses = 0;
        while let Flushed::Paused(until) = outbox.flush(&mut socket, now, &mut Vec::new(), |_| ()).unwrap() {
            assert_eq!(until, now + 2000);
            now = until;
            pauses += 1;
        }
        let expected: [&[u8]; 6] = [b"ab", b"cd", b"efg", b"x", b"y", b"z"];
        assert_eq!(socket.writes, expected);
        assert_eq!(pauses, 4, "between pieces, not between messages");
    }

    #[test]
    fn a_full_socket_is_resumed_where_it_stopped() {
        let mut outbox = outbox(Pieces::default(), &[b"abcdefg", b"xyz"]);
        let mut socket = Socket { writes: Vec::new(), room: 4 };
        let mut written = Vec::new();
        let mut flush = |socket: &mut Socket| {
            outbox.flush(socket, 0, &mut Vec::new(), |message| written.push(message.0)).unwrap()
        };
        assert_eq!(flush(&mut socket), Flushed::Blocked);
        socket.room = 100;
        assert_eq!(flush(&mut socket), Flushed::Empty);
        assert_eq!(socket.writes.concat(), b"abcdefgxyz");
        assert_eq!(written, [b"abcdefg".as_slice(), b"xyz"]);
    }
}
