//! `config check`, as a person sees it: the built binary, its output and its exit status.

use std::io::Write;
use std::process::{Command, Output};

use tempfile::NamedTempFile;

/// Every option that may stand in a file, but for those that exclude others.
const ALL: &str = "\
device = ['eth0', 'eth1']
filter = 'tcp and src port 8080'
buffer = 64
port = 7000
bind = '::'
docker = '172.17.0.2-10.0.0.2'
dnat = true
combined = 8
log = '/tmp/x.log'
log-level = 'warn'
pid-file = '/tmp/x.pid'
daemon = true
report = '/tmp/x.json'
interval = 5
hash-size = 65536
queue-length = 4096
passed = '10.0.0.1'
protect = true
traditional = true
nfqueue = true
pcap-capture = true
million = true
select = true
";

const LEFT_OUT: [&str; 6] = ["config", "help", "version", "single", "with-resp-payload", "disable-combined"];

fn check(text: &str) -> Output {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a written file");
    let mut intercept = Command::new(env!("CARGO_BIN_EXE_intercept"));
    intercept.args(["config", "check"]).arg(file.path()).output().expect("the binary runs")
}

#[test]
fn every_option_can_be_given_in_a_file() {
    let checked = check(ALL);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}");
    let help = Command::new(env!("CARGO_BIN_EXE_intercept")).arg("--help").output().expect("the binary runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let amounts = String::from_utf8_lossy(&checked.stdout).into_owned();
    let options = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
    let options: Vec<&str> = options.filter(|name| !name.is_empty()).collect();
    assert!(options.len() > 20, "{options:?}");
    let page = include_str!("../../docs/options.md");
    for option in options {
        assert!(page.contains(&format!("`--{option}`")), "docs/options.md has no --{option}");
        let is_left_out = LEFT_OUT.contains(&option);
        assert!(is_left_out || amounts.contains(&format!("--{option}")), "--{option} is not in {amounts}");
    }
}

#[test]
fn what_is_wrong_is_one_sentence_with_the_line() {
    for (text, sentence) in [
        ("filter = 'tcp'\nprt = 3", "line 2: there is no option prt; "),
        ("port = 3", "-F/--filter EXPRESSION is missing"),
    ] {
        let checked = check(text);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!((checked.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
}
