//! Rows with protocol modules: healthy ones, and their replacement while users are at work.

use std::time::Duration;

use super::plans::{
    KIB, answering, at, from_addresses, keepalive, loses, pipelined, row, short, slower, tagged,
};
use crate::scenario::demand::Demand;
use crate::scenario::module::{Library, Module, Swap};
use crate::scenario::{Action, Mapping, Scenario};
use crate::traffic::{Amount, Pace, Pieces, ServerPlan, Style, UsersPlan, Wording};
use crate::world::hop::Impairments;
use crate::world::plan::PORT;

/// The generic module.
pub(crate) const GENERIC: Module = Module::new(Library::Generic, "generic.so");
/// The http module.
pub(crate) const HTTP: Module = Module::new(Library::Http, "http.so");
/// The http module, which also sees the online server's answers.
pub(crate) const COMPARING: Module = HTTP.with("compare = true");

/// What the answer to a request that breaks the broken module asks for: users that count ask for 100.
const MARK: u32 = 666;

/// A scenario served by that module, with one mapping.
pub(crate) fn served_by(module: Module, scenario: Scenario) -> Scenario {
    Scenario { mappings: vec![Mapping::v4(PORT).served_by(module)], ..scenario }
}

fn extra(name: &'static str, about: &'static str, module: Module, users: UsersPlan) -> Scenario {
    served_by(module, row(name, about, None, 1.0, users))
}

pub(super) fn modules() -> Vec<Scenario> {
    let mut rows = vec![swaps(), mixed_traffic()];
    rows.extend(unlike_targets());
    rows.extend([rewritten(), late_comparison(), generic(), slow(), breaking(), giving_up(), two_modules()]);
    rows
}

/// One mapping through five modules: two that work, one that does not load, one that breaks, one that is moved to.
fn swaps() -> Scenario {
    const FIRST: Module = Module::new(Library::Http, "http-1.so").with("compare = true");
    const SECOND: Module =
        Module::new(Library::Http, "http-2.so").with("compare = true\nlabels = [\"/r/{request}\"]");
    const TORN: Module = Module::new(Library::Torn, "http-torn.so");
    const BREAKING: Module = Module::new(Library::Tagged, "tagged-3.so").with("breaks_on = \"want=666&\"");
    const LAST: Module = Module::new(Library::Http, "http-4.so").with("compare = true");
    let swap = |module| Swap { mapping: 0, module, migrate: false, refusal: None };
    let swaps = |seconds, swap| at(seconds, Action::Swap(swap));
    let passing = UsersPlan { first_user: 1000, ..short(150, 7) };
    Scenario {
        users: vec![keepalive(40, 600, 7), passing],
        spoilers: vec![marked(28, 7)],
        events: vec![
            swaps(1.0, swap(SECOND)),
            swaps(2.0, Swap { refusal: Some("truncated or damaged"), ..swap(TORN) }),
            swaps(3.0, swap(BREAKING)),
            swaps(5.0, Swap { migrate: true, ..swap(LAST) }),
        ],
        demands: &[
            Demand::AllServed,
            Demand::Served(&["http-1.so", "http-2.so", "tagged-3.so", "http-4.so"]),
            Demand::Faults(3),
            Demand::RolledBack("tagged-3.so"),
            Demand::MovedTo("http-4.so"),
            Demand::Compared(95),
            Demand::SameOutcomes,
        ],
        quick: true,
        ..extra(
            "modules",
            "modules are replaced under load, by good ones, a torn one and one that breaks",
            FIRST,
            UsersPlan::default(),
        )
    }
}

/// Users with one marked request each, spread over so many seconds.
fn marked(users: u32, seconds: u64) -> UsersPlan {
    let pace = Pace::Closed { think_ms: 0 };
    UsersPlan {
        sources: from_addresses(users),
        users,
        first_user: 500_000,
        style: Style::Keepalive { requests_per_connection: Some(1), pace },
        connections_per_user: Some(1),
        want: Amount::exactly(MARK.into()),
        ramp_ms: seconds * 1000,
        ..UsersPlan::default()
    }
}

fn mixed_traffic() -> Scenario {
    let writing = Pieces { count: 5, gap_ms: 2 };
    let pipelining = UsersPlan { first_user: 1000, ..pipelined(10, 500, 4) };
    let uploads = UsersPlan {
        first_user: 2000,
        body: Amount { min: 1, max: 64 * KIB },
        writing,
        ..keepalive(10, 50, 4)
    };
    Scenario {
        users: vec![keepalive(100, 5000, 4), pipelining, uploads],
        target: answering(3000),
        demands: &[Demand::AllServed, Demand::Compared(95), Demand::SameOutcomes, Demand::OtherSizes],
        ..extra(
            "http-module",
            "the http module compares: keepalive, pipelines, uploads in pieces, other answers at the target",
            COMPARING,
            UsersPlan::default(),
        )
    }
}

fn unlike_targets() -> Vec<Scenario> {
    let both = Impairments { copy: loses(0.01), response: loses(0.01), ..Impairments::default() };
    let resetting = tagged(ServerPlan { reset_every: Some(10), ..ServerPlan::default() });
    let closing = tagged(ServerPlan { close_after_answer: true, ..ServerPlan::default() });
    let early = |name, about, target| Scenario {
        target,
        drain: Duration::from_secs(30),
        ..extra(name, about, COMPARING, keepalive(50, 500, 3))
    };
    vec![
        Scenario {
            target: slower(200),
            drain: Duration::from_secs(60),
            demands: &[Demand::Compared(95), Demand::SameOutcomes, Demand::OneAtATime],
            ..extra(
                "http-module-slow-target",
                "the http module waits for a target that is 200 ms slower, turn by turn",
                COMPARING,
                keepalive(20, 200, 4),
            )
        },
        Scenario {
            impairments: both,
            drain: Duration::from_secs(60),
            demands: &[Demand::Compared(95), Demand::SameOutcomes],
            ..extra(
                "http-module-loss",
                "the http module, 1 % loss online→target and target→assistant",
                COMPARING,
                keepalive(50, 1000, 5),
            )
        },
        early("http-module-reset", "the http module, target resets every 10th request", resetting),
        early("http-module-closes", "the http module, target closes after each response", closing),
    ]
}

