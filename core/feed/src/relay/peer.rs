//! One connected tcpcopy, as intercept keeps it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Flow, Instant, Segment};

use super::c_tcpcopy::CTcpcopy;
use super::{PeerId, RelayOptions};
use crate::bytes::Writer;
use crate::c_tool::{HEADERS_BYTES, PACKET_MAX, encode};
use crate::doorway::Doorway;
use crate::frame::FrameKind;
use crate::hello::{Hello, Role, fitting_reason, refusal_body};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::registration::flow_record;
use crate::response::{MAX_DEPTH, carried, head};
use crate::{CToolFormat, Features, FlowId, PeerError, Statistics};

/// Length of the clock reading that a frame of responses begins with.
const FRAME_CLOCK_BYTES: usize = 8;

/// How far a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has come yet that says who it is.
    Greeting,
    /// It is one of ours; its hello has not come yet.
    Offered,
    /// It said hello, or is a C tcpcopy.
    Connected,
    /// It is to be closed; what it still says is not heard.
    Refused,
}

/// Whose a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipient {
    /// That session's, with so many bytes of payload.
    Session { id: FlowId, depth: u32 },
    /// Of a session that tcpcopy knows by its flow.
    Unregistered,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) stage: Stage,
    has_said_hello: bool,
    pub(super) since: Instant,
    pub(super) identity: Option<u64>,
    /// What both ends can do.
    pub(super) features: Features,
    pub(super) doorway: Doorway,
    pub(super) inbox: Inbox,
    /// It is a C tcpcopy.
    pub(super) c_tcpcopy: Option<CTcpcopy>,
    c_format: CToolFormat,
    pub(super) outbox: Outbox,
    /// Its sessions; the routes know which of them own their flow.
    pub(super) flows: HashMap<FlowId, Flow, FixedState>,
    /// Heartbeats of ours since it was heard; see `Subscriber::unanswered`.
    pub(super) unanswered: u32,
    /// Its identity is in the relay's queue of writable peers, or was taken out and is being served.
    pub(super) announced: bool,
    pub(super) delivered: u64,
    pub(super) overflowed: u64,
    pub(super) flows_refused: u64,
    pub(super) reported: Statistics,
    /// Time of the latest response in the open frame.
    frame_clock: Instant,
}

impl Peer {
    pub(super) fn new(id: PeerId, options: &RelayOptions, now: Instant) -> Self {
        Self {
            id,
            stage: Stage::Greeting,
            has_said_hello: false,
            since: now,
            identity: None,
            features: Features::default(),
            doorway: Doorway::default(),
            inbox: Inbox::default(),
            c_tcpcopy: None,
            c_format: options.c_format,
            outbox: Outbox::new(options.peer_buffer_bytes),
            flows: HashMap::with_hasher(FixedState::with_seed(options.seed)),
            unanswered: 0,
            announced: false,
            delivered: 0,
            overflowed: 0,
            flows_refused: 0,
            reported: Statistics::default(),
            frame_clock: Instant::ZERO,
        }
    }

    /// Whether it is a C tcpcopy.
    pub(super) const fn is_c(&self) -> bool {
        self.c_tcpcopy.is_some()
    }

    /// Queues a response; `false` and counted when the peer's buffer is full.
    pub(super) fn push_response(&mut self, to: Recipient, seen_at: Instant, segment: &Segment<'_>) -> bool {
        let pushed =
            if self.is_c() { self.push_packet(segment) } else { self.push_record(to, seen_at, segment) };
        if pushed {
            self.delivered += 1;
        } else {
            self.overflowed += 1;
        }
        pushed
    }

    /// Appends a response to the open frame, if there is room.
    fn push_record(&mut self, to: Recipient, seen_at: Instant, segment: &Segment<'_>) -> bool {
        let (kind, id, depth, flow) = match to {
            Recipient::Session { id, depth } => (FrameKind::Responses, id, depth, Writer::new()),
            Recipient::Unregistered => {
                let flow = Flow { client: segment.destination, server: segment.source };
                let expected = self.features.contains(Features::EXPECTS_PAYLOAD);
                let depth = if expected { MAX_DEPTH } else { 0 };
                (FrameKind::Unregistered, FlowId(0), depth, flow_record(&flow))
            }
        };
        let flow = flow.as_slice();
        let payload = carried(segment, if self.features.contains(Features::PAYLOAD) { depth } else { 0 });
        let batched = self.outbox.has_open(kind, flow.len() + Writer::CAPACITY + payload.len());
        let before = if batched { self.frame_clock } else { seen_at };
        let record = head(before, id, seen_at, segment, payload.len());
        let length = flow.len() + record.as_slice().len() + payload.len();
        if !self.outbox.has_room(FRAME_CLOCK_BYTES + length) {
            return false;
        }
        if !batched {
            self.outbox.open(kind);
            self.outbox.extend(&seen_at.micros().to_be_bytes());
        }
        self.outbox.extend(flow);
        self.outbox.extend(record.as_slice());
        self.outbox.extend(payload);
        self.frame_clock = seen_at;
        true
    }

    /// Appends a response as a C tcpcopy reads it, if there is room. Responses of IPv6, which only `--single` could
    /// bring here, are not for it.
    fn push_packet(&mut self, segment: &Segment<'_>) -> bool {
        let format = self.c_format;
        let Some(packet) = encode(segment, format.payload) else { return false };
        let length = if format.payload { PACKET_MAX } else { HEADERS_BYTES };
        match format.batch() {
            Some(most) => self.outbox.push_packet(&packet[..length], most),
            None => self.outbox.push_bare(&packet[..length]),
        }
    }

    /// Says hello to one of ours, once.
    pub(super) fn say_hello(&mut self, identity: u64, now: Instant) {
        if !std::mem::replace(&mut self.has_said_hello, true) {
            let ours = Hello { role: Role::Intercept, features: Features::OURS, identity, clock: now };
            // Nothing is queued before it, so there is room.
            let _ = self.outbox.push_frame(FrameKind::Hello, [ours.body().as_slice(), &[]]);
        }
    }

    /// Queues a frame for a peer of ours that said hello. Batched responses leave room for some; `false` if there is
    /// none all the same.
    pub(super) fn push_control(&mut self, kind: FrameKind, body: &[u8]) -> bool {
        self.stage == Stage::Connected && !self.is_c() && self.outbox.push_frame(kind, [body, &[]])
    }

    /// Tells the peer why it is given up, unless it was the one to refuse or cannot be told. Without room for that it is
    /// not told: it takes nothing anyway.
    pub(super) fn refuse(&mut self, error: &PeerError) {
        self.stage = Stage::Refused;
        if self.is_c() || matches!(error, PeerError::Refused(_) | PeerError::CTcpcopy(_)) {
            return;
        }
        let reason = error.to_string();
        let _ = self
            .outbox
            .push_frame(FrameKind::Refuse, [refusal_body().as_slice(), fitting_reason(&reason).as_bytes()]);
    }
}
