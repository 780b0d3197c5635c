//! What a module does when it is let go: it is seen as well when that does not return.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

use tcpcopy_host::{Host, HostOptions, Loaded};
use tcpcopy_plugin_api::Configuration;

use crate::builds::{self, CLibraries};
use crate::c_modules::SMALLEST;
use crate::play::session;

/// Lets go, on a thread of its own, what `dropped` makes of the module in `file`, which then waits for a file.
#[track_caller]
fn expect_seen<T: Send + 'static>(file: &Path, text: &str, awaited: PathBuf, dropped: fn(Loaded) -> T) {
    let mut host = Host::new(HostOptions::default());
    let loaded = host.load(file, &Configuration::new(text, "fixture.toml")).unwrap();
    let times = loaded.times.clone();
    let dropping = thread::spawn(move || drop(dropped(loaded)));
    // For ten seconds at most: it is told of after one.
    let stuck = (0..2000).find_map(|_| {
        thread::sleep(Duration::from_millis(5));
        host.stuck()
    });
    fs::write(awaited, "").unwrap();
    let sentence = stuck.unwrap();
    assert!(sentence.contains("has not returned from a call for"), "{sentence}");
    dropping.join().unwrap();
    assert_eq!((host.stuck(), times.summary().calls), (None, 0));
}

#[test]
fn a_conversation_in_rust_whose_drop_does_not_return_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let awaited = folder.path().join("go on");
    let text = format!("wait in drop until there is {}", awaited.display());
    expect_seen(builds::module(), &text, awaited, |loaded| loaded.module.open(&session(1)));
}

#[test]
fn a_module_in_rust_whose_drop_does_not_return_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let awaited = folder.path().join("go on");
    let text = format!("wait in the module's drop until there is {}", awaited.display());
    expect_seen(builds::module(), &text, awaited, |loaded| loaded.module);
}

/// A module in C whose function of this name waits for a file, though not for the conversation that was tried.
fn waiting(c: &CLibraries, function: &str, awaited: &Path) -> PathBuf {
    let wait = format!(
        r#"
#include <time.h>
#include <unistd.h>
static char tried;
static void await_file(void *it)
{{
    while (it != &tried && access("{}", F_OK))
        nanosleep(&(struct timespec){{0, 5000000}}, NULL);
}}
"#,
        awaited.display()
    );
    let text = SMALLEST
        .replace("return NULL;", "return session->id ? NULL : &tried;")
        .replace(".client = client", &format!(".client = client, .{function} = await_file"));
    c.library(function, &format!("{wait}{text}"))
}

#[test]
fn a_module_in_c_that_does_not_return_from_close_or_destroy_is_seen() {
    for function in ["close", "destroy"] {
        let c = CLibraries::new();
        let awaited = c.folder().join("go on");
        let file = waiting(&c, function, &awaited);
        expect_seen(&file, "", awaited, |loaded| loaded.module.open(&session(1)));
    }
}
