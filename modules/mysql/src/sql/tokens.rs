//! A statement's tokens, as the lexers of MySQL and MariaDB see them in their default modes.
//!
//! Where a crate for many dialects may be lenient, this follows the server to the byte (MySQL's `sql_lex.cc`,
//! `lex_one_token`): the judge must never take for a name, a text or a comment what the server takes for code. Nothing is
//! copied, and every token is a piece of the statement.
//!
//! Not known here: `sql_mode` (`ANSI_QUOTES` and `NO_BACKSLASH_ESCAPES` would change what a quote means) and character
//! sets in which the second byte of a character can be ASCII (`gbk`, `sjis` …).

use memchr::{memchr, memchr2, memmem};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name that cannot be a keyword, because a dot stands directly before it.
    MemberWord,
    /// A name in backticks.
    QuotedName,
    /// A text in single or double quotes.
    Text,
    /// A number, also hexadecimal and binary ones that begin with `0x` and `0b`.
    Number,
    /// `?`.
    Parameter,
    /// `@name`. With a name in quotes, it is the symbol `@` and the name.
    Variable,
    /// `@@`, before the name of a system variable.
    SystemVariable,
    /// One byte of punctuation.
    Symbol(u8),
    /// A comment that says nothing to the server.
    Comment,
    /// `/*+ … */`.
    Hint,
    /// `/*! … */` and `/*M! … */`: code, for some versions.
    Executable,
    /// A quote or a comment that is not closed: the rest of the text.
    Unfinished,
    /// A byte that begins nothing, or a word with `$` first, which newer servers take for a quote.
    Strange,
}

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Where it begins in the statement, in bytes.
    pub(crate) start: usize,
}

impl<'a> Token<'a> {
    /// The first byte after it.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this symbol.
    pub(crate) fn is(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    /// Whether it is this word, in any case, without quotes.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it can be a name.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::MemberWord | Kind::QuotedName)
    }

    pub(crate) fn is_comment(&self) -> bool {
        matches!(self.kind, Kind::Comment | Kind::Hint | Kind::Executable)
    }

    /// The code in an executable comment, without its marks and version.
    pub(crate) fn executable(&self) -> &'a str {
        let inside = self.text.trim_start_matches("/*").trim_end_matches("*/");
        let code = inside.trim_start_matches('M').trim_start_matches('!');
        code.trim_start_matches(|byte: char| byte.is_ascii_digit())
    }

    /// The name as the server stores it: without backticks.
    pub(crate) fn name(&self) -> String {
        let inside = self.text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        inside.map_or_else(|| self.text.to_owned(), |inside| inside.replace("``", "`"))
    }

    /// What a text says, if it can be told without undoing backslashes.
    pub(crate) fn plain_text(&self) -> Option<String> {
        let quote = self.text.chars().next().filter(|_| self.kind == Kind::Text)?;
        let inside = self.text.get(1..self.text.len().checked_sub(1)?)?;
        (!inside.contains('\\')).then(|| inside.replace(&format!("{quote}{quote}"), &quote.to_string()))
    }
}

/// The tokens of a text, comments among them, blanks not.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// Where the last word ended: a dot there belongs to it, whatever follows.
    word_end: Option<usize>,
    /// Where the last dot ended: what follows there is a name.
    dot_end: Option<usize>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, at: 0, word_end: None, dot_end: None }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// What begins at `at`, and how long it is.
    fn measure(&self, first: u8) -> (Kind, usize) {
        let rest = self.rest();
        match first {
            _ if self.dot_end == Some(self.at) && is_name_byte(first) => {
                (Kind::MemberWord, name_length(rest))
            }
            b'\'' | b'"' => closed(text_length(rest, first), Kind::Text, rest),
            b'`' => closed(quoted_name_length(rest), Kind::QuotedName, rest),
            b'#' => (Kind::Comment, line_length(rest)),
            b'-' if self.byte(1) == b'-' && is_blank_or_control(self.byte(2)) => {
                (Kind::Comment, line_length(rest))
            }
            b'/' if self.byte(1) == b'*' => closed(comment_length(rest), comment_kind(rest), rest),
            b'0'..=b'9' => number_or_name(rest),
            b'.' if self.byte(1).is_ascii_digit() && self.word_end != Some(self.at) => {
                (Kind::Number, fraction_length(rest))
            }
            b'$' => (Kind::Strange, name_length(rest)),
            _ if is_name_byte(first) => (Kind::Word, name_length(rest)),
            b'@' if self.byte(1) == b'@' => (Kind::SystemVariable, 2),
            b'@' if is_variable_byte(self.byte(1)) => (Kind::Variable, 1 + run(&rest[1..], is_variable_byte)),
            b'?' => (Kind::Parameter, 1),
            b'\\' | 0..=31 | 127 => (Kind::Strange, 1),
            symbol => (Kind::Symbol(symbol), 1),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.at += run(self.rest(), is_blank);
        let first = *self.text.as_bytes().get(self.at)?;
        let (kind, length) = self.measure(first);
        let start = self.at;
        self.at += length;
        self.word_end = matches!(kind, Kind::Word | Kind::MemberWord).then_some(self.at);
        self.dot_end = (kind == Kind::Symbol(b'.')).then_some(self.at);
        Some(Token { kind, text: self.text.get(start..self.at)?, start })
    }
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, 9..=13 | b' ')
}

