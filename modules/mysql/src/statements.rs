//! Prepared statements: which of the target's a user means.
//!
//! Each server numbers the statements of a connection by itself. A user names those of production, the target knows them by
//! others, and by new ones on every new connection.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::StatementId;
use crate::response::Prepared;

/// A statement's place in the order of a session's preparations.
pub(crate) type Ordinal = u64;

/// A statement that a user prepared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Statement {
    /// The payload that prepared it; empty if that is too long to be kept.
    pub(crate) preparation: Vec<u8>,
    /// What the report calls it.
    pub(crate) label: String,
    /// Its number at the online server, once known.
    online: Option<u32>,
    pub(crate) target: AtTarget,
    /// The types of its parameters, as the user said them last.
    types: Vec<u8>,
    /// The target has not been told these types.
    owes_types: bool,
}

/// What the target knows of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AtTarget {
    /// Its answer to the user's preparation has not come.
    Awaited,
    /// It is to be prepared on a new connection, and that has not been answered.
    Restoring,
    /// It has this number, and takes so many parameters.
    Known { id: u32, parameters: u16 },
    /// It could not be prepared.
    Failed,
    /// It was not prepared: it is held back.
    HeldBack,
    /// It is not prepared on a new connection: it was too long to be kept, or there was no room for it.
    NotKept,
}

/// Which statement a user means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// This one.
    Statement(Ordinal),
    /// What the online server called the newest ones has not been heard yet.
    NotYetKnown,
    /// One that was prepared before the capture began, or never.
    Unknown,
}

/// The statements of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Statements {
    prepared: BTreeMap<Ordinal, Statement>,
    by_online: BTreeMap<u32, Ordinal>,
    /// Those whose number at the online server is not known so far.
    unnamed: BTreeSet<Ordinal>,
    /// Preparations so far, those by text among them: servers number both together.
    preparations: u64,
    last: Option<Ordinal>,
    /// Those that the user has closed.
    closed: BTreeSet<Ordinal>,
    /// Bytes of texts that are kept.
    kept: usize,
    /// How far the online server's numbers are ahead of ours; `None` while nothing is known of them.
    ahead: Option<u64>,
}

impl Statements {
    /// Of a connection whose beginning is known (`is_whole`), or of one joined in its middle.
    pub(crate) fn new(is_whole: bool) -> Self {
        Self { ahead: is_whole.then_some(0), ..Self::default() }
    }

    /// A statement is being prepared. `most`: bytes of preparations that may be kept.
    pub(crate) fn prepare(
        &mut self,
        preparation: &[u8],
        label: String,
        target: AtTarget,
        most: usize,
    ) -> Ordinal {
        self.preparations += 1;
        let ordinal = self.preparations;
        self.last = Some(ordinal);
        let may_be_kept = self.kept + preparation.len() <= most;
        let preparation = if may_be_kept { preparation.to_vec() } else { Vec::new() };
        self.kept += preparation.len();
        let statement =
            Statement { preparation, label, online: None, target, types: Vec::new(), owes_types: false };
        self.prepared.insert(ordinal, statement);
        self.unnamed.insert(ordinal);
        ordinal
    }

    /// A statement is prepared by text: it takes a number as well.
    pub(crate) fn pass_number(&mut self) {
        self.preparations += 1;
    }

    /// The online server has answered to a preparation; `None`: it failed.
    pub(crate) fn learn_online(&mut self, ordinal: Ordinal, id: Option<u32>) {
        self.unnamed.remove(&ordinal);
        let Some(statement) = self.prepared.get_mut(&ordinal) else { return };
        let Some(id) = id else { return };
        statement.online = Some(id);
        self.by_online.insert(id, ordinal);
        self.ahead = u64::from(id).checked_sub(ordinal);
    }

    /// The target has answered to a preparation; `None`: it failed.
    pub(crate) fn learn_target(&mut self, ordinal: Ordinal, prepared: Option<Prepared>) {
        if let Some(statement) = self.prepared.get_mut(&ordinal) {
            statement.target = match prepared {
                Some(Prepared { id, parameters }) => AtTarget::Known { id, parameters },
                None => AtTarget::Failed,
            };
        }
    }

    /// A preparation is said again, or held back this time: by the user, whose turn had no answer, or on a new connection.
    pub(crate) fn prepare_again(&mut self, ordinal: Ordinal, target: AtTarget) {
        if let Some(statement) = self.prepared.get_mut(&ordinal) {
            statement.target = target;
        }
    }

