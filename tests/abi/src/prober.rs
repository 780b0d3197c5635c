//! The program that tries modules in these tests: run as `module-prober module-probe FILE`, as tcpcopy is.

#![forbid(unsafe_code)]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match env::args_os().collect::<Vec<_>>().as_slice() {
        [_, subcommand, file] if subcommand == "module-probe" => tcpcopy_host::probe(&PathBuf::from(file)),
        _ => ExitCode::FAILURE,
    }
}
