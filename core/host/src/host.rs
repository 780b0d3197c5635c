//! The host: from a file to a module that may serve.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tcpcopy_plugin_api::{Configuration, Module};

use crate::library::map;
use crate::sealed::SealedCopy;
use crate::watch::Watch;
use crate::{About, CallTimes, Library, LoadError, Patience, Problem, elf, probe, read_file, smoke};

/// No library is longer, whatever debug information it has.
const LIBRARY_BYTES: u64 = 512 << 20;

/// How a [`Host`] works.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// A program that tries modules first, in a process of its own: run as `PROGRAM module-probe FILE`, it calls
    /// [`probe`](crate::probe()). A library that crashes or hangs while it is loaded then costs that process only.
    pub probe: Option<PathBuf>,
    /// How many libraries this host may map. None is ever unmapped.
    pub most_loaded: usize,
    /// A call that takes so long is slow.
    pub slow_call: Duration,
    /// How long a call may run.
    pub patience: Patience,
}

impl Default for HostOptions {
    fn default() -> Self {
        let slow_call = Duration::from_millis(10);
        Self { probe: None, most_loaded: 64, slow_call, patience: Patience::default() }
    }
}

/// Loads modules. One per process.
#[derive(Debug)]
pub struct Host {
    options: HostOptions,
    mapped: usize,
    /// From the first module on.
    watch: Option<Watch>,
}

/// A module that was loaded.
pub struct Loaded {
    /// What is known of it.
    pub about: About,
    /// The module, ready to serve.
    pub module: Box<dyn Module>,
    /// How long its calls take.
    pub times: Arc<CallTimes>,
    /// The conversation that was tried asked for what the online server says as soon as it was opened: those to come
    /// will, too.
    pub wants_online: bool,
    /// Makes further modules of the same code.
    pub library: Library,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Host {
    /// Nothing is loaded yet.
    #[must_use]
    pub fn new(options: HostOptions) -> Self {
        Self { options, mapped: 0, watch: None }
    }

    /// How many libraries were mapped so far, including those that turned out to be no good.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.mapped
    }

    /// Loads the module in `file`, configures it and tries it.
    ///
    /// Takes milliseconds, and up to five seconds with a probe: not for a thread that moves packets.
    ///
    /// # Errors
    /// What is wrong, in a sentence. Nothing has changed then, except that the library may be mapped.
    pub fn load(&mut self, file: &Path, configuration: &Configuration<'_>) -> Result<Loaded, LoadError> {
        self.start_watch();
        let _watched = self.watch.as_ref().map(|watch| watch.loading(file));
        let bytes = read(file).map_err(|problem| LoadError { file: file.to_owned(), problem })?;
        self.load_bytes(file, &bytes, configuration)
    }

    /// Loads the module that consists of `bytes`, which came from `file`.
    pub(crate) fn load_bytes(
        &mut self,
        file: &Path,
        bytes: &[u8],
        configuration: &Configuration<'_>,
    ) -> Result<Loaded, LoadError> {
        let fail = |problem| LoadError { file: file.to_owned(), problem };
        if self.mapped >= self.options.most_loaded {
            return Err(fail(Problem::TooMany(self.options.most_loaded)));
        }
        let entry = elf::entry(bytes).map_err(fail)?;
        if let Some(program) = &self.options.probe {
            probe::run(program, file, bytes, configuration).map_err(fail)?;
        }
        let library = self.map(file, bytes, &entry).map_err(fail)?;
        let module = library.make(configuration)?;
        let wants_online = smoke::call(&*module).map_err(fail)?;
        library.times().clear();
        if let Some(watch) = &self.watch {
            watch.add(library.about(), library.times());
        }
        let (about, times) = (library.about().clone(), Arc::clone(library.times()));
        Ok(Loaded { about, module, times, wants_online, library })
    }

    /// What there is to say of a call into a module that runs and does not return.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        self.watch.as_ref()?.stuck()
    }

    fn start_watch(&mut self) {
        if self.watch.is_none() {
            match Watch::start(self.options.patience.clone()) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => log::warn!("calls of modules that do not return are not noticed: {error}"),
            }
        }
    }

    /// Brings the library into this process.
    fn map(&mut self, file: &Path, bytes: &[u8], entry: &elf::Entry) -> Result<Library, Problem> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let copy = SealedCopy::new(&name, bytes).map_err(Problem::Copy)?;
        let mapping = map(copy)?;
        self.mapped += 1;
        Library::open(file, hash(bytes), mapping, entry, CallTimes::new(self.options.slow_call))
    }
}

/// The [fingerprint](About::fingerprint) of what would be loaded from `file` now.
///
/// # Errors
/// It cannot be read.
pub fn fingerprint(file: &Path) -> Result<u64, Problem> {
    read(file).map(|bytes| hash(&bytes))
}

fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    read_file(file, LIBRARY_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error),
    })
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
