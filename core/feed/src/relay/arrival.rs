//! What peers say: hellos, registrations, heartbeats.

use tcpcopy_wire::{Flow, Instant};

use super::peer::{Peer, Stage};
use super::routes::Owner;
use super::{PeerId, Relay, RelayEvent, announce};
use crate::bytes::Reader;
use crate::frame::{Frame, FrameKind};
use crate::hello::{Hello, Opening, Role, parse_opening, parse_refusal};
use crate::inbox::{Inbox, Unreadable};
use crate::{Features, FlowId, PeerError, Registration};

impl Relay {
    /// Bytes of a peer have arrived, cut anywhere.
    ///
    /// # Errors
    /// [`PeerError`] when this peer is of no more use: send what is queued for it (it says why) if that is
    /// possible at once, close the connection and call [`Self::handle_disconnected`]. Other peers are not
    /// affected. What a given-up or unknown peer says is ignored.
    pub fn handle_bytes(&mut self, id: PeerId, now: Instant, bytes: &[u8]) -> Result<(), PeerError> {
        let Some(slot) = self.peers.slot_of(id) else {
            return Ok(());
        };
        let Some(peer) = self.peers.get_mut(slot) else {
            return Ok(());
        };
        if peer.stage == Stage::Refused {
            return Ok(());
        }
        if peer.stage == Stage::Connected {
            peer.unanswered = 0;
        }
        let mut inbox = std::mem::take(&mut peer.inbox);
        let outcome = self.read_frames(slot, now, &mut inbox, bytes);
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.inbox = inbox;
        }
        outcome.inspect_err(|error| self.refuse(slot, error))
    }

    fn read_frames(
        &mut self,
        slot: usize,
        now: Instant,
        inbox: &mut Inbox,
        mut bytes: &[u8],
    ) -> Result<(), PeerError> {
        loop {
            let frame = match inbox.next(&mut bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(Unreadable::Malformed(malformed)) => return Err(malformed.into()),
                Err(Unreadable::CTcpcopy(version)) => return Err(PeerError::CTcpcopy(version)),
                Err(Unreadable::Stranger) => return Err(PeerError::NotAFeed),
            };
            let Some(peer) = self.peers.get_mut(slot) else {
                return Ok(());
            };
            if peer.stage == Stage::Greeting {
                let connected = greet(peer, self.options.identity, now, frame)?;
                announce(&mut self.writable, peer);
                if let RelayEvent::Connected { features, .. } = &connected {
                    self.wants_payload |= features.contains(Features::EXPECTS_PAYLOAD);
                }
                self.events.push_back(connected);
            } else {
                self.read_frame(slot, frame)?;
            }
        }
    }

    fn read_frame(&mut self, slot: usize, frame: Frame<'_>) -> Result<(), PeerError> {
        match frame.kind {
            FrameKind::Registrations => {
                let mut body = Reader::new(frame.body);
                while !body.is_empty() {
                    self.register(slot, Registration::parse(&mut body)?);
                }
                Ok(())
            }
            FrameKind::Heartbeat => Ok(()),
            FrameKind::Goodbye => {
                self.forget_flows(slot);
                self.events
                    .extend(self.peers.get_mut(slot).map(|peer| RelayEvent::Goodbye { peer: peer.id }));
                Ok(())
            }
            FrameKind::Refuse => Err(PeerError::Refused(parse_refusal(frame)?)),
            FrameKind::Hello | FrameKind::Responses | FrameKind::Statistics => Err(frame.unexpected().into()),
        }
    }

    fn register(&mut self, slot: usize, registration: Registration) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        match registration {
            Registration::Add { id, flow, depth } => {
                self.wants_payload |= depth > 0;
                self.add(slot, id, flow, depth);
            }
            Registration::Depth { id, depth } => {
                self.wants_payload |= depth > 0;
                if let Some(flow) = peer.flows.get(&id) {
                    self.routes.set_depth(flow, slot, id, depth);
                }
            }
            Registration::Remove { id } => {
                if let Some(flow) = peer.flows.remove(&id) {
                    self.routes.remove(&flow, slot, id);
                }
            }
        }
    }

    /// Routes a flow to a session, and hands over what was held for it.
    fn add(&mut self, slot: usize, id: FlowId, flow: Flow, depth: u32) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        if peer.flows.len() >= self.options.max_flows_per_peer && !peer.flows.contains_key(&id) {
            peer.flows_refused += 1;
            self.totals.flows_refused += 1;
            return;
        }
        if let Some(before) = peer.flows.insert(id, flow) {
            self.routes.remove(&before, slot, id);
        }
        self.routes.insert(flow, Owner { slot, id, depth });
        let totals = &mut self.totals;
        self.held.claim(&flow, |seen_at, segment| {
            if peer.push_response(id, depth, seen_at, segment) {
                totals.held_delivered += 1;
            } else {
                totals.held_overflowed += 1;
            }
        });
        announce(&mut self.writable, peer);
    }
}

/// Takes a peer's first frame and answers it.
fn greet(peer: &mut Peer, identity: u64, now: Instant, frame: Frame<'_>) -> Result<RelayEvent, PeerError> {
    let theirs = match parse_opening(frame)? {
        Opening::Refusal(reason) => return Err(PeerError::Refused(reason)),
        Opening::OtherVersion(version) => return Err(PeerError::Version(version)),
        Opening::Hello(hello) if hello.role != Role::Tcpcopy => return Err(PeerError::NotATcpcopy),
        Opening::Hello(hello) => hello,
    };
    let ours = Hello { role: Role::Intercept, features: Features::OURS, identity, clock: now };
    let features = Features::OURS.common(theirs.features);
    peer.stage = Stage::Connected;
    peer.unanswered = 0;
    peer.identity = Some(theirs.identity);
    peer.payload = features.contains(Features::PAYLOAD);
    // Nothing is queued before it, so there is room.
    peer.push_control(FrameKind::Hello, ours.body().as_slice());
    Ok(RelayEvent::Connected { peer: peer.id, identity: theirs.identity, features })
}
