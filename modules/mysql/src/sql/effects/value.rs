//! Whether a value can be given again by the words that gave it.

use super::is_utf8;
use crate::sql::tokens::{Kind, Token};

/// Functions that give the same for the same arguments in every session.
const PURE: [&str; 12] = [
    "CAST",
    "COALESCE",
    "CONCAT",
    "CONCAT_WS",
    "CONVERT",
    "IF",
    "IFNULL",
    "LOWER",
    "NULLIF",
    "REPLACE",
    "TRIM",
    "UPPER",
];
/// Words that stand for a value of the moment, or begin a look into tables.
const MOMENTARY: [&str; 15] = [
    "CURRENT_DATE",
    "CURRENT_ROLE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "NEXT",
    "PREVIOUS",
    "SELECT",
    "TABLE",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
    "VALUES",
];
/// System variables that are another's in every session, that statements change, or that have several names.
const UNSTEADY: [&str; 13] = [
    "character_set_",
    "collation_",
    "error_count",
    "identity",
    "in_transaction",
    "insert_id",
    "last_",
    "pseudo_",
    "rand_seed",
    "timestamp",
    "transaction_",
    "tx_",
    "warning_count",
];

/// What a value is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing but what its words say, and these system variables of the session.
    Told(Vec<String>),
    /// Something that another connection does not have.
    Untold,
}

impl Value {
    /// The value of an expression.
    pub(super) fn of(expression: &[Token<'_>]) -> Self {
        let mut read = Vec::new();
        for (at, token) in expression.iter().enumerate() {
            let rest = expression.get(at + 1..).unwrap_or_default();
            let is_told = match token.kind {
                Kind::Variable | Kind::Symbol(b'@') | Kind::Unfinished | Kind::Strange | Kind::Parameter => {
                    false
                }
                Kind::SystemVariable => match session_variable(rest) {
                    Some(name) => {
                        read.push(name);
                        true
                    }
                    None => false,
                },
                _ if token.is_name() && rest.first().is_some_and(|next| next.is(b'(')) => {
                    is_one_of(&PURE, token)
                }
                _ => !is_one_of(&MOMENTARY, token),
            };
            if !is_told || !is_utf8(token.text) {
                return Self::Untold;
            }
        }
        Self::Told(read)
    }
}

/// The name behind `@@`, if each new session begins with the same value.
fn session_variable(rest: &[Token<'_>]) -> Option<String> {
    let name = match rest {
        [scope, dot, name, ..] if dot.is(b'.') => {
            let is_of_session = ["SESSION", "LOCAL"].iter().any(|word| scope.text.eq_ignore_ascii_case(word));
            Some(name).filter(|_| is_of_session)?
        }
        [name, ..] => name,
        [] => return None,
    };
    let name = name.name().to_lowercase();
    (!UNSTEADY.iter().any(|unsteady| name.starts_with(unsteady))).then_some(name)
}

fn is_one_of(words: &[&str], token: &Token<'_>) -> bool {
    words.iter().any(|word| token.is_word(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens::Tokens;

    fn value(text: &str) -> Value {
        Value::of(&Tokens::of(text).collect::<Vec<_>>())
    }

    #[test]
    fn what_words_tell_is_told() {
        for text in [
            "1",
            "'a'",
            "-1.5",
            "ON",
            "SYSTEM",
            "DEFAULT",
            "utf8mb4",
            "CONCAT('a', 'b')",
            "NULL",
            "x'4D'",
            "1 + (2)",
        ] {
            assert_eq!(value(text), Value::Told(vec![]), "{text}");
        }
        assert_eq!(
            value("REPLACE(CONCAT(@@sql_mode, ',A'), @@SESSION.`Time_Zone`, '')"),
            Value::Told(vec!["sql_mode".to_owned(), "time_zone".to_owned()])
        );
    }

    #[test]
    fn what_another_connection_does_not_have_is_not_told() {
        for text in [
            "@b",
            "@`b`",
            "CONCAT('a', @b)",
            "@@global.sql_mode",
            "@@last_insert_id",
            "@@session.timestamp",
            "@@character_set_client",
            "NOW()",
            "UUID()",
            "LAST_INSERT_ID()",
            "f(1)",
            "`concat`('a')",
            "shop.concat('a')",
            "CURRENT_TIMESTAMP",
            "current_user",
            "(SELECT COUNT(*) FROM t)",
            "NEXT VALUE FOR s",
            "'never closed",
            "'a\u{fffd}'",
        ] {
            assert_eq!(value(text), Value::Untold, "{text}");
        }
    }
}
