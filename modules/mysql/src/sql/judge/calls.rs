//! Functions that a statement calls.

use super::{HeldBack, Judgement, held};
use crate::sql::tokens::{Kind, Token};
use crate::sql::words::{CLAUSE_WORDS, FUNCTIONS, SPACE_SENSITIVE, WRITING_FUNCTIONS, find};

const UNKNOWN: HeldBack = held("a function that may write");

/// Nothing is called that may write.
pub(super) fn judge_calls(statement: &[Token<'_>]) -> Judgement {
    let calls = statement.iter().enumerate().filter(|(_, token)| token.is(b'('));
    for (at, parenthesis) in calls {
        let Some(before) = at.checked_sub(1).and_then(|before| statement.get(before)) else { continue };
        if before.is_name() && !names_columns(statement, at) {
            judge_call(before, parenthesis, statement.get(at + 1))?;
        }
    }
    Ok(())
}

fn judge_call(name: &Token<'_>, parenthesis: &Token<'_>, argument: Option<&Token<'_>>) -> Judgement {
    if name.kind != Kind::Word {
        return Err(UNKNOWN); // a name that can be no keyword is somebody's own
    }
    let writing = format!("{}()", name.text);
    if let Some(writing) = find(&WRITING_FUNCTIONS, &writing) {
        return Err(held(writing));
    }
    if name.is_word("LAST_INSERT_ID") && argument.is_some_and(|argument| !argument.is(b')')) {
        return Err(held("LAST_INSERT_ID() with an argument"));
    }
    let is_apart = name.end() != parenthesis.start;
    let is_known =
        find(&FUNCTIONS, name.text).is_some() && !(is_apart && find(&SPACE_SENSITIVE, name.text).is_some());
    if is_known || find(&CLAUSE_WORDS, name.text).is_some() { Ok(()) } else { Err(UNKNOWN) }
}

/// Whether the parenthesis at `at` lists the columns of a table that is given a name: `WITH name (…) AS (`,
/// `… AS name (…)`, `) name (…)`.
fn names_columns(statement: &[Token<'_>], at: usize) -> bool {
    let before_name = at.checked_sub(2).and_then(|before| statement.get(before));
    if before_name.is_some_and(|token| token.is_word("AS") || token.is(b')')) {
        return true;
    }
    let opens_cte = before_name
        .is_some_and(|token| token.is_word("WITH") || token.is_word("RECURSIVE") || token.is(b','));
    let Some(end) = statement.iter().skip(at).position(|token| token.is(b')')).map(|end| end + at) else {
        return false;
    };
    let columns = statement.get(at + 1..end).unwrap_or_default();
    let are_names = columns.iter().all(|token| token.is_name() || token.is(b','));
    let is_defined = statement.get(end + 1).is_some_and(|token| token.is_word("AS"))
        && statement.get(end + 2).is_some_and(|token| token.is(b'('));
    opens_cte && are_names && is_defined
}
