//! Bytes of three sides at once, and what must hold whatever they are.
//!
//! The first byte of the input chooses the configuration, the second where the bytes are cut. The rest is a session: events
//! that end with 0xff, each with its kind in its first byte.

use http_mod::Http;
use tcpcopy_plugin_api::testing::{Connection, Cut, Outcome, Transcript, play, play_cut};
use tcpcopy_plugin_api::{Configuration, Module, Side};

const CONFIGURATIONS: [&str; 6] = [
    "",
    "compare = true",
    "malformed = 'give_up'\ncompare = true",
    "read_only = true\ncompare = true",
    "compare = true\nrewrite.host = 'test'\nsample.percent = 50",
    "[[never]]\npath = '^/n'",
];
/// What ends an event.
pub(crate) const END: u8 = 0xff;

/// A session as the input describes it.
struct Session {
    transcript: Transcript,
    client: Vec<u8>,
    /// Whether the user's stream is whole, and said on one connection.
    is_plain: bool,
    /// Whether the user may be held back until the target has answered. How many of the answers are read before the
    /// user's next request is then a question of how they come.
    is_held: bool,
}

/// Plays the session whole and cut, and panics where the module breaks a promise.
pub(crate) fn inspect(input: &[u8]) {
    let Some(([choice, seed], events)) = input.split_first_chunk::<2>() else { return };
    let configuration = CONFIGURATIONS[usize::from(*choice) % CONFIGURATIONS.len()];
    let module = Http::configure(&Configuration::new(configuration, "inspection")).expect("it is right");
    let session = session(events);
    let whole = play(&module, &session.transcript).expect("no misuse");
    for cut in [Cut::Everywhere, Cut::Random { seed: (*seed).into() }] {
        let cut_outcome = play_cut(&module, &session.transcript, cut).expect("no misuse");
        if session.is_held {
            // What a new connection is told depends on the answers that were read before it.
            assert_said(&whole.connections[..1], &cut_outcome.connections[..1]);
        } else {
            assert_same(&whole, &cut_outcome);
        }
    }
    if configuration.starts_with("read_only") {
        assert_reads_only(&whole);
    }
    let changes_nothing = !["read_only", "[[never]]", "sample"].iter().any(|key| configuration.contains(key));
    if session.is_plain && changes_nothing && whole.gave_up.is_none() {
        let (said, unsaid) = session.client.split_at(whole.said().len());
        assert_eq!(said, whole.said(), "what is said is what was captured");
        assert_eq!(unsaid.len() as u64, whole.left, "and the rest waits");
    }
}

fn session(events: &[u8]) -> Session {
    let mut session =
        Session { transcript: Transcript::new(), client: Vec::new(), is_plain: true, is_held: false };
    for event in events.split(|byte| *byte == END) {
        let Some((kind, bytes)) = event.split_first() else { continue };
        let count = bytes.iter().map(|byte| u64::from(*byte)).sum();
        let transcript = session.transcript;
        session.transcript = match kind % 12 {
            0..=3 => {
                session.client.extend_from_slice(bytes);
                transcript.client(bytes)
            }
            4 | 5 => transcript.target(bytes),
            6 => transcript.online(bytes),
            7 => transcript.missing(Side::Target, count),
            8 => transcript.missing(Side::Online, count),
            9 => transcript.ends(Side::Target),
            10 => transcript.moves(),
            _ => {
                session.is_plain = false;
                transcript.reconnect()
            }
        };
    }
    let client = session.client.to_ascii_lowercase();
    session.is_held = [&b"connect "[..], b"upgrade:"].iter().any(|sign| contains(&client, sign));
    session
}

fn contains(text: &[u8], sought: &[u8]) -> bool {
    text.windows(sought.len()).any(|window| window == sought)
}

/// Every turn begins with a method that only reads.
fn assert_reads_only(outcome: &Outcome) {
    for connection in &outcome.connections {
        for turn in &connection.turns {
            let said = connection.said.get(*turn as usize..).unwrap_or_default();
            let request = said.trim_ascii_start();
            let safe = [&b"GET "[..], b"HEAD ", b"OPTIONS "];
            assert!(safe.iter().any(|method| request.starts_with(method)), "{}", request.escape_ascii());
        }
    }
}

/// Both are the same, except that one that gave up may have got further before.
fn assert_same(whole: &Outcome, cut: &Outcome) {
    if whole.gave_up.is_none() || whole.gave_up != cut.gave_up {
        assert_eq!(whole, cut);
        return;
    }
    assert_said(&whole.connections, &cut.connections);
}

/// Both say the same, one perhaps more of it.
fn assert_said(whole: &[Connection], cut: &[Connection]) {
    for (ours, theirs) in whole.iter().zip(cut) {
        let common = ours.said.len().min(theirs.said.len());
        assert_eq!(ours.said[..common], theirs.said[..common]);
    }
}
