//! The programs under test: which binaries, and how they are started. Ours and the C tools take the same command
//! lines, so every scenario can be played with either.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::scenario::module::Swap;
use crate::scenario::{Frames, Mapping, Scenario, WayBack};
use crate::world::hop::Hop;
use crate::world::host::Host;
use crate::world::plan::ASSISTANT;
use crate::world::process::{Launch, Process};
use crate::world::procfs::SocketState;

/// Where intercept listens when nothing else is said.
const FEED_PORT: u16 = 36_524;
/// How long the programs may take to get ready.
const READY: Duration = Duration::from_secs(10);
/// What our programs log when they capture and are connected.
const READY_WORD: &str = "ready";
/// Where the modules of a scenario lie, in its scratch directory.
const SHELF: &str = "modules";

/// Where the C tools are.
const C_TCPCOPY: &str = "C_TCPCOPY_BIN";
const C_INTERCEPT: &str = "C_INTERCEPT_BIN";
/// The C tcpcopy that replays files is another build of it.
const C_TCPCOPY_OFFLINE: &str = "C_TCPCOPY_OFFLINE_BIN";

/// Whose programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Ours,
    C,
}

/// One program.
#[derive(Debug, Clone)]
struct Program {
    make: Make,
    path: PathBuf,
}

impl Program {
    /// A C tool, from where the variable says it is; `None` if it says nothing.
    fn c(variable: &str) -> Result<Option<Self>> {
        let Some(path) = env::var_os(variable).map(PathBuf::from) else { return Ok(None) };
        if !path.is_file() {
            bail!("there is no C tool at {}", path.display());
        }
        Ok(Some(Self { make: Make::C, path }))
    }
}

/// Which of the programs are those of the C tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct Whose {
    /// With the C tools (from C_TCPCOPY_BIN and C_INTERCEPT_BIN) instead of ours
    #[arg(long)]
    pub c: bool,
    /// With the C tcpcopy (from C_TCPCOPY_BIN) and our intercept
    #[arg(long, conflicts_with_all = ["c", "c_intercept"])]
    pub c_tcpcopy: bool,
    /// With our tcpcopy and the C intercept (from C_INTERCEPT_BIN)
    #[arg(long, conflicts_with = "c")]
    pub c_intercept: bool,
}

/// A pair of programs.
#[derive(Debug, Clone)]
pub struct Peers {
    tcpcopy: Program,
    intercept: Program,
    /// Where cargo put the libraries of modules.
    libraries: PathBuf,
}

impl Peers {
    /// Our own: from `TCPCOPY_BIN` and `INTERCEPT_BIN`, and their modules from the directory `TCPCOPY_MODULES`; what is
    /// not named there lies beside this binary.
    ///
    /// # Errors
    /// When there is no such program. Modules are looked for by the scenarios that have some.
    pub fn ours() -> Result<Self> {
        let exe = env::current_exe().context("the lab's own path is not known")?;
        let mut directory = exe.parent().context("the lab lies in no directory")?;
        // A test binary lies in deps/, one below the programs.
        if directory.ends_with("deps") {
            directory = directory.parent().unwrap_or(directory);
        }
        let find = |variable: &str, name: &str| -> Result<PathBuf> {
            let path = env::var_os(variable).map_or_else(|| directory.join(name), PathBuf::from);
            if !path.is_file() {
                bail!(
                    "{name} is not at {}: build it (cargo build --workspace) or set {variable}",
                    path.display()
                );
            }
            Ok(path)
        };
        let ours = |path| Program { make: Make::Ours, path };
        Ok(Self {
            tcpcopy: ours(find("TCPCOPY_BIN", "tcpcopy")?),
            intercept: ours(find("INTERCEPT_BIN", "intercept")?),
            libraries: env::var_os("TCPCOPY_MODULES").map_or_else(|| directory.to_owned(), PathBuf::from),
        })
    }

    /// The C tools, when `C_TCPCOPY_BIN` and `C_INTERCEPT_BIN` say where they are.
    ///
    /// # Errors
    /// When only one is named or a file is missing.
    pub fn c() -> Result<Option<Self>> {
        match (Program::c(C_TCPCOPY)?, Program::c(C_INTERCEPT)?) {
            (Some(tcpcopy), Some(intercept)) => {
                Ok(Some(Self { tcpcopy, intercept, libraries: PathBuf::new() }))
            }
            (None, None) => Ok(None),
            _ => bail!("to run the C tools, set both {C_TCPCOPY} and {C_INTERCEPT}"),
        }
    }

    /// The C tools that replay files, when `C_TCPCOPY_OFFLINE_BIN` and `C_INTERCEPT_BIN` say where they are.
    ///
    /// # Errors
    /// When a file is missing.
    pub fn c_offline() -> Result<Option<Self>> {
        let programs = Program::c(C_TCPCOPY_OFFLINE)?.zip(Program::c(C_INTERCEPT)?);
        Ok(programs.map(|(tcpcopy, intercept)| Self { tcpcopy, intercept, libraries: PathBuf::new() }))
    }

