//! `tcpcopy ctl`: asks a running tcpcopy through its admin socket, and shows what it answers.

mod modules_text;
mod sessions_text;
mod stats_text;
mod status_text;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};
use log::LevelFilter;
use tcpcopy_cli::{Failure, log_level, number};
use tcpcopy_core::runtime::{
    Answer, Ask, MOST_SESSIONS, ModuleName, ReloadAnswer, SwapAnswer, admin_sockets, admin_sockets_of, ask,
};

use crate::module_flag::{LibraryFlag, library, mapping_named};

/// `ctl`.
#[derive(Clone, Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = false, disable_help_subcommand = true)]
pub(crate) struct Ctl {
    /// Ask the tcpcopy with this admin socket [default: that of the only one that runs]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,

    /// Ask the tcpcopy with this process number
    #[arg(long, value_name = "NUMBER", global = true, conflicts_with = "socket")]
    #[arg(value_parser = number(1_u32..=u32::MAX, "a process number"))]
    pid: Option<u32>,

    /// Print the reply as JSON
    #[arg(long, global = true)]
    json: bool,

    /// Print this help and end
    #[arg(short = 'h', long, action = ArgAction::Help, global = true)]
    help: Option<bool>,

    #[command(subcommand)]
    command: CtlCommand,
}

/// What can be asked.
#[derive(Clone, Debug, Subcommand)]
enum CtlCommand {
    /// How the process is: what it replays, with which modules
    Status,
    /// Every module that was loaded, and what it did
    Modules,
    /// Replace the module of a mapping; running sessions end on the one they have
    Swap {
        /// The online side of an entry of -x, as in 80 or 10.0.0.1:80
        #[arg(value_name = "MAPPING", value_parser = mapping_named)]
        mapping: String,
        /// The library, and its configuration: a file, or text with a `=` in it. Without it the module gets the
        /// configuration of the one that serves; `FILE:` gives it none
        #[arg(value_name = "FILE[:CONFIG]", value_parser = library)]
        library: LibraryFlag,
        /// Move running sessions to it as well, where modules can
        #[arg(long)]
        migrate: bool,
    },
    /// Load modules again whose library or configuration has changed
    Reload,
    /// Live sessions, those that most is pending of first
    Sessions {
        /// How many to show
        #[arg(value_name = "NUMBER", default_value = "20", value_parser = number(1..=MOST_SESSIONS, "sessions"))]
        limit: usize,
    },
    /// What was replayed so far, and how the answers compare
    Stats,
    /// Log this and what is graver from now on: error, warn, info, debug or trace
    Log {
        /// The level
        #[arg(value_name = "LEVEL", value_parser = log_level)]
        level: LevelFilter,
    },
}

impl Ctl {
    /// Asks and shows the answer on standard output.
    ///
    /// # Errors
    /// One sentence: that nobody answers, or what cannot be done.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let question = self.command.question()?;
        let socket = self.socket()?;
        let reply = ask(&socket, question).map_err(|error| Failure::Start(error.to_string()))?;
        let text = if self.json {
            let json = serde_json::to_string_pretty(&reply);
            json.map_err(|error| Failure::Start(format!("the reply cannot be printed: {error}")))? + "\n"
        } else {
            text(&reply.answer)?
        };
        // Nobody may be there to read it.
        let _ = io::stdout().write_all(text.as_bytes());
        match reply.answer {
            Answer::Error(_) => Err(Failure::Reported(1)),
            Answer::Reload(ReloadAnswer { failed, .. }) if !failed.is_empty() => {
                Err(Failure::Start(failed.join("; ")))
            }
            _ => Ok(()),
        }
    }

    /// Where to ask.
    fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let found = self.pid.map_or_else(admin_sockets, admin_sockets_of);
        let which = self.pid.map_or(String::new(), |pid| format!(" with process number {pid}"));
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::Start(format!(
                "no tcpcopy{which} runs that can be asked; if one does, name its admin socket with --socket"
            ))),
            several => {
                let paths: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                Err(Failure::Start(format!(
                    "several tcpcopy run: name one with --pid or --socket: {}",
                    paths.join(", ")
                )))
            }
        }
    }
}

