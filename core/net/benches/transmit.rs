//! [`RawIpSink`] and [`EthernetSink`], flushed after so many packets, against one `sendto` per packet on a raw IP socket:
//! rate, CPU per packet, and the ratio within the run. Sends over a veth pair in a network namespace of its own.
//!
//! `cargo bench -p tcpcopy-net --bench transmit`

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#![expect(clippy::unwrap_used, reason = "a benchmark may stop at the first surprise")]

#[path = "../tests/kernel/namespace.rs"]
#[expect(dead_code, reason = "what only tests need")]
mod namespace;
#[path = "../tests/kernel/packet.rs"]
#[expect(dead_code, reason = "what only tests need")]
mod packet;
#[path = "../tests/kernel/veth.rs"]
#[expect(dead_code, reason = "what only tests need")]
mod veth;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tcpcopy_net::{EthernetOptions, EthernetSink, EthernetTarget, RawIpSink, Sink};

use packet::tcp;
use veth::{CLIENT_V4, TARGET_V4};

const PACKETS: usize = 102_400;
const ROUNDS: usize = 7;
const METHODS: [Method; 8] = [
    Method::Plain,
    Method::RawIp(1),
    Method::RawIp(4),
    Method::RawIp(16),
    Method::RawIp(64),
    Method::Ethernet(1),
    Method::Ethernet(16),
    Method::Ethernet(64),
];

/// How packets are sent.
#[derive(Clone, Copy)]
enum Method {
    /// A plain `sendto` for each.
    Plain,
    /// Through the sink, with so many between two flushes.
    RawIp(usize),
    /// The same in frames.
    Ethernet(usize),
}

impl Method {
    fn name(self) -> String {
        match self {
            Self::Plain => "sendto".to_owned(),
            Self::RawIp(every) => format!("raw IP x{every}"),
            Self::Ethernet(every) => format!("frames x{every}"),
        }
    }

    fn cost(self, packet: &[u8]) -> Cost {
        match self {
            Self::Plain => plain(packet),
            Self::RawIp(every) => batched(&mut RawIpSink::open().unwrap(), packet, every),
            Self::Ethernet(every) => batched(&mut ethernet(), packet, every),
        }
    }
}

fn main() {
    if namespace::is_inside() {
        return compare();
    }
    let Some(mut command) = namespace::this_program_inside(&[]) else {
        return eprintln!("SKIPPED: no network namespace can be made here");
    };
    assert!(command.status().unwrap().success());
}

fn compare() {
    veth::lay();
    println!("{:>8} {:>12} {:>12} {:>14} {:>8}", "payload", "method", "packets/s", "CPU ns/packet", "ratio");
    for payload in [0, 100, 1000] {
        let packet = tcp(CLIENT_V4, TARGET_V4, 80, 1, &vec![7; payload]);
        let mut best = [Cost::WORST; METHODS.len()];
        // In turns, so that whatever else the machine does meets all of them.
        for _ in 0..ROUNDS {
            for (method, best) in METHODS.iter().zip(&mut best) {
                best.improve(method.cost(&packet));
            }
        }
        for (method, cost) in METHODS.iter().zip(&best) {
            let name = method.name();
            let rate = PACKETS as f64 / cost.wall.as_secs_f64();
            let cpu = cost.cpu.as_nanos() as f64 / PACKETS as f64;
            let ratio = cost.cpu.as_secs_f64() / best[0].cpu.as_secs_f64();
            println!("{payload:>8} {name:>12} {rate:>12.0} {cpu:>14.0} {ratio:>8.2}");
        }
    }
}

fn plain(packet: &[u8]) -> Cost {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW))).unwrap();
    let address = SockAddr::from(SocketAddr::new(TARGET_V4.parse().unwrap(), 0));
    measure(|| {
        for _ in 0..PACKETS {
            socket.send_to(packet, &address).unwrap();
        }
    })
}

fn ethernet() -> EthernetSink {
    let target = EthernetTarget { addr: TARGET_V4.parse().unwrap(), source: None, next_hop: None };
    EthernetSink::open(&EthernetOptions { device: "near".to_owned(), targets: vec![target] }).unwrap()
}

fn batched(sink: &mut impl Sink, packet: &[u8], every: usize) -> Cost {
    measure(|| {
        for _ in 0..PACKETS / every {
            (0..every).for_each(|_| sink.send(packet).unwrap());
            sink.flush(&mut |_, error| panic!("{error}"));
        }
    })
}

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

impl Cost {
    const WORST: Self = Self { wall: Duration::MAX, cpu: Duration::MAX };

    fn improve(&mut self, other: Self) {
        *self = Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) };
    }
}

fn measure(work: impl FnOnce()) -> Cost {
    let (wall, cpu) = (Instant::now(), thread_cpu());
    work();
    Cost { wall: wall.elapsed(), cpu: thread_cpu() - cpu }
}

/// CPU time of this thread. The kernel delivers over veth in the sender's context, so it is in here.
fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `timespec` into `time`, which lives until the call returns.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
