//! Intercept's end of the feed: the routes of all tcpcopys connected to it.

use std::collections::VecDeque;

use tcpcopy_wire::{Flow, Instant, Segment};

use crate::frame::FrameKind;
use crate::registration::Keying;
use crate::{Answer, CaptureStatistics, PeerError, Statistics};

mod arrival;
mod c_tcpcopy;
mod held;
mod options;
mod peer;
mod peers;
mod report;
mod routes;
mod single;

use held::Held;
pub use options::{RelayOptions, Translation};
use peer::{Peer, Recipient, Stage};
use peers::Peers;
pub use report::{PeerId, PeerSummary, RelayEvent, RelayTotals, Routed};
use routes::Routes;
use single::Single;

/// Intercept's whole feed: who registered which flow, responses that came before their registration, and
/// what is to be sent to whom.
///
/// Input: `handle_*`; output: `poll_*` with [`Self::consume`]. Time must not run backwards. After any input,
/// take what [`Self::poll_event`] and [`Self::poll_writable`] offer until there is nothing more.
#[derive(Debug)]
pub struct Relay {
    options: RelayOptions,
    peers: Peers,
    routes: Routes,
    single: Single,
    held: Held,
    capture: CaptureStatistics,
    wants_payload: bool,
    totals: RelayTotals,
    writable: VecDeque<PeerId>,
    events: VecDeque<RelayEvent>,
    next_heartbeat: Instant,
}

impl Relay {
    /// A relay without peers.
    #[must_use]
    pub fn new(options: RelayOptions, now: Instant) -> Self {
        Self {
            options,
            peers: Peers::new(options.seed),
            routes: Routes::new(options.seed),
            single: Single::new(options.seed),
            held: Held::new(options.held_bytes, options.held_for, options.seed),
            capture: CaptureStatistics::default(),
            wants_payload: false,
            totals: RelayTotals::default(),
            writable: VecDeque::new(),
            events: VecDeque::new(),
            next_heartbeat: now + options.heartbeat,
        }
    }

    /// A tcpcopy, or something that may turn out to be one, has connected.
    pub fn handle_connected(&mut self, id: PeerId, now: Instant) {
        self.handle_disconnected(id);
        let slot = self.peers.insert(Peer::new(id, &self.options, now));
        if self.peers.len() > self.options.max_peers {
            self.close(slot, PeerError::TooManyPeers(self.options.max_peers));
        }
    }

    /// A connection is gone, whoever closed it. What the peer had registered is forgotten.
    pub fn handle_disconnected(&mut self, id: PeerId) {
        if let Some(slot) = self.peers.slot_of(id) {
            self.forget_flows(slot);
            self.single.leave(slot);
            self.peers.remove(slot);
        }
    }

    /// A response was captured at `seen_at`: the target is its source, the copied client its destination.
    pub fn handle_response(&mut self, seen_at: Instant, segment: &Segment<'_>) -> Routed {
        let undone;
        let segment = match self.options.translation {
            Some(translation) => {
                undone = translation.undo(segment);
                &undone
            }
            None => segment,
        };
        let flow = Flow { client: segment.destination, server: segment.source };
        let flow = self.keying().key(flow);
        let Some((slot, recipient)) = self.recipient(&flow) else {
            return self.hold(seen_at, flow, segment);
        };
        let Some(peer) = self.peers.get_mut(slot) else {
            return self.hold(seen_at, flow, segment);
        };
        if peer.push_response(recipient, seen_at, segment) {
            self.totals.delivered += 1;
            announce(&mut self.writable, peer);
            Routed::Delivered
        } else {
            self.totals.overflowed += 1;
            Routed::Overflowed
        }
    }

    /// What a peer asked is answered. Without room for that it takes nothing anyway, and is not answered.
    pub fn answer(&mut self, id: PeerId, answer: &Answer) {
        if let Some(slot) = self.peers.slot_of(id) {
            self.push_control(slot, FrameKind::Answer, &answer.body());
        }
    }

    /// What the kernel says of intercept's capture by now; told to all peers with the next heartbeat.
    pub fn handle_capture_statistics(&mut self, capture: CaptureStatistics) {
        self.capture = capture;
    }

    /// Intercept is shutting down: says goodbye to all peers. Send what is queued, then close.
    pub fn handle_shutdown(&mut self) {
        for slot in 0..self.peers.end() {
            self.push_statistics(slot);
            self.push_control(slot, FrameKind::Goodbye, &[]);
        }
    }

