//! `tcpcopy plan`: prints, for the options of a replay, what is to be done on each of the three hosts before it. It looks at
//! nothing and changes nothing; `tcpcopy doctor` looks whether it was done.

mod hosts;
mod prefix;

use std::env;
use std::io::{self, Write};

use clap::Args;
use tcpcopy_cli::Failure;

use crate::configuration;
use crate::flags::Flags;
use hosts::Hosts;

/// `plan`.
#[derive(Clone, Debug, Args)]
#[command(version, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Plan {
    #[command(flatten)]
    flags: Flags,
}

impl Plan {
    /// # Errors
    /// [`Failure`] for options that cannot be replayed with.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        self.flags.must_be_of_connections("plan")?;
        let replay = configuration::of(&self.flags)?;
        // Behind the program's name and the command.
        let options: Vec<String> = env::args().skip(2).map(|word| quoted(&word)).collect();
        let hosts = Hosts { replay: &replay, options: &options.join(" ") };
        // Nobody may be there to read it.
        let _ = io::stdout().write_all(hosts.to_string().as_bytes());
        Ok(())
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/[]=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("80-10.10.3.2:8080"), "80-10.10.3.2:8080");
        assert_eq!(quoted("tcp and dst port 80"), "'tcp and dst port 80'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
