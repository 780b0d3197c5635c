//! `tcpcopy new-module`: what it makes builds outside of the workspace, passes its tests, and loads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tcpcopy_core::host::{Host, HostOptions};
use tcpcopy_core::plugin_api::Configuration;

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Makes a module named `name` below `folder`.
fn new_module(folder: &Path, name: &str) -> PathBuf {
    let module = folder.join(name);
    let output = Command::new(env!("CARGO_BIN_EXE_tcpcopy"))
        .arg("new-module")
        .arg(&module)
        .args(["--api", concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api")])
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let told = String::from_utf8(output.stdout).expect("text");
    assert!(told.contains("cargo test") && told.contains("--module"), "{told}");
    module
}

#[test]
fn a_new_module_passes_its_tests_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let module = new_module(folder.path(), "my-protocol");
    // With the workspace's own lock nothing has to be downloaded that was not already.
    fs::copy(Path::new(WORKSPACE).join("Cargo.lock"), module.join("Cargo.lock")).unwrap();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-module");
    for command in ["test", "build"] {
        let output = Command::new(env!("CARGO"))
            .current_dir(&module)
            .args([command, "--offline", "--target-dir"])
            .arg(&built)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {command}: {said}");
        assert!(!said.contains("warning"), "{said}");
    }
    let library = built.join("debug/libmy_protocol_mod.so");
    let mut host = Host::new(HostOptions::default());
    let loaded = host.load(&library, &Configuration::new("skip=quit", "test")).unwrap();
    assert_eq!((loaded.about.name.as_str(), loaded.about.version.as_str()), ("my-protocol", "0.1.0"));
    let wrong = host.load(&library, &Configuration::new("jump=quit", "my.conf")).err().unwrap().to_string();
    assert!(wrong.contains("my.conf") && wrong.contains("jump=quit"), "{wrong}");
}
