//! What the target executed of what the online server executed: every session's commands, in order.
//!
//! Sessions that were replayed whole are equal as whole lists. What is left was joined in its middle or went on after
//! the target had dropped it: there, what the target executed is made of pieces of what the online server executed,
//! and a module's own words stand before a piece: the login and what restores the session.

mod ledger;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::ledger::Ledger;
use crate::mysql::general_log::{Command, GeneralLog, Session};
use crate::scenario::outcome::{ServerSummary, UsersSummary};
use crate::traffic::Tally;

/// A statement with this in it is not to reach the target.
pub const HELD_BACK: &str = "held-back";

/// How often both servers executed a kind of command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The server's word for it.
    pub command: String,
    /// By the online server.
    pub online: u64,
    /// By the target server.
    pub target: u64,
}

/// Both servers' logs, and what of the one is in the other.
#[derive(Debug, Clone)]
pub struct Databases {
    online: GeneralLog,
    target: GeneralLog,
    /// In figures.
    pub account: Account,
}

impl Databases {
    /// Compares the two logs.
    #[must_use]
    pub fn of(online: GeneralLog, target: GeneralLog) -> Self {
        let account = Account::of(&online, &target);
        Self { online, target, account }
    }

    /// Statements that online executed since tcpcopy captured and that are not to reach the target.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        let commands = self.online.sessions.iter().flat_map(|session| &session.commands);
        let captured = commands.filter(|command| command.place >= self.online.captured_from);
        captured.filter(|command| command.argument.contains(HELD_BACK)).count() as u64
    }

    /// How often both servers executed each kind of command.
    #[must_use]
    pub fn executed(&self) -> Vec<Executed> {
        executed(&self.online, &self.target)
    }

    /// What the clients did, as far as the online server knows.
    #[must_use]
    pub fn users(&self) -> UsersSummary {
        let requests = commands(&self.online);
        let connections = self.online.sessions.len() as u64;
        UsersSummary { requests, answered: requests, connections, ..UsersSummary::default() }
    }

    /// What the online and the target server executed.
    #[must_use]
    pub fn servers(&self) -> [ServerSummary; 2] {
        [&self.online, &self.target].map(|log| ServerSummary {
            requests: commands(log),
            connections: log.sessions.len() as u64,
            ..ServerSummary::default()
        })
    }
}

fn commands(log: &GeneralLog) -> u64 {
    log.sessions.iter().map(|session| session.commands.len() as u64).sum()
}

/// The account of one scenario, in commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Executed by the online server since tcpcopy captured, and to be executed by the target.
    pub wanted: u64,
    /// Of these, executed by the target in the order of their session.
    pub in_order: u64,
    /// Of these, executed by the target, but not at their place.
    pub out_of_order: u64,
    /// Of these, not executed by the target.
    pub missing: u64,
    /// Executed by the target once more than by the online server.
    pub twice: u64,
    /// The same of commands that the target was executing when it dropped the session: left unanswered, they had to be
    /// repeated.
    pub repeated: u64,
    /// Executed by the target and never by the online server, or held back.
    pub alien: u64,
    /// Words of the module's own that restore a session.
    pub restoring: u64,
    /// A few commands of each kind that is not as it must be, for people.
    pub examples: Vec<String>,
}

impl Account {
    /// Compares the two servers' logs.
    #[must_use]
    pub fn of(online: &GeneralLog, target: &GeneralLog) -> Self {
        let sessions: Vec<Vec<&Command>> = online.sessions.iter().map(expected).collect();
        let mut ledger = Ledger::new(&sessions, online.captured_from);
        for session in &target.sessions {
            ledger.enter(&session.commands.iter().collect::<Vec<_>>());
        }
        ledger.close()
    }

    /// The same in the words of every other account.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            sent: self.wanted,
            answered: self.wanted,
            exactly_once: self.in_order + self.out_of_order,
            missing: self.missing,
            resent: self.repeated,
            surplus: self.twice,
            unknown: self.alien,
            out_of_order: self.out_of_order,
            ..Tally::default()
        }
    }
}

fn executed(online: &GeneralLog, target: &GeneralLog) -> Vec<Executed> {
    let mut kinds = BTreeMap::<&str, [u64; 2]>::new();
    for (side, log) in [online, target].into_iter().enumerate() {
        for command in log.sessions.iter().flat_map(|session| &session.commands) {
            kinds.entry(command.kind).or_default()[side] += 1;
        }
    }
    let row = |(command, [online, target]): (&str, [u64; 2])| Executed {
        command: command.to_owned(),
        online,
        target,
    };
    kinds.into_iter().map(row).collect()
}

