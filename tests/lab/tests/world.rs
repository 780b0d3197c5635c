//! The lab itself, before any program is tested in it: are its hosts and hops what they say, and does it leave
//! nothing behind? Needs the right to make namespaces, as everything in the lab does.

#![allow(clippy::disallowed_methods, reason = "the lab lives in real time")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LAB: &str = env!("CARGO_BIN_EXE_lab");

#[test]
fn hosts_and_hops_are_what_they_say() {
    let output = Command::new(LAB).arg("check").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
}

#[test]
fn nothing_survives_a_killed_lab() {
    let mut lab = Command::new(LAB).arg("check").stdout(Stdio::null()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", lab.id());
    let inside: u32 = loop {
        let text = fs::read_to_string(&children).unwrap();
        if let Ok(pid) = text.trim().parse() {
            break pid;
        }
        assert!(lab.try_wait().unwrap().is_none(), "the lab ended before it could be killed");
        thread::sleep(Duration::from_millis(5));
    };
    thread::sleep(Duration::from_millis(700));
    lab.kill().unwrap();
    lab.wait().unwrap();
    let patience = Instant::now();
    while is_alive(inside) {
        assert!(patience.elapsed() < Duration::from_secs(5), "process {inside} outlives the lab");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A killed process may stay a zombie until whoever inherited it looks; it runs no more.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
    })
}

#[test]
fn unknown_scenarios_are_refused_with_a_sentence() {
    let output = Command::new(LAB)
        .args(["run", "no-such-thing"])
        .env("TCPCOPY_BIN", LAB)
        .env("INTERCEPT_BIN", LAB)
        .output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(complained.contains("`lab list` shows them all"), "{complained}");
}
