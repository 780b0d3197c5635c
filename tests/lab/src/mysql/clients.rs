//! Real clients of a MySQL server: Python programs with PyMySQL, the `mariadb` command-line client, sysbench, Node.js with
//! mysql2, Rust with mysql_async.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::mysql::servers::sysbench_tables;
use crate::mysql::{DATABASE, ONLINE_PASSWORD, PORT};
use crate::world::plan::ONLINE;
use crate::world::process::Launch;

/// Debian's, for which it has PyMySQL.
const PYTHON: &str = "/usr/bin/python3";
/// The client for Node.js, and where its driver is; `install-deps mysql` has that prepared.
const POOL: &str = include_str!("clients/pool.js");
const MYSQL2: &str = include_str!("../../mysql2/cache");
const NO_MYSQL2: &str = "mysql2 for Node.js is not prepared: run tests/lab/mysql2/cache prepare, which downloads it from npm's registry";
/// The client made with mysql_async, beside the lab's own binary.
const MYSQL_ASYNC: &str = "mysql-async-client";
/// Statements in each session of the command-line client.
const STATEMENTS: u32 = 60;

/// The scripts, which need each other in one folder.
const SCRIPTS: &[(&str, &str)] = &[
    ("connection.py", include_str!("clients/connection.py")),
    (Script::Habits.file(), include_str!("clients/habits.py")),
    (Script::Steady.file(), include_str!("clients/steady.py")),
    (Script::Logins.file(), include_str!("clients/logins.py")),
    (Script::ReadersAndWriters.file(), include_str!("clients/readers_and_writers.py")),
];

/// Clients of the online server, at work side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clients {
    /// Which program.
    pub program: Program,
    /// As whom.
    pub user: User,
    /// Sessions at once.
    pub sessions: u32,
    /// How long they work. The command-line client stops when it has said everything.
    pub seconds: u32,
}

/// A program that is a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// PyMySQL.
    Python(Script),
    /// `mariadb`, with many statements in every session.
    CommandLine,
    /// sysbench's `oltp_read_write`, with prepared statements or text.
    Sysbench {
        /// Whether the server prepares its statements.
        prepared: bool,
    },
    /// Node.js with mysql2.
    Node,
    /// Rust with mysql_async.
    MysqlAsync,
}

impl Program {
    /// What it needs from elsewhere that is not on this machine yet.
    pub(crate) fn missing_download(self) -> Option<&'static str> {
        (self == Self::Node && mysql2_modules().is_none()).then_some(NO_MYSQL2)
    }
}

/// A Python program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Many habits, many connections.
    Habits,
    /// Few connections that stay open.
    Steady,
    /// One connection after the other, with little in each.
    Logins,
    /// Reads and writes in turn.
    ReadersAndWriters,
}

impl Script {
    const fn file(self) -> &'static str {
        match self {
            Self::Habits => "habits.py",
            Self::Steady => "steady.py",
            Self::Logins => "logins.py",
            Self::ReadersAndWriters => "readers_and_writers.py",
        }
    }
}

/// A user that both servers know, by different passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// With the server's first choice: `mysql_native_password` of MariaDB, `caching_sha2_password` of MySQL 9.
    App,
    /// With `client_ed25519`, of MariaDB only.
    Ed,
    /// With `sha256_password`, of MySQL 9 only.
    Sha,
    /// Without a password.
    Open,
}

impl User {
    fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Ed => "ed",
            Self::Sha => "sha",
            Self::Open => "open",
        }
    }

    fn password(self) -> &'static str {
        if self == Self::Open { "" } else { ONLINE_PASSWORD }
    }
}

