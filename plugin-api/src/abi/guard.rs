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

    /// Inlined down to [`ask`](Self::ask), so that the reply is made where the caller wants it: copying one costs more than
    /// the call.
    #[inline(always)]
    fn answer(
        &mut self,
        call: Call,
        ask: impl FnOnce(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>,
    ) -> Reply<'_> {
        let outcome = self.ask(call, ask);
        self.reply(outcome)
    }

    fn ask(
        &mut self,
        call: Call,
        ask: impl FnOnce(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>,
    ) -> Outcome {
        let Self { author: Some(author), actions, .. } = self else {
            return Outcome::FAULT;
        };
        actions.begin_call(call);
        match guarded(|| ask(&mut **author, actions)) {
            Ok(Ok(())) => {
                self.exchanges.clear();
                self.labels.clear();
                if self.actions.has_exchanges() {
                    self.mirror_exchanges();
                }
                Outcome::DONE
            }
            Ok(Err(give_up)) => {
                self.text = give_up.reason().as_bytes().to_vec();
                Outcome::of(&give_up)
            }
            Err(panic) => {
                self.disable(panic);
                Outcome::FAULT
            }
        }
    }

    #[inline(never)]
    fn mirror_exchanges(&mut self) {
        for exchange in self.actions.as_raw().2 {
            self.exchanges.push(RawExchange::of(exchange));
            self.labels.extend_from_slice(exchange.label.as_bytes());
        }
    }

    #[inline(always)]
    fn reply(&self, outcome: Outcome) -> Reply<'_> {
        if outcome != Outcome::DONE {
            return Reply::bare(outcome, &self.text);
        }
        let (steps, bytes, _) = self.actions.as_raw();
        Reply {
            outcome,
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
    #[inline(always)]
    fn opened(&mut self, call: Call) -> Reply<'_> {
        self.answer(call, |author, actions| author.opened(actions))
    }

    #[inline(always)]
    fn client(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_> {
        self.answer(call, |author, actions| author.client(input.as_slice(), actions))
    }

    #[inline(always)]
    fn target(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_> {
        self.answer(call, |author, actions| author.target(input.as_slice(), actions))
    }

    #[inline(always)]
    fn online(&mut self, call: Call, input: RSlice<'_, u8>) -> Reply<'_> {
        self.answer(call, |author, actions| author.online(input.as_slice(), actions))
    }

    #[inline(always)]
    fn missing(&mut self, call: Call, side: RawSide, count: u64) -> Reply<'_> {
        self.answer(call, |author, actions| author.missing(side.into(), count, actions))
    }

    #[inline(always)]
    fn ended(&mut self, call: Call, side: RawSide) -> Reply<'_> {
        self.answer(call, |author, actions| author.ended(side.into(), actions))
    }

    #[inline(always)]
    fn reconnected(&mut self, call: Call) -> Reply<'_> {
        self.answer(call, |author, actions| author.reconnected(actions))
    }

    #[inline(always)]
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
