//! A process on a host: started, watched, signalled and ended, always by its own pid.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::host::{Host, HostName};
use crate::world::procfs::{self, Usage};

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A command to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    log: Option<PathBuf>,
}

impl Launch {
    /// A program; `name` is what messages and log files call it.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        Self { name: name.to_owned(), program: program.into(), arguments: Vec::new(), log: None }
    }

    /// This binary again, for its users, servers and wires.
    ///
    /// # Errors
    /// When the path of the running binary is not known.
    pub fn own_binary(name: &str) -> Result<Self> {
        Ok(Self::new(name, std::env::current_exe().context("the lab's own path is not known")?))
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The command as a person would type it: the program's bare name and its arguments.
    #[must_use]
    pub fn command_line(&self) -> String {
        let mut line = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for argument in &self.arguments {
            let argument = argument.to_string_lossy();
            let plain = argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,:/[]".contains(c));
            line += &if plain { format!(" {argument}") } else { format!(" '{argument}'") };
        }
        line
    }

    /// Names a file the program itself writes its log to; it is searched for readiness too.
    #[must_use]
    pub fn logs_to(mut self, path: PathBuf) -> Self {
        self.log = Some(path);
        self
    }
}

/// A started process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    host: HostName,
    child: Child,
    output: Vec<PathBuf>,
    usage: Usage,
    exit: Option<ExitStatus>,
}

impl Process {
    /// Starts the command on a host; its output goes to `NAME.out` and `NAME.err` in `logs`.
    ///
    /// # Errors
    /// When the files cannot be made or the program cannot be started.
    pub fn start(host: &Host, launch: Launch, logs: &Path) -> Result<Self> {
        let Launch { name, program, arguments, log } = launch;
        let out = logs.join(format!("{name}.out"));
        let err = logs.join(format!("{name}.err"));
        let open =
            |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let mut command = Command::new(&program);
        command.args(&arguments).stdin(Stdio::piped()).stdout(open(&out)?).stderr(open(&err)?);
        let child = host.within(|| command.spawn())?;
        let child = child.with_context(|| format!("cannot start {} ({})", name, program.display()))?;
        let mut output = vec![out, err];
        output.extend(log);
        Ok(Self { name, host: host.name(), child, output, usage: Usage::default(), exit: None })
    }

    /// The name it was launched under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pid, inside the private PID namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stdout(&self) -> Result<String> {
        self.said_to(&self.output[0])
    }

    /// Its standard error so far.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stderr(&self) -> Result<String> {
        self.said_to(&self.output[1])
    }

    fn said_to(&self, path: &Path) -> Result<String> {
        let bytes = fs::read(path).with_context(|| format!("the output of {} is gone", self.name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `word`, as a word of its own, appears in its output or log.
    ///
    /// # Errors
    /// When it ends first, or the time is over; with the last thing it said.
    pub fn wait_for_word(&self, word: &str, at_most: Duration) -> Result<()> {
        let says = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|said| said == word);
        self.wait_until(&format!("say {word:?}"), at_most, || {
            self.output.iter().any(|path| fs::read_to_string(path).is_ok_and(|text| says(&text)))
        })
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// When the process ends first, or the time is over; with the last thing it said.
    pub fn wait_until(&self, what: &str, at_most: Duration, condition: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            if condition() {
                return Ok(());
            }
            let who = format!("{} on {}", self.name, self.host);
            if !self.is_running() {
                bail!("{who} ended before it could {what}; it said: {}", self.last_words());
            }
            if started.elapsed() > at_most {
                bail!("{who} did not {what} within {at_most:?}; it said: {}", self.last_words());
            }
            thread::sleep(LOOK);
        }
    }

    /// Whether it still runs; a stopped process does, a zombie does not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with('Z'))
    }

    /// The end of what it wrote, for messages.
    #[must_use]
    pub fn last_words(&self) -> String {
        let mut lines = Vec::new();
        for path in &self.output {
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let tail: Vec<&str> = text.lines().rev().take(3).collect();
            lines.extend(tail.iter().rev().map(|line| (*line).to_owned()));
        }
        if lines.is_empty() { "(nothing)".to_owned() } else { lines.join(" | ") }
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When its input is closed or it is gone.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let stdin =
            self.child.stdin.as_mut().with_context(|| format!("the input of {} is closed", self.name))?;
        // One write, so that the reader never sees half a line.
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .with_context(|| format!("{} does not listen any more", self.name))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// What it has used; remembers the last answer, so it still works after the end.
    pub fn usage(&mut self) -> Usage {
        if self.exit.is_none()
            && self.is_running()
            && let Some(usage) = procfs::usage(self.pid())
        {
            self.usage = usage;
        }
        self.usage
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.exit.is_none() {
            self.exit = self.child.try_wait()?;
        }
        Ok(self.exit)
    }

    /// Closes its standard input and waits for it to end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn finish(&mut self, at_most: Duration) -> Result<ExitStatus> {
        self.usage();
        self.child.stdin = None;
        self.wait_to_end("after its input was closed", at_most)
    }

    /// Asks it to end with SIGTERM and waits.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn terminate(&mut self, at_most: Duration) -> Result<ExitStatus> {
        self.usage();
        if self.ended()?.is_none() {
            self.signal(Signal::SIGTERM)?;
        }
        self.wait_to_end("after SIGTERM", at_most)
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When it does not end even so.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.usage();
        if self.ended()?.is_none() {
            self.signal(Signal::SIGKILL)?;
        }
        self.wait_to_end("after SIGKILL", Duration::from_secs(5))
    }

    fn wait_to_end(&mut self, when: &str, at_most: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if started.elapsed() > at_most {
                bail!("{} did not end within {at_most:?} {when}; it said: {}", self.name, self.last_words());
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("lab: {error:#}");
        }
    }
}
