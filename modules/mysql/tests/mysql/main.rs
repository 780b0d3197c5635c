//! The mysql module from outside: real captures, and bytes of three sides at once.

mod captures;
mod foreign_bytes;
mod inspection;
#[expect(dead_code, reason = "the tests of the http module ask for more of it")]
#[path = "../../../http/tests/http/reassembly.rs"]
mod reassembly;
#[path = "../../../../core/wire/tests/wire/traces.rs"]
mod traces;
