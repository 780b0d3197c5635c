//! What the kernel tells of this host in files of /proc: rights, forwarding, filters, counters, connections.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use tcpcopy_wire::Endpoint;

/// Which rights this process has (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// CAP_NET_RAW: capture, and packets with foreign source addresses.
    pub net_raw: bool,
    /// CAP_NET_ADMIN.
    pub net_admin: bool,
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
/// An open connection, as /proc/net/tcp numbers states.
const ESTABLISHED: &str = "01";

/// The rights in effect; none where that cannot be read.
#[must_use]
pub fn capabilities() -> Capabilities {
    capabilities_in(&read("/proc/self/status"))
}

/// Whether this host forwards packets for others, of IPv4 or IPv6, on any of its devices; `None` where that cannot be read.
#[must_use]
pub fn forwards(v4: bool) -> Option<bool> {
    let folder = if v4 { "/proc/sys/net/ipv4/conf" } else { "/proc/sys/net/ipv6/conf" };
    let devices = fs::read_dir(folder).ok()?.flatten();
    let values = devices.filter(|device| !matches!(device.file_name().to_str(), Some("lo" | "default")));
    let read = values.map(|device| number(&device.path().join("forwarding")));
    read.collect::<Option<Vec<u64>>>().map(|values| values.iter().any(|value| *value != 0))
}

/// Packets that this host has forwarded so far.
#[must_use]
pub fn forwarded() -> u64 {
    let v4 = counter(&read("/proc/self/net/snmp"), "Ip:", "ForwDatagrams");
    let v6 = read("/proc/self/net/snmp6");
    let v6 = v6.lines().find_map(|line| line.strip_prefix("Ip6OutForwDatagrams"));
    v4.unwrap_or(0) + v6.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Packets that the reverse path filter has dropped so far.
#[must_use]
pub fn reverse_path_dropped() -> u64 {
    counter(&read("/proc/self/net/netstat"), "TcpExt:", "IPReversePathFilter").unwrap_or(0)
}

/// Who is connected to one of this host's ports right now, from elsewhere.
#[must_use]
pub fn online_users(port: u16) -> Vec<Endpoint> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(read);
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let users = lines.filter_map(|line| user(line, port));
    users.filter(|user| !user.addr.is_loopback()).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn capabilities_in(status: &str) -> Capabilities {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let has = |capability: u32| bits >> capability & 1 == 1;
    Capabilities { net_raw: has(CAP_NET_RAW), net_admin: has(CAP_NET_ADMIN) }
}

/// The value under `name` of the two lines, names and values, that begin with `row`.
fn counter(table: &str, row: &str, name: &str) -> Option<u64> {
    let mut rows = table.lines().filter(|line| line.starts_with(row)).map(str::split_ascii_whitespace);
    let (names, values) = (rows.next()?, rows.next()?);
    names.zip(values).find(|(known, _)| *known == name)?.1.parse().ok()
}

/// The other end of the connection in a line of /proc/net/tcp, if it is one to `port`.
fn user(line: &str, port: u16) -> Option<Endpoint> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let is_ours = end(local)?.port == port && state == ESTABLISHED;
    end(remote).filter(|_| is_ours)
}

/// An end as /proc/net/tcp has it: the address in words of four bytes as this machine keeps them, and the port.
fn end(hex: &str) -> Option<Endpoint> {
    let (addr, port) = hex.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(addr.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let addr = match addr.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let octets = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some(Endpoint::new(addr, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_bits_of_a_mask() {
        let of = |mask: &str| capabilities_in(&format!("Name:\tx\nCapEff:\t{mask}\n"));
        assert_eq!(of("000001ffffffffff"), Capabilities { net_raw: true, net_admin: true });
        assert_eq!(of("0000000000002000"), Capabilities { net_raw: true, net_admin: false });
        assert_eq!(of("0000000000000000"), Capabilities::default());
        assert_eq!(capabilities_in(""), Capabilities::default());
    }

    #[test]
    fn counters_stand_under_their_names() {
        let table = "Ip: Forwarding ForwDatagrams\nIp: 1 42\nTcp: RtoMin\nTcp: 200\n";
        assert_eq!(counter(table, "Ip:", "ForwDatagrams"), Some(42));
        assert_eq!(counter(table, "Ip:", "InReceives"), None);
        assert_eq!(counter("", "Ip:", "ForwDatagrams"), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn users_are_those_connected_to_the_port() {
        let line = |local, remote, state| format!("  0: {local} {remote} {state} 00000000:00000000 00:0 0 0");
        let open = line("0201000A:0050", "0700000A:A000", "01");
        let expected = Endpoint::new([10, 0, 0, 7].into(), 0xa000);
        assert_eq!(user(&open, 80), Some(expected));
        assert_eq!(user(&open, 81), None);
        assert_eq!(user(&line("0201000A:0050", "0700000A:A000", "06"), 80), None);
        let mapped =
            line("0000000000000000FFFF00000201000A:0050", "0000000000000000FFFF00000700000A:A000", "01");
        assert_eq!(user(&mapped, 80), Some(expected));
    }

    #[test]
    fn this_host_is_read() {
        assert!(forwards(true).is_some());
    }
}
