//! End-to-end tests: each plays one scenario of the lab, with real kernels, real servers and the real programs,
//! and demands what the lab's table demands. The long table is `make fidelity`.

#![forbid(unsafe_code)]

use tcpcopy_lab::run_scenario;

/// Plays the scenario of that name and panics with all complaints unless it passes.
///
/// # Panics
/// When the scenario could not be played or did not pass.
#[track_caller]
pub fn assert_passes(scenario: &str) {
    match run_scenario(scenario) {
        Ok(outcome) => {
            assert!(outcome.passed(), "{scenario}: {}\n{:#?}", outcome.complaints.join("; "), outcome.tally)
        }
        Err(error) => panic!("{scenario} could not be played: {error:#}"),
    }
}
