//! The tcpcopy node: the engine and its end of the feed, drained as their documentation says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tcpcopy_engine::{
    Awaited, Engine, EngineOptions, Mapping, Mappings, OnlineAddress, Registration, SessionId, SourcePool,
};
use tcpcopy_feed::{FlowId, Subscriber, SubscriberEvent};
use tcpcopy_wire::{Endpoint, Instant, Segment, parse_ip};

use crate::Violation;
use crate::framing::{Framing, Serving};
use crate::scenario::Scenario;

/// A single drain makes no more packets than this.
const MOST_PACKETS_AT_ONCE: usize = 50_000;
/// What a session may take beyond the budget until it is drained.
const MEMORY_SLACK: usize = 256 << 10;

pub(crate) struct Replayer {
    pub(crate) engine: Engine,
    pub(crate) subscriber: Subscriber,
    target: Endpoint,
    sources: Option<(IpAddr, IpAddr)>,
    memory_budget: usize,
    mtu: usize,
    /// What the target's MSS option comes to.
    target_mtu: usize,
    transmit_mtu: Option<usize>,
    buffer: Vec<u8>,
    /// Packets for the target, in order.
    pub(crate) outgoing: Vec<Vec<u8>>,
    /// Set when the feed's connection has to be closed.
    pub(crate) feed_failed: bool,
}

impl Replayer {
    pub(crate) fn new(
        scenario: &Scenario,
        online: Endpoint,
        target: Endpoint,
        seed: u64,
        now: Instant,
    ) -> Self {
        let sources = pool(scenario);
        let options = EngineOptions {
            pace: scenario.pace,
            awaited: if scenario.overlap_turns { Awaited::Greetings } else { Awaited::Answers },
            only_whole_sessions: scenario.only_whole_sessions,
            response_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(90),
            sources: sources.map(|range| SourcePool::new(vec![range])),
            memory_budget: scenario.memory_budget,
            ..EngineOptions::default()
        };
        let mtu = usize::from(options.mtu);
        let online = OnlineAddress { addr: Some(online.addr), port: online.port };
        let mappings = Mappings::new(vec![Mapping { online, target }]);
        let mut engine = Engine::new(options, mappings, seed);
        if scenario.serving != Serving::Nobody {
            let is_idle = scenario.serving == Serving::Idle;
            engine.install(0, 1, Box::new(Framing { is_idle }), false, now);
        }
        Self {
            engine,
            subscriber: Subscriber::new(seed, now),
            target,
            sources,
            memory_budget: scenario.memory_budget,
            mtu,
            target_mtu: scenario.target.manner.mtu,
            transmit_mtu: scenario.transmit_mtu,
            buffer: vec![0; mtu],
            outgoing: Vec::new(),
            feed_failed: false,
        }
    }

    /// A captured frame, of which `packet` was kept.
    pub(crate) fn handle_capture(
        &mut self,
        now: Instant,
        captured_at: Instant,
        packet: &[u8],
        wire_len: usize,
    ) -> Result<(), Violation> {
        // A frame cut inside its headers is dropped by the parser, and counted there.
        let Ok(segment) = parse_ip(packet, wire_len) else { return Ok(()) };
        self.engine.handle_capture(now, captured_at, &segment);
        self.drain(now)
    }

