//! What a text leaves behind in its session when it succeeds.

mod value;

use memchr::{memchr, memmem};

pub(crate) use self::value::Value;
use super::tokens::{Kind, Token, Tokens};

/// Something that is no longer as it was when the session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The database in use is this one; `None` where its name is not UTF-8.
    UseDatabase(Option<String>),
    /// Something was set: `key` names what it replaces, `statement` sets it again if its value is told.
    Set {
        key: String,
        statement: String,
        value: Value,
    },
    /// A statement was prepared by text, which is told or not.
    PrepareText {
        name: String,
        statement: String,
        value: Value,
    },
    DeallocateText {
        name: String,
    },
    BeginTransaction,
    EndTransaction,
    CreateTemporaryTable,
    LockTables,
    UnlockTables,
    NamedLock,
    /// A connection of production would be ended, by its number.
    Kill,
}

/// What statements with an effect begin with.
const BEGINNINGS: [&str; 14] = [
    "SET",
    "USE",
    "BEGIN",
    "START",
    "COMMIT",
    "ROLLBACK",
    "PREPARE",
    "DEALLOCATE",
    "DROP",
    "CREATE",
    "LOCK",
    "UNLOCK",
    "FLUSH",
    "KILL",
];
/// In longer texts named locks are not looked for.
const LOOKED_THROUGH: usize = 4096;

/// What each statement of a text leaves behind, in their order; nothing where none leaves anything.
pub(crate) fn effects(text: &[u8]) -> Vec<Vec<Effect>> {
    let mut effects = Vec::new();
    let lossy = String::from_utf8_lossy(text);
    if has_several(text) || begins_with_effect(&lossy) {
        let mut statement = Vec::new();
        for token in Tokens::of(&lossy) {
            gather(token, &mut statement, &mut effects);
        }
        effects.push(effects_of(&statement));
    }
    if text.len() <= LOOKED_THROUGH && names_lock(text) {
        effects.push(vec![Effect::NamedLock]);
    }
    if effects.iter().all(Vec::is_empty) { Vec::new() } else { effects }
}

/// Whether there is a semicolon that is not the end.
fn has_several(text: &[u8]) -> bool {
    let trimmed = text.trim_ascii_end();
    memchr(b';', trimmed).is_some_and(|at| at + 1 < trimmed.len())
}

fn begins_with_effect(text: &str) -> bool {
    let first = Tokens::of(text).find(|token| !matches!(token.kind, Kind::Comment | Kind::Hint));
    first.is_some_and(|token| token.kind == Kind::Executable || begins(&token))
}

fn begins(token: &Token<'_>) -> bool {
    BEGINNINGS.iter().any(|beginning| token.is_word(beginning))
}

fn names_lock(text: &[u8]) -> bool {
    [&b"GET_LOCK"[..], b"get_lock"].into_iter().any(|name| memmem::find(text, name).is_some())
}

/// A token belongs to the statement that is being read, or ends it. Comments that are code are read as such.
fn gather<'a>(token: Token<'a>, statement: &mut Vec<Token<'a>>, effects: &mut Vec<Vec<Effect>>) {
    match token.kind {
        Kind::Comment | Kind::Hint => {}
        Kind::Executable => {
            for inner in Tokens::of(token.executable()).filter(|inner| !inner.is_comment()) {
                gather(inner, statement, effects);
            }
        }
        Kind::Symbol(b';') => {
            effects.push(effects_of(statement));
            statement.clear();
        }
        // Of a statement without an effect, the first token is enough: it may have millions.
        _ if statement.first().is_some_and(|first| !begins(first)) => {}
        _ => statement.push(token),
    }
}

