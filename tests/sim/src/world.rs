//! The world: who stands where, and what happens next.

mod acting;
mod arriving;
mod event;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use fastrand::Rng;
use tcpcopy_feed::{Relay, RelayOptions};
use tcpcopy_wire::{Endpoint, Instant, Segment};

use event::Event;

use crate::feed::Feed;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::link::{Link, Phase};
use crate::outcome::{self, Outcome};
use crate::replayer::Replayer;
use crate::scenario::Scenario;
use crate::schedule::Schedule;
use crate::script::Play;
use crate::server::Server;
use crate::user::User;
use crate::{Violation, invariants};

/// A time as clocks show it, so that one that was never set shows.
const BEGINNING: Instant = Instant::from_micros(1_790_000_000_000_000);
const ONLINE_PORT: u16 = 80;
const TARGET_PORT: u16 = 8080;
/// The users are done and the engine is idle this long after the last failure, or something hangs.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// More steps than any scenario needs, and more than any needs at one point in time.
const MOST_STEPS: u64 = 5_000_000;
const MOST_STEPS_AT_ONCE: u64 = 100_000;

/// Everyone who does something on their own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    User(usize),
    Online,
    Target,
    Replayer,
    Assistant,
}

/// Whoever looks on: told of every packet that arrives, when and where.
pub type Onlooker = Box<dyn FnMut(Duration, &str, &Segment<'_>)>;

/// One simulated world.
pub struct World {
    scenario: Scenario,
    now: Instant,
    schedule: Schedule<Event>,
    /// When each actor will be woken, so that it is not done twice: users first.
    wakes: Vec<Instant>,
    users: Vec<User>,
    online: Server,
    target: Server,
    replayer: Replayer,
    relay: Relay,
    feed: Feed,
    rng: Rng,
    user_links: Vec<[Link; 2]>,
    transmit_link: Link,
    response_link: Link,
    ledger: Ledger,
    steps: u64,
    steps_at_once: u64,
    onlooker: Option<Onlooker>,
}

impl World {
    /// Runs the world of `scenario` to its end.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn run(scenario: Scenario) -> Result<Outcome, Violation> {
        Self::watch(scenario, None)
    }

    /// As [`Self::run`], with somebody looking on.
    ///
    /// # Errors
    /// The first [`Violation`] found.
    pub fn watch(scenario: Scenario, onlooker: Option<Onlooker>) -> Result<Outcome, Violation> {
        let mut world = Self::new(scenario);
        world.onlooker = onlooker;
        world.come_to_an_end().map_err(|violation| {
            let elapsed = world.elapsed();
            let account = outcome::account(world.replayer.engine.statistics());
            Violation(format!("{violation} [{elapsed:?} after the world began; {account}]"))
        })
    }

    fn come_to_an_end(&mut self) -> Result<Outcome, Violation> {
        self.live()?;
        let outcome = Outcome::new(&self.ledger, &self.replayer.engine, self.elapsed())?;
        invariants::check_end(&self.scenario, &self.ledger, &self.replayer, &outcome)?;
        Ok(outcome)
    }

    fn new(scenario: Scenario) -> Self {
        let mut rng = Rng::with_seed(scenario.seed);
        let now = BEGINNING;
        let play = Play::write(&scenario, &mut rng.fork());
        let online = Endpoint::new(address(&scenario, 2, 1), ONLINE_PORT);
        let target = Endpoint::new(address(&scenario, 3, 1), TARGET_PORT);
        let mut host = |addr, manner| Host::new(addr, manner, rng.u64(..), now);
        let online_host = host(online.addr, scenario.online.manner);
        let target_host = host(target.addr, scenario.target.manner);
        let user_hosts: Vec<Host> = (0..scenario.talk.users)
            .map(|user| host(address(&scenario, 1, 1 + user as u16), scenario.user_manner))
            .collect();
        let ledger = Ledger::new(&play, scenario.overlaps());
        let answers = |side: fn(&crate::script::Exchange) -> crate::script::Answer| {
            play.exchanges.iter().map(side).collect()
        };
        let online_answers = answers(|exchange| exchange.online);
        let target_answers = answers(|exchange| exchange.target);
        let users: Vec<User> = user_hosts
            .into_iter()
            .zip(play.users)
            .map(|(host, scripts)| User::new(host, online, scripts, now))
            .collect();
        let mut link = |faults: &crate::Faults| Link::new(faults.clone(), rng.fork(), now);
        let mut world = Self {
            now,
            schedule: Schedule::new(),
            wakes: vec![Instant::MAX; users.len() + 4],
            user_links: users
                .iter()
                .map(|_| [link(&scenario.user_link), link(&scenario.user_link)])
                .collect(),
            transmit_link: link(&scenario.transmit_link),
            response_link: link(&scenario.response_link),
            users,
            online: Server::new(
                online_host,
                ONLINE_PORT,
                scenario.online.clone(),
                online_answers,
                scenario.greeting,
                now,
            ),
            target: Server::new(
                target_host,
                TARGET_PORT,
                scenario.target.clone(),
                target_answers,
                scenario.greeting,
                now,
            ),
            replayer: Replayer::new(&scenario, online, target, rng.u64(..), now),
            relay: new_relay(&mut rng, now),
            feed: Feed::new(scenario.feed_latency, scenario.outages.clone(), now),
            ledger,
            rng,
            steps: 0,
            steps_at_once: 0,
            onlooker: None,
            scenario,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.schedule.enter(self.now, Event::Connect);
        let outages: Vec<_> = self.feed.outages().collect();
        for (at, outage) in outages {
            self.schedule.enter(at, Event::Outage(outage));
        }
        for user in 0..self.users.len() {
            self.schedule.enter(self.now, Event::Wake(Actor::User(user)));
        }
        for actor in [Actor::Online, Actor::Target, Actor::Replayer, Actor::Assistant] {
            self.schedule.enter(self.now, Event::Wake(actor));
        }
    }

    fn elapsed(&self) -> Duration {
        self.now.since(BEGINNING)
    }

    fn live(&mut self) -> Result<(), Violation> {
        let latest = BEGINNING + self.scenario.failures_end() + LONGEST;
        while !self.is_over() {
            let Some((at, event)) = self.schedule.next() else {
                return Err(Violation("nothing more happens, but not everything is over".into()));
            };
            self.steps_at_once = if at > self.now { 0 } else { self.steps_at_once + 1 };
            if self.steps_at_once > MOST_STEPS_AT_ONCE {
                return Err(Violation(format!("time stands still, the latest event is {}", event.name())));
            }
            self.now = at;
            self.steps += 1;
            if at > latest || self.steps > MOST_STEPS {
                let pending = self.replayer.engine.pending();
                let talking = self.users.iter().filter(|user| !user.is_done()).count();
                return Err(Violation(format!("no end in sight: {talking} users are talking, {pending:?}")));
            }
            self.happen(event)?;
        }
        self.target.read_out();
        self.note_heard()
    }

    /// Whether all users have said everything and the engine waits for nothing any more.
    fn is_over(&self) -> bool {
        self.users.iter().all(User::is_done)
            && self.replayer.engine.pending().sessions == 0
            && self.replayer.engine.poll_timeout().is_none()
            && self.elapsed() > self.scenario.failures_end()
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        if let (Some(onlooker), Some((place, segment))) = (&mut self.onlooker, event.segment()) {
            onlooker(self.now.since(BEGINNING), place, &segment);
        }
        match event {
            Event::AtOnline(packet) => self.arrive_at_online(packet)?,
            Event::AtTarget(packet) => {
                self.target.receive(packet, self.now);
                self.act(Actor::Target)?;
            }
            Event::AtUser(user, packet) => {
                self.users[user].host.receive(packet);
                self.act(Actor::User(user))?;
            }
            Event::AtAssistant(packet) => self.arrive_at_assistant(&packet)?,
            Event::Capture(at, packet, wire_len) => {
                self.replayer.handle_capture(self.now, at, &packet, wire_len)?;
                self.act(Actor::Replayer)?;
            }
            Event::Feed(end, connection, bytes) => self.arrive_on_feed(end, connection, bytes)?,
            Event::Connect => self.connect()?,
            Event::Outage(outage) => self.suffer(outage)?,
            Event::Wake(actor) => {
                let now = self.now;
                let wake = self.wake_of(actor);
                if *wake <= now {
                    *wake = Instant::MAX;
                }
                self.act(actor)?;
            }
        }
        Ok(())
    }

    fn wake_of(&mut self, actor: Actor) -> &mut Instant {
        let users = self.users.len();
        &mut self.wakes[match actor {
            Actor::User(user) => user,
            Actor::Online => users,
            Actor::Target => users + 1,
            Actor::Replayer => users + 2,
            Actor::Assistant => users + 3,
        }]
    }

    fn note_heard(&mut self) -> Result<(), Violation> {
        self.target.take_heard().into_iter().try_for_each(|heard| self.ledger.hear(heard))
    }

    fn is_stalled(&self) -> bool {
        self.stalled_until().is_some()
    }

    fn stalled_until(&self) -> Option<Instant> {
        Phase::end_at(&self.scenario.capture.stalls, self.elapsed()).map(|end| BEGINNING + end)
    }
}

fn new_relay(rng: &mut Rng, now: Instant) -> Relay {
    Relay::new(RelayOptions { identity: rng.u64(..), seed: rng.u64(..), ..RelayOptions::default() }, now)
}

/// Host `host` of network `network`.
fn address(scenario: &Scenario, network: u8, host: u16) -> IpAddr {
    if scenario.ipv6 {
        Ipv6Addr::new(0xfd00, 0, 0, u16::from(network), 0, 0, 0, host).into()
    } else {
        Ipv4Addr::new(10, network, (host >> 8) as u8, host as u8).into()
    }
}
