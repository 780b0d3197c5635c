//! Several packets, one system call: a raw socket with a queue in front (sendmmsg(2)).

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::AsRawFd;

use socket2::{SockAddr, Socket};

use super::TransmitError;

/// Packets sent with one system call. More brings nothing more (`docs/decisions/0002-transmit-batching.md`).
const BATCH: usize = 64;

/// A socket and the packets queued for it, in order.
#[derive(Debug)]
pub(super) struct Batch {
    socket: Socket,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    packet: Range<usize>,
    address: SockAddr,
}

impl Batch {
    /// A queue with room for [`BATCH`] packets of `packet_len` bytes, in front of `socket`.
    pub(super) fn new(socket: Socket, packet_len: usize) -> Self {
        Self { socket, bytes: Vec::with_capacity(BATCH * packet_len), entries: Vec::with_capacity(BATCH) }
    }

    /// Whether the queue is to be sent before the next [`push`](Self::push).
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= BATCH
    }

    /// Queues a packet.
    pub(super) fn push(&mut self, packet: &[u8], address: SockAddr) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        self.entries.push(Entry { packet: start..self.bytes.len(), address });
    }

    /// Sends one packet past the queue.
    pub(super) fn send_now(&self, packet: &[u8], address: &SockAddr) -> Result<(), TransmitError> {
        match self.socket.send_to(packet, address) {
            Ok(_) => Ok(()),
            Err(error) => Err(TransmitError::from(&error)),
        }
    }

    /// Sends what is queued, in order; a packet that cannot be sent does not keep back those behind it.
    pub(super) fn send_queued(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        let mut rest = self.entries.as_slice();
        while let Some(first) = rest.first() {
            match send_many(&self.socket, &self.bytes, rest) {
                Ok(count) => rest = rest.get(count.max(1)..).unwrap_or_default(),
                Err(error) => {
                    // The kernel reports an error only for the first of a call.
                    on_lost(&self.bytes[first.packet.clone()], TransmitError::from(&error));
                    rest = &rest[1..];
                }
            }
        }
        self.entries.clear();
        self.bytes.clear();
    }
}

/// Sends the packets of `entries`, at most [`BATCH`], until the first that fails; how many went out, which is at least
/// one.
fn send_many(socket: &Socket, bytes: &[u8], entries: &[Entry]) -> io::Result<usize> {
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    for ((entry, vector), message) in entries.iter().zip(&mut vectors).zip(&mut messages) {
        let packet = &bytes[entry.packet.clone()];
        let vector =
            vector.write(libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() });
        // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
        let message = message.write(unsafe { std::mem::zeroed() });
        message.msg_hdr.msg_name = entry.address.as_ptr().cast_mut().cast();
        message.msg_hdr.msg_namelen = entry.address.len();
        message.msg_hdr.msg_iov = vector;
        message.msg_hdr.msg_iovlen = 1;
    }
    let count = entries.len().min(BATCH);
    // SAFETY: the first `count` headers are initialised. Each points to one initialised vector over bytes of `bytes`
    // and to an address in `entries`; all of them outlive the call, and the kernel writes to none but the headers.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr().cast(), count as u32, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
