//! What cargo says about the workspace, reduced to the edges and crate roots the rules look at. Development
//! dependencies are left out: they reach nobody who uses a crate.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Target};
use thiserror::Error;

/// One crate of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name in `Cargo.toml`.
    pub name: String,
    /// Its folder, relative to the workspace.
    pub folder: PathBuf,
    /// The crates of the workspace its manifest names, optional and platform-specific ones included.
    pub knows: Vec<String>,
    /// The third-party crates its code is linked with, directly or not, procedural macros left out.
    pub made_of: Vec<String>,
    /// Root files of its libraries and binaries, relative to the workspace.
    pub roots: Vec<PathBuf>,
}

/// Why the workspace could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// cargo failed.
    #[error(
        "cargo metadata failed: {0}; if it misses a crate, run `cargo fetch` once, for this reads offline"
    )]
    Cargo(#[from] cargo_metadata::Error),
    /// cargo could not tell what a crate is linked with.
    #[error("cargo tree failed: {0}")]
    Tree(String),
    /// A file outside the workspace.
    #[error("{0} is not inside the workspace")]
    Outside(PathBuf),
}

/// Reads the crates of the workspace that `manifest` belongs to. Never uses the network.
///
/// # Errors
/// When cargo fails, for example because a dependency was never downloaded.
pub fn read(manifest: &Path) -> Result<Vec<Package>, WorkspaceError> {
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .features(CargoOpt::AllFeatures)
        .other_options(["--frozen", "--filter-platform", "host-tuple"].map(String::from))
        .exec()?;
    let members: HashSet<String> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            Ok(Package {
                name: package.name.to_string(),
                folder: within(
                    &metadata,
                    package.manifest_path.parent().map_or(Path::new(""), |f| f.as_std_path()),
                )?,
                knows: known_by(package, &members),
                made_of: linked_with(manifest, &package.name, &members)?,
                roots: package
                    .targets
                    .iter()
                    .filter(|target| ships(target))
                    .map(|target| within(&metadata, target.src_path.as_std_path()))
                    .collect::<Result<_, _>>()?,
            })
        })
        .collect()
}

fn within(metadata: &Metadata, path: &Path) -> Result<PathBuf, WorkspaceError> {
    path.strip_prefix(&metadata.workspace_root)
        .map(Path::to_path_buf)
        .map_err(|_| WorkspaceError::Outside(path.to_path_buf()))
}

/// Whether a target is part of what others use; tests, examples and benchmarks are not.
fn ships(target: &Target) -> bool {
    !(target.is_test() || target.is_bench() || target.is_example() || target.is_custom_build())
}

fn known_by(package: &cargo_metadata::Package, members: &HashSet<String>) -> Vec<String> {
    let dependencies = package.dependencies.iter();
    let kept = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
    let ours =
        kept.filter(|dependency| dependency.path.is_some() && members.contains(dependency.name.as_str()));
    sorted(ours.map(|dependency| dependency.name.as_str()))
}

/// The third-party crates that `package` is linked with when it is built by itself: features that others turn on in what
/// they share with it do not count.
fn linked_with(
    manifest: &Path,
    package: &str,
    members: &HashSet<String>,
) -> Result<Vec<String>, WorkspaceError> {
    let edges = ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"];
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--frozen", "--package", package, "--manifest-path"])
        .arg(manifest)
        .args(edges)
        .output()
        .map_err(|error| WorkspaceError::Tree(error.to_string()))?;
    if !output.status.success() {
        return Err(WorkspaceError::Tree(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Ok(sorted(names.filter(|name| !members.contains(*name))))
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = names.map(String::from).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Package {
        // cargo runs tests in the folder of their package.
        let packages = read(Path::new("Cargo.toml")).unwrap();
        packages.into_iter().find(|package| package.name == "tcpcopy-engine").unwrap()
    }

    #[test]
    fn finds_edges_crates_and_roots() {
        let engine = engine();
        assert_eq!(engine.folder, Path::new("core/engine"));
        assert_eq!(engine.knows, ["tcpcopy-plugin-api", "tcpcopy-wire"]);
        assert_eq!(engine.roots, [Path::new("core/engine/src/lib.rs")]);
        assert!(engine.made_of.contains(&String::from("hashbrown")));
    }

    #[test]
    fn follows_dependencies_of_dependencies() {
        // Only wire names it.
        assert!(engine().made_of.contains(&String::from("etherparse")));
    }

    #[test]
    fn features_that_others_turn_on_do_not_count() {
        // Of the module API, for hosts and modules.
        assert!(!engine().made_of.contains(&String::from("abi_stable")));
    }

    #[test]
    fn leaves_development_dependencies_out() {
        // A development dependency of wire.
        assert!(!engine().made_of.contains(&String::from("pcap")));
    }

    #[test]
    fn an_unreadable_workspace_is_an_error() {
        assert!(matches!(read(Path::new("/nowhere/Cargo.toml")), Err(WorkspaceError::Cargo(_))));
    }
}
