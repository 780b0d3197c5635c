//! The plain traits behind the mirror, on the module's side: every call into the author's code is guarded, so that a
//! panic costs one conversation and nothing else.

use abi_stable::std_types::{RResult, RSlice, RString};
use abi_stable::type_level::downcasting::TD_Opaque;

use super::panic_note::guarded;
use super::{
    Call, ConversationObject, ModuleObject, Outcome, RawConversation, RawConversation_TO, RawExchange,
    RawModule, RawModule_TO, RawSession, RawSide, Refusal, Reply, raw_steps,
};
use crate::{Actions, Configuration, Conversation, GiveUp, Module, SessionInfo};

/// A configured module of type `M`.
pub(crate) fn configure<M: Module>(text: &str, origin: &str) -> RResult<ModuleObject, Refusal> {
    let refuse = |is_panic, text: String| RResult::RErr(Refusal { is_panic, text: RString::from(text) });
    match guarded(|| M::configure(&Configuration::new(text, origin)).map_err(|error| error.to_string())) {
        Ok(Ok(module)) => RResult::ROk(RawModule_TO::from_value(GuardedModule(Some(module)), TD_Opaque)),
        Ok(Err(sentence)) => refuse(false, sentence),
        Err(panic) => refuse(true, panic),
    }
}

/// A module; empty only while it is dropped.
struct GuardedModule<M: Module>(Option<M>);

impl<M: Module> GuardedModule<M> {
    fn start(&self, begin: impl FnOnce(&M) -> Box<dyn Conversation>) -> ConversationObject {
        let begun = match &self.0 {
            Some(module) => guarded(|| begin(module)),
            None => Err(String::from("the module is gone")),
        };
        RawConversation_TO::from_value(GuardedConversation::new(begun), TD_Opaque)
    }
}

impl<M: Module> RawModule for GuardedModule<M> {
    fn open(&self, session: RawSession) -> ConversationObject {
        self.start(|module| module.open(&SessionInfo::from(session)))
    }

    fn resume(&self, session: RawSession, snapshot: RSlice<'_, u8>) -> ConversationObject {
        self.start(|module| module.resume(&SessionInfo::from(session), snapshot.as_slice()))
    }
}

impl<M: Module> Drop for GuardedModule<M> {
    fn drop(&mut self) {
        let module = self.0.take();
        // A panic here has nobody left to harm; the hook has logged it.
        let _ = guarded(move || drop(module));
    }
}

/// A conversation and what it answers with, until the next call.
struct GuardedConversation {
    /// Empty once it panicked.
    author: Option<Box<dyn Conversation>>,
    actions: Actions,
    exchanges: Vec<RawExchange>,
    labels: Vec<u8>,
    /// Why it gave up, how it panicked, or its snapshot.
    text: Vec<u8>,
}

impl GuardedConversation {
    /// One that was opened, or that tells of its opener's panic when it is called.
    fn new(begun: Result<Box<dyn Conversation>, String>) -> Self {
        let (author, text) = match begun {
            Ok(author) => (Some(author), Vec::new()),
            Err(panic) => (None, panic.into_bytes()),
        };
        Self { author, actions: Actions::default(), exchanges: Vec::new(), labels: Vec::new(), text }
    }

    fn answer(
        &mut self,
        call: Call,
        ask: impl FnOnce(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>,
    ) -> Reply<'_> {
        let Self { author: Some(author), actions, .. } = self else {
            return Reply::bare(Outcome::FAULT, &self.text);
        };
        call.begin(actions);
        match guarded(|| ask(&mut **author, actions)) {
            Ok(Ok(())) => self.reply(),
            Ok(Err(give_up)) => {
                self.text = give_up.reason().as_bytes().to_vec();
                Reply::bare(Outcome::of(&give_up), &self.text)
            }
            Err(panic) => {
                self.disable(panic);
                Reply::bare(Outcome::FAULT, &self.text)
            }
        }
    }

    fn reply(&mut self) -> Reply<'_> {
        let (steps, bytes, exchanges) = self.actions.as_raw();
        self.exchanges.clear();
        self.labels.clear();
        for exchange in exchanges {
            self.exchanges.push(RawExchange::of(exchange));
            self.labels.extend_from_slice(exchange.label.as_bytes());
        }
        Reply {
            outcome: Outcome::DONE,
            steps: raw_steps(steps).into(),
            bytes: bytes.into(),
            exchanges: self.exchanges.as_slice().into(),
            labels: self.labels.as_slice().into(),
        }
    }

    fn disable(&mut self, panic: String) {
        self.text = panic.into_bytes();
        let author = self.author.take();
        let _ = guarded(move || drop(author));
    }
}

impl RawConversation for GuardedConversation {
    fn opened(&mut self, call: Call) -> Reply<'_> {
        self.answer(call, |author, actions| author.opened(actions))
    }

    fn client(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_> {
        self.answer(call, |author, actions| author.client(input.as_slice(), actions))
    }

    fn target(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_> {
        self.answer(call, |author, actions| author.target(input.as_slice(), actions))
    }

    fn online(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_> {
        self.answer(call, |author, actions| author.online(input.as_slice(), actions))
    }

    fn missing(&mut self, call: Call, side: RawSide, count: u64) -> Reply<'_> {
        self.answer(call, |author, actions| author.missing(side.into(), count, actions))
    }

    fn ended(&mut self, call: Call, side: RawSide) -> Reply<'_> {
        self.answer(call, |author, actions| author.ended(side.into(), actions))
    }

    fn reconnected(&mut self, call: Call) -> Reply<'_> {
        self.answer(call, |author, actions| author.reconnected(actions))
    }

    fn timer(&mut self, call: Call) -> Reply<'_> {
        self.answer(call, |author, actions| author.timer(actions))
    }

    fn snapshot(&mut self) -> Reply<'_> {
        let Some(author) = &mut self.author else {
            return Reply::bare(Outcome::FAULT, &self.text);
        };
        match guarded(|| author.snapshot()) {
            Ok(Some(snapshot)) => {
                self.text = snapshot;
                Reply::bare(Outcome::DONE, &self.text)
            }
            Ok(None) => Reply::bare(Outcome::NOTHING, &[]),
            Err(panic) => {
                self.disable(panic);
                Reply::bare(Outcome::FAULT, &self.text)
            }
        }
    }
}

impl Drop for GuardedConversation {
    fn drop(&mut self) {
        let author = self.author.take();
        let _ = guarded(move || drop(author));
    }
}
