//! A module that panics: what it costs.

use log::Level;
use tcpcopy_plugin_api::{Action, Actions, Conversation, GiveUp, Module, Side};

use crate::play::{Play, loaded, refused, session};
use crate::{builds, collected_log};

/// What a panic of the fixture says.
fn said(place: &str) -> String {
    format!("boom, as configured: {place}")
}

/// A call that panics, and one after it.
fn fault(text: &str, call: fn(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>) {
    let loaded = loaded(builds::module(), text);
    let (mut play, mut sibling) = (Play::open(&*loaded.module), Play::open(&*loaded.module));
    let first = play.call(call).unwrap_err();
    assert!(first.is_fault() && first.reason().contains(&said(text)), "{first:?}");
    let place = "panicked at src/lib.rs:";
    assert!(first.reason().starts_with(place), "{first:?}");
    let later = play.call(|talk, actions| talk.reconnected(actions)).unwrap_err();
    assert_eq!(later, first, "the conversation is disabled");
    assert_eq!(play.conversation.snapshot(), None);
    let quiet = sibling.call(|talk, actions| talk.client(b"x", actions));
    assert!(quiet.is_ok() || text.ends_with("client"), "{quiet:?}");
}

#[test]
fn a_panic_in_any_call_disables_that_conversation_only() {
    fault("panic in client", |talk, actions| talk.client(b"x", actions));
    fault("panic in target", |talk, actions| talk.target(b"x", actions));
    fault("panic in online", |talk, actions| talk.online(b"x", actions));
    fault("panic in missing", |talk, actions| talk.missing(Side::Online, 1, actions));
    fault("panic in reconnected", |talk, actions| talk.reconnected(actions));
    fault("panic in timer", |talk, actions| talk.timer(actions));
}

#[test]
fn a_panic_in_the_snapshot_is_no_snapshot() {
    let loaded = loaded(builds::module(), "panic in snapshot");
    let mut play = Play::open(&*loaded.module);
    assert_eq!(play.conversation.snapshot(), None);
    let later = play.call(|talk, actions| talk.timer(actions)).unwrap_err();
    assert!(later.is_fault() && later.reason().contains(&said("panic in snapshot")), "{later:?}");
}

#[test]
fn a_panic_in_resume_is_a_fault_of_the_first_call() {
    let loaded = loaded(builds::module(), "panic in resume");
    let conversation = loaded.module.resume(&session(2), b"");
    let mut play = Play { conversation, actions: Actions::default() };
    let first = play.call(|talk, actions| talk.timer(actions)).unwrap_err();
    assert!(first.is_fault() && first.reason().contains(&said("panic in resume")), "{first:?}");
}

#[test]
fn a_panic_in_a_drop_harms_nobody() {
    let loaded = loaded(builds::module(), "panic in drop");
    let mut sibling = Play::open(&*loaded.module);
    drop(Play::open(&*loaded.module));
    let alive = sibling.call(|talk, actions| talk.client(b"x", actions)).unwrap();
    assert_eq!(alive, [Action::OpenTurn, Action::Replace { count: 1, by: b"X" }]);
    let module: Box<dyn Module> = crate::play::loaded(builds::module(), "panic in the module's drop").module;
    drop(module);
}

#[test]
fn a_panic_before_the_first_session_refuses_the_module() {
    let refused = |text| refused(builds::module(), text);
    let configuring = refused("panic in configure");
    assert!(configuring.contains(&said("panic in configure")), "{configuring}");
    assert!(configuring.ends_with("while it was configured; ask its author"), "{configuring}");
    for place in ["panic in open", "panic in opened", "panic in ended"] {
        let trying = refused(place);
        assert!(trying.starts_with("its first session, a try, failed: panicked at"), "{trying}");
        assert!(trying.contains(&said(place)), "{trying}");
    }
}

#[test]
fn a_panic_is_told_in_the_log_at_debug() {
    collected_log::start();
    fault("panic in timer", |talk, actions| talk.timer(actions));
    assert!(collected_log::has(Level::Debug, "tcpcopy_plugin_api::abi::panic_note", &said("panic in timer")));
}

#[test]
fn a_module_whose_panics_would_end_the_process_is_refused() {
    let sentence = refused(builds::aborting_module(), "");
    assert!(sentence.starts_with("it was built with panic = \"abort\""), "{sentence}");
}
