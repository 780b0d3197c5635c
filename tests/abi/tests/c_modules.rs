//! Modules in C.

use std::path::Path;

use tcpcopy_host::Door;
use tcpcopy_plugin_api::{Action, Actions, Depth, GiveUp, Side, Timestamp};

use crate::builds::{CLibraries, WORKSPACE};
use crate::play::{Play, loaded, refused, session};

/// The least a module in C can be.
pub(crate) const SMALLEST: &str = r#"
static int32_t configure(const struct tcpcopy_host *host, const struct tcpcopy_configuration *configuration, void **module)
{
    (void)host, (void)configuration, (void)module;
    return TCPCOPY_OK;
}
static void *open_conversation(void *module, const struct tcpcopy_session *session)
{
    (void)module, (void)session;
    return NULL;
}
static int32_t client(void *conversation, struct tcpcopy_bytes input, const struct tcpcopy_actions *actions)
{
    (void)conversation, (void)input;
    actions->forward(actions, TCPCOPY_ALL);
    return TCPCOPY_OK;
}
static const struct tcpcopy_module module = {
    .size = sizeof module, .api_major = 1, .api_minor = 0, .name = "smallest", .version = "0",
    .configure = configure, .open = open_conversation, .client = client,
};
const struct tcpcopy_module *tcpcopy_module_v1(void) { return &module; }
"#;

fn lines(c: &CLibraries) -> std::path::PathBuf {
    let source = Path::new(WORKSPACE).join("modules/c-lines/lines_mod.c");
    c.compile(&source, &["-shared", "-fPIC"], "liblines.so")
}

#[test]
fn the_example_is_loaded_by_the_same_host() {
    let c = CLibraries::new();
    let about = loaded(&lines(&c), "").about;
    assert_eq!((about.name.as_str(), about.version.as_str(), about.door), ("c-lines", "1.0.0", Door::C));
    assert_eq!(about.api, (1, 0));
}

#[test]
fn the_example_speaks_of_lines() {
    let c = CLibraries::new();
    let loaded = loaded(&lines(&c), "");
    let mut play = Play::open(&*loaded.module);
    let opened = play.call(|lines, actions| lines.opened(actions)).unwrap();
    assert_eq!(opened, [Action::WantTarget(Depth::EVERYTHING)]);
    let said = play.call(|lines, actions| lines.client(b"one\nshutdown\ntwo\nthr", actions)).unwrap();
    let expected = [
        Action::OpenTurn,
        Action::Forward(4),
        Action::Discard { count: 9, reason: "not repeated" },
        Action::OpenTurn,
        Action::Forward(4),
    ];
    assert_eq!(said, expected);
    let answered = play.call(|lines, actions| lines.target(b"fine\nno", actions)).unwrap();
    let [Action::Record(exchange), Action::Take(5), Action::CompleteTurn] = answered.as_slice() else {
        panic!("{answered:?}");
    };
    let answer = exchange.target.unwrap();
    assert_eq!((exchange.label.as_str(), exchange.online), ("line", None));
    assert_eq!((answer.size, answer.latency_us, answer.failed), (5, 10, false));
    assert_eq!(loaded.times.summary().calls, 3);
}

#[test]
fn the_example_is_configured() {
    let c = CLibraries::new();
    let file = lines(&c);
    let mut play = Play::open(&*loaded(&file, "quit").module);
    let said = play.call(|lines, actions| lines.client(b"quit\n", actions)).unwrap();
    assert_eq!(said, [Action::Discard { count: 5, reason: "not repeated" }]);
    let sentence = "fixture.toml: the request that is not repeated has to be one word";
    assert_eq!(refused(&file, "two words"), sentence);
    assert!(refused(&file, "a\0b").starts_with("fixture.toml: there is a NUL character in it"));
}

#[test]
fn what_a_module_leaves_out_is_done_as_in_rust() {
    let c = CLibraries::new();
    let loaded = loaded(&c.library("smallest", SMALLEST), "");
    let mut play = Play::open(&*loaded.module);
    let call = |play: &mut Play, call: fn(&mut Play) -> Result<Vec<Action<'_>>, GiveUp>| {
        format!("{:?}", call(play).unwrap())
    };
    assert_eq!(call(&mut play, |play| play.call(|talk, actions| talk.opened(actions))), "[]");
    assert_eq!(call(&mut play, |play| play.call(|talk, actions| talk.target(b"four", actions))), "[Take(4)]");
    assert_eq!(call(&mut play, |play| play.call(|talk, actions| talk.online(b"abc", actions))), "[Take(3)]");
    let missing =
        |play: &mut Play, side| format!("{:?}", play.call(|talk, actions| talk.missing(side, 1, actions)));
    assert_eq!(missing(&mut play, Side::Target), "Ok([GuessTurns])");
    assert_eq!(missing(&mut play, Side::Online), "Ok([])");
    assert_eq!(play.conversation.snapshot(), None);
    let mut resumed =
        Play { conversation: loaded.module.resume(&session(2), b"x"), actions: Actions::default() };
    let said = resumed.call(|talk, actions| talk.client(b"x", actions)).unwrap();
    assert_eq!(said, [Action::Forward(u64::MAX)]);
}

