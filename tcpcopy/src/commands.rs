//! What `tcpcopy` does when its first word is a command instead of an option.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};
use tcpcopy_cli::{ConfigCommand, Failure};

use crate::configuration;
use crate::ctl::Ctl;
use crate::doctor::Doctor;
use crate::flags::Flags;
use crate::new_module;
use crate::plan::Plan;

/// The commands beside replaying.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask and steer a tcpcopy that runs
    Ctl(Ctl),
    /// Look at a configuration file
    Config(ConfigCommand),
    /// Check all three hosts for the replay that these options ask for, with a probe through the whole loop
    Doctor(Box<Doctor>),
    /// Print what is to be done on each host for the replay that these options ask for
    Plan(Box<Plan>),
    /// Make a folder with a module in it, ready to be changed and built
    NewModule(NewModule),
}

/// `new-module`.
#[derive(Clone, Debug, Args)]
pub(crate) struct NewModule {
    /// The folder to make; the module is named after it
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Build against tcpcopy-plugin-api in this folder; without it, the one installed with tcpcopy, or else the published one
    #[arg(long, value_name = "FOLDER")]
    api: Option<PathBuf>,

    /// Print this help and end
    #[arg(short = 'h', long, action = ArgAction::Help)]
    help: Option<bool>,
}

impl Command {
    /// # Errors
    /// One sentence.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Ctl(ctl) => ctl.run(),
            Self::Config(config) => config.run(|flags: &Flags| configuration::of(flags).map(drop)),
            Self::Doctor(doctor) => doctor.run(),
            Self::Plan(plan) => plan.run(),
            Self::NewModule(NewModule { folder, api, .. }) => {
                let next = new_module::create(folder, api.as_deref())?;
                print!("{next}");
                Ok(())
            }
        }
    }
}
