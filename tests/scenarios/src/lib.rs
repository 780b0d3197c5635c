//! End-to-end tests: each plays one scenario of the lab, with real kernels, real servers and the real programs,
//! and demands what the lab's table demands. The long table is `make fidelity`.

#![forbid(unsafe_code)]

use tcpcopy_lab::mysql::servers::mysql9_template;
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

/// As [`assert_passes`] with a scenario of MySQL 9, which is downloaded from a distribution that moves: skipped, loudly, where that was
/// impossible. (MariaDB's scenarios never are.)
///
/// # Panics
/// When the scenario could not be played or did not pass.
#[track_caller]
pub fn assert_passes_with_mysql9(scenario: &str) {
    if mysql9_template().is_some() {
        return assert_passes(scenario);
    }
    eprintln!("SKIPPED {scenario}: MySQL 9 is not prepared (tests/lab/mysql9 prepare)");
}
