//! The processes of a scenario while it is played, and what events do to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::datagrams::{SenderRecord, SendersPlan};
use crate::mirror::Tunnel;
use crate::mysql::general_log::CAPTURING;
use crate::scenario::control::{self, Answer};
use crate::scenario::module::Swap;
use crate::scenario::outcome::PeerEnd;
use crate::scenario::peers::{self, Peers};
use crate::scenario::servers::Servers;
use crate::scenario::{Action, Scenario, Who};
use crate::traffic::{Shard, UsersPlan, UsersProgress, UsersRecord, monotonic_us};
use crate::world::World;
use crate::world::hop::Hop;
use crate::world::host::HostName;
use crate::world::plan;
use crate::world::process::{Launch, Process};
use crate::world::procfs::Usage;

/// How long a program may take to end when it is told to.
const GOODBYE: Duration = Duration::from_secs(30);
/// How long the users may take to write their record when they are done.
const LAST_WORDS: Duration = Duration::from_secs(30);
/// How often a replay is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the recorder may take to capture.
const READY: Duration = Duration::from_secs(10);

/// Everything that runs while a scenario is played.
#[derive(Debug)]
pub(crate) struct Stage<'s> {
    scenario: &'s Scenario,
    peers: &'s Peers,
    pub(crate) world: World,
    pub(crate) online: Servers,
    pub(crate) target: Servers,
    intercept: Option<Process>,
    intercepts_started: usize,
    /// What instances of intercept that are gone have used.
    intercept_before: Usage,
    tcpcopies: Vec<Process>,
    recorder: Option<Process>,
    mirror: Option<Process>,
    users: Vec<(Process, PathBuf)>,
    senders: Vec<(Process, PathBuf)>,
    /// Of a database.
    clients: Vec<Process>,
    /// When each event so far was over, on the clock of the records.
    pub(crate) happened: Vec<u64>,
    /// How often tcpcopy was asked something: numbers the output of `ctl`.
    questions: usize,
    /// What was not answered as it must be.
    pub(crate) complaints: Vec<String>,
    /// When the tcpcopy processes were ready, on the same clock.
    pub(crate) capturing_since: u64,
}

impl<'s> Stage<'s> {
    pub(crate) fn new(scenario: &'s Scenario, peers: &'s Peers, world: World) -> Self {
        let listen =
            |pick: fn(&super::Mapping) -> std::net::SocketAddr| scenario.mappings.iter().map(pick).collect();
        let count = scenario.processes;
        let online = Servers::new(HostName::Online, scenario.online.clone(), listen(|m| m.online), count);
        let target = Servers::new(HostName::Target, scenario.target.clone(), listen(|m| m.target), count);
        Self {
            scenario,
            peers,
            world,
            online,
            target,
            intercept: None,
            intercepts_started: 0,
            intercept_before: Usage::default(),
            tcpcopies: Vec::new(),
            recorder: None,
            mirror: None,
            users: Vec::new(),
            senders: Vec::new(),
            clients: Vec::new(),
            happened: Vec::new(),
            questions: 0,
            complaints: Vec::new(),
            capturing_since: 0,
        }
    }

    /// Starts everything that is not down at first, each before what needs it.
    pub(crate) fn set(&mut self) -> Result<()> {
        self.peers.furnish(self.scenario, self.world.scratch())?;
        self.online.start(&self.world)?;
        for who in [Who::Target, Who::Intercept, Who::Tcpcopy] {
            let waits = who == Who::Tcpcopy && self.scenario.is_recorded;
            let has_no_part = who == Who::Intercept && !self.scenario.has_intercept();
            if !waits && !has_no_part && !self.scenario.is_down_at_first(who) {
                self.start(who)?;
            }
        }
        if let Some(tunnel) = self.scenario.mirror {
            self.start_mirror(tunnel)?;
        }
        if self.scenario.is_recorded { self.start_recorder() } else { Ok(()) }
    }

    fn start_mirror(&mut self, tunnel: Tunnel) -> Result<()> {
        let port = |mapping: &super::Mapping| format!("tcp dst port {}", mapping.online.port());
        let ports: Vec<String> = self.scenario.mappings.iter().map(port).collect();
        let launch = Launch::own_binary("mirror")?
            .args(["mirror", tunnel.as_str(), Hop::Users.as_str(), &ports.join(" or ")])
            .arg(plan::ASSISTANT.to_string());
        let mirror = Process::start(self.world.host(HostName::Online), launch, self.world.scratch())?;
        mirror.wait_for_word("ready", READY)?;
        self.mirror = Some(mirror);
        Ok(())
    }

