//! Rows in which the users are recorded first, and replayed from the file when they are gone.

use std::time::Duration;

use super::plans::{closing, keepalive, pipelined, row, short};
use crate::scenario::{Scenario, Tcpcopy};
use crate::traffic::{Ending, UsersPlan};

/// The recording of `users` is replayed with `options`.
pub(crate) fn recorded(
    name: &'static str,
    about: &'static str,
    options: &'static [&'static str],
    users: Vec<UsersPlan>,
) -> Scenario {
    Scenario {
        users,
        is_recorded: true,
        tcpcopies: vec![Tcpcopy { options, ..Tcpcopy::default() }],
        drain: Duration::from_secs(60),
        ..row(name, about, None, 1.0, UsersPlan::default())
    }
}

pub(super) fn recordings() -> Vec<Scenario> {
    let passing = || UsersPlan { first_user: 1000, ..short(200, 3) };
    let mixed = || vec![keepalive(50, 500, 3), passing()];
    let piped = UsersPlan { first_user: 2000, ..pipelined(10, 500, 3) };
    vec![
        Scenario { c: Some("1.0"), ..recorded("offline", "a recording, at its own pace", &[], mixed()) },
        Scenario {
            c: Some("1.0"),
            ..recorded("offline-faster", "a recording, ten times as fast", &["-a", "10"], mixed())
        },
        recorded(
            "offline-top-speed",
            "a recording, as fast as the target answers",
            &["--top-speed"],
            mixed().into_iter().chain([piped]).collect(),
        ),
        recorded("offline-rate", "a recording, at a rate of its own", &["--rate", "1000/s"], mixed()),
        // The target closes, and remembers every connection of a lap (TIME-WAIT) when it comes again in the next.
        Scenario {
            copies: 3,
            online: closing(),
            target: closing(),
            ..recorded(
                "offline-laps",
                "a recording, three times one after the other, at top speed; servers close",
                &["-T", "3", "--top-speed"],
                vec![UsersPlan { ending: Ending::ServerCloses, ..short(500, 3) }],
            )
        },
    ]
}
