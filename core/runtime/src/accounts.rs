//! What was captured and what became of it, as sums that agree.

use serde::{Deserialize, Serialize};
use tcpcopy_engine::{Pending, Statistics};

/// Turns or bytes: `captured` is always the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Taken into sessions.
    pub captured: u64,
    /// The target acknowledged them.
    pub delivered: u64,
    /// The target did not take them.
    pub lost: u64,
    /// Neither yet.
    pub pending: u64,
    /// Left out by modules.
    pub discarded: u64,
}

impl Account {
    /// The engine counts all but what the target took, which is everything else.
    const fn new(captured: u64, lost: u64, pending: u64, discarded: u64) -> Self {
        let delivered = captured.saturating_sub(lost + pending + discarded);
        Self { captured, delivered, lost, pending, discarded }
    }
}

/// The accounts of turns and of payload bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Turns; modules leave out bytes, and what is never said is no turn.
    pub turns: Account,
    /// Bytes that users said.
    pub bytes: Account,
}

impl Accounts {
    /// The accounts of an engine at one moment.
    #[must_use]
    pub fn of(engine: &Statistics, pending: &Pending) -> Self {
        let bytes = (engine.bytes_captured, engine.bytes_lost(), engine.bytes_discarded);
        Self {
            turns: Account::new(engine.turns_captured, engine.turns_lost(), pending.turns, 0),
            bytes: Account::new(bytes.0, bytes.1, pending.bytes, bytes.2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_took_what_is_nowhere_else() {
        let engine = Statistics {
            turns_captured: 10,
            turns_lost_to_resets: 2,
            bytes_captured: 100,
            bytes_lost_to_resets: 20,
            bytes_discarded: 30,
            ..Statistics::default()
        };
        let accounts = Accounts::of(&engine, &Pending { turns: 1, bytes: 5, ..Pending::default() });
        assert_eq!(accounts.turns, Account { captured: 10, delivered: 7, lost: 2, pending: 1, discarded: 0 });
        let bytes = Account { captured: 100, delivered: 45, lost: 20, pending: 5, discarded: 30 };
        assert_eq!(accounts.bytes, bytes);
    }
}
