//! The doctor's fault matrix: a world with one fault in it, `tcpcopy doctor` run there, and what it must say.

mod impostor;
mod planned;
pub mod table;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs, io};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::scenario::peers::Peers;
use crate::world::World;
use crate::world::hop::Impairments;
use crate::world::host::{HostName, ip, run_tool};
use crate::world::plan::{ASSISTANT, FIRST_USER, ONLINE, PORT};
use crate::world::private;
use crate::world::process::{Launch, Process};
use crate::world::procfs::SocketState;
use impostor::Impostor;

/// How long the doctor may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a host differs from what it must be.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// An `ip` command was run on it.
    Ip(HostName, &'static str),
    /// A kernel setting has this value.
    Setting(HostName, &'static str, &'static str),
    /// Its packet filter drops in this hook what this rule matches.
    Drops(HostName, &'static str, &'static str),
    /// A device of it answers no ARP.
    NoArp(HostName, &'static str),
}

/// What listens where intercept should.
#[derive(Debug, Clone, Copy)]
pub enum Listener {
    /// intercept, with these arguments.
    Intercept(&'static [&'static str]),
    /// Nobody.
    Nobody,
    /// Something that says hello in this version of the feed, with these features, and nothing else.
    Hello(u16, u64),
    /// Something that says nothing, as a C intercept without responses.
    Silence,
}

/// What the doctor must say.
#[derive(Debug, Clone, Copy)]
pub struct Says {
    /// `ok`, `note` or `problem`.
    pub state: &'static str,
    /// What it is about.
    pub subject: &'static str,
    /// Words of the sentence.
    pub words: &'static str,
}

/// One entry of the matrix.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// What is wrong in it.
    pub about: &'static str,
    /// The doctor's options beside `-s`.
    pub options: &'static [&'static str],
    /// Where the server under test listens.
    pub listens: &'static [&'static str],
    /// Who is at the other end of the feed.
    pub listener: Listener,
    /// The faults.
    pub faults: &'static [Fault],
    /// The doctor has no rights.
    pub is_powerless: bool,
    /// The doctor is interrupted as soon as a probe has reached the target.
    pub is_interrupted: bool,
    /// A user is connected to the online server.
    pub has_user: bool,
    /// What `tcpcopy plan` prints was done, intercept's line included where it has one.
    pub is_planned: bool,
    /// What must be said. Problems that are not named here must not be said.
    pub says: &'static [Says],
}

/// What came of a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Examined {
    /// The case.
    pub name: String,
    /// What the doctor said.
    pub said: String,
    /// What is wrong with that.
    pub complaints: Vec<String>,
}

/// A line that the doctor said.
#[derive(Deserialize)]
struct Line {
    subject: String,
    state: String,
    text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.state, self.subject, self.text)
    }
}

impl Says {
    fn is(&self, line: &Line) -> bool {
        self.state == line.state && self.subject == line.subject && line.text.contains(self.words)
    }
}

/// Plays cases and prints what came of each, as JSON or for people; whether all went well.
///
/// # Errors
/// When there is no such case, or one could not be played.
pub fn run(names: &[String], json: bool) -> Result<bool> {
    let peers = Peers::ours()?;
    let mut well = true;
    let unknown = names.iter().find(|name| !table::CASES.iter().any(|case| case.name == name.as_str()));
    if let Some(name) = unknown {
        bail!("the doctor's matrix has no {name:?}");
    }
    for case in
        table::CASES.iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name))
    {
        let examined = play(case, &peers)?;
        well &= examined.complaints.is_empty();
        let mut out = io::stdout().lock();
        if json {
            writeln!(out, "{}", serde_json::to_string(&examined)?)?;
        } else {
            writeln!(out, "== {}: {}\n{}", case.name, case.about, examined.said)?;
            examined.complaints.iter().try_for_each(|complaint| writeln!(out, "!! {complaint}"))?;
        }
    }
    Ok(well)
}

/// Brings the world up, breaks it, and asks the doctor.
fn play(case: &Case, peers: &Peers) -> Result<Examined> {
    let scratch = private::scratch(None, &format!("doctor-{}", case.name))?;
    let world = World::up(&Impairments::default(), &scratch)?;
    let _servers = case.listens.iter().map(|address| listen(&world, address)).collect::<Result<Vec<_>>>()?;
    let _intercept = begin(case.listener, &world, peers, &scratch)?;
    case.faults.iter().try_for_each(|fault| fault.apply(&world))?;
    let _planned =
        if case.is_planned { planned::carry_out(case.options, &world, peers, &scratch)? } else { None };
    let _user = if case.has_user { Some(connect_user(&world)?) } else { None };
    let launch = doctor(case, peers);
    let mut doctor = Process::start(world.host(HostName::Online), launch, &scratch)?;
    if case.is_interrupted {
        doctor.wait_until("reach the target", PATIENCE, || {
            half_open(&world, case).is_ok_and(|count| count > 0)
        })?;
        doctor.signal(Signal::SIGINT)?;
    }
    let status = doctor.finish(PATIENCE)?;
    let said: Vec<Line> = serde_json::from_str(&doctor.stdout()?)
        .with_context(|| format!("the doctor said no JSON: {}", doctor.last_words()))?;
    let mut complaints = complaints(case, &said);
    let expected = i32::from(case.says.iter().any(|says| says.state == "problem"));
    if status.code() != Some(expected) {
        complaints.push(format!("it ended with {status} instead of exit status {expected}"));
    }
    let half_open = half_open(&world, case)?;
    if half_open > 0 {
        complaints.push(format!("it left {half_open} half-open connections on the target"));
    }
    let said: Vec<String> = said.iter().map(ToString::to_string).collect();
    Ok(Examined { name: case.name.to_owned(), said: said.join("\n"), complaints })
}