impl Clients {
    /// The processes they are; `number` tells them from others of the scenario.
    pub(crate) fn launches(&self, number: usize, scratch: &Path) -> Result<Vec<Launch>> {
        let name = format!("clients-{number}");
        match self.program {
            Program::Python(script) => Ok(vec![self.python(&name, script, scratch)?]),
            Program::Sysbench { prepared } => Ok(vec![self.sysbench(&name, prepared)]),
            Program::CommandLine => {
                (0..self.sessions).map(|session| self.command_line(&name, session, scratch)).collect()
            }
            Program::Node => Ok(vec![self.node(&name, scratch)?]),
            Program::MysqlAsync => Ok(vec![self.mysql_async(&name)?]),
        }
    }

    fn python(&self, name: &str, script: Script, scratch: &Path) -> Result<Launch> {
        let folder = scratch.join("clients");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (file, text) in SCRIPTS {
            fs::write(folder.join(file), text).with_context(|| format!("cannot write {file}"))?;
        }
        Ok(Launch::new(name, PYTHON).arg("-B").arg(folder.join(script.file())).args(self.arguments()))
    }

    fn node(&self, name: &str, scratch: &Path) -> Result<Launch> {
        let modules = mysql2_modules().context(NO_MYSQL2)?;
        let script = scratch.join("pool.js");
        fs::write(&script, POOL).with_context(|| format!("cannot write {}", script.display()))?;
        let modules = format!("NODE_PATH={}", modules.display());
        Ok(Launch::new(name, "env").args([&modules, "node"]).arg(script).args(self.arguments()))
    }

    fn mysql_async(&self, name: &str) -> Result<Launch> {
        let lab = env::current_exe().context("the lab's own path is not known")?;
        Ok(Launch::new(name, lab.with_file_name(MYSQL_ASYNC)).args(self.arguments()))
    }

    /// What every client of the lab's own is called with.
    fn arguments(&self) -> Vec<String> {
        let [host, port] = [ONLINE.to_string(), PORT.to_string()];
        let who = [self.user.name(), self.user.password(), DATABASE].map(str::to_owned);
        let work = [self.sessions.to_string(), self.seconds.to_string()];
        [host, port].into_iter().chain(who).chain(work).collect()
    }

    fn command_line(&self, name: &str, session: u32, scratch: &Path) -> Result<Launch> {
        let name = format!("{name}-{session}");
        let path = scratch.join(format!("{name}.sql"));
        fs::write(&path, statements(session)?).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Launch::new(&name, "mariadb")
            .args(["--no-defaults", &format!("--host={ONLINE}"), &format!("--port={PORT}")])
            .args([format!("--user={}", self.user.name()), format!("--password={}", self.user.password())])
            .args(["--skip-ssl", "--execute", &format!("source {}", path.display()), DATABASE]))
    }

    fn sysbench(&self, name: &str, prepared: bool) -> Launch {
        Launch::new(name, "sysbench")
            .arg("oltp_read_write")
            .args([format!("--mysql-host={ONLINE}"), format!("--mysql-port={PORT}")])
            .args([format!("--mysql-user={}", self.user.name())])
            .args([format!("--mysql-password={}", self.user.password()), format!("--mysql-db={DATABASE}")])
            .args(sysbench_tables())
            .args([format!("--threads={}", self.sessions), format!("--time={}", self.seconds)])
            // A rate that a busy machine with two cores keeps.
            .args(["--rate=60", "--events=0"])
            .arg(if prepared { "--db-ps-mode=auto" } else { "--db-ps-mode=disable" })
            .arg("run")
    }
}

/// Where mysql2 for Node.js is; `None` where it is not prepared.
fn mysql2_modules() -> Option<PathBuf> {
    let output = Command::new("bash").args(["-c", MYSQL2, "cache", "modules"]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// What a session of the command-line client says.
fn statements(session: u32) -> Result<String> {
    let mut text = String::new();
    for number in 0..STATEMENTS {
        writeln!(text, "insert into notes (note, number) values ('line {session}-{number}', {number});")?;
        writeln!(text, "select count(*), 'line\n{session}-{number}' from notes;")?;
        if number % 20 == 10 {
            writeln!(text, "use mysql\nselect database(), {session};\nuse {DATABASE}\nselect sleep(0.5);")?;
        }
    }
    Ok(text)
}
