//! A scenario: who talks to whom, what goes wrong when, and what must reach the target.
//!
//! [`table`] holds them all as values; [`run`](run::run) plays one in a [`World`](crate::world::World) of its own
//! and says in an [`Outcome`](outcome::Outcome) what came of it.

pub mod accounting;
pub mod control;
pub mod demand;
mod drain;
pub mod module;
pub mod outcome;
pub mod peers;
pub mod run;
mod servers;
mod stage;
pub mod table;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::datagrams::SendersPlan;
use crate::mirror::Tunnel;
use crate::mysql::clients::Clients;
use crate::mysql::servers::Engine;
use crate::scenario::demand::Demand;
use crate::scenario::module::{Module, Swap};
use crate::traffic::{ServerPlan, UserConnection, UsersPlan};
use crate::world::hop::{Hop, Impairments};
use crate::world::host::HostName;
use crate::world::plan::{self, ONLINE, ONLINE_V6, PORT, TARGET, TARGET_V6};

/// One scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What the commands call it.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// What the C tools reached on it, where that was measured.
    pub c: Option<&'static str>,
    /// The fraction of the counted requests that must reach the target byte for byte.
    pub must: f64,
    /// How often each of them must arrive, every time as a user of its own: what `-n` or `-T` says.
    pub copies: u16,
    /// Which requests are counted.
    pub counted: Counted,
    /// Part of the quick selection.
    pub quick: bool,
    /// The `-x` mappings: online address, target address.
    pub mappings: Vec<Mapping>,
    /// What the users do; plans run side by side. Targets and user addresses are filled in from the mappings.
    pub users: Vec<UsersPlan>,
    /// More users beside them, whose requests do not count: they send what a module is to break on.
    pub spoilers: Vec<UsersPlan>,
    /// Who sends datagrams, where the servers receive some. Targets are filled in from the mappings.
    pub senders: Vec<SendersPlan>,
    /// Clients of a database, where the servers are some.
    pub clients: Vec<Clients>,
    /// The online server.
    pub online: Server,
    /// The target server.
    pub target: Server,
    /// How many processes share the work of each users' plan and of each server, so that no one of them needs more
    /// open files than an ordinary user may have.
    pub processes: u32,
    /// Impaired hops.
    pub impairments: Impairments,
    /// The tcpcopy processes.
    pub tcpcopies: Vec<Tcpcopy>,
    /// The users are recorded into a file on the online host, and tcpcopy replays that when they are done.
    pub is_recorded: bool,
    /// What users say to the online host is sent to the assistant in such a tunnel, and tcpcopy captures it there.
    pub mirror: Option<Tunnel>,
    /// Who sees what the targets answer.
    pub way_back: WayBack,
    /// Options of intercept beyond the usual ones.
    pub intercept: &'static [&'static str],
    /// What happens while the users are at work.
    pub events: Vec<Event>,
    /// How long the replay may go on after the users have finished.
    pub drain: Duration,
    /// What has to be true besides.
    pub demands: &'static [Demand],
}

/// One `-x` entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Where the users connect to.
    pub online: SocketAddr,
    /// Where their requests are replayed to.
    pub target: SocketAddr,
    /// The protocol module that serves it at first.
    pub module: Option<Module>,
}

impl Mapping {
    /// The same port on both servers, over IPv4.
    #[must_use]
    pub fn v4(port: u16) -> Self {
        Self { online: (ONLINE, port).into(), target: (TARGET, port).into(), module: None }
    }

    /// The same over IPv6.
    #[must_use]
    pub fn v6(port: u16) -> Self {
        Self { online: (ONLINE_V6, port).into(), target: (TARGET_V6, port).into(), module: None }
    }

    /// The same, served by that module.
    #[must_use]
    pub fn served_by(self, module: Module) -> Self {
        Self { module: Some(module), ..self }
    }

    /// As a person would write it after `-x`.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("{}-{}", self.name(), self.target)
    }

    /// The same with the link-layer addresses of the copy hop.
    #[must_use]
    pub fn linked_argument(&self) -> String {
        let [from, to] = plan::macs(Hop::Copy);
        format!("{}@{from}-{}@{to}", self.name(), self.target)
    }

    /// The online side as a person would write it: without an address where that is enough.
    #[must_use]
    pub fn name(&self) -> String {
        match self.online.ip() {
            IpAddr::V4(_) => self.online.port().to_string(),
            IpAddr::V6(_) => self.online.to_string(),
        }
    }
}

