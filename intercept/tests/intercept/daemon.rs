//! intercept in the background, in a network namespace of its own: log, pid file, signals.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Starts the daemon; works as root and as an ordinary user.
fn launch(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", env!("CARGO_BIN_EXE_intercept")])
        .args(["-F", "tcp and src port 8080", "-d", "-l", "log", "-P", "pid"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("unshare of util-linux runs")
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come about");
}

/// A daemon that a failing test leaves behind is stopped all the same; one that was told to end is not touched
/// again, since its number may soon be another process's.
struct Daemon {
    pid: Pid,
    is_ending: bool,
}

impl Daemon {
    fn of(pid_file: &Path) -> Self {
        let number = fs::read_to_string(pid_file).expect("the daemon wrote its pid file");
        let number = number.trim().parse().expect("the pid file holds a number");
        Self { pid: Pid::from_raw(number), is_ending: false }
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid, signal).expect("the daemon runs");
    }

    fn end(&mut self, signal: Signal) {
        self.is_ending = true;
        self.signal(signal);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.is_ending {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn a_daemon_logs_reopens_reports_and_cleans_up() {
    let directory = tempfile::tempdir().unwrap();
    let [log, moved, pid_file, report] =
        ["log", "log.1", "pid", "report.json"].map(|name| directory.path().join(name));
    let said = |path: &Path, word: &str| fs::read_to_string(path).is_ok_and(|text| text.contains(word));

    let started = launch(directory.path(), &["--report", "report.json", "-s", "65536", "--million"]);
    assert!(started.status.success(), "{started:?}");
    let mut daemon = Daemon::of(&pid_file);
    let notice = format!("intercept runs as process {}, its log is {}\n", daemon.pid, log.display());
    assert_eq!(String::from_utf8(started.stderr).unwrap(), notice);
    assert!(said(
        &log,
        "INFO  intercept: ready: capturing \"tcp and src port 8080\" on any; listening on 0.0.0.0:36524"
    ));

    assert!(said(&log, "INFO  intercept: -s, --million of the C intercept: accepted, without effect here"));

    let second = launch(directory.path(), &["-p", "7000"]);
    assert_eq!(second.status.code(), Some(1));
    let sentence = format!("pid is held by process {}, which still runs;", daemon.pid);
    assert!(String::from_utf8(second.stderr).unwrap().contains(&sentence));

    fs::rename(&log, &moved).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_until("a new log", || said(&log, "log file opened anew"));

    daemon.end(Signal::SIGTERM);
    wait_until("the end", || !pid_file.exists());
    assert!(said(&log, concat!("intercept: intercept ", env!("CARGO_PKG_VERSION"), " ran for")));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["program"], "intercept");
    assert_eq!(report["relay"]["responses"], 0);
}

#[test]
fn a_pid_file_left_by_a_killed_daemon_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    assert!(launch(directory.path(), &[]).status.success());
    let mut killed = Daemon::of(&pid_file);
    killed.end(Signal::SIGKILL);
    // The lock goes with the process, which may take a moment longer than the signal.
    wait_until("a second daemon", || launch(directory.path(), &[]).status.success());
    let mut daemon = Daemon::of(&pid_file);
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(
        log.contains(&format!("pid named process {}, which ended without removing it", killed.pid)),
        "{log}"
    );
    daemon.end(Signal::SIGTERM);
    wait_until("the end", || !pid_file.exists());
}
