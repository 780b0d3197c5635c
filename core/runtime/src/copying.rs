//! tcpcopy's loop for UDP: captured datagrams in, their copies out. Nothing comes back, so there are no feeds, sessions or
//! modules.

use mio::Token;
use tcpcopy_engine::{Datagrams, Engine, Pending, Statistics, Uncopied};
use tcpcopy_wire::{CapturedDatagram, DropReason, Instant, parse_datagram_frame};

use crate::intake::Intake;
use crate::outlet::Outlet;
use crate::recorded::Lap;
use crate::replayer::{Replayer, Seen, Speaker};
use crate::rounds::Rounds;
use crate::signals::Notice;
use crate::socket::random;
use crate::{FeedTotals, ModulesTotals, ReplayEnd, ReplayOptions, ReplaySnapshot, StartError, Transport};

/// Room for the longest packet.
const PACKET_BYTES: usize = 65_600;

/// tcpcopy's loop for UDP, on one thread.
pub struct Copying {
    rounds: Rounds,
    intake: Intake,
    copier: Copier,
    /// Reasons not to copy that the log has told of, and that copies are missing.
    told: [bool; Uncopied::ALL.len() + 1],
}

/// Sends copies as soon as there is something to copy.
struct Copier {
    datagrams: Datagrams,
    outlet: Outlet,
    packet: Box<[u8]>,
}

impl Copying {
    /// Opens captures and the transmit socket. Of `options`, those about answers and modules say nothing here.
    ///
    /// # Errors
    /// [`StartError`], one sentence for a person; nothing is left open.
    pub fn start(options: ReplayOptions) -> Result<Self, StartError> {
        let ReplayOptions { engine, mappings, intake, transmit, snapshot_interval, .. } = options;
        let mut intake = Intake::open(intake, Transport::Udp, &mappings, false, engine.memory_budget)?;
        let targets = mappings.as_slice().iter().map(|mapping| mapping.target);
        let outlet = Outlet::open(&transmit, Transport::Udp, targets)?;
        let rounds = Rounds::new(snapshot_interval, intake.tokens())?;
        intake.register(rounds.registry())?;
        let datagrams = Datagrams::new(engine, mappings, random());
        let copier = Copier { datagrams, outlet, packet: vec![0; PACKET_BYTES].into() };
        Ok(Self { rounds, intake, copier, told: [false; Uncopied::ALL.len() + 1] })
    }

    /// The names of the devices captured on, or of the files.
    #[must_use]
    pub fn devices(&self) -> Vec<String> {
        self.intake.names()
    }

    /// Copies until SIGINT or SIGTERM, or until no device is left to capture on, or all files are read; returns what came
    /// of it. `on_snapshot` is called once per interval; `on_notice` on SIGHUP and SIGUSR1.
    pub fn run(
        mut self,
        mut on_snapshot: impl FnMut(&ReplaySnapshot),
        mut on_notice: impl FnMut(Notice),
    ) -> ReplayEnd {
        while self.copier.outlet.breakdown().is_none() && !self.intake.is_over(&self.copier) {
            let now = self.rounds.now();
            let (is_busy, due) = (self.intake.is_ready(), self.intake.poll_timeout(now));
            let intake = &mut self.intake;
            let round = self.rounds.wait(is_busy, due, |token: Token, _| intake.mark_ready(token));
            if round.stop {
                break;
            }
            for notice in round.notices.into_iter().flatten() {
                on_notice(notice);
            }
            if round.look {
                self.intake.look();
                self.tell_of_losses();
            }
            if round.snapshot {
                on_snapshot(&self.snapshot(round.now));
            }
            self.copier.outlet.handle_time(round.now);
            self.intake.dispatch(round.now, true, &mut self.copier);
            self.copier.outlet.flush();
        }
        let now = self.rounds.now();
        let broken = self.copier.outlet.breakdown();
        ReplayEnd { snapshot: self.snapshot(now), comparisons: Vec::new(), broken }
    }

    /// The first loss of each kind is told while there is time to do something about it.
    fn tell_of_losses(&mut self) {
        let statistics = self.copier.datagrams.statistics();
        let [told @ .., told_of_copies] = &mut self.told;
        for ((reason, number), told) in Uncopied::ALL.iter().zip(statistics.uncopied).zip(told) {
            let is_wanted = matches!(reason, Uncopied::NotMapped | Uncopied::NotSampled);
            if number > 0 && !is_wanted && !std::mem::replace(told, true) {
                let (name, why) = (reason.name(), reason.explanation());
                log::warn!("datagrams are not copied, {name}: {why}; further ones are counted");
            }
        }
        if statistics.copies_without_source > 0 && !std::mem::replace(told_of_copies, true) {
            log::warn!(
                "every source address and port is in use: {:.1} of {} copies (-n) of a datagram are made; more addresses in \
                 -c or a lower -n help; what is missing is counted",
                statistics.copies as f64 / statistics.copied as f64,
                self.copier.datagrams.copies()
            );
        }
    }

    fn snapshot(&mut self, now: Instant) -> ReplaySnapshot {
        ReplaySnapshot {
            at: now,
            running_for: now.since(self.rounds.started_at()),
            capture: self.intake.totals(),
            recording: self.intake.recording_totals(),
            copies: self.copier.datagrams.copies(),
            engine: Statistics::default(),
            datagrams: Some(self.copier.datagrams.statistics()),
            pending: Pending::default(),
            modules: ModulesTotals::default(),
            transmit: self.copier.outlet.totals().clone(),
            feed: FeedTotals::default(),
        }
    }
}

impl Copier {
    fn copy(&mut self, now: Instant, at: Instant, captured: &CapturedDatagram<'_>) {
        self.datagrams.handle_capture(now, at, captured);
        while let Some(len) = self.datagrams.poll_transmit(&mut self.packet) {
            if !self.outlet.send(&self.packet[..len]) {
                self.datagrams.handle_too_large();
            }
        }
    }
}

impl Replayer for Copier {
    fn take(&mut self, now: Instant, seen: Seen<'_>) -> Result<(), DropReason> {
        let captured = parse_datagram_frame(seen.link, seen.bytes, seen.wire_len)?;
        self.copy(now, seen.at, &captured);
        Ok(())
    }

    /// A datagram says the same in every lap.
    fn take_recorded(&mut self, now: Instant, seen: Seen<'_>, _: Speaker, _: Lap) -> Result<(), DropReason> {
        self.take(now, seen)
    }

    fn end_capture(&mut self, _: Instant) {}

    fn turns(&self) -> u64 {
        self.datagrams.captured()
    }

    fn sessions(&self) -> Option<&Engine> {
        None
    }

    fn has_said_all(&self) -> bool {
        true
    }
}
