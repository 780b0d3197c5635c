//! Finds out, before a replay, whether everything is set up for it: looks at this host, asks the intercepts about theirs,
//! and sends one SYN for each target through the whole loop. What the observations mean is concluded in [`circuit`].

mod circuit;
mod finding;
mod here;
mod line;
mod place;
mod probe;
mod takers;
mod trial;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use tcpcopy_engine::{Mapping, Mappings, SourcePool};
use tcpcopy_feed::{Answer, MAX_INQUIRY_FLOWS, Question, Sighting, Survey};
use tcpcopy_wire::Flow;

use crate::clock::Clock;
use crate::inquiries::{Capturing, survey};
use crate::way_back::response_filter;
use crate::{IntakeChoice, TransmitChoice, WayBackChoice, mapping_name};
use circuit::{End, Observed, Sentence, Way, Witness};
pub use finding::{Finding, State};
use line::Line;
use place::Place;
pub(crate) use probe::packet_of;
use probe::{Origin, Probe};
use trial::{Outcome, Trial};

/// What is to be examined: the options of the replay, as far as they matter.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// What shall be replayed, and to whom.
    pub mappings: Mappings,
    /// Where it comes from.
    pub intake: IntakeChoice,
    /// How packets leave; in a dry run nothing can be examined.
    pub transmit: TransmitChoice,
    /// Who sees what the targets answer.
    pub way_back: WayBackChoice,
    /// The addresses copied users speak from, if they are not their own.
    pub sources: Option<SourcePool>,
    /// The address to probe from, instead of the first of `sources`.
    pub probe_from: Option<IpAddr>,
}

/// Looks at everything, and tells each thing as soon as it is known. Takes some seconds where something is wrong. Sends
/// nothing to anybody but the targets and intercepts. SIGINT and SIGTERM end it, with the probes' connections.
pub fn examine(options: &DoctorOptions, mut on_finding: impl FnMut(&Finding)) {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without it the probes' connections end by themselves after a minute. Whoever asks twice does not wait.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop));
        let _ = signal_hook::flag::register(signal, Arc::clone(&stop));
    }
    Examination { options, clock: Clock::new(), stop }.run(&mut on_finding);
}

const INTERRUPTED: &str = "the examination was interrupted; the connections of the probes were reset";

struct Examination<'a> {
    options: &'a DoctorOptions,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

