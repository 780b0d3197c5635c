//! tcpcopy's loop: captured packets and responses in, packets to the targets out.

mod answers;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use mio::Token;
use tcpcopy_engine::{Engine, EngineOptions, Mappings, Verdict};
use tcpcopy_wire::{Instant, parse_ip};

use crate::admin::Admin;
use crate::intake::Intake;
use crate::modules::{InPlace, Modules, Shelf};
use crate::outlet::Outlet;
use crate::rounds::{Round, Rounds};
use crate::signals::{Notice, set_on_stop};
use crate::socket::random;
use crate::way_back::WayBack;
use crate::{
    AdminPlace, IntakeChoice, ModuleChoice, ModuleOptions, ReplayEnd, ReplaySnapshot, StartError,
    TransmitChoice, Transport, WayBackChoice, mapping_name,
};

/// Everything tcpcopy's loops need to know.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// How sessions are replayed.
    pub engine: EngineOptions,
    /// What of users is replayed.
    pub transport: Transport,
    /// What is replayed, and to whom.
    pub mappings: Mappings,
    /// Where it comes from.
    pub intake: IntakeChoice,
    /// How packets to the targets leave.
    pub transmit: TransmitChoice,
    /// Who tells what the targets answer.
    pub way_back: WayBackChoice,
    /// The modules to begin with.
    pub modules: ModuleOptions,
    /// Where the admin socket shall be.
    pub admin: AdminPlace,
    /// How often `on_snapshot` is called.
    pub snapshot_interval: Duration,
}

/// Room for the largest packet the engine makes.
const PACKET_BYTES: usize = 65_536;
/// Packets sent before the capture rings are looked at again: sending takes longer than anything else, and the
/// rings must not fill meanwhile.
const TRANSMIT_BATCH: usize = 256;
/// With modules, so long is waited for an intercept, or for payload, before sessions begin without.
const WAY_BACK_PATIENCE: Duration = Duration::from_secs(2);

/// tcpcopy's loop for TCP, on one thread.
pub struct Replay {
    rounds: Rounds,
    intake: Intake,
    engine: Engine,
    modules: Modules,
    admin: Admin,
    way_back: WayBack,
    outlet: Outlet,
    packet: Box<[u8]>,
    /// The engine may have more to transmit.
    is_transmitting: bool,
    mappings: Mappings,
    /// The targets of the mappings, for people.
    targets: Vec<String>,
    /// What the online servers say is taken in as well.
    captures_answers: bool,
    /// Verdicts that the log has told of.
    told: [bool; Verdict::ALL.len()],
    /// What users say waits in the ring until that moment, or until responses can come: an intercept may have to prepare
    /// for what modules want of the first ones.
    way_back_awaited_until: Option<Instant>,
    /// Why it cannot go on.
    broken: Option<String>,
    /// A signal has asked for the end, and nobody has heard it yet: a module that does not return is given up then.
    is_asked_to_end: Arc<AtomicBool>,
}

impl Replay {
    /// Loads the modules, and opens captures, the way out, the way back and the admin socket.
    ///
    /// # Errors
    /// [`StartError`], one sentence for a person; nothing is left open.
    pub fn start(options: ReplayOptions) -> Result<Self, StartError> {
        let names: Vec<String> = options.mappings.as_slice().iter().map(mapping_name).collect();
        let is_asked_to_end = Arc::clone(&options.modules.host.patience.is_asked_to_end);
        let in_place = Arc::new(InPlace::new(names.len()));
        let mut shelf = Shelf::new(options.modules.host, names.clone(), Arc::clone(&in_place));
        let load = |choice: &ModuleChoice| {
            shelf.load(choice.mapping, &choice.file, Some(choice.configuration.clone()))
        };
        let fresh = options.modules.choices.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let captures_answers = fresh.iter().any(|fresh| fresh.wants_online);
        let budget = options.engine.memory_budget;
        let mut intake =
            Intake::open(options.intake, Transport::Tcp, &options.mappings, captures_answers, budget)?;
        let targets = options.mappings.as_slice().iter().map(|mapping| mapping.target);
        let outlet = Outlet::open(&options.transmit, Transport::Tcp, targets.clone())?;
        // Before the loop can hear of it: the flag tells what it has not heard.
        set_on_stop(Arc::clone(&is_asked_to_end))?;
        let rounds = Rounds::new(options.snapshot_interval, intake.tokens())?;
        intake.register(rounds.registry())?;
        let (token, now) = (rounds.free_token(), rounds.now());
        let way_back_awaited_until = (!fresh.is_empty()).then(|| now + WAY_BACK_PATIENCE);
        let way_back =
            WayBack::start(&options.way_back, &options.mappings, !fresh.is_empty(), token + 1, now)?;
        way_back.register_devices(rounds.registry())?;
        let mut engine = Engine::new(options.engine, options.mappings.clone(), random());
        let mut modules = Modules::new(names, in_place);
        fresh.into_iter().for_each(|fresh| modules.install(&mut engine, fresh, false, now));
        // Only now: who asks for another module shall find these in place.
        let admin = Admin::start(&options.admin, shelf, rounds.registry(), Token(token))?;
        Ok(Self {
            rounds,
            intake,
            engine,
            modules,
            admin,
            way_back,
            outlet,
            packet: vec![0; PACKET_BYTES].into(),
            is_transmitting: false,
            targets: targets.map(|target| target.to_string()).collect(),
            mappings: options.mappings,
            captures_answers,
            told: [false; Verdict::ALL.len()],
            way_back_awaited_until,
            broken: None,
            is_asked_to_end,
        })
    }

