//! The probes on their way: sent, waited for, sent again, and in the end reset. Where nothing comes back, a second one from
//! this host's own address tells whether the target answers at all.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tcpcopy_feed::Sighting;
use tcpcopy_net::{TransmitError, TransmitOpenError, route_to};
use tcpcopy_wire::{Endpoint, Flags, Flow};

use super::circuit::Contact;
use super::line::Line;
use super::probe::{Probe, Sender};
use crate::clock::Clock;
use crate::watch::Watch;
use crate::{StartError, TransmitChoice};

/// When a SYN is sent again, after the first one, and when it is given up.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];
const PATIENCE: Duration = Duration::from_millis(2500);
/// How often the capture is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// So long is waited for what else an answer brings about that came back: a reset by a user far away.
const AFTERMATH: Duration = Duration::from_millis(250);

/// What became of the probes, one entry each.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whether the kernel took it; `None` if it was not tried.
    pub(super) sent: Vec<Option<Result<(), TransmitError>>>,
    /// Why nothing was tried, if not for lack of rights.
    pub(super) unsent: Option<String>,
    /// The control bits of what came back where answers are captured, and after how many microseconds.
    pub(super) told: Vec<Option<(Flags, u128)>>,
    /// What was seen on this host of all probes, or why nobody could look.
    pub(super) here: Result<Vec<Sighting>, String>,
    /// What the target answers this host, where nothing came back.
    pub(super) contacts: Vec<Option<Contact>>,
}

/// A trial of all probes.
pub(super) struct Trial<'a> {
    pub(super) probes: &'a [Probe],
    pub(super) transmit: &'a TransmitChoice,
    /// The devices of this host on which answers are captured, if no intercept does.
    pub(super) seen_on: Option<&'a [String]>,
    pub(super) clock: &'a Clock,
    /// Set when it shall not be waited any longer.
    pub(super) stop: &'a AtomicBool,
}

