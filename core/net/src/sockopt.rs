//! Integer socket options that socket2 does not offer.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void, socklen_t};

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
