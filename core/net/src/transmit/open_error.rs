//! Why packets cannot leave, one sentence each.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

/// Why there is no sink.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransmitOpenError {
    /// The process may not open raw sockets.
    #[error(
        "cannot open a raw socket: no permission; run as root or give CAP_NET_RAW (setcap cap_net_raw+ep)"
    )]
    NoPermission,
    /// Another reason.
    #[error("cannot open a raw socket: {0}")]
    System(io::Error),
    /// No device of that name.
    #[error("cannot send on {device}: there is no such device; there are {}", known.join(", "))]
    UnknownDevice {
        /// The device asked for.
        device: String,
        /// The devices there are.
        known: Vec<String>,
    },
    /// The device takes no Ethernet frames.
    #[error(
        "cannot send on {0}: it is no Ethernet device; leave -o out, and the routes say where packets go"
    )]
    NotEthernet(String),
    /// The device is down.
    #[error("cannot send on {0}: it is down; bring it up first (ip link set {0} up)")]
    DeviceDown(String),
    /// The kernel knows no way to a target.
    #[error(
        "cannot send to {target} on {device}: there is no route to it over this device; give another one with -o, or \
         name the next hop in -x, as in TARGET:PORT@02:00:5e:10:00:01"
    )]
    NoRoute {
        /// The target.
        target: IpAddr,
        /// The device asked for.
        device: String,
    },
    /// The kernel, older than Linux 5.0, tells no single neighbour.
    #[error(
        "cannot send to {target} on {device}: the kernel does not tell who is next on the way ({reason}); name the next \
         hop in -x, as in TARGET:PORT@02:00:5e:10:00:01"
    )]
    NotTold {
        /// The target.
        target: IpAddr,
        /// The device asked for.
        device: String,
        /// What the kernel says.
        reason: io::Error,
    },
    /// The link-layer address of the next hop cannot be found out.
    #[error(
        "cannot send to {target} on {device}: the link-layer address of {next_hop} is not known, and finding it out \
         takes CAP_NET_ADMIN ({reason}); give that, or name the address in -x, as in TARGET:PORT@02:00:5e:10:00:01"
    )]
    MayNotAsk {
        /// The target.
        target: IpAddr,
        /// The device asked for.
        device: String,
        /// Who is next on the way.
        next_hop: IpAddr,
        /// What the kernel says.
        reason: io::Error,
    },
}

impl From<io::Error> for TransmitOpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::NoPermission,
            _ => Self::System(error),
        }
    }
}
