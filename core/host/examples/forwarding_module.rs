//! The least that a module does: it says what the user says. The benchmark of the boundary calls it with and without
//! the boundary.

#![forbid(unsafe_code)]

use tcpcopy_plugin_api::{
    Actions, Configuration, ConfigurationError, Conversation, GiveUp, Module, SessionInfo,
};

/// The module.
#[allow(unreachable_pub, reason = "the benchmark includes this file")]
pub struct Forwarding;

impl Module for Forwarding {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self)
    }

    fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(Forward)
    }
}

struct Forward;

impl Conversation for Forward {
    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        actions.forward(input.len() as u64);
        Ok(())
    }
}

tcpcopy_plugin_api::export_module! { name: "forwarding", version: env!("CARGO_PKG_VERSION"), module: Forwarding }