    /// The time [`Self::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.totals.held_expired += self.held.expire(now);
        if now < self.next_heartbeat {
            return;
        }
        self.next_heartbeat = now + self.options.heartbeat;
        for slot in 0..self.peers.end() {
            self.beat(slot, now);
        }
    }

    /// When to call [`Self::handle_timeout`] next; `None` while there is nothing to wait for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let heartbeat = (self.peers.len() > 0).then_some(self.next_heartbeat);
        [heartbeat, self.held.poll_timeout()].into_iter().flatten().min()
    }

    /// A peer for which output has been queued since it had none. Send to it what [`Self::poll_transmit`]
    /// offers until that is empty, or until the socket takes no more and again once it does: until then the
    /// peer is not named again.
    pub fn poll_writable(&mut self) -> Option<PeerId> {
        loop {
            let id = self.writable.pop_front()?;
            if self.peers.named_mut(id).is_some_and(|peer| !peer.outbox.is_empty()) {
                return Some(id);
            }
        }
    }

    /// The next bytes to send to a peer; empty when there are none. Follow with [`Self::consume`].
    pub fn poll_transmit(&mut self, id: PeerId) -> &[u8] {
        self.peers.named_mut(id).map_or(&[], |peer| peer.outbox.poll_transmit())
    }

    /// The first `count` of the bytes that [`Self::poll_transmit`] offered were sent.
    pub fn consume(&mut self, id: PeerId, count: usize) {
        if let Some(peer) = self.peers.named_mut(id) {
            peer.outbox.consume(count);
            if peer.outbox.is_empty() {
                peer.announced = false;
            }
        }
    }

    /// The next thing the program wants to know or has to do.
    pub fn poll_event(&mut self) -> Option<RelayEvent> {
        self.events.pop_front()
    }

    /// Whether any tcpcopy has ever wanted payload of responses, or said that it will. Without that, headers are all
    /// that need be captured.
    #[must_use]
    pub const fn wants_payload(&self) -> bool {
        self.wants_payload
    }

    /// Counts since the relay began.
    #[must_use]
    pub const fn totals(&self) -> RelayTotals {
        self.totals
    }

    /// The connections, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = PeerSummary> {
        self.peers.iter().map(|peer| PeerSummary {
            peer: peer.id,
            identity: peer.identity,
            is_c: peer.is_c(),
            since: peer.since,
            flows: peer.flows.len(),
            delivered: peer.delivered,
            overflowed: peer.overflowed,
            pending: peer.outbox.len(),
        })
    }

    /// Whose a response is: the owner's of its flow, or the only tcpcopy's that registers none.
    fn recipient(&mut self, flow: &Flow) -> Option<(usize, Recipient)> {
        if let Some(owner) = self.routes.use_owner(flow) {
            return Some((owner.slot, Recipient::Session { id: owner.id, depth: owner.depth }));
        }
        Some((self.single.taker(flow)?, Recipient::Unregistered))
    }

    const fn keying(&self) -> Keying {
        Keying { dnat: self.options.dnat }
    }

    fn hold(&mut self, seen_at: Instant, flow: Flow, segment: &Segment<'_>) -> Routed {
        self.totals.held_expired += self.held.expire(seen_at);
        let pushed = self.held.push(seen_at, flow, segment);
        self.totals.held_evicted += pushed.evicted;
        self.totals.held_expired += pushed.superseded;
        if pushed.held {
            self.totals.held += 1;
            Routed::Held
        } else {
            self.totals.hold_full += 1;
            Routed::HoldFull
        }
    }

    /// One heartbeat of one peer: is it still there, and what is new for it?
    fn beat(&mut self, slot: usize, now: Instant) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        peer.unanswered += 1;
        let unanswered = peer.unanswered;
        let (patience, error) = match peer.stage {
            // It knows no heartbeats.
            Stage::Connected if peer.is_c() => return,
            Stage::Greeting | Stage::Offered => {
                (self.options.hello_within, PeerError::NoHello(self.options.hello_within.as_secs()))
            }
            Stage::Connected => {
                (self.options.peer_silence, PeerError::Silent(self.options.peer_silence.as_secs()))
            }
            Stage::Refused => return,
        };
        if unanswered > self.options.beats(patience) {
            self.close(slot, error);
        } else {
            self.push_statistics(slot);
            self.push_control(slot, FrameKind::Heartbeat, &now.micros().to_be_bytes());
        }
    }

    /// Sends a peer the statistics if they are not what it was sent last.
    fn push_statistics(&mut self, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        let statistics = Statistics {
            capture: self.capture,
            held: self.totals.held,
            held_expired: self.totals.held_expired,
            held_evicted: self.totals.held_evicted + self.totals.hold_full,
            overflowed: peer.overflowed,
            flows_refused: peer.flows_refused,
        };
        if statistics != peer.reported
            && self.push_control(slot, FrameKind::Statistics, statistics.body().as_slice())
            && let Some(peer) = self.peers.get_mut(slot)
        {
            peer.reported = statistics;
        }
    }

    /// Queues a control frame for a peer that said hello; `false` if it did not or has no room.
    fn push_control(&mut self, slot: usize, kind: FrameKind, body: &[u8]) -> bool {
        let Some(peer) = self.peers.get_mut(slot) else {
            return false;
        };
        let pushed = peer.push_control(kind, body);
        announce(&mut self.writable, peer);
        pushed
    }

    /// Gives a peer up for a reason that is not an answer to its bytes.
    fn close(&mut self, slot: usize, error: PeerError) {
        self.refuse(slot, &error);
        let event = |peer: &mut Peer| RelayEvent::Close { peer: peer.id, error };
        self.events.extend(self.peers.get_mut(slot).map(event));
    }

    /// Tells a peer why it is given up, and hears it no more.
    fn refuse(&mut self, slot: usize, error: &PeerError) {
        self.forget_flows(slot);
        self.single.leave(slot);
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.refuse(error);
            announce(&mut self.writable, peer);
        }
    }

    /// Responses of the peer's flows are held from now on, in case it comes back.
    fn forget_flows(&mut self, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        for (id, flow) in peer.flows.drain() {
            self.routes.remove(&flow, slot, id);
        }
    }
}

/// Queues a peer to be named by `poll_writable`, once for as long as it has output.
fn announce(writable: &mut VecDeque<PeerId>, peer: &mut Peer) {
    if !peer.announced && !peer.outbox.is_empty() {
        peer.announced = true;
        writable.push_back(peer.id);
    }
}
