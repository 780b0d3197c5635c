//! `tcpcopy plan`: prints, for the options of a replay, what is to be done on each of its hosts before it. It looks at
//! nothing and changes nothing; `tcpcopy doctor` looks whether it was done.

mod hosts;
mod prefix;

use std::env;
use std::io::{self, Write};

use clap::Args;
use tcpcopy_cli::{Failure, shell_word};

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
        let replay = configuration::in_a_loop(&self.flags, "plan")?;
        // Behind the program's name and the command.
        let options: Vec<String> = env::args().skip(2).map(|word| shell_word(&word)).collect();
        let hosts = Hosts { replay: &replay, options: &options.join(" ") };
        // Nobody may be there to read it.
        let _ = io::stdout().write_all(hosts.to_string().as_bytes());
        Ok(())
    }
}
