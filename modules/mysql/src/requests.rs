//! What is remembered of a command until it is answered.

use tcpcopy_plugin_api::Answer;

use crate::command::Form;
use crate::login::Login;
use crate::response::Reply;
use crate::sql::Effect;
use crate::statements::Ordinal;

/// A command that is answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) form: Form,
    /// What it means when it succeeds.
    pub(crate) meaning: Meaning,
    /// Its answer completes the turn.
    pub(crate) ends_turn: bool,
}

/// What a command does to a session that outlives its answer.
#[derive(Clone, Debug, Default)]
pub(crate) enum Meaning {
    #[default]
    Nothing,
    /// The user is let in as that one.
    Login(Box<Login>),
    Database(Vec<u8>),
    /// What the statements of a text do, one after the other.
    Effects(Vec<Vec<Effect>>),
    /// A statement is prepared.
    Prepared(Ordinal),
    Reset,
    Option(u16),
}

/// An answer as the report shows it.
pub(crate) fn answer(reply: &Reply, latency_us: u64) -> Answer {
    Answer { outcome: reply.error.into(), failed: reply.error != 0, size: reply.rows, digest: 0, latency_us }
}
