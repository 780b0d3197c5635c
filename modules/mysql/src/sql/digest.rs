//! The row of the report a statement belongs to: its text without what differs from one execution to the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use super::tokens::{Kind, Token, Tokens};
use super::words::{CLAUSE_WORDS, FUNCTIONS, KEYWORDS, find};

/// The longest digest, in characters, without the sign that it was cut.
const MAX_DIGEST: usize = 200;
/// So much of a statement is read, in bytes. What differs only later has one digest.
const MAX_READ: usize = 8 * 1024;
/// So many texts are remembered.
const MAX_TEXTS: usize = 4096;

/// The digests of texts that were seen lately.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    by_text: HashMap<u64, Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Digests {
    /// The digest of a text; equal digests of remembered texts are one string.
    pub(crate) fn of(&mut self, text: &[u8]) -> Arc<str> {
        let read = text.get(..MAX_READ).unwrap_or(text);
        let key = xxh64(read, u64::from(read.len() < text.len()));
        if let Some(known) = self.by_text.get(&key) {
            return Arc::clone(known);
        }
        if self.by_text.len() >= MAX_TEXTS {
            self.by_text.clear();
            self.known.clear();
        }
        let digest: Arc<str> = digest(text).into();
        let digest = self.known.get(&digest).map_or(digest, Arc::clone);
        self.known.insert(Arc::clone(&digest));
        self.by_text.insert(key, Arc::clone(&digest));
        digest
    }
}

/// What a text is grouped by: keywords in upper case, single spaces, `?` for every literal, `(...)` for lists of them, and
/// neither comments nor needless backticks. Any bytes have a digest, of at most 200 characters and a `…`.
pub(crate) fn digest(text: &[u8]) -> String {
    let read = text.get(..MAX_READ).unwrap_or(text);
    let read_text = String::from_utf8_lossy(read);
    let mut writer = Writer::new(&read_text, read.len() == text.len());
    writer.write();
    let Writer { mut digest, is_whole, .. } = writer;
    digest.truncate(digest.trim_end_matches([';', ' ']).len());
    if let Some((cut, _)) = digest.char_indices().nth(MAX_DIGEST) {
        digest.truncate(cut);
        digest.push('…');
    } else if !is_whole {
        digest.push_str(" …");
    }
    digest
}

/// Writes a digest, token by token.
struct Writer<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    digest: String,
    before: Before,
    /// After `ON DUPLICATE KEY`, `VALUES (…)` is a function.
    is_update: bool,
    /// Whether all of the text could be read.
    is_whole: bool,
}

/// What was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Keyword,
    /// A keyword after which NULL, TRUE and FALSE are no values.
    Is,
    /// `IN`, which a list of values may follow.
    In,
    /// `VALUES`, which rows follow.
    Values,
    Name,
    Literal,
    /// What the next token is written directly after; also the beginning.
    Opening,
    Operator,
    Closing,
}

impl<'a> Writer<'a> {
    fn new(text: &'a str, is_whole: bool) -> Self {
        let tokens: Vec<_> = Tokens::of(text).filter(|token| !token.is_comment()).collect();
        let digest = String::with_capacity(text.len().min(2 * MAX_DIGEST));
        Self { tokens, at: 0, digest, before: Before::Opening, is_update: false, is_whole }
    }

