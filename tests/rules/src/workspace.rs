//! What cargo says about the workspace, reduced to the edges and crate roots the rules look at. Development
//! dependencies are left out: they reach nobody who uses a crate.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Node, PackageId, Target};
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
    /// cargo answered without a dependency graph.
    #[error("cargo metadata gave no dependency graph")]
    NoGraph,
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
    let graph = Graph::of(&metadata)?;
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
                knows: graph.known_by(package),
                made_of: graph.linked_with(&package.id),
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

struct Graph<'a> {
    packages: HashMap<&'a PackageId, &'a cargo_metadata::Package>,
    nodes: HashMap<&'a PackageId, &'a Node>,
    members: HashSet<&'a PackageId>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Result<Self, WorkspaceError> {
        let resolve = metadata.resolve.as_ref().ok_or(WorkspaceError::NoGraph)?;
        Ok(Self {
            packages: metadata.packages.iter().map(|package| (&package.id, package)).collect(),
            nodes: resolve.nodes.iter().map(|node| (&node.id, node)).collect(),
            members: metadata.workspace_members.iter().collect(),
        })
    }

    fn known_by(&self, package: &cargo_metadata::Package) -> Vec<String> {
        let members: HashSet<&str> = self.members.iter().map(|id| self.packages[*id].name.as_str()).collect();
        sorted(
            package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .filter(|dependency| dependency.path.is_some() && members.contains(dependency.name.as_str()))
                .map(|dependency| dependency.name.as_str()),
        )
    }

    fn linked_with(&self, from: &'a PackageId) -> Vec<String> {
        let mut seen = HashSet::from([from]);
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            let normal = |dependency: &&cargo_metadata::NodeDep| {
                let mut kinds = dependency.dep_kinds.iter();
                kinds.any(|info| info.kind == DependencyKind::Normal)
            };
            for dependency in self.nodes[id].deps.iter().filter(normal) {
                let macros = self.packages[&dependency.pkg].targets.iter().any(Target::is_proc_macro);
                if !macros && seen.insert(&dependency.pkg) {
                    open.push(&dependency.pkg);
                }
            }
        }
        let foreign = seen.into_iter().filter(|id| !self.members.contains(id));
        sorted(foreign.map(|id| self.packages[id].name.as_str()))
    }
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
        assert_eq!(engine.knows, ["tcpcopy-wire"]);
        assert_eq!(engine.roots, [Path::new("core/engine/src/lib.rs")]);
        assert!(engine.made_of.contains(&String::from("hashbrown")));
    }

    #[test]
    fn follows_dependencies_of_dependencies() {
        // Only wire names it.
        assert!(engine().made_of.contains(&String::from("etherparse")));
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