/// What of a session the target is to execute.
fn expected(session: &Session) -> Vec<&Command> {
    session.commands.iter().filter(|command| !command.argument.contains(HELD_BACK)).collect()
}
#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions as `a b c; d e`.
    fn log(text: &str) -> GeneralLog {
        let mut place = 0;
        let mut command = |word: &str| {
            place += 1;
            let kind = if word.starts_with("Connect") { "Connect" } else { "Query" };
            Command { kind, argument: word.replace('_', " "), place }
        };
        let mut session =
            |words: &str| Session { commands: words.split_whitespace().map(&mut command).collect() };
        GeneralLog { sessions: text.split(';').map(&mut session).collect(), captured_from: 0 }
    }

    fn figures(online: &GeneralLog, target: &str) -> [u64; 6] {
        let account = Account::of(online, &log(target));
        let Account { in_order, out_of_order, missing, twice, alien, restoring, .. } = account;
        [in_order, out_of_order, missing, twice, alien, restoring]
    }

    #[test]
    fn whole_sessions_are_equal_lists_in_any_order_of_sessions() {
        assert_eq!(
            figures(&log("Connect a b; Connect c; Connect c"), "Connect c; Connect a b; Connect c"),
            [7, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn what_went_wrong_is_told_apart() {
        let online = log("Connect a b c d");
        assert_eq!(figures(&online, "Connect a c d"), [4, 0, 1, 0, 0, 0]);
        assert_eq!(figures(&online, "Connect a b b c d"), [5, 0, 0, 1, 0, 0]);
        assert_eq!(figures(&online, "Connect a b x c d"), [5, 0, 0, 0, 1, 0]);
        assert_eq!(figures(&online, "Connect a c b d"), [4, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_session_that_was_dropped_goes_on_behind_words_that_restore_it() {
        let online = log("Connect set_x a b c d");
        assert_eq!(figures(&online, "Connect set_x a b; Connect set_x c d"), [6, 0, 0, 0, 0, 2]);
        assert_eq!(figures(&online, "Connect set_x a b; Connect set_x d"), [5, 0, 1, 0, 0, 2]);
    }

    #[test]
    fn words_that_restore_a_session_are_not_taken_for_the_beginning_of_another() {
        let online = log("Connect set_x set_y a b c; Connect set_x set_y d e f g");
        let target = "Connect set_x set_y d e; Connect set_x set_y a b; Connect set_x set_y f g; Connect set_x set_y c";
        assert_eq!(figures(&online, target), [13, 0, 0, 0, 0, 6]);
    }

    #[test]
    fn the_parts_of_a_session_are_in_order_too() {
        let online = log("Connect set_x a b c d e");
        assert_eq!(figures(&online, "Connect set_x a b e; Connect set_x c d"), [5, 2, 0, 0, 0, 2]);
    }

    #[test]
    fn what_every_session_says_is_claimed_from_the_session_that_what_few_say_belongs_to() {
        let online = log("Connect begin a commit begin b commit; Connect begin c commit begin d e commit");
        let target = "Connect begin a commit; Connect begin c commit begin d; Connect begin b commit; Connect e commit";
        assert_eq!(figures(&online, target), [15, 0, 0, 0, 0, 2]);
        let target = "Connect begin a commit; Connect begin c commit begin d; Connect commit begin b commit; Connect e";
        assert_eq!(
            figures(&online, target),
            [14, 0, 1, 0, 0, 2],
            "commit repeated in one, missing in the other"
        );
    }

    #[test]
    fn of_alike_sessions_that_is_claimed_which_goes_on_so() {
        let online = log("Connect a b c; Connect a b c; Connect a b c");
        let target = "Connect a b; Connect a; Connect c; Connect a b c; Connect b c";
        assert_eq!(figures(&online, target), [12, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn what_the_target_executed_when_it_dropped_the_session_is_repeated() {
        let online = log("Connect a b b c");
        for target in ["Connect a b b; Connect b c", "Connect a b; Connect b b c"] {
            assert_eq!(figures(&online, target), [5, 0, 0, 0, 0, 1]);
            assert_eq!(Account::of(&online, &log(target)).repeated, 1);
        }
        assert_eq!(Account::of(&online, &log("Connect a b; Connect b c")).repeated, 0);
        assert_eq!(figures(&log("Connect a b c"), "Connect a b; Connect a b c"), [4, 0, 0, 2, 0, 1]);
    }

    #[test]
    fn a_session_counts_from_the_time_of_the_capture() {
        let online = GeneralLog { captured_from: 4, ..log("Connect set_x a b c") };
        assert_eq!(figures(&online, "Connect set_x b c"), [2, 0, 0, 0, 0, 2]);
        assert_eq!(figures(&online, "Connect c"), [1, 0, 1, 0, 0, 1]);
        assert_eq!(figures(&log("Connect a"), "Connect a; Connect-default"), [2, 0, 0, 0, 0, 1]);
        assert_eq!(figures(&log("Connect a"), "Connect a; Connect-default x"), [2, 0, 0, 0, 2, 0]);
    }

    #[test]
    fn what_is_held_back_is_neither_missed_nor_welcome() {
        let online = log("Connect a held-back b");
        assert_eq!(figures(&online, "Connect a b"), [3, 0, 0, 0, 0, 0]);
        assert_eq!(figures(&online, "Connect a held-back b"), [3, 0, 0, 0, 1, 0]);
    }
}
