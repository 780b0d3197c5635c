//! Plays one scenario: hosts up, servers, intercept, tcpcopy, users, events, drain, ends, account.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::datagrams::{self, Datagrams};
use crate::mysql::accounting::Databases;
use crate::scenario::accounting::Seen;
use crate::scenario::control::Answer;
use crate::scenario::demand::{self, Evidence};
use crate::scenario::drain::Drain;
use crate::scenario::outcome::{
    Outcome, ServerSummary, UsersSummary, complaints_about, complaints_about_ends, summarize_server,
    summarize_users,
};
use crate::scenario::peers::Peers;
use crate::scenario::stage::Stage;
use crate::scenario::{Action, Scenario, accounting};
use crate::traffic::{RequestId, ServerRecord, Tally, UsersProgress, UsersRecord, compare_if, tally_copies};
use crate::world::hop::Hop;
use crate::world::host::HostName;
use crate::world::procfs::Usage;
use crate::world::{World, private};

/// How often the stage is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often whoever watches is told.
const TELL: Duration = Duration::from_millis(250);

/// What whoever watches is told.
#[derive(Debug, Clone)]
pub enum Moment {
    /// Hosts and programs are ready, after this long.
    Ready(Duration),
    /// The users are at work.
    AtWork {
        /// Since they began.
        elapsed: Duration,
        /// How far they are; `None` in their first second.
        users: Option<UsersProgress>,
        /// What tcpcopy and intercept have used so far.
        usage: [Usage; 2],
    },
    /// An event happened.
    Happened {
        /// Since the users began.
        elapsed: Duration,
        /// What.
        action: Action,
        /// What was said to it.
        answers: Vec<Answer>,
    },
    /// The users are done, the replay goes on, for so long already.
    Draining(Duration),
    /// The replay is over; records are being compared.
    Comparing,
}

