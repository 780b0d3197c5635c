//! From the command line to the exit status: the frame around either program.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{Failure, config_file, wrong_usage};

/// Which program this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// Its version, without a `v`.
    pub version: &'static str,
}

/// Parses the command line, with the configuration file it may name, and runs the program. Whatever goes wrong is one sentence on standard error and the
/// exit status of the [`Failure`].
pub fn run_program<Flags>(program: Program, run: impl FnOnce(Flags) -> Result<(), Failure>) -> ExitCode
where
    Flags: Parser + CommandFactory,
{
    let completed = config_file::complete(&Flags::command(), std::env::args_os().collect());
    let result = match completed.map(Flags::try_parse_from) {
        Err(sentence) => Err(Failure::WrongValue(sentence)),
        Ok(Ok(flags)) => run(flags),
        Ok(Err(asked)) if !asked.use_stderr() => {
            // Help or version; that the reader went away (`| head`) is no failure.
            let _ = asked.print();
            Ok(())
        }
        Ok(Err(wrong)) => Err(Failure::WrongValue(wrong_usage::sentence(&mut Flags::command(), &wrong))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Reported(_)) {
                // With standard error gone, the exit status has to do.
                let _ = writeln!(io::stderr(), "{}: {failure}", program.name);
            }
            ExitCode::from(failure.exit_status())
        }
    }
}