    /// The token so many places behind the one that is being written.
    fn ahead(&self, places: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + places).copied()
    }

    fn write(&mut self) {
        // A character has four bytes at the most.
        while let Some(token) = self.ahead(0).filter(|_| self.digest.len() <= 4 * MAX_DIGEST) {
            self.write_token(token);
            self.at += 1;
        }
    }

    fn write_token(&mut self, token: Token<'a>) {
        match token.kind {
            Kind::Word => self.write_word(token),
            Kind::QuotedName => {
                let name = token.name();
                self.push(if is_plain_name(&name) { &name } else { token.text }, Before::Name);
            }
            // Texts side by side are one text.
            Kind::Text if self.before == Before::Literal => {}
            Kind::Text | Kind::Number | Kind::Parameter => self.push("?", Before::Literal),
            Kind::SystemVariable => self.push("@@", Before::Opening),
            Kind::Symbol(b'(') if self.opens_values() => self.write_values(),
            Kind::Symbol(symbol) => self.write_symbol(symbol, token),
            Kind::MemberWord | Kind::Variable | Kind::Strange => self.push(token.text, Before::Name),
            Kind::Unfinished => self.is_whole = false,
            Kind::Comment | Kind::Hint | Kind::Executable => {}
        }
    }

    fn write_word(&mut self, token: Token<'a>) {
        let next = self.ahead(1);
        if next.is_some_and(|next| introduces(token, next)) {
            return;
        }
        let is_constant = ["NULL", "TRUE", "FALSE"].iter().any(|constant| token.is_word(constant));
        if is_constant && self.before != Before::Is {
            return self.push("?", Before::Literal);
        }
        let clause = find(&CLAUSE_WORDS, token.text);
        let calls = clause.is_none() && next.is_some_and(|next| next.is(b'('));
        if let Some(function) = find(&FUNCTIONS, token.text).filter(|_| calls) {
            return self.push(function, Before::Name);
        }
        let keyword = find(&KEYWORDS, token.text);
        self.is_update |= keyword == Some("DUPLICATE");
        let after = match keyword.or(clause) {
            Some("IN") => Before::In,
            Some("ROW") if self.before == Before::Values => Before::Values,
            Some("VALUES" | "VALUE") if !self.is_update => Before::Values,
            Some("IS" | "NOT") => Before::Is,
            _ if keyword.is_some() => Before::Keyword,
            _ => Before::Name,
        };
        self.push(keyword.unwrap_or(token.text), after);
    }

    /// Whether the parenthesis here opens a list of literals after `IN`, or a row after `VALUES`.
    fn opens_values(&self) -> bool {
        let only_literals = || {
            let list = self.tokens.iter().skip(self.at + 1).take_while(|token| !token.is_word("AND"));
            let mut list = list.take_while(|token| !token.is(b')'));
            list.all(|token| is_literal(token) || token.is(b',') || token.is(b'(') || token.is(b'-'))
        };
        match self.before {
            Before::Values => {
                !self.ahead(1).is_some_and(|next| next.is_word("SELECT") || next.is_word("WITH"))
            }
            Before::In => only_literals(),
            _ => false,
        }
    }

    /// One `(...)` for this list and those that follow it.
    fn write_values(&mut self) {
        self.push("(...)", Before::Closing);
        loop {
            self.skip_list();
            let (comma, row) = (self.ahead(1), self.ahead(2));
            let row_word = row.is_some_and(|row| row.is_word("ROW"));
            let list = if row_word { self.ahead(3) } else { row };
            if row.is_none() && comma.is_some_and(|comma| comma.is(b',')) {
                self.at += 1; // where reading stopped between two rows
            }
            if !(comma.is_some_and(|comma| comma.is(b',')) && list.is_some_and(|list| list.is(b'('))) {
                return;
            }
            self.at += 2 + usize::from(row_word);
        }
    }

    /// Goes to the parenthesis that closes the one here.
    fn skip_list(&mut self) {
        let mut depth = 0_usize;
        let rest = self.tokens.iter().skip(self.at);
        let closing = rest.clone().position(|token| {
            depth += usize::from(token.is(b'('));
            depth -= usize::from(token.is(b')'));
            depth == 0
        });
        self.is_whole &= closing.is_some();
        self.at += closing.unwrap_or(rest.len());
    }

    fn write_symbol(&mut self, symbol: u8, token: Token<'a>) {
        let value_follows = !matches!(self.before, Before::Name | Before::Literal | Before::Closing);
        let number_follows = self.ahead(1).is_some_and(|next| next.kind == Kind::Number);
        if matches!(symbol, b'-' | b'+') && value_follows && number_follows {
            return;
        }
        let after = match symbol {
            b'(' | b'.' | b'@' => Before::Opening,
            b')' => Before::Closing,
            _ => Before::Operator,
        };
        let continues = matches!(symbol, b'=' | b'<' | b'>' | b'|' | b'&') && self.before == Before::Operator;
        let before = self.at.checked_sub(1).and_then(|before| self.tokens.get(before));
        if continues && before.is_some_and(|before| before.end() == token.start && !before.is(b',')) {
            self.digest.push_str(token.text);
            return;
        }
        self.push(token.text, after);
    }

    fn push(&mut self, text: &str, after: Before) {
        let joins = match text {
            "." | "," | ")" | ";" => true,
            "(" => self.before == Before::Name,
            _ => false,
        };
        if !joins && self.before != Before::Opening {
            self.digest.push(' ');
        }
        self.digest.push_str(text);
        self.before = after;
    }
}

/// `_utf8mb4'…'`, `x'…'`, `b'…'`, `N'…'`.
fn introduces(word: Token<'_>, next: Token<'_>) -> bool {
    let is_prefix = matches!(word.text, "x" | "X" | "b" | "B" | "n" | "N") && word.end() == next.start;
    next.kind == Kind::Text && (is_prefix || word.text.starts_with('_'))
}

fn is_literal(token: &Token<'_>) -> bool {
    let is_constant = || ["NULL", "TRUE", "FALSE"].iter().any(|constant| token.is_word(constant));
    matches!(token.kind, Kind::Text | Kind::Number | Kind::Parameter) || is_constant()
}

