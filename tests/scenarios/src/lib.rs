//! End-to-end tests: each plays one scenario of the lab, with real kernels, real servers and the real programs,
//! and demands what the lab's table demands. The long table is `make fidelity`.

#![forbid(unsafe_code)]

use tcpcopy_lab::scenario::table::find;
use tcpcopy_lab::{run_doctor, run_scenario};

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

/// Has `tcpcopy doctor` examine the world of that entry of its fault matrix, and panics unless it says what it must.
///
/// # Panics
/// When the entry could not be played, or the doctor said something else.
#[track_caller]
pub fn assert_examined(entry: &str) {
    match run_doctor(entry) {
        Ok(examined) => {
            assert!(
                examined.complaints.is_empty(),
                "{entry}: {}\n{}",
                examined.complaints.join("; "),
                examined.said
            )
        }
        Err(error) => panic!("{entry} could not be played: {error:#}"),
    }
}

/// As [`assert_passes`] with a scenario that needs what no package of Debian's stable release has, such as MySQL 9: skipped, loudly, where
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
