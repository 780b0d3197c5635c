//! From a seed to a scenario: every condition is drawn, and most are mild most of the time, so that few of them
//! meet in one world and a failure tells something.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use tcpcopy_engine::Pace;

use crate::framing::Serving;
use crate::host::Manner;
use crate::link::{Faults, Phase};
use crate::scenario::{Capture, Ending, Outage, Scenario, Service, Sizes, Talk};

const ENDINGS: [Ending; 6] = [
    Ending::UserCloses,
    Ending::HalfClose,
    Ending::ServerCloses,
    Ending::UserResets,
    Ending::UserResetsUnheard,
    Ending::UserVanishes,
];

impl Scenario {
    /// The scenario of `seed`.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw(Rng::with_seed(seed));
        let near = draw.chance(0.3);
        let mut scenario = Self {
            ipv6: draw.chance(0.25),
            talk: draw.talk(),
            user_manner: draw.manner(&[1500, 1500, 9000, 32_000, 576], &[64 << 10]),
            online: draw.online(),
            target: draw.target(),
            greeting: draw.sometimes(0.2, |draw| draw.one_of(&[1, 80, 5000])),
            user_link: draw.user_link(near),
            capture: draw.capture(),
            transmit_link: draw.lan(),
            transmit_mtu: draw.sometimes(0.08, |draw| draw.one_of(&[1400, 1280, 576])),
            response_link: draw.lan(),
            feed_latency: draw.time(50..=5_000),
            outages: draw.outages(),
            pace: draw.pace(),
            overlap_turns: draw.chance(0.1),
            only_whole_sessions: draw.chance(0.1),
            pool: draw.sometimes(0.3, |draw| draw.one_of(&[1, 2, 30])).unwrap_or(0),
            memory_budget: draw.sometimes(0.05, |draw| draw.one_of(&[20_000, 200_000])).unwrap_or(1 << 30),
            serving: draw
                .sometimes(0.4, |draw| draw.one_of(&[Serving::Idle, Serving::Judging, Serving::Judging]))
                .unwrap_or(Serving::Nobody),
            ..Self::calm(seed)
        };
        scenario.target.refuses_over = draw.sometimes(0.08, |draw| draw.one_of(&[1_000, 20_000]));
        scenario
    }
}

struct Draw(Rng);

