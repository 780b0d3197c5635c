//! Real clients of a MySQL server: Python programs with PyMySQL, the `mariadb` command-line client, sysbench.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::mysql::servers::sysbench_tables;
use crate::mysql::{DATABASE, ONLINE_PASSWORD, PORT};
use crate::world::plan::ONLINE;
use crate::world::process::Launch;

/// Debian's, for which it has PyMySQL.
const PYTHON: &str = "/usr/bin/python3";
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
        }
    }

    fn python(&self, name: &str, script: Script, scratch: &Path) -> Result<Launch> {
        let folder = scratch.join("clients");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (file, text) in SCRIPTS {
            fs::write(folder.join(file), text).with_context(|| format!("cannot write {file}"))?;
        }
        Ok(Launch::new(name, PYTHON)
            .arg("-B")
            .arg(folder.join(script.file()))
            .args([ONLINE.to_string(), PORT.to_string()])
            .args([self.user.name(), self.user.password(), DATABASE])
            .args([self.sessions.to_string(), self.seconds.to_string()]))
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
