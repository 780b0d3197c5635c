//! Rows in which users are replayed several times at once, or several tcpcopys have them among them.

use super::modules::COMPARING;
use super::plans::{keepalive, pipelined, row, short};
use crate::scenario::demand::Demand;
use crate::scenario::{Mapping, Scenario, Tcpcopy};
use crate::traffic::UsersPlan;
use crate::world::plan::PORT;

pub(super) fn copies() -> Vec<Scenario> {
    let extra = |name, about, users| row(name, about, None, 1.0, users);
    let passing = UsersPlan { first_user: 1000, ..short(200, 3) };
    let in_order = UsersPlan { first_user: 2000, ..pipelined(5, 200, 3) };
    let one = |options| vec![Tcpcopy { options, ..Tcpcopy::default() }];
    vec![
        Scenario {
            users: vec![keepalive(30, 300, 3), passing, in_order],
            copies: 3,
            tcpcopies: one(&["-n", "3", "-c", "10.30.0.x"]),
            quick: true,
            ..extra("three-copies", "every connection three times at once, -n 3", UsersPlan::default())
        },
        Scenario {
            copies: 3,
            tcpcopies: one(&["-n", "3"]),
            ..extra("three-copies-own-addresses", "-n 3 from the users' own addresses", keepalive(30, 300, 3))
        },
        Scenario {
            copies: 3,
            mappings: vec![Mapping::v4(PORT).served_by(COMPARING)],
            tcpcopies: one(&["-n", "3", "-c", "10.30.0.x"]),
            demands: &[Demand::AllServed, Demand::Compared(95), Demand::SameOutcomes],
            ..extra("three-copies-module", "-n 3, each copy with its conversation", keepalive(30, 300, 3))
        },
        Scenario {
            copies: 10,
            // One address has 2016 ports in a part of 32, where 3000 copies want one.
            must: 0.65,
            tcpcopies: one(&["-n", "10", "-c", "10.30.0.1", "-f", "1"]),
            demands: &[Demand::FewerCopies],
            ..extra("too-many-copies", "-n 10 with too few addresses in -c", keepalive(300, 600, 4))
        },
        Scenario {
            tcpcopies: vec![
                Tcpcopy { options: &["--share", "1/2", "-c", "10.30.0.1"], ..Tcpcopy::default() },
                Tcpcopy { options: &["--share", "2/2", "-c", "10.30.0.1"], ..Tcpcopy::default() },
            ],
            quick: true,
            ..extra(
                "shared-work",
                "two tcpcopys replay half of the users each, from one -c address",
                keepalive(60, 600, 3),
            )
        },
        Scenario {
            copies: 2,
            tcpcopies: vec![
                Tcpcopy { options: &["-f", "1", "-c", "10.30.0.1"], ..Tcpcopy::default() },
                Tcpcopy { options: &["-f", "2", "-c", "10.30.0.1"], ..Tcpcopy::default() },
            ],
            ..extra(
                "two-instances",
                "two tcpcopys replay all users each, from one -c address, kept apart by -f",
                keepalive(60, 600, 3),
            )
        },
    ]
}
