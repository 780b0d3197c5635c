//! Which offloads of a device make a capture see other packets than the wire does (SIOCETHTOOL, netdevice(7)).

use std::io;

use libc::{c_char, c_ulong};
use socket2::{Domain, Socket, Type};
use std::os::fd::AsRawFd;

/// Something that the device or the kernel does with many packets at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Its name as ethtool(8) prints it.
    pub name: &'static str,
    /// Whether it is on.
    pub is_on: bool,
}

/// The commands of linux/ethtool.h that tell of one offload each.
const COMMANDS: [(u32, &str); 3] = [
    (0x0000_001e, "tcp-segmentation-offload"),
    (0x0000_0023, "generic-segmentation-offload"),
    (0x0000_002b, "generic-receive-offload"),
];
/// ETHTOOL_GFLAGS, and in its answer the bit of large receive offload.
const GET_FLAGS: u32 = 0x0000_0025;
const FLAG_LRO: u32 = 1 << 15;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ifreq` as SIOCETHTOOL takes it: as long as the kernel's, whose union has 24 bytes.
#[repr(C)]
struct Request {
    name: [c_char; libc::IFNAMSIZ],
    value: *mut Value,
    rest: [u8; 24 - size_of::<*mut Value>()],
}

/// The offloads of `device` that can be told.
///
/// # Errors
/// When there is no such device.
pub fn offloads(device: &str) -> io::Result<Vec<Offload>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut known = Vec::new();
    for (command, name) in COMMANDS {
        match ask(&socket, device, command) {
            Ok(data) => known.push(Offload { name, is_on: data != 0 }),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Err(error),
            Err(_) => {}
        }
    }
    if let Ok(flags) = ask(&socket, device, GET_FLAGS) {
        known.push(Offload { name: "large-receive-offload", is_on: flags & FLAG_LRO != 0 });
    }
    Ok(known)
}

fn ask(socket: &Socket, device: &str, command: u32) -> io::Result<u32> {
    let mut value = Value { command, data: 0 };
    let mut request =
        Request { name: [0; libc::IFNAMSIZ], value: &raw mut value, rest: [0; 24 - size_of::<*mut Value>()] };
    // The last byte stays zero.
    for (to, from) in request.name[..libc::IFNAMSIZ - 1].iter_mut().zip(device.bytes()) {
        *to = from as c_char;
    }
    // SAFETY: the descriptor is open while `socket` is borrowed. The kernel reads a `struct ifreq`, of which `Request` has
    // the layout and length; the name in it ends with a zero. Through its pointer the kernel reads and writes a `struct
    // ethtool_value`, of which `Value` has the layout: that is all that the four commands above touch. Both live until
    // the call returns.
    let status =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as c_ulong as _, &raw mut request) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_offloads_and_a_device_that_is_not_there_has_none() {
        let known = offloads("lo").unwrap();
        assert!(known.iter().any(|offload| offload.name == "tcp-segmentation-offload"), "{known:?}");
        assert_eq!(offloads("no-such-device").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }
}
