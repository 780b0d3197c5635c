//! The processes of one server, and the records they leave.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::datagrams::{ReceiverPlan, ReceiverRecord};
use crate::mysql::general_log::GeneralLog;
use crate::mysql::servers::{Database, Engine};
use crate::scenario::Server;
use crate::traffic::nginx::{self, NginxPlan};
use crate::traffic::{ServerPlan, ServerRecord};
use crate::world::World;
use crate::world::host::HostName;
use crate::world::process::{Launch, Process};
use crate::world::procfs::SocketState;

/// How long a server may take to listen, or to write its record.
const PATIENCE: Duration = Duration::from_secs(20);
/// The answer size nginx honours: what users want when their plan says nothing else.
const WANTED: u32 = 100;

/// The server of one host: as many processes as the scenario shares its work among.
#[derive(Debug)]
pub(crate) struct Servers {
    host: HostName,
    server: Server,
    listen: Vec<SocketAddr>,
    count: u32,
    generation: u32,
    running: Vec<Process>,
    records: Vec<PathBuf>,
    access_logs: Vec<PathBuf>,
    receiver_records: Vec<PathBuf>,
    databases: Vec<Database>,
}

impl Servers {
    pub(crate) fn new(host: HostName, server: Server, listen: Vec<SocketAddr>, count: u32) -> Self {
        Self {
            host,
            server,
            listen,
            count,
            generation: 0,
            running: Vec::new(),
            records: Vec::new(),
            access_logs: Vec::new(),
            receiver_records: Vec::new(),
            databases: Vec::new(),
        }
    }

    /// Starts the processes and waits until they listen. May be called again after [`stop`](Self::stop).
    pub(crate) fn start(&mut self, world: &World) -> Result<()> {
        self.generation += 1;
        match self.server.clone() {
            Server::Tagged(plan) => {
                for index in 0..self.count {
                    self.start_tagged(world, &plan, index)?;
                }
                self.running.iter().try_for_each(|process| process.wait_for_word("ready", PATIENCE))
            }
            Server::Nginx => self.start_nginx(world),
            Server::Datagrams => self.start_receiver(world),
            Server::Database(engine) => self.start_database(world, engine),
        }
    }

    fn start_tagged(&mut self, world: &World, plan: &ServerPlan, index: u32) -> Result<()> {
        let name = format!("server-{}-{}-{index}", self.host, self.generation);
        let path = world.scratch().join(format!("{name}.json"));
        let plan = ServerPlan { listen: self.listen.clone(), reuse_port: self.count > 1, ..plan.clone() };
        fs::write(&path, serde_json::to_vec(&plan)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let record = world.scratch().join(format!("{name}.record"));
        let launch = Launch::own_binary(&name)?.arg("serve").arg(&path).arg("--record").arg(&record);
        self.running.push(Process::start(world.host(self.host), launch, world.scratch())?);
        self.records.push(record);
        Ok(())
    }

    fn start_nginx(&mut self, world: &World) -> Result<()> {
        let name = format!("nginx-{}-{}", self.host, self.generation);
        let directory = world.scratch().join(&name);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let plan = NginxPlan { directory, listen: self.listen.clone(), sizes: vec![WANTED] };
        let configuration = plan.configuration_file();
        fs::write(&configuration, plan.configuration())
            .with_context(|| format!("cannot write {}", configuration.display()))?;
        let launch = Launch::new(&name, "nginx")
            .arg("-p")
            .arg(&plan.directory)
            .arg("-c")
            .arg(&configuration)
            .args(["-e", "stderr"]);
        let host = world.host(self.host);
        let process = Process::start(host, launch, world.scratch())?;
        process.wait_until("listen", PATIENCE, || {
            self.listen.iter().all(|address| host.sockets(address.port(), SocketState::Listen) > 0)
        })?;
        self.running.push(process);
        self.access_logs.push(plan.log());
        Ok(())
    }

    fn start_receiver(&mut self, world: &World) -> Result<()> {
        let name = format!("receiver-{}-{}", self.host, self.generation);
        let path = world.scratch().join(format!("{name}.json"));
        fs::write(&path, serde_json::to_vec(&ReceiverPlan { listen: self.listen.clone() })?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let record = world.scratch().join(format!("{name}.record"));
        let launch = Launch::own_binary(&name)?.arg("receive").arg(&path).arg("--record").arg(&record);
        let process = Process::start(world.host(self.host), launch, world.scratch())?;
        process.wait_for_word("ready", PATIENCE)?;
        self.running.push(process);
        self.receiver_records.push(record);
        Ok(())
    }

    fn start_database(&mut self, world: &World, engine: Engine) -> Result<()> {
        let name = format!("database-{}-{}", self.host, self.generation);
        let (database, process) = Database::start(engine, world, self.host, &name)?;
        self.databases.push(database);
        self.running.push(process);
        Ok(())
    }

    /// The database that runs, where the server is one.
    pub(crate) fn database(&self) -> Option<&Database> {
        self.databases.last()
    }

    /// What all the databases executed, after [`stop`](Self::stop).
    pub(crate) fn general_log(&self) -> Result<GeneralLog> {
        let mut text = String::new();
        for database in &self.databases {
            let path = database.general_log();
            let bytes =
                fs::read(&path).with_context(|| format!("there is no general log {}", path.display()))?;
            text += &String::from_utf8_lossy(&bytes);
        }
        Ok(GeneralLog::read(&text))
    }

    /// Ends the processes in the way that lets them write their records.
    pub(crate) fn stop(&mut self) -> Result<()> {
        for mut process in self.running.drain(..) {
            match self.server {
                Server::Tagged(_) | Server::Datagrams => process.finish(PATIENCE)?,
                Server::Nginx | Server::Database(_) => process.terminate(PATIENCE)?,
            };
        }
        Ok(())
    }

    /// Sends every process a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.running.iter().try_for_each(|process| process.signal(signal))
    }

    /// The datagrams that all the processes received, after [`stop`](Self::stop).
    pub(crate) fn receiver_records(&self) -> Result<Vec<ReceiverRecord>> {
        let read = |path: &PathBuf| {
            let record = ReceiverRecord::read_from(path);
            record.with_context(|| format!("no record of the receiver on {}", self.host))
        };
        self.receiver_records.iter().map(read).collect()
    }

    /// What all the processes received, after [`stop`](Self::stop).
    pub(crate) fn records(&self) -> Result<Vec<ServerRecord>> {
        let mut records = Vec::new();
        for path in &self.records {
            let record = ServerRecord::read_from(path);
            records.push(record.with_context(|| format!("no record of the {} server", self.host))?);
        }
        for path in &self.access_logs {
            let record = nginx::read_log(path);
            records.push(record.with_context(|| format!("no usable access log of nginx on {}", self.host))?);
        }
        Ok(records)
    }
}
