//! What a session is at its server: who the user is, and what was set up since. A new connection is brought there again.

use serde::{Deserialize, Serialize};

use crate::login::Login;
use crate::response::{CURSOR, IN_TRANSACTION, LAST_ROW};
use crate::sql::Effect;
use crate::statements::Statements;

/// So much that was set is kept.
const MOST_SETTINGS: usize = 10_000;

/// A session as both servers have it, as far as its commands are answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// `None` until the user has logged in, or when that was before the capture began.
    pub(crate) login: Option<Login>,
    /// The database that is in use, once known.
    pub(crate) database: Option<Vec<u8>>,
    /// What was set, by what it replaces, in order.
    settings: Vec<(String, String)>,
    /// What COM_SET_OPTION said last.
    pub(crate) option: Option<u16>,
    pub(crate) statements: Statements,
    /// What a new connection cannot be given.
    pub(crate) bound: Bound,
}

/// What is bound to a connection, and goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) transaction: bool,
    pub(crate) temporary_tables: bool,
    pub(crate) locks: bool,
    pub(crate) cursor: bool,
}

impl Session {
    /// At its beginning; or, not `is_whole`, somewhere later.
    pub(crate) fn new(is_whole: bool) -> Self {
        Self {
            login: None,
            database: None,
            settings: Vec::new(),
            option: None,
            statements: Statements::new(is_whole),
            bound: Bound::default(),
        }
    }

    /// The user is in, as that.
    pub(crate) fn begin(&mut self, login: Login) {
        self.database.clone_from(&login.database);
        self.login = Some(login);
        self.forget();
    }

    /// The session is as it was behind its login, but for the database.
    pub(crate) fn forget(&mut self) {
        self.settings.clear();
        self.option = None;
        self.statements.forget();
        self.bound = Bound::default();
    }

    /// The target has done what has that effect.
    pub(crate) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::UseDatabase(name) => self.database = Some(name.into_bytes()),
            Effect::Set { key, statement } => self.set(key, statement),
            Effect::PrepareText { name, statement } => self.set(format!("prepare {name}"), statement),
            Effect::DeallocateText { name } => {
                let key = format!("prepare {name}");
                self.settings.retain(|(known, _)| *known != key);
            }
            Effect::CreateTemporaryTable => self.bound.temporary_tables = true,
            Effect::LockTables | Effect::NamedLock => self.bound.locks = true,
            Effect::UnlockTables => self.bound.locks = false,
            // The server's status tells of transactions; what is killed is left out.
            Effect::BeginTransaction | Effect::EndTransaction | Effect::Kill => {}
        }
    }

    /// The target has answered with this status.
    pub(crate) fn observe(&mut self, status: u16) {
        self.bound.transaction = status & IN_TRANSACTION != 0;
        self.bound.cursor = (self.bound.cursor || status & CURSOR != 0) && status & LAST_ROW == 0;
    }

    /// The statements that set up again what was set.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|(_, statement)| statement.as_str())
    }

    fn set(&mut self, key: String, statement: String) {
        self.settings.retain(|(known, _)| *known != key);
        if self.settings.len() < MOST_SETTINGS {
            self.settings.push((key, statement));
        }
    }
}

impl Bound {
    /// Phrases for what was lost with a connection.
    pub(crate) fn losses(self) -> impl Iterator<Item = &'static str> {
        [
            (
                self.transaction,
                "a transaction was open when the target's connection was lost: what it had done is gone",
            ),
            (self.temporary_tables, "temporary tables were lost with the target's connection"),
            (self.locks, "locks were lost with the target's connection"),
            (self.cursor, "a cursor was lost with the target's connection"),
        ]
        .into_iter()
        .filter_map(|(is_lost, phrase)| is_lost.then_some(phrase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, statement: &str) -> Effect {
        Effect::Set { key: key.to_owned(), statement: statement.to_owned() }
    }

    #[test]
    fn what_was_set_last_counts() {
        let mut session = Session::new(true);
        session.apply(set("names", "SET NAMES latin1"));
        session.apply(set("autocommit", "SET autocommit = 0"));
        session.apply(set("names", "SET NAMES utf8mb4"));
        assert_eq!(session.settings().collect::<Vec<_>>(), ["SET autocommit = 0", "SET NAMES utf8mb4"]);
        session.forget();
        assert_eq!(session.settings().count(), 0);
    }

    #[test]
    fn statements_prepared_by_text_are_set_up_until_they_are_dropped() {
        let mut session = Session::new(true);
        let name = || "s".to_owned();
        session
            .apply(Effect::PrepareText { name: name(), statement: "PREPARE s FROM 'SELECT 1'".to_owned() });
        assert_eq!(session.settings().count(), 1);
        session.apply(Effect::DeallocateText { name: name() });
        assert_eq!(session.settings().count(), 0);
    }

    #[test]
    fn what_cannot_be_given_back_is_named() {
        let mut session = Session::new(true);
        session.apply(Effect::CreateTemporaryTable);
        session.observe(IN_TRANSACTION);
        assert_eq!(session.bound.losses().count(), 2);
        session.observe(2);
        assert_eq!(session.bound.losses().count(), 1);
    }
}
