//! The plain traits in front of a module in C.

use std::ffi::c_void;
use std::net::{IpAddr, SocketAddr};
use std::ptr;
use std::sync::Arc;

use tcpcopy_plugin_api::{
    Actions, Configuration, ConfigurationError, Conversation, GiveUp, Module, SessionInfo, Side,
};

use super::interface::{self, Bytes, TCPCOPY_CLIENT, TCPCOPY_ONLINE, TCPCOPY_TARGET};
use super::{Table, actions};
use crate::tally::Tally;

/// A module in C. Its conversations share it, since it has to outlive them.
pub(super) struct CModule(Arc<Handle>);

/// What `configure` made, until the last of its conversations is closed.
struct Handle {
    table: Arc<Table>,
    module: *mut c_void,
    tally: Arc<Tally>,
}

// SAFETY: the header lets a module and its conversations be used by any thread, though by one at a time; a shard keeps
// them together.
unsafe impl Send for Handle {}
// SAFETY: as for `Send`.
unsafe impl Sync for Handle {}

impl CModule {
    pub(super) fn new(table: Arc<Table>, module: *mut c_void, tally: Arc<Tally>) -> Self {
        Self(Arc::new(Handle { table, module, tally }))
    }

    fn conversation(&self, conversation: *mut c_void) -> Box<dyn Conversation> {
        Box::new(CConversation { handle: Arc::clone(&self.0), conversation, actions: actions::TABLE })
    }
}

impl Module for CModule {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Err(ConfigurationError::new("a module in a library is configured by its host"))
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        let Handle { table, module, tally } = &*self.0;
        let Some(open) = table.functions.open else {
            return self.conversation(ptr::null_mut());
        };
        let session = facts(session);
        // SAFETY: the module is the one that `configure` gave, and the session outlives the call.
        self.conversation(tally.aside(|| unsafe { open(*module, &raw const session) }))
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        let Handle { table, module, tally } = &*self.0;
        let Some(resume) = table.functions.resume else {
            return self.open(session);
        };
        let session = facts(session);
        // SAFETY: as in `open`.
        self.conversation(tally.aside(|| unsafe { resume(*module, &raw const session, raw(snapshot)) }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(destroy) = self.table.functions.destroy {
            // SAFETY: nothing refers to the module any more.
            self.tally.aside(|| unsafe { destroy(self.module) });
        }
    }
}

/// A conversation of a module in C.
struct CConversation {
    handle: Arc<Handle>,
    conversation: *mut c_void,
    actions: interface::Actions,
}

// SAFETY: as for `Handle`; the context of the actions is set during a call only.
unsafe impl Send for CConversation {}

impl CConversation {
    fn functions(&self) -> &interface::Module {
        &self.handle.table.functions
    }

    fn call(
        &mut self,
        actions: &mut Actions,
        call: impl FnOnce(*mut c_void, *const interface::Actions) -> i32,
    ) -> Result<(), GiveUp> {
        let begun = self.handle.tally.begin();
        let answer = actions::answer(&mut self.actions, actions, |table| call(self.conversation, table));
        self.handle.tally.end(begun);
        answer
    }
}

impl Conversation for CConversation {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(opened) = self.functions().opened else { return Ok(()) };
        // SAFETY: here and below: the conversation is what `open` gave, and the rest outlives the call.
        self.call(actions, |conversation, table| unsafe { opened(conversation, table) })
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(client) = self.functions().client else { return Ok(()) };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { client(conversation, raw(input), table) })
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(target) = self.functions().target else {
            actions.take(input.len() as u64);
            return Ok(());
        };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { target(conversation, raw(input), table) })
    }

    fn online(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(online) = self.functions().online else {
            actions.take(input.len() as u64);
            return Ok(());
        };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { online(conversation, raw(input), table) })
    }

    fn missing(&mut self, side: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(missing) = self.functions().missing else {
            if side == Side::Target {
                actions.guess_turns();
            }
            return Ok(());
        };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { missing(conversation, number(side), count, table) })
    }

    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(ended) = self.functions().ended else { return Ok(()) };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { ended(conversation, number(side), table) })
    }

    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(reconnected) = self.functions().reconnected else { return Ok(()) };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { reconnected(conversation, table) })
    }

    fn timer(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(timer) = self.functions().timer else { return Ok(()) };
        // SAFETY: as in `opened`.
        self.call(actions, |conversation, table| unsafe { timer(conversation, table) })
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        let snapshot = self.functions().snapshot?;
        // SAFETY: as in `opened`; the bytes stay until the next call.
        let bytes = self.handle.tally.aside(|| unsafe { snapshot(self.conversation) });
        // SAFETY: as the header says of them.
        (!bytes.data.is_null()).then(|| unsafe { actions::plain(bytes) }.to_vec())
    }
}

impl Drop for CConversation {
    fn drop(&mut self) {
        if let Some(close) = self.functions().close {
            // SAFETY: this is the last call about the conversation.
            self.handle.tally.aside(|| unsafe { close(self.conversation) });
        }
    }
}

fn raw(bytes: &[u8]) -> Bytes {
    Bytes { data: bytes.as_ptr(), length: bytes.len() }
}

fn number(side: Side) -> i32 {
    match side {
        Side::Client => TCPCOPY_CLIENT,
        Side::Target => TCPCOPY_TARGET,
        Side::Online => TCPCOPY_ONLINE,
    }
}

fn facts(session: &SessionInfo) -> interface::Session {
    let &SessionInfo { id, client, online, source, target, joined, connected } = session;
    let [client, online, source, target] = [client, online, source, target].map(address);
    interface::Session {
        size: size_of::<interface::Session>(),
        id,
        client,
        online,
        source,
        target,
        joined: joined.into(),
        connected: connected.into(),
    }
}

fn address(address: SocketAddr) -> interface::Address {
    let mut ip = [0; 16];
    match address.ip() {
        IpAddr::V4(v4) => ip[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => ip = v6.octets(),
    }
    interface::Address { ip, port: address.port(), is_ipv6: address.is_ipv6().into() }
}
