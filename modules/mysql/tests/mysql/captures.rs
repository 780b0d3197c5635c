//! Real traffic, recorded by others (`../shared/traces` beside the repository), replayed against a target that answers as
//! the online server did.

use std::collections::BTreeSet;
use std::fs;

use mysql_mod::Mysql;
use tcpcopy_plugin_api::testing::{Outcome, check_every_split, play};
use tcpcopy_plugin_api::{Answer, Configuration, Module};

use crate::reassembly::{Connection, load, traces};

const CONFIGURATION: &str = "compare = true\ndefault_account = { user = 'copy', password = 'secret' }";

/// What a file holds, connection by connection.
struct Facts {
    file: &'static str,
    /// Why connections were given up, in words of the reason.
    gave_up: &'static [&'static str],
    /// How many commands of the others were answered.
    answered: &'static [usize],
    /// Every split of the bytes says the same. Not so where a password is encrypted, which is never twice the same.
    is_repeatable: bool,
}

const DENIED: &str = "error 1045, access denied";
const HOST: &str = "error 1130";

const CAPTURES: [Facts; 5] = [
    Facts {
        file: "auth.pcap",
        gave_up: &[HOST, HOST, HOST, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED, DENIED],
        answered: &[2],
        is_repeatable: true,
    },
    Facts {
        file: "caching_sha2_password.pcap",
        gave_up: &["error 1158"],
        answered: &[5, 5],
        is_repeatable: false,
    },
    Facts { file: "change-user-success.pcap", gave_up: &[], answered: &[6], is_repeatable: true },
    Facts { file: "encrypted.pcap", gave_up: &["TLS"], answered: &[], is_repeatable: true },
    Facts { file: "mysql.pcap", gave_up: &[], answered: &[17], is_repeatable: true },
];

fn outcomes(connections: &[Connection], is_repeatable: bool) -> Vec<Outcome> {
    let module = Mysql::configure(&Configuration::new(CONFIGURATION, "mysql.toml")).expect("it is right");
    let outcome = |connection: &Connection| {
        let transcript = connection.transcript();
        if is_repeatable {
            check_every_split(&module, &transcript).unwrap_or_else(|failure| panic!("{failure}"))
        } else {
            play(&module, &transcript).expect("no misuse")
        }
    };
    connections.iter().map(outcome).collect()
}

#[test]
fn the_table_has_every_capture() {
    let Some(traces) = traces("mysql") else { return };
    let files = fs::read_dir(traces).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let listed: BTreeSet<_> = CAPTURES.iter().map(|facts| facts.file.to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), listed);
}

#[test]
fn every_capture_is_read_command_by_command() {
    let Some(traces) = traces("mysql") else { return };
    for Facts { file, gave_up, answered, is_repeatable } in CAPTURES {
        let outcomes = outcomes(&load(&traces, file), is_repeatable);
        let reasons: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.gave_up.as_deref()).collect();
        assert_eq!(reasons.len(), gave_up.len(), "{file}: {reasons:?}");
        for (reason, expected) in reasons.iter().zip(gave_up) {
            assert!(reason.contains(expected), "{file}: {reason}");
        }
        let others = outcomes.iter().filter(|outcome| outcome.gave_up.is_none());
        let counts: Vec<_> = others.map(|outcome| outcome.exchanges.len()).collect();
        assert_eq!(counts, answered, "{file}");
    }
}

#[test]
fn answers_that_are_the_same_compare_as_the_same() {
    let Some(traces) = traces("mysql") else { return };
    for Facts { file, is_repeatable, .. } in CAPTURES {
        for outcome in outcomes(&load(&traces, file), is_repeatable) {
            for exchange in &outcome.exchanges {
                let told = |answer: Option<Answer>| answer.map(|answer| (answer.outcome, answer.size));
                assert!(exchange.online.is_some(), "{file}: {}", exchange.label);
                assert_eq!(told(exchange.online), told(exchange.target), "{file}: {}", exchange.label);
            }
        }
    }
}
