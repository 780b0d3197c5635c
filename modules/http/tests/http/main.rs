//! The http module as tcpcopy sees it: every scenario in every split, every capture of real traffic, and bytes of no
//! sense at all.

#![forbid(unsafe_code)]

mod captures;
mod exchanges;
mod filtering;
mod foreign_bytes;
mod inspection;
mod lost_places;
mod malformed;
mod reassembly;
mod reconnecting;
mod switching;
#[path = "../../../../core/wire/tests/wire/traces.rs"]
mod traces;
mod turns;

use http_mod::Http;
use tcpcopy_plugin_api::testing::{Outcome, Transcript, check_every_split};
use tcpcopy_plugin_api::{Configuration, Module};

/// The module with that configuration.
fn http(configuration: &str) -> Http {
    Http::configure(&Configuration::new(configuration, "a test")).expect("the configuration is right")
}

/// What comes of a transcript, however it is split.
#[track_caller]
fn play(configuration: &str, transcript: &Transcript) -> Outcome {
    check_every_split(&http(configuration), transcript).unwrap_or_else(|failure| panic!("{failure}"))
}
