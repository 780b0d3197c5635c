//! Rows in which nothing goes wrong: kinds of traffic, amounts, numbers of connections.

use std::time::Duration;

use super::plans::{KIB, MIB, concurrent, full, keepalive, pipelined, row, short, tagged, uploads_of};
use crate::scenario::{Mapping, Scenario, Server, Tcpcopy};
use crate::traffic::{Amount, Greeting, Pieces, Reading, ServerPlan, UsersPlan};
use crate::world::plan::PORT;

pub(super) fn plain() -> Vec<Scenario> {
    let split = UsersPlan { writing: Pieces { count: 5, gap_ms: 5 }, ..keepalive(50, 200, 4) };
    vec![
        Scenario { quick: true, ..full("short-500", "short connections, 500/s", short(500, 4)) },
        full("short-2000", "short connections, 2000/s", short(2000, 4)),
        full("short-8000", "short connections, 8000/s", short(8000, 4)),
        Scenario { quick: true, ..full("keepalive-1k", "keepalive, 1000 req/s", keepalive(50, 1000, 4)) },
        full("keepalive-5k", "keepalive, 5000 req/s", keepalive(100, 5000, 4)),
        full("keepalive-20k", "keepalive, 20 000 req/s", keepalive(200, 20_000, 4)),
        Scenario {
            quick: true, ..full("pipelined-10", "pipelined ×10, 2000 req/s", pipelined(10, 2000, 4))
        },
        full("pipelined-50", "pipelined ×50, 5000 req/s", pipelined(50, 5000, 4)),
        full("split-writes", "every request in 5 writes, 5 ms apart", split),
    ]
}

pub(super) fn uploads() -> Vec<Scenario> {
    let about = "POST 16 MiB, one connection";
    vec![
        full("post-4k", "POST 4 KiB", uploads_of(4 * KIB, 20, 100)),
        Scenario { quick: true, ..full("post-64k", "POST 64 KiB", uploads_of(64 * KIB, 10, 50)) },
        full("post-1m", "POST 1 MiB", uploads_of(MIB, 4, 10)),
        row("post-16m", about, Some("0.67"), 1.0, uploads_of(16 * MIB, 1, 3)),
    ]
}

pub(super) fn many_connections() -> Vec<Scenario> {
    let about = "20 000 connections at once";
    vec![
        full("concurrent-1k", "1000 connections at once", concurrent(1000, 1000, 5)),
        full("concurrent-5k", "5000 connections at once", concurrent(5000, 2000, 6)),
        full("concurrent-10k", "10 000 connections at once", concurrent(10_000, 3000, 8)),
        Scenario {
            processes: 2,
            drain: Duration::from_secs(40),
            ..row("concurrent-20k", about, Some("failed"), 1.0, concurrent(20_000, 4000, 10))
        },
    ]
}

pub(super) fn shapes() -> Vec<Scenario> {
    let greeting = Greeting { text: "220 lab ready\n".to_owned(), delay_ms: 20 };
    let greets = || tagged(ServerPlan { greeting: Some(greeting.clone()), ..ServerPlan::default() });
    let greeted = UsersPlan { greeting: true, ..short(200, 4) };
    let ports = || (0..12).map(|n| Mapping::v4(PORT + n)).collect();
    let halves = vec![
        Tcpcopy { mappings: vec![0], ..Tcpcopy::default() },
        Tcpcopy { mappings: vec![1], options: &["-c", "10.30.0.x"], ..Tcpcopy::default() },
    ];
    let slow_reader = Reading { bytes_per_second: Some(40_000), receive_buffer: Some(8192) };
    let slow_readers =
        UsersPlan { reading: slow_reader, want: Amount::exactly(30_000), ..keepalive(20, 20, 5) };
    let extra = |name, about, users| row(name, about, None, 1.0, users);
    vec![
        Scenario {
            online: greets(),
            target: greets(),
            quick: true,
            ..extra("greeting", "the server speaks first", greeted)
        },
        extra("slow-readers", "users read their answers slowly", slow_readers),
        Scenario {
            online: Server::Nginx,
            target: Server::Nginx,
            quick: true,
            ..extra("nginx", "nginx on both sides, keepalive", keepalive(50, 1000, 4))
        },
        Scenario {
            mappings: ports(),
            ..extra("many-mappings", "twelve -x mappings", keepalive(48, 1000, 4))
        },
        Scenario {
            mappings: vec![Mapping::v4(PORT), Mapping::v4(PORT + 1)],
            tcpcopies: halves,
            ..extra("two-tcpcopies", "two tcpcopy processes share one intercept", keepalive(50, 1000, 4))
        },
    ]
}