    /// The names of the devices captured on, or of the files.
    #[must_use]
    pub fn devices(&self) -> Vec<String> {
        self.intake.names()
    }

    /// Where the admin socket is, if there is one.
    #[must_use]
    pub fn admin_socket(&self) -> Option<&Path> {
        self.admin.socket()
    }

    /// The modules that are loaded, for people.
    pub fn modules(&self) -> impl Iterator<Item = String> {
        self.modules.names().map(ToString::to_string)
    }

    /// Replays until SIGINT or SIGTERM, or until no device is left to capture on, or all that is in the files has been
    /// said; then ends all sessions and returns what came of it. `on_snapshot` is called once per interval; SIGHUP
    /// has changed modules loaded again, and `on_notice` is called, as on SIGUSR1. To be called once.
    pub fn run(
        &mut self,
        mut on_snapshot: impl FnMut(&ReplaySnapshot),
        mut on_notice: impl FnMut(Notice),
    ) -> ReplayEnd {
        while self.broken.is_none() && !self.intake.is_over(&self.engine) {
            let round = self.wait();
            if round.stop {
                break;
            }
            for notice in round.notices.into_iter().flatten() {
                on_notice(notice);
                if notice == Notice::HangUp {
                    self.admin.reload();
                }
            }
            if round.look {
                self.intake.look();
                self.way_back.look();
                self.tell_of_losses();
                self.modules.tell_of_slow_calls();
            }
            if round.snapshot {
                on_snapshot(&self.snapshot(round.now));
            }
            self.run_errands(round.now);
            self.turn(round.now);
        }
        self.stop()
    }

    fn wait(&mut self) -> Round {
        let now = self.rounds.now();
        let awaited = self.way_back_awaited_until;
        let may_take = awaited.is_none() && self.intake.is_ready();
        let is_busy = self.is_transmitting || may_take || self.way_back.is_ready();
        let intake = self.intake.poll_timeout(now).filter(|_| awaited.is_none());
        let due = [self.engine.poll_timeout(), self.way_back.poll_timeout(now), intake, awaited];
        let due = due.into_iter().flatten().min();
        self.rounds.wait(is_busy, due, |token, event| match token {
            token if self.way_back.owns(token) => self.way_back.mark_ready(token, event),
            token => self.intake.mark_ready(token),
        })
    }

    /// One round: everything that has come in goes through the engine, everything that is due goes out.
    fn turn(&mut self, now: Instant) {
        let engine = &mut self.engine;
        let is_open = self.way_back.is_open();
        self.way_back_awaited_until.take_if(|until| is_open || *until <= now);
        if self.way_back_awaited_until.is_none() {
            self.intake.dispatch(now, is_open, engine);
        }
        self.way_back.read(now, |id, seen_at, segment| {
            log::trace!("response for session {:x}: {segment}", id.to_bits());
            engine.handle_response(now, seen_at, id, segment);
        });
        engine.handle_timeout(now);
        self.register(now);
        self.transmit(now, TRANSMIT_BATCH);
        self.modules.take_events(&mut self.engine);
        if self.engine.wants_online() && !self.captures_answers {
            self.capture_answers();
        }
    }

