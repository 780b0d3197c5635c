//! The world: who stands where, and what happens next.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use fastrand::Rng;
use tcpcopy_feed::{PeerId, Relay, RelayEvent, RelayOptions};
use tcpcopy_wire::{Endpoint, Instant, Segment, parse_ip};

use crate::feed::{End, Feed, RECONNECT};
use crate::host::Host;
use crate::ledger::Ledger;
use crate::link::{Link, Phase};
use crate::outcome::{self, Outcome};
use crate::replayer::Replayer;
use crate::scenario::{Outage, Scenario};
use crate::schedule::Schedule;
use crate::script::Play;
use crate::server::Server;
use crate::user::User;
use crate::{Violation, invariants};

/// Not the epoch, so that a time that was never set shows.
const BEGINNING: Instant = Instant::from_micros(1_000_000_000);
const ONLINE_PORT: u16 = 80;
const TARGET_PORT: u16 = 8080;
/// The users are done and the engine is idle this long after the last failure, or something hangs.
const LONGEST: Duration = Duration::from_secs(3600);
/// More steps than any scenario needs, and more than any needs at one point in time.
const MOST_STEPS: u64 = 5_000_000;
const MOST_STEPS_AT_ONCE: u64 = 100_000;
/// Bytes kept of a truncated frame.
const SNAPLEN: usize = 96;

/// Everyone who does something on their own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    User(usize),
    Online,
    Target,
    Replayer,
    Assistant,
}

/// What can happen.
enum Event {
    /// A packet arrives at an actor.
    Arrival(Actor, Vec<u8>),
    /// tcpcopy reads a captured frame: when it was captured, what was kept, how long it was.
    Capture(Instant, Vec<u8>, usize),
    /// Bytes of the feed's `u64`th connection arrive.
    Feed(End, u64, Vec<u8>),
    /// tcpcopy tries to connect to intercept.
    Connect,
    /// Something happens to the feed.
    Outage(Outage),
    /// An actor had something to do at this time, and may still have.
    Wake(Actor),
}

