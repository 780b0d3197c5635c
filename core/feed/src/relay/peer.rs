//! One connected tcpcopy, as intercept keeps it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_wire::{Flow, Instant, Segment};

use super::PeerId;
use crate::bytes::Writer;
use crate::frame::FrameKind;
use crate::hello::{fitting_reason, refusal_body};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::response::{carried, head};
use crate::{FlowId, PeerError, Statistics};

/// Length of the clock reading that a frame of responses begins with.
const FRAME_CLOCK_BYTES: usize = 8;

/// How far a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its hello has not come yet.
    Greeting,
    /// It said hello.
    Connected,
    /// It is to be closed; what it still says is not heard.
    Refused,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) stage: Stage,
    pub(super) since: Instant,
    pub(super) identity: Option<u64>,
    /// Both ends know what payload depth is.
    pub(super) payload: bool,
    pub(super) inbox: Inbox,
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
    pub(super) fn new(id: PeerId, buffer_bytes: usize, seed: u64, now: Instant) -> Self {
        Self {
            id,
            stage: Stage::Greeting,
            since: now,
            identity: None,
            payload: false,
            inbox: Inbox::default(),
            outbox: Outbox::new(buffer_bytes),
            flows: HashMap::with_hasher(FixedState::with_seed(seed)),
            unanswered: 0,
            announced: false,
            delivered: 0,
            overflowed: 0,
            flows_refused: 0,
            reported: Statistics::default(),
            frame_clock: Instant::ZERO,
        }
    }

    /// Appends a response to the open frame; `false` and counted when the peer's buffer is full.
    pub(super) fn push_response(
        &mut self,
        id: FlowId,
        depth: u32,
        seen_at: Instant,
        segment: &Segment<'_>,
    ) -> bool {
        let payload = carried(segment, if self.payload { depth } else { 0 });
        let batched = self.outbox.has_open(FrameKind::Responses, Writer::CAPACITY + payload.len());
        let before = if batched { self.frame_clock } else { seen_at };
        let record = head(before, id, seen_at, segment, payload.len());
        if !self.outbox.has_room(FRAME_CLOCK_BYTES + record.as_slice().len() + payload.len()) {
            self.overflowed += 1;
            return false;
        }
        if !batched {
            self.outbox.open(FrameKind::Responses);
            self.outbox.extend(&seen_at.micros().to_be_bytes());
        }
        self.outbox.extend(record.as_slice());
        self.outbox.extend(payload);
        self.frame_clock = seen_at;
        self.delivered += 1;
        true
    }

    /// Queues a frame for a peer that said hello. Batched responses leave room for some; `false` if there is
    /// none all the same.
    pub(super) fn push_control(&mut self, kind: FrameKind, body: &[u8]) -> bool {
        self.stage == Stage::Connected && self.outbox.push_frame(kind, [body, &[]])
    }

    /// Tells the peer why it is given up, unless it was the one to refuse. Without room for that it is not
    /// told: it takes nothing anyway.
    pub(super) fn refuse(&mut self, error: &PeerError) {
        self.stage = Stage::Refused;
        if matches!(error, PeerError::Refused(_)) {
            return;
        }
        let reason = error.to_string();
        let _ = self
            .outbox
            .push_frame(FrameKind::Refuse, [refusal_body().as_slice(), fitting_reason(&reason).as_bytes()]);
    }
}
