//! The plain traits in front of the mirror, on the host's side.

use std::sync::Arc;

use tcpcopy_plugin_api::abi::{Call, ConversationObject, ModuleObject, Reply};
use tcpcopy_plugin_api::{
    Actions, Configuration, ConfigurationError, Conversation, GiveUp, Module, SessionInfo, Side,
};

use crate::tally::Tally;

/// A module in a library.
pub(super) struct RemoteModule {
    object: ModuleObject,
    tally: Arc<Tally>,
}

impl RemoteModule {
    pub(super) fn new(object: ModuleObject, tally: Arc<Tally>) -> Self {
        Self { object, tally }
    }

    fn conversation(&self, object: ConversationObject) -> Box<dyn Conversation> {
        Box::new(RemoteConversation { object, tally: Arc::clone(&self.tally) })
    }
}

impl Module for RemoteModule {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Err(ConfigurationError::new("a module in a library is configured by its host"))
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        self.conversation(self.tally.aside(|| self.object.open(session.into())))
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        self.conversation(self.tally.aside(|| self.object.resume(session.into(), snapshot.into())))
    }
}

/// A conversation in a library.
struct RemoteConversation {
    object: ConversationObject,
    tally: Arc<Tally>,
}

impl RemoteConversation {
    fn ask(
        &mut self,
        actions: &mut Actions,
        call: impl for<'c> FnOnce(&'c mut ConversationObject, Call) -> Reply<'c>,
    ) -> Result<(), GiveUp> {
        let begun = self.tally.begin();
        let reply = call(&mut self.object, Call::of(actions));
        self.tally.end(begun);
        reply.carry_to(actions)
    }
}

impl Conversation for RemoteConversation {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.opened(call))
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.client(call, input.into()))
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.target(call, input.into()))
    }

    fn online(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.online(call, input.into()))
    }

    fn missing(&mut self, side: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.missing(call, side.into(), count))
    }

    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.ended(call, side.into()))
    }

    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.reconnected(call))
    }

    fn timer(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        self.ask(actions, |object, call| object.timer(call))
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        self.tally.aside(|| self.object.snapshot()).into_snapshot()
    }
}
