//! The plain traits in front of the mirror, on the host's side.

use std::sync::Arc;

use tcpcopy_plugin_api::abi::{Call, ConversationObject, ModuleObject, Reply};
use tcpcopy_plugin_api::{
    Actions, Configuration, ConfigurationError, Conversation, GiveUp, Module, SessionInfo, Side,
};

use crate::tally::{Inside, Tally};

/// A module in a library.
pub(super) struct RemoteModule(Inside<ModuleObject>);

impl RemoteModule {
    pub(super) fn new(object: ModuleObject, tally: Arc<Tally>) -> Self {
        Self(Inside::new(object, tally))
    }

    fn conversation(&self, open: impl FnOnce(&ModuleObject) -> ConversationObject) -> Box<dyn Conversation> {
        let Inside { value, tally } = &self.0;
        let object = tally.aside(|| open(value));
        Box::new(RemoteConversation(Inside::new(object, Arc::clone(tally))))
    }
}

impl Module for RemoteModule {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Err(ConfigurationError::new("a module in a library is configured by its host"))
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        self.conversation(|module| module.open(session.into()))
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        self.conversation(|module| module.resume(session.into(), snapshot.into()))
    }
}

/// A conversation in a library.
struct RemoteConversation(Inside<ConversationObject>);

impl RemoteConversation {
    fn ask(
        &mut self,
        actions: &mut Actions,
        call: impl for<'c> FnOnce(&'c mut ConversationObject, Call) -> Reply<'c>,
    ) -> Result<(), GiveUp> {
        let Inside { value, tally } = &mut self.0;
        let begun = tally.begin();
        let reply = call(value, Call::of(actions));
        tally.end(begun);
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
        let Inside { value, tally } = &mut self.0;
        tally.aside(|| value.snapshot()).into_snapshot()
    }
}
