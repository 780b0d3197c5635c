//! Runs a test inside a network namespace by starting this very test program again.

use std::env;
use std::process::{Command, Stdio};

/// Set in the program that runs inside.
const INSIDE: &str = "TCPCOPY_NET_TEST_INSIDE";

/// Runs `body` in a fresh network namespace with all capabilities there. `test` is the test's own full name.
///
/// Where no namespace can be made the test is skipped with a message, except under `CI`, where it fails.
pub(crate) fn run(test: &str, body: fn()) {
    run_with(test, &[], body);
}

/// Like [`run`], but without any capability.
pub(crate) fn run_powerless(test: &str, body: fn()) {
    run_with(test, &["setpriv", "--bounding-set=-all", "--inh-caps=-all"], body);
}

/// Like [`run`], through the command `wrapper`.
pub(crate) fn run_with(test: &str, wrapper: &[&str], body: fn()) {
    if is_inside() {
        return body();
    }
    let Some(mut command) = this_program_inside(wrapper) else {
        assert!(env::var_os("CI").is_none(), "{test}: no network namespace can be made here");
        eprintln!("SKIPPED {test}: no network namespace can be made here (not root, and no user namespaces)");
        return;
    };
    let output = command.args([test, "--exact", "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "no test is called {test}:\n{text}");
}

/// Whether this is the program that was started inside.
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// The command that starts this program inside a new namespace, through `wrapper`; `None` where there is no way to
/// make one.
pub(crate) fn this_program_inside(wrapper: &[&str]) -> Option<Command> {
    const WAYS: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
    let way = WAYS.into_iter().find(|way| {
        let mut probe = Command::new("unshare");
        probe.args(*way).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })?;
    let mut command = Command::new("unshare");
    command.args(way).arg("--").args(wrapper).arg(env::current_exe().unwrap()).env(INSIDE, "1");
    Some(command)
}

/// Runs a command that must succeed.
pub(crate) fn sh(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that may fail; whether it succeeded.
pub(crate) fn try_sh(command: &str) -> bool {
    let mut words = command.split_whitespace();
    Command::new(words.next().unwrap()).args(words).output().unwrap().status.success()
}