#[test]
fn every_action_of_the_table_is_the_action_of_that_name() {
    let c = CLibraries::new();
    let body = r#"
    struct tcpcopy_bytes two = {(const uint8_t *)"two", 3}, four = {(const uint8_t *)"four", 4}, none = {NULL, 0};
    struct tcpcopy_answer answer = {sizeof answer, 11, 1, 8, 9, 10};
    struct tcpcopy_exchange one = {sizeof one, "one", &answer, NULL};
    (void)conversation, (void)input;
    if (actions->now(actions) != 30 || actions->at(actions) != 20 || actions->turn_said_at(actions) != 10) {
        return actions->give_up(actions, "the moments are wrong");
    }
    actions->forward(actions, 1);
    actions->replace(actions, 2, two);
    actions->discard(actions, 3, "three");
    actions->insert(actions, four);
    actions->insert(actions, none);
    actions->open_turn(actions);
    actions->wait_for_target(actions);
    actions->complete_turn(actions);
    actions->guess_turns(actions);
    actions->take(actions, 5);
    actions->want_target(actions, 6);
    actions->want_online(actions, 1);
    actions->set_timer(actions, 7);
    actions->set_timer(actions, TCPCOPY_NEVER);
    actions->begin_prologue(actions);
    actions->end_prologue(actions);
    actions->record(actions, &one);
    return TCPCOPY_OK;"#;
    let loaded = loaded(&c.library("actions", &client_does(body)), "");
    let mut play = Play::open(&*loaded.module);
    let said = play.call(|talk, actions| talk.client(b"x", actions)).unwrap();
    let (Some(Action::Record(one)), first) = (said.last(), &said[..said.len() - 1]) else {
        panic!("{said:?}");
    };
    let expected = [
        Action::Forward(1),
        Action::Replace { count: 2, by: b"two" },
        Action::Discard { count: 3, reason: "three" },
        Action::Insert(b"four"),
        Action::Insert(b""),
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
    ];
    assert_eq!(first, expected);
    let online = one.online.unwrap();
    assert_eq!((one.label.as_str(), one.target), ("one", None));
    assert_eq!(
        (online.outcome, online.failed, online.size, online.digest, online.latency_us),
        (11, true, 8, 9, 10)
    );
}

#[test]
fn a_module_that_does_not_keep_to_the_header_is_at_fault() {
    let c = CLibraries::new();
    let client = |name: &str, body: &str| {
        let loaded = loaded(&c.library(name, &client_does(&format!("{QUIET_FIRST}{body}"))), "");
        Play::open(&*loaded.module).call(|talk, actions| talk.client(b"x", actions)).unwrap_err()
    };
    let fault = GiveUp::fault("the module returned 77, which means nothing");
    assert_eq!(client("code", "return 77;"), fault);
    let fault = GiveUp::fault("the module gave up without a reason");
    assert_eq!(client("reason", "return TCPCOPY_GAVE_UP;"), fault);
    let fault = GiveUp::fault("the size of an exchange or of an answer is not set");
    let body = "struct tcpcopy_exchange one = {0}; actions->record(actions, &one); return TCPCOPY_OK;";
    assert_eq!(client("size", body), fault);
    let given_up = GiveUp::new("not mine");
    assert_eq!(client("mine", "return actions->give_up(actions, \"not mine\");"), given_up);
}

#[test]
fn a_table_that_is_not_as_the_header_says_is_refused() {
    let c = CLibraries::new();
    let table = |name: &str, what: &str, instead: &str| {
        assert_eq!(SMALLEST.matches(what).count(), 1);
        refused(&c.library(name, &SMALLEST.replace(what, instead)), "")
    };
    let sentence = "it was made for plugin API 2.0, and this tcpcopy has 1.0; use a newer tcpcopy";
    assert_eq!(table("major", ".api_major = 1", ".api_major = 2"), sentence);
    let refused = |what: &str| format!("{what}, which tcpcopy_module.h does not allow; ask its author");
    assert_eq!(table("size", ".size = sizeof module, ", ""), refused("its size is not set"));
    assert_eq!(table("null", "return &module;", "return NULL;"), refused("tcpcopy_module_v1 returns NULL"));
    let sentence = refused("name and version have to be set");
    assert_eq!(table("name", ".name = \"smallest\", ", ""), sentence);
}

#[test]
fn a_table_of_an_older_version_lacks_what_came_later() {
    let c = CLibraries::new();
    // As if `target` and everything behind it had come with a later version, and there was something else in its place.
    let older =
        SMALLEST.replace(".size = sizeof module,", ".size = offsetof(struct tcpcopy_module, target),");
    let older = older.replace(".client = client,", ".client = client, .target = client,");
    let mut play = Play::open(&*loaded(&c.library("older", &older), "").module);
    let taken = play.call(|talk, actions| talk.target(b"four", actions)).unwrap();
    assert_eq!(taken, [Action::Take(4)]);
}

/// The smoke call comes at the moment 0, the calls of these tests at 30.
const QUIET_FIRST: &str =
    "(void)conversation, (void)input; if (actions->now(actions) == 0) return TCPCOPY_OK;\n";

/// The smallest module with another `client`.
fn client_does(body: &str) -> String {
    let usual = "    (void)conversation, (void)input;\n    actions->forward(actions, TCPCOPY_ALL);\n    return TCPCOPY_OK;";
    assert_eq!(SMALLEST.matches(usual).count(), 1);
    SMALLEST.replace(usual, body)
}
