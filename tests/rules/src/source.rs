//! A Rust file as tokens: identifiers and paths with their lines. Comments are gone and literals are not looked
//! into, so what only a comment or a string says breaks no rule. Not a parser: types, scopes and macros mean nothing.

use std::io;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use thiserror::Error;
use walkdir::{DirEntry, WalkDir};

/// One file.
#[derive(Debug)]
pub struct Source {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// What it contains.
    pub text: String,
    /// Every identifier and keyword, in order, raw ones without their `r#`.
    pub words: Vec<Word>,
    /// Every path with its groups spread out: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
    pub paths: Vec<Route>,
    /// Whether it says `#![forbid(unsafe_code)]` at its top level.
    pub forbids_unsafe: bool,
}

/// An identifier or keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As written.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

/// A path of one or more segments; a glob is the segment `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// As written, without `::`.
    pub segments: Vec<String>,
    /// Line of its last segment, counted from 1.
    pub line: usize,
}

/// Why a source could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file system said no.
    #[error("{path} cannot be read: {error}", path = .path.display())]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not Rust.
    #[error("{path}:{line} is not Rust: {error}", path = .path.display())]
    NotRust {
        /// Which file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// Why.
        error: proc_macro2::LexError,
    },
}

/// Every Rust file below `root`; build output and hidden folders are skipped.
///
/// # Errors
/// When a file cannot be read or is not Rust.
pub fn read_all(root: &Path) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry)) {
        let entry = entry.map_err(|error| SourceError::Unreadable {
            path: error.path().unwrap_or(root).to_path_buf(),
            error: error.into(),
        })?;
        let path = entry.path();
        if entry.file_type().is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path)
                .map_err(|error| SourceError::Unreadable { path: path.to_path_buf(), error })?;
            sources.push(Source::new(path.strip_prefix(root).unwrap_or(path), text)?);
        }
    }
    Ok(sources)
}

fn is_skipped(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.file_type().is_dir() && (name == "target" || name.starts_with('.'))
}

impl Source {
    /// Reads `text`, the content of the file at `path`.
    ///
    /// # Errors
    /// When it is not Rust.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Result<Self, SourceError> {
        let (path, text) = (path.into(), text.into());
        let tokens: TokenStream = match text.parse() {
            Ok(tokens) => tokens,
            Err(error) => {
                let line = error.span().start().line;
                return Err(SourceError::NotRust { path, line, error });
            }
        };
        let mut reader = Reader::default();
        reader.read(tokens.clone(), &[]);
        Ok(Self {
            forbids_unsafe: forbids_unsafe(tokens),
            path,
            text,
            words: reader.words,
            paths: reader.paths,
        })
    }

    /// `file:line`, for a message.
    #[must_use]
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn forbids_unsafe(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.windows(3).any(|window| match window {
        [TokenTree::Punct(hash), TokenTree::Punct(bang), TokenTree::Group(attribute)] => {
            let mut inside = Reader::default();
            inside.read(attribute.stream(), &[]);
            let mut words = inside.words.iter().map(|word| word.text.as_str());
            hash.as_char() == '#'
                && bang.as_char() == '!'
                && words.next() == Some("forbid")
                && words.any(|word| word == "unsafe_code")
        }
        _ => false,
    })
}

#[derive(Default)]
struct Reader {
    words: Vec<Word>,
    paths: Vec<Route>,
}

/// The path being read.
struct Open {
    segments: Vec<String>,
    line: usize,
    /// A `::` came last, so the next word belongs to it.
    expects_more: bool,
}