impl Event {
    fn name(&self) -> String {
        match self {
            Self::Arrival(actor, _) => format!("an arrival at {actor:?}"),
            Self::Capture(..) => "a capture".into(),
            Self::Feed(end, ..) => format!("bytes of the feed for {end:?}"),
            Self::Connect => "an attempt to connect to intercept".into(),
            Self::Outage(outage) => format!("{outage:?}"),
            Self::Wake(actor) => format!("time for {actor:?}"),
        }
    }
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
        self.ledger.attribute_heads()?;
        let outcome = Outcome::new(&self.ledger, &self.replayer.engine, self.elapsed())?;
        invariants::check_end(&self.scenario, &self.ledger, &self.replayer.engine, &outcome)?;
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
        let ledger = Ledger::new(&play, scenario.blurs_turns());
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
        self.show(&event);
        match event {
            Event::Arrival(Actor::Online, packet) => self.arrive_at_online(packet)?,
            Event::Arrival(Actor::Target, packet) => {
                self.target.receive(packet, self.now);
                self.act(Actor::Target)?;
            }
            Event::Arrival(Actor::User(user), packet) => {
                self.users[user].host.receive(packet);
                self.act(Actor::User(user))?;
            }
            Event::Arrival(Actor::Assistant, packet) => self.arrive_at_assistant(&packet)?,
            Event::Arrival(Actor::Replayer, _) => {}
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

    fn show(&mut self, event: &Event) {
        let elapsed = self.elapsed();
        let Some(onlooker) = &mut self.onlooker else { return };
        let (place, packet, len) = match event {
            Event::Arrival(Actor::User(_), packet) => ("user", packet, packet.len()),
            Event::Arrival(Actor::Online, packet) => ("online", packet, packet.len()),
            Event::Arrival(Actor::Target, packet) => ("target", packet, packet.len()),
            Event::Arrival(Actor::Assistant, packet) => ("intercept", packet, packet.len()),
            Event::Capture(_, packet, len) => ("tcpcopy", packet, *len),
            _ => return,
        };
        if let Ok(segment) = parse_ip(packet, len) {
            onlooker(elapsed, place, &segment);
        }
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

    /// Lets an actor do what is due, carries away what it sends, and finds out when it wants to act next.
    fn act(&mut self, actor: Actor) -> Result<(), Violation> {
        let now = self.now;
        let next = match actor {
            Actor::User(user) => self.act_user(user),
            Actor::Online => {
                let at = act_server(&mut self.online, now);
                self.send_from_online();
                self.online.take_heard();
                at
            }
            Actor::Target => {
                let at = act_server(&mut self.target, now);
                self.send_from_target();
                self.note_heard()?;
                at
            }
            Actor::Replayer => {
                if !self.is_stalled() {
                    self.replayer.handle_timeout(now)?;
                }
                self.send_from_replayer()?;
                let until = self.stalled_until().unwrap_or(now);
                self.replayer.wakes_at().map(|at| at.max(until))
            }
            Actor::Assistant => {
                if self.feed.intercept_runs(now) && self.relay.poll_timeout().is_some_and(|at| at <= now) {
                    self.relay.handle_timeout(now);
                }
                self.send_from_assistant()?;
                self.relay.poll_timeout().filter(|_| self.feed.intercept_runs(now))
            }
        };
        if let Some(at) = next
            && at < *self.wake_of(actor)
        {
            *self.wake_of(actor) = at;
            self.schedule.enter(at, Event::Wake(actor));
        }
        Ok(())
    }

    fn act_user(&mut self, number: usize) -> Option<Instant> {
        let now = self.now;
        let user = &mut self.users[number];
        user.host.poll(now);
        if let Some(begun) = user.act(now) {
            self.ledger.begin(number, begun);
        }
        user.host.poll(now);
        while let Some(packet) = user.host.take_sent() {
            for at in self.user_links[number][0].send(packet.len(), now) {
                self.schedule.enter(at, Event::Arrival(Actor::Online, packet.clone()));
            }
        }
        user.host.poll_at(now).into_iter().chain(user.acts_at()).min()
    }

    fn send_from_online(&mut self) {
        while let Some(packet) = self.online.take_sent() {
            let Ok(segment) = parse_ip(&packet, packet.len()) else { continue };
            let Some(user) = self.users.iter().position(|user| user.host.addr == segment.destination.addr)
            else {
                continue;
            };
            for at in self.user_links[user][1].send(packet.len(), self.now) {
                self.schedule.enter(at, Event::Arrival(Actor::User(user), packet.clone()));
            }
        }
    }

    fn send_from_target(&mut self) {
        while let Some(packet) = self.target.take_sent() {
            for at in self.response_link.send(packet.len(), self.now) {
                self.schedule.enter(at, Event::Arrival(Actor::Assistant, packet.clone()));
            }
        }
    }

    fn send_from_replayer(&mut self) -> Result<(), Violation> {
        for packet in std::mem::take(&mut self.replayer.outgoing) {
            for at in self.transmit_link.send(packet.len(), self.now) {
                self.schedule.enter(at, Event::Arrival(Actor::Target, packet.clone()));
            }
        }
        if self.replayer.feed_failed {
            self.break_feed()?;
        }
        loop {
            let bytes = self.replayer.subscriber.poll_transmit();
            let len = self.rng.usize(..=bytes.len().min(3000)).max(1).min(bytes.len());
            let bytes = bytes[..len].to_vec();
            if bytes.is_empty() || !self.feed.is_open {
                return Ok(());
            }
            self.replayer.subscriber.consume(len);
            let at = self.feed.send(End::Intercept, self.now);
            self.schedule.enter(at, Event::Feed(End::Intercept, self.feed.connection, bytes));
        }
    }

    fn send_from_assistant(&mut self) -> Result<(), Violation> {
        while let Some(RelayEvent::Close { .. }) = self.relay.poll_event() {
            self.break_feed()?;
        }
        while let Some(peer) = self.relay.poll_writable() {
            loop {
                let bytes = self.relay.poll_transmit(peer);
                let len = self.rng.usize(..=bytes.len().min(3000)).max(1).min(bytes.len());
                let bytes = bytes[..len].to_vec();
                if bytes.is_empty() {
                    break;
                }
                self.relay.consume(peer, len);
                let at = self.feed.send(End::Tcpcopy, self.now);
                self.schedule.enter(at, Event::Feed(End::Tcpcopy, self.feed.connection, bytes));
            }
        }
        Ok(())
    }

    /// A packet of a user reaches the capture point and the online server behind it.
    fn arrive_at_online(&mut self, packet: Vec<u8>) -> Result<(), Violation> {
        let capture = &self.scenario.capture;
        let lost = self.elapsed() < capture.from || self.rng.f64() < capture.loss;
        let kept = if self.rng.f64() < capture.truncated { SNAPLEN.min(packet.len()) } else { packet.len() };
        if let Ok(segment) = parse_ip(&packet, packet.len()) {
            self.ledger.observe(&segment, !lost && kept == packet.len())?;
        }
        if !lost {
            let at = self.stalled_until().unwrap_or(self.now);
            self.schedule.enter(at, Event::Capture(self.now, packet[..kept].to_vec(), packet.len()));
        }
        self.online.receive(packet, self.now);
        self.act(Actor::Online)
    }

    fn arrive_at_assistant(&mut self, packet: &[u8]) -> Result<(), Violation> {
        if !self.feed.intercept_runs(self.now) {
            return Ok(());
        }
        let segment = parse_ip(packet, packet.len())
            .map_err(|reason| Violation(format!("a packet of the target does not parse: {reason:?}")))?;
        self.relay.handle_response(self.now, &segment);
        self.act(Actor::Assistant)
    }

    fn arrive_on_feed(&mut self, end: End, connection: u64, bytes: Vec<u8>) -> Result<(), Violation> {
        if connection != self.feed.connection {
            return Ok(());
        }
        match end {
            End::Intercept => {
                if self.relay.handle_bytes(PeerId(connection), self.now, &bytes).is_err() {
                    self.break_feed()?;
                }
                self.act(Actor::Assistant)
            }
            End::Tcpcopy => {
                if let Some(until) = self.stalled_until() {
                    self.schedule.enter(until, Event::Feed(end, connection, bytes));
                    return Ok(());
                }
                self.replayer.handle_feed(self.now, &bytes)?;
                self.act(Actor::Replayer)
            }
        }
    }

    fn connect(&mut self) -> Result<(), Violation> {
        if self.feed.is_open {
            return Ok(());
        }
        if !self.feed.connect(self.now) {
            self.schedule.enter(self.now + RECONNECT, Event::Connect);
            return Ok(());
        }
        self.relay.handle_connected(PeerId(self.feed.connection), self.now);
        self.replayer.subscriber.handle_connected(self.now);
        self.act(Actor::Assistant)?;
        self.act(Actor::Replayer)
    }

    fn suffer(&mut self, outage: Outage) -> Result<(), Violation> {
        match outage {
            Outage::Stall => return Ok(()),
            Outage::Cut => {}
            Outage::Restart => self.relay = new_relay(&mut self.rng, self.now),
        }
        self.break_feed()
    }

    /// The feed's connection is gone at both ends.
    fn break_feed(&mut self) -> Result<(), Violation> {
        self.replayer.feed_failed = false;
        if !self.feed.is_open {
            return Ok(());
        }
        self.relay.handle_disconnected(PeerId(self.feed.connection), self.now);
        self.feed.disconnect();
        self.replayer.subscriber.handle_disconnected(self.now);
        self.schedule.enter(self.now + RECONNECT, Event::Connect);
        Ok(())
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

fn act_server(server: &mut Server, now: Instant) -> Option<Instant> {
    server.host.poll(now);
    server.act(now);
    server.host.poll(now);
    server.host.poll_at(now).into_iter().chain(server.acts_at(now)).min()
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