    fn start_recorder(&mut self) -> Result<()> {
        let scratch = self.world.scratch();
        let port = |mapping: &super::Mapping| format!("tcp port {}", mapping.online.port());
        // Later fragments of datagrams have no port.
        let ports: Vec<String> = match self.scenario.is_udp() {
            true => vec!["udp".to_owned()],
            false => self.scenario.mappings.iter().map(port).collect(),
        };
        let launch = Launch::own_binary("record")?
            .arg("record")
            .arg(peers::recording(scratch))
            .arg(ports.join(" or "));
        let recorder = Process::start(self.world.host(HostName::Online), launch, scratch)?;
        recorder.wait_for_word("ready", READY)?;
        self.recorder = Some(recorder);
        self.capturing_since = monotonic_us();
        Ok(())
    }

    /// Has tcpcopy replay what was recorded, to its end.
    pub(crate) fn replay_recording(&mut self) -> Result<()> {
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        let status = recorder.finish(GOODBYE)?;
        ensure!(status.success(), "the recorder ended with {status}: {}", recorder.last_words());
        let host = self.world.host(self.scenario.host_of_tcpcopy());
        for index in 0..self.scenario.tcpcopies.len() {
            let report = self.report_path(index);
            let launch = self.peers.tcpcopy(self.scenario, index, self.world.scratch(), &report);
            self.tcpcopies.push(Process::start(host, launch, self.world.scratch())?);
        }
        self.await_end_of_replay()
    }