impl Examination<'_> {
    fn run(&self, on_finding: &mut dyn FnMut(&Finding)) {
        on_finding(&here::rights());
        here::capture(&self.options.intake, &self.options.mappings).iter().for_each(&mut *on_finding);
        let mut mappings = self.mappings();
        if mappings.len() > MAX_INQUIRY_FLOWS {
            let text =
                format!("only the first {MAX_INQUIRY_FLOWS} of {} targets are looked at", mappings.len());
            on_finding(&Finding::note("probe", text));
            mappings.truncate(MAX_INQUIRY_FLOWS);
        }
        for mapping in &mappings {
            on_finding(&here::route(mapping, &here::way_to(mapping.target, &self.options.transmit)));
        }
        let mut lines = self.lines(on_finding);
        let probes: Vec<Probe> = mappings.iter().map(|mapping| self.probe(mapping)).collect();
        let flows: Vec<Flow> = probes.iter().map(|probe| probe.flow).collect();
        let mut witnesses = Vec::new();
        for line in &mut lines {
            witnesses.push(self.question(line, &flows, on_finding));
        }
        witnesses.extend(self.capturing().map(|capturing| Witness {
            place: Place::Here,
            survey: Some(survey(&capturing, &flows)),
            sightings: None,
        }));
        for witness in &witnesses {
            let Some(survey) = &witness.survey else { continue };
            takers::surveyed(witness.place, survey, &flows).iter().for_each(&mut *on_finding);
        }
        let trial = Trial {
            probes: &probes,
            transmit: &self.options.transmit,
            seen_on: self.seen_on(),
            clock: &self.clock,
            stop: &self.stop,
        };
        let outcome = trial.run(&mut lines);
        if self.stop.load(Ordering::Relaxed) {
            return on_finding(&Finding::problem("probe", INTERRUPTED));
        }
        if let Err(why) = &outcome.here
            && outcome.sent.iter().any(Option::is_some)
        {
            on_finding(&Finding::note(
                "probe",
                format!("what leaves and reaches this host could not be watched: {why}"),
            ));
        }
        for witness in witnesses.iter_mut().filter(|witness| witness.place == Place::Here) {
            witness.sightings = outcome.here.as_ref().ok().cloned();
            witness.survey = self.capturing().map(|capturing| survey(&capturing, &flows));
        }
        for (line, witness) in lines.iter_mut().zip(&mut witnesses) {
            if witness.sightings.is_some() {
                witness.sightings = self.report(line);
                // Its counters have gone on.
                witness.survey = self.survey(line, &flows);
            }
        }
        let ends = self.tell(&mappings, &probes, &outcome, &witnesses, on_finding);
        for witness in &witnesses {
            let Some(survey) = &witness.survey else { continue };
            takers::forwards(witness.place, survey, &flows, &ends).iter().for_each(&mut *on_finding);
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
        probed
    }

    fn probe(&self, mapping: &Mapping) -> Probe {
        let DoctorOptions { probe_from, sources, .. } = self.options;
        Probe::new(mapping.target, mapping.online.port, *probe_from, sources.as_ref())
    }

    /// The connections to all intercepts that are reachable.
    fn lines(&self, on_finding: &mut dyn FnMut(&Finding)) -> Vec<Line> {
        let WayBackChoice::Intercepts(choice) = &self.options.way_back else { return Vec::new() };
        let mut lines = Vec::new();
        for address in &choice.addresses {
            match Line::open(*address, choice.single, choice.dnat, &self.clock) {
                Ok(line) => {
                    takers::greeted(&line).iter().for_each(&mut *on_finding);
                    lines.push(line);
                }
                Err(why) => on_finding(&Finding::problem("feed", why)),
            }
        }
        lines
    }

    /// The devices of this host on which answers are captured, if some are.
    fn seen_on(&self) -> Option<&[String]> {
        match &self.options.way_back {
            WayBackChoice::Devices(choice) => Some(&choice.devices),
            WayBackChoice::Intercepts(_) | WayBackChoice::Nobody => None,
        }
    }

    /// How answers are captured on this host, if they are.
    fn capturing(&self) -> Option<Capturing> {
        let WayBackChoice::Devices(choice) = &self.options.way_back else { return None };
        let filter = response_filter(&self.options.mappings, choice.dnat);
        Some(Capturing { devices: choice.devices.clone(), filter })
    }

    /// Asks an intercept about its host, and has it watch.
    fn question(&self, line: &mut Line, flows: &[Flow], on_finding: &mut dyn FnMut(&Finding)) -> Witness {
        let survey = self.survey(line, flows);
        let sightings = match line.ask(&Question::Watch(flows.to_vec()), &self.clock) {
            Some(Answer::Watching) => Some(Vec::new()),
            Some(Answer::CannotSay(why)) => {
                let text = format!("intercept {} cannot watch its devices: {why}", line.address);
                on_finding(&Finding::note("intercept", text));
                None
            }
            _ => None,
        };
        Witness { place: Place::Assistant(line.address), survey, sightings }
    }

    fn survey(&self, line: &mut Line, flows: &[Flow]) -> Option<Survey> {
        match line.ask(&Question::Survey(flows.to_vec()), &self.clock) {
            Some(Answer::Survey(survey)) => Some(survey),
            _ => None,
        }
    }

    fn report(&self, line: &mut Line) -> Option<Vec<Sighting>> {
        match line.ask(&Question::Report, &self.clock) {
            Some(Answer::Sightings(sightings)) => Some(sightings),
            _ => None,
        }
    }

    /// Tells where each probe ended.
    fn tell(
        &self,
        mappings: &[Mapping],
        probes: &[Probe],
        outcome: &Outcome,
        witnesses: &[Witness],
        on_finding: &mut dyn FnMut(&Finding),
    ) -> Vec<End> {
        let mut ends = Vec::new();
        for (index, (mapping, probe)) in mappings.iter().zip(probes).enumerate() {
            let way: Way = here::way_to(mapping.target, &self.options.transmit);
            let observed = Observed {
                index,
                flow: probe.flow,
                sent: outcome.sent.get(index).copied().flatten(),
                unsent: outcome.unsent.as_deref(),
                here: outcome.here.as_deref().ok(),
                told: outcome.told.get(index).copied().flatten(),
                way: &way,
                contact: outcome.contacts.get(index).copied().flatten(),
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
    let is_about_routes = matches!(end, End::CameHere { .. } | End::NotArrived | End::CannotSay);
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
