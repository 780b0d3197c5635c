//! Every call and every action, over the boundary and back.

use std::time::Duration;

use tcpcopy_plugin_api::{Action, Actions, Answer, Depth, Exchange, GiveUp, Side, Timestamp};

use crate::builds;
use crate::play::{Play, loaded, session};

fn open(text: &str) -> Play {
    Play::open(&*loaded(builds::module(), text).module)
}

#[test]
fn every_action_comes_over_as_it_was() {
    let mut play = open("all actions");
    let answer = |outcome| Answer { outcome, failed: true, size: 8, digest: 9, latency_us: 10 };
    let one = Exchange { label: String::from("one"), online: Some(answer(11)), target: None };
    let more = Exchange { label: String::from("more"), online: None, target: Some(answer(12)) };
    let expected = [
        Action::Forward(1),
        Action::Replace { count: 2, by: b"two" },
        Action::Discard { count: 3, reason: "three" },
        Action::Insert(b"four"),
        Action::OpenTurn,
        Action::WaitForTarget,
        Action::CompleteTurn,
        Action::GuessTurns,
        Action::Take(5),
        Action::WantTarget(Depth::first(6)),
        Action::WantOnline(true),
        Action::SetTimer(Some(Timestamp(7))),
        Action::SetTimer(None),
        Action::BeginPrologue,
        Action::EndPrologue,
        Action::Record(&one),
        Action::Record(&more),
    ];
    assert_eq!(play.call(|talk, actions| talk.opened(actions)).unwrap(), expected);
}

#[test]
fn actions_of_a_call_are_not_given_again() {
    let mut play = open("all actions");
    assert_eq!(play.call(|talk, actions| talk.opened(actions)).unwrap().len(), 17);
    let said = play.call(|talk, actions| talk.client(b"x", actions)).unwrap();
    assert_eq!(said, [Action::OpenTurn, Action::Replace { count: 1, by: b"X" }]);
}

#[test]
fn a_module_may_ask_for_the_moments_of_the_call() {
    let mut play = open("");
    let moments = play.inserted(|talk, actions| talk.target(b"x", actions));
    assert_eq!(moments, "Timestamp(30) Timestamp(20) Some(Timestamp(10))");
    let mut actions = Actions::default();
    actions.begin(Timestamp(3), Timestamp(2), None);
    play.conversation.target(b"x", &mut actions).unwrap();
    let first = actions.iter().next();
    assert_eq!(first, Some(Action::Insert(b"Timestamp(3) Timestamp(2) None")));
}

#[test]
fn the_session_comes_over_as_it_is() {
    let told = open("").inserted(|talk, actions| talk.online(b"", actions));
    assert_eq!(told, format!("{:?}", session(1)));
}

#[test]
fn sides_and_counts_come_over_as_they_are() {
    let mut play = open("");
    let told = play.inserted(|talk, actions| talk.missing(Side::Target, u64::MAX, actions));
    assert_eq!(told, format!("Target {}", u64::MAX));
    let told = play.inserted(|talk, actions| talk.missing(Side::Online, 0, actions));
    assert_eq!(told, "Online 0");
    let given_up = play.call(|talk, actions| talk.ended(Side::Client, actions));
    assert_eq!(given_up, Err(GiveUp::new("Client has ended")));
}

#[test]
fn a_snapshot_goes_to_the_next_conversation() {
    let loaded = loaded(builds::module(), "");
    let snapshot = Play::open(&*loaded.module).conversation.snapshot().unwrap();
    let conversation = loaded.module.resume(&session(2), &snapshot);
    let mut play = Play { conversation, actions: Actions::default() };
    assert_eq!(play.inserted(|talk, actions| talk.reconnected(actions)), "a snapshot");
}

#[test]
fn calls_are_counted_from_the_first_of_a_real_session() {
    let loaded = loaded(builds::module(), "");
    assert_eq!(loaded.times.summary().calls, 0);
    let mut play = Play::open(&*loaded.module);
    for _ in 0..3 {
        play.call(|talk, actions| talk.client(b"x", actions)).unwrap();
    }
    let summary = loaded.times.summary();
    assert_eq!((summary.calls, summary.slow), (3, 0));
    assert!(summary.mean.unwrap() > Duration::ZERO);
}

#[test]
fn a_slow_call_is_noticed_whichever_it_is() {
    let loaded = loaded(builds::module(), "");
    let mut play = Play::open(&*loaded.module);
    for words in [b"quick", b"sleep", b"quick"] {
        play.call(|talk, actions| talk.client(words, actions)).unwrap();
    }
    let summary = loaded.times.summary();
    assert_eq!((summary.calls, summary.slow), (3, 1));
    assert!(summary.longest >= Duration::from_millis(30), "{summary:?}");
}

#[test]
fn a_module_goes_to_another_thread() {
    let loaded = loaded(builds::module(), "");
    let module = loaded.module;
    let thread =
        std::thread::spawn(move || Play::open(&*module).inserted(|talk, actions| talk.timer(actions)));
    assert_eq!(thread.join().unwrap(), "1");
}
