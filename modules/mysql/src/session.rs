//! What a session is at its server: who the user is, and what was set up since. A new connection is brought there again.

mod setup;

use std::mem;

use serde::{Deserialize, Serialize};

use crate::greeting::Greeting;
use crate::login::Login;
use crate::reading::Reading;
use crate::response::{CURSOR, IN_TRANSACTION, LAST_ROW, NO_BACKSLASH_ESCAPES};
use crate::session::setup::Setup;
use crate::sql::{Effect, Value};
use crate::statements::Statements;

/// What SET NAMES replaces.
const NAMES: &str = "names";

/// A session as both servers have it, as far as its commands are answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    /// `None` until the user has logged in, or when that was before the capture began.
    pub(crate) login: Option<Login>,
    /// The database that is in use, once known.
    pub(crate) database: Option<Vec<u8>>,
    pub(crate) setup: Setup,
    /// What COM_SET_OPTION said last.
    pub(crate) option: Option<u16>,
    pub(crate) statements: Statements,
    /// What a new connection cannot be given.
    bound: Bound,
    /// The target's connection was reset since the login, whose character set may no longer hold.
    is_reset: bool,
    /// A backslash has been an ordinary character to the target at some time on its connection.
    has_plain_backslashes: bool,
}

/// What is bound to a connection, and goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) transaction: bool,
    pub(crate) temporary_tables: bool,
    pub(crate) locks: bool,
    pub(crate) cursor: bool,
    /// A database whose name cannot be told.
    pub(crate) database: bool,
}

impl Session {
    /// At its beginning; or, not `is_whole`, somewhere later.
    pub(crate) fn new(is_whole: bool) -> Self {
        Self {
            login: None,
            database: None,
            setup: Setup::default(),
            option: None,
            statements: Statements::new(is_whole),
            bound: Bound::default(),
            is_reset: false,
            has_plain_backslashes: false,
        }
    }

    /// A new connection to the target begins: what was lost with the one before.
    pub(crate) fn reconnect(&mut self) -> Bound {
        self.is_reset = false;
        self.has_plain_backslashes = false;
        mem::take(&mut self.bound)
    }

    /// The user is in, as that.
    pub(crate) fn begin(&mut self, login: Login) {
        self.database.clone_from(&login.database);
        self.login = Some(login);
        self.forget();
        self.is_reset = false;
    }

    /// The target has reset the session.
    pub(crate) fn reset(&mut self) {
        self.forget();
        self.is_reset = true;
    }

    /// The session is as it was behind its login, but for the database.
    fn forget(&mut self) {
        self.setup = Setup::default();
        self.option = None;
        self.statements.forget();
        self.bound = Bound { database: self.bound.database, ..Bound::default() };
    }

    /// A database is used from now on.
    pub(crate) fn use_database(&mut self, name: Option<Vec<u8>>) {
        self.bound.database = name.is_none();
        self.database = name;
    }

    /// The target has done what has that effect. `most`: bytes of what was set that may be kept.
    pub(crate) fn apply(&mut self, effect: Effect, most: usize) {
        match effect {
            Effect::UseDatabase(name) => self.use_database(name.map(String::into_bytes)),
            Effect::Set { key, statement, value } => self.set(key, statement, &value, most),
            Effect::PrepareText { name, statement, value } => {
                self.set(format!("prepare {name}"), statement, &value, most);
            }
            Effect::DeallocateText { name } => self.setup.drop(&format!("prepare {name}")),
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
        self.observe_backslashes(status);
    }

    /// The same of a greeting, or of an answer to words of our own.
    pub(crate) fn observe_backslashes(&mut self, status: u16) {
        self.has_plain_backslashes |= status & NO_BACKSLASH_ESCAPES != 0;
    }

    /// How the target, which greeted with `greeting`, reads texts of this session.
    pub(crate) fn reading(&self, greeting: &Greeting, login: &Login) -> Reading {
        // With read_only, SET NAMES passes only with a character set that is read as this module does.
        if self.setup.knows(NAMES) { Reading::LikeUs } else { self.first_reading(greeting, login) }
    }

    /// The same where nothing has been set yet.
    pub(crate) fn first_reading(&self, greeting: &Greeting, login: &Login) -> Reading {
        let of_login = Reading::of(Some(login.collation()), greeting);
        // MariaDB goes back to the login's character set, MySQL to its default.
        if self.is_reset { of_login.max(Reading::of(None, greeting)) } else { of_login }
    }

    /// Why the target may read a text otherwise than this module does.
    pub(crate) fn misreading(&self, reading: Reading, text: &[u8]) -> Option<&'static str> {
        let is_doubted = self.has_plain_backslashes && text.contains(&b'\\');
        if is_doubted { Some("a backslash under NO_BACKSLASH_ESCAPES") } else { reading.misreading(text) }
    }

