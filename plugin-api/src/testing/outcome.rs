//! What a module made of a transcript.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{Depth, Exchange};

/// What a module made of a transcript: everything that tcpcopy, the target or a report would notice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was said, connection by connection; the last is the present one.
    pub connections: Vec<Connection>,
    /// How many client bytes were discarded, by reason. What was withdrawn with its turn is not counted.
    pub discarded: BTreeMap<String, u64>,
    /// The exchanges recorded.
    pub exchanges: Vec<Exchange>,
    /// How often each [remark](crate::Actions::remark) was made.
    pub remarks: BTreeMap<String, u64>,
    /// Why the conversation gave up, if it did. Nothing of the transcript was played after that.
    pub gave_up: Option<String>,
    /// How many client bytes nobody dealt with.
    pub left: u64,
    /// Whether the engine guesses turns at the end: no turn was opened, or [`guess_turns`](
    /// crate::Actions::guess_turns) was called since.
    pub guessing: bool,
    /// How much of the target's packets is wanted at the end.
    pub depth: Depth,
    /// Whether the online server's answers are wanted at the end.
    pub wants_online: bool,
    /// How often the session [moved](crate::testing::Transcript::moves).
    pub moves: u32,
}

/// What was said on one connection to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// The bytes.
    pub said: Vec<u8>,
    /// Where among them turns were opened.
    pub turns: Vec<u64>,
    /// Where among them it is waited for the target.
    pub waits: Vec<u64>,
    /// Where in the target's stream turns were completed, in their order.
    pub completed: Vec<u64>,
}

impl Outcome {
    /// What was said on the present connection.
    #[must_use]
    pub fn said(&self) -> &[u8] {
        self.connections.last().map_or(&[], |connection| &connection.said)
    }

    /// The present connection.
    ///
    /// # Panics
    /// Never for an outcome of [`play`](crate::testing::play): a session has a connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.connections.last().expect("a session has a connection")
    }

    /// The first thing in which `other` differs, in words; `None` if it agrees.
    ///
    /// Actions of a call that gives up are not carried out, so how much was done before depends on the calls: where
    /// both gave up, one may have said more than the other, but nothing else.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self.gave_up.is_some() && self.gave_up == other.gave_up {
            return self.contradiction(other);
        }
        said_difference(&self.connections, &other.connections)
            .or_else(|| differs("gave_up", &self.gave_up, &other.gave_up))
            .or_else(|| differs("connections", &self.connections, &other.connections))
            .or_else(|| differs("discarded", &self.discarded, &other.discarded))
            .or_else(|| exchange_difference(&self.exchanges, &other.exchanges))
            .or_else(|| differs("left", &self.left, &other.left))
            .or_else(|| (self != other).then(|| format!("{self:?}\ninstead of {other:?}")))
    }

    fn contradiction(&self, other: &Self) -> Option<String> {
        let pairs = self.connections.iter().zip(&other.connections);
        pairs.enumerate().find_map(|(index, (ours, theirs))| {
            let common = ours.said.len().min(theirs.said.len());
            bytes_difference(index, ours.said.get(..common)?, theirs.said.get(..common)?)
        })
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Option<String> {
    (expected != found).then(|| format!("{what} is {found:?}\ninstead of {expected:?}"))
}

fn said_difference(expected: &[Connection], found: &[Connection]) -> Option<String> {
    let pairs = expected.iter().zip(found);
    pairs.enumerate().find_map(|(index, (ours, theirs))| bytes_difference(index, &ours.said, &theirs.said))
}

fn exchange_difference(expected: &[Exchange], found: &[Exchange]) -> Option<String> {
    let pairs = expected.iter().zip(found).enumerate();
    pairs
        .filter_map(|(index, (ours, theirs))| differs(&format!("exchange {index}"), ours, theirs))
        .next()
        .or_else(|| differs("the number of exchanges", &expected.len(), &found.len()))
}

fn bytes_difference(connection: usize, expected: &[u8], found: &[u8]) -> Option<String> {
    if expected == found {
        return None;
    }
    let place = expected.iter().zip(found).take_while(|(ours, theirs)| ours == theirs).count();
    let around = |bytes: &[u8]| {
        let from = place.saturating_sub(20);
        bytes.get(from..bytes.len().min(place + 20)).unwrap_or_default().escape_ascii().to_string()
    };
    let mut text = format!("at byte {place} of connection {connection}, ");
    let _ = write!(text, "\"{}\" is said\ninstead of \"{}\"", around(found), around(expected));
    Some(text)
}
