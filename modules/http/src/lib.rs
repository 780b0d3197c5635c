//! The http module: HTTP/1.0 and 1.1 (RFC 9110, RFC 9112).
//!
//! It knows where requests and responses end, so a request is said exactly when the response to the one before it is
//! complete. It can leave requests out, change their heads, and compare the target's answers with production's.
//! docs/http.md is the operator's guide. What it cannot read it never makes worse: it is forwarded as it was captured, or
//! the session is given up.
//!
//! `conversation.rs` is what happens in a session, on both sides; `request.rs`, `response.rs`, `framing.rs`, `chunked.rs` and
//! `head.rs` read the protocol; `seek.rs` finds the place again where it was lost; `filter.rs`, `rewrite.rs`, `label.rs` and
//! `path.rs` are what is done with a request.

#![forbid(unsafe_code)]

mod chunked;
mod configuration;
mod conversation;
mod filter;
mod framing;
mod head;
mod label;
mod path;
mod request;
mod response;
mod rewrite;
mod seek;

use std::sync::Arc;

use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};

use crate::configuration::Settings;
use crate::conversation::HttpConversation;

/// The module, configured.
#[derive(Debug)]
pub struct Http {
    settings: Arc<Settings>,
}

impl Module for Http {
    fn configure(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self { settings: Arc::new(Settings::read(configuration.text())?) })
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(HttpConversation::new(Arc::clone(&self.settings), session.joined))
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        if !session.connected {
            return self.open(session);
        }
        Box::new(HttpConversation::resumed(Arc::clone(&self.settings), snapshot))
    }
}

tcpcopy_plugin_api::export_module! { name: "http", version: env!("CARGO_PKG_VERSION"), module: Http }
