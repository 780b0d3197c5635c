//! A mapped library with a module in it.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library as Mapping, RTLD_LOCAL, RTLD_NOW};
use tcpcopy_plugin_api::abi::RootRef;
use tcpcopy_plugin_api::{Configuration, Module};

use crate::elf::Entry;
use crate::sealed::SealedCopy;
use crate::{CallTimes, LoadError, Problem, c_door, on_one_line, rust_door};

/// What a loaded module says of itself, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// The module's name.
    pub name: String,
    /// The module's version.
    pub version: String,
    /// The version of the plugin API it was made for.
    pub api: (u16, u16),
    /// The compiler that made it, where it says.
    pub compiler: String,
    /// How it was loaded.
    pub door: Door,
    /// The file it was loaded from. That may have changed since.
    pub file: PathBuf,
    /// A hash of what was loaded.
    pub fingerprint: u64,
}

/// The two ways into a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// The stable mirror of the Rust API.
    Rust,
    /// `tcpcopy_module.h`.
    C,
}

/// A mapped library: makes further modules of the same code, one per thread or configuration.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

struct Inner {
    about: About,
    code: Code,
    times: Arc<CallTimes>,
}

/// What the doors found.
pub(crate) enum Code {
    Rust(RootRef),
    C(Arc<c_door::Table>),
}

impl Library {
    /// The library behind `mapping`.
    pub(crate) fn open(
        file: &Path,
        fingerprint: u64,
        mapping: &Mapping,
        entry: &Entry,
        times: CallTimes,
    ) -> Result<Self, Problem> {
        let code = match entry {
            Entry::Rust(symbol) => Code::Rust(rust_door::open(mapping, symbol)?),
            Entry::C => Code::C(Arc::new(c_door::open(mapping)?)),
        };
        let about = code.about(file, fingerprint);
        Ok(Self(Arc::new(Inner { about, code, times: Arc::new(times) })))
    }

    /// What is known of the module.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.0.about
    }

    /// The call times of all modules made of this library.
    #[must_use]
    pub fn times(&self) -> &Arc<CallTimes> {
        &self.0.times
    }

    /// Configures the same code again.
    ///
    /// # Errors
    /// [`Problem::Configuration`] when the module does not accept the configuration, [`Problem::Panicked`] when it panics.
    pub fn make(&self, configuration: &Configuration<'_>) -> Result<Box<dyn Module>, LoadError> {
        let Inner { about, code, times } = &*self.0;
        let made = match code {
            Code::Rust(root) => rust_door::make(*root, configuration, times.tally()),
            Code::C(table) => c_door::make(table, configuration, times.tally()),
        };
        made.map_err(|problem| LoadError { file: about.file.clone(), problem })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Library").field(self.about()).finish()
    }
}

impl Code {
    fn about(&self, file: &Path, fingerprint: u64) -> About {
        let file = file.to_owned();
        match self {
            Self::Rust(root) => About {
                name: on_one_line(root.name().as_str()).into_owned(),
                version: on_one_line(root.version().as_str()).into_owned(),
                api: (root.api().major, root.api().minor),
                compiler: on_one_line(root.compiler().as_str()).into_owned(),
                door: Door::Rust,
                file,
                fingerprint,
            },
            Self::C(table) => About {
                name: on_one_line(&table.name).into_owned(),
                version: on_one_line(&table.version).into_owned(),
                api: table.api(),
                compiler: String::new(),
                door: Door::C,
                file,
                fingerprint,
            },
        }
    }
}

/// Maps a library into this process, for as long as it lives.
pub(crate) fn map(copy: SealedCopy) -> Result<&'static Mapping, Problem> {
    let flags = RTLD_NOW | RTLD_LOCAL | nix::libc::RTLD_NODELETE;
    // SAFETY: initializers of the library run, which a library can only be trusted with; that it is one, is whole and
    // cannot change any more was seen before, and a process of its own may have tried it.
    let opened = unsafe { Mapping::open(Some(copy.path()), flags) };
    match opened {
        Ok(mapping) => {
            copy.keep();
            Ok(Box::leak(Box::new(mapping)))
        }
        Err(error) => Err(refusal(&error, &copy)),
    }
}

/// What the dynamic linker said, without the name of the copy.
fn refusal(error: &libloading::Error, copy: &SealedCopy) -> Problem {
    let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let said = said.replace(&format!("{}: ", copy.path().display()), "");
    match said.split_once("undefined symbol: ") {
        Some((_, symbol)) => {
            let symbol = symbol.split([' ', ',', '\t']).next().unwrap_or(symbol);
            Problem::UnresolvedSymbol(symbol.to_owned())
        }
        None => Problem::Unlinkable(said),
    }
}
