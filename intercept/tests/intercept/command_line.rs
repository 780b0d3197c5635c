//! What a person sees of intercept's command line: the built binary, its output and its exit status.

use std::process::{Command, Output};

fn intercept(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_intercept")).args(arguments).output().expect("the binary runs")
}

/// Runs intercept with a command line it cannot work with, and returns the one line it says.
#[track_caller]
fn refused(status: i32, arguments: &[&str]) -> String {
    let output = intercept(arguments);
    let said = String::from_utf8(output.stderr).expect("sentences are UTF-8");
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().to_owned()
}

#[test]
fn help_names_every_option() {
    let output = intercept(&["--help"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(intercept(&["-h"]).stdout, output.stdout);
    let text = String::from_utf8(output.stdout).unwrap();
    for option in [
        "-i, --device",
        "-F, --filter",
        "-B, --buffer",
        "-p, --port",
        "-b, --bind",
        "--single",
        "-D, --docker",
        "--dnat",
        "-n, --combined",
        "--disable-combined",
        "--with-resp-payload",
        "-s, --hash-size",
        "-q, --queue-length",
        "-x, --passed",
        "-c, --protect",
        "--traditional",
        "--nfqueue",
        "--pcap-capture",
        "--million",
        "--select",
        "-l, --log",
        "--log-level",
        "-P, --pid-file",
        "-d, --daemon",
        "--report",
        "--interval",
        "-h, --help",
        "-v, --version",
    ] {
        assert!(text.contains(option), "{option} is not in the help");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = intercept(&["-v"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        concat!("intercept ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_wrong_value_is_told_in_one_sentence() {
    assert_eq!(
        refused(2, &["-i", "eth0"]),
        "intercept: -F/--filter EXPRESSION is missing; --help explains every option"
    );
    assert_eq!(
        refused(2, &["-F", ""]),
        "intercept: -F/--filter cannot be empty: it takes a filter in the language of pcap-filter(7), as in 'tcp and \
         src port 8080'"
    );
    assert_eq!(
        refused(2, &["-F", "tcp", "-b", "10.0.0"]),
        "intercept: -b/--bind cannot be \"10.0.0\": it takes an address of this machine, as in 10.10.3.3, 0.0.0.0 or ::"
    );
    assert_eq!(
        refused(2, &["-F", "tcp", "-p", "0"]),
        "intercept: -p/--port cannot be \"0\": it takes a number from 1 to 65535 (a TCP port)"
    );
    assert_eq!(
        refused(2, &["-F", "tcp", "-D", "10.0.0.1"]),
        "intercept: -D/--docker cannot be \"10.0.0.1\": it takes the address that responses are sent to and the one \
         tcpcopy speaks from, as in 172.17.0.1-10.10.1.1"
    );
    assert_eq!(
        refused(2, &["-F", "tcp", "-n", "17"]),
        "intercept: -n/--combined cannot be \"17\": it takes a number from 0 to 16 (headers)"
    );
}

#[test]
fn a_start_that_fails_is_told_in_one_sentence() {
    let said = refused(1, &["-F", "tcp", "-i", "no-such-device"]);
    assert!(said.starts_with("intercept: cannot capture on no-such-device: "), "{said}");
}
