//! Finds out, before a replay, whether everything is set up for it: looks at this host, asks the intercepts about theirs,
//! and sends one SYN for each target through the whole loop. What the observations mean is concluded in [`circuit`].

mod assistant;
mod circuit;
mod finding;
mod here;
mod line;
mod probe;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use tcpcopy_engine::{Mapping, Mappings, SourcePool};
use tcpcopy_feed::{Answer, MAX_INQUIRY_FLOWS, Question, Sighting};
use tcpcopy_net::capabilities;
use tcpcopy_wire::{Endpoint, Flow, Instant};

use crate::clock::Clock;
use crate::watch::Watch;
use crate::{IntakeChoice, mapping_name};
use circuit::{Contact, End, Observed, Sentence, Way, Witness};
pub use finding::{Finding, State};
use line::Line;
use probe::{Origin, Probe, Sender};

/// When the SYN of a probe is sent again, after its first one, and when it is given up.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];
const PATIENCE: Duration = Duration::from_millis(2500);
/// What the assistants saw of an answer that came back is complete after that time.
const LATEST_SIGHT: Duration = Duration::from_millis(50);
/// How long a connection of our own to a target may take: its SYN is sent twice.
const CONTACT_PATIENCE: Duration = Duration::from_millis(2500);

/// What is to be examined: the options of the replay, as far as they matter.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// What shall be replayed, and to whom.
    pub mappings: Mappings,
    /// Where it comes from.
    pub intake: IntakeChoice,
    /// Where intercepts listen.
    pub intercepts: Vec<SocketAddr>,
    /// Intercepts are told of no session.
    pub single: bool,
    /// Targets may answer from other addresses.
    pub dnat: bool,
    /// The addresses copied users speak from, if they are not their own.
    pub sources: Option<SourcePool>,
    /// The address to probe from, instead of the first of `sources`.
    pub probe_from: Option<IpAddr>,
}

/// Looks at everything, and tells each thing as soon as it is known. Takes some seconds where something is wrong. Sends
/// nothing to anybody but the targets and intercepts. SIGINT and SIGTERM end the waiting, with what is known by then.
pub fn examine(options: &DoctorOptions, mut on_finding: impl FnMut(&Finding)) {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without it the probes' connections end by themselves after a minute.
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    Examination { options, clock: Clock::new(), stop }.run(&mut on_finding);
}

struct Examination<'a> {
    options: &'a DoctorOptions,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

/// What became of the probes, one entry each.
struct Sent {
    probes: Vec<Probe>,
    told: Vec<Option<(tcpcopy_wire::Flags, u128)>>,
    /// What was seen on this host; `None` if nobody could look.
    here: Option<Vec<Sighting>>,
}

