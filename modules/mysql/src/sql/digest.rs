//! What statements are grouped by: their texts without values.

use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use super::tokens::{Kind, Token, Tokens};
use super::words::{FUNCTIONS, KEYWORDS, find};

/// Characters of a digest.
const LONGEST: usize = 200;
/// So many texts are remembered with their digests.
const MOST_REMEMBERED: usize = 4096;

/// Digests of the texts seen last, so that one that comes again costs no more than a hash of it.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    known: std::collections::HashMap<u64, Arc<str>>,
}

impl Digests {
    /// The digest of a text.
    pub(crate) fn of(&mut self, text: &[u8]) -> Arc<str> {
        let hash = xxh64(text, 0);
        if let Some(known) = self.known.get(&hash) {
            return Arc::clone(known);
        }
        if self.known.len() >= MOST_REMEMBERED {
            self.known.clear();
        }
        let digest: Arc<str> = digest(text).into();
        self.known.insert(hash, Arc::clone(&digest));
        digest
    }
}

/// A text with `?` for its values, its keywords in upper case, and no comments; lists of values become `(...)`.
fn digest(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut words = Words::default();
    for token in Tokens::of(&text).filter(|token| !matches!(token.kind, Kind::Comment | Kind::Hint)) {
        words.add(&token);
        if words.is_full() {
            break;
        }
    }
    words.write()
}

/// A digest's words so far.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    /// How long they are together.
    length: usize,
    /// Where lists of values begin that are open.
    lists: Vec<usize>,
}

impl Words {
    /// Whether nothing that comes could be seen, unless it is the end of a list.
    fn is_full(&self) -> bool {
        self.length > 2 * LONGEST && self.lists.is_empty() || self.words.len() > 50_000
    }

    fn add(&mut self, token: &Token<'_>) {
        match token.kind {
            Kind::Symbol(b'(') => {
                if self.is_before_list() {
                    self.lists.push(self.words.len());
                }
                self.push("(");
            }
            Kind::Symbol(b')') => self.close(),
            Kind::Text | Kind::Number | Kind::Parameter => self.push("?"),
            Kind::Word => self.push(find(&KEYWORDS, token.text).unwrap_or(token.text)),
            Kind::QuotedName if Tokens::of(&token.name()).count() == 1 => self.push(&token.name()),
            _ => self.push(token.text),
        }
    }

    fn push(&mut self, word: &str) {
        self.length += word.len() + 1;
        self.words.push(word.to_owned());
    }

    fn last(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    fn is_before_list(&self) -> bool {
        let follows_list =
            self.last() == "," && self.words.iter().rev().nth(1).is_some_and(|word| word == "(...)");
        matches!(self.last(), "IN" | "VALUES" | "VALUE") || follows_list
    }

    /// A list of nothing but values is one word; a second one behind it is none.
    fn close(&mut self) {
        let list = self.lists.last().copied().filter(|start| {
            let inside = self.words.get(start + 1..).unwrap_or_default();
            inside.iter().all(|word| matches!(word.as_str(), "?" | "," | "NULL" | "DEFAULT" | "-" | "+"))
        });
        let Some(start) = list else {
            self.lists.pop_if(|start| {
                self.words.get(*start..).is_none_or(|inside| !inside.iter().any(|word| word == "("))
            });
            return self.push(")");
        };
        self.lists.pop();
        self.words.truncate(start);
        if self.last() == "," {
            self.words.pop();
        } else {
            self.words.push("(...)".to_owned());
        }
        self.length = self.words.iter().map(|word| word.len() + 1).sum();
    }

    fn write(self) -> String {
        let mut digest = String::with_capacity(self.length.min(2 * LONGEST));
        let mut before = "";
        let words = self.words.iter().map(String::as_str);
        for word in words {
            let is_called = word == "(" && may_be_called(before);
            let joins =
                matches!(word, "," | ")" | ";" | ".") || matches!(before, "(" | "." | "@" | "@@" | "");
            if !joins && !is_called {
                digest.push(' ');
            }
            digest.push_str(word);
            before = word;
        }
        digest.truncate(digest.trim_end_matches([';', ' ']).len());
        match digest.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &digest[..end]),
            None => digest,
        }
    }
}

/// Whether a word in front of a parenthesis is the name of a function, or of a table with its columns.
fn may_be_called(word: &str) -> bool {
    let is_name = word.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == '`');
    is_name && (find(&FUNCTIONS, word).is_some() || find(&KEYWORDS, word).is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_differ_in_values_are_the_same() {
        for (text, expected) in [
            ("select c from sbtest1 where id=4711", "SELECT c FROM sbtest1 WHERE id = ?"),
            ("SELECT /* trace 5 */ 'a', \"b\" FROM `t` -- end", "SELECT ?, ? FROM t"),
            ("SELECT * FROM t WHERE id IN (1, 2,3)", "SELECT * FROM t WHERE id IN (...)"),
            ("insert into t (a,b) values (1,'x'),(2,-3);", "INSERT INTO t(a, b) VALUES (...)"),
            ("SELECT COUNT(*), max(a.b) FROM `my table` a", "SELECT COUNT(*), max(a.b) FROM `my table` a"),
            ("SELECT * FROM t WHERE a IN (SELECT 1)", "SELECT * FROM t WHERE a IN (SELECT ?)"),
            ("SELECT @@version, @a", "SELECT @@version, @a"),
            ("select database(), if(a, 1, 2)", "SELECT DATABASE(), IF(a, ?, ?)"),
            ("", ""),
        ] {
            assert_eq!(digest(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_digest_is_short() {
        let long = format!("SELECT {}", "a_column, ".repeat(100));
        assert_eq!(digest(long.as_bytes()).chars().count(), LONGEST + 1);
        let rows = format!("INSERT INTO t VALUES {}", "(1, 'two'),".repeat(10_000));
        assert_eq!(digest(rows.trim_end_matches(',').as_bytes()), "INSERT INTO t VALUES (...)");
    }

    #[test]
    fn digests_are_remembered_for_a_while() {
        let mut digests = Digests::default();
        let first = digests.of(b"SELECT 1");
        assert!(Arc::ptr_eq(&first, &digests.of(b"SELECT 1")));
        for number in 0..2 * MOST_REMEMBERED {
            digests.of(format!("SELECT {number}").as_bytes());
        }
        assert!(digests.known.len() <= MOST_REMEMBERED);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            digest(&text);
        }

        #[test]
        fn no_sql_breaks_it(text in "[a-z0-9 ()'\",;`@?.*/#-]{0,200}") {
            prop_assert!(digest(text.as_bytes()).chars().count() <= LONGEST + 1);
        }
    }
}
