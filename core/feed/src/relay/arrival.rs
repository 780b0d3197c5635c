//! What peers say: hellos, registrations, heartbeats.

use tcpcopy_wire::{Flow, Instant, Segment};

use super::peer::{Recipient, Stage};
use super::routes::Owner;
use super::{PeerId, Relay, RelayEvent, announce};
use crate::bytes::Reader;
use crate::c_tool::C_VERSION;
use crate::doorway::{Opener, recognise_tcpcopy};
use crate::frame::{Frame, FrameKind};
use crate::hello::{Opening, Role, parse_opening, parse_refusal};
use crate::inbox::Inbox;
use crate::{Features, FlowId, PeerError, Question, Registration, VERSION};

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
        self.read(slot, now, bytes).inspect_err(|error| self.refuse(slot, error))
    }

    fn read(&mut self, slot: usize, now: Instant, mut bytes: &[u8]) -> Result<(), PeerError> {
        if !self.recognise(slot, now, &mut bytes)? {
            return Ok(());
        }
        let Some(peer) = self.peers.get_mut(slot) else {
            return Ok(());
        };
        if peer.is_c() {
            self.read_routes(slot, bytes);
            return Ok(());
        }
        let mut inbox = std::mem::take(&mut peer.inbox);
        let outcome = self.read_frames(slot, now, &mut inbox, bytes);
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.inbox = inbox;
        }
        outcome
    }

    /// Finds out who speaks, if that is not known yet, and whether it is known now.
    fn recognise(&mut self, slot: usize, now: Instant, bytes: &mut &[u8]) -> Result<bool, PeerError> {
        let Some(peer) = self.peers.get_mut(slot).filter(|peer| peer.stage == Stage::Greeting) else {
            return Ok(true);
        };
        match peer.doorway.open(bytes, recognise_tcpcopy) {
            Opener::Undecided => return Ok(false),
            Opener::Offer(offer) if offer.version != VERSION => {
                return Err(PeerError::Version(offer.version));
            }
            Opener::Offer(offer) => {
                self.wants_payload |= offer.expects_payload;
                peer.say_hello(self.options.identity, now);
            }
            Opener::Feed => peer.inbox = Inbox::opened(peer.doorway.take_first()),
            Opener::CTcpcopy(C_VERSION) => return self.greet_c(slot, now).map(|()| true),
            Opener::CTcpcopy(version) => return Err(PeerError::CTcpcopy(version)),
            Opener::CIntercept { .. } | Opener::Stranger => return Err(PeerError::NotAFeed),
        }
        peer.stage = Stage::Offered;
        announce(&mut self.writable, peer);
        Ok(true)
    }

    fn read_frames(
        &mut self,
        slot: usize,
        now: Instant,
        inbox: &mut Inbox,
        mut bytes: &[u8],
    ) -> Result<(), PeerError> {
        while let Some(frame) = inbox.next(&mut bytes)? {
            let is_greeted = self.peers.get_mut(slot).is_some_and(|peer| peer.stage == Stage::Connected);
            if is_greeted {
                self.read_frame(slot, frame)?;
            } else {
                self.greet(slot, now, frame)?;
            }
        }
        Ok(())
    }

    /// Takes the hello of one of ours.
    fn greet(&mut self, slot: usize, now: Instant, frame: Frame<'_>) -> Result<(), PeerError> {
        let theirs = match parse_opening(frame)? {
            Opening::Refusal(reason) => return Err(PeerError::Refused(reason)),
            Opening::OtherVersion(version) => return Err(PeerError::Version(version)),
            Opening::Hello(hello) if hello.role != Role::Tcpcopy => return Err(PeerError::NotATcpcopy),
            Opening::Hello(hello) => hello,
        };
        let features = Features::OURS.common(theirs.features);
        let is_unregistered = features.contains(Features::UNREGISTERED);
        if is_unregistered && !self.options.single {
            return Err(PeerError::Unregistered);
        }
        if self.options.single && !self.single.admit(slot, Some(theirs.identity), is_unregistered, now) {
            return Err(PeerError::NotSingle);
        }
        self.wants_payload |= features.contains(Features::EXPECTS_PAYLOAD);
        if let Some(peer) = self.peers.get_mut(slot) {
            // One that begins with its hello has not been answered yet.
            peer.say_hello(self.options.identity, now);
            announce(&mut self.writable, peer);
            peer.stage = Stage::Connected;
            peer.unanswered = 0;
            peer.identity = Some(theirs.identity);
            peer.features = features;
            self.events.push_back(RelayEvent::Connected {
                peer: peer.id,
                identity: theirs.identity,
                features,
            });
        }
        Ok(())
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
            FrameKind::Question => self.hear_question(slot, frame),
            FrameKind::Goodbye => {
                self.forget_flows(slot);
                self.events
                    .extend(self.peers.get_mut(slot).map(|peer| RelayEvent::Goodbye { peer: peer.id }));
                Ok(())
            }
            FrameKind::Refuse => Err(PeerError::Refused(parse_refusal(frame)?)),
            FrameKind::Hello
            | FrameKind::Responses
            | FrameKind::Statistics
            | FrameKind::Unregistered
            | FrameKind::Answer => Err(frame.unexpected().into()),
        }
    }

    fn hear_question(&mut self, slot: usize, frame: Frame<'_>) -> Result<(), PeerError> {
        let Some(peer) = self.peers.get_mut(slot) else {
            return Ok(());
        };
        if !peer.features.contains(Features::INQUIRY) {
            return Err(frame.unexpected().into());
        }
        let question = Question::parse(frame.body)?;
        self.events.push_back(RelayEvent::Asked { peer: peer.id, question });
        Ok(())
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
    pub(super) fn add(&mut self, slot: usize, id: FlowId, flow: Flow, depth: u32) {
        let key = self.keying().key(flow);
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        if peer.flows.len() >= self.options.max_flows_per_peer && !peer.flows.contains_key(&id) {
            peer.flows_refused += 1;
            self.totals.flows_refused += 1;
            return;
        }
        if let Some(before) = peer.flows.insert(id, key) {
            self.routes.remove(&before, slot, id);
        }
        self.routes.insert(key, Owner { slot, id, depth, used: false });
        let totals = &mut self.totals;
        self.held.claim(&key, |seen_at, segment| {
            // Responses are held without their addresses.
            let segment = Segment { source: flow.server, destination: flow.client, ..*segment };
            if peer.push_response(Recipient::Session { id, depth }, seen_at, &segment) {
                totals.held_delivered += 1;
            } else {
                totals.held_overflowed += 1;
            }
        });
        announce(&mut self.writable, peer);
    }
}
