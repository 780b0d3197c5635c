//! What /proc tells: a process's processor time and peak memory, a host's sockets and traffic.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

/// What a process has used since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time of all its threads, to one scheduler tick (usually 10 ms).
    pub cpu: Duration,
    /// The largest resident set it ever had, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    /// What this process and the one that took its place used; they never had their memory at the same time.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        Self { cpu: self.cpu + next.cpu, peak_memory: self.peak_memory.max(next.peak_memory) }
    }

    /// What this one and another process used together; memory adds up too.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, peak_memory: self.peak_memory + other.peak_memory }
    }
}

/// Usage of a running process; `None` once it is gone.
#[must_use]
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage { cpu: cpu_of(&stat)?, peak_memory: peak_of(&status)? })
}

/// utime and stime are the 14th and 15th fields of proc_pid_stat(5); the second, the name, may hold anything up
/// to the last bracket.
fn cpu_of(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    Some(Duration::from_millis((user + system) * 1000 / per_second))
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// A state of a TCP socket as the kernel numbers it in /proc/net/tcp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketState {
    /// An open connection.
    Established = 1,
    /// One that the other side has not confirmed yet.
    SynReceived = 3,
    /// A listening socket.
    Listen = 10,
}

/// How many sockets of the host the calling thread is in have this state and `port` on either end.
#[must_use]
pub fn sockets(port: u16, state: SocketState) -> usize {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")));
    tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines())
        .filter(|line| matches_socket(line, port, state))
        .count()
}

fn matches_socket(line: &str, port: u16, state: SocketState) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (Some(local), Some(remote), Some(number)) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    let has_port =
        |address: &str| address.rsplit_once(':').is_some_and(|(_, hex)| hex == format!("{port:04X}"));
    (has_port(local) || has_port(remote)) && number == format!("{:02X}", state as u8)
}

/// TCP segments the host the calling thread is in has received and sent so far (InSegs and OutSegs of RFC 4022),
/// over both IP versions.
#[must_use]
pub fn segments() -> Option<u64> {
    segments_in(&fs::read_to_string("/proc/thread-self/net/snmp").ok()?)
}

fn segments_in(snmp: &str) -> Option<u64> {
    let mut rows = snmp.lines().filter(|line| line.starts_with("Tcp:")).map(str::split_ascii_whitespace);
    let (names, values) = (rows.next()?, rows.next()?);
    let counted = names.zip(values).filter(|(name, _)| ["InSegs", "OutSegs"].contains(name));
    counted.map(|(_, value)| value.parse::<u64>().ok()).sum()
}

/// Bytes that a device of the host the calling thread is in has received so far, headers included.
#[must_use]
pub fn received(device: &str) -> Option<u64> {
    received_in(&fs::read_to_string("/proc/thread-self/net/dev").ok()?, device)
}

fn received_in(devices: &str, device: &str) -> Option<u64> {
    let mut rows = devices.lines().filter_map(|line| line.split_once(':'));
    let (_, counters) = rows.find(|(name, _)| name.trim() == device)?;
    counters.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn peak_memory_is_in_bytes() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
    }

    #[test]
    fn sockets_are_told_apart_by_port_and_state() {
        let line =
            "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1";
        assert!(matches_socket(line, 8080, SocketState::Listen));
        assert!(!matches_socket(line, 8080, SocketState::Established));
        assert!(!matches_socket(line, 8081, SocketState::Listen));
    }

    #[test]
    fn segments_of_both_directions_add_up() {
        let snmp = "Tcp: RtoMin MaxConn InSegs OutSegs\nTcp: 200 -1 30 12\nUdp: InDatagrams\nUdp: 5\n";
        assert_eq!(segments_in(snmp), Some(42));
    }

    #[test]
    fn devices_are_told_apart_by_name() {
        let devices = "Inter-|   Receive\n face |bytes    packets\n    lo:     12       3\n  feed: 4567 8\n";
        assert_eq!([received_in(devices, "lo"), received_in(devices, "feed")], [Some(12), Some(4567)]);
        assert_eq!(received_in(devices, "fee"), None);
    }

    #[test]
    fn own_process_has_used_something() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.peak_memory > 100_000);
    }
}
