//! Modules that harm the process that loads them: the probe takes the harm.

use std::path::Path;

use tcpcopy_host::{Host, HostOptions, LoadError, Loaded};
use tcpcopy_plugin_api::Configuration;

use crate::builds::{self, CLibraries};
use crate::c_modules::SMALLEST;

fn probed(file: &Path, text: &str) -> Result<Loaded, LoadError> {
    let probe = Some(env!("CARGO_BIN_EXE_module-prober").into());
    let mut host = Host::new(HostOptions { probe, ..HostOptions::default() });
    let loaded = host.load(file, &Configuration::new(text, "fixture.toml"));
    assert_eq!(host.mapped(), usize::from(loaded.is_ok()), "what the probe refuses is never mapped");
    loaded
}

#[track_caller]
fn refused(file: &Path, text: &str) -> String {
    probed(file, text).unwrap_err().problem.to_string()
}

/// A library that does this when it is loaded.
fn initializer(c: &CLibraries, name: &str, body: &str) -> std::path::PathBuf {
    let text = "#include <stdlib.h>\n#include <stdio.h>\n#include <signal.h>\n\
                static void __attribute__((constructor)) begin(void) { BODY }\n"
        .replace("BODY", body);
    c.library(name, &format!("{text}{SMALLEST}"))
}

#[test]
fn a_good_module_passes() {
    let c = CLibraries::new();
    assert_eq!(probed(builds::module(), "").unwrap().about.name, "fixture");
    assert_eq!(probed(&c.library("smallest", SMALLEST), "").unwrap().about.name, "smallest");
}

#[test]
fn what_the_module_refuses_is_told_in_the_same_words() {
    assert_eq!(refused(builds::module(), "wrong"), crate::play::refused(builds::module(), "wrong"));
    let panics = refused(builds::module(), "panic in configure");
    assert_eq!(panics, crate::play::refused(builds::module(), "panic in configure"));
}

#[test]
fn a_crash_is_told_with_its_signal() {
    let c = CLibraries::new();
    let aborting = initializer(&c, "aborts", "abort();");
    assert_eq!(
        refused(&aborting, ""),
        "the process that tried it first crashed with SIGABRT; ask its author"
    );
    let crashing = initializer(&c, "crashes", "volatile int *nowhere = NULL; *nowhere = 1;");
    assert_eq!(
        refused(&crashing, ""),
        "the process that tried it first crashed with SIGSEGV; ask its author"
    );
}

#[test]
fn a_module_that_ends_the_process_does_not_pass_for_a_good_one() {
    let c = CLibraries::new();
    let sentence = "the process that tried it first was ended by it with exit status 0; ask its author";
    assert_eq!(refused(&initializer(&c, "exits", "exit(0);"), ""), sentence);
}

#[test]
fn a_module_that_hangs_is_given_up_in_time() {
    let c = CLibraries::new();
    let sentence = "the process that tried it first did not end within 5 seconds; ask its author";
    assert_eq!(refused(&initializer(&c, "hangs", "for (;;) {}"), ""), sentence);
}

#[test]
fn a_module_that_prints_hinders_nobody() {
    let c = CLibraries::new();
    let body = "int line; for (line = 0; line < 100000; line++) puts(\"tcpcopy module probe: good\"); fflush(stdout);";
    let file = initializer(&c, "prints", body);
    assert_eq!(refused(&file, "a\0b"), "fixture.toml: there is a NUL character in it; write plain text");
}