    /// The statements that set up again what was set.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &str> {
        self.setup.statements()
    }

    fn set(&mut self, key: String, statement: String, value: &Value, most: usize) {
        // What was read is on a new connection what it was here, if nothing had set it.
        let is_told = match value {
            Value::Told(read) => !read.iter().any(|name| self.setup.knows(name)),
            Value::Untold => false,
        };
        self.setup.set(key, is_told.then_some(statement), most);
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
            (
                self.database,
                "the database in use has a name that is not UTF-8: a new connection begins with the login's",
            ),
        ]
        .into_iter()
        .filter_map(|(is_lost, phrase)| is_lost.then_some(phrase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greeting::tests::greeting;
    use crate::sql::effects;

    const MOST: usize = 1 << 20;

    /// A session whose user has said these texts.
    fn after(texts: &[&str]) -> Session {
        let mut session = Session::new(true);
        for effect in texts.iter().flat_map(|text| effects(text.as_bytes())).flatten() {
            session.apply(effect, MOST);
        }
        session
    }

    fn settings(session: &Session) -> Vec<&str> {
        session.settings().collect()
    }

    #[test]
    fn what_was_set_last_counts_until_it_is_reset() {
        let mut session = after(&["SET NAMES latin1", "SET autocommit = 0", "SET NAMES utf8mb4"]);
        assert_eq!(settings(&session), ["SET autocommit = 0", "SET NAMES utf8mb4"]);
        session.reset();
        assert_eq!(session.settings().count(), 0);
    }

    #[test]
    fn statements_prepared_by_text_are_set_up_until_they_are_dropped() {
        assert_eq!(settings(&after(&["PREPARE s FROM 'SELECT 1'"])).len(), 1);
        assert_eq!(settings(&after(&["PREPARE s FROM 'SELECT 1'", "DEALLOCATE PREPARE S"])).len(), 0);
    }

    #[test]
    fn a_value_of_a_variable_is_told_while_that_is_as_it_began() {
        let append = "SET sql_mode = CONCAT(@@sql_mode, ',ANSI')";
        for (texts, told, lost) in [
            (&[append][..], 1, 0),
            (&[append, append], 0, 1),
            (&["SET @old = @@sql_mode, sql_mode = ''"], 2, 0),
            (&["SET sql_mode = ''", "SET @old = @@sql_mode"], 1, 1),
            (&["SET @a = 1", "SET @b = @a"], 1, 1),
            (&["SET @b = @a", "SET @b = 1"], 1, 0),
            (&["PREPARE s FROM @a"], 0, 1),
        ] {
            let session = after(texts);
            assert_eq!(
                (session.settings().count(), session.setup.losses().count()),
                (told, lost),
                "{texts:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_given_back_is_named() {
        let mut session = Session::new(true);
        session.apply(Effect::CreateTemporaryTable, MOST);
        session.observe(IN_TRANSACTION);
        assert_eq!(session.bound.losses().count(), 2);
        session.observe(2);
        assert_eq!(session.bound.losses().count(), 1);
        session.apply(Effect::UseDatabase(None), MOST);
        assert_eq!(session.bound.losses().count(), 2);
        session.use_database(Some(b"shop".to_vec()));
        assert_eq!(session.bound.losses().count(), 1);
    }

    #[test]
    fn a_backslash_is_doubted_as_long_as_the_connection_lasts() {
        let greeting = Greeting::read(&greeting(u32::MAX, 0, &[b'x'; 20], "")).unwrap();
        let login = Login::ordinary("app", None);
        let mut session = Session::new(true);
        let doubted = |session: &Session, text: &[u8]| {
            session.misreading(session.reading(&greeting, &login), text).is_some()
        };
        session.observe(2);
        assert!(!doubted(&session, br"SELECT '\'"));
        session.observe(NO_BACKSLASH_ESCAPES);
        session.observe(2);
        assert!(doubted(&session, br"SELECT '\'") && !doubted(&session, b"SELECT 'a'"));
        session.reconnect();
        assert!(!doubted(&session, br"SELECT '\'"));
    }
}
