//! Files that are no modules: each is refused with a sentence, and the process lives.

use std::fs;
use std::path::{Path, PathBuf};

use crate::builds::{self, CLibraries};
use crate::c_modules::SMALLEST;
use crate::play::{load, refused};

/// A file with these bytes.
fn file(c: &CLibraries, name: &str, bytes: &[u8]) -> PathBuf {
    let path = c.folder().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_no_library_is_called_by_its_name() {
    let c = CLibraries::new();
    let other = |what: &str| {
        format!(
            "it is {what}, not a shared library; build the module with crate-type = [\"cdylib\"], or in C with -shared"
        )
    };
    assert_eq!(refused(&file(&c, "empty", b""), ""), other("an empty file"));
    assert_eq!(refused(&file(&c, "text", b"#!/bin/sh\n"), ""), other("a text file"));
    assert_eq!(refused(&file(&c, "bytes", b"\x89PNG\r\n\x1a\n"), ""), other("a file of another kind"));
    let program = file(&c, "program.c", b"int main(void) { return 0; }\n");
    assert_eq!(refused(&c.compile(&program, &["-pie"], "pie"), ""), other("a program"));
    assert_eq!(refused(&c.compile(&program, &["-no-pie"], "no-pie"), ""), other("a program"));
    let object = c.compile(&program, &["-c"], "object.o");
    assert_eq!(refused(&object, ""), other("an object file or a core dump"));
}

#[test]
fn a_file_that_is_not_there_or_not_readable_is_told_as_such() {
    let missing = refused(Path::new("/nowhere/libmod.so"), "");
    assert_eq!(missing, "there is no such file; give the path of the module's shared library");
    let folder = refused(Path::new("/proc/self"), "");
    assert_eq!(folder, "it cannot be read: it is no regular file");
}

#[test]
fn a_sentence_names_its_file() {
    let error = load(Path::new("/nowhere/libmod.so"), "").unwrap_err().to_string();
    assert!(error.starts_with("module /nowhere/libmod.so: there is no such file"), "{error}");
}

#[test]
fn a_library_for_another_machine_is_refused() {
    let c = CLibraries::new();
    let good = fs::read(builds::module()).unwrap();
    let changed = |name: &str, place: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[place] = to;
        refused(&file(&c, name, &bytes), "")
    };
    let sentence = "it was built for another kind of processor; build the module for this machine";
    // The machine, the word size and the byte order in an ELF header.
    assert_eq!(changed("machine", 18, 8), sentence);
    assert_eq!(changed("class", 4, 1), sentence);
    assert_eq!(changed("order", 5, 2), sentence);
}

#[test]
fn a_library_that_is_cut_anywhere_is_refused() {
    let c = CLibraries::new();
    for whole in [builds::module().to_owned(), c.library("whole", SMALLEST)] {
        let bytes = fs::read(whole).unwrap();
        for hundredth in 0..100 {
            let cut = &bytes[..5 + (bytes.len() - 5) * hundredth / 100];
            let sentence = refused(&file(&c, "cut.so", cut), "");
            assert!(sentence.starts_with("it is truncated or damaged"), "{hundredth}: {sentence}");
        }
    }
}

#[test]
fn a_symbol_that_nobody_has_is_named() {
    let c = CLibraries::new();
    let text =
        SMALLEST.replace("return NULL;", "extern void *nobody_has_this(void); return nobody_has_this();");
    let sentence = "it needs the symbol nobody_has_this, which no library here has; link the module with the library \
                    that has it";
    assert_eq!(refused(&c.library("unresolved", &text), ""), sentence);
}

#[test]
fn a_library_that_is_no_module_is_told_what_one_is() {
    let c = CLibraries::new();
    let sentence = refused(&c.library("plain", "int nothing(void); int nothing(void) { return 0; }"), "");
    let expected = "it is a shared library, but no tcpcopy module; a module in Rust has export_module!, one in C has the \
                    function tcpcopy_module_v1";
    assert_eq!(sentence, expected);
}

#[test]
fn a_library_of_several_modules_is_refused() {
    let c = CLibraries::new();
    let two = "const char tcpcopy_module_rust_one[500] = {1}, tcpcopy_module_rust_two[500] = {1};";
    let sentence = refused(&c.library("several", two), "");
    assert!(sentence.starts_with("it holds several modules (one, two)"), "{sentence}");
    let both = format!("{SMALLEST}\nconst char tcpcopy_module_rust_one[500] = {{1}};");
    let sentence = refused(&c.library("both", &both), "");
    assert!(sentence.starts_with("it holds several modules (one, one in C)"), "{sentence}");
}

#[test]
fn a_module_on_another_abi_stable_is_refused() {
    let c = CLibraries::new();
    let foreign = |name: &str, text: &str| {
        let sentence = refused(&c.library(name, text), "");
        assert!(sentence.starts_with("it was built with an abi_stable that does not fit"), "{sentence}");
    };
    foreign("other", "const char tcpcopy_module_rust_other[500] = \"abi_stable, but not ours\";");
    foreign("short", "const char tcpcopy_module_rust_short[8] = {1};");
    foreign(
        "function",
        "void tcpcopy_module_rust_function(void); void tcpcopy_module_rust_function(void) {}",
    );
}

#[test]
fn a_library_whose_variables_all_versions_would_share_is_refused() {
    let c = CLibraries::new();
    // What g++ makes of a static variable in an inline function.
    let unique = r#"__asm__(".data\n.globl counter\n.type counter, @gnu_unique_object\n.size counter, 4\n"
        "counter: .long 0\n.text");"#;
    let file = c.library("unique", &format!("{SMALLEST}{unique}"));
    let sentence = refused(&file, "");
    assert!(sentence.starts_with("its variable counter would be shared by all versions of it"), "{sentence}");
    let other = c.library("other", unique);
    assert!(refused(&other, "").starts_with("it is a shared library, but no tcpcopy module"));
}
