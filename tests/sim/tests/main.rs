//! The simulated world's tests.

mod regressions;
mod seeds;
mod table;
