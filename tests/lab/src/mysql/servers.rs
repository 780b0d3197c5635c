//! A database server on one host: made from a template, started, spoken to as root, and its general log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::mysql::{DATABASE, ONLINE_PASSWORD, PORT, TARGET_PASSWORD};
use crate::world::World;
use crate::world::host::{HostName, run_tool};
use crate::world::process::{Launch, Process};

/// How long a server may take to accept connections.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of both makes.
const OPTIONS: &[&str] = &[
    "--bind-address=0.0.0.0",
    "--general-log=1",
    "--local-infile=1",
    "--skip-name-resolve",
    "--max-connections=400",
    // The data need not outlive the scenario.
    "--innodb-flush-log-at-trx-commit=0",
];
/// What sysbench works on: the same on both servers.
const SYSBENCH_TABLES: &[&str] = &["--tables=4", "--table-size=500", "--rand-seed=7"];
/// Unpacks and runs MySQL 9; `install-deps mysql` has it prepared.
const MYSQL9: &str = include_str!("../../mysql9");
const NO_MYSQL9: &str =
    "MySQL 9 is not prepared: run tests/lab/mysql9 prepare, which downloads it from Debian's archive";

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Debian's MariaDB.
    MariaDb,
    /// MySQL 9, as `tests/lab/mysql9` makes it.
    MySql9,
}

impl Engine {
    /// The data of a server that nobody has used yet; those of MariaDB are made by the first server of a scenario.
    fn template(self, scratch: &Path) -> Result<PathBuf> {
        match self {
            Self::MariaDb => mariadb_template(scratch),
            Self::MySql9 => mysql9_template().context(NO_MYSQL9),
        }
    }

    /// What it needs from elsewhere that is not on this machine yet.
    pub(crate) fn missing_download(self) -> Option<&'static str> {
        (self == Self::MySql9 && mysql9_template().is_none()).then_some(NO_MYSQL9)
    }

    fn launch(self, name: &str, folder: &Path, scratch: &Path) -> Result<Launch> {
        if self == Self::MySql9 {
            let script = scratch.join("mysql9");
            fs::write(&script, MYSQL9).with_context(|| format!("cannot write {}", script.display()))?;
            return Ok(Launch::new(name, "bash").arg(script).arg("run").arg(folder));
        }
        let option = |key: &str, file: &str| format!("--{key}={}", folder.join(file).display());
        Ok(Launch::new(name, "mariadbd")
            .args(["--no-defaults", "--user=root", "--innodb-log-file-size=8M", "--innodb-doublewrite=0"])
            .args([option("datadir", "data"), option("socket", "socket"), option("pid-file", "pid")])
            .arg(option("general-log-file", "general.log")))
    }

    /// Statements that make its users; each but one has this password.
    fn users(self, password: &str) -> String {
        let of_its_own = match self {
            Self::MariaDb => format!(
                "install soname 'auth_ed25519';
                 create user ed identified via ed25519 using password('{password}');
                 grant all on *.* to ed;"
            ),
            Self::MySql9 => format!(
                "create user sha identified with sha256_password by '{password}';
                 grant all on *.* to sha;"
            ),
        };
        format!(
            "create user app identified by '{password}';
             create user guest identified by '{password}';
             create user open;
             grant all on *.* to app;
             grant all on *.* to guest;
             grant all on *.* to open;
             {of_its_own}"
        )
    }
}

/// A running server's folder: its data, its socket and its general log.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    folder: PathBuf,
}

impl Database {
    /// Starts a server with the users and tables of every scenario on that host.
    pub(crate) fn start(
        engine: Engine,
        world: &World,
        host: HostName,
        name: &str,
    ) -> Result<(Self, Process)> {
        let database = Self { folder: world.scratch().join(name) };
        fs::create_dir_all(&database.folder)
            .with_context(|| format!("cannot make {}", database.folder.display()))?;
        copy_folder(&engine.template(world.scratch())?, &database.folder.join("data"))?;
        let launch = engine.launch(name, &database.folder, world.scratch())?;
        let launch = launch.args(OPTIONS).arg(format!("--port={PORT}"));
        let process = Process::start(world.host(host), launch, world.scratch())?;
        process.wait_for_word("ready", PATIENCE)?;
        let password = if host == HostName::Online { ONLINE_PASSWORD } else { TARGET_PASSWORD };
        database.execute(&engine.users(password))?;
        database.make_tables()?;
        Ok((database, process))
    }

    /// Where the server writes what it executes.
    pub(crate) fn general_log(&self) -> PathBuf {
        self.folder.join("general.log")
    }

    /// Has root execute statements.
    pub(crate) fn execute(&self, statements: &str) -> Result<()> {
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--user=root"])
            .arg(format!("--socket={}", self.socket().display()))
            // A delimiter that nobody uses: the server takes the statements apart.
            .args(["--delimiter=//", "--execute", statements]);
        let output = finish(client, "mariadb")?;
        if !output.status.success() {
            bail!("the database refused root: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Ends every connection that is between two commands, except root's own. MariaDB's words.
    pub(crate) fn disconnect_idle(&self) -> Result<()> {
        // 1094: a client has left meanwhile.
        self.execute(
            "begin not atomic
               declare continue handler for 1094 begin end;
               for idle in (select id from information_schema.processlist where command = 'Sleep' and user <> 'root') do
                 kill idle.id;
               end for;
             end",
        )
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn make_tables(&self) -> Result<()> {
        self.execute(&format!(
            "create database {DATABASE};
             create table {DATABASE}.notes (id int primary key auto_increment, note text, number int)"
        ))?;
        let socket = format!("--mysql-socket={}", self.socket().display());
        let database = format!("--mysql-db={DATABASE}");
        let mut arguments = vec!["oltp_read_write", &socket, "--mysql-user=root", &database];
        arguments.extend(SYSBENCH_TABLES);
        arguments.push("prepare");
        run_tool("sysbench", &arguments, "")
    }
}

/// What clients of sysbench are told about the tables.
pub(crate) fn sysbench_tables() -> &'static [&'static str] {
    &SYSBENCH_TABLES[..2]
}

fn mariadb_template(scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("mariadb-template");
    if !folder.exists() {
        let data = format!("--datadir={}", folder.display());
        let log = scratch.join("mariadb-install-db.out");
        let out = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut install = Command::new("mariadb-install-db");
        install
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ])
            .args(["--innodb-log-file-size=8M", "--innodb-doublewrite=0"])
            .arg(data)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out);
        let status = install.status();
        let status =
            status.context("cannot run `mariadb-install-db`; `make deps SCENARIO=mysql` installs it")?;
        if !status.success() {
            bail!("mariadb-install-db failed; it said why in {}", log.display());
        }
    }
    Ok(folder)
}

/// Where the data of an unused MySQL 9 are; `None` where it is not prepared.
fn mysql9_template() -> Option<PathBuf> {
    let mut script = Command::new("bash");
    script.args(["-c", MYSQL9, "mysql9", "data"]);
    let output = finish(script, "bash").ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn finish(mut command: Command, name: &str) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output();
    output.with_context(|| format!("cannot run `{name}`; `make deps SCENARIO=mysql` installs it"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let [from, to] = [from, to].map(|path| path.display().to_string());
    run_tool("cp", &["-r", &from, &to], "")
}
