//! Responses of the targets that this host captures itself: intercept's part without a feed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mio::{Registry, Token};
use tcpcopy_engine::{Mappings, Registration, SessionId};
use tcpcopy_net::answer_filter;
use tcpcopy_wire::{Endpoint, Flow, Instant, Segment};

use super::SightingChoice;
use crate::captures::Captures;
use crate::response_capture::{headers_only, with_payload};
use crate::{FeedTotals, StartError};

/// The captures, and which session a response is for.
pub(crate) struct Sightings {
    captures: Captures,
    first_token: usize,
    claims: Claims,
    /// Responses are captured with all of their payload.
    captures_payload: bool,
    wanted: usize,
    totals: FeedTotals,
}

impl Sightings {
    pub(super) fn open(
        choice: &SightingChoice,
        mappings: &Mappings,
        expects_payload: bool,
        first_token: usize,
    ) -> Result<Self, StartError> {
        let filter = response_filter(mappings, choice.dnat);
        let mut options = headers_only(&choice.devices, &filter, choice.buffer_bytes);
        if expects_payload {
            options = options.iter().map(with_payload).collect();
        }
        Ok(Self {
            captures: Captures::open(&options, |_| None)?,
            first_token,
            claims: Claims::new(choice.dnat),
            captures_payload: expects_payload,
            wanted: options.len(),
            totals: FeedTotals::default(),
        })
    }

    pub(super) fn register_devices(&self, registry: &Registry) -> std::io::Result<()> {
        self.captures.register(registry, self.first_token)
    }

    pub(super) fn owns(&self, token: Token) -> bool {
        (self.first_token..self.first_token + self.captures.len()).contains(&token.0)
    }

    pub(super) fn mark_ready(&mut self, token: Token) {
        self.captures.mark_ready(token.0 - self.first_token);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.captures.is_ready()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.captures.is_alive()
    }

    /// Whether responses are captured as they are wanted.
    pub(super) fn is_open(&self) -> bool {
        self.is_alive() && !self.captures.is_widening()
    }

    /// Captures payload from now on; whether that is yet to begin.
    pub(super) fn expect_payload(&mut self) -> bool {
        if !std::mem::replace(&mut self.captures_payload, true) {
            log::info!("a module may want payload: responses are captured with theirs");
            self.captures.widen(|options| Some(with_payload(options)));
        }
        !self.is_open()
    }

    pub(super) fn look(&mut self) {
        self.captures.look_everywhere();
    }

    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.captures.poll_timeout(now)
    }

    pub(super) fn register(&mut self, registration: Registration) {
        self.claims.register(registration);
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        mut on_response: impl FnMut(SessionId, Instant, &Segment<'_>),
    ) {
        let Self { captures, claims, totals, .. } = self;
        captures.dispatch(|captured_at, segment| match claims.of(segment) {
            Some(Claim { id, depth }) => {
                totals.responses += 1;
                let wanted = segment.payload.len().min(depth as usize);
                on_response(
                    id,
                    captured_at.min(now),
                    &Segment { payload: &segment.payload[..wanted], ..*segment },
                );
            }
            None => totals.held_expired += 1,
        });
    }

    pub(super) fn totals(&mut self) -> FeedTotals {
        let capture = self.captures.totals();
        FeedTotals {
            wanted: self.wanted,
            connected: capture.devices,
            connects: self.wanted as u64,
            losses: (self.wanted - capture.devices) as u64,
            intercept_kernel_dropped: capture.kernel_dropped,
            ..self.totals
        }
    }
}

/// What the targets answer, in pcap's language.
pub(crate) fn response_filter(mappings: &Mappings, dnat: bool) -> String {
    let targets = mappings.as_slice().iter().map(|mapping| mapping.target);
    let ends: Vec<_> = targets.map(|target| ((!dnat).then_some(target.addr), target.port)).collect();
    answer_filter(&ends, &[])
}

/// A session that a flow's responses are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    id: SessionId,
    /// Payload bytes it wants of each.
    depth: u32,
}

/// Flow to session. A flow belongs to the latest that claimed it.
#[derive(Debug, Default)]
struct Claims {
    by_flow: HashMap<Flow, Claim>,
    flows: HashMap<SessionId, Flow>,
    /// Targets may answer from other addresses than the sessions were opened to.
    dnat: bool,
}

impl Claims {
    fn new(dnat: bool) -> Self {
        Self { dnat, ..Self::default() }
    }

