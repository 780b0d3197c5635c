//! The first session of a module, a try that no user waits for.

use std::net::{Ipv4Addr, SocketAddr};

use tcpcopy_plugin_api::{Action, Actions, Conversation, GiveUp, Module, SessionInfo, Side, Timestamp};

use crate::Problem;

/// Bytes that no protocol waits for; a module may give the session up for them.
const WORDS: &[u8] = b"\r\n";

/// Opens a session, says a word, ends it. The module may give it up, but not fail. Tells whether it wanted to hear the
/// online server from the beginning.
pub(crate) fn call(module: &dyn Module) -> Result<bool, Problem> {
    let mut conversation = module.open(&session());
    let mut wants_online = false;
    match converse(&mut *conversation, &mut wants_online) {
        Err(give_up) if give_up.is_fault() => Err(Problem::Smoke(give_up.reason().to_owned())),
        _ => Ok(wants_online),
    }
}

fn converse(conversation: &mut dyn Conversation, wants_online: &mut bool) -> Result<(), GiveUp> {
    let mut actions = Actions::default();
    let begin = |actions: &mut Actions| actions.begin(Timestamp(0), Timestamp(0), None);
    begin(&mut actions);
    conversation.opened(&mut actions)?;
    *wants_online = actions.iter().any(|action| action == Action::WantOnline(true));
    begin(&mut actions);
    conversation.client(WORDS, &mut actions)?;
    begin(&mut actions);
    conversation.ended(Side::Client, &mut actions)
}

/// A session between addresses that documentation is made with (RFC 5737).
fn session() -> SessionInfo {
    let address = |last, port| SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), port));
    SessionInfo {
        id: 0,
        client: address(1, 40_000),
        online: address(2, 80),
        source: address(1, 40_000),
        target: address(3, 80),
        joined: false,
        connected: false,
    }
}