    /// Those that were asked for.
    ///
    /// # Errors
    /// When a program is missing.
    pub fn of(whose: Whose) -> Result<Self> {
        let found = |variable| {
            Program::c(variable)?.with_context(|| format!("set {variable} to say where that C tool is"))
        };
        match whose {
            Whose { c: true, .. } => Self::c()?
                .with_context(|| format!("set {C_TCPCOPY} and {C_INTERCEPT} to say where the C tools are")),
            Whose { c_tcpcopy: true, .. } => Ok(Self { tcpcopy: found(C_TCPCOPY)?, ..Self::ours()? }),
            Whose { c_intercept: true, .. } => Ok(Self { intercept: found(C_INTERCEPT)?, ..Self::ours()? }),
            _ => Self::ours(),
        }
    }

    /// What tables call them.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match (self.tcpcopy.make, self.intercept.make) {
            (Make::Ours, Make::Ours) => "ours",
            (Make::C, Make::C) => "C",
            (Make::C, Make::Ours) => "C-tcpcopy",
            (Make::Ours, Make::C) => "C-intercept",
        }
    }

    /// Whether tcpcopy writes a report.
    #[must_use]
    pub fn reports(&self) -> bool {
        self.tcpcopy.make == Make::Ours
    }

    /// Whether the process of that name must end as it is told to: the C tools do as they like.
    #[must_use]
    pub fn obeys(&self, process: &str) -> bool {
        let program = if process.starts_with("tcpcopy") { &self.tcpcopy } else { &self.intercept };
        program.make == Make::Ours
    }

    /// Puts the modules of a scenario where its command lines say they are, in its scratch directory.
    ///
    /// # Errors
    /// When a library is not built, cannot be copied, or the programs have no modules.
    pub fn furnish(&self, scenario: &Scenario, scratch: &Path) -> Result<()> {
        let shelf = scratch.join(SHELF);
        for module in scenario.modules() {
            if self.tcpcopy.make == Make::C {
                bail!("the C tools load no modules");
            }
            fs::create_dir_all(&shelf).with_context(|| format!("cannot make {}", shelf.display()))?;
            module.put_on(&shelf, &self.libraries)?;
        }
        Ok(())
    }

    /// The essential command line of a tcpcopy process, as a person would type it.
    #[must_use]
    pub fn tcpcopy_command(&self, scenario: &Scenario, index: usize) -> String {
        self.bare_tcpcopy(scenario, index, Path::new("")).command_line()
    }

    /// The command that asks a tcpcopy process something; `name` is what its output files are called.
    #[must_use]
    pub fn control(&self, name: &str, index: usize, scratch: &Path, words: &[String]) -> Launch {
        let socket = admin_socket(scratch, index);
        Launch::new(name, &self.tcpcopy.path).args(["ctl", "--socket"]).arg(socket).args(words)
    }

    /// The words of `tcpcopy ctl` for a swap.
    #[must_use]
    pub fn swap_words(&self, scenario: &Scenario, swap: &Swap, scratch: &Path) -> Vec<String> {
        let module = swap.module.argument(&scratch.join(SHELF));
        let mut words = vec!["swap".to_owned(), scenario.mappings[swap.mapping].name(), module];
        words.extend(swap.migrate.then(|| "--migrate".to_owned()));
        words
    }

    /// The essential command line of intercept, as a person would type it.
    #[must_use]
    pub fn intercept_command(&self, scenario: &Scenario) -> String {
        self.bare_intercept(scenario, 1).command_line()
    }

    /// The command of one of the scenario's tcpcopy processes. Its report, if any, goes to `report`.
    #[must_use]
    pub fn tcpcopy(&self, scenario: &Scenario, index: usize, scratch: &Path, report: &Path) -> Launch {
        let log = scratch.join(format!("tcpcopy-{index}.log"));
        let launch = self.bare_tcpcopy(scenario, index, scratch).arg("-l").arg(&log).logs_to(log);
        match self.tcpcopy.make {
            Make::Ours => launch.arg("--report").arg(report),
            // Without -L the C tcpcopy ends when its intercept does.
            Make::C => launch.arg("-L"),
        }
    }

    /// The command of intercept; `generation` tells restarts apart in the logs.
    #[must_use]
    pub fn intercept(&self, scenario: &Scenario, generation: usize, logs: &Path) -> Launch {
        let log = logs.join(format!("intercept-{generation}.log"));
        self.bare_intercept(scenario, generation).arg("-l").arg(&log).logs_to(log)
    }

    fn bare_tcpcopy(&self, scenario: &Scenario, index: usize, scratch: &Path) -> Launch {
        let tcpcopy = &scenario.tcpcopies[index];
        let all = scenario.mappings.iter().enumerate();
        let mine: Vec<&Mapping> =
            all.filter(|(index, _)| tcpcopy.serves(*index)).map(|(_, mapping)| mapping).collect();
        let argument = |mapping: &&Mapping| match tcpcopy.frames {
            Some(Frames::Given) => mapping.linked_argument(),
            Some(Frames::Resolved) | None => mapping.argument(),
        };
        let mappings: Vec<String> = mine.iter().map(argument).collect();
        let mut launch =
            Launch::new(&format!("tcpcopy-{index}"), &self.tcpcopy.path).args(["-x", &mappings.join(",")]);
        launch = match scenario.way_back {
            _ if scenario.is_udp() => launch.arg("--udp"),
            WayBack::Intercept => launch.args(["-s", &ASSISTANT.to_string()]),
            WayBack::OnOnline => launch.args(["--intercept-on", Hop::Copy.as_str()]),
            WayBack::OnAssistant => launch.args(["--intercept-on", Hop::Response.as_str()]),
        };
        if tcpcopy.frames.is_some() {
            launch = launch.args(["-o", Hop::Copy.as_str()]);
        }
        if let Some(tunnel) = scenario.mirror {
            launch = launch.args(["-i", Hop::Feed.as_str(), "--mirror", tunnel.as_str()]);
        }
        launch = launch.args(tcpcopy.options);
        if scenario.is_recorded {
            // The C tcpcopy has it in its build.
            launch = launch.args((self.tcpcopy.make == Make::Ours).then_some("--offline"));
            launch = launch.arg("-i").arg(recording(scratch));
        }
        for (mapping, module) in mine.iter().filter_map(|mapping| Some((mapping, mapping.module?))) {
            let module = module.argument(&scratch.join(SHELF));
            // Where there is one mapping only, it need not be named.
            let argument = if mine.len() == 1 { module } else { format!("{}={module}", mapping.name()) };
            launch = launch.arg("--module").arg(argument);
        }
        if scenario.has_modules() {
            launch = launch.arg("--admin").arg(admin_socket(scratch, index));
        }
        launch
    }

    fn bare_intercept(&self, scenario: &Scenario, generation: usize) -> Launch {
        let ports: Vec<String> =
            scenario.mappings.iter().map(|mapping| format!("src port {}", mapping.target.port())).collect();
        let filter = match ports.as_slice() {
            [port] => format!("tcp and {port}"),
            ports => format!("tcp and ({})", ports.join(" or ")),
        };
        Launch::new(&format!("intercept-{generation}"), &self.intercept.path)
            .args(["-i", "response", "-F", &filter])
            .args(scenario.intercept)
    }

    /// Our tcpcopy, or what is tested in its place.
    #[must_use]
    pub fn tcpcopy_path(&self) -> &Path {
        &self.tcpcopy.path
    }

    /// intercept with these arguments, outside of any scenario.
    #[must_use]
    pub fn plain_intercept(&self, arguments: &[&str]) -> Launch {
        Launch::new("intercept", &self.intercept.path).args(arguments)
    }

    /// The same with arguments as a shell takes them.
    #[must_use]
    pub fn intercept_in_shell(&self, arguments: &str) -> Launch {
        let line = format!("exec {} {arguments}", self.intercept.path.display());
        Launch::new("intercept", "/bin/sh").args(["-c", &line])
    }

    /// Waits until intercept listens on its host.
    ///
    /// # Errors
    /// When it does not, or ends.
    pub fn await_intercept(&self, intercept: &Process, host: &Host) -> Result<()> {
        if self.intercept.make == Make::Ours {
            intercept.wait_for_word(READY_WORD, READY)?;
        }
        intercept.wait_until("listen", READY, || host.sockets(FEED_PORT, SocketState::Listen) > 0)
    }

    /// Waits until tcpcopy captures and is connected to intercept. The C tcpcopy does not say when it captures; it
    /// does when it connects.
    ///
    /// # Errors
    /// When it does not, or ends.
    pub fn await_tcpcopy(&self, scenario: &Scenario, tcpcopy: &Process, host: &Host) -> Result<()> {
        if self.tcpcopy.make == Make::Ours {
            tcpcopy.wait_for_word(READY_WORD, READY)?;
        }
        if !scenario.has_intercept() {
            return Ok(());
        }
        tcpcopy.wait_until("reach intercept", READY, || host.sockets(FEED_PORT, SocketState::Established) > 0)
    }
}

/// Where what users say is recorded.
pub(crate) fn recording(scratch: &Path) -> PathBuf {
    scratch.join("recording.pcap")
}

/// Where the tcpcopy process of that index is controlled from.
fn admin_socket(scratch: &Path, index: usize) -> PathBuf {
    scratch.join(format!("tcpcopy-{index}.sock"))
}
