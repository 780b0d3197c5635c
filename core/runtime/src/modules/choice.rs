//! Which modules serve which mappings, as the operator wants it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tcpcopy_host::HostOptions;

/// One module for one mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleChoice {
    /// The index of the mapping.
    pub mapping: usize,
    /// The library. A daemon changes its folder: the path should be absolute.
    pub file: PathBuf,
    /// What the module is configured with.
    pub configuration: ConfigurationSource,
}

/// Where the configuration of a module is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigurationSource {
    /// There is none.
    #[default]
    None,
    /// This is it.
    Inline(String),
    /// In this file, which is read with each load.
    File(PathBuf),
}

impl ConfigurationSource {
    /// Where it is, for reports: a path, `inline`, or nothing.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Inline(_) => "inline".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Everything about modules that is known at the start.
#[derive(Clone, Debug, Default)]
pub struct ModuleOptions {
    /// The modules to begin with, one for a mapping at the most.
    pub choices: Vec<ModuleChoice>,
    /// How modules are loaded.
    pub host: HostOptions,
}