impl Trial<'_> {
    /// Sends the probes, with their flows registered at the intercepts.
    pub(super) fn run(&self, lines: &mut [Line]) -> Outcome {
        let own: Vec<Probe> = self.probes.iter().map(own).collect();
        let all = [self.probes, &own].concat();
        let flows: Vec<Flow> = all.iter().map(|probe| probe.flow).collect();
        let mut watch = Watch::begin(flows).map_err(|error| error.to_string());
        let mut sender = match Sender::open(all, self.transmit) {
            Ok(sender) => sender,
            Err(error) => return self.powerless(&error),
        };
        self.register(lines);
        let told = self.await_told(&mut sender, lines, watch.as_mut().ok());
        let (here, contacts) = match watch {
            Ok(watch) => self.observe(&mut sender, watch, &told),
            Err(why) => (Err(why), self.contacts(&told)),
        };
        let sent = sender.probes[..self.probes.len()].iter().map(|probe| probe.sent).collect();
        Outcome { sent, unsent: None, told, here, contacts }
    }

    /// Without rights or a way out a connection is all that can be tried.
    fn powerless(&self, why: &StartError) -> Outcome {
        let is_right = matches!(why, StartError::Transmit(TransmitOpenError::NoPermission));
        let (why, told) = (why.to_string(), vec![None; self.probes.len()]);
        Outcome {
            sent: vec![None; self.probes.len()],
            unsent: (!is_right).then(|| why.clone()),
            here: Err(why),
            contacts: self.contacts(&told),
            told,
        }
    }

    fn register(&self, lines: &mut [Line]) {
        for line in lines {
            self.probes.iter().enumerate().for_each(|(number, probe)| line.register(number, probe.flow));
            line.listen(self.clock.now());
        }
    }

    /// Sends the probes and waits for what comes back over intercept, or on the devices of this host that stand for one.
    fn await_told(
        &self,
        sender: &mut Sender,
        lines: &mut [Line],
        mut watch: Option<&mut Watch>,
    ) -> Vec<Option<(Flags, u128)>> {
        let mut told = vec![None; self.probes.len()];
        let began = self.clock.now();
        self.attempt(sender, 0, vec![false; told.len()], || {
            if lines.is_empty() {
                thread::sleep(LOOK);
            }
            for line in &mut *lines {
                line.listen(self.clock.now());
                for response in line.told.drain(..) {
                    let after = response.at.since(began).as_micros();
                    if let Some(slot @ None) = told.get_mut(response.flow) {
                        *slot = Some((response.flags, after));
                    }
                }
            }
            if let (Some(devices), Some(watch)) = (self.seen_on, &mut watch) {
                watch.look();
                let after = self.clock.now().since(began).as_micros();
                for (index, slot) in told.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
                    *slot = answer_on(devices, watch.sightings(), index).map(|flags| (flags, after));
                }
            }
            told.iter().map(Option::is_some).collect()
        });
        told
    }

    /// What was seen here; and of each target from which nothing came back, what it answers this host's own address.
    fn observe(
        &self,
        sender: &mut Sender,
        mut watch: Watch,
        told: &[Option<(Flags, u128)>],
    ) -> (Result<Vec<Sighting>, String>, Vec<Option<Contact>>) {
        thread::sleep(AFTERMATH);
        watch.look();
        let first = self.probes.len();
        let is_told = told.iter().map(Option::is_some).collect();
        self.attempt(sender, first, is_told, || {
            thread::sleep(LOOK);
            watch.look();
            let answered = |(index, told): (usize, &Option<_>)| {
                told.is_some() || answer_to(watch.sightings(), first + index).is_some()
            };
            told.iter().enumerate().map(answered).collect()
        });
        let contact = |(index, told): (usize, &Option<_>)| {
            let answer = answer_to(watch.sightings(), first + index);
            told.is_none().then(|| match answer {
                Some(flags) if flags.rst() => Contact::Refused,
                Some(_) => Contact::Accepted,
                None => Contact::Silent,
            })
        };
        let contacts = told.iter().enumerate().map(contact).collect();
        (Ok(watch.sightings().to_vec()), contacts)
    }

    /// Sends probes from number `first` on, those that are not `answered`, and again for a while; `look` tells which are.
    fn attempt(
        &self,
        sender: &mut Sender,
        first: usize,
        mut answered: Vec<bool>,
        mut look: impl FnMut() -> Vec<bool>,
    ) {
        let began = self.clock.now();
        let mut due = [Duration::ZERO].into_iter().chain(AGAIN).peekable();
        while answered.contains(&false) {
            let waited = self.clock.now().since(began);
            if self.stop.load(Ordering::Relaxed) || waited >= PATIENCE {
                return;
            }
            if due.next_if(|after| waited >= *after).is_some() {
                let is_due = |index: usize| answered.get(index.wrapping_sub(first)) == Some(&false);
                sender.send(self.clock.now(), is_due);
            }
            answered = look();
        }
    }

    /// The same by connections that the kernel makes, where nothing can be captured; all at once.
    fn contacts(&self, told: &[Option<(Flags, u128)>]) -> Vec<Option<Contact>> {
        thread::scope(|scope| {
            let begin = |(probe, told): (&Probe, &Option<_>)| {
                let target = probe.flow.server;
                told.is_none().then(|| scope.spawn(move || connect(target)))
            };
            let tries: Vec<_> = self.probes.iter().zip(told).map(begin).collect();
            tries.into_iter().map(|tried| tried.and_then(|tried| tried.join().ok())).collect()
        })
    }
}

/// The same probe from the address that this host's own connections to the target come from.
fn own(probe: &Probe) -> Probe {
    let target = probe.flow.server;
    let source = route_to(target.addr).ok().flatten().and_then(|route| route.source);
    // Without a route it goes nowhere, whatever its source.
    Probe::from_address(target, source.unwrap_or(target.addr))
}

/// What was answered to that probe and seen here.
fn answers_to(sightings: &[Sighting], index: usize) -> impl Iterator<Item = &Sighting> {
    sightings.iter().filter(move |seen| seen.flow == index && seen.is_response)
}

/// The control bits of the first of it.
fn answer_to(sightings: &[Sighting], index: usize) -> Option<Flags> {
    answers_to(sightings, index).next().map(|seen| seen.flags)
}

/// The same of what was seen on these devices.
fn answer_on(devices: &[String], sightings: &[Sighting], index: usize) -> Option<Flags> {
    let is_on = |seen: &&Sighting| devices.iter().any(|device| *device == "any" || *device == seen.device);
    answers_to(sightings, index).find(is_on).map(|seen| seen.flags)
}

/// Opens a connection and closes it again.
fn connect(target: Endpoint) -> Contact {
    match TcpStream::connect_timeout(&target.into(), PATIENCE) {
        Ok(_) => Contact::Accepted,
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Contact::Refused,
            _ => Contact::Silent,
        },
    }
}
