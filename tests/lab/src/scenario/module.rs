//! Protocol modules in a scenario: which library, under which name, with which configuration; and their replacement while
//! users are at work.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

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
    /// The configuration lies in a file beside the copy, as one with passwords has to.
    pub in_file: bool,
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
    /// `modules/mysql`.
    Mysql,
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
            Self::Mysql => "libmysql_mod.so",
        }
    }
}

impl Module {
    /// A module without a configuration.
    #[must_use]
    pub const fn new(library: Library, file: &'static str) -> Self {
        Self { library, file, configuration: "", in_file: false }
    }

    /// The same with that configuration.
    #[must_use]
    pub const fn with(self, configuration: &'static str) -> Self {
        Self { configuration, ..self }
    }

    /// The same with that configuration in a file.
    #[must_use]
    pub const fn with_file(self, configuration: &'static str) -> Self {
        Self { configuration, in_file: true, ..self }
    }

    /// As it is written behind `--module` and `ctl swap`, when it lies in `shelf`.
    #[must_use]
    pub fn argument(&self, shelf: &Path) -> String {
        let path = shelf.join(self.file).display().to_string();
        match self.configuration {
            "" => path,
            _ if self.in_file => format!("{path}:{}", self.configuration_file(shelf).display()),
            text => format!("{path}:{text}"),
        }
    }

    fn configuration_file(&self, shelf: &Path) -> PathBuf {
        shelf.join(self.file).with_extension("toml")
    }

    /// Puts its files on the shelf; `libraries` is where cargo put those.
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
        let mut files = vec![(to, bytes)];
        if self.in_file {
            files.push((self.configuration_file(shelf), self.configuration.into()));
        }
        files.iter().try_for_each(|(path, bytes)| {
            fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
        })
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, configuration, .. } = self;
        if self.in_file {
            return write!(f, "{file} (configured in a file)");
        }
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
        assert_eq!(http.with_file("compare = true").argument(Path::new("/m")), "/m/http-1.so:/m/http-1.toml");
    }
}
