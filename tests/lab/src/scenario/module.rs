//! Protocol modules in a scenario: which library, under which name, with which configuration; and their replacement while
//! users are at work.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A module as tcpcopy is given it: a copy of a library under a name of its own, and a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// What the file is a copy of.
    pub library: Library,
    /// The name of the copy.
    pub file: &'static str,
    /// Its configuration, as TOML; empty: none.
    pub configuration: &'static str,
}

/// The libraries that modules are copies of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// `modules/http`.
    Http,
    /// `modules/generic`.
    Generic,
    /// `tests/modules/tagged`, which fails where it is told to.
    Tagged,
    /// The first half of `modules/http`: a copy that broke off.
    Torn,
}

/// The module of a mapping is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// Which of the scenario's mappings.
    pub mapping: usize,
    /// What is to serve it.
    pub module: Module,
    /// Running sessions are to move to it.
    pub migrate: bool,
    /// `None`: it has to be accepted. Else it has to be refused, with a sentence that holds this.
    pub refusal: Option<&'static str>,
}

impl Library {
    /// The file that cargo makes.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Http | Self::Torn => "libhttp_mod.so",
            Self::Generic => "libgeneric_mod.so",
            Self::Tagged => "libtagged_mod.so",
        }
    }
}

impl Module {
    /// A module without a configuration.
    #[must_use]
    pub const fn new(library: Library, file: &'static str) -> Self {
        Self { library, file, configuration: "" }
    }

    /// The same with that configuration.
    #[must_use]
    pub const fn with(self, configuration: &'static str) -> Self {
        Self { configuration, ..self }
    }

    /// As it is written behind `--module` and `ctl swap`, when it lies in `shelf`.
    #[must_use]
    pub fn argument(&self, shelf: &Path) -> String {
        let path = shelf.join(self.file).display().to_string();
        if self.configuration.is_empty() { path } else { format!("{path}:{}", self.configuration) }
    }

    /// Puts its file on the shelf; `libraries` is where cargo put those.
    pub(crate) fn put_on(&self, shelf: &Path, libraries: &Path) -> Result<()> {
        let (from, to) = (libraries.join(self.library.file()), shelf.join(self.file));
        let mut bytes = fs::read(&from).with_context(|| {
            format!(
                "{} cannot be read: build it (cargo build --workspace) or set TCPCOPY_MODULES to its directory",
                from.display()
            )
        })?;
        if self.library == Library::Torn {
            bytes.truncate(bytes.len() / 2);
        }
        fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, configuration, .. } = self;
        match configuration.replace('\n', ", ") {
            none if none.is_empty() => f.write_str(file),
            configuration => write!(f, "{file} ({configuration})"),
        }
    }
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let migrating = if self.migrate { ", running sessions move" } else { "" };
        write!(f, "swap to {}{migrating}", self.module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_reads_as_a_person_writes_it() {
        let http = Module::new(Library::Http, "http-1.so");
        assert_eq!(http.argument(Path::new("")), "http-1.so");
        assert_eq!(http.with("compare = true").argument(Path::new("/m")), "/m/http-1.so:compare = true");
    }
}
