//! End-to-end tests: each plays one scenario of the lab, with real kernels, real servers and the real programs,
//! and demands what the lab's table demands. The long table is `make fidelity`.

#![forbid(unsafe_code)]

use tcpcopy_lab::run_scenario;
use tcpcopy_lab::scenario::table::find;

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

/// The same with a scenario that needs what no package of Debian's stable release has, such as MySQL 9: skipped, loudly, where
/// downloading that was impossible.
///
/// # Panics
/// When the scenario could not be played or did not pass.
#[track_caller]
pub fn assert_passes_where_prepared(scenario: &str) {
    let missing = find(scenario).map(|scenario| scenario.missing_downloads()).unwrap_or_default();
    if missing.is_empty() {
        return assert_passes(scenario);
    }
    eprintln!("SKIPPED {scenario}: {}", missing.join("; "));
}
