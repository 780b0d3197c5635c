//! `--module` and `ctl swap`: which module serves which mapping, configured how.

use std::path::{Path, PathBuf};

use tcpcopy_core::engine::{Mapping, OnlineAddress};
use tcpcopy_core::runtime::{ConfigurationSource, ModuleChoice, mapping_name};

use crate::mapping_flag::online;

/// A module as it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleFlag {
    /// The mapping's online side; without it the module is for every mapping that no other is for.
    online: Option<OnlineAddress>,
    library: LibraryFlag,
}

/// A library, and perhaps a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LibraryFlag {
    pub(crate) file: PathBuf,
    /// `None` where nothing was said of it.
    pub(crate) configuration: Option<ConfigurationSource>,
}

/// Parses `[MAPPING=]FILE[:CONFIG]`.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn module(text: &str) -> Result<ModuleFlag, String> {
    parse(text.trim()).map_err(|wrong| {
        format!(
            "{wrong}; it takes FILE, FILE:CONFIG or either behind MAPPING=, as in 80=./libhttp_mod.so:http.toml"
        )
    })
}

/// Parses `FILE[:CONFIG]`. CONFIG is the path of a file unless there is a `=` in it: then it is the text itself. `FILE:`
/// stands for no configuration.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn library(text: &str) -> Result<LibraryFlag, String> {
    split(text.trim()).map_err(|wrong| format!("{wrong}; it takes FILE or FILE:CONFIG"))
}

/// Parses the name of a mapping.
///
/// # Errors
/// The half sentence that says what is wrong and what is allowed.
pub(crate) fn mapping_named(text: &str) -> Result<String, String> {
    let online = online(text.trim()).map_err(|wrong| {
        format!("{wrong}; it takes the online side of an entry of -x, as in 80 or 10.0.0.1:80")
    })?;
    Ok(online_name(online))
}

fn parse(text: &str) -> Result<ModuleFlag, String> {
    // The text of a configuration has a = too, but a library in front of it.
    let mapping = text.split_once('=').filter(|(before, _)| before.bytes().all(is_of_an_address));
    let (online, rest) = match mapping {
        Some((before, rest)) => (Some(online(before)?), rest),
        None => (None, text),
    };
    Ok(ModuleFlag { online, library: split(rest)? })
}

fn is_of_an_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'[' | b']')
}

fn split(text: &str) -> Result<LibraryFlag, String> {
    let (file, configuration) = match text.split_once(':') {
        Some((file, configuration)) => (file, Some(configuration)),
        None => (text, None),
    };
    if file.is_empty() {
        return Err("the file of the module is missing".to_owned());
    }
    let configuration = configuration.map(|text| match text {
        "" => ConfigurationSource::None,
        text if text.contains('=') => ConfigurationSource::Inline(text.to_owned()),
        path => ConfigurationSource::File(path.into()),
    });
    Ok(LibraryFlag { file: file.into(), configuration })
}

fn online_name(online: OnlineAddress) -> String {
    mapping_name(&Mapping { online, target: tcpcopy_core::wire::Endpoint::default() })
}

impl LibraryFlag {
    /// The same with paths that hold in every folder.
    ///
    /// # Errors
    /// A sentence about the path for which there is none.
    pub(crate) fn absolute(&self) -> Result<Self, String> {
        let configuration = match &self.configuration {
            Some(ConfigurationSource::File(path)) => Some(ConfigurationSource::File(absolute(path)?)),
            other => other.clone(),
        };
        Ok(Self { file: absolute(&self.file)?, configuration })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("cannot find {}: {error}", path.display()))
}

/// Which of `modules` serves which of `mappings`.
///
/// # Errors
/// A sentence about what cannot be.
pub(crate) fn choices(modules: &[ModuleFlag], mappings: &[Mapping]) -> Result<Vec<ModuleChoice>, String> {
    let mut choices: Vec<ModuleChoice> = Vec::new();
    for flag in modules {
        let Some(online) = flag.online else { continue };
        let mapping = mappings.iter().position(|mapping| mapping.online == online).ok_or_else(|| {
            let names: Vec<String> = mappings.iter().map(mapping_name).collect();
            format!("--module: there is no mapping {}; -x has {}", online_name(online), names.join(", "))
        })?;
        if choices.iter().any(|choice| choice.mapping == mapping) {
            return Err(format!("--module is given twice for {}; one module serves it", online_name(online)));
        }
        choices.push(choice(mapping, flag)?);
    }
    let mut unnamed = modules.iter().filter(|flag| flag.online.is_none());
    let Some(flag) = unnamed.next() else { return Ok(choices) };
    if let Some(second) = unnamed.next() {
        return Err(format!(
            "--module {} and {} are both for every mapping; say which is for which, as in 80=FILE",
            flag.library.file.display(),
            second.library.file.display()
        ));
    }
    let is_free = |mapping: &usize| choices.iter().all(|choice| choice.mapping != *mapping);
    let free: Vec<usize> = (0..mappings.len()).filter(is_free).collect();
    if free.is_empty() {
        return Err(format!(
            "--module {} is for nothing: every mapping has another module",
            flag.library.file.display()
        ));
    }
    for mapping in free {
        choices.push(choice(mapping, flag)?);
    }
    Ok(choices)
}

