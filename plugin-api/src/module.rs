//! A module: what is loaded, configured, and asked for a conversation per session.

use std::fmt;
use std::net::SocketAddr;

use crate::Conversation;

/// A protocol module, configured and ready: the factory of [`Conversation`]s.
///
/// One value serves all sessions of one mapping, on one thread. It is made anew for each load, so that a replaced
/// module never shares state with the one before it.
///
/// ```
/// use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};
/// # use tcpcopy_plugin_api::{Actions, GiveUp};
/// # struct Quiet;
/// # impl Conversation for Quiet {
/// #     fn client(&mut self, _: &[u8], actions: &mut Actions) -> Result<(), GiveUp> { actions.forward_all(); Ok(()) }
/// # }
/// struct Http {
///     host: Option<String>,
/// }
///
/// impl Module for Http {
///     fn configure(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError> {
///         match configuration.text().trim() {
///             "" => Ok(Self { host: None }),
///             line => match line.strip_prefix("host=") {
///                 Some(host) => Ok(Self { host: Some(host.to_owned()) }),
///                 None => Err(ConfigurationError::new(format!("{line:?} is not known; it may be host=NAME"))),
///             },
///         }
///     }
///
///     fn open(&self, _session: &SessionInfo) -> Box<dyn Conversation> {
///         Box::new(Quiet)
///     }
/// }
/// ```
pub trait Module: Send + 'static {
    /// Reads the configuration: once per load, before any session.
    ///
    /// # Errors
    /// One sentence for the operator: what is wrong, where, and what is allowed. The load then fails, and what ran
    /// before goes on unchanged.
    fn configure(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError>
    where
        Self: Sized;

    /// A session begins: its conversation. It ends when that value is dropped.
    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation>;

    /// A session goes on that another conversation had served until now: one of an older generation of this module
    /// (hot swap with `--migrate`; [`SessionInfo::connected`] is true), or one of the same user's connection whose session
    /// ended, or came to a hole in the capture (`connected` is false, and [`SessionInfo::joined`] is true). `snapshot` is what
    /// [`Conversation::snapshot`] of that one gave, possibly of another version of the module: check it.
    ///
    /// By default the snapshot is not used, and a new conversation is opened.
    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        let _ = snapshot;
        self.open(session)
    }
}

/// What the operator wrote for a module: the contents of a file, or text on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Configuration<'a> {
    text: &'a str,
    origin: &'a str,
}

impl<'a> Configuration<'a> {
    /// Configuration `text`, with where it came from for messages: a path, or the option that held it.
    #[must_use]
    pub fn new(text: &'a str, origin: &'a str) -> Self {
        Self { text, origin }
    }

    /// The text; empty when the operator gave none. By custom TOML; the host does not look into it.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Where the text came from, for messages. The host puts it before the sentence of a [`ConfigurationError`], so
    /// a module needs it only to find files beside it.
    #[must_use]
    pub fn origin(&self) -> &'a str {
        self.origin
    }
}

/// Why a configuration cannot be used: one sentence, without a capital and a full stop, since more is put around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationError(String);

impl ConfigurationError {
    /// What is wrong, where, and what is allowed.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigurationError {}

/// What is known of a session when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionInfo {
    /// A number of this session, unique while tcpcopy runs; the one that logs and `tcpcopy ctl sessions` show.
    pub id: u64,
    /// The user, as captured.
    pub client: SocketAddr,
    /// The online server the user speaks to.
    pub online: SocketAddr,
    /// Where the copy comes from, as the target sees it.
    pub source: SocketAddr,
    /// The target.
    pub target: SocketAddr,
    /// The beginning of the user's connection was not captured: the first bytes are the first that were, at a place
    /// where the user seems to have begun to speak.
    pub joined: bool,
    /// The connection to the target exists already ([`Module::resume`] for `--migrate`). Otherwise it is about to
    /// be opened, and the target's stream begins with its first byte.
    pub connected: bool,
}