fn is_blank_or_control(byte: u8) -> bool {
    byte <= b' ' || byte == 127
}

/// Bytes above 127 are parts of characters, all of which are letters to the server.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 128
}

fn is_variable_byte(byte: u8) -> bool {
    is_name_byte(byte) || byte == b'.'
}

fn run(bytes: &[u8], belongs: fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !belongs(byte)).unwrap_or(bytes.len())
}

fn digits(bytes: &[u8]) -> usize {
    run(bytes, |byte| byte.is_ascii_digit())
}

fn name_length(rest: &[u8]) -> usize {
    run(rest, is_name_byte)
}

/// A quote or comment of this length, or the unfinished rest.
fn closed(length: Option<usize>, kind: Kind, rest: &[u8]) -> (Kind, usize) {
    length.map_or((Kind::Unfinished, rest.len()), |length| (kind, length))
}

fn text_length(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        let bytes = rest.get(at..)?;
        at += memchr2(quote, b'\\', bytes)?;
        let escapes = rest.get(at) == Some(&b'\\') || rest.get(at + 1) == Some(&quote);
        if !escapes {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn quoted_name_length(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr(b'`', rest.get(at..)?)?;
        if rest.get(at + 1) != Some(&b'`') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// A comment to the end of its line: to the line feed, and to nothing else.
fn line_length(rest: &[u8]) -> usize {
    memchr(b'\n', rest).unwrap_or(rest.len())
}

/// Comments do not nest, and `/*/` does not close itself.
fn comment_length(rest: &[u8]) -> Option<usize> {
    memmem::find(rest.get(2..)?, b"*/").map(|end| end + 4)
}

fn comment_kind(rest: &[u8]) -> Kind {
    match rest.get(2..).unwrap_or_default() {
        [b'!', ..] | [b'M', b'!', ..] => Kind::Executable,
        [b'+', ..] => Kind::Hint,
        _ => Kind::Comment,
    }
}

/// What begins with a digit: `12`, `1.5`, `1e5`, `0x1F`, or a name like `2nd`. `1e5into` is a number and a keyword.
fn number_or_name(rest: &[u8]) -> (Kind, usize) {
    let name = name_length(rest);
    let prefixed = match rest {
        [b'0', b'x', after @ ..] => run(after, |byte| byte.is_ascii_hexdigit()),
        [b'0', b'b', after @ ..] => run(after, |byte| byte == b'0' || byte == b'1'),
        _ => 0,
    };
    if prefixed > 0 && prefixed + 2 == name {
        return (Kind::Number, name);
    }
    let whole = digits(rest);
    let after = rest.get(whole..).unwrap_or_default();
    if whole == name && after.first() == Some(&b'.') {
        return (Kind::Number, whole + fraction_length(after));
    }
    match whole + exponent_length(after) {
        number if number > whole || whole == name => (Kind::Number, number),
        _ => (Kind::Word, name),
    }
}

/// `.25` and `.25e-3`.
fn fraction_length(rest: &[u8]) -> usize {
    let fraction = 1 + digits(rest.get(1..).unwrap_or_default());
    fraction + exponent_length(rest.get(fraction..).unwrap_or_default())
}

/// `e5`, `E-5`, or nothing.
fn exponent_length(rest: &[u8]) -> usize {
    let sign = match rest {
        [b'e' | b'E', b'+' | b'-', ..] => 2,
        [b'e' | b'E', ..] => 1,
        _ => return 0,
    };
    match digits(rest.get(sign..).unwrap_or_default()) {
        0 => 0,
        length => sign + length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Kind, &str)> {
        Tokens::of(text).map(|token| (token.kind, token.text)).collect()
    }

    fn pieces(text: &str) -> Vec<&str> {
        Tokens::of(text).map(|token| token.text).collect()
    }

    #[test]
    fn names_and_numbers_part_where_the_server_parts_them() {
        for (text, expected) in [
            ("1e5into", &["1e5", "into"][..]),
            ("1into", &["1into"]),
            ("1.into", &["1.", "into"]),
            ("1e+5x", &["1e+5", "x"]),
            ("1e", &["1e"]),
            ("0x1Fg", &["0x1Fg"]),
            ("0x1F+0b01", &["0x1F", "+", "0b01"]),
            (".5into", &[".5", "into"]),
            ("t.5into", &["t", ".", "5into"]),
            ("a.b.c", &["a", ".", "b", ".", "c"]),
            ("into@x", &["into", "@x"]),
            ("@a.into", &["@a.into"]),
            ("@@session.a", &["@@", "session", ".", "a"]),
            ("@`a`", &["@", "`a`"]),
            ("?into", &["?", "into"]),
            ("1--1", &["1", "-", "-", "1"]),
            ("1-- 1\n2", &["1", "-- 1", "2"]),
            ("1 --", &["1", "--"]),
            ("a/*/b*/c", &["a", "/*/b*/", "c"]),
            ("a/* /* */ b", &["a", "/* /* */", "b"]),
            ("#a\rb\nc", &["#a\rb", "c"]),
            ("größe", &["größe"]),
        ] {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn quotes_end_where_the_server_ends_them() {
        for (text, length) in
            [(r"'a\'b'", 6), ("'a''b'", 6), (r#""a\"b""#, 6), ("\"a'b\"", 5), (r"'\\'", 4), ("'a\nb'", 5)]
        {
            assert_eq!(read(&format!("{text};")), [(Kind::Text, &text[..length]), (Kind::Symbol(b';'), ";")]);
        }
        assert_eq!(read("`a``;b`"), [(Kind::QuotedName, "`a``;b`")]);
        assert_eq!(read(r"`a\`b"), [(Kind::QuotedName, r"`a\`"), (Kind::Word, "b")]);
        for text in ["'a", r"'a\'", "\"", "`a``", "/* a", "/*/"] {
            assert_eq!(read(text), [(Kind::Unfinished, text)]);
        }
    }

    #[test]
    fn comments_that_are_code_are_told_apart() {
        assert_eq!(read("/*!50000 a */")[0].0, Kind::Executable);
        assert_eq!(read("/*M!100100 a */")[0].0, Kind::Executable);
        assert_eq!(read("/*+ a */")[0].0, Kind::Hint);
        assert_eq!(read("/* ! a */")[0].0, Kind::Comment);
        let token = Tokens::of("/*!40101 SET NAMES utf8 */").next().unwrap();
        assert_eq!(token.executable().trim(), "SET NAMES utf8");
    }

    #[test]
    fn what_begins_nothing_is_strange() {
        for text in ["$$", "$a$", "\\N", "\0", "\x01"] {
            assert_eq!(read(text)[0].0, Kind::Strange, "{text:?}");
        }
        assert_eq!(read("a$b"), [(Kind::Word, "a$b")]);
        assert_eq!(read("a.$b")[2], (Kind::MemberWord, "$b"));
    }

    #[test]
    fn names_and_plain_texts_lose_their_quotes() {
        let token = |text| Tokens::of(text).next().unwrap();
        assert_eq!(token("`a``b`").name(), "a`b");
        assert_eq!(token("a").name(), "a");
        assert_eq!(token("'it''s'").plain_text().as_deref(), Some("it's"));
        assert_eq!(token(r"'it\'s'").plain_text(), None);
        assert_eq!(token("a").plain_text(), None);
    }
}
