//! `config check FILE`: whether a configuration file is right, and which command line it amounts to.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::{Failure, config_file, shell_word, wrong_usage};

/// The command `config` of either program.
#[derive(Clone, Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = false, disable_help_subcommand = true)]
pub struct ConfigCommand {
    #[command(subcommand)]
    question: Question,

    /// Print this help and end
    #[arg(short = 'h', long, action = ArgAction::Help, global = true)]
    help: Option<bool>,
}

#[derive(Clone, Debug, Subcommand)]
enum Question {
    /// Say whether a file for --config is right, and which command line it amounts to
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl ConfigCommand {
    /// Answers on standard output. `examine` looks at what the options mean together.
    ///
    /// # Errors
    /// What is wrong with the file, in one sentence.
    pub fn run<Flags>(&self, examine: impl FnOnce(&Flags) -> Result<(), Failure>) -> Result<(), Failure>
    where
        Flags: Parser + CommandFactory,
    {
        let Question::Check { file } = &self.question;
        let mut command = Flags::command();
        let words = config_file::command_line(&command, file).map_err(Failure::WrongValue)?;
        let flags = Flags::try_parse_from(&words).map_err(|error| {
            let sentence = wrong_usage::sentence(&mut command, &error);
            Failure::WrongValue(format!("{}: {sentence}", file.display()))
        })?;
        examine(&flags)?;
        println!("{}", answer(file, &words));
        Ok(())
    }
}

fn answer(file: &Path, words: &[OsString]) -> String {
    let words: Vec<String> = words.iter().map(|word| shell_word(&word.to_string_lossy())).collect();
    format!("{} is right; it amounts to:\n{}", file.display(), words.join(" "))
}