impl Examination<'_> {
    fn run(&self, on_finding: &mut dyn FnMut(&Finding)) {
        on_finding(&here::rights());
        here::capture(&self.options.intake, &self.options.mappings).iter().for_each(&mut *on_finding);
        let mappings = self.mappings();
        for mapping in &mappings {
            on_finding(&here::route(mapping, &here::way_to(mapping.target)));
        }
        let mut lines = self.lines(on_finding);
        let probes: Vec<Probe> = mappings.iter().map(|mapping| self.probe(mapping)).collect();
        let flows: Vec<Flow> = probes.iter().map(|probe| probe.flow).collect();
        let mut witnesses: Vec<Witness> = lines.iter_mut().map(|line| self.question(line, &flows)).collect();
        for witness in &witnesses {
            let Some(survey) = &witness.survey else { continue };
            assistant::surveyed(witness.address, survey, &flows).iter().for_each(&mut *on_finding);
        }
        let sent = self.send(probes, &mut lines);
        let contacts = self.contacts(&sent);
        for (line, witness) in lines.iter_mut().zip(&mut witnesses) {
            if witness.sightings.is_some() {
                witness.sightings = self.report(line);
            }
        }
        let ends = self.tell(&mappings, &sent, &contacts, &witnesses, on_finding);
        for witness in &witnesses {
            let Some(survey) = &witness.survey else { continue };
            assistant::forwards(witness.address, survey, &flows, &ends).iter().for_each(&mut *on_finding);
        }
    }

    /// Those that are probed: one for each target.
    fn mappings(&self) -> Vec<Mapping> {
        let mut probed: Vec<Mapping> = Vec::new();
        for mapping in self.options.mappings.as_slice() {
            if !probed.iter().any(|known| known.target == mapping.target) {
                probed.push(*mapping);
            }
        }
        probed.truncate(MAX_INQUIRY_FLOWS);
        probed
    }

    fn probe(&self, mapping: &Mapping) -> Probe {
        let DoctorOptions { probe_from, sources, .. } = self.options;
        Probe::new(mapping.target, mapping.online.port, *probe_from, sources.as_ref())
    }

    /// The connections to all intercepts that are reachable.
    fn lines(&self, on_finding: &mut dyn FnMut(&Finding)) -> Vec<Line> {
        let DoctorOptions { intercepts, single, dnat, .. } = self.options;
        let mut lines = Vec::new();
        for address in intercepts {
            match Line::open(*address, *single, *dnat, &self.clock) {
                Ok(line) => {
                    assistant::greeted(&line).iter().for_each(&mut *on_finding);
                    lines.push(line);
                }
                Err(why) => on_finding(&Finding::problem("feed", why)),
            }
        }
        lines
    }

    /// Asks an intercept about its host, and has it watch.
    fn question(&self, line: &mut Line, flows: &[Flow]) -> Witness {
        let survey = match line.ask(&Question::Survey(flows.to_vec()), &self.clock) {
            Some(Answer::Survey(survey)) => Some(survey),
            _ => None,
        };
        let watches = line.ask(&Question::Watch(flows.to_vec()), &self.clock) == Some(Answer::Watching);
        Witness { address: line.address, survey, sightings: watches.then(Vec::new) }
    }

    fn report(&self, line: &mut Line) -> Option<Vec<Sighting>> {
        match line.ask(&Question::Report, &self.clock) {
            Some(Answer::Sightings(sightings)) => Some(sightings),
            _ => None,
        }
    }

    /// Sends the probes, waits for what comes back over intercept, and resets them.
    fn send(&self, probes: Vec<Probe>, lines: &mut [Line]) -> Sent {
        let flows: Vec<Flow> = probes.iter().map(|probe| probe.flow).collect();
        let mut told = vec![None; probes.len()];
        if !capabilities().net_raw {
            return Sent { probes, told, here: None };
        }
        let mut watch = Watch::begin(flows.clone()).inspect_err(|error| log::debug!("{error}")).ok();
        for line in &mut *lines {
            flows.iter().enumerate().for_each(|(number, flow)| line.register(number, *flow));
            line.listen(self.clock.now());
        }
        let mut sender = match Sender::open(probes.clone()) {
            Ok(sender) => sender,
            Err(_) => return Sent { probes, told, here: None },
        };
        self.exchange(&mut sender, lines, &mut told);
        thread::sleep(LATEST_SIGHT);
        let here = watch.as_mut().map(|watch| {
            watch.look();
            watch.sightings().to_vec()
        });
        sender.reset();
        Sent { probes: sender.probes.clone(), told, here }
    }

    fn exchange(
        &self,
        sender: &mut Sender,
        lines: &mut [Line],
        told: &mut [Option<(tcpcopy_wire::Flags, u128)>],
    ) {
        let began = self.clock.now();
        let mut due = AGAIN.into_iter();
        let mut next = due.next();
        sender.send(|_| true);
        while told.iter().any(Option::is_none) && !self.is_over(began) {
            if lines.is_empty() {
                thread::sleep(LATEST_SIGHT);
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
            if next.is_some_and(|after| self.clock.now() >= began + after) {
                next = due.next();
                sender.send(|index| told.get(index).is_some_and(Option::is_none));
            }
        }
    }

    fn is_over(&self, began: Instant) -> bool {
        self.stop.load(Ordering::Relaxed) || self.clock.now() >= began + PATIENCE
    }

    /// Where nothing came back: does the target answer us? All are tried at once.
    fn contacts(&self, sent: &Sent) -> Vec<Option<Contact>> {
        let is_stopped = self.stop.load(Ordering::Relaxed);
        thread::scope(|scope| {
            let tries: Vec<_> = sent
                .probes
                .iter()
                .zip(&sent.told)
                .map(|(probe, told)| {
                    let target = probe.flow.server;
                    (told.is_none() && !is_stopped).then(|| scope.spawn(move || contact(target)))
                })
                .collect();
            tries.into_iter().map(|tried| tried.and_then(|tried| tried.join().ok())).collect()
        })
    }

    /// Tells where each probe ended.
    fn tell(
        &self,
        mappings: &[Mapping],
        sent: &Sent,
        contacts: &[Option<Contact>],
        witnesses: &[Witness],
        on_finding: &mut dyn FnMut(&Finding),
    ) -> Vec<End> {
        let mut ends = Vec::new();
        for (index, (mapping, probe)) in mappings.iter().zip(&sent.probes).enumerate() {
            let way: Way = here::way_to(mapping.target);
            let observed = Observed {
                index,
                flow: probe.flow,
                sent: probe.sent,
                here: sent.here.as_deref(),
                told: sent.told.get(index).copied().flatten(),
                way: &way,
                contact: contacts.get(index).copied().flatten(),
                witnesses,
            };
            let end = observed.end();
            let origin = origin(probe, &end);
            let text = format!("{}: {}{origin}", mapping_name(mapping), Sentence(&observed, &end));
            on_finding(&match end {
                End::Arrived(_) => Finding::ok("probe", text),
                _ => Finding::problem("probe", text),
            });
            ends.push(end);
        }
        ends
    }
}

/// What is to be known of the address a failed probe came from.
fn origin(probe: &Probe, end: &End) -> &'static str {
    let is_about_routes = matches!(end, End::CameHere { .. } | End::NotAtAssistant | End::CannotSay);
    match probe.origin {
        Origin::Nobody if is_about_routes => {
            " (without -c, and with no user connected, the probe came from an address of nobody, which the target may not \
             route as it does users'; give a user's address with --probe-from)"
        }
        Origin::User if is_about_routes => {
            " (the probe came from the address of a user who is connected now)"
        }
        _ => "",
    }
}

/// Opens a connection of our own and closes it again.
fn contact(target: Endpoint) -> Contact {
    match TcpStream::connect_timeout(&target.into(), CONTACT_PATIENCE) {
        Ok(_) => Contact::Accepted,
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Contact::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Contact::Silent,
            _ => Contact::Unreachable,
        },
    }
}