/// A server, on either host.
#[derive(Debug, Clone, PartialEq)]
pub enum Server {
    /// The lab's own; checks and records every request.
    Tagged(ServerPlan),
    /// nginx; what it received is read from its access log.
    Nginx,
    /// Something that receives datagrams: then no intercept is part of the scenario.
    Datagrams,
    /// A database; what it executed is read from its general log.
    Database(Engine),
}

/// One tcpcopy process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tcpcopy {
    /// Which of the scenario's mappings it serves; empty: all.
    pub mappings: Vec<usize>,
    /// Options beyond `-x`, `-s` and `-l`.
    pub options: &'static [&'static str],
    /// It sends frames on the device of the copy hop.
    pub frames: Option<Frames>,
}

/// How a tcpcopy that sends frames knows whom to send them to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// `-x` says it; there is no route to the target.
    Given,
    /// It finds out; nobody has asked yet.
    Resolved,
}

/// Who sees what the targets answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WayBack {
    /// intercept, on the assistant.
    #[default]
    Intercept,
    /// tcpcopy, on the online host, to which the target's routes send the answers to 10.40/16.
    OnOnline,
    /// tcpcopy, on the assistant.
    OnAssistant,
}

impl Tcpcopy {
    /// Whether it serves the scenario's mapping of that index.
    #[must_use]
    pub fn serves(&self, mapping: usize) -> bool {
        self.mappings.is_empty() || self.mappings.contains(&mapping)
    }
}

/// Which of the users' requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Every one.
    All,
    /// Those begun after the last event.
    AfterEvents,
    /// Those whose connection was not opened between the first event and this long after the last one.
    OpenedOutsideEvents {
        /// How long after the last event connections count again.
        settle: Duration,
    },
}

/// Something that happens at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Time since the users began.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it. Who is started by an event before anything else happened to it is down at first.
    Start(Who),
    /// SIGKILL; a tagged target is ended so that its record survives, which its connections cannot tell.
    Kill(Who),
    /// SIGSTOP.
    Stop(Who),
    /// SIGCONT.
    Continue(Who),
    /// A hop swallows everything.
    Cut(Hop),
    /// The hop works again.
    Open(Hop),
    /// A mapping gets another module, by `tcpcopy ctl`.
    Swap(Swap),
    /// A target that is a database ends every connection that is between two commands.
    Disconnect,
}

impl Action {
    /// Whether something is out of order by it.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Swap(_))
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(who) => write!(f, "{who} started"),
            Self::Kill(who) => write!(f, "{who} killed"),
            Self::Stop(who) => write!(f, "{who} stopped"),
            Self::Continue(who) => write!(f, "{who} continued"),
            Self::Cut(hop) => write!(f, "{hop} hop cut"),
            Self::Open(hop) => write!(f, "{hop} hop open again"),
            Self::Swap(swap) => swap.fmt(f),
            Self::Disconnect => f.write_str("idle connections ended by the target server"),
        }
    }
}

/// A party events can happen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// All tcpcopy processes.
    Tcpcopy,
    /// intercept.
    Intercept,
    /// The target server.
    Target,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcpcopy => "tcpcopy",
            Self::Intercept => "intercept",
            Self::Target => "the target server",
        })
    }
}

impl Scenario {
    /// A scenario without faults: one mapping, tagged servers, one tcpcopy, everything counted.
    #[must_use]
    pub fn new(name: &'static str, about: &'static str, users: UsersPlan) -> Self {
        Self {
            name,
            about,
            c: None,
            must: 1.0,
            copies: 1,
            counted: Counted::All,
            quick: false,
            mappings: vec![Mapping::v4(PORT)],
            users: vec![users],
            spoilers: Vec::new(),
            senders: Vec::new(),
            clients: Vec::new(),
            online: Server::Tagged(ServerPlan::default()),
            target: Server::Tagged(ServerPlan::default()),
            processes: 1,
            impairments: Impairments::default(),
            tcpcopies: vec![Tcpcopy::default()],
            is_recorded: false,
            mirror: None,
            way_back: WayBack::default(),
            intercept: &[],
            events: Vec::new(),
            drain: Duration::from_secs(20),
            demands: &[],
        }
    }

    /// Whether an event will start this party before anything else happens to it.
    #[must_use]
    pub fn is_down_at_first(&self, who: Who) -> bool {
        let about = |event: &&Event| match event.action {
            Action::Start(party) | Action::Kill(party) | Action::Stop(party) | Action::Continue(party) => {
                party == who
            }
            Action::Cut(_) | Action::Open(_) | Action::Swap(_) | Action::Disconnect => false,
        };
        self.events.iter().find(about).is_some_and(|event| matches!(event.action, Action::Start(_)))
    }

