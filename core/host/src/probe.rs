//! Trying a module in a process of its own: a library that crashes, hangs or ends the process while it is loaded then
//! costs that process only.
//!
//! The process reads what it tries from standard input, so that it tries the very bytes that are loaded afterwards. Both
//! its standard streams are files in memory: whatever the module does with them, nobody waits for the other.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use tcpcopy_plugin_api::Configuration;

use crate::{Host, HostOptions, LoadError, Problem, on_one_line};

/// The hidden subcommand of the program that tries modules.
const SUBCOMMAND: &str = "module-probe";
/// The last line of a process whose module is good: one that ends the process early has no chance to say it.
const GOOD: &str = "tcpcopy module probe: good";
/// The exit status of a process that tells in its last line what is wrong.
const REFUSED: u8 = 3;
/// How often, and how often at most, the process is asked whether it is done: five seconds.
const PATIENCE: (Duration, u32) = (Duration::from_millis(2), 2500);

/// Tries the module on standard input, which came from `file`: what a program does that is run as
/// `PROGRAM module-probe FILE`, and nothing else. Returns its exit status.
#[must_use]
pub fn probe(file: &Path) -> ExitCode {
    // If the parent is gone, nobody ends a module that hangs.
    let _ = set_pdeathsig(Signal::SIGKILL);
    // A crash is expected here, and told by the parent; nobody needs its remains.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let (line, status) = match read_and_try(file) {
        Ok(()) => (GOOD.to_owned(), ExitCode::SUCCESS),
        Err(problem) => (problem.to_string(), ExitCode::from(REFUSED)),
    };
    match writeln!(io::stdout(), "\n{}", on_one_line(&line)) {
        Ok(()) => status,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read_and_try(file: &Path) -> Result<(), Problem> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    let input = Input::parse(&bytes).ok_or(Problem::Truncated("the probe got only a part of it"))?;
    let mut host = Host::new(HostOptions::default());
    match host.load_bytes(file, input.module, &Configuration::new(input.text, input.origin)) {
        Ok(_) => Ok(()),
        Err(LoadError { problem, .. }) => Err(problem),
    }
}

/// Has `program` try the module that consists of `bytes`.
pub(crate) fn run(
    program: &Path,
    file: &Path,
    bytes: &[u8],
    configuration: &Configuration<'_>,
) -> Result<(), Problem> {
    let input = Input { origin: configuration.origin(), text: configuration.text(), module: bytes };
    let mut said = stream("said").map_err(Problem::ProbeUnusable)?;
    let mut child = start(program, file, &input, &said).map_err(Problem::ProbeUnusable)?;
    let status = wait(&mut child).map_err(Problem::ProbeUnusable)?;
    let line = last_line(&mut said).map_err(Problem::ProbeUnusable)?;
    judge(status, line)
}

fn start(program: &Path, file: &Path, input: &Input<'_>, said: &File) -> io::Result<Child> {
    let mut stdin = stream("tries")?;
    input.write(&mut stdin)?;
    stdin.rewind()?;
    Command::new(program)
        .arg(SUBCOMMAND)
        .arg(file)
        .stdin(stdin)
        .stdout(said.try_clone()?)
        .stderr(Stdio::null())
        .spawn()
}

/// How the process ended; `None` if it did not.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let (pause, times) = PATIENCE;
    for _ in 0..times {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(pause);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn judge(status: Option<ExitStatus>, line: String) -> Result<(), Problem> {
    let Some(status) = status else {
        return Err(Problem::ProbeDied(String::from("did not end within 5 seconds")));
    };
    match status.code() {
        Some(0) if line == GOOD => Ok(()),
        Some(code) if code == i32::from(REFUSED) => Err(Problem::ProbeRefused(line)),
        Some(code) => Err(Problem::ProbeDied(format!("was ended by it with exit status {code}"))),
        None => {
            let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
            let signal = signal.map_or("a signal", Signal::as_str);
            Err(Problem::ProbeDied(format!("crashed with {signal}")))
        }
    }
}

fn last_line(said: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end().lines().next_back().unwrap_or_default().to_owned())
}

fn stream(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(format!("tcpcopy:probe {name}").as_str(), MFdFlags::MFD_CLOEXEC)?))
}

/// What a probe reads: two lengths, and what they are the lengths of, then the library.
#[derive(Debug, PartialEq, Eq)]
struct Input<'a> {
    origin: &'a str,
    text: &'a str,
    module: &'a [u8],
}

impl<'a> Input<'a> {
    fn write(&self, to: &mut impl io::Write) -> io::Result<()> {
        for part in [self.origin, self.text] {
            to.write_all(&(part.len() as u64).to_le_bytes())?;
            to.write_all(part.as_bytes())?;
        }
        to.write_all(self.module)
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (origin, bytes) = Self::part(bytes)?;
        let (text, module) = Self::part(bytes)?;
        Some(Self { origin, text, module })
    }

    fn part(bytes: &'a [u8]) -> Option<(&'a str, &'a [u8])> {
        let (length, bytes) = bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (part, rest) = bytes.split_at_checked(length)?;
        Some((str::from_utf8(part).ok()?, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_the_probe_is_what_it_reads() {
        let input = Input { origin: "a\nb", text: "", module: &[0, 1, 2] };
        let mut bytes = Vec::new();
        input.write(&mut bytes).unwrap();
        assert_eq!(Input::parse(&bytes), Some(input));
        for cut in 0..bytes.len() - 3 {
            assert_eq!(Input::parse(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_program_that_says_nothing_is_no_probe() {
        let run = |program: &str| run(program.as_ref(), "x".as_ref(), b"", &Configuration::new("", ""));
        assert!(matches!(run("/bin/true"), Err(Problem::ProbeDied(_))));
        assert!(matches!(run("/nowhere/probe"), Err(Problem::ProbeUnusable(_))));
    }
}
