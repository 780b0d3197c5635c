//! Plugin APIs that differ from today's: copies with a few lines changed, so that they cannot fall behind it.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::builds::{FIXTURES, WORKSPACE};

/// A plugin API that differs from today's, with a module and a host that are built against it.
pub(crate) struct Variant {
    /// What its crates are called.
    pub(crate) name: &'static str,
    /// What is changed: file, what stands there once, what stands there instead.
    pub(crate) changes: &'static [(&'static str, &'static str, &'static str)],
}

/// The next minor version: every table that may grow has grown.
pub(crate) const NEWER: Variant = Variant {
    name: "newer",
    changes: &[
        ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\""),
        ("plugin-api/src/lib.rs", "(u16, u16) = (1, 0)", "(u16, u16) = (1, 1)"),
        (
            "plugin-api/src/abi.rs",
            "    pub configure: extern \"C\" fn(HostApiRef, RStr<'_>, RStr<'_>) -> RResult<ModuleObject, Refusal>,",
            "    pub configure: extern \"C\" fn(HostApiRef, RStr<'_>, RStr<'_>) -> RResult<ModuleObject, Refusal>,
             pub added: extern \"C\" fn() -> u64,",
        ),
        (
            "plugin-api/src/abi.rs",
            "    pub log: extern \"C\" fn(u32, RStr<'_>, RStr<'_>),",
            "    pub log: extern \"C\" fn(u32, RStr<'_>, RStr<'_>),
             pub added: extern \"C\" fn() -> u64,",
        ),
        (
            "plugin-api/src/abi.rs",
            "    fn snapshot(&mut self) -> Reply<'_>;",
            "    fn snapshot(&mut self) -> Reply<'_>;
             fn added(&mut self) -> Outcome { let default = 100; Outcome(default) }",
        ),
        (
            "plugin-api/src/abi/guard.rs",
            "    fn snapshot(&mut self) -> Reply<'_> {",
            "    fn added(&mut self) -> Outcome { Outcome(101) }
             fn snapshot(&mut self) -> Reply<'_> {",
        ),
        (
            "plugin-api/src/export.rs",
            "        configure: configure::<E>,",
            "        configure: configure::<E>,
                     added: { extern \"C\" fn added() -> u64 { 102 } added },",
        ),
        (
            "plugin-api/src/export.rs",
            "    abi::serve(host);",
            "    abi::serve(host);
             log::info!(\"the host's added field: {:?}\", host.added().map(|added| added()));",
        ),
        (
            "core/host/src/host_api.rs",
            "log_level, log }",
            "log_level, log, added: { extern \"C\" fn added() -> u64 { 103 } added } }",
        ),
        (
            "core/host/src/rust_door.rs",
            "    match root.configure()",
            "    println!(\"the module's added field: {:?}\", root.added().map(|added| added()));
             match root.configure()",
        ),
        (
            "core/host/src/rust_door/proxy.rs",
            "        self.ask(actions, |object, call| object.opened(call))",
            "        println!(\"the added method: {:?}\", self.0.value.added());
                 self.ask(actions, |object, call| object.opened(call))",
        ),
    ],
};

/// The next major version.
pub(crate) const NEXT_MAJOR: Variant = Variant {
    name: "next_major",
    changes: &[
        ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"2.0.0\""),
        ("plugin-api/src/lib.rs", "(u16, u16) = (1, 0)", "(u16, u16) = (2, 0)"),
    ],
};

/// One that broke its promise: a field has another type under the same version number.
pub(crate) const RELAID: Variant = Variant {
    name: "relaid",
    changes: &[
        ("plugin-api/src/abi.rs", "    pub unwinds: bool,", "    pub unwinds: u32,"),
        (
            "plugin-api/src/export.rs",
            "E::UNWINDS && cfg!(panic = \"unwind\")",
            "u32::from(E::UNWINDS && cfg!(panic = \"unwind\"))",
        ),
    ],
};

impl Variant {
    /// Lays its workspace out below `folder`: the plugin API, the host, the module and the prober.
    pub(crate) fn lay(&self, folder: &Path) -> PathBuf {
        let root = folder.join(self.name);
        let workspace = Path::new(WORKSPACE);
        for package in ["plugin-api", "core/host"] {
            self.copy(&workspace.join(package), &root, package);
        }
        self.copy(&Path::new(FIXTURES).join("module/src"), &root, "module/src");
        self.copy(&workspace.join("tests/abi/src"), &root, "prober/src");
        let library = "[lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\nlog = \"0.4\"\n\
                       tcpcopy-plugin-api = { path = \"../plugin-api\" }\n";
        write(&root.join("module/Cargo.toml"), &self.manifest("fixture", library));
        let program = "[[bin]]\nname = \"NAME\"\npath = \"src/prober.rs\"\n\n[dependencies]\n\
                       tcpcopy-host = { path = \"../core/host\" }\n";
        let program = program.replace("NAME", &format!("prober_{}", self.name));
        write(&root.join("prober/Cargo.toml"), &self.manifest("prober", &program));
        write(&root.join("Cargo.toml"), &self.workspace());
        root
    }

    /// Copies a folder with the changes made.
    fn copy(&self, from: &Path, root: &Path, to: &str) {
        for entry in
            WalkDir::new(from).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file())
        {
            let path = Path::new(to).join(entry.path().strip_prefix(from).unwrap());
            let mut text = fs::read_to_string(entry.path()).unwrap();
            for (_, before, after) in self.changes.iter().filter(|(file, ..)| Path::new(file) == path) {
                assert_eq!(text.matches(before).count(), 1, "{} has no single {before:?}", path.display());
                text = text.replace(before, after);
            }
            write(&root.join(path), &text);
        }
    }

    fn manifest(&self, what: &str, rest: &str) -> String {
        let package = format!("name = \"{what}_{}\"\nversion = \"7.1.0\"\nedition = \"2024\"\n", self.name);
        format!("[package]\n{package}\n{rest}")
    }

    /// The manifest of our workspace with other members.
    fn workspace(&self) -> String {
        let text = fs::read_to_string(Path::new(WORKSPACE).join("Cargo.toml")).unwrap();
        let (head, rest) = text.split_once("members = [").unwrap();
        let (_, rest) = rest.split_once(']').unwrap();
        format!("{head}members = [\"plugin-api\", \"core/host\", \"module\", \"prober\"]{rest}")
    }
}

/// Writes a file, unless it is so already: cargo builds what was written.
fn write(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|found| found == text) {
        return;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}