    /// The statement that a user calls `id`. `hears_online`: what the online server called it will be heard if it has
    /// not been yet.
    pub(crate) fn find(&mut self, id: StatementId, hears_online: bool) -> Meant {
        if id == StatementId::LAST {
            let last = self.last.filter(|last| self.prepared.contains_key(last));
            return last.map_or(Meant::Unknown, Meant::Statement);
        }
        if let Some(ordinal) = self.by_online.get(&id.0) {
            return Meant::Statement(*ordinal);
        }
        let Some(&oldest) = self.unnamed.first() else { return Meant::Unknown };
        if hears_online {
            return Meant::NotYetKnown;
        }
        // Servers count: which one it is follows from any number that is known. Where none is, it is the oldest that
        // nobody has named so far.
        let ordinal = self.ahead.map_or(Some(oldest), |ahead| u64::from(id.0).checked_sub(ahead));
        match ordinal.filter(|ordinal| self.unnamed.contains(ordinal)) {
            Some(ordinal) => {
                self.learn_online(ordinal, Some(id.0));
                Meant::Statement(ordinal)
            }
            None => Meant::Unknown,
        }
    }

    /// The payloads of all preparations; empty where one was too long to be kept.
    pub(crate) fn preparations(&self) -> Vec<(Ordinal, Vec<u8>)> {
        let all = self.prepared.iter();
        all.map(|(ordinal, statement)| (*ordinal, statement.preparation.clone())).collect()
    }

    pub(crate) fn get(&self, ordinal: Ordinal) -> Option<&Statement> {
        self.prepared.get(&ordinal)
    }

    /// The user executes a statement with new types of its parameters.
    pub(crate) fn learn_types(&mut self, ordinal: Ordinal, types: &[u8]) {
        if let Some(statement) = self.prepared.get_mut(&ordinal) {
            statement.types.clear();
            statement.types.extend_from_slice(types);
            statement.owes_types = false;
        }
    }

    /// The types that the target has to be told with the next execution, although the user does not say them again.
    pub(crate) fn take_owed_types(&mut self, ordinal: Ordinal) -> Option<Vec<u8>> {
        let statement = self.prepared.get_mut(&ordinal)?;
        std::mem::take(&mut statement.owes_types).then(|| statement.types.clone())
    }

    /// The user closes a statement. It is kept until that is [settled](Self::settle), as the execution before it may have
    /// to be said again.
    pub(crate) fn close(&mut self, ordinal: Ordinal) {
        self.closed.insert(ordinal);
    }

    /// Nothing said so far will be said again.
    pub(crate) fn settle(&mut self) {
        let Self { prepared, by_online, unnamed, kept, closed, .. } = self;
        for ordinal in std::mem::take(closed) {
            unnamed.remove(&ordinal);
            let Some(statement) = prepared.remove(&ordinal) else { continue };
            *kept -= statement.preparation.len();
            if let Some(online) = statement.online {
                by_online.remove(&online);
            }
        }
    }

    /// The connection to the target is gone, and all it had prepared: the ordinals of what has to be prepared again. What
    /// it had not answered to yet, the user will be heard saying again.
    pub(crate) fn lose_target(&mut self) -> Vec<Ordinal> {
        let mut lost = Vec::new();
        self.closed.clear();
        for (ordinal, statement) in &mut self.prepared {
            if matches!(statement.target, AtTarget::Known { .. } | AtTarget::Restoring) {
                if statement.preparation.is_empty() {
                    statement.target = AtTarget::NotKept;
                    continue;
                }
                statement.target = AtTarget::Restoring;
                statement.owes_types = !statement.types.is_empty();
                lost.push(*ordinal);
            }
        }
        lost
    }

    /// Another conversation had these. What it had not heard the target answer to, it will not hear any more.
    pub(crate) fn adopt(&mut self) {
        for statement in self.prepared.values_mut().filter(|statement| statement.target == AtTarget::Awaited)
        {
            statement.target = AtTarget::Restoring;
        }
    }