fn effects_of(statement: &[Token<'_>]) -> Vec<Effect> {
    let is = |at: usize, word: &str| statement.get(at).is_some_and(|token| token.is_word(word));
    let name = |at: usize| statement.get(at).filter(|token| token.is_name()).map(Token::name);
    let has = |word: &str| statement.iter().any(|token| token.is_word(word));
    let effect = match statement.first().map(|token| token.text.to_ascii_uppercase()).as_deref() {
        Some("SET") => return set_effects(statement),
        Some("USE") => name(1).map(|name| Effect::UseDatabase(is_utf8(&name).then_some(name))),
        Some("BEGIN") if !is(1, "NOT") => Some(Effect::BeginTransaction),
        Some("START") if is(1, "TRANSACTION") => Some(Effect::BeginTransaction),
        Some("COMMIT" | "ROLLBACK") if !has("TO") && !is_chained(statement) => Some(Effect::EndTransaction),
        Some("PREPARE") => name(1).map(|name| Effect::PrepareText {
            name: name.to_lowercase(),
            statement: text_of(statement),
            value: Value::of(statement),
        }),
        Some("DEALLOCATE" | "DROP") if is(1, "PREPARE") => {
            name(2).map(|name| Effect::DeallocateText { name: name.to_lowercase() })
        }
        Some("CREATE") if is(1, "TEMPORARY") || (is(1, "OR") && is(3, "TEMPORARY")) => {
            Some(Effect::CreateTemporaryTable)
        }
        Some("LOCK") => Some(Effect::LockTables),
        Some("FLUSH") if has("LOCK") => Some(Effect::LockTables),
        Some("UNLOCK") => Some(Effect::UnlockTables),
        Some("KILL") => Some(Effect::Kill),
        _ => None,
    };
    effect.into_iter().collect()
}

/// `AND CHAIN`: the next transaction begins at once.
fn is_chained(statement: &[Token<'_>]) -> bool {
    statement.windows(2).any(|pair| pair[0].is_word("AND") && pair[1].is_word("CHAIN"))
}

/// Whether nothing stands for bytes that are not UTF-8.
fn is_utf8(text: &str) -> bool {
    !text.contains(char::REPLACEMENT_CHARACTER)
}

/// A statement's tokens as a text again.
fn text_of(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    let mut end = None;
    for token in tokens {
        if end.is_some_and(|end| end != token.start) {
            text.push(' ');
        }
        text.push_str(token.text);
        end = Some(token.end());
    }
    text
}

fn set_effects(statement: &[Token<'_>]) -> Vec<Effect> {
    let is = |at: usize, word: &str| statement.get(at).is_some_and(|token| token.is_word(word));
    let whole = |key: &str| Effect::Set {
        key: key.to_owned(),
        statement: text_of(statement),
        value: Value::of(statement),
    };
    let is_session = is(1, "SESSION") || is(1, "LOCAL");
    if is(1, "NAMES") {
        vec![whole("names")]
    } else if is(1, "CHARSET") || (is(1, "CHARACTER") && is(2, "SET")) {
        vec![whole("character set")]
    } else if is(1, "ROLE") {
        vec![whole("role")]
    } else if is_session && is(2, "TRANSACTION") {
        vec![whole(if is(3, "ISOLATION") { "isolation level" } else { "transaction access" })]
    } else if !["PASSWORD", "DEFAULT", "TRANSACTION", "STATEMENT", "RESOURCE"].iter().any(|word| is(1, word))
    {
        let mut scope = Scope::Session;
        let assignments = assignments(&statement[1..]);
        assignments.into_iter().filter_map(|assignment| scope.effect_of(assignment)).collect()
    } else {
        Vec::new()
    }
}

/// The parts of a SET statement between its commas.
pub(super) fn assignments<'a, 'b>(tokens: &'a [Token<'b>]) -> Vec<&'a [Token<'b>]> {
    let mut depth = 0_usize;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Symbol(b'(') => depth += 1,
            Kind::Symbol(b')') => depth = depth.saturating_sub(1),
            Kind::Symbol(b',') if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Whose variables are set; the word counts for what follows as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Session,
    Other,
}

impl Scope {
    /// The scope that a word names.
    pub(super) fn of(token: &Token<'_>) -> Option<Self> {
        match token.text.to_ascii_uppercase().as_str() {
            _ if !matches!(token.kind, Kind::Word | Kind::MemberWord) => None,
            "SESSION" | "LOCAL" => Some(Self::Session),
            "GLOBAL" | "PERSIST" | "PERSIST_ONLY" => Some(Self::Other),
            _ => None,
        }
    }

    fn effect_of(&mut self, assignment: &[Token<'_>]) -> Option<Effect> {
        let (scope, variable) = split(assignment, self);
        let (name, value) = variable.split_first()?;
        let (key, value) = match name.kind {
            Kind::Variable => (name.text.to_lowercase(), value),
            Kind::Symbol(b'@') => {
                let (name, value) = value.split_first()?;
                (format!("@{}", name.name().to_lowercase()), value)
            }
            _ if scope == Self::Session && name.is_name() => (name.name().to_lowercase(), value),
            _ => return None,
        };
        let value = if is_utf8(&key) { Value::of(value) } else { Value::Untold };
        Some(Effect::Set { key, statement: format!("SET {}", text_of(variable)), value })
    }
}

/// An assignment without its scope, and that. `latest`: what the last word said.
pub(super) fn split<'a, 'b>(assignment: &'a [Token<'b>], latest: &mut Scope) -> (Scope, &'a [Token<'b>]) {
    match assignment {
        [mark, scope, dot, rest @ ..] if mark.kind == Kind::SystemVariable && dot.is(b'.') => {
            (Scope::of(scope).unwrap_or(Scope::Other), rest)
        }
        [mark, rest @ ..] if mark.kind == Kind::SystemVariable => (Scope::Session, rest),
        [word, rest @ ..] if Scope::of(word).is_some() && !rest.first().is_some_and(|next| next.is(b'=')) => {
            *latest = Scope::of(word).unwrap_or(Scope::Other);
            (*latest, rest)
        }
        all => (*latest, all),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(text: &[u8]) -> Vec<Effect> {
        effects(text).into_iter().flatten().collect()
    }

    fn set(key: &str, statement: &str) -> Effect {
        Effect::Set { key: key.to_owned(), statement: statement.to_owned(), value: Value::Told(vec![]) }
    }

    fn untold(key: &str, statement: &str) -> Effect {
        Effect::Set { key: key.to_owned(), statement: statement.to_owned(), value: Value::Untold }
    }

    #[test]
    fn what_is_set_is_set_again_one_by_one() {
        for (text, expected) in [
            (
                "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
                vec![set("names", "SET NAMES utf8mb4 COLLATE utf8mb4_bin")],
            ),
            (
                "set autocommit=0, @A := f(1, 2)",
                vec![set("autocommit", "SET autocommit=0"), untold("@a", "SET @A := f(1, 2)")],
            ),
            ("SET @a = @b, @`C` = 2", vec![untold("@a", "SET @a = @b"), set("@c", "SET @`C` = 2")]),
            ("SET @@session.sql_mode='ANSI'", vec![set("sql_mode", "SET sql_mode='ANSI'")]),
            ("SET GLOBAL a=1, b=2, SESSION c=3", vec![set("c", "SET c=3")]),
            ("SET @@global.a=1, b=2", vec![set("b", "SET b=2")]),
            ("SET PERSIST a=1; SET PASSWORD='x'; SET TRANSACTION READ ONLY", vec![]),
            (
                "/*!40101 SET character_set_client = utf8 */;",
                vec![set("character_set_client", "SET character_set_client = utf8")],
            ),
            (
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                vec![set("isolation level", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")],
            ),
            ("SET STATEMENT max_statement_time=1 FOR SELECT 1", vec![]),
        ] {
            assert_eq!(flat(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn other_effects_are_noticed() {
        let name = || "s".to_owned();
        for (text, expected) in [
            ("use `my db`", vec![Effect::UseDatabase(Some("my db".to_owned()))]),
            ("-- first\nBEGIN", vec![Effect::BeginTransaction]),
            ("start transaction read only", vec![Effect::BeginTransaction]),
            ("commit", vec![Effect::EndTransaction]),
            ("ROLLBACK TO SAVEPOINT a", vec![]),
            ("COMMIT AND CHAIN", vec![]),
            (
                "PREPARE S FROM 'SELECT 1; SELECT 2'",
                vec![Effect::PrepareText {
                    name: name(),
                    statement: "PREPARE S FROM 'SELECT 1; SELECT 2'".to_owned(),
                    value: Value::Told(vec![]),
                }],
            ),
            (
                "PREPARE s FROM @text",
                vec![Effect::PrepareText {
                    name: name(),
                    statement: "PREPARE s FROM @text".to_owned(),
                    value: Value::Untold,
                }],
            ),
            ("DROP PREPARE s", vec![Effect::DeallocateText { name: name() }]),
            ("CREATE TEMPORARY TABLE t (a INT)", vec![Effect::CreateTemporaryTable]),
            ("CREATE OR REPLACE TEMPORARY TABLE t (a INT)", vec![Effect::CreateTemporaryTable]),
            ("LOCK TABLES t READ", vec![Effect::LockTables]),
            ("FLUSH TABLES WITH READ LOCK", vec![Effect::LockTables]),
            ("UNLOCK TABLES", vec![Effect::UnlockTables]),
            ("SELECT GET_LOCK('a', 1)", vec![Effect::NamedLock]),
            ("kill 5", vec![Effect::Kill]),
            ("SELECT 1 /*! ; KILL 5 */", vec![Effect::Kill]),
            ("/*! SELECT 1; KILL 5 */", vec![Effect::Kill]),
            ("SELECT 1; USE a; SELECT 'USE b;'", vec![Effect::UseDatabase(Some("a".to_owned()))]),
            ("SELECT 'SET a=1'", vec![]),
            ("INSERT INTO t VALUES (1)", vec![]),
        ] {
            assert_eq!(flat(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_not_told() {
        assert_eq!(flat(b"SET @a = '\xe9'"), [untold("@a", "SET @a = '\u{fffd}'")]);
        assert_eq!(flat(b"SET @\xe9 = 1"), [untold("@\u{fffd}", "SET @\u{fffd} = 1")]);
        assert_eq!(flat(b"USE caf\xe9"), [Effect::UseDatabase(None)]);
        assert_eq!(
            flat(b"SET @a = 1 /* \xe9 */, @b = 2"),
            [set("@a", "SET @a = 1"), set("@b", "SET @b = 2")]
        );
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            effects(&text);
        }

        #[test]
        fn no_setting_breaks_it(rest in "[a-z0-9 ()'\",;`@=:.*/#-]{0,100}") {
            effects(format!("SET {rest}").as_bytes());
        }
    }
}
