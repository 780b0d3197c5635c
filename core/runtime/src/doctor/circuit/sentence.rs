//! The ends of probes in words: a table.

use std::fmt;

use tcpcopy_net::TransmitError;
use tcpcopy_wire::Flow;

use super::super::place::Place;
use super::{Contact, End, Observed, forwarding};

/// An [`End`] as a sentence: what happened to the probe, and what to do.
pub(in crate::doctor) struct Sentence<'a>(
    pub(in crate::doctor) &'a Observed<'a>,
    pub(in crate::doctor) &'a End,
);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(observed, end) = self;
        let Flow { client, server } = observed.flow;
        let (user, target, host) = (client.addr, server, server.addr);
        let ip = if user.is_ipv4() { "ip" } else { "ip -6" };
        let places: Vec<String> =
            observed.witnesses.iter().map(|witness| witness.place.to_string()).collect();
        let places = places.join(" or ");
        let back = observed.back();
        match end {
            End::Arrived(after) => {
                let millis = *after as f64 / 1000.0;
                write!(
                    f,
                    "a SYN from {client} was answered by {target}, and the answer {back}, in {millis:.1} ms"
                )
            }
            End::Forwarded { by, device } => write!(
                f,
                "the answer of {target} {back}, but {by} also forwards it to {user}, out of its device {device}{}; switch forwarding \
                 off there (sysctl -w {}), or drop what it forwards to copied users",
                observed.real_user_resets(),
                forwarding(user.is_ipv4()),
            ),
            End::Reset => write!(
                f,
                "the answer of {target} {back}, but also reached a host that has the address {user}, which has \
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
                observed.plainly()
            ),
            End::NoWayOut(why) => write!(
                f,
                "no probe was sent: {why}; a plain connection to {target} is {}",
                observed.plainly()
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
                observed.router(),
            ),
            End::NotArrived => write!(
                f,
                "{target} accepts connections from this host's own address, but no answer to {user} arrives at {places}: on \
                 the target, see that the route for {user} leads there ({ip} route get {user}), and if it does, that \
                 packets from {user} are not dropped on arrival, by {}a packet filter there or on the way",
                if user.is_ipv4() { "rp_filter=1 (sysctl net.ipv4.conf.all.rp_filter) or " } else { "" }
            ),
            End::CannotSay => write!(
                f,
                "{target} accepts connections from this host's own address, but no answer to {user} was returned, and what \
                 intercept sees cannot be asked: on {places}, see whether it arrives (tcpdump host {user}); if \
                 not, correct the target's route for {user} or what drops packets from there; if it does, intercept's -i and -F"
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
            End::WrongDevice { at, device, captured } => write!(
                f,
                "the answer of {target} arrives at {at} on its device {device}, but {} captures on {captured}; start it with \
                 {} {device}",
                at.program(),
                at.device_option()
            ),
            End::WrongFilter { at, filter } => write!(
                f,
                "the answer of {target} arrives at {at}, but intercept's filter \"{filter}\" does not let it through; start it \
                 with -F 'tcp and src port {}'",
                server.port
            ),
            End::NotTold { at } => write!(
                f,
                "the answer of {target} arrives at {at}, but {} did not return it: see its log for losses, and whether another \
                 tcpcopy replays with the same source addresses",
                at.program()
            ),
        }
    }
}

impl Observed<'_> {
    fn real_user_resets(&self) -> &'static str {
        if self.was_reset() { ", and somebody with that address has reset the connection" } else { "" }
    }

    /// What became of a connection that the kernel made.
    fn plainly(&self) -> &'static str {
        match self.contact {
            Some(Contact::Accepted) => "accepted",
            Some(Contact::Refused) => "refused: nobody listens on that port",
            Some(Contact::Silent) | None => "not answered",
        }
    }

    /// How an answer comes back.
    fn back(&self) -> &'static str {
        let is_here = self.witnesses.iter().any(|witness| witness.place == Place::Here);
        if is_here { "was seen on this host" } else { "came back over intercept" }
    }

    /// Whom the target's route for copied users must name.
    fn router(&self) -> String {
        let assistants: Vec<String> = self
            .witnesses
            .iter()
            .filter_map(|witness| match witness.place {
                Place::Assistant(address) => Some(address.ip().to_string()),
                Place::Here => None,
            })
            .collect();
        if assistants.is_empty() { "ASSISTANT".to_owned() } else { assistants.join(" or ") }
    }
}
