//! A relay and any number of subscribers joined by perfect in-memory connections.

use std::time::Duration;

use tcpcopy_feed::{
    Answer, Features, FeedError, FlowId, PeerId, Registration, Relay, RelayOptions, Statistics, Subscriber,
    SubscriberEvent,
};
use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Segment, SeqNum};

/// A subscriber's event, with what it borrowed copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Connected { identity: u64, features: Features, restarted: bool },
    Response { id: FlowId, seen_at: Instant, seq: u32, payload: Vec<u8>, payload_len: u32 },
    Statistics(Statistics),
    Answer(Answer),
    Goodbye,
}

impl From<SubscriberEvent<'_>> for Seen {
    fn from(event: SubscriberEvent<'_>) -> Self {
        match event {
            SubscriberEvent::Connected { identity, features, restarted } => {
                Self::Connected { identity, features, restarted }
            }
            SubscriberEvent::Response(response) => Self::Response {
                id: response.id,
                seen_at: response.seen_at,
                seq: response.segment.seq.0,
                payload: response.segment.payload.to_vec(),
                payload_len: response.segment.payload_len,
            },
            SubscriberEvent::Statistics(statistics) => Self::Statistics(statistics),
            SubscriberEvent::Answer(answer) => Self::Answer(answer),
            SubscriberEvent::Goodbye => Self::Goodbye,
        }
    }
}

pub(crate) struct Tcpcopy {
    pub(crate) peer: PeerId,
    pub(crate) subscriber: Subscriber,
    pub(crate) seen: Vec<Seen>,
}

impl Tcpcopy {
    pub(crate) fn new(number: u64, now: Instant) -> Self {
        Self { peer: PeerId(number), subscriber: Subscriber::new(1000 + number, now), seen: Vec::new() }
    }

    /// The responses seen since the last call: session and sequence number.
    pub(crate) fn responses(&mut self) -> Vec<(u64, u32)> {
        let responses = self.seen.iter().filter_map(|seen| match seen {
            Seen::Response { id, seq, .. } => Some((id.0, *seq)),
            _ => None,
        });
        let responses = responses.collect();
        self.seen.clear();
        responses
    }

    pub(crate) fn add(&mut self, id: u64, port: u16, depth: u32) {
        self.subscriber.register(Registration::Add { id: FlowId(id), flow: flow(port), depth });
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.subscriber.register(Registration::Remove { id: FlowId(id) });
    }
}

/// An intercept, the connections that lead to it, and the time.
pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new(options: RelayOptions) -> Self {
        let now = Instant::from_micros(1_700_000_000_000_000);
        Self { relay: Relay::new(options, now), now }
    }

    /// A tcpcopy that is connected and has said hello.
    pub(crate) fn tcpcopy(&mut self, number: u64) -> Tcpcopy {
        let mut tcpcopy = Tcpcopy::new(number, self.now);
        self.connect(&mut tcpcopy);
        tcpcopy
    }

    pub(crate) fn connect(&mut self, tcpcopy: &mut Tcpcopy) {
        self.relay.handle_connected(tcpcopy.peer, self.now);
        tcpcopy.subscriber.handle_connected(self.now);
        self.exchange(tcpcopy).expect("a connection");
    }

    pub(crate) fn disconnect(&mut self, tcpcopy: &mut Tcpcopy) {
        self.relay.handle_disconnected(tcpcopy.peer);
        tcpcopy.subscriber.handle_disconnected(self.now);
    }

    /// Carries bytes both ways until neither has any more.
    pub(crate) fn exchange(&mut self, tcpcopy: &mut Tcpcopy) -> Result<(), FeedError> {
        while self.upstream(tcpcopy) | self.downstream(tcpcopy)? {}
        Ok(())
    }

    /// Carries what tcpcopy has to say; whether that was anything.
    pub(crate) fn upstream(&mut self, tcpcopy: &mut Tcpcopy) -> bool {
        let bytes = tcpcopy.subscriber.poll_transmit().to_vec();
        tcpcopy.subscriber.consume(bytes.len());
        self.relay.handle_bytes(tcpcopy.peer, self.now, &bytes).expect("a well-behaved tcpcopy");
        !bytes.is_empty()
    }

    /// Carries what intercept has to say; whether that was anything.
    pub(crate) fn downstream(&mut self, tcpcopy: &mut Tcpcopy) -> Result<bool, FeedError> {
        let bytes = self.relay.poll_transmit(tcpcopy.peer).to_vec();
        self.relay.consume(tcpcopy.peer, bytes.len());
        let seen = &mut tcpcopy.seen;
        tcpcopy.subscriber.handle_bytes(self.now, &bytes, |event| seen.push(event.into()))?;
        Ok(!bytes.is_empty())
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

pub(crate) fn flow(port: u16) -> Flow {
    Flow {
        client: Endpoint::new([10, 0, 0, 1].into(), port),
        server: Endpoint::new([10, 0, 0, 2].into(), 80),
    }
}

/// A response of the target to the client at `port`, as intercept captures it.
pub(crate) fn response(port: u16, seq: u32) -> Segment<'static> {
    Segment {
        source: flow(port).server,
        destination: flow(port).client,
        seq: SeqNum(seq),
        ack: SeqNum(1),
        flags: Flags::ACK,
        ..Segment::default()
    }
}

/// The same with payload.
pub(crate) fn response_with(port: u16, seq: u32, payload: &[u8]) -> Segment<'_> {
    let payload_len = u32::try_from(payload.len()).expect("a short payload");
    Segment { payload, payload_len, ..response(port, seq) }
}
