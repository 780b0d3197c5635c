//! Whether a text only reads. Whatever is not known to is taken to write.

mod calls;
mod settings;

use std::borrow::Cow;

use sqlparser::ast::{SetExpr, Statement};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use self::calls::judge_calls;
use self::settings::judge_settings;
use super::tokens::{Kind, Token, Tokens};
use super::words::{NO_READ, STATEMENTS, find};

/// Parentheses within parentheses.
const DEEPEST: usize = 200;
/// Tokens of a text that the crate's parser is asked about. `1+1+1…` and `JOIN a JOIN a…` are trees as deep as they are long,
/// which take that much stack to be made and dropped: 500 joins 2 MiB.
const MOST_PARSED: usize = 400;

/// Why a text is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldBack(Cow<'static, str>);

impl HeldBack {
    /// A short phrase to be counted by, without anything of the text but keywords and names of built-in functions.
    pub(crate) fn phrase(&self) -> &str {
        &self.0
    }
}

const fn held(phrase: &'static str) -> HeldBack {
    HeldBack(Cow::Borrowed(phrase))
}

type Judgement = Result<(), HeldBack>;

/// Lets only texts pass each statement of which can do nothing but read, and set up its own session.
pub(crate) fn judge(text: &[u8]) -> Judgement {
    let text = std::str::from_utf8(text).map_err(|_| held("not UTF-8"))?;
    let mut tokens = Vec::new();
    for token in Tokens::of(text) {
        match token.kind {
            Kind::Comment => {}
            Kind::Hint => judge_hint(token.text)?,
            Kind::Executable => return Err(held("an executable comment")),
            Kind::Unfinished | Kind::Strange => return Err(held("not understood")),
            _ => tokens.push(token),
        }
    }
    tokens
        .split(|token| token.is(b';'))
        .filter(|statement| !statement.is_empty())
        .try_for_each(judge_statement)?;
    if tokens.len() <= MOST_PARSED { contradict(text) } else { Ok(()) }
}

/// In a hint a quote can hide the end of the comment from this lexer and not from the server's, or the other way round.
fn judge_hint(hint: &str) -> Judgement {
    if hint.contains(['`', '\'', '"']) {
        return Err(held("a quote in a hint"));
    }
    if hint.to_ascii_uppercase().contains("SET_VAR") { Err(held("SET_VAR")) } else { Ok(()) }
}

/// The crate's parser knows less of MySQL than this judge, and has to agree where it understands a text.
fn contradict(text: &str) -> Judgement {
    let Ok(statements) = Parser::parse_sql(&MySqlDialect {}, text) else { return Ok(()) };
    let writes = statements.iter().any(|statement| match statement {
        Statement::Query(query) => {
            !query.locks.is_empty()
                || matches!(
                    *query.body,
                    SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
                )
        }
        Statement::Insert(_) | Statement::Update { .. } | Statement::Delete(_) | Statement::Drop { .. } => {
            true
        }
        _ => false,
    });
    if writes { Err(held("not understood")) } else { Ok(()) }
}

