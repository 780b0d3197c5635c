//! The address plan: who lives where, and the `ip` commands that make it so.
//!
//! ```text
//! client 10.10.1.1 ──users── 10.10.1.2 online 10.10.2.1 ──copy── 10.10.2.2 target
//! (10.20.0.0/16)                       10.10.4.1                 10.10.3.2
//!                                          │ feed                    │ response
//!                                      10.10.4.3 assistant ───── 10.10.3.3
//! ```
//!
//! The target answers the users, and clients from 10.30/16, over the assistant; those from 10.40/16 over the online host.
//!
//! IPv6 follows the same numbers: 10.10.H.x is fd00:10:H::x, 10.20/16 is fd00:20::/64, 10.30/16 is fd00:30::/64.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::scenario::Frames;
use crate::world::hop::Hop;
use crate::world::host::{HostName, ip, run_tool};

/// The online server, as the users know it.
pub const ONLINE: Ipv4Addr = Ipv4Addr::new(10, 10, 1, 2);
/// The online server over IPv6.
pub const ONLINE_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 1, 0, 0, 0, 0, 2);
/// The target server.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(10, 10, 3, 2);
/// The target server over IPv6.
pub const TARGET_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 3, 0, 0, 0, 0, 2);
/// Where intercept listens.
pub const ASSISTANT: Ipv4Addr = Ipv4Addr::new(10, 10, 3, 3);
/// The online host as a neighbour of the target.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 10, 2, 1);
/// The first user's address; users live in 10.20.0.0/16.
pub const FIRST_USER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
/// The first user's IPv6 address; users live in fd00:20::/64.
pub const FIRST_USER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 1);
/// The port both servers listen on.
pub const PORT: u16 = 8080;

/// One end of a hop as the plan numbers it.
struct End {
    host: HostName,
    mac: String,
    v4: String,
    v6: String,
}

/// The two ends of a hop. Last parts: 1 client or online's own side, 2 online to its users or target, 3 assistant.
fn ends(hop: Hop) -> [End; 2] {
    let [first, second] = hop.ends();
    let (network, parts) = match hop {
        Hop::Users => (1, [1, 2]),
        Hop::Copy => (2, [1, 2]),
        Hop::Response => (3, [2, 3]),
        Hop::Feed => (4, [3, 1]),
    };
    let end = |host, part| End {
        host,
        mac: format!("02:00:00:00:{network:02x}:{part:02x}"),
        v4: format!("10.10.{network}.{part}"),
        v6: format!("fd00:10:{network}::{part}"),
    };
    [end(first, parts[0]), end(second, parts[1])]
}

/// The device of a wire that faces the hop's first (`a`) or second (`b`) host.
pub(crate) fn wire_device(hop: Hop, side: char) -> String {
    format!("{hop}-{side}")
}

/// Makes the link of a hop: a veth pair between the two hosts, or two pairs that end in the wire namespace.
pub(crate) fn connect(hop: Hop, impaired: bool) -> Result<()> {
    let [a, b] = ends(hop);
    if !impaired {
        let pair = format!(
            "link add {hop} address {} type veth peer name {hop} address {} netns {}",
            a.mac, b.mac, b.host
        );
        return ip(&["-n", a.host.as_str(), "-batch", "-"], &pair);
    }
    for (end, side) in [(a, 'a'), (b, 'b')] {
        let inner = wire_device(hop, side);
        let pair = format!("link add {hop} address {} type veth peer name {inner} netns wire", end.mac);
        ip(&["-n", end.host.as_str(), "-batch", "-"], &pair)?;
        ip(&["-n", "wire", "link", "set", &inner, "up"], "")?;
        without_offloads(end.host, hop)?;
    }
    Ok(())
}

/// A wire forwards frames as they are, so they must leave the host whole: no larger than the MTU, with their
/// checksums filled in.
fn without_offloads(host: HostName, hop: Hop) -> Result<()> {
    let features = ["tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off"];
    let namespace = format!("--net=/run/netns/{host}");
    let mut arguments = vec![namespace.as_str(), "ethtool", "-K", hop.as_str()];
    arguments.extend(features);
    run_tool("nsenter", &arguments, "")
}

/// The link-layer addresses of a hop's two ends.
pub(crate) fn macs(hop: Hop) -> [String; 2] {
    ends(hop).map(|end| end.mac)
}

/// Takes from the online host what frames to the target have to do without.
pub(crate) fn prepare_for_frames(frames: Frames) -> Result<()> {
    let [_, target] = ends(Hop::Copy);
    let mut batch = String::new();
    match frames {
        Frames::Given => {
            writeln!(batch, "route del {TARGET}/32")?;
            writeln!(batch, "route del {TARGET_V6}/128")?;
        }
        Frames::Resolved => {
            writeln!(batch, "neigh del {} dev {}", target.v4, Hop::Copy)?;
            writeln!(batch, "neigh del {} dev {}", target.v6, Hop::Copy)?;
        }
    }
    ip(&["-n", HostName::Online.as_str(), "-batch", "-"], &batch)
}

/// Gives a host its addresses, neighbours and routes, after all its hops are connected.
///
/// Neighbours are permanent: a lossy hop must lose the traffic under test, not address resolution.
pub(crate) fn address(host: HostName) -> Result<()> {
    let mut batch = String::new();
    for hop in Hop::ALL {
        let [first, second] = ends(hop);
        let (own, other) = if first.host == host {
            (first, second)
        } else if second.host == host {
            (second, first)
        } else {
            continue;
        };
        writeln!(batch, "addr add {}/24 dev {hop}", own.v4)?;
        writeln!(batch, "addr add {}/64 dev {hop} nodad", own.v6)?;
        writeln!(batch, "link set {hop} up")?;
        writeln!(batch, "neigh add {} lladdr {} dev {hop} nud permanent", other.v4, other.mac)?;
        writeln!(batch, "neigh add {} lladdr {} dev {hop} nud permanent", other.v6, other.mac)?;
    }
    for route in routes(host) {
        writeln!(batch, "route add {route}")?;
    }
    ip(&["-n", host.as_str(), "-batch", "-"], &batch)
}

/// The routes beyond the connected networks. The target sends the users' and the `-c` addresses to the assistant,
/// which has no use for them and forwards nothing.
fn routes(host: HostName) -> &'static [&'static str] {
    match host {
        HostName::Client => &["local 10.20.0.0/16 dev lo", "local fd00:20::/64 dev lo"],
        HostName::Online => &[
            "10.20.0.0/16 via 10.10.1.1 dev users",
            "10.10.3.2/32 via 10.10.2.2 dev copy",
            "10.10.3.3/32 via 10.10.4.3 dev feed",
            "fd00:20::/64 via fd00:10:1::1 dev users",
            "fd00:10:3::2/128 via fd00:10:2::2 dev copy",
            "fd00:10:3::3/128 via fd00:10:4::3 dev feed",
        ],
        HostName::Target => &[
            "10.20.0.0/16 via 10.10.3.3 dev response",
            "10.30.0.0/16 via 10.10.3.3 dev response",
            "10.40.0.0/16 via 10.10.2.1 dev copy",
            "fd00:20::/64 via fd00:10:3::3 dev response",
            "fd00:30::/64 via fd00:10:3::3 dev response",
        ],
        HostName::Assistant | HostName::Wire => &[],
    }
}