impl Reader {
    /// Reads one token tree level; `prefix` is the path in front of the braces it stands in, if any.
    fn read(&mut self, tokens: TokenStream, prefix: &[String]) {
        let mut tokens = tokens.into_iter().peekable();
        let mut open = Open::after(prefix);
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) => {
                    if !open.expects_more {
                        self.close(&mut open);
                    }
                    let word = self.word(&ident);
                    open.extend(&word);
                }
                TokenTree::Punct(punct) => match punct.as_char() {
                    ':' if punct.spacing() == Spacing::Joint && takes_colon(&mut tokens) => {
                        open.expects_more = true
                    }
                    '*' if open.expects_more => {
                        open.extend(&Word { text: String::from("*"), line: punct.span().start().line })
                    }
                    ',' => {
                        self.close(&mut open);
                        open = Open::after(prefix);
                    }
                    _ => self.close(&mut open),
                },
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Brace && open.expects_more {
                        self.read(group.stream(), &open.segments);
                        open = Open::after(&[]);
                    } else {
                        self.close(&mut open);
                        self.read(group.stream(), &[]);
                    }
                }
                TokenTree::Literal(_) => self.close(&mut open),
            }
        }
        self.close(&mut open);
    }

    fn word(&mut self, ident: &Ident) -> Word {
        let text = ident.to_string();
        let word = Word {
            text: text.strip_prefix("r#").map_or(text.clone(), String::from),
            line: ident.span().start().line,
        };
        self.words.push(word.clone());
        word
    }

    /// Ends the path: it is kept when it has a word of its own behind the prefix.
    fn close(&mut self, open: &mut Open) {
        let Open { segments, line, expects_more } = std::mem::replace(open, Open::after(&[]));
        if !segments.is_empty() && !expects_more {
            self.paths.push(Route { segments, line });
        }
    }
}

impl Open {
    fn after(prefix: &[String]) -> Self {
        Self { segments: prefix.to_vec(), line: 0, expects_more: !prefix.is_empty() }
    }

    fn extend(&mut self, word: &Word) {
        // `a::{self}` is `a`.
        if word.text != "self" || self.segments.is_empty() {
            self.segments.push(word.text.clone());
        }
        self.line = word.line;
        self.expects_more = false;
    }
}

fn takes_colon(tokens: &mut Peekable<IntoIter>) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    tokens.next_if(is_colon).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("made/up.rs", text).unwrap()
    }

    fn paths(text: &str) -> Vec<String> {
        source(text).paths.iter().map(|path| path.segments.join("::")).collect()
    }

    fn has_path(text: &str, path: &str) -> bool {
        paths(text).iter().any(|found| found == path)
    }

    #[test]
    fn comments_and_strings_are_not_words() {
        let text = "//! unsafe\n/* unsafe */ // unsafe\nconst A: &str = \"unsafe\"; const B: &str = r#\"unsafe\"#;\n/// unsafe\nfn f() {}";
        assert!(source(text).words.iter().all(|word| word.text != "unsafe"));
    }

    #[test]
    fn words_carry_their_lines() {
        let words = source("\nfn\n  r#match() {}").words;
        let expected = [("fn", 2), ("match", 3)].map(|(text, line)| Word { text: text.into(), line });
        assert_eq!(words, expected);
    }

    #[test]
    fn groups_of_a_use_are_spread_out() {
        let text = "use std::{thread, time::{self, Duration, Instant as Clock}, net::*};";
        for path in ["std::thread", "std::time", "std::time::Duration", "std::time::Instant", "std::net::*"] {
            assert!(has_path(text, path), "{path} in {:?}", paths(text));
        }
        assert!(!has_path(text, "std::time::Clock"));
    }

    #[test]
    fn a_path_in_an_expression_is_found() {
        assert!(has_path("fn f() { g(&[::std::time::Instant::now() - x]); }", "std::time::Instant::now"));
        assert!(has_path("fn f(a: b::C, d: e::F) {}", "b::C"));
        assert!(has_path("fn f() -> a::B { c::d { x: 1 } }", "c::d"));
    }

    #[test]
    fn a_multiplication_is_not_a_glob() {
        assert_eq!(paths("const A: u8 = b * c;"), ["const", "A", "u8", "b", "c"]);
    }

    #[test]
    fn forbidding_unsafe_is_seen_only_where_it_counts() {
        assert!(source("//! Head.\n#![forbid(unsafe_code)]\nfn f() {}").forbids_unsafe);
        assert!(source("#![forbid(missing_docs, unsafe_code)]").forbids_unsafe);
        assert!(!source("#![deny(unsafe_code)]").forbids_unsafe);
        assert!(!source("// #![forbid(unsafe_code)]\nmod a { #![forbid(unsafe_code)] }").forbids_unsafe);
        assert!(!source("#[forbid(unsafe_code)] mod a {}").forbids_unsafe);
    }

    #[test]
    fn what_is_not_rust_is_an_error_with_its_line() {
        let error = Source::new("made/up.rs", "fn f() {\n  )").unwrap_err();
        assert!(error.to_string().starts_with("made/up.rs:2 is not Rust"), "{error}");
    }
}
