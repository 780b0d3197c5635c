//! The generic module: everything the user says is said again as it is, and the engine judges turns by itself.
//!
//! With it a session goes as it goes without any module, at the same cost. It is here as a template: docs/writing-a-module.md
//! walks through it, and every module of this repository has its shape. This file is the module: its configuration, and
//! a conversation for each session. `conversation.rs` is what happens in a session. A protocol of your own adds files
//! beside these two, such as `configuration.rs`, `request.rs` and `response.rs` of the http module.

// A module is safe Rust: what crosses the boundary to tcpcopy is in plugin-api.
#![forbid(unsafe_code)]

mod conversation;

use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};

use crate::conversation::GenericConversation;

/// The module, configured: one value serves all sessions of a mapping. Configured values would be its fields.
#[derive(Debug)]
pub struct Generic;

impl Module for Generic {
    /// There is nothing to configure, so whatever is written is a mistake, and the operator is told.
    fn configure(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        let lines = configuration.text().lines().map(str::trim);
        match lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#')) {
            None => Ok(Self),
            Some(line) => Err(ConfigurationError::new(format!(
                "the generic module has no configuration; remove {line:?}"
            ))),
        }
    }

    fn open(&self, _session: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(GenericConversation)
    }
}

// What makes a loadable module of the library. `tcpcopy ctl modules` shows name and version.
tcpcopy_plugin_api::export_module! { name: "generic", version: env!("CARGO_PKG_VERSION"), module: Generic }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_are_a_configuration() {
        let configure = |text| Generic::configure(&Configuration::new(text, "generic.toml"));
        assert!(configure("").is_ok());
        assert!(configure("# nothing yet\n\n").is_ok());
        let error = configure("# nothing yet\nhost = 1\n").unwrap_err().to_string();
        assert_eq!(error, "the generic module has no configuration; remove \"host = 1\"");
    }
}
