//! The shelf: which library and configuration each mapping has, and the making of modules from them.
//!
//! Used before the loop begins, and then on the admin thread: loading takes milliseconds, and seconds at worst.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tcpcopy_host::{CallTimes, Host, HostOptions, LoadError, Loaded};
use tcpcopy_plugin_api::{Configuration, Module};
use thiserror::Error;

use super::{ConfigurationSource, ModuleName};
use crate::text::on_one_line;

/// The longest configuration that is read.
const CONFIGURATION_BYTES: u64 = 1 << 20;

/// Why there is no module; one sentence, and nothing has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// The library or its configuration is no good.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The configuration cannot be read.
    #[error("cannot read the configuration {}: {reason}; it must be a text file of at most 1 MiB", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A module that was loaded and serves nobody yet.
pub(crate) struct Fresh {
    /// The index of the mapping it is for.
    pub(crate) mapping: usize,
    pub(crate) name: ModuleName,
    pub(crate) api: String,
    pub(crate) file: String,
    /// Where its configuration came from.
    pub(crate) configuration: String,
    pub(crate) times: Arc<CallTimes>,
    /// Its sessions will want to hear the online servers from their beginning.
    pub(crate) wants_online: bool,
    pub(crate) module: Box<dyn Module>,
}

/// What a mapping's module was made of.
struct Source {
    file: PathBuf,
    configuration: ConfigurationSource,
    made_of: MadeOf,
}

/// The contents of both files at the time of the load.
#[derive(PartialEq, Eq)]
struct MadeOf {
    library: u64,
    text: String,
}

/// What the mappings' modules were made of, and the host that makes them.
pub(crate) struct Shelf {
    host: Host,
    /// The online sides of the mappings, as `-x` takes them.
    mappings: Vec<String>,
    /// By the index of the mapping.
    sources: Vec<Option<Source>>,
    next_generation: u32,
}

impl Shelf {
    pub(crate) fn new(options: HostOptions, mappings: Vec<String>) -> Self {
        let sources = mappings.iter().map(|_| None).collect();
        Self { host: Host::new(options), mappings, sources, next_generation: 1 }
    }

    /// The names of the mappings, by their index.
    pub(crate) fn mappings(&self) -> &[String] {
        &self.mappings
    }

    /// What there is to say of a call into a module that does not return: the loop answers nobody then.
    pub(crate) fn stuck(&self) -> Option<String> {
        self.host.stuck()
    }

    /// Whether the mapping with this index has a module.
    pub(crate) fn has_module(&self, mapping: usize) -> bool {
        self.sources.get(mapping).is_some_and(Option::is_some)
    }

    /// Loads the module in `file` for the mapping with this index. Without a `configuration` it gets the one that the
    /// mapping's module has.
    pub(crate) fn load(
        &mut self,
        mapping: usize,
        file: &Path,
        configuration: Option<ConfigurationSource>,
    ) -> Result<Fresh, ShelfError> {
        let present = self.sources.get(mapping).and_then(Option::as_ref);
        let configuration =
            configuration.or_else(|| present.map(|source| source.configuration.clone())).unwrap_or_default();
        // Before the host reads the file: if it changes in between, the next reload loads it once more.
        let made_of = MadeOf { library: hash_of(file).unwrap_or_default(), text: text_of(&configuration)? };
        let origin = match &configuration {
            ConfigurationSource::File(path) => path.display().to_string(),
            ConfigurationSource::Inline(_) => "its inline configuration".to_owned(),
            ConfigurationSource::None => "without a configuration".to_owned(),
        };
        let Loaded { about, module, times, wants_online, .. } =
            self.host.load(file, &Configuration::new(&made_of.text, &origin))?;
        let name = ModuleName {
            mapping: self.mappings.get(mapping).cloned().unwrap_or_default(),
            generation: self.next_generation,
            name: on_one_line(&about.name).into_owned(),
            version: on_one_line(&about.version).into_owned(),
        };
        self.next_generation += 1;
        let fresh = Fresh {
            mapping,
            name,
            api: format!("{}.{}", about.api.0, about.api.1),
            file: file.display().to_string(),
            configuration: configuration.origin(),
            times,
            wants_online,
            module,
        };
        if let Some(source) = self.sources.get_mut(mapping) {
            *source = Some(Source { file: file.to_owned(), configuration, made_of });
        }
        Ok(fresh)
    }

    /// Loads the module of the mapping with this index again if its library or its configuration has changed; `None`
    /// if neither has, or the mapping has no module.
    pub(crate) fn reload(&mut self, mapping: usize) -> Option<Result<Fresh, ShelfError>> {
        let source = self.sources.get(mapping)?.as_ref()?;
        let text = match text_of(&source.configuration) {
            Ok(text) => text,
            Err(error) => return Some(Err(error)),
        };
        let library = hash_of(&source.file);
        // A library that cannot be read is one that the host will explain.
        if library.is_ok_and(|library| MadeOf { library, text } == source.made_of) {
            return None;
        }
        let file = source.file.clone();
        Some(self.load(mapping, &file, None))
    }
}

fn text_of(configuration: &ConfigurationSource) -> Result<String, ShelfError> {
    let path = match configuration {
        ConfigurationSource::None => return Ok(String::new()),
        ConfigurationSource::Inline(text) => return Ok(text.clone()),
        ConfigurationSource::File(path) => path,
    };
    let wrong = |reason: String| ShelfError::Configuration { path: path.clone(), reason };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let read = file.take(CONFIGURATION_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|error| wrong(error.to_string()))? {
        length if length as u64 > CONFIGURATION_BYTES => Err(wrong("it is too long".to_owned())),
        _ => Ok(text),
    }
}

/// A hash of a file's contents, to see whether they have changed.
fn hash_of(path: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(path)?);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf {
        Shelf::new(HostOptions::default(), vec!["80".to_owned()])
    }

    #[test]
    fn what_cannot_be_loaded_is_one_sentence_and_leaves_the_shelf_as_it_was() {
        let mut shelf = shelf();
        let error = shelf.load(0, Path::new("/nowhere/libm.so"), None).err().unwrap().to_string();
        assert!(error.starts_with("module /nowhere/libm.so: there is no such file"), "{error}");
        let configuration = Some(ConfigurationSource::File("/nowhere/m.toml".into()));
        let error = shelf.load(0, Path::new("/nowhere/libm.so"), configuration).err().unwrap().to_string();
        assert_eq!(
            error,
            "cannot read the configuration /nowhere/m.toml: No such file or directory (os error 2); it must be a text \
             file of at most 1 MiB"
        );
        assert!(!shelf.has_module(0) && shelf.reload(0).is_none());
        assert_eq!(shelf.next_generation, 1);
    }

    #[test]
    fn a_configuration_that_is_too_long_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.toml");
        fs::write(&path, vec![b'#'; CONFIGURATION_BYTES as usize]).unwrap();
        assert!(text_of(&ConfigurationSource::File(path.clone())).is_ok());
        fs::write(&path, vec![b'#'; CONFIGURATION_BYTES as usize + 1]).unwrap();
        let error = text_of(&ConfigurationSource::File(path)).unwrap_err().to_string();
        assert!(error.contains("it is too long"), "{error}");
    }
}
