//! Where a probe got lost, concluded from everything that could be observed of it. The order is that of its way: this host,
//! the target, the assistant, and back. Observations come in, and where it ended comes out; nothing is looked at in here.

mod sentence;

use tcpcopy_feed::{Sighting, Survey};
use tcpcopy_net::TransmitError;
use tcpcopy_wire::{Flags, Flow};

use super::place::Place;
pub(super) use sentence::Sentence;

/// What the target answers when this host asks for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    Accepted,
    /// It answers that nobody listens.
    Refused,
    /// Nothing is answered.
    Silent,
}

/// The way from here to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) has_route: bool,
    /// The target is on this host.
    pub(super) is_local: bool,
    pub(super) device: String,
    /// The first station: a router, or the target itself.
    pub(super) next_hop: String,
    /// It does not tell its link-layer address.
    pub(super) is_next_hop_silent: bool,
    /// Packets leave as frames on the device, past where this host's captures listen.
    pub(super) is_frame: bool,
}

/// What was observed where answers are captured.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) place: Place,
    pub(super) survey: Option<Survey>,
    /// What was seen there of all probes; `None` if it cannot say.
    pub(super) sightings: Option<Vec<Sighting>>,
}

/// All that is known of one probe.
#[derive(Clone, Debug)]
pub(super) struct Observed<'a> {
    /// Which of the probes it is.
    pub(super) index: usize,
    pub(super) flow: Flow,
    pub(super) sent: Option<Result<(), TransmitError>>,
    /// Why nothing could be sent at all, but for lack of rights.
    pub(super) unsent: Option<&'a str>,
    /// What was seen on this host of all probes, before they were reset; `None` if nobody looked.
    pub(super) here: Option<&'a [Sighting]>,
    /// The control bits of what came back where answers are captured, and after how many microseconds.
    pub(super) told: Option<(Flags, u128)>,
    pub(super) way: &'a Way,
    /// `None` if it was not tried.
    pub(super) contact: Option<Contact>,
    /// One for each intercept that is reachable, or this host.
    pub(super) witnesses: &'a [Witness],
}

/// Where the probe, or its answer, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Back here, through the whole loop, after so many microseconds.
    Arrived(u128),
    /// Back here, but whoever captures it has sent it on to the user as well.
    Forwarded {
        by: Place,
        device: String,
    },
    /// Back here, but the address belongs to a host that got the answer too.
    Reset,
    /// The target says that nobody listens.
    NotListening,
    NoRight,
    /// There is no way out, for this reason.
    NoWayOut(String),
    NoRoute,
    /// The kernel did not take it.
    NotSent(TransmitError),
    /// The kernel took it, and it never left.
    NeverLeft {
        device: String,
    },
    /// The next station does not answer on its own segment.
    SegmentUnreachable {
        device: String,
        next_hop: String,
    },
    /// Nobody gets an answer from the target.
    Silent,
    /// The answer came to this host.
    CameHere {
        device: String,
    },
    /// The target answers us, and nothing arrives where answers are captured.
    NotArrived,
    /// The target answers us; whether an answer arrives at the assistant is not known.
    CannotSay,
    /// The target answers us; no intercept is there.
    NoIntercept,
    /// It arrived on a device on which nobody captures.
    WrongDevice {
        at: Place,
        device: String,
        captured: String,
    },
    /// Intercept's filter leaves it out.
    WrongFilter {
        at: Place,
        filter: String,
    },
    /// Intercept captured it and did not return it.
    NotTold {
        at: Place,
    },
}

