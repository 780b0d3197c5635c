//! What an operator can say to this module, in TOML. docs/http.md explains each key.

use serde::Deserialize;
use tcpcopy_plugin_api::ConfigurationError;

use crate::filter::{Filter, Rule, Sample};
use crate::label::Template;
use crate::rewrite::Rewrite;

/// What the operator wrote, in the form that is used.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Malformed requests end their session, instead of being forwarded as they are.
    pub(crate) gives_up_malformed: bool,
    /// The online server's answers are wanted, to be compared with the target's.
    pub(crate) compares: bool,
    pub(crate) filter: Filter,
    pub(crate) rewrite: Rewrite,
    pub(crate) labels: Vec<Template>,
}

/// The keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    malformed: Malformed,
    read_only: bool,
    compare: bool,
    labels: Vec<Template>,
    only: Vec<Condition>,
    never: Vec<Condition>,
    sample: Option<Sample>,
    rewrite: Rewrite,
}

/// What is done with malformed requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Malformed {
    #[default]
    Forward,
    GiveUp,
}

/// A rule that says something.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Rule")]
struct Condition(Rule);

impl TryFrom<Rule> for Condition {
    type Error = &'static str;

    fn try_from(rule: Rule) -> Result<Self, Self::Error> {
        if rule.is_empty() {
            Err("a rule without method, path and header fits every request")
        } else {
            Ok(Self(rule))
        }
    }
}

impl Settings {
    /// Reads the configuration.
    pub(crate) fn read(text: &str) -> Result<Self, ConfigurationError> {
        let file: File = toml::from_str(text).map_err(|error| sentence(text, &error))?;
        let rules =
            |conditions: Vec<Condition>| conditions.into_iter().map(|condition| condition.0).collect();
        let filter = Filter {
            read_only: file.read_only,
            only: rules(file.only),
            never: rules(file.never),
            sample: file.sample,
        };
        Ok(Self {
            // What cannot be read cannot be judged, and must not get past a filter by that.
            gives_up_malformed: file.malformed == Malformed::GiveUp || filter.forbids_something(),
            compares: file.compare,
            filter,
            rewrite: file.rewrite,
            labels: file.labels,
        })
    }
}

/// The error in one sentence: the line, what stands there, and what is wrong with it.
fn sentence(text: &str, error: &toml::de::Error) -> ConfigurationError {
    let message = error.message().trim_end().replace('\n', "; ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return ConfigurationError::new(message);
    };
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    ConfigurationError::new(format!("line {number} ({line}): {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Settings::read(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_configured_changes_nothing() {
        let settings = Settings::read("").unwrap();
        assert!(!settings.compares && !settings.gives_up_malformed);
    }

    #[test]
    fn what_forbids_something_gives_malformed_requests_up() {
        for text in
            ["read_only = true", "[[only]]\npath = 'a'", "[[never]]\npath = 'a'", "malformed = 'give_up'"]
        {
            assert!(Settings::read(text).unwrap().gives_up_malformed, "{text}");
        }
        assert!(!Settings::read("sample.percent = 1").unwrap().gives_up_malformed);
    }

    #[test]
    fn errors_name_the_line_the_key_and_what_is_allowed() {
        for (text, line, reason) in [
            (
                "# a\nreadonly = true",
                "line 2 (readonly = true): ",
                "unknown field `readonly`, expected one of",
            ),
            (
                "read_only = 'yes'",
                "line 1 (read_only = 'yes'): ",
                "invalid type: string \"yes\", expected a boolean",
            ),
            ("malformed = 'drop'", "line 1 (malformed = 'drop'): ", "expected `forward` or `give_up`"),
            (
                "[[only]]\npath = '('",
                "line 2 (path = '('): ",
                "the regular expression \"(\" cannot be used: unclosed",
            ),
            ("[[never]]\n", "line 1 ([[never]]): ", "fits every request"),
            ("[sample]\npercent = 101", "line 2 (percent = 101): ", "not between 0 and 100"),
            (
                "rewrite.set = { Expect = 'x' }",
                "line 1 (rewrite.set = { Expect = 'x' }): ",
                "cannot be rewritten",
            ),
            ("rewrite.host = \"a\\r\\nb\"", "line 1 ", "is no host"),
            ("rewrite.host = 'a b'", "line 1 ", "is no host"),
            ("rewrite.add = { X = \"a\\nb\" }", "line 1 ", "control character"),
            ("rewrite.set = { host = 'a' }", "line 1 ", "rewrite.host changes it"),
            ("[rewrite]\nadd_prefix = 'x/'", "line 2 (add_prefix = 'x/'): ", "no path prefix"),
            ("labels = ['x']", "line 1 (labels = ['x']): ", "has to begin with a slash"),
            ("compare = ", "line 1 (compare =): ", ""),
        ] {
            let error = error(text);
            assert!(error.starts_with(line) && error.contains(reason), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
