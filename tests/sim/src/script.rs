//! What each user is going to say, written before the world begins.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use fastrand::Rng;

use crate::protocol::{self, HEADER, Kind};
use crate::scenario::{Ending, Scenario, Sizes};

/// How both servers answer one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) body: usize,
    pub(crate) takes: Duration,
    /// The server closes afterwards.
    pub(crate) closes: bool,
}

/// One request, as both servers know it by its tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) online: Answer,
    pub(crate) target: Answer,
}

/// When a user says more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cue {
    /// Messages of the server that have to be heard before.
    pub(crate) after: usize,
    /// Time from then (and from the cue before) to speaking.
    pub(crate) delay: Duration,
    /// The offset of the stream up to which is spoken.
    pub(crate) upto: usize,
}

/// One request's place in a stream.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) tag: u32,
    pub(crate) bytes: Range<usize>,
    /// A turn begins with it.
    pub(crate) opens_turn: bool,
}

/// One connection of one user.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) begins_after: Duration,
    pub(crate) same_port: bool,
    pub(crate) stream: Vec<u8>,
    pub(crate) requests: Vec<Request>,
    pub(crate) cues: Vec<Cue>,
    /// Messages of the server heard in all.
    pub(crate) answers: usize,
    pub(crate) ending: Ending,
}

/// All scripts of a world, user by user, and how servers answer, by tag.
pub(crate) struct Play {
    pub(crate) users: Vec<Vec<Script>>,
    pub(crate) exchanges: Vec<Exchange>,
}

impl Play {
    pub(crate) fn write(scenario: &Scenario, rng: &mut Rng) -> Self {
        let mut writer = Writer { scenario, rng, exchanges: Vec::new() };
        let users = (0..scenario.talk.users)
            .map(|_| {
                let connections = number(writer.rng, &scenario.talk.connections);
                (0..connections).map(|_| writer.script()).collect()
            })
            .collect();
        Self { users, exchanges: writer.exchanges }
    }
}

struct Writer<'a> {
    scenario: &'a Scenario,
    rng: &'a mut Rng,
    exchanges: Vec<Exchange>,
}

impl Writer<'_> {
    fn script(&mut self) -> Script {
        let talk = &self.scenario.talk;
        let ending = *self.rng.choice(&talk.endings).expect("a scenario names endings");
        let mut script = Script {
            begins_after: duration(self.rng, &(Duration::ZERO..=talk.begin_within)),
            same_port: self.rng.f64() < talk.same_port,
            stream: Vec::new(),
            requests: Vec::new(),
            cues: Vec::new(),
            answers: usize::from(self.scenario.greeting.is_some()),
            ending,
        };
        for turn in 0..number(self.rng, &talk.turns) {
            let overlaps = turn > 0 && self.rng.f64() < talk.overlapping;
            self.turn(&mut script, overlaps);
        }
        if ending == Ending::ServerCloses
            && let Some(last) = self.exchanges.last_mut()
        {
            last.online.closes = true;
            last.target.closes = true;
        }
        script
    }

    fn turn(&mut self, script: &mut Script, overlaps: bool) {
        let talk = &self.scenario.talk;
        let mut after = script.answers;
        if overlaps {
            after = script.cues.last().map_or(after, |cue| cue.after);
        }
        let requests = number(self.rng, &talk.pipelined);
        for at in 0..requests {
            let start = script.stream.len();
            let tag = self.request(&mut script.stream);
            let bytes = start..script.stream.len();
            if self.rng.f64() < talk.split {
                let cut = start + 1 + self.rng.usize(..bytes.len() - 1);
                let delay = duration(self.rng, &talk.think);
                script.cues.push(Cue { after, delay, upto: cut });
            }
            script.requests.push(Request { tag, bytes, opens_turn: at == 0 });
            script.answers += 1;
        }
        let delay = duration(self.rng, &talk.think);
        script.cues.push(Cue { after, delay, upto: script.stream.len() });
    }

    fn request(&mut self, stream: &mut Vec<u8>) -> u32 {
        let tag = self.exchanges.len() as u32;
        let scenario = self.scenario;
        protocol::write(Kind::Request, tag, size(self.rng, &scenario.talk.requests), stream);
        let mut answer = |service: &crate::scenario::Service| Answer {
            body: size(self.rng, &service.responses),
            takes: duration(self.rng, &service.takes),
            closes: false,
        };
        let exchange = Exchange { online: answer(&scenario.online), target: answer(&scenario.target) };
        self.exchanges.push(exchange);
        debug_assert!(stream.len() >= HEADER);
        tag
    }
}

fn number(rng: &mut Rng, range: &RangeInclusive<usize>) -> usize {
    rng.usize(range.clone())
}

fn duration(rng: &mut Rng, range: &RangeInclusive<Duration>) -> Duration {
    let micros = |duration: &Duration| duration.as_micros() as u64;
    Duration::from_micros(rng.u64(micros(range.start())..=micros(range.end())))
}

fn size(rng: &mut Rng, sizes: &Sizes) -> usize {
    let range = rng.choice(sizes).expect("a scenario names sizes").clone();
    rng.usize(range)
}
