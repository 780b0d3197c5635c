//! The lab's own module: it frames the tagged requests of `tests/lab` and their answers, and fails where it is told to.
//!
//! `orders.rs` is its configuration, the faults to show; `framing.rs` reads what `Content-Length` delimits, and no other
//! HTTP; `conversation.rs` is what happens in a session.

#![forbid(unsafe_code)]

mod conversation;
mod framing;
mod orders;

use std::sync::Arc;

use tcpcopy_plugin_api::{Configuration, ConfigurationError, Conversation, Module, SessionInfo};

use crate::conversation::TaggedConversation;
use crate::orders::Orders;

/// The module, configured.
#[derive(Debug)]
pub struct Tagged {
    orders: Arc<Orders>,
}

impl Module for Tagged {
    fn configure(configuration: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self { orders: Arc::new(Orders::read(configuration.text())?) })
    }

    /// Also for sessions that move here: they do between a complete answer and the next request, where there is nothing to
    /// be known of what came before.
    fn open(&self, _session: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(TaggedConversation::new(Arc::clone(&self.orders)))
    }
}

tcpcopy_plugin_api::export_module! { name: "tagged", version: env!("CARGO_PKG_VERSION"), module: Tagged }
