//! What a server is to do.

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Pieces, Reading, refuse};

/// What a server does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerPlan {
    /// Addresses to listen on, port 0 for any free one.
    pub listen: Vec<SocketAddr>,
    /// `SO_REUSEPORT`: several server processes share the addresses.
    pub reuse_port: bool,
    /// Length of the accept queue.
    pub backlog: u32,
    /// Size of an answer's body.
    pub size: AnswerSize,
    /// Time between a request and its answer. Requests of one connection are worked on one after the other.
    pub delay: AnswerDelay,
    /// Said to every connection on accept.
    pub greeting: Option<Greeting>,
    /// Close after each answer, without telling beforehand.
    pub close_after_answer: bool,
    /// Every n-th request of this process is received, recorded and answered by a reset.
    pub reset_every: Option<u64>,
    /// How fast requests are read.
    pub reading: Reading,
    /// Milliseconds a connection waits in the accept queue.
    pub accept_delay_ms: u64,
    /// How an answer is cut into writes.
    pub writing: Pieces,
    /// How the heads of requests are worded on arrival: as users word them, unless something on the way rewrites them.
    pub wording: Wording,
}

impl Default for ServerPlan {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            reuse_port: false,
            backlog: 4096,
            size: AnswerSize::Wanted,
            delay: AnswerDelay::Wanted { extra_ms: 0 },
            greeting: None,
            close_after_answer: false,
            reset_every: None,
            reading: Reading::default(),
            accept_delay_ms: 0,
            writing: Pieces::default(),
            wording: Wording::default(),
        }
    }
}

impl ServerPlan {
    /// Says in one sentence what is wrong with the plan.
    ///
    /// # Errors
    /// `InvalidInput` when the plan cannot be carried out as written.
    pub fn check(&self) -> io::Result<()> {
        if self.listen.is_empty() {
            return refuse("the server's plan names no address: give at least one in `listen`");
        }
        if self.reset_every == Some(0) || self.writing.count == 0 {
            return refuse("`reset_every` and the pieces of an answer are at least 1");
        }
        if self.greeting.as_ref().is_some_and(|greeting| !greeting.text.ends_with('\n')) {
            return refuse("a greeting is a line: end its `text` with a newline");
        }
        Ok(())
    }
}

/// What may differ between the heads of the same request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wording {
    /// The value of `Host`; `None`: what users say.
    pub host: Option<String>,
    /// Fields behind those of users, each as `Name: value`.
    pub added: Vec<String>,
}

/// Size of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerSize {
    /// What the request asks for.
    Wanted,
    /// Always this many bytes.
    Fixed(u32),
}

/// Time between a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerDelay {
    /// Always this long.
    Fixed {
        /// Milliseconds.
        ms: u64,
    },
    /// What the request asks for, and a little more.
    Wanted {
        /// Milliseconds on top.
        extra_ms: u64,
    },
}

/// What a server says on accept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greeting {
    /// The line, newline included.
    pub text: String,
    /// Milliseconds after the accept.
    pub delay_ms: u64,
}
