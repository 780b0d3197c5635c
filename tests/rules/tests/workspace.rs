//! The rules, held against this workspace.

use std::path::Path;
use std::sync::LazyLock;

use tcpcopy_rules::breach::Breach;
use tcpcopy_rules::rooms::ROOMS;
use tcpcopy_rules::source::{self, Source};
use tcpcopy_rules::workspace::{self, Package};
use tcpcopy_rules::{edges, machine, names, opening, unsafety};

struct Read {
    packages: Vec<Package>,
    sources: Vec<Source>,
}

// cargo runs tests in the folder of their package.
static WORKSPACE: LazyLock<Read> = LazyLock::new(|| {
    let packages = workspace::read(Path::new("Cargo.toml")).unwrap_or_else(|error| panic!("{error}"));
    let sources = source::read_all(Path::new("../..")).unwrap_or_else(|error| panic!("{error}"));
    Read { packages, sources }
});

#[track_caller]
fn hold(breaches: &[Breach]) {
    let list: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "{} breach(es):\n\n{}\n", list.len(), list.join("\n\n"));
}

#[test]
fn every_room_of_the_table_was_read() {
    for room in ROOMS {
        let package = WORKSPACE.packages.iter().find(|package| package.name == room.package);
        let package = package.unwrap_or_else(|| panic!("{} is in the table of rooms only", room.package));
        for root in &package.roots {
            assert!(WORKSPACE.sources.iter().any(|source| source.path == *root), "{}", root.display());
        }
    }
}

#[test]
fn crates_know_only_the_rooms_below_them() {
    hold(&edges::between_rooms(&WORKSPACE.packages));
}

#[test]
fn sans_io_rooms_are_made_of_what_their_lists_say() {
    hold(&edges::to_third_parties(&WORKSPACE.packages));
}

#[test]
fn unsafe_stays_in_its_places() {
    hold(&unsafety::in_sources(&WORKSPACE.sources));
}

#[test]
fn crate_roots_forbid_unsafe() {
    hold(&unsafety::in_roots(&WORKSPACE.packages, &WORKSPACE.sources));
}

#[test]
fn sans_io_rooms_do_not_touch_the_machine() {
    hold(&machine::in_sources(&WORKSPACE.packages, &WORKSPACE.sources));
}

#[test]
fn names_come_from_the_words_of_the_design() {
    hold(&names::in_sources(&WORKSPACE.sources));
}

#[test]
fn tests_that_the_page_of_options_names_are_there() {
    let page = include_str!("../../../docs/options.md");
    let names = page.split('`').skip(1).step_by(2).filter(|code| code.matches('_').count() > 1);
    let mut count = 0;
    for name in names {
        let is_there = |source: &Source| source.words.iter().any(|word| word.text == name);
        assert!(
            WORKSPACE.sources.iter().any(is_there),
            "docs/options.md names the test {name}, which is not there"
        );
        count += 1;
    }
    assert!(count > 50, "only {count} tests are named");
}

#[test]
fn files_say_what_they_are() {
    hold(&opening::of_sources(&WORKSPACE.sources));
}
