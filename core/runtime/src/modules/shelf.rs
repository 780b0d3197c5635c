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
struct MadeOf {
    /// The library's fingerprint.
    library: u64,
    text: String,
}

/// What is no longer as it was when a generation was made of it.
struct Changes {
    library: bool,
    text: bool,
}

impl Source {
    fn changes(&self) -> Result<Changes, ShelfError> {
        let text = text_of(&self.configuration)? != self.made_of.text;
        // A library that cannot be read is one that the host will explain.
        let library = fingerprint(&self.file).map_or(true, |library| library != self.made_of.library);
        Ok(Changes { library, text })
    }
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
            name: about.name,
            version: about.version,
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

    /// Loads the module of the mapping with this index again if its library or its configuration has changed; `None` if
    /// neither has, or the mapping has no module.
    pub(crate) fn reload(&mut self, mapping: usize) -> Option<Result<Fresh, ShelfError>> {
        let changed = match self.changed(mapping) {
            Ok(changed) => changed?,
            Err(error) => return Some(Err(error)),
        };
        let (file, configuration) = (changed.file.clone(), changed.configuration.clone());
        Some(self.load(mapping, &file, Some(configuration)))
    }

    /// What to load again for the mapping with this index. A module that was rolled back is, when somebody has repaired
    /// it; until then it is the one that serves whose files are looked at.
    fn changed(&self, mapping: usize) -> Result<Option<&Source>, ShelfError> {
        let Some(serving) = self.source(self.in_place.serving(mapping)) else { return Ok(None) };
        let installed = self.source(self.in_place.installed(mapping)).unwrap_or(serving);
        let is_rolled_back = !std::ptr::eq(installed, serving);
        if is_rolled_back {
            let Changes { library, text } = installed.changes()?;
            // A configuration that both have is that of the one that serves.
            if library || (text && installed.configuration != serving.configuration) {
                return Ok(Some(installed));
            }
        }
        let Changes { library, text } = serving.changes()?;
        // A file that both were loaded from is the one that was rolled back.
        let is_own = !is_rolled_back || serving.file != installed.file;
        Ok((is_own && (library || text)).then_some(serving))
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

    /// A shelf whose generations were made of these libraries and configurations, which it writes; none is a module, so
    /// that what is loaded again is told by the error.
    fn shelf_of(generations: &[[&str; 2]], folder: &Path) -> Shelf {
        let mut shelf = shelf();
        for (index, [library, configuration]) in generations.iter().enumerate() {
            let (file, configuration) = (folder.join(library), folder.join(configuration));
            fs::write(&file, format!("library {index}")).unwrap();
            fs::write(&configuration, "").unwrap();
            let made_of = MadeOf { library: fingerprint(&file).unwrap(), text: String::new() };
            shelf.sources.push(Source {
                file,
                configuration: ConfigurationSource::File(configuration),
                made_of,
            });
            shelf.in_place.install(0, index as u32 + 1);
        }
        shelf
    }

    /// The name of the library that is loaded again.
    fn reloaded(shelf: &mut Shelf) -> Option<String> {
        let sentence = shelf.reload(0)?.err().unwrap().to_string();
        let file = sentence.strip_prefix("module ").unwrap().split(": ").next().unwrap();
        Some(Path::new(file).file_name().unwrap().to_str().unwrap().to_owned())
    }

    #[test]
    fn the_configuration_of_what_serves_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf_of(&[["1.so", "1.toml"], ["2.so", "2.toml"]], folder.path());
        for number in [1, 2] {
            fs::remove_file(folder.path().join(format!("{number}.toml"))).unwrap();
        }
        let expect = |shelf: &mut Shelf, number| {
            let error = shelf.load(0, Path::new("/nowhere/libm.so"), None).err().unwrap().to_string();
            let place = folder.path().join(format!("{number}.toml"));
            let begins = format!("cannot read the configuration {}: ", place.display());
            assert!(error.starts_with(&begins), "{error}");
        };
        expect(&mut shelf, 2);
        shelf.in_place.roll_back(0, 1);
        expect(&mut shelf, 1);
    }

    #[test]
    fn what_was_rolled_back_is_loaded_again_when_it_was_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(folder.path().join(name), "another").unwrap();
        let rolled_back = |generations: [[&str; 2]; 2]| {
            let shelf = shelf_of(&generations, folder.path());
            shelf.in_place.roll_back(0, 1);
            shelf
        };
        let mut shelf = rolled_back([["1.so", "1.toml"], ["2.so", "2.toml"]]);
        assert_eq!(reloaded(&mut shelf), None);
        write("1.toml");
        assert_eq!(reloaded(&mut shelf).as_deref(), Some("1.so"));
        write("2.toml");
        assert_eq!(reloaded(&mut shelf).as_deref(), Some("2.so"));
        let mut shelf = rolled_back([["1.so", "shared.toml"], ["2.so", "shared.toml"]]);
        write("shared.toml");
        assert_eq!(reloaded(&mut shelf).as_deref(), Some("1.so"), "nobody has repaired the other");
        write("2.so");
        assert_eq!(reloaded(&mut shelf).as_deref(), Some("2.so"));
        let mut shelf = rolled_back([["overwritten.so", "shared.toml"], ["overwritten.so", "shared.toml"]]);
        write("shared.toml");
        assert_eq!(reloaded(&mut shelf), None, "what the first was made of is gone");
        write("overwritten.so");
        assert_eq!(reloaded(&mut shelf).as_deref(), Some("overwritten.so"));
    }

    #[test]
    fn what_was_loaded_and_never_put_in_place_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf_of(&[["1.so", "1.toml"], ["2.so", "2.toml"]], folder.path());
        shelf.in_place.install(0, 1);
        fs::write(folder.path().join("2.so"), "another").unwrap();
        assert_eq!(reloaded(&mut shelf), None);
        fs::write(folder.path().join("1.so"), "another").unwrap();
        assert_eq!(reloaded(&mut shelf).as_deref(), Some("1.so"));
    }
}