fn rewritten() -> Scenario {
    const REWRITING: Module = Module::new(Library::Http, "http.so")
        .with("compare = true\nrewrite.host = \"target.test\"\nrewrite.add = { X-Copied-By = \"tcpcopy\" }");
    let wording =
        Wording { host: Some("target.test".to_owned()), added: vec!["X-Copied-By: tcpcopy".to_owned()] };
    let uploads =
        UsersPlan { first_user: 1000, body: Amount { min: 1, max: 8 * KIB }, ..keepalive(10, 100, 3) };
    Scenario {
        users: vec![keepalive(50, 1000, 3), uploads],
        target: tagged(ServerPlan { wording, ..ServerPlan::default() }),
        demands: &[Demand::Compared(95), Demand::SameOutcomes],
        quick: true,
        ..extra(
            "http-module-rewrite",
            "the http module rewrites Host and adds a field, and nothing else",
            REWRITING,
            UsersPlan::default(),
        )
    }
}

fn late_comparison() -> Scenario {
    const LATER: Module = Module::new(Library::Http, "http-2.so").with("compare = true");
    let swap = Swap { mapping: 0, module: LATER, migrate: true, refusal: None };
    Scenario {
        events: vec![at(0.5, Action::Swap(swap))],
        // What was said before the swap has been compared with nothing.
        demands: &[
            Demand::AllServed,
            Demand::MovedTo("http-2.so"),
            Demand::Compared(50),
            Demand::SameOutcomes,
        ],
        ..extra(
            "comparison-begins",
            "running sessions move to a module that compares, where none did",
            HTTP,
            keepalive(20, 300, 3),
        )
    }
}

fn generic() -> Scenario {
    Scenario {
        target: answering(10_000),
        demands: &[Demand::AllServed, Demand::NoPayload],
        ..extra(
            "generic-module",
            "the generic module costs no call and no payload",
            GENERIC,
            keepalive(50, 1000, 3),
        )
    }
}

fn slow() -> Scenario {
    const SLOW: Module = Module::new(Library::Tagged, "tagged.so").with("slow_ms = 40");
    Scenario {
        drain: Duration::from_secs(60),
        demands: &[Demand::SlowCalls("tagged.so")],
        ..extra(
            "slow-module",
            "a module takes 40 ms for each call, and is told of",
            SLOW,
            keepalive(5, 15, 4),
        )
    }
}

fn breaking() -> Scenario {
    const BREAKING: Module = Module::new(Library::Tagged, "tagged.so").with("breaks_on = \"want=666&\"");
    Scenario {
        spoilers: vec![marked(12, 3)],
        demands: &[Demand::AllServed, Demand::Served(&["tagged.so"]), Demand::Faults(12)],
        ..extra(
            "breaking-module",
            "a module breaks in some sessions, has nothing before it, and the others go on",
            BREAKING,
            keepalive(20, 300, 3),
        )
    }
}

fn giving_up() -> Scenario {
    const PICKY: Module = Module::new(Library::Tagged, "tagged.so").with("gives_up_on = \"want=666&\"");
    Scenario {
        spoilers: vec![marked(12, 3)],
        demands: &[Demand::AllServed, Demand::Served(&["tagged.so"]), Demand::GaveUp(12)],
        ..extra("module-gives-up", "a module gives some sessions up", PICKY, keepalive(20, 300, 3))
    }
}

fn two_modules() -> Scenario {
    const TAGGED: Module = Module::new(Library::Tagged, "tagged.so");
    let mappings = vec![
        Mapping::v4(PORT).served_by(COMPARING),
        Mapping::v4(PORT + 1).served_by(TAGGED),
        Mapping::v4(PORT + 2),
    ];
    Scenario {
        mappings,
        demands: &[Demand::Served(&["http.so", "tagged.so"]), Demand::Compared(95), Demand::SameOutcomes],
        ..row(
            "two-modules",
            "two modules in one process, and a mapping without",
            None,
            1.0,
            keepalive(48, 1000, 3),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_count_are_told_from_spoilers() {
        for scenario in modules() {
            for spoiler in &scenario.spoilers {
                let last = spoiler.first_user + spoiler.users;
                let apart =
                    |plan: &UsersPlan| plan.users.max(100_000) + plan.first_user <= spoiler.first_user;
                assert!(spoiler.users > 0 && last < 1_000_000, "{}", scenario.name);
                assert!(scenario.users.iter().all(apart), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn the_mark_is_what_modules_fail_on_and_nobody_else_says_it() {
        for scenario in modules().into_iter().filter(|scenario| !scenario.spoilers.is_empty()) {
            let failing = scenario.modules().filter(|module| module.library == Library::Tagged);
            let knows = |module: Module| module.configuration.contains(&format!("_on = \"want={MARK}&\""));
            assert_eq!(failing.map(knows).collect::<Vec<_>>(), [true], "{}", scenario.name);
            assert!(scenario.users.iter().all(|plan| plan.want.max < MARK.into()), "{}", scenario.name);
        }
    }
}