fn listen(world: &World, address: &str) -> Result<TcpListener> {
    let address: SocketAddr = address.parse()?;
    let bound = world.host(HostName::Target).within(|| TcpListener::bind(address))?;
    bound.with_context(|| format!("cannot listen on {address}"))
}

/// A user of the online server, from an address that the target has a route for.
fn connect_user(world: &World) -> Result<(TcpListener, TcpStream)> {
    let online = SocketAddr::from((ONLINE, PORT));
    let server = world.host(HostName::Online).within(|| TcpListener::bind(online))?;
    let server = server.context("cannot listen on the online host")?;
    let user = world.host(HostName::Client).within(|| {
        let user = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        user.bind(&SocketAddr::from((FIRST_USER, 0)).into())?;
        user.connect(&online.into())?;
        Ok::<TcpStream, io::Error>(user.into())
    })?;
    Ok((server, user.context("a user cannot connect to the online host")?))
}

/// Whatever is at the other end of the feed; it ends when this is dropped.
enum Begun {
    Intercept(#[expect(dead_code, reason = "it is kept running")] Process),
    Impostor(#[expect(dead_code, reason = "it is kept running")] Impostor),
    Nobody,
}

fn begin(listener: Listener, world: &World, peers: &Peers, scratch: &Path) -> Result<Begun> {
    let host = world.host(HostName::Assistant);
    Ok(match listener {
        Listener::Nobody => Begun::Nobody,
        Listener::Hello(version, features) => Begun::Impostor(Impostor::hello(host, version, features)?),
        Listener::Silence => Begun::Impostor(Impostor::silent(host)?),
        Listener::Intercept(arguments) => {
            let intercept = Process::start(host, peers.plain_intercept(arguments), scratch)?;
            peers.await_intercept(&intercept, host)?;
            Begun::Intercept(intercept)
        }
    })
}

/// The doctor's command; without rights even root has none in a program it runs.
fn doctor(case: &Case, peers: &Peers) -> Launch {
    let intercept = ASSISTANT.to_string();
    let has_way_back = case.options.iter().any(|option| ["-s", "--intercept-on"].contains(option));
    let intercept = if has_way_back { Vec::new() } else { vec!["-s", &intercept] };
    let program = peers.tcpcopy_path();
    let launch = if case.is_powerless {
        Launch::new("doctor", "setpriv").args(["--bounding-set=-all", "--inh-caps=-all"]).arg(program)
    } else {
        Launch::new("doctor", program)
    };
    launch.args(["doctor", "--json"]).args(intercept).args(case.options)
}

impl Fault {
    fn apply(self, world: &World) -> Result<()> {
        match self {
            Self::Ip(host, command) => ip(&["-n", host.as_str(), "-batch", "-"], command),
            Self::NoArp(host, device) => ip(&["-n", host.as_str(), "link", "set", device, "arp", "off"], ""),
            Self::Setting(host, setting, value) => {
                let path = Path::new("/proc/sys").join(setting);
                let written = world.host(host).within(|| fs::write(&path, value))?;
                written.with_context(|| format!("cannot set {setting} to {value} on {host}"))
            }
            Self::Drops(host, hook, rule) => {
                let table = format!(
                    "table inet fault {{ chain drops {{ type filter hook {hook} priority 0; {rule} drop; }}; }}"
                );
                let namespace = format!("--net=/run/netns/{host}");
                run_tool("nsenter", &[namespace.as_str(), "nft", "-f", "-"], &table)
            }
        }
    }
}

fn complaints(case: &Case, said: &[Line]) -> Vec<String> {
    let unsaid = case.says.iter().filter(|says| !said.iter().any(|line| says.is(line)));
    let unsaid =
        unsaid.map(|says| format!("it does not say {} {}: {:?}", says.state, says.subject, says.words));
    let problems = said.iter().filter(|line| line.state == "problem");
    let unexpected = problems.filter(|line| !case.says.iter().any(|says| says.is(line)));
    unsaid.chain(unexpected.map(|line| format!("it says without reason: {line}"))).collect()
}

/// Connections that the target has begun for the probes and that nobody ended. A reset is on its way for some microseconds.
fn half_open(world: &World, case: &Case) -> Result<usize> {
    let ports = case.listens.iter().map(|address| Ok(address.parse::<SocketAddr>()?.port()));
    let target = world.host(HostName::Target);
    let mut count = 0;
    for port in ports.collect::<Result<Vec<u16>>>()? {
        ensure!(target.sockets(port, SocketState::Listen) > 0, "the target does not listen any more");
        count += target.sockets(port, SocketState::SynReceived);
    }
    Ok(count)
}
