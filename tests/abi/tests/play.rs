//! Calls into a module, as the engine makes them.

use std::path::Path;

use tcpcopy_host::{Host, HostOptions, LoadError, Loaded};
use tcpcopy_plugin_api::{
    Action, Actions, Configuration, Conversation, GiveUp, Module, SessionInfo, Timestamp,
};

/// Loads a module with this configuration.
pub(crate) fn load(file: &Path, text: &str) -> Result<Loaded, LoadError> {
    Host::new(HostOptions::default()).load(file, &Configuration::new(text, "fixture.toml"))
}

/// A load that works.
#[track_caller]
pub(crate) fn loaded(file: &Path, text: &str) -> Loaded {
    load(file, text).unwrap_or_else(|error| panic!("{error}"))
}

/// The sentence of a load that fails.
#[track_caller]
pub(crate) fn refused(file: &Path, text: &str) -> String {
    load(file, text).unwrap_err().problem.to_string()
}

/// A session with its number.
pub(crate) fn session(id: u64) -> SessionInfo {
    SessionInfo {
        id,
        client: "203.0.113.1:40000".parse().unwrap(),
        online: "203.0.113.2:80".parse().unwrap(),
        source: "[2001:db8::1]:40001".parse().unwrap(),
        target: "[2001:db8::2]:8080".parse().unwrap(),
        joined: true,
        connected: false,
    }
}

/// A conversation with what it answers.
pub(crate) struct Play {
    pub(crate) conversation: Box<dyn Conversation>,
    pub(crate) actions: Actions,
}

impl Play {
    /// The conversation of a session that begins.
    pub(crate) fn open(module: &dyn Module) -> Self {
        Self { conversation: module.open(&session(1)), actions: Actions::default() }
    }

    /// One call, at the moment 30 about bytes of the moment 20 for a turn said at 10.
    pub(crate) fn call(
        &mut self,
        call: impl FnOnce(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>,
    ) -> Result<Vec<Action<'_>>, GiveUp> {
        self.actions.begin(Timestamp(30), Timestamp(20), Some(Timestamp(10)));
        call(&mut *self.conversation, &mut self.actions)?;
        Ok(self.actions.iter().collect())
    }

    /// The text that a call inserts.
    #[track_caller]
    pub(crate) fn inserted(
        &mut self,
        call: impl FnOnce(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>,
    ) -> String {
        match self.call(call).as_deref() {
            Ok([Action::Insert(text), ..]) => String::from_utf8_lossy(text).into_owned(),
            other => panic!("nothing is inserted: {other:?}"),
        }
    }
}
