//! From the command line to the exit status: the frame around either program.

use std::io::{self, Write};

use clap::{CommandFactory, Parser};

use crate::{Failure, config_file, documents, wrong_usage};

/// Which program this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name, as it is typed.
    pub name: &'static str,
    /// Its version, without a `v`.
    pub version: &'static str,
    /// What its manual page says besides: titles, and text whose paragraphs are divided by empty lines. Indented lines
    /// stay as they are.
    pub manual: &'static [(&'static str, &'static str)],
}

/// The word by which a program is asked, with a folder behind it, for its manual pages and completions: for packagers.
const GENERATE: &str = "generate-documents";

/// Parses the command line, with the configuration file it may name, and runs the program. Whatever goes wrong is one
/// sentence on standard error. Returns the exit status: that of the [`Failure`], or 0.
pub fn run_program<Flags>(program: Program, run: impl FnOnce(Flags) -> Result<(), Failure>) -> u8
where
    Flags: Parser + CommandFactory,
{
    let words: Vec<_> = std::env::args_os().collect();
    if let [_, word, folder] = words.as_slice()
        && word == GENERATE
    {
        return ended(program, documents::write(program, Flags::command(), folder.as_ref()));
    }
    let completed = config_file::complete(&Flags::command(), words);
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
    ended(program, result)
}

fn ended(program: Program, result: Result<(), Failure>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(failure) => {
            if !matches!(failure, Failure::Reported(_)) {
                // With standard error gone, the exit status has to do.
                let _ = writeln!(io::stderr(), "{}: {failure}", program.name);
            }
            failure.exit_status()
        }
    }
}
