//! Captured frames of every link type: see `inspection.rs` for the input's layout and what must hold.

#![no_main]

#[path = "../../../core/wire/tests/wire/inspection.rs"]
mod inspection;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| inspection::inspect(input));