impl Draw {
    fn chance(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    fn sometimes<T>(&mut self, share: f64, what: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(share).then(|| what(self))
    }

    /// `what` with that chance, else zero.
    fn share(&mut self, chance: f64, shares: &[f64]) -> f64 {
        self.sometimes(chance, |draw| draw.one_of(shares)).unwrap_or(0.0)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())]
    }

    /// A time in microseconds.
    fn time(&mut self, micros: RangeInclusive<u64>) -> Duration {
        Duration::from_micros(self.0.u64(micros))
    }

    fn phases(&mut self, share: f64, longest: u64) -> Vec<Phase> {
        let phase = |draw: &mut Self| Phase {
            from: draw.time(0..=5_000_000),
            lasts: draw.time(10_000..=longest * 1_000_000),
        };
        self.sometimes(share, phase).into_iter().collect()
    }

    fn talk(&mut self) -> Talk {
        let connections = self.one_of(&[1, 1, 3, 6]);
        Talk {
            users: self.0.usize(1..=5),
            connections: 1..=connections,
            turns: 1..=self.one_of(&[1, 3, 8]),
            pipelined: 1..=self.one_of(&[1, 1, 1, 4, 12]),
            overlapping: self.share(0.15, &[0.2, 1.0]),
            split: self.share(0.3, &[0.2, 0.8]),
            requests: self.sizes(),
            think: Duration::ZERO..=self.one_of(&[0, 3, 50, 1500]).millis(),
            endings: self.endings(),
            same_port: self.share(0.4, &[0.5, 1.0]),
            begin_within: self.one_of(&[1, 100, 2000]).millis(),
        }
    }

    fn endings(&mut self) -> Vec<Ending> {
        if self.chance(0.5) {
            vec![Ending::UserCloses]
        } else {
            (0..2).map(|_| self.one_of(&ENDINGS)).collect()
        }
    }

    fn sizes(&mut self) -> Sizes {
        let all: [RangeInclusive<usize>; 6] =
            [0..=1, 0..=20, 20..=1400, 200..=4000, 1400..=20_000, 20_000..=200_000];
        (0..self.0.usize(1..=3)).map(|_| all[self.0.usize(..all.len())].clone()).collect()
    }

    fn manner(&mut self, mtus: &[usize], buffers: &[usize]) -> Manner {
        Manner {
            mtu: self.one_of(mtus),
            receive_buffer: self.one_of(buffers),
            timestamps: self.chance(0.5),
            nagle: self.chance(0.5),
            ack_delay: self.sometimes(0.7, |draw| draw.time(1_000..=40_000)),
        }
    }

    fn service(&mut self, manner: Manner) -> Service {
        Service {
            responses: self.sizes(),
            takes: Duration::ZERO..=self.one_of(&[0, 1, 20, 300]).millis(),
            manner,
            reading: None,
            deaf: Vec::new(),
            down: Vec::new(),
            closes_every: None,
            resets_every: None,
            refuses_over: None,
        }
    }

    fn online(&mut self) -> Service {
        let manner = self.manner(&[1500, 9000], &[8 << 10, 64 << 10, 256 << 10]);
        self.service(manner)
    }

    fn target(&mut self) -> Service {
        let tiny = self.chance(0.1);
        let buffers: &[usize] = if tiny { &[500, 2048] } else { &[8 << 10, 64 << 10, 256 << 10] };
        let manner = self.manner(&[1500, 1500, 9000, 576], buffers);
        let slow = self.share(0.1, &[1000.0, 2000.0]);
        let mut service = self.service(manner);
        if slow > 0.0 {
            service.takes = Duration::ZERO..=Duration::from_secs_f64(slow / 1000.0);
        }
        service.reading = self.sometimes(0.1, |draw| (draw.one_of(&[300, 4000]), draw.time(1_000..=20_000)));
        service.deaf = self.phases(0.1, 8);
        service.down = self.phases(0.05, 4);
        service.closes_every = self.sometimes(0.1, |draw| draw.one_of(&[1, 1, 3]));
        service.resets_every = self.sometimes(0.1, |draw| draw.one_of(&[1, 3, 10]));
        service
    }

    fn user_link(&mut self, near: bool) -> Faults {
        let mut faults = self.faults();
        faults.latency = if near { self.time(20..=300) } else { self.time(1_000..=60_000) };
        // Beyond that, smoltcp gets no further: it waits for minutes between repetitions.
        faults.loss = faults.loss.min(0.08);
        faults
    }

    fn lan(&mut self) -> Faults {
        let mut faults = self.faults();
        faults.latency = self.time(50..=1_000);
        faults.dark = self.phases(0.05, 6);
        faults
    }

    fn faults(&mut self) -> Faults {
        Faults {
            loss: self.share(0.3, &[0.01, 0.05, 0.15]),
            duplicate: self.share(0.2, &[0.02, 0.2]),
            reorder: self.share(0.3, &[0.02, 0.2, 0.9]),
            reorder_by: self.time(100..=20_000),
            ..Faults::default()
        }
    }

    fn capture(&mut self) -> Capture {
        Capture {
            from: self.sometimes(0.15, |draw| draw.time(1_000..=2_000_000)).unwrap_or_default(),
            loss: self.share(0.15, &[0.001, 0.01, 0.05]),
            truncated: self.share(0.03, &[0.01]),
            stalls: self.phases(0.05, 3),
        }
    }

    fn outages(&mut self) -> Vec<(Phase, Outage)> {
        let phases = self.phases(0.2, 5);
        let kinds = [Outage::Cut, Outage::Stall, Outage::Restart];
        phases.into_iter().map(|phase| (phase, self.one_of(&kinds))).collect()
    }

    fn pace(&mut self) -> Pace {
        match self.0.u8(..4) {
            0 => Pace::Fixed(Duration::ZERO),
            1 => Pace::Fixed(self.time(1..=100_000)),
            _ => Pace::Measured,
        }
    }
}

/// Durations as people write them.
trait Millis {
    fn millis(self) -> Duration;
}

impl Millis for u64 {
    fn millis(self) -> Duration {
        Duration::from_millis(self)
    }
}
