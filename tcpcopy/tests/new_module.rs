//! `tcpcopy new-module`: what it makes builds outside of the workspace, against `tcpcopy-plugin-api` as it is published, passes
//! its tests, and loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tcpcopy_core::host::{Host, HostOptions};
use tcpcopy_core::plugin_api::Configuration;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Runs it to its end, which has to be a success. Returns its standard output and standard error.
fn run(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    (told, said)
}

/// `tcpcopy-plugin-api` as it is published: without the workspace it was made in. Always in the same place, so that cargo
/// need not build it again.
fn published_api() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("published-api");
    if place.exists() {
        fs::remove_dir_all(&place).expect("what an earlier test left can be removed");
    }
    run(Command::new(env!("CARGO"))
        .current_dir(WORKSPACE)
        .args(["package", "--package=tcpcopy-plugin-api", "--no-verify", "--allow-dirty", "--offline"])
        .arg("--target-dir")
        .arg(&place));
    let mut packages =
        fs::read_dir(place.join("package")).expect("packages").flatten().map(|entry| entry.path());
    let package = packages.find(|path| path.extension().is_some_and(|is| is == "crate")).expect("a .crate");
    run(Command::new("tar").arg("xf").arg(&package).arg("-C").arg(&place));
    place.join(package.file_stem().expect("a name"))
}

/// Makes a module named `name` below `folder`.
fn new_module(folder: &Path, name: &str) -> PathBuf {
    let module = folder.join(name);
    let (told, said) = run(Command::new(env!("CARGO_BIN_EXE_tcpcopy"))
        .arg("new-module")
        .arg(&module)
        .arg("--api")
        .arg(published_api()));
    assert!(said.is_empty(), "{said}");
    assert!(told.contains("cargo test") && told.contains("--module"), "{told}");
    module
}

/// What tcpcopy says at level debug about loading that module, to replay an empty recording.
fn said_at_debug(library: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tcpcopy"))
        .args([
            "-x",
            "7000-127.0.0.1:9",
            "-s",
            "127.0.0.1",
            "--offline",
            "-i",
            "/dev/null",
            "--log-level",
            "debug",
        ])
        .arg("--module")
        .arg(library)
        .output()
        .expect("the binary runs");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_new_module_passes_its_tests_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let module = new_module(folder.path(), "my-protocol");
    // With the workspace's own lock nothing has to be downloaded that was not already.
    fs::copy(Path::new(WORKSPACE).join("Cargo.lock"), module.join("Cargo.lock")).unwrap();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-module");
    for command in ["test", "build"] {
        let (_, said) = run(Command::new(env!("CARGO"))
            .current_dir(&module)
            .args([command, "--offline", "--target-dir"])
            .arg(&built));
        assert!(!said.contains("warning"), "{said}");
    }
    let library = built.join("debug/libmy_protocol_mod.so");
    assert!(said_at_debug(&library).contains("DEBUG tcpcopy: my_protocol_mod: session"));
    let mut host = Host::new(HostOptions::default());
    let loaded = host.load(&library, &Configuration::new("skip=quit", "test")).unwrap();
    assert_eq!((loaded.about.name.as_str(), loaded.about.version.as_str()), ("my-protocol", "0.1.0"));
    let wrong = host.load(&library, &Configuration::new("jump=quit", "my.conf")).err().unwrap().to_string();
    assert!(wrong.contains("my.conf") && wrong.contains("jump=quit"), "{wrong}");
}
