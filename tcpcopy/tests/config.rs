//! `--config` and `config check`, as a person sees them: the built binary, its output and its exit status.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::NamedTempFile;

/// A value for every option that takes one; an option that is not here is a switch.
const VALUES: [(&str, &str); 41] = [
    ("accelerate", "0.5"),
    ("admin", "'none'"),
    ("buffer", "64"),
    ("connections", "3"),
    ("copies", "2"),
    ("device", "['lo']"),
    ("dry-run", "'/tmp/x.pcapng'"),
    ("filter", "'tcp'"),
    ("idle-cap", "100"),
    ("idle-timeout", "900"),
    ("instance", "3"),
    ("intercept", "['127.0.0.1', '127.0.0.2']"),
    ("intercept-on", "['lo']"),
    ("interval", "5"),
    ("laps", "2"),
    ("log", "'/tmp/x.log'"),
    ("log-level", "'warn'"),
    ("loopback-source", "'10.0.0.9'"),
    ("mapping", "'80-10.0.0.2:80'"),
    ("memory", "100"),
    ("mirror", "['vxlan', 'gre']"),
    ("module", "['/nowhere.so']"),
    ("module-faults", "2"),
    ("module-timeout", "9"),
    ("mss", "1200"),
    ("mtu", "1400"),
    ("output", "'lo'"),
    ("percent", "20"),
    ("pid-file", "'/tmp/x.pid'"),
    ("port", "1234"),
    ("ramp", "60"),
    ("rate", "'500/s'"),
    ("report", "'/tmp/x.json'"),
    ("response-timeout", "30"),
    ("rtt", "1"),
    ("session-pool", "1"),
    ("share", "'1/2'"),
    ("snaplen", "2000"),
    ("source", "['10.20.0.x', 'fd00:20::/64']"),
    ("start", "'1m'"),
    ("stop", "'300'"),
];
/// What stands on the command line only.
const NOT_IN_A_FILE: [&str; 3] = ["config", "help", "version"];

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a written file");
    file
}

fn tcpcopy(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcpcopy")).args(arguments).arg(file).output().expect("the binary runs")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("sentences are UTF-8")
}

/// The long names that `--help` lists.
fn options() -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_tcpcopy")).arg("--help").output().expect("the binary runs");
    let help = text(help.stdout);
    let long = |line: &str| {
        let name = line.trim_start().trim_start_matches(|c: char| c != '-').split_once("--")?.1.to_owned();
        line.starts_with("  ").then(|| name.split([' ', '=']).next().unwrap_or_default().to_owned())
    };
    let listed = help.lines().filter(|line| line.trim_start().starts_with('-'));
    listed.filter_map(long).collect()
}

#[test]
fn every_option_can_be_given_in_a_file() {
    let options = options();
    assert!(options.len() > 40, "{options:?}");
    for option in options.iter().filter(|option| !NOT_IN_A_FILE.contains(&option.as_str())) {
        let value = VALUES.iter().find(|(name, _)| name == option).map_or("true", |(_, value)| value);
        let checked = tcpcopy(&["config", "check"], file(&format!("{option} = {value}")).path());
        // Alone it may lack what has to go with it, but it is one.
        let said = text(checked.stderr);
        assert!(!said.contains(", line "), "{option} = {value}: {said}");
        let amounts = text(checked.stdout);
        let lacks_others = said.contains("missing") || said.contains("nobody would see");
        assert!(lacks_others || amounts.contains(&format!("--{option}")), "{said}{amounts}");
    }
}

#[test]
fn every_option_stands_in_the_documentation() {
    let page = include_str!("../../docs/options.md");
    let missing: Vec<String> =
        options().into_iter().filter(|option| !page.contains(&format!("`--{option}`"))).collect();
    assert!(missing.is_empty(), "docs/options.md has no {missing:?}");
}

#[test]
fn a_whole_file_is_right_and_told_as_a_command_line() {
    let config = file(
        "# the shop\nmapping = ['80-10.0.0.2:80', '81-10.0.0.2:81']\nintercept = '127.0.0.1'\nlonely = true\n",
    );
    let checked = tcpcopy(&["config", "check"], config.path());
    assert!(checked.status.success());
    let expected =
        "tcpcopy --mapping=80-10.0.0.2:80 --mapping=81-10.0.0.2:81 --intercept=127.0.0.1 --lonely\n";
    assert_eq!(text(checked.stdout).split_once("amounts to:\n").unwrap().1, expected);
}

#[test]
fn what_is_wrong_is_one_sentence_with_the_line() {
    for (config, sentence) in [
        ("mapping = '80-10.0.0.2:80'\npercent = 0", "line 2: -r/--percent cannot be \"0\": "),
        ("intercept = '127.0.0.1'", "-x/--mapping [ADDRESS:]PORT-TARGET:PORT,... is missing"),
        ("mapping = '80-10.0.0.2:80'", "nobody would see what the targets answer: "),
        ("mapping = '80'", "line 1: -x/--mapping cannot be \"80\": "),
        ("targets = 1", "line 1: there is no option targets; "),
    ] {
        for arguments in [&["config", "check"][..], &["--config"]] {
            let output = tcpcopy(arguments, file(config).path());
            let said = text(output.stderr);
            assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
            assert!(said.contains(sentence), "{said}");
        }
    }
}
