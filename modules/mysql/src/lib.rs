//! The mysql module: MySQL and MariaDB, from their client protocol 4.1 on.
//!
//! A byte-for-byte copy of a MySQL session dies at its login, as every server challenges a login with another number. This
//! module logs in to the target by itself, with passwords of the target, and says each command exactly when the one before
//! it is answered. It names prepared statements as the target does, brings a new connection to where the lost one was,
//! leaves out what must not be repeated, and compares the target's answers with production's. docs/mysql.md is the operator's
//! guide.
//!
//! `conversation.rs` is what happens in a session; `packet.rs`, `greeting.rs`, `login.rs`, `authentication.rs`, `command.rs`,
//! `response.rs`, `attributes.rs` and `compression.rs` read the protocol; `session.rs` and `statements.rs` know what a session
//! is at its server; `sql.rs` reads statements, and `reading.rs` knows whether the target reads them alike.

#![forbid(unsafe_code)]

mod attributes;
mod authentication;
mod command;
mod compression;
mod configuration;
mod conversation;
mod filter;
mod greeting;
mod login;
mod packet;
mod reading;
mod requests;
mod response;
mod session;
mod sql;
mod statements;

use std::sync::{Arc, Mutex};

use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};

use crate::configuration::Settings;
use crate::conversation::MysqlConversation;
use crate::sql::Digests;

/// The module, configured.
#[derive(Debug)]
pub struct Mysql {
    settings: Arc<Settings>,
    digests: Arc<Mutex<Digests>>,
}

impl Mysql {
    fn begin(&self, joined: bool) -> MysqlConversation {
        MysqlConversation::new(Arc::clone(&self.settings), Arc::clone(&self.digests), joined)
    }
}

impl Module for Mysql {
    fn configure(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self { settings: Arc::new(Settings::read(configuration)?), digests: Arc::default() })
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(self.begin(session.joined))
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        Box::new(self.begin(true).resumed(snapshot, session.connected))
    }
}

tcpcopy_plugin_api::export_module! { name: "mysql", version: env!("CARGO_PKG_VERSION"), module: Mysql }
