//! Where real traffic is, recorded by others. Tests of other rooms include this file.

use std::env;
use std::path::{Path, PathBuf};

/// The folder with the captures, `../shared/traces` beside the repository; `None`, and said so, where it does not exist. A CI machine
/// must have it.
pub(crate) fn folder() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = package.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    let folder = repository.unwrap_or(package).join("../shared/traces");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none(), "{} is missing, and CI is set", folder.display());
    eprintln!("SKIPPED: {} is missing, no real capture was read", folder.display());
    None
}