    /// The user's session was reset: both servers have forgotten all statements. They count on.
    pub(crate) fn forget(&mut self) {
        let (preparations, ahead) = (self.preparations, self.ahead);
        *self = Self { preparations, ahead, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(statements: &mut Statements, text: &str) -> Ordinal {
        statements.prepare(text.as_bytes(), text.to_owned(), AtTarget::Awaited, 10)
    }

    #[test]
    fn a_statement_is_found_by_what_the_online_server_called_it() {
        let mut statements = Statements::new(true);
        let (one, two) = (prepared(&mut statements, "one"), prepared(&mut statements, "two"));
        assert_eq!(statements.find(StatementId(9), true), Meant::NotYetKnown);
        statements.learn_online(one, Some(7));
        statements.learn_online(two, Some(9));
        assert_eq!(statements.find(StatementId(9), true), Meant::Statement(two));
        assert_eq!(statements.find(StatementId(7), true), Meant::Statement(one));
        assert_eq!(statements.find(StatementId(8), true), Meant::Unknown);
        assert_eq!(statements.find(StatementId::LAST, true), Meant::Statement(two));
    }

    #[test]
    fn without_the_online_server_it_is_counted() {
        let mut statements = Statements::new(true);
        let one = prepared(&mut statements, "one");
        statements.pass_number();
        let three = prepared(&mut statements, "three");
        assert_eq!(statements.find(StatementId(3), false), Meant::Statement(three));
        assert_eq!(statements.find(StatementId(1), false), Meant::Statement(one));
        assert_eq!(statements.find(StatementId(2), false), Meant::Unknown);
    }

    #[test]
    fn in_a_joined_session_counting_begins_with_the_first_that_is_named() {
        let mut statements = Statements::new(false);
        assert_eq!(statements.find(StatementId(40), false), Meant::Unknown);
        let (one, two) = (prepared(&mut statements, "one"), prepared(&mut statements, "two"));
        assert_eq!(statements.find(StatementId(41), false), Meant::Statement(one));
        assert_eq!(statements.find(StatementId(42), false), Meant::Statement(two));
        assert_eq!(statements.find(StatementId(40), false), Meant::Unknown);
    }

    #[test]
    fn a_closed_statement_goes_once_nothing_needs_it() {
        let mut statements = Statements::new(true);
        let one = prepared(&mut statements, "one");
        statements.learn_target(one, Some(Prepared { id: 5, parameters: 1 }));
        statements.find(StatementId(1), false);
        statements.close(one);
        assert!(statements.get(one).is_some());
        statements.settle();
        assert!(statements.get(one).is_none() && statements.kept == 0);
        assert_eq!(statements.find(StatementId(1), false), Meant::Unknown);
    }

    #[test]
    fn a_new_connection_knows_no_statement_and_no_type() {
        let mut statements = Statements::new(true);
        let (one, two) = (prepared(&mut statements, "one"), prepared(&mut statements, "two"));
        statements.learn_target(one, Some(Prepared { id: 5, parameters: 1 }));
        statements.learn_target(two, None);
        statements.learn_types(one, b"\x03\0");
        assert_eq!(statements.take_owed_types(one), None);
        assert_eq!(statements.lose_target(), [one]);
        assert_eq!(statements.get(one).unwrap().target, AtTarget::Restoring);
        assert_eq!(statements.lose_target(), [one], "the same on the next connection");
        assert_eq!(statements.take_owed_types(one), Some(b"\x03\0".to_vec()));
        assert_eq!(statements.take_owed_types(one), None);
    }

    #[test]
    fn preparations_beyond_the_limit_are_not_kept() {
        let mut statements = Statements::new(true);
        let ordinals = ["four", "five5", "six"].map(|text| prepared(&mut statements, text));
        for ordinal in ordinals {
            statements.learn_target(ordinal, Some(Prepared { id: 5, parameters: 1 }));
        }
        assert_eq!(statements.lose_target(), ordinals[..2]);
        assert_eq!(statements.get(ordinals[2]).unwrap().target, AtTarget::NotKept);
    }

    #[test]
    fn a_preparation_without_an_answer_is_the_users_to_repeat() {
        let mut statements = Statements::new(true);
        let one = prepared(&mut statements, "one");
        statements.learn_online(one, Some(1));
        assert!(statements.lose_target().is_empty());
        statements.prepare_again(one, AtTarget::Awaited);
        assert_eq!(statements.find(StatementId(1), false), Meant::Statement(one));
    }

    #[test]
    fn a_reset_session_counts_on() {
        let mut statements = Statements::new(true);
        prepared(&mut statements, "one");
        statements.forget();
        let two = prepared(&mut statements, "two");
        assert_eq!(statements.find(StatementId(2), false), Meant::Statement(two));
    }
}