/// A name that is one word without backticks.
fn is_plain_name(name: &str) -> bool {
    let mut tokens = Tokens::of(name);
    let is_word = tokens.next().is_some_and(|token| token.kind == Kind::Word && token.text == name);
    is_word && find(&KEYWORDS, name).is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_from_execution_to_execution_is_no_part_of_a_digest() {
        for (text, expected) in [
            ("select c from sbtest1 where id=4711", "SELECT c FROM sbtest1 WHERE id = ?"),
            (
                "SELECT c FROM sbtest1 WHERE id BETWEEN 1 AND 2 ORDER BY c",
                "SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c",
            ),
            (
                "insert  into t(a,`b`) values (1,'x'),(-2,NULL) ,(3, now())",
                "INSERT INTO t(a, b) VALUES (...)",
            ),
            (
                "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a=VALUES(a)+1",
                "INSERT INTO t(a) VALUES (...) ON DUPLICATE KEY UPDATE a = VALUES (a) + ?",
            ),
            (
                "SELECT * FROM `t` WHERE `order` IN (1, 2,-3) AND b in (select x from y)",
                "SELECT * FROM t WHERE `order` IN (...) AND b IN (SELECT x FROM y)",
            ),
            ("select a in ((1,2),(3,4)), b in (?)", "SELECT a IN (...), b IN (...)"),
            ("select a in (b, 1)", "SELECT a IN (b, ?)"),
            ("SELECT /* trace=1 */ count( * ),\n t.* -- end\n FROM t#x", "SELECT COUNT(*), t.* FROM t"),
            (
                "select a<=>-1, b>=2, c<>3, d->>'$.x', e=-f",
                "SELECT a <=> ?, b >= ?, c <> ?, d ->> ?, e = - f",
            ),
            ("select _utf8mb4'x' 'y', x'4D', 0x4D, N'z', b'01', 0b1", "SELECT ?, ?, ?, ?, ?, ?"),
            (
                "select a from t where b is null and c is not null and d = null",
                "SELECT a FROM t WHERE b IS NULL AND c IS NOT NULL AND d = ?",
            ),
            ("SET @@session.x = 1, @a := 2", "SET @@SESSION.x = ?, @a := ?"),
            ("values row(1,2), row(3,4)", "VALUES ROW (...)"),
            ("SELECT 1; SELECT 2;", "SELECT ?; SELECT ?"),
            ("SELECT if(a, 1, 2), replace(a, 'x', 'y')", "SELECT IF(a, ?, ?), REPLACE(a, ?, ?)"),
            ("SELECT `a b`.`c`", "SELECT `a b`.c"),
            ("", ""),
            (" /* nothing */ ", ""),
        ] {
            assert_eq!(digest(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(digest(b"SELECT 'never closed"), "SELECT …");
        assert_eq!(digest(b"SELECT /* never closed"), "SELECT …");
        assert_eq!(digest(b"INSERT INTO t VALUES (1, 'x"), "INSERT INTO t VALUES (...) …");
        assert_eq!(digest(b"SELECT \xe9 FROM t"), "SELECT \u{fffd} FROM t");
    }

    #[test]
    fn digests_are_short_and_rows_do_not_lengthen_them() {
        let rows = "(1, 'some text'), ".repeat(2000);
        assert_eq!(
            digest(format!("INSERT INTO t VALUES {rows}(1)").as_bytes()),
            "INSERT INTO t VALUES (...) …"
        );
        let columns = "ä, ".repeat(300);
        let long = digest(format!("SELECT {columns} FROM t").as_bytes());
        assert_eq!(long.chars().count(), MAX_DIGEST + 1);
        assert!(long.ends_with('…'));
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(digest(&text).chars().count() <= MAX_DIGEST + 2);
        }

        #[test]
        fn no_sql_breaks_it(text in "(IN|VALUES|ROW|[a-z0-9 ()'\",;`@?.*/#<=>-]){0,200}") {
            prop_assert!(digest(text.as_bytes()).chars().count() <= MAX_DIGEST + 2);
        }

        #[test]
        fn blanks_and_comments_change_nothing(gap in "( |\n|\t| /\\* [a-z']* \\*/ | -- [a-z'`]*\n)") {
            let text = "SELECT a , - 1 FROM t WHERE b IN ( 1 , 2 ) AND c <= - 5 ;";
            prop_assert_eq!(digest(text.replace(' ', &gap).as_bytes()), digest(text.as_bytes()));
        }
    }

    #[test]
    fn remembered_texts_share_their_digest() {
        let mut digests = Digests::default();
        let one = digests.of(b"SELECT 1");
        assert!(Arc::ptr_eq(&one, &digests.of(b"SELECT 1")));
        assert!(Arc::ptr_eq(&one, &digests.of(b"select 2")));
        for id in 0..2 * MAX_TEXTS {
            assert_eq!(&*digests.of(format!("SELECT {id}").as_bytes()), "SELECT ?");
            assert!(digests.by_text.len() <= MAX_TEXTS && digests.known.len() == 1);
        }
    }
}
