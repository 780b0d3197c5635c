//! One world's conditions: who talks how, what the links do, what fails when.

use std::ops::RangeInclusive;
use std::time::Duration;

use tcpcopy_engine::Pace;

use crate::framing::Serving;
use crate::host::Manner;
use crate::link::{Faults, Phase};

/// How a user's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The user closes after the last answer.
    UserCloses,
    /// The user closes right after the last request and still hears the answer.
    HalfClose,
    /// The online server closes after the last answer.
    ServerCloses,
    /// The user resets after the last answer.
    UserResets,
    /// The user resets right after the last request, whatever of it is on its way.
    UserResetsUnheard,
    /// The user is never heard of again.
    UserVanishes,
}

/// Body sizes in bytes: one of the ranges is drawn, then a size in it.
pub type Sizes = Vec<RangeInclusive<usize>>;

/// How users talk.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Users, each with an address of its own.
    pub users: usize,
    /// Connections of each user, one after the other.
    pub connections: RangeInclusive<usize>,
    /// Turns of each connection.
    pub turns: RangeInclusive<usize>,
    /// Requests said at once in a turn.
    pub pipelined: RangeInclusive<usize>,
    /// Share of turns that do not wait for the answer to the turn before, 0–1.
    pub overlapping: f64,
    /// Share of requests said in pieces, 0–1.
    pub split: f64,
    /// Bodies of requests.
    pub requests: Sizes,
    /// Time between hearing and speaking.
    pub think: RangeInclusive<Duration>,
    /// How connections end.
    pub endings: Vec<Ending>,
    /// Share of connections that use the port of the one before, 0–1.
    pub same_port: f64,
    /// Connections begin within this time of the world's beginning or of the end of the one before.
    pub begin_within: Duration,
}

/// How a server answers.
#[derive(Clone, Debug)]
pub struct Service {
    /// Bodies of responses.
    pub responses: Sizes,
    /// Time it takes to answer a request.
    pub takes: RangeInclusive<Duration>,
    /// Its TCP.
    pub manner: Manner,
    /// It reads at most so many bytes each time, and rests in between.
    pub reading: Option<(usize, Duration)>,
    /// It reads nothing in these phases.
    pub deaf: Vec<Phase>,
    /// It does not run in these phases: connections are refused, those it had are forgotten.
    pub down: Vec<Phase>,
    /// It closes after every so many responses of a connection.
    pub closes_every: Option<u32>,
    /// It resets instead of giving every so many-th response.
    pub resets_every: Option<u32>,
    /// It answers a request with a longer body before all of that has come, and resets once the answer has arrived.
    pub refuses_over: Option<usize>,
}

/// What happens to the capture.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// It begins this long after the world.
    pub from: Duration,
    /// Share of packets lost, 0–1.
    pub loss: f64,
    /// Share of packets of which only the first 96 bytes are kept, 0–1.
    pub truncated: f64,
    /// tcpcopy is stopped in these phases; what is captured meanwhile waits.
    pub stalls: Vec<Phase>,
}

/// What happens to the feed in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The connection breaks and cannot be made anew before the end.
    Cut,
    /// Nothing arrives before the end, but nothing is lost.
    Stall,
    /// Intercept dies; another one starts at the end.
    Restart,
}

/// All conditions of one world.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides everything that is left open.
    pub seed: u64,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// How users talk.
    pub talk: Talk,
    /// The users' TCP.
    pub user_manner: Manner,
    /// The online server.
    pub online: Service,
    /// The target.
    pub target: Service,
    /// Length of both servers' greetings; without: users speak first.
    pub greeting: Option<usize>,
    /// Users to the online server, before the capture.
    pub user_link: Faults,
    /// The capture.
    pub capture: Capture,
    /// tcpcopy to the target.
    pub transmit_link: Faults,
    /// Larger packets to the target are refused locally, in bytes.
    pub transmit_mtu: Option<usize>,
    /// Target to intercept.
    pub response_link: Faults,
    /// Time from one end of the feed to the other.
    pub feed_latency: Duration,
    /// Failures of the feed.
    pub outages: Vec<(Phase, Outage)>,
    /// Pacing.
    pub pace: Pace,
    /// `-W`.
    pub overlap_turns: bool,
    /// `-O`.
    pub only_whole_sessions: bool,
    /// Addresses that all users are mapped on (`-c`); zero: they keep their own.
    pub pool: u8,
    /// The engine's memory budget in bytes.
    pub memory_budget: usize,
    /// Whether a module serves the sessions.
    pub serving: Serving,
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Scenario {
    /// One user, one connection, one request, no faults.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        let service = Service {
            responses: vec![100..=100],
            takes: millis(1)..=millis(1),
            manner: Manner::default(),
            reading: None,
            deaf: Vec::new(),
            down: Vec::new(),
            closes_every: None,
            resets_every: None,
            refuses_over: None,
        };
        let lan = Faults { latency: Duration::from_micros(200), ..Faults::default() };
        Self {
            seed,
            ipv6: false,
            talk: Talk {
                users: 1,
                connections: 1..=1,
                turns: 1..=1,
                pipelined: 1..=1,
                overlapping: 0.0,
                split: 0.0,
                requests: vec![100..=100],
                think: millis(5)..=millis(5),
                endings: vec![Ending::UserCloses],
                same_port: 0.0,
                begin_within: millis(10),
            },
            user_manner: Manner::default(),
            online: service.clone(),
            target: service,
            greeting: None,
            user_link: Faults { latency: millis(5), ..Faults::default() },
            capture: Capture::default(),
            transmit_link: lan.clone(),
            transmit_mtu: None,
            response_link: lan,
            feed_latency: Duration::from_micros(300),
            outages: Vec::new(),
            pace: Pace::Measured,
            overlap_turns: false,
            only_whole_sessions: false,
            pool: 0,
            memory_budget: 1 << 30,
            serving: Serving::Nobody,
        }
    }

    /// Whether every packet that reaches the online server also reaches tcpcopy whole.
    #[must_use]
    pub fn captures_everything(&self) -> bool {
        self.capture.from.is_zero() && self.capture.loss == 0.0 && self.capture.truncated == 0.0
    }

    /// Whether the target takes every request on the connection it comes on.
    #[must_use]
    pub fn target_cooperates(&self) -> bool {
        self.target.closes_every.is_none()
            && self.target.resets_every.is_none()
            && self.target.refuses_over.is_none()
            && self.target.down.is_empty()
    }

    /// Whether a user may speak before having heard the whole answer, so that headers alone do not tell where
    /// a request begins; and no module does.
    #[must_use]
    pub fn blurs_turns(&self) -> bool {
        self.serving != Serving::Judging && self.overlaps()
    }

    /// Whether a user may speak before having heard the whole answer.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        self.talk.overlapping > 0.0 || *self.talk.pipelined.end() > 1
    }

    /// When the last failure is over, counted from the world's beginning.
    pub(crate) fn failures_end(&self) -> Duration {
        let outages = self.outages.iter().map(|(phase, _)| phase);
        let lists = [
            &self.user_link.dark,
            &self.transmit_link.dark,
            &self.response_link.dark,
            &self.target.deaf,
            &self.target.down,
            &self.capture.stalls,
        ];
        lists.into_iter().flatten().chain(outages).map(Phase::until).max().unwrap_or_default()
    }
}
