//! What both loops have in common: wait until something is ready or due, and say what.

use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};
use tcpcopy_wire::Instant;

use crate::clock::Clock;
use crate::signals::{Notice, Signals};

/// Devices and kernel counters are looked at at least this often.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a round has to do beside its ready tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    pub(crate) now: Instant,
    /// SIGINT or SIGTERM came, or waiting is not possible any more.
    pub(crate) stop: bool,
    /// What SIGHUP and SIGUSR1 tell, as far as they came.
    pub(crate) notices: [Option<Notice>; Notice::COUNT],
    /// About a second has passed.
    pub(crate) look: bool,
    /// The snapshot interval has passed.
    pub(crate) snapshot: bool,
}

/// The waiting side of a loop: poll, signals, clock, and the two intervals.
pub(crate) struct Rounds {
    poll: Poll,
    events: Events,
    signals: Signals,
    clock: Clock,
    started_at: Instant,
    snapshot_interval: Duration,
    snapshot_at: Instant,
    look_at: Instant,
    first_signal: Token,
}

impl Rounds {
    /// Tokens from `first_token` on are taken for signals; [`Self::free_token`] is the next one.
    pub(crate) fn new(snapshot_interval: Duration, first_token: usize) -> io::Result<Self> {
        let first_signal = Token(first_token);
        let poll = Poll::new()?;
        let mut signals = Signals::new()?;
        signals.register(poll.registry(), first_signal)?;
        let clock = Clock::new();
        let now = clock.now();
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            signals,
            clock,
            started_at: now,
            snapshot_interval,
            snapshot_at: now + snapshot_interval,
            look_at: now,
            first_signal,
        })
    }

    /// The first token not yet taken.
    pub(crate) fn free_token(&self) -> usize {
        self.first_signal.0 + Signals::TOKENS
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// When the loop began.
    pub(crate) fn started_at(&self) -> Instant {
        self.started_at
    }

    /// Waits until a token is ready, `due` has come, or an interval has passed; not at all if `is_busy`. Ready
    /// tokens go to `on_ready`.
    pub(crate) fn wait(
        &mut self,
        is_busy: bool,
        due: Option<Instant>,
        mut on_ready: impl FnMut(Token, &Event),
    ) -> Round {
        let now = self.clock.now();
        let latest = self.snapshot_at.min(self.look_at);
        let until = if is_busy { now } else { due.map_or(latest, |due| due.min(latest)) };
        let mut round = Round::default();
        if let Err(error) = self.poll.poll(&mut self.events, Some(until.since(now)))
            && error.kind() != io::ErrorKind::Interrupted
        {
            log::error!("waiting for packets failed: {error}; stopping");
            round.stop = true;
        }
        let first = self.first_signal.0;
        for event in &self.events {
            match event.token() {
                Token(token) if (first..first + Signals::TOKENS).contains(&token) => {
                    match self.signals.take(token - first) {
                        None => round.stop = true,
                        Some(notice) => round.notices[notice as usize] = Some(notice),
                    }
                }
                token => on_ready(token, event),
            }
        }
        round.now = self.clock.now();
        round.look = pass(&mut self.look_at, LOOK_INTERVAL, round.now);
        round.snapshot = pass(&mut self.snapshot_at, self.snapshot_interval, round.now);
        round
    }
}

/// Whether `at` has come; then it moves on by `interval`.
fn pass(at: &mut Instant, interval: Duration, now: Instant) -> bool {
    let passed = now >= *at;
    if passed {
        *at = now + interval;
    }
    passed
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGHUP, SIGUSR1};
    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn signals_that_come_together_are_all_heard() {
        let mut rounds = Rounds::new(Duration::MAX, 0).unwrap();
        raise(SIGHUP).unwrap();
        raise(SIGUSR1).unwrap();
        let round = rounds.wait(true, None, |_, _| {});
        assert_eq!(round.notices, [Some(Notice::HangUp), Some(Notice::ReopenLog)]);
        assert!(!round.stop);
        assert_eq!(rounds.wait(true, None, |_, _| {}).notices, [None, None]);
    }
}