    /// Bytes of the feed.
    pub(crate) fn handle_feed(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Violation> {
        let mut responses = Vec::new();
        let read = self.subscriber.handle_bytes(now, bytes, |event| {
            if let SubscriberEvent::Response(response) = event {
                let id = SessionId::from_bits(response.id.0);
                let (headers, payload) = (headers(&response.segment), response.segment.payload.to_vec());
                responses.push((id, response.seen_at, headers, payload));
            }
        });
        self.feed_failed |= read.is_err();
        for (id, seen_at, headers, payload) in responses {
            self.engine.handle_response(now, seen_at, id, &Segment { payload: &payload, ..headers });
            self.drain(now)?;
        }
        Ok(())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), Violation> {
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
            self.drain(now)?;
            if let Some(at) = self.engine.poll_timeout().filter(|at| *at <= now) {
                return Err(Violation(format!(
                    "after its time-out at {now:?} the engine wants another one at {at:?}"
                )));
            }
        }
        if self.subscriber.poll_timeout().is_some_and(|at| at <= now) {
            self.feed_failed |= self.subscriber.handle_timeout(now).is_err();
        }
        Ok(())
    }

    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.engine.poll_timeout().into_iter().chain(self.subscriber.poll_timeout()).min()
    }

    /// Takes everything out of the engine that is due.
    fn drain(&mut self, now: Instant) -> Result<(), Violation> {
        self.register();
        let before = self.outgoing.len();
        while let Some((id, len)) = self.engine.poll_transmit(now, &mut self.buffer) {
            if self.transmit_mtu.is_some_and(|mtu| len > mtu) {
                self.engine.handle_too_large(id);
            }
            let packet = self.buffer[..len].to_vec();
            self.check_packet(&packet)?;
            if self.transmit_mtu.is_none_or(|mtu| len <= mtu) {
                self.outgoing.push(packet);
            }
            if self.outgoing.len() - before > MOST_PACKETS_AT_ONCE {
                return Err(Violation(format!("one drain made more than {MOST_PACKETS_AT_ONCE} packets")));
            }
        }
        self.register();
        self.check_counts()
    }

    fn register(&mut self) {
        while let Some(registration) = self.engine.poll_registration() {
            self.subscriber.register(match registration {
                Registration::Add { id, flow, depth } => {
                    tcpcopy_feed::Registration::Add { id: FlowId(id.to_bits()), flow, depth }
                }
                Registration::Depth { id, depth } => {
                    tcpcopy_feed::Registration::Depth { id: FlowId(id.to_bits()), depth }
                }
                Registration::Remove { id } => {
                    tcpcopy_feed::Registration::Remove { id: FlowId(id.to_bits()) }
                }
            });
        }
    }

    /// Every packet goes to the target, comes from whom it may, is well-formed and no larger than allowed.
    fn check_packet(&self, packet: &[u8]) -> Result<(), Violation> {
        let segment = match parse_ip(packet, packet.len()) {
            Ok(segment) => segment,
            Err(reason) => return Err(Violation(format!("a transmitted packet does not parse: {reason:?}"))),
        };
        let from_pool =
            self.sources.is_none_or(|(first, last)| (first..=last).contains(&segment.source.addr));
        if segment.destination != self.target || !from_pool {
            let (from, to) = (segment.source, segment.destination);
            return Err(Violation(format!("a packet was transmitted from {from} to {to}")));
        }
        // RFC 9293 §3.7.1: options count against the MSS.
        if packet.len() > self.mtu.min(self.target_mtu) || !segment.is_whole() {
            return Err(Violation(format!("a packet of {} bytes was transmitted", packet.len())));
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), Violation> {
        let (statistics, pending) = (self.engine.statistics(), self.engine.pending());
        if pending.memory > self.memory_budget + MEMORY_SLACK {
            return Err(Violation(format!("{} bytes of memory are in use", pending.memory)));
        }
        if statistics.sessions_opened != statistics.sessions_ended() + pending.sessions {
            return Err(Violation(format!(
                "{} sessions were opened, {} ended, {} are live",
                statistics.sessions_opened,
                statistics.sessions_ended(),
                pending.sessions
            )));
        }
        if statistics.turns_captured < statistics.turns_lost() + pending.turns
            || statistics.bytes_captured < statistics.bytes_lost() + pending.bytes
        {
            return Err(Violation(format!("more is lost and pending than captured: {pending:?}")));
        }
        Ok(())
    }
}

/// The addresses that users are mapped on.
fn pool(scenario: &Scenario) -> Option<(IpAddr, IpAddr)> {
    let last = scenario.pool.checked_sub(1)?;
    let addr = |host: u8| -> IpAddr {
        if scenario.ipv6 {
            Ipv6Addr::new(0xfd00, 0, 0, 9, 0, 0, 0, u16::from(host)).into()
        } else {
            Ipv4Addr::new(10, 9, 0, host).into()
        }
    };
    Some((addr(1), addr(1 + last)))
}

/// A segment as the feed carries it when no payload was asked for.
pub(crate) fn headers(segment: &Segment<'_>) -> Segment<'static> {
    let Segment { source, destination, seq, ack, flags, window, options, ttl, tos, payload_len, .. } =
        *segment;
    Segment { source, destination, seq, ack, flags, window, options, ttl, tos, payload: &[], payload_len }
}
