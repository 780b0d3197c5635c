//! Several packets, one system call: a socket with a queue in front (sendmmsg(2)).

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use socket2::{SockAddr, Socket};

use super::TransmitError;
use crate::sockopt;

/// Packets sent with one system call. More brings nothing more (`docs/decisions/0002-transmit-batching.md`).
const BATCH: usize = 64;

/// Packets up to this length are queued: the least MTU of IPv6.
const QUEUED_LEN: usize = 1280;

/// Losses remembered between two flushes.
const MAX_LOST: usize = 1024;

/// Room for packets on their way to the device, in bytes; the system may grant less (`net.core.wmem_max`).
const SEND_BUFFER_BYTES: i32 = 8 << 20;

/// A socket and the packets queued for it, in order.
///
/// Packets up to 1280 bytes are queued and sent many at a time; longer ones go out at once, behind what is queued. So an
/// error that the sender must act upon, [`TransmitError::MessageTooLong`], is the answer of `send` itself: no path that
/// carries IPv6 takes less than 1280 bytes (RFC 8200 §5), nor any usual one that carries IPv4.
#[derive(Debug)]
pub(super) struct Batch {
    socket: Socket,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Packets lost from the queue since the last flush.
    lost: Vec<(Box<[u8]>, TransmitError)>,
}

#[derive(Debug)]
struct Entry {
    /// All that is handed to the socket.
    frame: Range<usize>,
    /// Of that, what comes before the IP packet.
    link_header_len: usize,
    address: SockAddr,
}

impl Entry {
    fn packet<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.frame.start + self.link_header_len..self.frame.end]
    }
}

impl Batch {
    /// An empty queue in front of `socket`, which gets as large a send buffer as the system grants.
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        // Past the system's limit where we may, up to it elsewhere.
        let set = |name| sockopt::set_int(socket.as_fd(), libc::SOL_SOCKET, name, SEND_BUFFER_BYTES);
        set(libc::SO_SNDBUFFORCE).or_else(|_| set(libc::SO_SNDBUF))?;
        let bytes = Vec::with_capacity(BATCH * QUEUED_LEN);
        Ok(Self { socket, bytes, entries: Vec::with_capacity(BATCH), lost: Vec::new() })
    }

    /// Sends or queues `packet` behind `link_header`.
    pub(super) fn send(
        &mut self,
        link_header: &[u8],
        packet: &[u8],
        address: &SockAddr,
    ) -> Result<(), TransmitError> {
        // With too many losses to remember it stops to queue, and answers for each packet at once.
        let queue = packet.len() <= QUEUED_LEN && self.lost.len() < MAX_LOST;
        if !queue || self.entries.len() >= BATCH {
            let mut lost = std::mem::take(&mut self.lost);
            self.send_queued(&mut |packet, error| lost.push((packet.into(), error)));
            self.lost = lost;
        }
        self.push(link_header, packet, address);
        let mut answer = Ok(());
        if !queue {
            self.send_queued(&mut |_, error| answer = Err(error));
        }
        answer
    }

    /// Sends what is queued; every packet that was lost since the last time goes to `on_lost`.
    pub(super) fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        for (packet, error) in self.lost.drain(..) {
            on_lost(&packet, error);
        }
        self.send_queued(on_lost);
    }

    fn push(&mut self, link_header: &[u8], packet: &[u8], address: &SockAddr) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(link_header);
        self.bytes.extend_from_slice(packet);
        self.entries.push(Entry {
            frame: start..self.bytes.len(),
            link_header_len: link_header.len(),
            address: address.clone(),
        });
    }

    /// Sends what is queued, in order; a packet that cannot be sent does not keep back those behind it.
    fn send_queued(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        let mut rest = self.entries.as_slice();
        while let Some(first) = rest.first() {
            match send_many(&self.socket, &self.bytes, rest) {
                Ok(count) => rest = rest.get(count.max(1)..).unwrap_or_default(),
                Err(error) => {
                    // The kernel reports an error only for the first of a call.
                    on_lost(first.packet(&self.bytes), TransmitError::from(&error));
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
        let frame = &bytes[entry.frame.clone()];
        let vector =
            vector.write(libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() });
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