    /// Waits until every tcpcopy has ended by itself, for as long as the scenario allows. The C tcpcopy stays for two
    /// minutes more: of it, until it has begun, so that silence means that it is done.
    fn await_end_of_replay(&mut self) -> Result<()> {
        let began = Instant::now();
        let target = self.world.host(HostName::Target);
        let before = target.segments();
        while !self.peers.reports() && target.segments() == before {
            ensure!(began.elapsed() < self.scenario.drain, "the replay of the recording does not begin");
            thread::sleep(LOOK);
        }
        if !self.peers.reports() {
            return Ok(());
        }
        let mut are_over = false;
        while !are_over {
            ensure!(began.elapsed() < self.scenario.drain, "the replay of the recording does not end");
            self.usage();
            are_over = true;
            for tcpcopy in &mut self.tcpcopies {
                are_over &= tcpcopy.ended()?.is_some();
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn start(&mut self, who: Who) -> Result<()> {
        match who {
            Who::Target => self.target.start(&self.world),
            Who::Intercept => self.start_intercept(),
            Who::Tcpcopy => self.start_tcpcopies(),
        }
    }

    fn start_intercept(&mut self) -> Result<()> {
        self.intercepts_started += 1;
        let launch = self.peers.intercept(self.scenario, self.intercepts_started, self.world.scratch());
        let host = self.world.host(HostName::Assistant);
        let intercept = Process::start(host, launch, self.world.scratch())?;
        self.peers.await_intercept(&intercept, host)?;
        self.intercept = Some(intercept);
        Ok(())
    }

    fn start_tcpcopies(&mut self) -> Result<()> {
        let host = self.world.host(self.scenario.host_of_tcpcopy());
        for frames in self.scenario.tcpcopies.iter().filter_map(|tcpcopy| tcpcopy.frames) {
            plan::prepare_for_frames(frames)?;
        }
        for index in 0..self.scenario.tcpcopies.len() {
            let launch =
                self.peers.tcpcopy(self.scenario, index, self.world.scratch(), &self.report_path(index));
            let tcpcopy = Process::start(host, launch, self.world.scratch())?;
            self.peers.await_tcpcopy(self.scenario, &tcpcopy, host)?;
            self.tcpcopies.push(tcpcopy);
        }
        self.capturing_since = monotonic_us();
        if let Some(database) = self.online.database() {
            database.execute(CAPTURING)?;
        }
        Ok(())
    }

    fn report_path(&self, index: usize) -> PathBuf {
        self.world.scratch().join(format!("report-{index}.json"))
    }

    /// Starts the users.
    pub(crate) fn admit_users(&mut self) -> Result<()> {
        let targets: Vec<_> = self.scenario.mappings.iter().map(|mapping| mapping.online).collect();
        let plans = self.scenario.users.iter().chain(&self.scenario.spoilers);
        for (number, plan) in plans.enumerate() {
            for index in 0..self.scenario.processes {
                let name = format!("users-{number}-{index}");
                let shard = Shard { index, count: self.scenario.processes };
                let plan = UsersPlan { targets: targets.clone(), shard, ..plan.clone() };
                let started = start_users(&self.world, &name, &plan)?;
                self.users.push(started);
            }
        }
        self.admit_senders(&targets)?;
        self.admit_clients()
    }

    fn admit_senders(&mut self, targets: &[std::net::SocketAddr]) -> Result<()> {
        for (number, plan) in self.scenario.senders.iter().enumerate() {
            let name = format!("senders-{number}");
            let plan = SendersPlan { targets: targets.to_vec(), ..plan.clone() };
            let path = self.world.scratch().join(format!("{name}.json"));
            fs::write(&path, serde_json::to_vec(&plan)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            let record = self.world.scratch().join(format!("{name}.record"));
            let launch = Launch::own_binary(&name)?.arg("send").arg(&path).arg("--record").arg(&record);
            let host = self.world.host(HostName::Client);
            self.senders.push((Process::start(host, launch, self.world.scratch())?, record));
        }
        Ok(())
    }

    /// What the senders did, after they are done.
    pub(crate) fn sender_records(&mut self) -> Result<Vec<SenderRecord>> {
        let mut records = Vec::new();
        for (process, path) in &mut self.senders {
            let status = process.finish(LAST_WORDS)?;
            let record = SenderRecord::read_from(path);
            records.push(
                record.with_context(|| format!("senders ended with {status}: {}", process.last_words()))?,
            );
        }
        Ok(records)
    }

    fn admit_clients(&mut self) -> Result<()> {
        for (number, clients) in self.scenario.clients.iter().enumerate() {
            for launch in clients.launches(number, self.world.scratch())? {
                let host = self.world.host(HostName::Client);
                self.clients.push(Process::start(host, launch, self.world.scratch())?);
            }
        }
        Ok(())
    }

    /// How far the users are, all together; `None` in their first second.
    pub(crate) fn progress(&self) -> Option<UsersProgress> {
        let latest = self.users.iter().filter_map(|(process, _)| latest_progress(&process.stdout().ok()?));
        latest.reduce(|sum, one| UsersProgress {
            elapsed_ms: sum.elapsed_ms.max(one.elapsed_ms),
            begun: sum.begun + one.begun,
            answered: sum.answered + one.answered,
            failed: sum.failed + one.failed,
            failed_connections: sum.failed_connections + one.failed_connections,
            open: sum.open + one.open,
            latency: if sum.latency.count >= one.latency.count { sum.latency } else { one.latency },
        })
    }

    /// Whether all users have gone home.
    pub(crate) fn users_are_done(&mut self) -> Result<bool> {
        let mut done = true;
        let users = self.users.iter_mut().chain(&mut self.senders).map(|(process, _)| process);
        for process in users.chain(&mut self.clients) {
            done &= process.ended()?.is_some();
        }
        Ok(done)
    }

    /// What the users did, after they are done.
    pub(crate) fn users_records(&mut self) -> Result<Vec<UsersRecord>> {
        let mut records = Vec::new();
        for (process, path) in &mut self.users {
            let status = process.finish(LAST_WORDS)?;
            let record = UsersRecord::read_from(path);
            records.push(
                record.with_context(|| format!("users ended with {status}: {}", process.last_words()))?,
            );
        }
        Ok(records)
    }

    /// Clients of a database that did not end well, and what they said last.
    pub(crate) fn clients_complaints(&mut self) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        for process in &mut self.clients {
            let status = process.finish(LAST_WORDS)?;
            if !status.success() {
                complaints.push(format!("{} ended with {status}: {}", process.name(), process.last_words()));
            }
        }
        Ok(complaints)
    }

    /// A mirror does not end by itself: if it has, the rest was not copied, and it is not tcpcopy's fault.
    pub(crate) fn mirror_complaint(&mut self) -> Result<Option<String>> {
        let Some(mirror) = &mut self.mirror else { return Ok(None) };
        let ended = mirror.ended()?;
        Ok(ended.map(|status| format!("the mirror ended with {status}: {}", mirror.last_words())))
    }

    /// Makes an event happen; returns what was said to it.
    pub(crate) fn act(&mut self, action: Action) -> Result<Vec<Answer>> {
        let mut answers = Vec::new();
        match action {
            Action::Start(who) => self.start(who)?,
            Action::Kill(who) => self.kill(who)?,
            Action::Stop(who) => self.signal(who, Signal::SIGSTOP)?,
            Action::Continue(who) => self.signal(who, Signal::SIGCONT)?,
            Action::Cut(hop) => self.world.set_hop(hop, false)?,
            Action::Open(hop) => self.world.set_hop(hop, true)?,
            Action::Swap(swap) => answers = self.swap(&swap)?,
            Action::Disconnect => {
                self.target.database().context("the target is no database")?.disconnect_idle()?;
            }
        }
        self.happened.push(monotonic_us());
        Ok(answers)
    }

    /// Has every tcpcopy process that serves the mapping replace its module.
    fn swap(&mut self, swap: &Swap) -> Result<Vec<Answer>> {
        let words = self.peers.swap_words(self.scenario, swap, self.world.scratch());
        let mut answers = Vec::new();
        for (index, tcpcopy) in self.scenario.tcpcopies.iter().enumerate() {
            if tcpcopy.serves(swap.mapping) {
                let answer = self.ask(index, &words)?;
                self.complaints.extend(control::complaint_about(swap, &answer));
                answers.push(answer);
            }
        }
        Ok(answers)
    }

    /// Asks one tcpcopy process something.
    fn ask(&mut self, index: usize, words: &[String]) -> Result<Answer> {
        self.questions += 1;
        let name = format!("ctl-{}-{}", self.questions, words[0]);
        let launch = self.peers.control(&name, index, self.world.scratch(), words);
        control::ask(self.world.host(HostName::Online), launch, self.world.scratch())
    }

    /// What a person at the admin sockets sees of modules and what they recorded, process by process; nothing where no
    /// module is.
    pub(crate) fn views(&mut self) -> Result<Vec<Answer>> {
        let mut views = Vec::new();
        if self.scenario.has_modules() {
            for index in 0..self.tcpcopies.len() {
                for view in ["modules", "stats"] {
                    views.push(self.ask(index, &[view.to_owned()])?);
                }
            }
        }
        Ok(views)
    }

    fn kill(&mut self, who: Who) -> Result<()> {
        match who {
            Who::Target => self.target.stop()?,
            Who::Tcpcopy => self.tcpcopies.clear(),
            Who::Intercept => {
                if let Some(mut intercept) = self.intercept.take() {
                    intercept.kill()?;
                    self.intercept_before = self.intercept_before.followed_by(intercept.usage());
                }
            }
        }
        Ok(())
    }

    fn signal(&self, who: Who, signal: Signal) -> Result<()> {
        match who {
            Who::Target => self.target.signal(signal),
            Who::Tcpcopy => self.tcpcopies.iter().try_for_each(|process| process.signal(signal)),
            Who::Intercept => self.intercept.iter().try_for_each(|process| process.signal(signal)),
        }
    }

    /// What tcpcopy and intercept have used so far.
    pub(crate) fn usage(&mut self) -> [Usage; 2] {
        let tcpcopy = self.tcpcopies.iter_mut().map(Process::usage).fold(Usage::default(), Usage::plus);
        let intercept = self.intercept.as_mut().map(Process::usage).unwrap_or_default();
        [tcpcopy, self.intercept_before.followed_by(intercept)]
    }

    /// Ends tcpcopy, then intercept; returns how each ended.
    pub(crate) fn end_peers(&mut self) -> Result<Vec<PeerEnd>> {
        let mut ends = Vec::new();
        for process in self.tcpcopies.iter_mut().chain(&mut self.intercept) {
            let may_end = self.scenario.is_recorded && process.name().starts_with("tcpcopy");
            let too_early = process.ended()?.is_some() && !may_end;
            let status = process.terminate(GOODBYE)?;
            ends.push(PeerEnd { name: process.name().to_owned(), status, too_early });
        }
        Ok(ends)
    }

    /// The reports tcpcopy wrote at its end.
    pub(crate) fn reports(&self) -> Result<Vec<Value>> {
        if !self.peers.reports() {
            return Ok(Vec::new());
        }
        (0..self.tcpcopies.len()).map(|index| read_report(&self.report_path(index))).collect()
    }
}

fn start_users(world: &World, name: &str, plan: &UsersPlan) -> Result<(Process, PathBuf)> {
    let path = world.scratch().join(format!("{name}.json"));
    fs::write(&path, serde_json::to_vec(plan)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let record = world.scratch().join(format!("{name}.record"));
    let launch = Launch::own_binary(name)?.arg("users").arg(&path).arg("--record").arg(&record);
    Ok((Process::start(world.host(HostName::Client), launch, world.scratch())?, record))
}

fn latest_progress(output: &str) -> Option<UsersProgress> {
    output.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

fn read_report(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("tcpcopy wrote no report to {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("tcpcopy's report {} is no JSON", path.display()))
}
