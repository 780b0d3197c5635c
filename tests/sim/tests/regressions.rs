//! One fact each.

use tcpcopy_sim::{Outcome, Scenario, World};

#[track_caller]
fn run(scenario: Scenario) -> Outcome {
    match World::run(scenario.clone()) {
        Ok(outcome) => outcome,
        Err(violation) => panic!("{violation}\n{scenario:#?}"),
    }
}

#[test]
fn one_request_without_faults_arrives_once() {
    let outcome = run(Scenario::calm(1));
    assert_eq!((outcome.captured, outcome.replayed, outcome.repeated), (1, 1, 0), "{outcome:#?}");
}