fn choice(mapping: usize, flag: &ModuleFlag) -> Result<ModuleChoice, String> {
    let LibraryFlag { file, configuration } = flag.library.absolute()?;
    Ok(ModuleChoice { mapping, file, configuration: configuration.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping_flag::mapping;

    fn file(path: &str) -> ConfigurationSource {
        ConfigurationSource::File(path.into())
    }

    fn inline(text: &str) -> ConfigurationSource {
        ConfigurationSource::Inline(text.to_owned())
    }

    #[test]
    fn a_library_may_have_a_configuration_in_a_file_or_in_words() {
        let cases = [
            ("./m.so", None),
            ("./m.so:", Some(ConfigurationSource::None)),
            ("./m.so:m.toml", Some(file("m.toml"))),
            ("./m.so:host = \"a:80\"", Some(inline("host = \"a:80\""))),
            ("./m.so:a=1\nb=2", Some(inline("a=1\nb=2"))),
        ];
        for (text, configuration) in cases {
            assert_eq!(library(text), Ok(LibraryFlag { file: "./m.so".into(), configuration }), "{text}");
        }
        assert_eq!(
            library(":m.toml").unwrap_err(),
            "the file of the module is missing; it takes FILE or FILE:CONFIG"
        );
    }

    #[test]
    fn a_mapping_may_stand_in_front() {
        let parsed = |text| {
            let ModuleFlag { online, library } = module(text).unwrap();
            (online.map(online_name), library.file.display().to_string(), library.configuration)
        };
        let named = |name: &str, configuration| (Some(name.to_owned()), "./m.so".to_owned(), configuration);
        assert_eq!(parsed("80=./m.so"), named("80", None));
        assert_eq!(parsed("10.0.0.1:80=./m.so:m.toml"), named("10.0.0.1:80", Some(file("m.toml"))));
        assert_eq!(parsed("[fd00::1]:80=./m.so:a=1"), named("[fd00::1]:80", Some(inline("a=1"))));
        assert_eq!(parsed("0.0.0.0:80=./m.so"), named("80", None));
        assert_eq!(parsed("./m.so:a=1"), (None, "./m.so".to_owned(), Some(inline("a=1"))));
        let wrong = module("10.0.0.1:0=./m.so").unwrap_err();
        assert!(wrong.starts_with("the online address has the port \"0\""), "{wrong}");
        assert!(wrong.ends_with("as in 80=./libhttp_mod.so:http.toml"), "{wrong}");
    }

    fn chosen(modules: &[&str]) -> Result<Vec<(usize, String)>, String> {
        let mappings = ["80-10.10.3.2:8080", "81-10.10.3.2:8081"].map(|text| mapping(text).unwrap());
        let modules: Vec<_> = modules.iter().map(|text| module(text).unwrap()).collect();
        let choices = choices(&modules, &mappings)?;
        Ok(choices.into_iter().map(|choice| (choice.mapping, choice.file.display().to_string())).collect())
    }

    #[test]
    fn a_module_without_a_mapping_is_for_all_that_have_none() {
        let one = |mapping, file: &str| (mapping, file.to_owned());
        assert_eq!(chosen(&["/m.so"]), Ok(vec![one(0, "/m.so"), one(1, "/m.so")]));
        assert_eq!(chosen(&["81=/n.so"]), Ok(vec![one(1, "/n.so")]));
        assert_eq!(chosen(&["/m.so", "80=/n.so"]), Ok(vec![one(0, "/n.so"), one(1, "/m.so")]));
        assert_eq!(chosen(&[]), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_is_one_sentence() {
        assert_eq!(chosen(&["82=/m.so"]).unwrap_err(), "--module: there is no mapping 82; -x has 80, 81");
        assert_eq!(
            chosen(&["80=/m.so", "80=/n.so"]).unwrap_err(),
            "--module is given twice for 80; one module serves it"
        );
        assert_eq!(
            chosen(&["/m.so", "/n.so"]).unwrap_err(),
            "--module /m.so and /n.so are both for every mapping; say which is for which, as in 80=FILE"
        );
        assert_eq!(
            chosen(&["80=/m.so", "81=/m.so", "/n.so"]).unwrap_err(),
            "--module /n.so is for nothing: every mapping has another module"
        );
    }

    #[test]
    fn paths_hold_in_every_folder() {
        let LibraryFlag { file, configuration } = library("m.so:m.toml").unwrap().absolute().unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(file, here.join("m.so"));
        assert_eq!(configuration, Some(ConfigurationSource::File(here.join("m.toml"))));
    }
}
