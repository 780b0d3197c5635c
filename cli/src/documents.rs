//! Manual pages and shell completions, made of what clap knows of the options: for `make man` and packages.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::{Failure, Program};

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

/// What holds for both programs.
const SHARED: [(&str, &str); 2] = [
    (
        "SIGNALS",
        "SIGINT and SIGTERM end everything in order, write the reports, and the program exits with status 0.

SIGUSR1 opens the file of -l anew, for logrotate(8). SIGHUP does so as well, and has tcpcopy load modules again that have \
         changed; without -l, on a terminal, it stops the program.",
    ),
    (
        "EXIT STATUS",
        "0 when the work was done, 1 when it could not begin or go on, 2 when the command line or the configuration file is wrong; \
         each failure is told in one sentence.",
    ),
];

/// Writes the manual page of the program and of every command of it, and the completions, into `folder`.
///
/// # Errors
/// [`Failure::Start`] when a file cannot be written.
pub(crate) fn write(program: Program, command: Command, folder: &Path) -> Result<(), Failure> {
    generate(program, command, folder)
        .map_err(|error| Failure::Start(format!("cannot write into {}: {error}", folder.display())))
}

fn generate(program: Program, mut command: Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut command, program.name, folder)?;
    }
    command.build();
    for below in command.get_subcommands() {
        page(below.clone(), &[], folder)?;
    }
    let sections: Vec<_> = program.manual.iter().chain(&SHARED).copied().collect();
    page(command, &sections, folder)
}

/// One page, with `sections` behind what clap knows.
fn page(command: Command, sections: &[(&str, &str)], folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut file = File::create(folder.join(format!("{name}.1")))?;
    let has_commands = command.has_subcommands();
    let man = Man::new(command.disable_help_flag(true)).title(name);
    man.render_title(&mut file)?;
    man.render_name_section(&mut file)?;
    man.render_synopsis_section(&mut file)?;
    man.render_description_section(&mut file)?;
    man.render_options_section(&mut file)?;
    if has_commands {
        man.render_subcommands_section(&mut file)?;
    }
    let mut roff = Roff::new();
    for (title, text) in sections {
        roff.control("SH", [*title]);
        text.split("\n\n").for_each(|paragraph| put(&mut roff, paragraph));
    }
    roff.to_writer(&mut file)
}

fn put(roff: &mut Roff, paragraph: &str) {
    if paragraph.starts_with(' ') {
        roff.control("PP", []).control("nf", []);
        for line in paragraph.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    } else {
        roff.control("PP", []).text([roman(paragraph)]);
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn a_page_and_completions_name_every_option() {
        let folder = tempfile::tempdir().unwrap();
        let program =
            Program { name: "program", version: "0", manual: &[("FILES", "/a: one.\n\n    as it is")] };
        let lonely = Arg::new("lonely").long("lonely").action(ArgAction::SetTrue).help("Alone");
        let below = Command::new("ctl").about("Steers");
        let command = Command::new("program").about("Does it").arg(lonely).subcommand(below);
        write(program, command, folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let page = read("program.1");
        for part in ["\\-\\-lonely", "Alone", ".SH FILES", "    as it is", ".SH SIGNALS", "program\\-ctl"] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(read("program-ctl.1").contains("Steers"));
        assert!(
            ["program.bash", "program.fish", "_program"].map(read).iter().all(|text| text.contains("lonely"))
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let program = Program { name: "program", version: "0", manual: &[] };
        let error = write(program, Command::new("program"), Path::new("/dev/null/x")).unwrap_err();
        assert!(error.to_string().starts_with("cannot write into /dev/null/x: "));
    }
}
