//! A MariaDB server on one host: made from a template, started, spoken to as root, and its general log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::mysql::{DATABASE, ONLINE_PASSWORD, PORT, TARGET_PASSWORD};
use crate::world::World;
use crate::world::host::{HostName, run_tool};
use crate::world::process::{Launch, Process};

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(30);
/// Small files and no syncing: the data need not outlive the scenario.
const OPTIONS: &[&str] = &[
    "--no-defaults",
    "--user=root",
    "--bind-address=0.0.0.0",
    "--general-log=1",
    "--local-infile=1",
    "--skip-name-resolve",
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--max-connections=400",
];
/// What sysbench works on: the same on both servers.
const SYSBENCH_TABLES: &[&str] = &["--tables=4", "--table-size=500", "--rand-seed=7"];

/// A running server's folder: its data, its socket and its general log.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    folder: PathBuf,
}

impl Database {
    /// Starts a server with the users and tables of every scenario on that host.
    pub(crate) fn start(world: &World, host: HostName, name: &str) -> Result<(Self, Process)> {
        let database = Self { folder: world.scratch().join(name) };
        let data = database.folder.join("data");
        fs::create_dir_all(&database.folder)
            .with_context(|| format!("cannot make {}", database.folder.display()))?;
        copy_folder(&template(world.scratch())?, &data)?;
        let option = |key: &str, value: &Path| format!("--{key}={}", value.display());
        let launch = Launch::new(name, "mariadbd")
            .args(OPTIONS)
            .arg(format!("--port={PORT}"))
            .arg(option("datadir", &data))
            .arg(option("socket", &database.socket()))
            .arg(option("pid-file", &database.folder.join("pid")))
            .arg(option("general-log-file", &database.general_log()));
        let process = Process::start(world.host(host), launch, world.scratch())?;
        process.wait_for_word("ready", PATIENCE)?;
        database.furnish(if host == HostName::Online { ONLINE_PASSWORD } else { TARGET_PASSWORD })?;
        Ok((database, process))
    }

    /// Where the server writes what it executes.
    pub(crate) fn general_log(&self) -> PathBuf {
        self.folder.join("general.log")
    }

    /// Has root execute statements; returns what they answer, one row a line.
    pub(crate) fn execute(&self, statements: &str) -> Result<String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "--skip-column-names", "--batch"])
            // A delimiter that nobody uses: the server takes the statements apart.
            .args(["--delimiter=//", "--execute", statements])
            .arg(format!("--socket={}", self.socket().display()))
            .stdin(Stdio::null())
            .output()
            .context("cannot run `mariadb`; `make deps` installs what the lab needs")?;
        if !output.status.success() {
            bail!("the database refused root: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends every connection that is between two commands, except root's own.
    pub(crate) fn disconnect_idle(&self) -> Result<()> {
        // 1094: a client has left meanwhile.
        self.execute(
            "begin not atomic
               declare continue handler for 1094 begin end;
               for idle in (select id from information_schema.processlist where command = 'Sleep' and user <> 'root') do
                 kill idle.id;
               end for;
             end",
        )?;
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn furnish(&self, password: &str) -> Result<()> {
        self.execute(&format!(
            "create database {DATABASE};
             install soname 'auth_ed25519';
             create user app identified by '{password}';
             create user ed identified via ed25519 using password('{password}');
             create user open;
             grant all on *.* to app;
             grant all on *.* to ed;
             grant all on *.* to open;
             create table {DATABASE}.notes (id int primary key auto_increment, note text, number int)"
        ))?;
        let socket = self.socket().display().to_string();
        let connection = [
            format!("--mysql-socket={socket}"),
            "--mysql-user=root".to_owned(),
            format!("--mysql-db={DATABASE}"),
        ];
        let mut arguments = vec!["oltp_read_write"];
        arguments.extend(connection.iter().map(String::as_str));
        arguments.extend(SYSBENCH_TABLES);
        arguments.push("prepare");
        run_tool("sysbench", &arguments, "")
    }
}

/// What clients of sysbench are told about the tables.
pub(crate) fn sysbench_tables() -> &'static [&'static str] {
    &SYSBENCH_TABLES[..2]
}

/// The data of a server that nobody has used yet, made by the first server of a scenario.
fn template(scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("mariadb-template");
    if !folder.exists() {
        let data = format!("--datadir={}", folder.display());
        let words =
            ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"];
        let small = ["--innodb-log-file-size=8M", "--innodb-doublewrite=0"];
        let log = File::create(scratch.join("mariadb-install-db.out"))?;
        let mut install = Command::new("mariadb-install-db");
        install.args(words).args(small).arg(data).stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        let status = install
            .status()
            .context("cannot run `mariadb-install-db`; `make deps` installs what the lab needs")?;
        if !status.success() {
            bail!("mariadb-install-db failed; it said why in {}/mariadb-install-db.out", scratch.display());
        }
    }
    Ok(folder)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let [from, to] = [from, to].map(|path| path.display().to_string());
    run_tool("cp", &["-r", &from, &to], "")
}