    fn register(&mut self, registration: Registration) {
        match registration {
            Registration::Add { id, flow, depth } => {
                self.remove(id);
                let flow = self.key(flow);
                self.by_flow.insert(flow, Claim { id, depth });
                self.flows.insert(id, flow);
            }
            Registration::Depth { id, depth } => {
                let claim = self.flows.get(&id).and_then(|flow| self.by_flow.get_mut(flow));
                if let Some(claim) = claim.filter(|claim| claim.id == id) {
                    claim.depth = depth;
                }
            }
            Registration::Remove { id } => self.remove(id),
        }
    }

    fn remove(&mut self, id: SessionId) {
        if let Some(flow) = self.flows.remove(&id)
            && let Entry::Occupied(claim) = self.by_flow.entry(flow)
            && claim.get().id == id
        {
            claim.remove();
        }
    }

    /// Whose a response is.
    fn of(&self, response: &Segment<'_>) -> Option<Claim> {
        let flow = Flow { client: response.destination, server: response.source };
        self.by_flow.get(&self.key(flow)).copied()
    }

    fn key(&self, flow: Flow) -> Flow {
        if !self.dnat {
            return flow;
        }
        let addr = match flow.server.addr {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Flow { server: Endpoint { addr, ..flow.server }, ..flow }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn end(text: &str) -> Endpoint {
        text.parse::<SocketAddr>().unwrap().into()
    }

    fn flow(client: &str) -> Flow {
        Flow { client: end(client), server: end("10.0.0.2:80") }
    }

    fn response<'a>(server: &str, client: &str) -> Segment<'a> {
        Segment { source: end(server), destination: end(client), ..Segment::default() }
    }

    fn add(id: u64, client: &str, depth: u32) -> Registration {
        Registration::Add { id: SessionId::from_bits(id), flow: flow(client), depth }
    }

    fn owner(claims: &Claims, server: &str, client: &str) -> Option<(u64, u32)> {
        claims.of(&response(server, client)).map(|claim| (claim.id.to_bits(), claim.depth))
    }

    const ONE: u64 = 1 << 32 | 1;
    const OTHER: u64 = 1 << 32 | 2;

    #[test]
    fn a_response_is_for_the_latest_that_claimed_its_flow() {
        let mut claims = Claims::new(false);
        claims.register(add(ONE, "10.9.0.1:4000", 0));
        claims.register(add(OTHER, "10.9.0.1:4000", 7));
        assert_eq!(owner(&claims, "10.0.0.2:80", "10.9.0.1:4000"), Some((OTHER, 7)));
        assert_eq!(owner(&claims, "10.0.0.2:80", "10.9.0.1:4001"), None);
        assert_eq!(owner(&claims, "10.0.0.3:80", "10.9.0.1:4000"), None);
        // Whoever had it before takes nothing away.
        claims.register(Registration::Remove { id: SessionId::from_bits(ONE) });
        assert_eq!(owner(&claims, "10.0.0.2:80", "10.9.0.1:4000"), Some((OTHER, 7)));
        claims.register(Registration::Depth { id: SessionId::from_bits(OTHER), depth: 9 });
        assert_eq!(owner(&claims, "10.0.0.2:80", "10.9.0.1:4000"), Some((OTHER, 9)));
        claims.register(Registration::Remove { id: SessionId::from_bits(OTHER) });
        assert!(claims.by_flow.is_empty() && claims.flows.is_empty());
    }

    #[test]
    fn a_session_that_moves_leaves_its_flow() {
        let mut claims = Claims::new(false);
        claims.register(add(ONE, "10.9.0.1:4000", 0));
        claims.register(add(ONE, "10.9.0.1:4001", 0));
        assert_eq!(owner(&claims, "10.0.0.2:80", "10.9.0.1:4000"), None);
        assert_eq!(owner(&claims, "10.0.0.2:80", "10.9.0.1:4001"), Some((ONE, 0)));
    }

    #[test]
    fn with_dnat_any_address_answers_for_a_target() {
        let mut claims = Claims::new(true);
        claims.register(add(ONE, "10.9.0.1:4000", 0));
        assert_eq!(owner(&claims, "172.17.0.5:80", "10.9.0.1:4000"), Some((ONE, 0)));
        assert_eq!(owner(&claims, "172.17.0.5:81", "10.9.0.1:4000"), None);
    }
}
