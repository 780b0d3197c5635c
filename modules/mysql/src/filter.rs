//! Which users and statements are replayed.

use regex::bytes::RegexSet;
use serde::Deserialize;

/// Only these, and never those.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) only: Selection,
    pub(crate) never: Selection,
}

/// What one of the two names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Selection {
    users: Option<Vec<String>>,
    databases: Option<Vec<String>>,
    statements: Option<Patterns>,
}

/// Regular expressions, of which one has to be found.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct Patterns(RegexSet);

impl TryFrom<Vec<String>> for Patterns {
    type Error = regex::Error;

    fn try_from(patterns: Vec<String>) -> Result<Self, regex::Error> {
        RegexSet::new(patterns).map(Self)
    }
}

impl Filter {
    /// Why a session of that user, which begins in that database, is left out.
    pub(crate) fn session_refusal(&self, user: &[u8], database: Option<&[u8]>) -> Option<&'static str> {
        let names = |list: &Vec<String>, name: &[u8]| list.iter().any(|known| known.as_bytes() == name);
        let Self { only, never } = self;
        let refused = |only: &Option<Vec<String>>, never: &Option<Vec<String>>, name: Option<&[u8]>| {
            let is_named = |list: &Vec<String>| name.is_some_and(|name| names(list, name));
            only.as_ref().is_some_and(|list| !is_named(list)) || never.as_ref().is_some_and(is_named)
        };
        if refused(&only.users, &never.users, Some(user)) {
            return Some("the filter: user");
        }
        refused(&only.databases, &never.databases, database).then_some("the filter: database")
    }

    /// Why a statement is left out.
    pub(crate) fn statement_refusal(&self, text: &[u8]) -> Option<&'static str> {
        let fits =
            |selection: &Selection| selection.statements.as_ref().map(|patterns| patterns.0.is_match(text));
        let is_left_out = fits(&self.only) == Some(false) || fits(&self.never) == Some(true);
        is_left_out.then_some("the filter: statement")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(only: &str, never: &str) -> Filter {
        Filter { only: toml::from_str(only).unwrap(), never: toml::from_str(never).unwrap() }
    }

    #[test]
    fn only_these_and_never_those() {
        let filter = filter("users = [\"app\", \"web\"]", "databases = [\"audit\"]");
        assert_eq!(filter.session_refusal(b"app", Some(b"shop")), None);
        assert_eq!(filter.session_refusal(b"app", None), None);
        assert_eq!(filter.session_refusal(b"root", None), Some("the filter: user"));
        assert_eq!(filter.session_refusal(b"web", Some(b"audit")), Some("the filter: database"));
    }

    #[test]
    fn a_database_that_has_to_be_named_has_to_be_known() {
        let filter = filter("databases = [\"shop\"]", "");
        assert_eq!(filter.session_refusal(b"app", None), Some("the filter: database"));
    }

    #[test]
    fn statements_are_found_by_patterns() {
        let filter = filter("statements = [\"(?i)^select\"]", "statements = [\"secret\"]");
        assert_eq!(filter.statement_refusal(b"SELECT 1"), None);
        assert!(filter.statement_refusal(b"UPDATE t").is_some());
        assert!(filter.statement_refusal(b"select secret").is_some());
        assert!(Filter::default().statement_refusal(b"anything").is_none());
        assert!(toml::from_str::<Selection>("statements = [\"(\"]").is_err());
    }
}
