//! Sends through raw IP sockets with our own IP header (raw(7), ipv6(7)).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use super::batch::Batch;
use super::destination::destination_address;
use super::{Sink, TransmitError, TransmitOpenError};
use crate::sockopt;

/// Socket options as level, name and value.
///
/// The header is ours. Packets above the path's MTU are refused instead of fragmented. Without `RECVERR` the kernel
/// hides from a raw socket that a queue dropped its packet; what that option puts into the error queue is bounded by
/// the receive buffer, and nobody needs to read it.
const IPV4_OPTIONS: [(i32, i32, i32); 3] = [
    (libc::IPPROTO_IP, libc::IP_HDRINCL, 1),
    (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
    (libc::IPPROTO_IP, libc::IP_RECVERR, 1),
];
const IPV6_OPTIONS: [(i32, i32, i32); 3] = [
    (libc::IPPROTO_IPV6, libc::IPV6_HDRINCL, 1),
    (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
];

/// Sends IP packets, with any source address, the way the machine's routing table says.
///
/// Short packets are queued and sent many at a time, which saves a fifth of the CPU
/// (`docs/decisions/0002-transmit-batching.md`).
///
/// Non-blocking. The kernel fills in the IPv4 header checksum and total length; a packet above the MTU of its route
/// is refused, never fragmented, provided don't-fragment is set.
#[derive(Debug)]
pub struct RawIpSink {
    v4: Batch,
    /// `None` on machines without IPv6.
    v6: Option<Batch>,
}

impl RawIpSink {
    /// Opens the sockets. IPv6 being switched off is no error; IPv6 packets are then
    /// [`TransmitError::Unreachable`].
    ///
    /// # Errors
    /// [`TransmitOpenError`] when even IPv4 is not possible.
    pub fn open() -> Result<Self, TransmitOpenError> {
        let v4 = raw_socket(Domain::IPV4, &IPV4_OPTIONS)?;
        let v6 = match raw_socket(Domain::IPV6, &IPV6_OPTIONS) {
            Ok(socket) => Some(Batch::new(socket)?),
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                log::info!("this machine has no IPv6; IPv6 targets are unreachable");
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { v4: Batch::new(v4)?, v6 })
    }
}

impl Sink for RawIpSink {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError> {
        let address = destination_address(packet).ok_or(TransmitError::Malformed)?;
        let batch = match address {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => self.v6.as_mut().ok_or(TransmitError::Unreachable)?,
        };
        // The kernel routes by this address, not by the header's; the port must be zero or the protocol.
        batch.send(&[], packet, &SockAddr::from(SocketAddr::new(address, 0)))
    }

    fn flush(&mut self, on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        self.v4.flush(on_lost);
        if let Some(v6) = &mut self.v6 {
            v6.flush(on_lost);
        }
    }
}

/// A non-blocking raw socket that sends and never receives.
fn raw_socket(domain: Domain, options: &[(i32, i32, i32)]) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_nonblocking(true)?;
    for (level, name, value) in options {
        sockopt::set_int(socket.as_fd(), *level, *name, *value)?;
    }
    // Packets of protocol 255 would be delivered to it: keep none.
    socket.attach_filter(&[SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0)])?;
    sockopt::set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 0)?;
    Ok(socket)
}