    /// Whether an intercept takes part.
    #[must_use]
    pub fn has_intercept(&self) -> bool {
        !self.is_udp() && self.way_back == WayBack::Intercept
    }

    /// Where tcpcopy runs.
    #[must_use]
    pub fn host_of_tcpcopy(&self) -> HostName {
        match self.way_back {
            WayBack::Intercept | WayBack::OnOnline => HostName::Online,
            WayBack::OnAssistant => HostName::Assistant,
        }
    }

    /// Whether datagrams are copied.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        self.target == Server::Datagrams
    }

    /// What it needs from elsewhere that is not on this machine yet, and how it gets there.
    #[must_use]
    pub fn missing_downloads(&self) -> Vec<&'static str> {
        let servers = [&self.online, &self.target].into_iter().filter_map(|server| match server {
            Server::Database(engine) => engine.missing_download(),
            Server::Tagged(_) | Server::Nginx | Server::Datagrams => None,
        });
        let clients = self.clients.iter().filter_map(|clients| clients.program.missing_download());
        let mut missing: Vec<_> = servers.chain(clients).collect();
        missing.dedup();
        missing
    }

    /// Every module of it, those that are not to load included.
    pub fn modules(&self) -> impl Iterator<Item = Module> {
        let first = self.mappings.iter().filter_map(|mapping| mapping.module);
        first.chain(self.events.iter().filter_map(|event| match event.action {
            Action::Swap(swap) => Some(swap.module),
            _ => None,
        }))
    }

    /// Whether any module is part of it: the C tools cannot play it.
    #[must_use]
    pub fn has_modules(&self) -> bool {
        self.modules().next().is_some()
    }

    /// Whether that connection is one of [`spoilers`](Self::spoilers).
    #[must_use]
    pub fn is_spoiled(&self, connection: &UserConnection) -> bool {
        let spoils =
            |plan: &UsersPlan| (plan.first_user..plan.first_user + plan.users).contains(&connection.user);
        self.spoilers.iter().any(spoils)
    }

    /// Whether a request begun at `sent_at` on a connection opened at `opened_at` counts, when the events happened
    /// at `events`. All times are those of one clock, in microseconds.
    #[must_use]
    pub fn counts(&self, opened_at: u64, sent_at: u64, events: &[u64]) -> bool {
        let (Some(&first), Some(&last)) = (events.first(), events.last()) else {
            return true;
        };
        match self.counted {
            Counted::All => true,
            Counted::AfterEvents => sent_at > last,
            Counted::OpenedOutsideEvents { settle } => {
                let settled = last + u64::try_from(settle.as_micros()).unwrap_or(u64::MAX);
                opened_at < first || opened_at > settled
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(counted: Counted) -> Scenario {
        Scenario { counted, ..Scenario::new("x", "x", UsersPlan::default()) }
    }

    #[test]
    fn mappings_read_as_a_person_writes_them() {
        assert_eq!(Mapping::v4(8080).argument(), "8080-10.10.3.2:8080");
        assert_eq!(Mapping::v6(80).argument(), "[fd00:10:1::2]:80-[fd00:10:3::2]:80");
    }

    #[test]
    fn connections_opened_during_an_outage_do_not_count() {
        let outage = scenario(Counted::OpenedOutsideEvents { settle: Duration::from_micros(5) });
        let counts = |opened| outage.counts(opened, 1000, &[100, 200]);
        assert_eq!([99, 150, 203, 206].map(counts), [true, false, false, true]);
    }

    #[test]
    fn only_requests_after_the_last_event_count() {
        let late = scenario(Counted::AfterEvents);
        assert!(!late.counts(0, 200, &[100, 200]));
        assert!(late.counts(0, 201, &[100, 200]));
    }

    #[test]
    fn who_is_started_by_an_event_is_down_at_first() {
        let event = |action| Event { at: Duration::ZERO, action };
        let mut restart = scenario(Counted::All);
        restart.events = vec![event(Action::Kill(Who::Target)), event(Action::Start(Who::Target))];
        assert!(!restart.is_down_at_first(Who::Target));
        restart.events.remove(0);
        assert!(restart.is_down_at_first(Who::Target));
        assert!(!restart.is_down_at_first(Who::Tcpcopy));
    }
}
