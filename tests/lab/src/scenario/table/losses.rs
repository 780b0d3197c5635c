//! Rows in which packets are lost, doubled or reordered on the way.

use std::time::Duration;

use super::plans::{KIB, full, keepalive, loses, row, short, uploads_of};
use crate::scenario::Scenario;
use crate::world::hop::{Faults, Impairment, Impairments};
use crate::world::wire::USUAL_HOLD;

pub(super) fn lossy_copy() -> Vec<Scenario> {
    let lossy = |name, about, c, must, loss, users| Scenario {
        impairments: Impairments { copy: loses(loss), ..Impairments::default() },
        drain: Duration::from_secs(60),
        ..row(name, about, Some(c), must, users)
    };
    let keep = || keepalive(50, 1000, 6);
    vec![
        lossy("loss-1-short", "1 % loss online→target, short", "0.990", 1.0, 0.01, short(500, 6)),
        Scenario {
            quick: true,
            ..lossy("loss", "1 % loss online→target, keepalive", "0.768", 1.0, 0.01, keep())
        },
        lossy("loss-5-short", "5 % loss online→target, short", "0.947", 0.999, 0.05, short(500, 6)),
        lossy("loss-5", "5 % loss online→target, keepalive", "0.315", 0.999, 0.05, keep()),
    ]
}

pub(super) fn lossy_response() -> Vec<Scenario> {
    let lossy = |name, about, c, loss, users| Scenario {
        impairments: Impairments { response: loses(loss), ..Impairments::default() },
        drain: Duration::from_secs(60),
        ..row(name, about, Some(c), 1.0, users)
    };
    let keep = || keepalive(50, 1000, 6);
    vec![
        lossy("response-loss-1-short", "1 % loss target→assistant, short", "0.998–1.0", 0.01, short(500, 6)),
        lossy("response-loss-1", "1 % loss target→assistant, keepalive", "0.99–1.0", 0.01, keep()),
        lossy("response-loss-5-short", "5 % loss target→assistant, short", "0.998–1.0", 0.05, short(500, 6)),
        Scenario {
            quick: true,
            ..lossy("response-loss-5", "5 % loss target→assistant, keepalive", "0.99–1.0", 0.05, keep())
        },
    ]
}

pub(super) fn lossy_both() -> Vec<Scenario> {
    let lossy = |name, about, c, must, loss, users| Scenario {
        impairments: Impairments { copy: loses(loss), response: loses(loss), ..Impairments::default() },
        drain: Duration::from_secs(90),
        ..row(name, about, Some(c), must, users)
    };
    vec![
        lossy("both-loss-5-short", "5 % loss both ways, short", "0.950", 0.999, 0.05, short(500, 6)),
        lossy("both-loss-5", "5 % loss both ways, keepalive", "0.352", 0.999, 0.05, keepalive(50, 1000, 6)),
        lossy(
            "both-loss-1-post",
            "1 % loss both ways, POST 64 KiB",
            "0.622",
            1.0,
            0.01,
            uploads_of(64 * KIB, 10, 30),
        ),
    ]
}

pub(super) fn lossy_users() -> Vec<Scenario> {
    let faults = Faults {
        loss: 0.01,
        duplicate: 0.01,
        reorder: 0.05,
        hold: USUAL_HOLD,
        ..Faults::delay(Duration::from_millis(20))
    };
    let rough = |name, about, users| Scenario {
        impairments: Impairments { users: Some(Impairment::both_ways(faults)), ..Impairments::default() },
        ..full(name, about, users)
    };
    vec![
        rough("users-rough-short", "users lose, reorder and double packets, 40 ms RTT, short", short(300, 5)),
        Scenario {
            quick: true,
            ..rough(
                "users-rough",
                "users lose, reorder and double packets, 40 ms RTT, keepalive",
                keepalive(50, 500, 5),
            )
        },
        rough(
            "users-rough-post",
            "users lose, reorder and double packets, 40 ms RTT, POST 64 KiB",
            uploads_of(64 * KIB, 10, 10),
        ),
    ]
}
