//! Rows in which the target is not like the online server, or clients are not like each other.

use std::time::Duration;

use super::plans::{
    KIB, answering, closing, from_ports, full, keepalive, row, short, slower, tagged, uploads_of,
};
use crate::scenario::{Scenario, Tcpcopy};
use crate::traffic::{Amount, Cut, Ending, Pace, Reading, ServerPlan, Style, UsersPlan};

pub(super) fn different_target() -> Vec<Scenario> {
    let differing = |name, about, online, target| Scenario {
        online: answering(online),
        target: answering(target),
        ..full(name, about, keepalive(20, 200, 4))
    };
    let any_size = UsersPlan { want: Amount { min: 0, max: 1_000_000 }, ..keepalive(10, 100, 4) };
    let tiny_buffer = Reading { bytes_per_second: None, receive_buffer: Some(1024) };
    let post = uploads_of(64 * KIB, 5, 10);
    let about_2s = "target 2 s slower than online, backlog building up";
    vec![
        Scenario {
            target: slower(200),
            drain: Duration::from_secs(60),
            ..full(
                "slow-target-200ms",
                "target 200 ms slower than online, backlog building up",
                keepalive(20, 200, 5),
            )
        },
        Scenario {
            target: slower(2000),
            drain: Duration::from_secs(120),
            ..full("slow-target-2s", about_2s, keepalive(20, 40, 6))
        },
        full("any-response-size", "responses of 0 … 1 MB", any_size),
        differing("responses-grow", "online answers 100 B, target 100 kB", 100, 100_000),
        differing("responses-shrink", "online answers 100 kB, target 100 B", 100_000, 100),
        differing("responses-empty", "online answers 100 B, target nothing", 100, 0),
        Scenario {
            target: tagged(ServerPlan { reading: tiny_buffer, ..ServerPlan::default() }),
            drain: Duration::from_secs(60),
            quick: true,
            ..row("tiny-window", "target with a 2 KiB receive buffer, POST 64 KiB", Some("0.0"), 1.0, post)
        },
    ]
}

pub(super) fn addresses() -> Vec<Scenario> {
    let clashing = UsersPlan { sources: from_ports(100, 20_000, 1), ..keepalive(100, 1000, 4) };
    // Twenty users with one port each: a port comes up again after 40 ms.
    let reusing =
        |ending| UsersPlan { sources: from_ports(20, 30_000, 1), users: 20, ending, ..short(500, 4) };
    let one_address = Tcpcopy { options: &["-c", "10.30.0.1"], ..Tcpcopy::default() };
    vec![
        Scenario {
            tcpcopies: vec![one_address],
            quick: true,
            ..row(
                "one-address",
                "all clients mapped to one -c address, ports clash",
                Some("0.0"),
                1.0,
                clashing,
            )
        },
        row(
            "port-reuse",
            "clients reset and re-use their ports at once",
            Some("0.616"),
            1.0,
            reusing(Ending::Reset),
        ),
        Scenario {
            online: closing(),
            target: closing(),
            ..row(
                "port-reuse-closed",
                "servers close, clients re-use their ports at once",
                None,
                1.0,
                reusing(Ending::ServerCloses),
            )
        },
    ]
}

pub(super) fn endings() -> Vec<Scenario> {
    let ended = |ending| {
        let style = Style::Keepalive { requests_per_connection: Some(5), pace: Pace::Closed { think_ms: 5 } };
        UsersPlan { style, ending, ..keepalive(20, 1000, 4) }
    };
    let closing = tagged(ServerPlan { close_after_answer: true, ..ServerPlan::default() });
    let resetting = |every| tagged(ServerPlan { reset_every: Some(every), ..ServerPlan::default() });
    let early = |name, about, c, target| Scenario {
        target,
        drain: Duration::from_secs(30),
        ..row(name, about, c, 1.0, keepalive(50, 500, 4))
    };
    let extra = |name, about, users| row(name, about, None, 1.0, users);
    vec![
        early("target-closes", "target closes after each response", Some("1.0"), closing),
        early("target-resets-10th", "target resets every 10th request", Some("1.0"), resetting(10)),
        early("target-resets-all", "target resets every request", None, resetting(1)),
        extra("half-close", "users shut down their side after the last request", ended(Ending::HalfClose)),
        extra("reset-endings", "users reset their connections after the last answer", ended(Ending::Reset)),
        extra(
            "cut-half-written",
            "users reset in the middle of a request",
            ended(Ending::Cut(Cut::HalfWritten)),
        ),
        extra(
            "cut-unanswered",
            "users reset while they wait for the answer",
            ended(Ending::Cut(Cut::Unanswered)),
        ),
    ]
}