/// Plays a scenario in a world of its own. Only possible inside [`private::enter`]'s namespaces.
///
/// # Errors
/// When the scenario could not be played. That it was played and did not pass is no error: see
/// [`Outcome::complaints`].
pub fn run(
    scenario: &Scenario,
    peers: &Peers,
    keep: Option<&Path>,
    tell: &mut dyn FnMut(&Moment),
) -> Result<Outcome> {
    let began = Instant::now();
    let scratch = private::scratch(keep, &format!("{}-{}", scenario.name, peers.label()))?;
    let world = World::up(&scenario.impairments, &scratch)?;
    let mut stage = Stage::new(scenario, peers, world);
    stage.set()?;
    let bring_up = began.elapsed();
    tell(&Moment::Ready(bring_up));

    let admitted = Instant::now();
    stage.admit_users()?;
    play(&mut stage, scenario, admitted, tell)?;
    let at_work = admitted.elapsed();
    stage.replay_recording()?;
    let drain = drain(&mut stage, scenario, tell);
    tell(&Moment::Comparing);

    let views = stage.views()?;
    let fed = stage.world.host(HostName::Online).received(Hop::Feed);
    let [tcpcopy, intercept] = stage.usage();
    let ends = stage.end_peers()?;
    stage.online.stop()?;
    stage.target.stop()?;
    let account = Account::take(&mut stage, scenario)?;
    let Sums { users, online, target, tally } = account.sums();
    let mut complaints = complaints_about(scenario, &tally, &users);
    complaints.append(&mut stage.clients_complaints()?);
    complaints.extend(stage.mirror_complaint()?);
    complaints.extend(account.databases.iter().flat_map(|databases| databases.account.examples.clone()));
    let reports = stage.reports()?;
    complaints.extend(complaints_about_ends(ends.iter().filter(|end| peers.obeys(&end.name))));
    complaints.extend(accounting::complaints(&reports, account.seen(stage.capturing_since)));
    complaints.append(&mut stage.complaints);
    complaints.extend(demand::complaints(
        scenario.demands,
        &Evidence {
            reports: &reports,
            spoiled: &account.spoiled,
            fed,
            overlapping: account.target.iter().map(|record| record.overlapping).sum(),
            held_back: account.databases.as_ref().map_or(0, Databases::held_back),
            restoring: account.databases.as_ref().map_or(0, |databases| databases.account.restoring),
            connections: (users.connections, target.connections),
            requests: (users.requests, target.requests),
        },
    ));
    if !complaints.is_empty() {
        complaints.extend(accounting::kernel_drops(&reports));
    }
    let outcome = Outcome {
        scenario: scenario.name.to_owned(),
        peers: peers.label().to_owned(),
        must: scenario.must,
        users,
        online,
        target,
        executed: account.databases.as_ref().map(Databases::executed).unwrap_or_default(),
        tally,
        tcpcopy,
        intercept,
        reports,
        views,
        wires: stage.world.finish_wires()?,
        complaints,
        bring_up,
        at_work,
        drain,
    };
    let path = scratch.join("outcome.json");
    fs::write(&path, serde_json::to_vec_pretty(&outcome)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(outcome)
}

/// From the users' first step until they have gone home, with all events.
fn play(
    stage: &mut Stage<'_>,
    scenario: &Scenario,
    began: Instant,
    tell: &mut dyn FnMut(&Moment),
) -> Result<()> {
    let mut events = scenario.events.iter().peekable();
    let mut told = Duration::ZERO;
    while !stage.users_are_done()? || events.peek().is_some() {
        let elapsed = began.elapsed();
        if let Some(event) = events.next_if(|event| event.at <= elapsed) {
            let acted = stage.act(event.action);
            let answers = acted.with_context(|| format!("the event \"{}\" failed", event.action))?;
            tell(&Moment::Happened { elapsed: began.elapsed(), action: event.action, answers });
        }
        if elapsed >= told + TELL {
            told = elapsed;
            let usage = stage.usage();
            tell(&Moment::AtWork { elapsed, users: stage.progress(), usage });
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Waits until the replay is over; returns how long that took.
fn drain(stage: &mut Stage<'_>, scenario: &Scenario, tell: &mut dyn FnMut(&Moment)) -> Duration {
    let began = Instant::now();
    let mut drain = Drain::new(scenario, began);
    let mut told = Duration::ZERO;
    while !drain.is_over(stage.world.host(HostName::Target), Instant::now()) {
        if began.elapsed() >= told + TELL {
            told = began.elapsed();
            tell(&Moment::Draining(told));
        }
        thread::sleep(LOOK * 2);
    }
    began.elapsed()
}

/// The records of a run and their comparison.
struct Account {
    users: Vec<UsersRecord>,
    online: Vec<ServerRecord>,
    target: Vec<ServerRecord>,
    tally: Tally,
    /// The same of the users that do not count.
    spoiled: Tally,
    databases: Option<Databases>,
    datagrams: Option<Datagrams>,
}

/// The figures of an account.
struct Sums {
    users: UsersSummary,
    online: ServerSummary,
    target: ServerSummary,
    tally: Tally,
}

impl Account {
    fn take(stage: &mut Stage<'_>, scenario: &Scenario) -> Result<Self> {
        let users = stage.users_records()?;
        let online = stage.online.records()?;
        let target = stage.target.records()?;
        let happened = &stage.happened;
        let tally = tally_copies(scenario.copies, &target, |target| {
            compare_if(&users, target, |request, connection| {
                !scenario.is_spoiled(connection)
                    && scenario.counts(connection.opened_at, request.sent_at, happened)
            })
        });
        let spoiled = compare_if(&users, &target, |_, connection| scenario.is_spoiled(connection));
        let databases = stage.online.database().is_some();
        let databases = databases
            .then(|| {
                Ok::<_, anyhow::Error>(Databases::of(
                    stage.online.general_log()?,
                    stage.target.general_log()?,
                ))
            })
            .transpose()?;
        let datagrams = match scenario.is_udp() {
            true => {
                let senders = stage.sender_records()?;
                Some(datagrams::account(&senders, &stage.target.receiver_records()?, scenario.copies))
            }
            false => None,
        };
        Ok(Self { users, online, target, tally, spoiled, databases, datagrams })
    }

    fn sums(&self) -> Sums {
        if let Some(databases) = &self.databases {
            let [online, target] = databases.servers();
            return Sums { users: databases.users(), online, target, tally: databases.account.tally() };
        }
        if let Some(Datagrams { tally, users, target }) = self.datagrams.clone() {
            return Sums { users, online: ServerSummary::default(), target, tally };
        }
        let sent_at = self.sent_at();
        Sums {
            users: summarize_users(&self.users),
            online: summarize_server(&self.online, &sent_at),
            target: summarize_server(&self.target, &sent_at),
            tally: self.tally.clone(),
        }
    }

    fn sent_at(&self) -> HashMap<RequestId, u64> {
        let requests = self.users.iter().flat_map(|record| &record.requests);
        requests.map(|request| (request.id, request.sent_at)).collect()
    }

    /// What became of the bytes of requests begun since tcpcopy was ready.
    fn seen(&self, since: u64) -> Seen {
        let ids = |records: &[ServerRecord]| -> HashSet<RequestId> {
            records.iter().flat_map(|record| &record.arrivals).map(|arrival| arrival.id).collect()
        };
        let (online, target) = (ids(&self.online), ids(&self.target));
        let mut seen = Seen::default();
        for request in self.users.iter().flat_map(|record| &record.requests) {
            if request.sent_at < since {
                continue;
            }
            if target.contains(&request.id) {
                seen.arrived += request.bytes;
            } else if online.contains(&request.id) {
                seen.missing += request.bytes;
            }
        }
        seen
    }
}
