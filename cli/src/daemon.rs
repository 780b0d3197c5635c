//! Going into the background without `fork`, which is not safe to call from Rust: the program starts itself once more,
//! detached from the terminal, and waits until that one is ready or has said why it is not.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::{env, process};

use nix::unistd::{chdir, dup2_stderr, dup2_stdout, setsid};

use crate::Failure;

/// The hidden flag that tells the second process what it is.
pub(crate) const DETACHED_FLAG: &str = "detached";
/// What the daemon writes to the pipe that is its standard output.
const READY: &str = "ready\n";

/// Starts this program again as a daemon and waits until it is ready; returns its process number.
///
/// # Errors
/// [`Failure::Reported`] when it ended instead: its sentence is on standard error already.
pub(crate) fn launch() -> Result<u32, Failure> {
    let mut daemon = spawn().map_err(|error| {
        Failure::Start(format!("cannot start the daemon: {error}; run it without -d to see more"))
    })?;
    let mut said = String::new();
    if let Some(output) = daemon.stdout.take() {
        // Not being able to read is what its exit status will explain.
        let _ = BufReader::new(output).read_line(&mut said);
    }
    if said == READY {
        return Ok(daemon.id());
    }
    let status = daemon.wait().ok().and_then(|status| status.code());
    Err(Failure::Reported(status.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

fn spawn() -> io::Result<Child> {
    let mut arguments = env::args_os();
    let mut command = Command::new(env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .arg(format!("--{DETACHED_FLAG}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

/// In the daemon: leaves the terminal's session and the current directory, so that neither can be taken from it nor
/// is kept busy by it.
///
/// # Errors
/// What the system said.
pub(crate) fn detach() -> Result<(), Failure> {
    let left = setsid().map(drop).and_then(|()| chdir("/"));
    left.map_err(|error| Failure::Start(format!("cannot leave the terminal: {}", error.desc())))
}

/// In the daemon: lets the waiting process go and stops using its terminal.
///
/// # Errors
/// What the system said; the daemon can go on.
pub(crate) fn announce_ready() -> io::Result<()> {
    // Whoever waited may have been interrupted in the meantime.
    let _ = io::stdout().write_all(READY.as_bytes()).and_then(|()| io::stdout().flush());
    let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    log::debug!("detached as process {}", process::id());
    Ok(())
}
