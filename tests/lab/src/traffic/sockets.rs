//! The sockets of users and servers, with the options each plan asks for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::plan::ServerPlan;

/// Begins a connection from `source` (port 0: the kernel's choice) to `target`; it is not established yet.
pub(crate) fn dial(
    source: Option<SocketAddr>,
    target: SocketAddr,
    receive_buffer: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = stream_socket(target)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size as usize)?;
    }
    if let Some(source) = source {
        if source.port() == 0 {
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        } else {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&source.into()).map_err(|error| not_ours(error, source))?;
    }
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// A listener whose connections inherit the plan's receive buffer and have no Nagle delay.
pub(crate) fn listen(address: SocketAddr, plan: &ServerPlan) -> io::Result<TcpListener> {
    let socket = stream_socket(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(plan.reuse_port)?;
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if let Some(size) = plan.reading.receive_buffer {
        // Before listen(): the window offered in the SYN-ACK follows from it.
        socket.set_recv_buffer_size(size as usize)?;
    }
    socket.bind(&address.into())?;
    socket.listen(plan.backlog.min(i32::MAX as u32) as i32)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Closing `stream` will now send a reset, and forget what is unsent.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    // Fails only on a socket that is already dead, which needs no reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Lets this process open as many files as its hard limit allows.
pub(crate) fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Raising to the hard limit needs no right; should it fail, running out of files is reported when it happens.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Whether `error` says that this process may open no more files.
pub(crate) fn out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(nix::libc::EMFILE | nix::libc::ENFILE))
}

/// An address that no interface has stays unavailable, unlike a port that is in use.
fn not_ours(error: io::Error, source: SocketAddr) -> io::Error {
    if error.raw_os_error() != Some(nix::libc::EADDRNOTAVAIL) {
        return error;
    }
    let sentence =
        format!("no interface here has the source address {}: add it, or a local route to it", source.ip());
    io::Error::new(io::ErrorKind::InvalidInput, sentence)
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    Ok(socket)
}
