//! What a person sees of tcpcopy's command line: the built binary, its output and its exit status.

use std::process::{Command, Output};

fn tcpcopy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcpcopy")).args(arguments).output().expect("the binary runs")
}

/// Runs tcpcopy with a command line that is wrong, and returns the one line it says.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = tcpcopy(arguments);
    let said = String::from_utf8(output.stderr).expect("sentences are UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_end().to_owned()
}

#[test]
fn help_names_every_option() {
    let long = tcpcopy(&["--help"]);
    assert!(long.status.success() && long.stderr.is_empty());
    assert_eq!(tcpcopy(&["-h"]).stdout, long.stdout);
    let text = String::from_utf8(long.stdout).unwrap();
    for option in [
        "-x, --mapping",
        "-s, --intercept",
        "-c, --source",
        "-H, --loopback-source",
        "-r, --percent",
        "-g, --gradual",
        "--ramp",
        "--share",
        "-n, --copies",
        "-f, --instance",
        "-O, --only-whole",
        "--udp",
        "-i, --device",
        "-F, --filter",
        "-B, --buffer",
        "-S, --snaplen",
        "--mirror",
        "--pcap-capture",
        "--offline",
        "-a, --accelerate",
        "--rate",
        "--top-speed",
        "-I, --idle-cap",
        "-T, --laps",
        "--start",
        "--stop",
        "-p, --port",
        "-C, --connections",
        "-L, --lonely",
        "--single",
        "--dnat",
        "-t, --response-timeout",
        "-k, --idle-timeout",
        "-M, --mtu",
        "-D, --mss",
        "-R, --rtt",
        "-W, --overlap-turns",
        "-m, --memory",
        "--module <",
        "--module-faults",
        "--admin",
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
    assert!(!text.contains("--detached"), "an internal option is in the help");
}

#[test]
fn doctor_and_plan_take_the_options_of_a_replay_and_refuse_the_same() {
    for command in ["doctor", "plan"] {
        assert!(tcpcopy(&[command, "--help"]).status.success());
        assert_eq!(
            refused(&[command, "-x", "80-10.10.3.2:8080"]),
            "tcpcopy: -s/--intercept HOST[:PORT],... is missing; --help explains every option"
        );
        let contradictory = ["80-10.10.3.2:80,80-10.10.3.4:80", "-s", "10.10.3.3"];
        assert!(
            refused(&[&[command, "-x"], &contradictory[..]].concat())
                .contains("sends the same users to 10.10.3.2:80")
        );
    }
}

#[test]
fn plan_prints_commands_with_the_options_as_they_were_typed() {
    let output =
        tcpcopy(&["plan", "-x", "80-10.10.3.2:8080", "-s", "10.10.3.3", "-F", "tcp and dst port 80"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last();
    assert_eq!(last, Some("tcpcopy -x 80-10.10.3.2:8080 -s 10.10.3.3 -F 'tcp and dst port 80'"));
}

#[test]
fn a_doctor_that_finds_a_problem_ends_with_status_1() {
    // Nobody listens there: a target and an intercept on loopback that both refuse.
    let options = ["-x", "127.0.0.1:9-127.0.0.1:1", "-s", "127.0.0.1:2", "-c", "127.0.0.2"];
    let output = tcpcopy(&[&["doctor"], &options[..]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("problem  feed        no intercept is reachable at")),
        "{text}"
    );
    let json = tcpcopy(&[&["doctor", "--json"], &options[..]].concat());
    let findings: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["state"] == "problem"));
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = concat!("tcpcopy ", env!("CARGO_PKG_VERSION"), "\n");
    for option in ["-v", "--version"] {
        let output = tcpcopy(&[option]);
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}

#[test]
fn what_is_missing_is_told_in_one_sentence() {
    assert_eq!(
        refused(&[]),
        "tcpcopy: -x/--mapping [ADDRESS:]PORT-TARGET:PORT,... and -s/--intercept HOST[:PORT],... are missing; \
         --help explains every option"
    );
    assert_eq!(
        refused(&["-x", "80-10.10.3.2:8080"]),
        "tcpcopy: -s/--intercept HOST[:PORT],... is missing; --help explains every option"
    );
}

#[test]
fn a_wrong_value_is_told_in_one_sentence() {
    let with = |arguments: &[&str]| {
        let usual = ["-x", "80-10.10.3.2:8080", "-s", "10.10.3.3"];
        refused(&[&usual[..], arguments].concat())
    };
    assert_eq!(
        with(&["-M", "70000"]),
        "tcpcopy: -M/--mtu cannot be \"70000\": it takes a number from 256 to 65535 (bytes)"
    );
    assert_eq!(
        with(&["-D", "20"]),
        "tcpcopy: -D/--mss cannot be \"20\": it takes a number from 88 to 65495 (bytes)"
    );
    assert_eq!(
        with(&["-r", "0"]),
        "tcpcopy: -r/--percent cannot be \"0\": it takes a number from 1 to 100 (per cent)"
    );
    assert_eq!(
        with(&["-C", "-1"]),
        "tcpcopy: -C/--connections cannot be \"-1\": it takes a number from 1 to 64 (connections)"
    );
    assert_eq!(
        with(&["-p", "x"]),
        "tcpcopy: -p/--port cannot be \"x\": it takes a number from 1 to 65535 (a TCP port)"
    );
    assert_eq!(
        with(&["-R", "1s"]),
        "tcpcopy: -R/--rtt cannot be \"1s\": it takes a number from 0 to 60000 (milliseconds)"
    );
    assert_eq!(
        with(&["-t", "0"]),
        "tcpcopy: -t/--response-timeout cannot be \"0\": it takes a number from 1 to 604800 (seconds)"
    );
    assert_eq!(
        with(&["-m", "0"]),
        "tcpcopy: -m/--memory cannot be \"0\": it takes a number from 1 to 1048576 (MB)"
    );
    assert_eq!(
        with(&["-B", "4096"]),
        "tcpcopy: -B/--buffer cannot be \"4096\": it takes a number from 1 to 2047 (MB)"
    );
    assert_eq!(
        with(&["-i", "eth0,,eth1"]),
        "tcpcopy: -i/--device cannot be empty: it takes names of network devices, as in eth0 or eth0,eth1; or of \
         capture files, with --offline"
    );
    assert_eq!(
        with(&["-c", "10.20.0.300"]),
        "tcpcopy: -c/--source cannot be \"10.20.0.300\": \"10.20.0.300\" is not an IP address; it takes addresses, \
         10.20.0.x (.1 to .254), prefixes as 10.20.0.0/16 and ranges as 10.20.0.5-10.20.0.9"
    );
    assert_eq!(
        with(&["--log-level", "loud"]),
        "tcpcopy: --log-level cannot be \"loud\": it takes error, warn, info, debug or trace"
    );
    assert_eq!(
        with(&["-g", "-r", "20"]),
        "tcpcopy: -g/--gradual and -r/--percent exclude each other; give one of them"
    );
    assert_eq!(
        with(&["--ramp", "60", "-r", "20"]),
        "tcpcopy: --ramp and -r/--percent exclude each other; give one of them"
    );
    assert_eq!(
        with(&["-n", "0"]),
        "tcpcopy: -n/--copies cannot be \"0\": it takes a number from 1 to 1023 (copies)"
    );
    assert_eq!(
        with(&["-f", "32"]),
        "tcpcopy: -f/--instance cannot be \"32\": it takes a number from 0 to 31 (the number of a tcpcopy)"
    );
    assert_eq!(
        with(&["--share", "3/2"]),
        "tcpcopy: --share cannot be \"3/2\": it is no part of a whole; it takes one of up to 64 parts, as 1/3, 2/3 \
         and 3/3"
    );
    assert_eq!(with(&["-z"]), "tcpcopy: there is no option -z; --help lists the options");
}

#[test]
fn options_of_connections_are_refused_for_datagrams() {
    for (arguments, option) in [
        (&["-W"][..], "-W/--overlap-turns"),
        (&["-O"], "-O/--only-whole"),
        (&["-R", "5"], "-R/--rtt"),
        (&["-t", "5"], "-t/--response-timeout"),
        (&["-k", "5"], "-k/--idle-timeout"),
        (&["-D", "1200"], "-D/--mss"),
        (&["--module", "x.so"], "--module"),
        (&["--module-faults", "2"], "--module-faults"),
        (&["--admin", "none"], "--admin"),
        (&["--top-speed"], "--top-speed"),
    ] {
        let sentence = refused(&[&["-x", "53-10.10.3.2:53", "--udp"][..], arguments].concat());
        let either = [("--udp", option), (option, "--udp")]
            .map(|(one, other)| format!("tcpcopy: {one} and {other} exclude each other; give one of them"));
        assert!(either.contains(&sentence), "{sentence}");
    }
}

#[test]
fn commands_about_connections_are_refused_for_datagrams() {
    for command in ["doctor", "plan"] {
        assert_eq!(
            refused(&[command, "-x", "53-10.10.3.2:53", "--udp"]),
            format!(
                "tcpcopy: {command} is about TCP: with --udp there is no intercept, and nothing comes back"
            )
        );
    }
}

#[test]
fn a_wrong_mapping_or_intercept_is_told_in_one_sentence() {
    let allowed = "it takes PORT-TARGET:PORT or ADDRESS:PORT-TARGET:PORT, as in 80-10.10.3.2:8080";
    assert_eq!(
        refused(&["-s", "10.10.3.3", "-x", "80-10.10.3.2:8080,81-10.10.3.2"]),
        format!(
            "tcpcopy: -x/--mapping cannot be \"81-10.10.3.2\": the target 10.10.3.2 has no port; {allowed}"
        )
    );
    assert_eq!(
        refused(&["-s", "10.10.3.3", "-x", "-10.10.3.2:8080"]),
        format!(
            "tcpcopy: -x/--mapping cannot be \"-10.10.3.2:8080\": the online address is missing; {allowed}"
        )
    );
    assert_eq!(
        refused(&["-x", "80-10.10.3.2:8080", "-s", "10.10.3.3:0"]),
        "tcpcopy: -s/--intercept cannot be \"10.10.3.3:0\": the intercept has the port \"0\", which is not a number \
         from 1 to 65535; it takes an address or a name, with or without a port, as in 10.10.3.3:36524"
    );
}

#[test]
fn what_cannot_go_together_is_told_in_one_sentence() {
    assert_eq!(
        refused(&["-x", "80-127.0.0.1:80", "-s", "127.0.0.1"]),
        "tcpcopy: -x/--mapping 80-127.0.0.1:80: the target is this machine's own port 80, which is also the online \
         one; give the online address if they are two servers"
    );
}

#[test]
fn options_of_files_and_of_devices_are_told_apart_in_one_sentence() {
    let with = |arguments: &[&str]| {
        let usual = ["-x", "80-10.10.3.2:8080", "-s", "10.10.3.3"];
        refused(&[&usual[..], arguments].concat())
    };
    for (option, value) in [
        ("-a/--accelerate", "2"),
        ("--rate", "500/s"),
        ("-I/--idle-cap", "100"),
        ("-T/--laps", "2"),
        ("--start", "1m"),
        ("--stop", "90"),
    ] {
        let long = &option[option.find("--").unwrap()..];
        assert_eq!(
            with(&[long, value]),
            format!("tcpcopy: {option} is for files only; give --offline, and the files with -i")
        );
    }
    assert_eq!(
        with(&["--offline"]),
        "tcpcopy: --offline needs -i: the capture files, or - for standard input"
    );
    assert_eq!(
        with(&["--offline", "-i", "lo"]),
        "tcpcopy: lo is a network device, and --offline replays files; leave --offline out, or name files with -i"
    );
    assert_eq!(
        with(&["-i", "./a.pcap"]),
        "tcpcopy: -i/--device cannot be \"./a.pcap\": it takes names of network devices, as in eth0 or eth0,eth1; \
         to replay files give --offline as well"
    );
    assert_eq!(
        with(&["--offline", "-i", "-", "-a", "2", "--top-speed"]),
        "tcpcopy: -a/--accelerate and --top-speed exclude each other; give one of them"
    );
    assert_eq!(
        with(&["--offline", "-i", "-", "--start", "9", "--stop", "9"]),
        "tcpcopy: --stop must be farther on than --start: nothing would be replayed"
    );
    assert_eq!(
        with(&["--mirror", "vxlan"]),
        "tcpcopy: --mirror needs -i: the device on which the mirrored packets arrive"
    );
    assert_eq!(
        with(&["--offline", "-i", "-", "--mirror", "vxlan"]),
        "tcpcopy: --mirror is for live captures; in files, tunnels are always looked into"
    );
    assert_eq!(
        with(&["--offline", "-i", "-", "-a", "0"]),
        "tcpcopy: -a/--accelerate cannot be \"0\": it takes a number from 0.001 to 100000, as in 2 or 0.5"
    );
}

#[test]
fn a_file_that_cannot_be_replayed_is_named_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text.pcap");
    std::fs::write(&path, "no capture at all, just some words").unwrap();
    let missing = directory.path().join("*.cap");
    for (name, expected) in [(&path, "is no capture file"), (&missing, "there is no file")] {
        let usual =
            ["-x", "80-10.10.3.2:8080", "-s", "127.0.0.1", "-L", "--admin", "none", "--offline", "-i"];
        let output = tcpcopy(&[&usual[..], &[name.to_str().unwrap()]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_is_wrong_with_a_module_is_told_in_one_sentence() {
    let with = |module| ["-x", "80-10.10.3.2:8080", "-s", "127.0.0.1", "-i", "lo", "--module", module];
    assert_eq!(refused(&with("81=./m.so")), "tcpcopy: --module: there is no mapping 81; -x has 80");
    assert_eq!(
        refused(&with("80=")),
        "tcpcopy: --module cannot be \"80=\": the file of the module is missing; it takes FILE, FILE:CONFIG or either \
         behind MAPPING=, as in 80=./libhttp_mod.so:http.toml"
    );
    let output = tcpcopy(&with("/nowhere/libm.so"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(
        said,
        "tcpcopy: module /nowhere/libm.so: there is no such file; give the path of the module's shared library\n"
    );
}

#[test]
fn wrong_questions_are_told_in_one_sentence() {
    assert_eq!(
        refused(&["ctl"]),
        "tcpcopy: the command is missing: status, modules, swap, reload, sessions, stats, log"
    );
    assert_eq!(
        refused(&["ctl", "swap"]),
        "tcpcopy: MAPPING and FILE[:CONFIG] are missing; --help explains every option"
    );
    assert_eq!(
        refused(&["ctl", "log", "loud"]),
        "tcpcopy: LEVEL cannot be \"loud\": it takes error, warn, info, debug or trace"
    );
    assert_eq!(
        refused(&["-L", "ctl", "status"]),
        "tcpcopy: ctl is a command, which no option stands in front of; write it first"
    );
    let output = tcpcopy(&["ctl", "--socket", "/nowhere/1.sock", "status"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said, "tcpcopy: no tcpcopy can be reached at /nowhere/1.sock: there is no such socket\n");
}

#[test]
fn a_start_that_fails_is_told_in_one_sentence() {
    let output =
        tcpcopy(&["-x", "80-10.10.3.2:8080", "-s", "127.0.0.1", "-i", "no-such-device", "--interval", "0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("tcpcopy: cannot capture on no-such-device: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_the_start() {
    for (option, what) in [("-l", "log file"), ("-P", "pid file"), ("--report", "report")] {
        let output = tcpcopy(&["-x", "80-10.10.3.2:8080", "-s", "127.0.0.1", option, "/proc/nowhere/file"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let expected = format!("tcpcopy: cannot write the {what} /proc/nowhere/file: ");
        assert!(said.starts_with(&expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_daemon_that_cannot_start_says_so_on_the_terminal_and_in_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let output = tcpcopy(&[
        "-x",
        "80-10.10.3.2:8080",
        "-s",
        "127.0.0.1",
        "-i",
        "no-such-device",
        "-d",
        "-l",
        log.to_str().unwrap(),
    ]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let logged = std::fs::read_to_string(log).unwrap();
    assert!(logged.contains("ERROR tcpcopy: cannot capture on no-such-device: "), "{logged}");
}
