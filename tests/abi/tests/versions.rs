//! Modules and hosts of different versions of the plugin API: what the append-only promise says, shown.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use log::Level;
use tcpcopy_plugin_api::Action;

use crate::play::{Play, loaded, refused};
use crate::variants::{NEWER, NEXT_MAJOR, RELAID};
use crate::{builds, collected_log};

fn speaks(file: &Path) {
    let loaded = loaded(file, "");
    let mut play = Play::open(&*loaded.module);
    let said = play.call(|talk, actions| talk.client(b"abc", actions)).unwrap();
    assert_eq!(said, [Action::OpenTurn, Action::Replace { count: 3, by: b"ABC" }]);
}

/// What a prober and the module say while the module is tried; it has to be good.
fn probe(prober: &Path, file: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    // No origin and no text of a configuration, then the module.
    fs::write(&input, [&[0; 16], fs::read(file).unwrap().as_slice()].concat()).unwrap();
    let said = Command::new(prober)
        .args(["module-probe".as_ref(), file])
        .stdin(File::open(&input).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text}");
    text
}

#[test]
fn a_module_of_api_1_0_is_loaded_today() {
    speaks(builds::module_1_0());
    assert_eq!(loaded(builds::module_1_0(), "").about.api, (1, 0));
}

#[test]
fn a_module_of_a_newer_minor_version_is_loaded_today() {
    collected_log::start();
    let file = builds::module_of(&NEWER);
    speaks(&file);
    assert_eq!(loaded(&file, "").about.api, (1, 1));
    // It asked for what this host does not have, and was told so.
    assert!(collected_log::has(Level::Info, "tcpcopy_plugin_api::export", "the host's added field: None"));
}

#[test]
fn todays_module_and_an_old_one_are_loaded_by_a_newer_host() {
    let prober = builds::prober_of(&NEWER);
    for file in [builds::module(), builds::module_1_0()] {
        let said = probe(&prober, file);
        assert!(said.contains("the module's added field: None"), "{said}");
        assert!(said.contains("the added method: Outcome(100)"), "its default: {said}");
    }
    let said = probe(&prober, &builds::module_of(&NEWER));
    assert!(said.contains("the module's added field: Some(102)"), "{said}");
    assert!(said.contains("the added method: Outcome(101)"), "{said}");
}

#[test]
fn a_module_of_the_next_major_version_is_refused() {
    let sentence = "it was made for plugin API 2.0, and this tcpcopy has 1.0; use a newer tcpcopy";
    assert_eq!(refused(&builds::module_of(&NEXT_MAJOR), ""), sentence);
}

#[test]
fn a_module_of_a_plugin_api_that_was_changed_is_refused() {
    let sentence = "its tcpcopy-plugin-api is not the one that its version number says (mismatched type of the field \
                    unwinds); build the module with an unchanged tcpcopy-plugin-api";
    assert_eq!(refused(&builds::module_of(&RELAID), ""), sentence);
}