    /// From now on what the online servers say is captured as well.
    fn capture_answers(&mut self) {
        self.captures_answers = true;
        self.intake.show_answers(&self.mappings);
    }

    /// Registrations go before packets, so that intercept knows a flow before the target can answer on it.
    fn register(&mut self, now: Instant) {
        while let Some(registration) = self.engine.poll_registration() {
            self.way_back.register(registration);
        }
        self.way_back.write(now, self.rounds.registry());
    }

    /// Sends what is due, at most `limit` packets of it.
    fn transmit(&mut self, now: Instant, limit: usize) {
        self.is_transmitting = true;
        self.outlet.handle_time(now);
        for _ in 0..limit {
            let Some((id, len)) = self.engine.poll_transmit(now, &mut self.packet) else {
                self.is_transmitting = false;
                break;
            };
            let packet = &self.packet[..len];
            if log::log_enabled!(log::Level::Trace)
                && let Ok(segment) = parse_ip(packet, len)
            {
                log::trace!("transmits for session {:x}: {segment}", id.to_bits());
            }
            if self.outlet.send(packet) {
                self.way_back.handle_transmitted(id, packet);
            } else {
                self.engine.handle_too_large(id);
            }
        }
        self.outlet.flush();
        self.look_for_breaks();
    }

    /// Finds out whether it makes sense to go on.
    fn look_for_breaks(&mut self) {
        let broken = match self.outlet.breakdown() {
            Some(sentence) => sentence,
            None if self.way_back.is_gone() => {
                "no device of --intercept-on is left; start again when it is back".to_owned()
            }
            None => return,
        };
        self.broken.get_or_insert(broken);
    }

    /// The first loss of each kind is told while there is time to do something about it.
    fn tell_of_losses(&mut self) {
        self.tell_of_missing_copies();
        let ended = &self.engine.statistics().ended;
        for ((verdict, ended), told) in Verdict::ALL.iter().zip(ended).zip(&mut self.told) {
            if ended.turns_lost > 0 && !std::mem::replace(told, true) {
                let (name, why) = (verdict.name(), verdict.explanation());
                log::warn!("requests are being lost, verdict {name}: {why}; further ones are counted");
            }
        }
    }

    fn tell_of_missing_copies(&mut self) {
        let (wanted, statistics) = (self.engine.copies(), self.engine.statistics());
        let is_told = &mut self.told[Verdict::SourcesExhausted as usize];
        if wanted > 1 && statistics.sessions_without_source > 0 && !std::mem::replace(is_told, true) {
            let reached = statistics.copies_reached(wanted);
            log::warn!(
                "every source address and port is in use: {reached:.1} of {wanted} copies (-n) could be opened so far; \
                 more addresses in -c or a lower -n help; what is missing is counted"
            );
        }
    }

    /// Lets modules go, for which each has as long as for any call, and ends the admin thread. Returns whether that has
    /// ended. If not, it is inside a library that it loads: then the process does not end by
    /// [`exit`](std::process::exit), which waits for the dynamic linker, but
    /// [at once](tcpcopy_host::exit_at_once).
    #[must_use]
    pub fn close(self) -> bool {
        let Self { engine, modules, admin, .. } = self;
        // While the admin thread still watches over them.
        drop((engine, modules));
        admin.close()
    }

    fn stop(&mut self) -> ReplayEnd {
        self.is_asked_to_end.store(false, Relaxed);
        let now = self.rounds.now();
        self.engine.handle_shutdown(now);
        self.transmit(now, usize::MAX);
        self.register(now);
        self.way_back.shut_down(now);
        self.modules.take_events(&mut self.engine);
        ReplayEnd {
            snapshot: self.snapshot(now),
            comparisons: self.modules.comparisons(),
            broken: self.broken.take(),
        }
    }

    fn snapshot(&mut self, now: Instant) -> ReplaySnapshot {
        ReplaySnapshot {
            at: now,
            running_for: now.since(self.rounds.started_at()),
            capture: self.intake.totals(),
            recording: self.intake.recording_totals(),
            copies: self.engine.copies(),
            engine: self.engine.statistics().clone(),
            datagrams: None,
            pending: self.engine.pending(),
            modules: self.modules.totals(&self.engine),
            transmit: self.outlet.totals().clone(),
            feed: self.way_back.totals(),
        }
    }
}
