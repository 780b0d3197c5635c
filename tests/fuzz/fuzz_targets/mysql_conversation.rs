//! Whatever client, target and online server say to the mysql module, it neither panics nor depends on how it was cut,
//! and says what its configuration lets it: see `inspection.rs` for the input's layout and what must hold.

#![no_main]

#[path = "../../../modules/mysql/tests/mysql/inspection.rs"]
mod inspection;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| inspection::inspect(input));