impl CtlCommand {
    fn question(&self) -> Result<Ask, Failure> {
        Ok(match self {
            Self::Status => Ask::Status,
            Self::Modules => Ask::Modules,
            Self::Swap { mapping, library, migrate } => {
                let LibraryFlag { file, configuration } = library.absolute().map_err(Failure::Start)?;
                Ask::Swap { mapping: mapping.clone(), file, configuration, migrate: *migrate }
            }
            Self::Reload => Ask::Reload,
            Self::Sessions { limit } => Ask::Sessions { limit: *limit },
            Self::Stats => Ask::Stats,
            Self::Log { level } => Ask::Log { level: level.as_str().to_ascii_lowercase() },
        })
    }
}

/// The answer for people.
///
/// # Errors
/// The sentence of a tcpcopy that cannot do what it was asked for.
fn text(answer: &Answer) -> Result<String, Failure> {
    Ok(match answer {
        Answer::Status(status) => status_text::text(status),
        Answer::Modules(generations) => modules_text::text(generations),
        Answer::Swap(swap) => swapped(swap),
        Answer::Reload(reload) => reloaded(reload),
        Answer::Sessions(sessions) => sessions_text::text(sessions),
        Answer::Stats(stats) => stats_text::text(stats),
        Answer::Log(level) => format!("logging {level} and what is graver\n"),
        Answer::Error(sentence) => return Err(Failure::Start(sentence.clone())),
    })
}

fn swapped(SwapAnswer { module, replaced }: &SwapAnswer) -> String {
    let ModuleName { mapping, generation, name, version } = module;
    let instead = match replaced {
        Some(before) => {
            format!(" instead of {} {} (generation {})", before.name, before.version, before.generation)
        }
        None => String::new(),
    };
    format!("{name} {version} (generation {generation}) serves new sessions of {mapping}{instead}\n")
}

fn reloaded(ReloadAnswer { reloaded, unchanged, failed }: &ReloadAnswer) -> String {
    let mut text: String = reloaded.iter().map(swapped).collect();
    if !unchanged.is_empty() {
        text.push_str(&format!("unchanged: {}\n", unchanged.join(", ")));
    }
    if reloaded.is_empty() && unchanged.is_empty() && failed.is_empty() {
        text.push_str("no mapping has a module\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(generation: u32, version: &str) -> ModuleName {
        let (mapping, name) = ("80".to_owned(), "http".to_owned());
        ModuleName { mapping, generation, name, version: version.to_owned() }
    }

    #[test]
    fn a_swap_says_what_serves_instead_of_what() {
        let first = SwapAnswer { module: name(1, "1.0.0"), replaced: None };
        assert_eq!(swapped(&first), "http 1.0.0 (generation 1) serves new sessions of 80\n");
        let second = SwapAnswer { module: name(2, "1.1.0"), replaced: Some(name(1, "1.0.0")) };
        let text =
            "http 1.1.0 (generation 2) serves new sessions of 80 instead of http 1.0.0 (generation 1)\n";
        assert_eq!(swapped(&second), text);
        let reload = ReloadAnswer {
            reloaded: vec![first],
            unchanged: vec!["81".to_owned(), "82".to_owned()],
            failed: Vec::new(),
        };
        assert_eq!(
            reloaded(&reload),
            "http 1.0.0 (generation 1) serves new sessions of 80\nunchanged: 81, 82\n"
        );
        assert_eq!(reloaded(&ReloadAnswer::default()), "no mapping has a module\n");
    }

    #[test]
    fn what_cannot_be_done_is_a_failure() {
        let failure = text(&Answer::Error("there is no mapping 81".to_owned())).unwrap_err();
        assert_eq!((failure.exit_status(), failure.to_string().as_str()), (1, "there is no mapping 81"));
    }
}
