//! Where a probe got lost, concluded from everything that could be observed of it. The order is that of its way: this host,
//! the target, the assistant, and back. Observations come in, a sentence comes out; nothing is looked at in here.

use std::fmt;
use std::net::SocketAddr;

use tcpcopy_feed::{Sighting, Survey};
use tcpcopy_net::TransmitError;
use tcpcopy_wire::{Flags, Flow};

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
}

/// What an intercept and its host observed.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) address: SocketAddr,
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
    /// What was seen on this host of all probes, before they were reset; `None` if nobody looked.
    pub(super) here: Option<&'a [Sighting]>,
    /// The control bits of what intercept returned, and after how many microseconds.
    pub(super) told: Option<(Flags, u128)>,
    pub(super) way: &'a Way,
    /// `None` if it was not tried.
    pub(super) contact: Option<Contact>,
    /// One for each intercept that is reachable.
    pub(super) witnesses: &'a [Witness],
}

/// Where the probe, or its answer, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Back here, through the whole loop, after so many microseconds.
    Arrived(u128),
    /// Back here, but the assistant has sent it on to the user as well.
    Forwarded {
        assistant: SocketAddr,
        device: String,
    },
    /// Back here, but the address belongs to a host that got the answer too.
    Reset,
    /// The target says that nobody listens.
    NotListening,
    NoRight,
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
    /// The target answers us, and nothing arrives at the assistant.
    NotAtAssistant,
    /// The target answers us; whether an answer arrives at the assistant is not known.
    CannotSay,
    /// The target answers us; no intercept is there.
    NoIntercept,
    /// It arrived on a device on which intercept does not capture.
    WrongDevice {
        assistant: SocketAddr,
        device: String,
        captured: String,
    },
    /// Intercept's filter leaves it out.
    WrongFilter {
        assistant: SocketAddr,
        filter: String,
    },
    /// Intercept captured it and did not return it.
    NotTold {
        assistant: SocketAddr,
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
        if let Some(end) = self.end_at_assistant() {
            return end;
        }
        if let Some(seen) = self.seen_here().find(|seen| seen.is_response) {
            return End::CameHere { device: seen.device.clone() };
        }
        match self.contact {
            Some(Contact::Refused) => End::NotListening,
            Some(Contact::Silent) if self.way.is_next_hop_silent => {
                let Way { device, next_hop, .. } = self.way.clone();
                End::SegmentUnreachable { device, next_hop }
            }
            Some(Contact::Silent) => End::Silent,
            Some(Contact::Accepted) | None if self.witnesses.is_empty() => End::NoIntercept,
            Some(Contact::Accepted) | None => {
                let all_say = self.witnesses.iter().all(|witness| witness.sightings.is_some());
                if all_say { End::NotAtAssistant } else { End::CannotSay }
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
                return End::Forwarded { assistant: witness.address, device: seen.device.clone() };
            }
        }
        if self.was_reset() { End::Reset } else { End::Arrived(after) }
    }

    /// Whether it ended on this host, on its way out.
    fn end_here(&self) -> Option<End> {
        match self.sent {
            None => return Some(End::NoRight),
            Some(Err(TransmitError::Unreachable)) => return Some(End::NoRoute),
            Some(Err(error)) => return Some(End::NotSent(error)),
            Some(Ok(())) if !self.way.has_route => return Some(End::NoRoute),
            Some(Ok(())) => {}
        }
        let has_left = self.here.is_none() || self.seen_here().any(|seen| !seen.is_response);
        if has_left {
            return None;
        }
        let Way { device, next_hop, is_next_hop_silent, .. } = self.way.clone();
        Some(if is_next_hop_silent {
            End::SegmentUnreachable { device, next_hop }
        } else {
            End::NeverLeft { device }
        })
    }

    /// Whether an answer was seen by an assistant, but not returned by its intercept.
    fn end_at_assistant(&self) -> Option<End> {
        let seen_by = |witness: &&Witness| witness.responses(self.index).next().is_some();
        let witness = self.witnesses.iter().find(seen_by)?;
        let assistant = witness.address;
        let Some(survey) = &witness.survey else { return Some(End::NotTold { assistant }) };
        let is_captured = |seen: &Sighting| {
            survey.devices.iter().any(|device| device.name == "any" || device.name == seen.device)
        };
        if !witness.responses(self.index).any(is_captured) {
            let device =
                witness.responses(self.index).map(|seen| seen.device.clone()).next().unwrap_or_default();
            let captured: Vec<&str> = survey.devices.iter().map(|device| device.name.as_str()).collect();
            return Some(End::WrongDevice { assistant, device, captured: captured.join(", ") });
        }
        if survey.lets_through.get(self.index) == Some(&false) {
            return Some(End::WrongFilter { assistant, filter: survey.filter.clone() });
        }
        Some(End::NotTold { assistant })
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

/// An [`End`] as a sentence: what happened to the probe, and what to do.
pub(super) struct Sentence<'a>(pub(super) &'a Observed<'a>, pub(super) &'a End);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(observed, end) = self;
        let Flow { client, server } = observed.flow;
        let (user, target, host) = (client.addr, server, server.addr);
        let ip = if user.is_ipv4() { "ip" } else { "ip -6" };
        let assistants: Vec<String> =
            observed.witnesses.iter().map(|witness| witness.address.ip().to_string()).collect();
        let assistants = assistants.join(" or ");
        match end {
            End::Arrived(after) => {
                let millis = *after as f64 / 1000.0;
                write!(
                    f,
                    "a SYN from {client} was answered by {target}, and the answer came back over intercept, in {millis:.1} ms"
                )
            }
            End::Forwarded { assistant, device } => write!(
                f,
                "the answer of {target} came back over intercept, but the assistant {} also forwards it to {user}, out of its device \
                 {device}{}; switch forwarding off there (sysctl -w {}), or drop what it forwards to copied users",
                assistant.ip(),
                observed.real_user_resets(),
                forwarding(user.is_ipv4()),
            ),
            End::Reset => write!(
                f,
                "the answer of {target} came back over intercept, but also reached a host that has the address {user}, which has \
                 reset the connection; choose addresses that no host has with -c, or correct the target's route for {user}"
            ),
            End::NotListening => write!(
                f,
                "{target} answers with a reset: the host is there, but nobody listens on that port; start the server under test, or \
                 correct the target in -x"
            ),
            End::NoRight => write!(
                f,
                "no probe was sent, for lack of rights; a plain connection to {target} is {}",
                match observed.contact {
                    Some(Contact::Accepted) => "accepted",
                    Some(Contact::Refused) => "refused: nobody listens on that port",
                    Some(Contact::Silent) | None => "not answered",
                }
            ),
            End::NoRoute => write!(
                f,
                "the probe was not sent: this host has no route to {host}; give it one ({ip} route add {host} via ROUTER), or correct \
                 the target in -x"
            ),
            End::NotSent(TransmitError::Refused) => write!(
                f,
                "the probe was not sent: this host's own packet filter refuses packets from {user} to {target}; let them pass its \
                 output chain (nft list ruleset, iptables -L OUTPUT)"
            ),
            End::NotSent(error) => write!(f, "the probe was not sent: {error}"),
            End::NeverLeft { device } => write!(
                f,
                "the probe was not sent: the kernel took it, but it never left this host over {device}; look for what drops it \
                 there (tc filter show dev {device} egress, nft list ruleset)"
            ),
            End::SegmentUnreachable { device, next_hop } => write!(
                f,
                "the probe did not reach the target's segment: {next_hop}, the next station on the way to {host}, does not answer \
                 on {device}; see that it is up and connected (ip neigh show {next_hop})"
            ),
            End::Silent => write!(
                f,
                "there is no answer from {target} at all, not even to a connection from this host's own address: the host is down, or \
                 something drops packets on the way to it or on it; look at the packet filters there (nft list ruleset, iptables -L)"
            ),
            End::CameHere { device } => write!(
                f,
                "{target} answers, but its answer to {user} came to this host, on {device}{}: the target's route for {user} leads \
                 the wrong way; on the target: {ip} route replace {user} via {} (tcpcopy plan prints it for all users)",
                observed.real_user_resets(),
                assistants_or(&assistants),
            ),
            End::NotAtAssistant => write!(
                f,
                "{target} accepts connections from this host's own address, but no answer to {user} arrives at the assistant \
                 {assistants}: on the target, see that the route for {user} leads there ({ip} route get {user}), and if it does, that \
                 packets from {user} are not dropped on arrival, by rp_filter=1 (sysctl net.ipv4.conf.all.rp_filter) or a packet \
                 filter there or on the way"
            ),
            End::CannotSay => write!(
                f,
                "{target} accepts connections from this host's own address, but no answer to {user} was returned, and what \
                 intercept sees cannot be asked: on the assistant {assistants}, see whether it arrives (tcpdump host {user}); if \
                 not, correct the target's route for {user} or its rp_filter; if it does, intercept's -i and -F"
            ),
            End::NoIntercept => write!(
                f,
                "the way back could not be tried without an intercept{}",
                if observed.contact == Some(Contact::Accepted) {
                    format!("; {target} accepts connections from this host's own address")
                } else {
                    String::new()
                }
            ),
            End::WrongDevice { assistant, device, captured } => write!(
                f,
                "the answer of {target} arrives at the assistant {} on its device {device}, but intercept captures on {captured}; start \
                 it with -i {device}",
                assistant.ip()
            ),
            End::WrongFilter { assistant, filter } => write!(
                f,
                "the answer of {target} arrives at the assistant {}, but intercept's filter \"{filter}\" does not let it through; \
                 start it with -F 'tcp and src port {}'",
                assistant.ip(),
                server.port
            ),
            End::NotTold { assistant } => write!(
                f,
                "the answer of {target} arrives at the assistant {}, but intercept did not return it: see its log for losses, \
                 and whether another tcpcopy replays with the same source addresses",
                assistant.ip()
            ),
        }
    }
}

impl Observed<'_> {
    fn real_user_resets(&self) -> &'static str {
        if self.was_reset() { ", and somebody with that address has reset the connection" } else { "" }
    }
}

/// The setting that says whether a host forwards, as it must be on the assistant.
pub(super) const fn forwarding(v4: bool) -> &'static str {
    if v4 { "net.ipv4.ip_forward=0" } else { "net.ipv6.conf.all.forwarding=0" }
}

fn assistants_or(known: &str) -> &str {
    if known.is_empty() { "ASSISTANT" } else { known }
}

#[cfg(test)]
mod tests;
