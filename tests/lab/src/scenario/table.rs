//! Every scenario, as values: the rows of the exactness table, and what the program must live through besides.
//!
//! Declarative. Times are kept short: what a scenario shows, it shows in a few seconds.

mod copies;
mod datagrams;
mod families;
mod faultless;
mod losses;
pub(crate) mod modules;
mod outages;
pub(crate) mod plans;
pub(crate) mod recordings;
mod targets;

use crate::mysql;
use crate::scenario::{Scenario, Tcpcopy};
use crate::traffic::UsersPlan;

/// The scenario of a demo without a name.
pub const DEMO: &str = "demo";

/// The scenario of that name.
#[must_use]
pub fn find(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

/// Every scenario.
#[must_use]
pub fn all() -> Vec<Scenario> {
    [
        faultless::plain(),
        faultless::uploads(),
        losses::lossy_copy(),
        losses::lossy_response(),
        losses::lossy_both(),
        losses::lossy_users(),
        faultless::many_connections(),
        targets::different_target(),
        targets::addresses(),
        targets::endings(),
        outages::outages(),
        faultless::shapes(),
        families::families(),
        copies::copies(),
        datagrams::datagrams(),
        modules::modules(),
        recordings::recordings(),
        mysql::scenarios::scenarios(),
        vec![demo()],
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What `make demo` shows when it is not told otherwise.
fn demo() -> Scenario {
    let passing = UsersPlan { first_user: 1000, ..plans::short(300, 8) };
    Scenario {
        users: vec![plans::keepalive(40, 1500, 8), passing],
        tcpcopies: vec![Tcpcopy { options: &["-c", "10.30.0.x"], ..Tcpcopy::default() }],
        quick: true,
        ..Scenario::new(
            DEMO,
            "keepalive and short connections, clients at -c addresses",
            UsersPlan::default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::scenario::Action;

    #[test]
    fn names_are_unique_and_can_be_typed() {
        let scenarios = all();
        for (index, scenario) in scenarios.iter().enumerate() {
            assert!(scenario.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(scenarios[..index].iter().all(|other| other.name != scenario.name), "{}", scenario.name);
        }
    }

    #[test]
    fn events_come_in_order_and_while_users_are_at_work() {
        for scenario in all() {
            let users = scenario.users.iter().filter_map(|plan| plan.duration_ms);
            let clients = scenario.clients.iter().map(|clients| u64::from(clients.seconds) * 1000);
            let end = users.chain(clients).max().unwrap_or(0);
            let times: Vec<Duration> = scenario.events.iter().map(|event| event.at).collect();
            assert!(times.is_sorted(), "{}", scenario.name);
            assert!(times.iter().all(|at| at.as_millis() < u128::from(end)), "{}", scenario.name);
        }
    }

    #[test]
    fn every_plan_can_be_carried_out() {
        for scenario in all() {
            for plan in scenario.users.iter().chain(&scenario.spoilers) {
                let targets = scenario.mappings.iter().map(|mapping| mapping.online).collect();
                let plan = UsersPlan { targets, ..plan.clone() };
                assert!(plan.check().is_ok(), "{}: {:?}", scenario.name, plan.check());
            }
        }
    }

    #[test]
    fn only_hops_with_a_wire_are_cut() {
        for scenario in all() {
            for event in &scenario.events {
                if let Action::Cut(hop) | Action::Open(hop) = event.action {
                    assert!(scenario.impairments.of(hop).is_some(), "{}", scenario.name);
                }
            }
        }
    }
}
