//! What a statement sets.

use super::calls::judge_calls;
use super::{Judgement, held, judge_depth, judge_plain};
use crate::sql::effects::{Scope, assignments, split};
use crate::sql::tokens::{Kind, Token};
use crate::sql::words::{CHARACTER_SETS, NO_READ, SQL_MODES, VARIABLES, find};

/// A SET statement changes nothing but its own session, and not how its texts are read.
pub(super) fn judge_settings(statement: &[Token<'_>]) -> Judgement {
    let is = |at: usize, word: &str| statement.get(at).is_some_and(|token| token.is_word(word));
    judge_depth(statement)?;
    if is(1, "NAMES") || is(1, "CHARSET") {
        return judge_character_set(statement.get(2)).and_then(|()| judge_plain(statement));
    }
    if is(1, "CHARACTER") && is(2, "SET") {
        return judge_character_set(statement.get(3)).and_then(|()| judge_plain(statement));
    }
    let at = if is(1, "SESSION") || is(1, "LOCAL") { 2 } else { 1 };
    if is(at, "TRANSACTION") {
        return judge_plain(statement);
    }
    if ["PASSWORD", "DEFAULT", "STATEMENT", "RESOURCE", "ROLE"].iter().any(|word| is(1, word)) {
        return Err(held("SET of something else than variables"));
    }
    let mut scope = Scope::Session;
    assignments(&statement[1..]).into_iter().try_for_each(|part| judge_assignment(part, &mut scope))
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
    let value_itself = value.iter().filter(|token| !token.is(b'=') && !token.is(b':'));
    match name.name().to_ascii_uppercase().as_str() {
        "SQL_MODE" => judge_sql_mode(&value_itself.collect::<Vec<_>>()),
        "CHARACTER_SET_CLIENT" => judge_character_set(value_itself.into_iter().next()),
        _ => judge_value(value),
    }
}

fn judge_value(value: &[Token<'_>]) -> Judgement {
    let writes = |token: &&Token<'_>| {
        token.kind == Kind::Word
            && find(&NO_READ, token.text).is_some_and(|word| word != "INSERT" && word != "REPLACE")
    };
    match value.iter().find(writes) {
        Some(_) => Err(held("SET of something else than variables")),
        None => judge_calls(value),
    }
}

/// Modes under which quotes mean what they mean to this module.
fn judge_sql_mode(value: &[&Token<'_>]) -> Judgement {
    let is_kept = |mode: &str| mode.trim().is_empty() || find(&SQL_MODES, mode.trim()).is_some();
    let is_harmless = match value {
        [word] if word.kind == Kind::Word => word.is_word("DEFAULT") || is_kept(word.text),
        [text] => text.plain_text().is_some_and(|modes| modes.split(',').all(is_kept)),
        _ => false,
    };
    if is_harmless { Ok(()) } else { Err(held("SET of sql_mode")) }
}

/// Character sets in which a quote is always a quote.
fn judge_character_set(name: Option<&Token<'_>>) -> Judgement {
    let known = name.is_some_and(|name| {
        let plain = name.plain_text().unwrap_or_else(|| name.name());
        find(&CHARACTER_SETS, &plain).is_some() || name.is_word("DEFAULT")
    });
    if known { Ok(()) } else { Err(held("SET of a character set")) }
}
