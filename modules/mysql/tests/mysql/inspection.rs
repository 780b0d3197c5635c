//! Bytes of three sides at once, and what must hold whatever they are.
//!
//! The first byte of the input chooses the configuration, the second where the bytes are cut. The rest is a session: events
//! that end with 0xa5, each with its kind in its first byte.

use mysql_mod::Mysql;
use tcpcopy_plugin_api::testing::{Cut, Outcome, Transcript, play, play_cut};
use tcpcopy_plugin_api::{Configuration, Module, Side};

const ACCOUNTS: &str = "default_account = { user = 'copy', password = 'secret' }\n";
const CONFIGURATIONS: [&str; 4] =
    ["", "compare = true", "read_only = true\ncompare = true", "lost_transaction = 'skip'"];
/// What ends an event.
pub(crate) const END: u8 = 0xa5;

/// Plays the session whole and cut, and panics where the module breaks a promise.
pub(crate) fn inspect(input: &[u8]) {
    let Some(([choice, seed], events)) = input.split_first_chunk::<2>() else { return };
    let configuration = CONFIGURATIONS[usize::from(*choice) % CONFIGURATIONS.len()];
    let text = format!("{ACCOUNTS}{configuration}");
    let module = Mysql::configure(&Configuration::new(&text, "inspection")).expect("it is right");
    let transcript = transcript(*choice >= 128, events);
    let whole = play(&module, &transcript).expect("no misuse");
    for cut in [Cut::Everywhere, Cut::Random { seed: (*seed).into() }] {
        let cut_outcome = play_cut(&module, &transcript, cut).expect("no misuse");
        assert_said(&whole, &cut_outcome);
    }
    if configuration.starts_with("read_only") {
        assert_reads_only(&whole);
    }
}

fn transcript(is_joined: bool, events: &[u8]) -> Transcript {
    let begun = if is_joined { Transcript::new().joined() } else { Transcript::new() };
    events.split(|byte| *byte == END).fold(begun, |transcript, event| {
        let Some((kind, bytes)) = event.split_first() else { return transcript };
        match kind % 12 {
            0..=3 => transcript.client(bytes),
            4..=6 => transcript.target(bytes),
            7 | 8 => transcript.online(bytes),
            9 => transcript.missing(Side::Online, bytes.len() as u64),
            10 => transcript.moves(),
            _ => transcript.reconnect(),
        }
    })
}

/// No statement that writes is said, wherever it stood.
fn assert_reads_only(outcome: &Outcome) {
    for connection in &outcome.connections {
        let says_insert = connection.said.windows(12).any(|part| part == b"\x03INSERT INTO");
        assert!(!says_insert, "{}", connection.said.escape_ascii());
    }
}

/// Both say the same, one perhaps more of it: how much of the servers' answers was there when the user spoke is a question
/// of how they come.
fn assert_said(whole: &Outcome, cut: &Outcome) {
    for (ours, theirs) in whole.connections.iter().zip(&cut.connections) {
        let common = ours.said.len().min(theirs.said.len());
        assert_eq!(ours.said[..common], theirs.said[..common]);
    }
}
