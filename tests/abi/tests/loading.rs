//! Good modules: several side by side, replaced, and configured again.

use std::fs;

use log::Level;
use tcpcopy_host::{Door, Host, HostOptions, Problem};
use tcpcopy_plugin_api::{API_VERSION, Action, Configuration};

use crate::play::{Play, load, loaded, refused};
use crate::{builds, collected_log};

#[test]
fn a_good_module_tells_what_it_is() {
    let about = loaded(builds::module(), "").about;
    assert_eq!((about.name.as_str(), about.version.as_str()), ("fixture", "7.1.0"));
    assert_eq!((about.api, about.door, about.file.as_path()), (API_VERSION, Door::Rust, builds::module()));
    assert!(about.compiler.starts_with("rustc "), "{about:?}");
}

#[test]
fn each_load_has_variables_of_its_own() {
    let (one, other) = (loaded(builds::module(), ""), loaded(builds::module(), ""));
    // The smoke call opened the first session, and `Play` the second. The fixture counts in a static.
    let count = |play: &mut Play| play.inserted(|talk, actions| talk.timer(actions));
    assert_eq!(count(&mut Play::open(&*one.module)), "1");
    assert_eq!(count(&mut Play::open(&*one.module)), "2");
    assert_eq!(count(&mut Play::open(&*other.module)), "1");
    assert_eq!(one.about.fingerprint, other.about.fingerprint);
}

#[test]
fn a_file_that_changes_leaves_what_was_loaded_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libmod.so");
    fs::copy(builds::module(), &file).unwrap();
    let first = loaded(&file, "");
    let mut running = Play::open(&*first.module);
    // In place: what ld.so had mapped of the file itself would now be other code.
    let c = builds::CLibraries::new();
    fs::write(&file, fs::read(c.library("other", crate::c_modules::SMALLEST)).unwrap()).unwrap();
    let second = loaded(&file, "");
    assert_eq!((second.about.name.as_str(), second.about.door), ("smallest", Door::C));
    assert_ne!(first.about.fingerprint, second.about.fingerprint);
    let said = running.call(|talk, actions| talk.client(b"abc", actions)).unwrap();
    assert_eq!(said, [Action::OpenTurn, Action::Replace { count: 3, by: b"ABC" }]);
}

#[test]
fn the_same_code_can_be_configured_again() {
    let first = loaded(builds::module(), "");
    let make = |text| first.library.make(&Configuration::new(text, "again.toml"));
    let again = make("no snapshot").unwrap();
    assert_eq!(Play::open(&*again).conversation.snapshot(), None);
    assert!(Play::open(&*first.module).conversation.snapshot().is_some());
    let error = make("wrong").err().unwrap().to_string();
    assert!(error.ends_with("again.toml: line 1: wrong is not known; it may be panic in PLACE"), "{error}");
}

#[test]
fn a_configuration_the_module_refuses_is_told_in_its_words() {
    let sentence = "fixture.toml: line 1: wrong is not known; it may be panic in PLACE";
    assert_eq!(refused(builds::module(), "wrong"), sentence);
}

#[test]
fn no_more_is_loaded_than_may_be() {
    let mut host = Host::new(HostOptions { most_loaded: 2, ..HostOptions::default() });
    let mut load = |file| host.load(file, &Configuration::new("", ""));
    assert!(load(builds::module()).is_ok() && load(builds::module()).is_ok());
    let error = load(builds::module()).unwrap_err();
    assert!(matches!(error.problem, Problem::TooMany(2)), "{error}");
    assert!(error.to_string().ends_with("restart tcpcopy to load more"), "{error}");
    assert_eq!(host.mapped(), 2);
}

#[test]
fn a_library_that_is_not_mapped_does_not_count() {
    let mut host = Host::new(HostOptions::default());
    assert!(host.load("/nowhere.so".as_ref(), &Configuration::new("", "")).is_err());
    assert_eq!(host.mapped(), 0);
}

#[test]
fn what_a_module_logs_reaches_the_log_of_its_host() {
    collected_log::start();
    assert!(load(builds::module(), "panic in client").is_ok());
    let line = "configured with \"panic in client\" of fixture.toml";
    assert!(collected_log::has(Level::Info, "fixture", line));
}
