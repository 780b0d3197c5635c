//! Socket options that socket2 does not offer: integers, and packet filters.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, sock_filter, sock_fprog, socklen_t};
use pcap::BpfInstruction;

const _: () = assert!(
    size_of::<BpfInstruction>() == size_of::<sock_filter>()
        && align_of::<BpfInstruction>() == align_of::<sock_filter>()
);

/// Sets the option `name` of `level` to `value`.
///
/// # Errors
/// What the kernel answered.
pub(crate) fn set_int(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `fd` is borrowed, and the kernel reads exactly the
    // `size_of::<c_int>()` bytes of `value`, which lives until the call returns.
    let status = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The value of the option `name` of `level`.
///
/// # Errors
/// What the kernel answered.
pub(crate) fn int(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as socklen_t;
    // SAFETY: the descriptor is open for as long as `fd` is borrowed; the kernel writes at most `len` bytes, the
    // size of `value`, and the length into `len`; both live until the call returns.
    let status = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast::<c_void>(), &raw mut len)
    };
    if status == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Replaces the packet filter of a socket by `program`. In one step: no packet meets neither the old filter nor the
/// new one.
///
/// # Errors
/// What the kernel answered; the old filter stays.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, program: &[BpfInstruction]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let filter = program.as_ptr().cast::<sock_filter>().cast_mut();
    let program = sock_fprog { len, filter };
    // SAFETY: the descriptor is open for as long as `fd` is borrowed. The kernel reads one `sock_fprog`, and through it
    // `len` instructions: `BpfInstruction` is a transparent wrapper of libpcap's `bpf_insn`, which has the fields of
    // `sock_filter` (both are struct bpf_insn of BSD; size and alignment are checked above). Nothing is written.
    let status = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast::<c_void>(),
            size_of::<sock_fprog>() as socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
