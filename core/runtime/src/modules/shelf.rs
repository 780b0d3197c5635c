//! The shelf: which library and configuration each mapping has, and the making of modules from them.
//!
//! Used before the loop begins, and then on the admin thread: loading takes milliseconds, and seconds at worst.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tcpcopy_host::{CallTimes, Host, HostOptions, LoadError, Loaded, fingerprint, read_file};
use tcpcopy_plugin_api::{Configuration, Module};
use thiserror::Error;

use super::{ConfigurationSource, InPlace, ModuleName};
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

/// What a generation was made of.
struct Source {
    file: PathBuf,
    configuration: ConfigurationSource,
    made_of: MadeOf,
}

/// What was in both files.
#[derive(PartialEq, Eq)]
struct MadeOf {
    /// The library's fingerprint.
    library: u64,
    text: String,
}

/// What the modules were made of, and the host that makes them.
pub(crate) struct Shelf {
    host: Host,
    /// The online sides of the mappings, as `-x` takes them.
    mappings: Vec<String>,
    in_place: Arc<InPlace>,
    /// Of each generation that was loaded, whatever became of it; the first is number 1.
    sources: Vec<Source>,
}

impl Shelf {
    /// A shelf without modules. Which of those that it makes serve is told in `in_place`.
    pub(crate) fn new(options: HostOptions, mappings: Vec<String>, in_place: Arc<InPlace>) -> Self {
        Self { host: Host::new(options), mappings, in_place, sources: Vec::new() }
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
        self.in_place.serving(mapping).is_some()
    }

    /// Loads the module in `file` for the mapping with this index. Without a `configuration` it gets that of the
    /// generation that serves.
    pub(crate) fn load(
        &mut self,
        mapping: usize,
        file: &Path,
        configuration: Option<ConfigurationSource>,
    ) -> Result<Fresh, ShelfError> {
        let present = self.source(self.in_place.serving(mapping));
        let configuration =
            configuration.or_else(|| present.map(|source| source.configuration.clone())).unwrap_or_default();
        let text = text_of(&configuration)?;
        let origin = match &configuration {
            ConfigurationSource::File(path) => path.display().to_string(),
            ConfigurationSource::Inline(_) => "its inline configuration".to_owned(),
            ConfigurationSource::None => "without a configuration".to_owned(),
        };
        let Loaded { about, module, times, wants_online, .. } =
            self.host.load(file, &Configuration::new(&text, &origin))?;
        let described = configuration.origin();
        let made_of = MadeOf { library: about.fingerprint, text };
        self.sources.push(Source { file: file.to_owned(), configuration, made_of });
        let name = ModuleName {
            mapping: self.mappings.get(mapping).cloned().unwrap_or_default(),
            generation: self.sources.len() as u32,
            name: on_one_line(&about.name).into_owned(),
            version: on_one_line(&about.version).into_owned(),
        };
        Ok(Fresh {
            mapping,
            name,
            api: format!("{}.{}", about.api.0, about.api.1),
            file: file.display().to_string(),
            configuration: described,
            times,
            wants_online,
            module,
        })
    }

    /// Loads the module that the mapping with this index was last given again, if its library or its configuration has
    /// changed since; `None` if neither has, or the mapping has no module. One that was rolled back is not loaded again
    /// before somebody has repaired it.
    pub(crate) fn reload(&mut self, mapping: usize) -> Option<Result<Fresh, ShelfError>> {
        let Source { file, configuration, made_of } = self.source(self.in_place.installed(mapping))?;
        let text = match text_of(configuration) {
            Ok(text) => text,
            Err(error) => return Some(Err(error)),
        };
        // A library that cannot be read is one that the host will explain.
        if fingerprint(file).is_ok_and(|library| MadeOf { library, text } == *made_of) {
            return None;
        }
        let (file, configuration) = (file.clone(), configuration.clone());
        Some(self.load(mapping, &file, Some(configuration)))
    }

    fn source(&self, generation: Option<u32>) -> Option<&Source> {
        self.sources.get(generation?.checked_sub(1)? as usize)
    }
}

fn text_of(configuration: &ConfigurationSource) -> Result<String, ShelfError> {
    let path = match configuration {
        ConfigurationSource::None => return Ok(String::new()),
        ConfigurationSource::Inline(text) => return Ok(text.clone()),
        ConfigurationSource::File(path) => path,
    };
    let read = read_file(path, CONFIGURATION_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text")));
    read.map_err(|error| ShelfError::Configuration { path: path.clone(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shelf() -> Shelf {
        Shelf::new(HostOptions::default(), vec!["80".to_owned()], Arc::new(InPlace::new(1)))
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
        assert!(shelf.sources.is_empty());
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

    /// A shelf whose generations were made of `1.so`, `2.so`, … and `1.toml`, `2.toml`, … in this folder, which are gone.
    fn shelf_of(generations: u32, folder: &Path) -> Shelf {
        let mut shelf = shelf();
        for number in 1..=generations {
            shelf.sources.push(Source {
                file: folder.join(format!("{number}.so")),
                configuration: ConfigurationSource::File(folder.join(format!("{number}.toml"))),
                made_of: MadeOf { library: 0, text: String::new() },
            });
            shelf.in_place.install(0, number);
        }
        shelf
    }

    #[test]
    fn the_configuration_of_what_serves_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf_of(3, folder.path());
        let expect = |shelf: &mut Shelf, number| {
            let error = shelf.load(0, Path::new("/nowhere/libm.so"), None).err().unwrap().to_string();
            let place = folder.path().join(format!("{number}.toml"));
            let begins = format!("cannot read the configuration {}: ", place.display());
            assert!(error.starts_with(&begins), "{error}");
        };
        expect(&mut shelf, 3);
        shelf.in_place.roll_back(0, 1);
        expect(&mut shelf, 1);
    }

    #[test]
    fn what_was_rolled_back_is_loaded_again_when_it_was_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf_of(2, folder.path());
        shelf.in_place.roll_back(0, 1);
        fs::write(folder.path().join("2.toml"), "").unwrap();
        fs::write(folder.path().join("2.so"), "broken").unwrap();
        shelf.sources[1].made_of.library = fingerprint(&folder.path().join("2.so")).unwrap();
        assert!(shelf.reload(0).is_none());
        fs::write(folder.path().join("2.so"), "repaired, but a text").unwrap();
        let error = shelf.reload(0).unwrap().err().unwrap().to_string();
        assert!(error.ends_with("2.so: it is a text file, not a shared library; build the module with crate-type = [\"cdylib\"], or in C with -shared"), "{error}");
    }

    #[test]
    fn what_was_loaded_and_never_put_in_place_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf_of(2, folder.path());
        shelf.in_place.install(0, 1);
        let error = shelf.reload(0).unwrap().err().unwrap().to_string();
        assert!(error.contains("1.toml"), "{error}");
    }
}
