//! Libraries for the tests, built once per run, as their authors would build them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

use crate::variants::Variant;

/// Where the fixtures lie.
pub(crate) const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
/// The workspace.
pub(crate) const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Where they are built: all in one folder, so that what they rest on is built once.
const BUILT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/abi");

/// The module of today's plugin API.
pub(crate) fn module() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| cargo(&Path::new(FIXTURES).join("module"), &["build"], "libfixture.so"))
}

/// The same, built with panic = "abort".
pub(crate) fn aborting_module() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let folder = Path::new(FIXTURES).join("aborting");
        cargo(&folder, &["rustc", "--", "-C", "panic=abort"], "libaborting_fixture.so")
    })
}

/// A module of the plugin API as it was at 1.0.
pub(crate) fn module_1_0() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| cargo(&Path::new(FIXTURES).join("api-1.0"), &["build"], "libfixture_1_0.so"))
}

/// The module of a changed plugin API.
pub(crate) fn module_of(variant: &Variant) -> PathBuf {
    let file = format!("libfixture_{}.so", variant.name);
    cargo(&variant.lay(Path::new(BUILT)), &["build", "-p", &format!("fixture_{}", variant.name)], &file)
}

/// The program that tries modules, with a host of a changed plugin API.
pub(crate) fn prober_of(variant: &Variant) -> PathBuf {
    let name = format!("prober_{}", variant.name);
    cargo(&variant.lay(Path::new(BUILT)), &["build", "-p", &name], &name)
}

/// Runs cargo in a workspace of its own, and returns the path of `file`, which it makes.
fn cargo(folder: &Path, arguments: &[&str], file: &str) -> PathBuf {
    // Cargo would wait for another cargo as well, but with a message for each.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // With the workspace's own lock, nothing has to be downloaded that was not already.
    fs::copy(Path::new(WORKSPACE).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let (command, rest) = arguments.split_first().unwrap();
    let status = Command::new(env!("CARGO"))
        .current_dir(folder)
        .args([command, "--offline", "--quiet", "--target-dir", BUILT])
        .args(rest)
        .status()
        .unwrap();
    assert!(status.success(), "cargo {arguments:?} failed in {}", folder.display());
    Path::new(BUILT).join("debug").join(file)
}

/// Libraries made of C, in a folder that lasts as long as this value.
pub(crate) struct CLibraries(TempDir);

impl CLibraries {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The library made of this text, with what the header declares.
    pub(crate) fn library(&self, name: &str, text: &str) -> PathBuf {
        let source = self.folder().join(format!("{name}.c"));
        fs::write(&source, format!("#include <tcpcopy_module.h>\n{text}\n")).unwrap();
        self.compile(&source, &["-shared", "-fPIC"], &format!("lib{name}.so"))
    }

    /// What `cc` makes of a source file.
    pub(crate) fn compile(&self, source: &Path, arguments: &[&str], file: &str) -> PathBuf {
        let made = self.folder().join(file);
        let status = Command::new("cc")
            .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
            .arg(Path::new(WORKSPACE).join("core/host/include"))
            .args(arguments)
            .arg(source)
            .arg("-o")
            .arg(&made)
            .status()
            .unwrap();
        assert!(status.success(), "cc failed for {}", source.display());
        made
    }
}
