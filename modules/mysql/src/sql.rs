//! Statements as texts: what they are grouped by, whether they can write, and what they leave behind in a session.
//!
//! `tokens.rs` reads a text as the server's own lexer does; everything else works on its tokens. `digest.rs` is the row of
//! the report a statement belongs to, `judge.rs` says whether a text only reads, `effects.rs` what it changes in its session.
//! `words.rs` holds the names they look things up in. No room for statements' meaning beyond that: nothing is executed,
//! and no schema is known. docs/decisions/0011-judging-sql.md has the reasons.

mod digest;
mod effects;
mod judge;
mod tokens;
mod words;

pub(crate) use self::digest::Digests;
pub(crate) use self::effects::{Effect, Value, effects};
pub(crate) use self::judge::judge;
pub(crate) use self::words::has_plain_ascii;
