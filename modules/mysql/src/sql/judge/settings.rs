//! What a statement sets.

use super::calls::judge_calls;
use super::{Judgement, held, judge_depth, judge_words};
use crate::sql::effects::{Scope, assignments, split};
use crate::sql::tokens::{Kind, Token};
use crate::sql::words::{SQL_MODES, VARIABLES, find, has_plain_ascii};

/// A SET statement changes nothing but its own session, and not how its texts are read.
pub(super) fn judge_settings(statement: &[Token<'_>]) -> Judgement {
    let is = |at: usize, word: &str| statement.get(at).is_some_and(|token| token.is_word(word));
    judge_depth(statement)?;
    match &statement[1..] {
        [names, rest @ ..] if names.is_word("NAMES") || names.is_word("CHARSET") => {
            return judge_set_names(rest);
        }
        [character, set, rest @ ..] if character.is_word("CHARACTER") && set.is_word("SET") => {
            return judge_set_names(rest);
        }
        [transaction, rest @ ..] if transaction.is_word("TRANSACTION") => return judge_transaction(rest),
        [scope, transaction, rest @ ..]
            if Scope::of(scope) == Some(Scope::Session) && transaction.is_word("TRANSACTION") =>
        {
            return judge_transaction(rest);
        }
        _ => {}
    }
    if ["PASSWORD", "DEFAULT", "STATEMENT", "RESOURCE", "ROLE"].iter().any(|word| is(1, word)) {
        return Err(held("SET of something else than variables"));
    }
    let mut scope = Scope::Session;
    assignments(&statement[1..]).into_iter().try_for_each(|part| judge_assignment(part, &mut scope))
}

/// `utf8mb4` and `utf8mb4 COLLATE utf8mb4_bin`; other assignments could follow.
fn judge_set_names(rest: &[Token<'_>]) -> Judgement {
    match rest {
        [name] => judge_character_set(name),
        [name, collate, collation] if collate.is_word("COLLATE") && !collation.is(b',') => {
            judge_character_set(name)
        }
        _ => Err(held("SET of a character set")),
    }
}

/// What a transaction is like. `SERIALIZABLE` would make its reads lock.
fn judge_transaction(rest: &[Token<'_>]) -> Judgement {
    const WORDS: [&str; 9] =
        ["ISOLATION", "LEVEL", "READ", "COMMITTED", "UNCOMMITTED", "REPEATABLE", "ONLY", "WRITE", "SNAPSHOT"];
    if rest.iter().any(|token| token.is_word("SERIALIZABLE")) {
        return Err(held("SERIALIZABLE"));
    }
    let is_known = |token: &Token<'_>| token.is(b',') || WORDS.iter().any(|word| token.is_word(word));
    if rest.iter().all(is_known) { Ok(()) } else { Err(held("not understood")) }
}

fn judge_assignment(assignment: &[Token<'_>], latest: &mut Scope) -> Judgement {
    let (scope, rest) = split(assignment, latest);
    let Some((name, value)) = rest.split_first() else { return Err(held("not understood")) };
    if name.kind == Kind::Variable || name.is(b'@') {
        return judge_value(value);
    }
    if scope == Scope::Other {
        return Err(held("SET GLOBAL"));
    }
    // A dot behind the name: of a component or a key cache.
    let is_known = name.is_name() && find(&VARIABLES, &name.name()).is_some();
    if !is_known || value.first().is_some_and(|next| next.is(b'.')) {
        return Err(held("SET of a variable that may do harm"));
    }
    let value = match value {
        [colon, equals, value @ ..] if colon.is(b':') && equals.is(b'=') => value,
        [equals, value @ ..] if equals.is(b'=') => value,
        _ => return Err(held("not understood")),
    };
    match (name.name().to_ascii_uppercase().as_str(), value) {
        ("SQL_MODE", _) => judge_sql_mode(value),
        ("CHARACTER_SET_CLIENT", [name]) => judge_character_set(name),
        ("CHARACTER_SET_CLIENT", _) => Err(held("SET of a character set")),
        ("TRANSACTION_ISOLATION" | "TX_ISOLATION", _) => judge_isolation(value),
        _ => judge_value(value),
    }
}

/// An expression writes as little as a statement that gives rows.
fn judge_value(value: &[Token<'_>]) -> Judgement {
    judge_words(value).and_then(|()| judge_calls(value))
}

/// A level by its name, other than `SERIALIZABLE`.
fn judge_isolation(value: &[Token<'_>]) -> Judgement {
    const LEVELS: [&str; 3] = ["READ-UNCOMMITTED", "READ-COMMITTED", "REPEATABLE-READ"];
    let name = match value {
        [text] => text.plain_text().unwrap_or_else(|| text.name()),
        words => words.iter().map(|token| token.text).collect(),
    };
    let is_known = LEVELS.iter().any(|level| name.eq_ignore_ascii_case(level));
    if is_known { Ok(()) } else { Err(held("SERIALIZABLE")) }
}

/// Modes under which quotes mean what they mean to this module.
fn judge_sql_mode(value: &[Token<'_>]) -> Judgement {
    let is_kept = |mode: &str| mode.trim().is_empty() || find(&SQL_MODES, mode.trim()).is_some();
    let are_kept = |text: &Token<'_>| text.plain_text().is_some_and(|modes| modes.split(',').all(is_kept));
    let is_harmless = match value {
        [word] if word.kind == Kind::Word => word.is_word("DEFAULT") || is_kept(word.text),
        [text] => are_kept(text),
        // CONCAT(@@sql_mode, ',STRICT_ALL_TABLES') and the like: whole names are put to what was there.
        [function, ..] if function.is_word("CONCAT") || function.is_word("REPLACE") => {
            value.iter().all(|token| match token.kind {
                Kind::Text => are_kept(token),
                Kind::SystemVariable | Kind::Symbol(b'(' | b')' | b',' | b'.') => true,
                _ => ["CONCAT", "REPLACE", "SESSION", "SQL_MODE"]
                    .iter()
                    .any(|word| token.is_name() && token.text.eq_ignore_ascii_case(word)),
            })
        }
        _ => false,
    };
    if is_harmless { Ok(()) } else { Err(held("SET of sql_mode")) }
}

/// Character sets in which a quote is always a quote. What the server's default is nobody here knows.
fn judge_character_set(name: &Token<'_>) -> Judgement {
    let plain = name.plain_text().unwrap_or_else(|| name.name());
    if has_plain_ascii(&plain) { Ok(()) } else { Err(held("SET of a character set")) }
}
