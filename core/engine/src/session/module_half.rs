//! The module's half of a session: the conversation, and what stands between it and the streams.

use std::time::Duration;

use tcpcopy_plugin_api::{Action, Actions, Conversation, Depth, GiveUp, Side, Timestamp};
use tcpcopy_wire::{Instant, SeqNum};

use super::Context;
use crate::SessionId;
use crate::backlog::{ChunkKind, TurnMark};
use crate::incoming::Incoming;

/// A hole in what was captured of the online server is given up after this long.
const GAP_TIME: Duration = Duration::from_secs(5);

/// The user's closing word, while the module still holds what was said before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) kind: ChunkKind,
    pub(super) captured_at: Instant,
    pub(super) turn: Option<TurnMark>,
}

/// What a session keeps for its module.
pub(crate) struct ModuleHalf {
    conversation: Box<dyn Conversation>,
    pub(super) id: SessionId,
    pub(super) target: Incoming,
    pub(super) online: Incoming,
    /// The sequence number of the online server's first byte, once known.
    pub(super) online_base: Option<SeqNum>,
    /// Something of it was captured since it is wanted.
    pub(super) is_online_joined: bool,
    /// When the last segment of the online server was captured, and when that of the target.
    pub(super) online_at: Instant,
    pub(super) target_at: Instant,
    pub(super) closing: Option<Closing>,
    /// It knows that the user has closed; with what it is given again on a new connection it is told again.
    pub(super) is_end_told: bool,
    /// Payload bytes wanted of each response, and whether that has been registered.
    pub(super) depth: Depth,
    pub(super) is_depth_new: bool,
    pub(super) wants_online: bool,
    pub(super) is_in_prologue: bool,
    /// It has not been told that the connection it knew is gone.
    pub(super) is_reconnect_due: bool,
    /// It has opened a turn behind one whose rest is skipped: that turn is shown again when it knows the connection.
    pub(super) is_turn_unsaid: bool,
    pub(super) timer_at: Option<Instant>,
}

impl ModuleHalf {
    pub(crate) fn new(conversation: Box<dyn Conversation>, id: SessionId) -> Self {
        Self {
            conversation,
            id,
            target: Incoming::default(),
            online: Incoming::default(),
            online_base: None,
            is_online_joined: false,
            online_at: Instant::ZERO,
            target_at: Instant::ZERO,
            closing: None,
            is_end_told: false,
            depth: Depth::NOTHING,
            is_depth_new: false,
            wants_online: false,
            is_in_prologue: false,
            is_reconnect_due: false,
            is_turn_unsaid: false,
            timer_at: None,
        }
    }

    /// Calls the conversation about bytes that came at `at`, and returns what it wants done. The actions go back to
    /// [`Context::serving`] when that is.
    pub(super) fn ask(
        &mut self,
        at: Instant,
        said_at: Option<Instant>,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut dyn Conversation, &mut Actions) -> Result<(), GiveUp>,
    ) -> Result<Actions, GiveUp> {
        let mut actions = cx.serving.take_actions();
        actions.begin(stamp(cx.now), stamp(at), said_at.map(stamp));
        match call(self.conversation.as_mut(), &mut actions) {
            Ok(()) => Ok(actions),
            Err(give_up) => {
                cx.serving.put_actions_back(actions);
                Err(give_up)
            }
        }
    }

    pub(super) fn incoming(&mut self, side: Side) -> &mut Incoming {
        if side == Side::Online { &mut self.online } else { &mut self.target }
    }

    /// Whether no server and no time would have the conversation called again.
    pub(super) fn awaits_nothing(&self) -> bool {
        self.depth == Depth::NOTHING && !self.wants_online && self.timer_at.is_none() && !self.is_in_prologue
    }

    /// Whether another conversation could take its place: nothing is left of any server's side.
    pub(super) fn is_at_rest(&self) -> bool {
        self.target.left() + self.online.left() == 0 && self.closing.is_none() && !self.is_in_prologue
    }

    pub(super) fn snapshot(&mut self) -> Option<Vec<u8>> {
        self.conversation.snapshot()
    }

    /// Another conversation takes over on the same connection.
    pub(super) fn hand_over(&mut self, conversation: Box<dyn Conversation>) {
        self.conversation = conversation;
        self.timer_at = None;
        self.wants_online = false;
        self.depth = Depth::NOTHING;
        self.is_depth_new = true;
    }

    /// When something is due that no byte brings about.
    pub(super) fn next_at(&self) -> Option<Instant> {
        [self.timer_at, self.online_gap_at()].into_iter().flatten().min()
    }

    /// When the hole in the online server's stream is given up.
    pub(super) fn online_gap_at(&self) -> Option<Instant> {
        self.online.hole_since().map(|since| since + GAP_TIME)
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.target.held() + self.online.held()
    }
}

/// How many bytes of the side that the call was about its actions deal with.
pub(super) fn taken(actions: &Actions) -> u64 {
    let take = |action| match action {
        Action::Take(count) => count,
        _ => 0,
    };
    actions.iter().map(take).fold(0, u64::saturating_add)
}

/// Whether they complete a turn with bytes of the side that the call was about.
pub(super) fn completes_turn(actions: &Actions) -> bool {
    taken(actions) > 0 && actions.iter().any(|action| matches!(action, Action::CompleteTurn))
}

fn stamp(at: Instant) -> Timestamp {
    Timestamp(at.micros())
}
