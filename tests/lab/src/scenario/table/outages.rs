//! Rows in which somebody is stopped, killed, restarted or late.

use std::time::Duration;

use super::plans::{at, keepalive, row, short};
use crate::scenario::Action::{Continue, Cut, Kill, Open, Start, Stop};
use crate::scenario::{Counted, Scenario, Who};
use crate::world::hop::{Hop, Impairment, Impairments};

/// What has to arrive where the first capture ring is used up: the kernel drops one packet, and counts it, when it comes at
/// the very moment at which the ring's last block ends (docs/decisions/0003).
const BETWEEN_RINGS: f64 = 0.999;

pub(super) fn outages() -> Vec<Scenario> {
    let settle = Duration::from_secs(1);
    let outage = |name, about, c, must, users, events| Scenario {
        events,
        drain: Duration::from_secs(60),
        ..row(name, about, c, must, users)
    };
    let killed = || vec![at(3.0, Kill(Who::Intercept)), at(6.0, Start(Who::Intercept))];
    let paused = |who, from: f64, to: f64| vec![at(from, Stop(who)), at(to, Continue(who))];
    let cut = || vec![at(2.0, Cut(Hop::Copy)), at(7.0, Open(Hop::Copy))];
    let restart = || vec![at(2.0, Kill(Who::Target)), at(2.5, Start(Who::Target))];
    let late = |who| vec![at(2.0, Start(who))];
    let switchable = Impairments { copy: Some(Impairment::switchable()), ..Impairments::default() };
    vec![
        Scenario {
            counted: Counted::OpenedOutsideEvents { settle },
            ..outage(
                "intercept-killed-short",
                "intercept killed for 3 s, short connections (those opened while it was gone do not count)",
                Some("0.5"),
                0.98,
                short(500, 10),
                killed(),
            )
        },
        outage(
            "intercept-killed",
            "intercept killed for 3 s, 50 keepalive connections",
            Some("0.206"),
            1.0,
            keepalive(50, 500, 10),
            killed(),
        ),
        outage(
            "intercept-paused",
            "intercept stopped for 5 s, short connections, 500/s",
            Some("0.832"),
            1.0,
            short(500, 9),
            paused(Who::Intercept, 2.0, 7.0),
        ),
        outage(
            "tcpcopy-paused-short",
            "tcpcopy stopped for 2 s, short connections, 2000/s",
            Some("0.952"),
            BETWEEN_RINGS,
            short(2000, 6),
            paused(Who::Tcpcopy, 2.0, 4.0),
        ),
        outage(
            "tcpcopy-paused",
            "tcpcopy stopped for 2 s, keepalive, 5000 req/s",
            Some("0.601"),
            BETWEEN_RINGS,
            keepalive(100, 5000, 6),
            paused(Who::Tcpcopy, 2.0, 4.0),
        ),
        Scenario {
            impairments: switchable,
            ..outage(
                "target-unreachable",
                "target unreachable for 5 s (black hole), keepalive",
                Some("0.168"),
                1.0,
                keepalive(50, 500, 10),
                cut(),
            )
        },
        Scenario {
            ..outage(
                "target-restarted",
                "target server restarted, keepalive",
                Some("0.893"),
                0.99,
                keepalive(50, 500, 6),
                restart(),
            )
        },
        Scenario {
            counted: Counted::AfterEvents,
            quick: true,
            ..outage(
                "mid-stream",
                "capture starts in the middle of keepalive connections",
                None,
                1.0,
                keepalive(50, 500, 6),
                late(Who::Tcpcopy),
            )
        },
        Scenario {
            counted: Counted::AfterEvents,
            ..outage(
                "target-late",
                "target is down at first, short connections",
                None,
                1.0,
                short(300, 6),
                late(Who::Target),
            )
        },
    ]
}