fn judge_statement(statement: &[Token<'_>]) -> Judgement {
    let is = |at: usize, word: &str| statement.get(at).is_some_and(|token| token.is_word(word));
    let Some(first) = statement.first() else { return Ok(()) };
    let word = if first.kind == Kind::Word { first.text.to_ascii_uppercase() } else { String::new() };
    match word.as_str() {
        "SELECT" | "WITH" | "TABLE" | "VALUES" | "SHOW" => judge_reading(statement),
        "" if first.is(b'(') => judge_reading(statement),
        "DESC" | "DESCRIBE" | "EXPLAIN" => judge_explanation(statement),
        "USE" if statement.len() == 2 && statement[1].is_name() => Ok(()),
        "SET" => judge_settings(statement),
        "BEGIN" if statement.len() == 1 || (statement.len() == 2 && is(1, "WORK")) => Ok(()),
        "START" if is(1, "TRANSACTION") => judge_plain(statement),
        "COMMIT" | "ROLLBACK" | "SAVEPOINT" => judge_plain(statement),
        "RELEASE" if is(1, "SAVEPOINT") => judge_plain(statement),
        "PREPARE" => judge_preparation(statement),
        "EXECUTE" if !is(1, "IMMEDIATE") && statement.len() > 1 => judge_plain(statement),
        "DEALLOCATE" if is(1, "PREPARE") => judge_plain(statement),
        "DROP" if is(1, "PREPARE") && statement.len() == 3 => Ok(()),
        word => Err(find(&STATEMENTS, word).map_or(held("not understood"), held)),
    }
}

/// A statement that gives rows: nothing in it writes, locks, or calls what may.
fn judge_reading(statement: &[Token<'_>]) -> Judgement {
    judge_depth(statement)?;
    judge_words(statement)?;
    judge_calls(statement)
}

/// No word, if it is one to the server, writes or locks.
fn judge_words(statement: &[Token<'_>]) -> Judgement {
    let shows = statement.first().is_some_and(|first| first.is_word("SHOW"));
    for (at, token) in statement.iter().enumerate() {
        let next = statement.get(at + 1);
        for word in words_in(token) {
            let is_followed = |by: &str| next.is_some_and(|next| next.is_word(by));
            if word.eq_ignore_ascii_case("FOR") && (is_followed("UPDATE") || is_followed("SHARE")) {
                return Err(held("SELECT … FOR UPDATE"));
            }
            if ["NEXT", "PREVIOUS"].iter().any(|of| word.eq_ignore_ascii_case(of)) && is_followed("VALUE") {
                return Err(held("a sequence"));
            }
            match find(&NO_READ, word) {
                // Functions of the same name, which have their parenthesis right behind it.
                Some("INSERT" | "REPLACE")
                    if next.is_some_and(|next| next.is(b'(') && next.start == token.end()) => {}
                // SHOW CREATE TABLE, SHOW PROCEDURE STATUS.
                Some("CREATE" | "PROCEDURE") if shows => {}
                Some("INTO" | "OUTFILE" | "DUMPFILE") => return Err(held("SELECT … INTO")),
                Some("LOCK") => return Err(held("SELECT … FOR UPDATE")),
                Some(word) => return Err(held(word)),
                None => {}
            }
        }
    }
    Ok(())
}

/// What of a token can be a keyword. To a session that speaks `latin1` the second byte of `à` is a blank, so what stands
/// behind such a letter may be one, even in what is a name otherwise.
fn words_in<'a>(token: &Token<'a>) -> impl Iterator<Item = &'a str> {
    let names_first = match token.kind {
        Kind::Word => Some(0),
        Kind::MemberWord | Kind::Variable => Some(1),
        _ => None,
    };
    let text = token.text;
    names_first.into_iter().flat_map(move |names| text.split(|letter: char| !letter.is_ascii()).skip(names))
}

fn judge_depth(statement: &[Token<'_>]) -> Judgement {
    let mut depth = 0_usize;
    for token in statement {
        if token.is(b'(') {
            depth += 1;
        } else if token.is(b')') {
            depth = depth.saturating_sub(1);
        }
        if depth > DEEPEST {
            return Err(held("too deep to judge"));
        }
    }
    Ok(())
}

/// Some servers execute parts of what they explain, so that is judged like the statement itself.
fn judge_explanation(statement: &[Token<'_>]) -> Judgement {
    let begins = |token: &Token<'_>| {
        token.is(b'(') || ["SELECT", "WITH", "TABLE", "VALUES"].iter().any(|word| token.is_word(word))
    };
    match statement.iter().position(begins) {
        Some(at) => judge_reading(&statement[at..]).and_then(|()| judge_names(&statement[..at])),
        None => judge_names(statement),
    }
}

/// Words and names, and none that begins something that writes.
fn judge_names(statement: &[Token<'_>]) -> Judgement {
    let writes = |token: &Token<'_>| {
        token.kind == Kind::Word
            && (find(&NO_READ, token.text).is_some() || find(&STATEMENTS, token.text) == Some("TRUNCATE"))
    };
    match statement.get(1..).unwrap_or_default().iter().find(|token| writes(token)) {
        Some(_) => Err(held("EXPLAIN")),
        None => judge_plain(statement),
    }
}

/// No expression: words, names, texts and variables.
fn judge_plain(statement: &[Token<'_>]) -> Judgement {
    let is_plain = |token: &Token<'_>| {
        token.is_name()
            || matches!(
                token.kind,
                Kind::Text | Kind::Variable | Kind::Symbol(b'.' | b',' | b'=' | b'@') | Kind::Number
            )
    };
    if statement.iter().all(is_plain) { Ok(()) } else { Err(held("not understood")) }
}

/// A text that is prepared has to pass as well.
fn judge_preparation(statement: &[Token<'_>]) -> Judgement {
    let [_, name, from, text] = statement else { return Err(held("PREPARE")) };
    let inner = text.plain_text().filter(|_| name.is_name() && from.is_word("FROM"));
    let inner = inner.ok_or_else(|| held("PREPARE"))?;
    let is_preparation = Tokens::of(&inner).any(|token| token.is_word("PREPARE"));
    if is_preparation { Err(held("PREPARE")) } else { judge(inner.as_bytes()) }
}

#[cfg(test)]
mod tests;
