//! Why a library does not become a module.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::on_one_line;

/// A load that failed. Nothing has changed by it.
#[derive(Debug, Error)]
#[error("module {}: {}", file.display(), on_one_line(&problem.to_string()))]
pub struct LoadError {
    /// The library.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a library.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// No such file.
    #[error("there is no such file; give the path of the module's shared library")]
    Missing,
    /// A file that cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// Something else than a shared library.
    #[error(
        "it is {0}, not a shared library; build the module with crate-type = [\"cdylib\"], or in C with -shared"
    )]
    NotALibrary(&'static str),
    /// A library for another kind of machine.
    #[error("it was built for another kind of processor; build the module for this machine")]
    OtherMachine,
    /// A library that ends too early.
    #[error("it is truncated or damaged ({0}); copy the file again")]
    Truncated(&'static str),
    /// A library that needs what nobody has.
    #[error(
        "it needs the symbol {0}, which no library here has; link the module with the library that has it"
    )]
    UnresolvedSymbol(String),
    /// The dynamic linker does not like it for another reason.
    #[error("the dynamic linker refuses it: {0}")]
    Unlinkable(String),
    /// A library that is no module.
    #[error(
        "it is a shared library, but no tcpcopy module; a module in Rust has export_module!, one in C has the function \
         tcpcopy_module_v1"
    )]
    NoModule,
    /// A library whose variables the dynamic linker would make one with those of other versions (`STB_GNU_UNIQUE`), and
    /// which it would never let go.
    #[error(
        "its variable {0} would be shared by all versions of it that are loaded; build it with -fno-gnu-unique, and if it \
         has libraries linked in statically, with -Wl,--exclude-libs,ALL"
    )]
    SharesVariables(String),
    /// A library with more than one module.
    #[error(
        "it holds several modules ({0}), and which one is meant cannot be told; build a library for each"
    )]
    SeveralModules(String),
    /// A module whose mirror rests on other foundations.
    #[error(
        "it was built with an abi_stable that does not fit the one here; build the module with the tcpcopy-plugin-api of \
         this tcpcopy"
    )]
    ForeignAbi,
    /// A module for another major version of the API.
    #[error(
        "it was made for plugin API {}.{}, and this tcpcopy has {}.{}; {}",
        theirs.0, theirs.1, ours.0, ours.1,
        if theirs.0 > ours.0 { "use a newer tcpcopy" } else { "build the module with a newer tcpcopy-plugin-api" }
    )]
    OtherApi {
        /// The module's version.
        theirs: (u32, u32),
        /// The host's version.
        ours: (u32, u32),
    },
    /// A module whose mirror says it fits and does not.
    #[error(
        "its tcpcopy-plugin-api is not the one that its version number says ({0}); build the module with an unchanged \
         tcpcopy-plugin-api"
    )]
    OtherLayout(String),
    /// A module in C whose table is not as the header says.
    #[error("{0}, which tcpcopy_module.h does not allow; ask its author")]
    BadTable(&'static str),
    /// A module whose panics would end the process.
    #[error(
        "it was built with panic = \"abort\", so that its panics would end tcpcopy; build it with panic = \"unwind\""
    )]
    Aborts,
    /// A configuration the module does not accept.
    #[error("{origin}: {sentence}")]
    Configuration {
        /// Where the configuration came from.
        origin: String,
        /// What the module says.
        sentence: String,
    },
    /// A module that panicked before it served anyone.
    #[error("it {text} while it was {doing}; ask its author")]
    Panicked {
        /// `loaded` or `configured`.
        doing: &'static str,
        /// The panic.
        text: String,
    },
    /// A module that failed with the first session.
    #[error("its first session, a try, failed: {0}; ask its author")]
    Smoke(String),
    /// What the probe said: a sentence that names one of the other problems.
    #[error("{0}")]
    ProbeRefused(String),
    /// The process that tried the module first died of it.
    #[error("the process that tried it first {0}; ask its author")]
    ProbeDied(String),
    /// The process that tries modules could not be used.
    #[error("the process that tries modules before they are loaded cannot be started: {0}")]
    ProbeUnusable(#[source] io::Error),
    /// Memory for the copy, or the like.
    #[error("no copy of it can be made in memory: {0}")]
    Copy(#[source] io::Error),
    /// The process has loaded as much as it may.
    #[error(
        "{0} libraries were loaded since tcpcopy was started, which is the most it may, since none can be unloaded; \
         restart tcpcopy to load more"
    )]
    TooMany(usize),
}