impl Observed<'_> {
    /// Where it ended.
    pub(super) fn end(&self) -> End {
        if let Some((flags, after)) = self.told {
            return self.end_of_told(flags, after);
        }
        if let Some(end) = self.end_here() {
            return end;
        }
        if let Some(end) = self.end_at_witness() {
            return end;
        }
        if let Some(seen) = self.seen_here().find(|seen| seen.is_response) {
            return End::CameHere { device: seen.device.clone() };
        }
        match self.contact {
            Some(Contact::Refused) => End::NotListening,
            Some(Contact::Silent) if self.way.is_next_hop_silent => self.unreachable(),
            Some(Contact::Silent) => End::Silent,
            Some(Contact::Accepted) | None if self.witnesses.is_empty() => End::NoIntercept,
            Some(Contact::Accepted) | None => {
                let all_say = self.witnesses.iter().all(|witness| witness.sightings.is_some());
                if all_say { End::NotArrived } else { End::CannotSay }
            }
        }
    }

    /// The loop is closed: is it closed as it must be?
    fn end_of_told(&self, flags: Flags, after: u128) -> End {
        if flags.rst() {
            return End::NotListening;
        }
        for witness in self.witnesses {
            let forwarded = witness.responses(self.index).find(|seen| seen.ttl < witness.nearest(self.index));
            if let Some(seen) = forwarded {
                return End::Forwarded { by: witness.place, device: seen.device.clone() };
            }
        }
        if self.was_reset() { End::Reset } else { End::Arrived(after) }
    }

    /// Whether it ended on this host, on its way out.
    fn end_here(&self) -> Option<End> {
        match self.sent {
            None => return Some(self.unsent.map_or(End::NoRight, |why| End::NoWayOut(why.to_owned()))),
            Some(Err(TransmitError::Unreachable)) if self.way.is_frame => return Some(self.unreachable()),
            Some(Err(TransmitError::Unreachable)) => return Some(End::NoRoute),
            Some(Err(error)) => return Some(End::NotSent(error)),
            Some(Ok(())) if !self.way.has_route => return Some(End::NoRoute),
            Some(Ok(())) => {}
        }
        let has_left =
            self.way.is_frame || self.here.is_none() || self.seen_here().any(|seen| !seen.is_response);
        if has_left {
            return None;
        }
        Some(if self.way.is_next_hop_silent {
            self.unreachable()
        } else {
            End::NeverLeft { device: self.way.device.clone() }
        })
    }

    fn unreachable(&self) -> End {
        let Way { device, next_hop, .. } = self.way.clone();
        End::SegmentUnreachable { device, next_hop }
    }

    /// Whether an answer was seen on the host that captures them, and still did not come back.
    fn end_at_witness(&self) -> Option<End> {
        let seen_by = |witness: &&Witness| witness.responses(self.index).next().is_some();
        let witness = self.witnesses.iter().find(seen_by)?;
        let at = witness.place;
        let Some(survey) = &witness.survey else { return Some(End::NotTold { at }) };
        let is_captured = |seen: &Sighting| {
            survey.devices.iter().any(|device| device.name == "any" || device.name == seen.device)
        };
        if !witness.responses(self.index).any(is_captured) {
            let device =
                witness.responses(self.index).map(|seen| seen.device.clone()).next().unwrap_or_default();
            let captured: Vec<&str> = survey.devices.iter().map(|device| device.name.as_str()).collect();
            return Some(End::WrongDevice { at, device, captured: captured.join(", ") });
        }
        if survey.lets_through.get(self.index) == Some(&false) {
            return Some(End::WrongFilter { at, filter: survey.filter.clone() });
        }
        Some(End::NotTold { at })
    }

    fn seen_here(&self) -> impl Iterator<Item = &Sighting> {
        self.here.unwrap_or_default().iter().filter(|seen| seen.flow == self.index)
    }

    /// Whether the real owner of the address has reset the connection: the answer reached it. Our own resets come later, and
    /// on a way on which our SYN was seen before.
    fn was_reset(&self) -> bool {
        let elsewhere = self.witnesses.iter().flat_map(|witness| witness.sightings.iter().flatten());
        let elsewhere = elsewhere.filter(|seen| seen.flow == self.index && !seen.flags.syn());
        let here = self.seen_here();
        here.chain(elsewhere).any(|seen| !seen.is_response && seen.flags.rst())
    }
}

impl Witness {
    fn responses(&self, index: usize) -> impl Iterator<Item = &Sighting> {
        let sightings = self.sightings.as_deref().unwrap_or_default().iter();
        sightings.filter(move |seen| seen.flow == index && seen.is_response)
    }

    /// The time to live of what has come the shortest way.
    fn nearest(&self, index: usize) -> u8 {
        self.responses(index).map(|seen| seen.ttl).max().unwrap_or(0)
    }
}

/// The setting that says whether a host forwards, as it must be where answers are captured.
pub(super) const fn forwarding(v4: bool) -> &'static str {
    if v4 { "net.ipv4.ip_forward=0" } else { "net.ipv6.conf.all.forwarding=0" }
}

#[cfg(test)]
mod tests;
