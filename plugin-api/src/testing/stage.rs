//! Plays one session against a module, by the words of [`Conversation`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::misuse::Misuse;
use super::outcome::Outcome;
use super::speech::{Promise, Speech};
use super::stream::Stream;
use crate::{Action, Actions, Conversation, Depth, Exchange, GiveUp, Module, SessionInfo, Side, Timestamp};

/// The most bytes of a server's side that a conversation may leave.
const MAX_LEFT: usize = 1 << 20;
/// And of the client's.
const MAX_LEFT_OF_CLIENT: usize = 64 << 20;
/// When sessions begin here.
const MORNING: Timestamp = Timestamp(1_700_000_000_000_000);
/// How often a timer may ring in one wait.
const MAX_RINGS: usize = 1000;

/// A session played by hand, for what a [`Transcript`](crate::testing::Transcript) cannot say: looking at the state in
/// between, or deciding what comes next by it.
///
/// Every method is one event of the session, and does with the conversation what tcpcopy does. After the conversation has
/// given up, events change nothing.
pub struct Stage<'a> {
    module: &'a dyn Module,
    session: SessionInfo,
    conversation: Box<dyn Conversation>,
    now: Timestamp,
    actions: Actions,
    speech: Speech,
    target: Stream,
    online: Stream,
    depth: Depth,
    wants_online: bool,
    /// It has closed; what it had said before is not all dealt with.
    is_online_end_due: bool,
    timer: Option<Timestamp>,
    guessing: bool,
    exchanges: Vec<Exchange>,
    remarks: BTreeMap<String, u64>,
    gave_up: Option<GiveUp>,
    moves: u32,
    calls: u64,
    /// The conversation said so since this was last cleared.
    is_turn_completed: bool,
}

/// Which method of a conversation is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Opened,
    /// With so many of the client bytes that are left.
    Client(usize),
    Target,
    Online,
    Missing(Side, u64),
    Ended(Side),
    Reconnected,
    Timer,
}

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Client(_) => "client",
            Self::Target => "target",
            Self::Online => "online",
            Self::Missing(..) => "missing",
            Self::Ended(_) => "ended",
            Self::Reconnected => "reconnected",
            Self::Timer => "timer",
        }
    }
}

impl<'a> Stage<'a> {
    /// A session begins.
    ///
    /// # Errors
    /// [`Misuse`], as with every event: the module called for something that makes no sense.
    pub fn open(module: &'a dyn Module, session: &SessionInfo) -> Result<Self, Misuse> {
        let mut stage = Self {
            module,
            session: *session,
            conversation: module.open(session),
            now: MORNING,
            actions: Actions::default(),
            speech: Speech::new(),
            target: Stream::default(),
            online: Stream::default(),
            depth: Depth::NOTHING,
            wants_online: false,
            is_online_end_due: false,
            timer: None,
            guessing: true,
            exchanges: Vec::new(),
            remarks: BTreeMap::new(),
            gave_up: None,
            moves: 0,
            calls: 0,
            is_turn_completed: false,
        };
        stage.call(Call::Opened)?;
        Ok(stage)
    }

    /// A side says something, in one packet.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn bytes(&mut self, side: Side, bytes: &[u8]) -> Result<(), Misuse> {
        self.piece(side, bytes, 0)
    }

    /// A piece of a packet, `place` bytes behind its first: how much of a packet is seen is a question of the packet.
    pub(super) fn piece(&mut self, side: Side, bytes: &[u8], place: usize) -> Result<(), Misuse> {
        match side {
            _ if self.gave_up.is_some() => Ok(()),
            Side::Client => {
                self.speech.arrive(bytes, self.now);
                self.offer_client()
            }
            Side::Target if self.depth == Depth::NOTHING => self.pass_unwanted(side, bytes),
            Side::Target => {
                let seen = (self.depth.0 as usize).saturating_sub(place).min(bytes.len());
                let (seen, unseen) = bytes.split_at(seen);
                self.hear(side, seen)?;
                self.missing(side, unseen.len() as u64)
            }
            Side::Online if !self.wants_online => self.pass_unwanted(side, bytes),
            Side::Online => self.hear(side, bytes),
        }
    }

    /// Bytes of a side (target or online) were lost.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn missing(&mut self, side: Side, count: u64) -> Result<(), Misuse> {
        let wanted = if side == Side::Target { self.depth != Depth::NOTHING } else { self.wants_online };
        match self.stream(side).map_or(0, |stream| stream.lose(count)) {
            told if told > 0 && wanted => {
                self.call(Call::Missing(side, told))?;
                self.offer_client()
            }
            _ => Ok(()),
        }
    }

    /// A side closes.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn end(&mut self, side: Side) -> Result<(), Misuse> {
        if side == Side::Online && !self.online.left().is_empty() {
            self.is_online_end_due = true;
            return Ok(());
        }
        if side == Side::Client {
            self.speech.end();
        }
        self.call(Call::Ended(side))?;
        if let Some(stream) = self.stream(side) {
            stream.drop_left();
        }
        self.offer_client()
    }

    /// The connection to the target is replaced by a new one.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn reconnect(&mut self) -> Result<(), Misuse> {
        if self.gave_up.is_some() {
            return Ok(());
        }
        self.target = Stream::default();
        self.speech.reconnect();
        self.call(Call::Reconnected)?;
        self.offer_client()
    }

    /// Time passes; a timer that is due rings, at its time.
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn wait(&mut self, time: Duration) -> Result<(), Misuse> {
        let until = Timestamp(self.now.0.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)));
        for _ in 0..MAX_RINGS {
            let Some(due) = self.timer.filter(|due| *due <= until && self.gave_up.is_none()) else {
                self.now = until;
                return Ok(());
            };
            self.now = self.now.max(due);
            self.timer = None;
            self.call(Call::Timer)?;
            self.offer_client()?;
        }
        Err(Misuse::TimerSpins)
    }

    /// The session moves to another conversation of the module, if it can: see [`Transcript::moves`](
    /// crate::testing::Transcript::moves).
    ///
    /// # Errors
    /// [`Misuse`].
    pub fn move_on(&mut self) -> Result<(), Misuse> {
        let left = [self.speech.left(), self.target.left(), self.online.left()];
        let is_at_rest = self.speech.is_ready() && !self.speech.has_open_turn();
        if self.gave_up.is_some() || !is_at_rest || left.iter().any(|left| !left.is_empty()) {
            return Ok(());
        }
        let Some(snapshot) = self.conversation.snapshot() else { return Ok(()) };
        let session = SessionInfo { connected: true, ..self.session };
        self.conversation = self.module.resume(&session, &snapshot);
        self.moves += 1;
        self.call(Call::Opened)
    }

    /// What came of it so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome {
            connections: self.speech.connections().to_vec(),
            discarded: self.speech.discarded(),
            exchanges: self.exchanges.clone(),
            remarks: self.remarks.clone(),
            gave_up: self.gave_up.as_ref().map(ToString::to_string),
            left: self.speech.left().len() as u64,
            guessing: self.guessing,
            depth: self.depth,
            wants_online: self.wants_online,
            moves: self.moves,
        }
    }

    /// How often a method of the conversation was called: what a module costs.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    fn stream(&mut self, side: Side) -> Option<&mut Stream> {
        match side {
            Side::Client => None,
            Side::Target => Some(&mut self.target),
            Side::Online => Some(&mut self.online),
        }
    }

    fn pass_unwanted(&mut self, side: Side, bytes: &[u8]) -> Result<(), Misuse> {
        if let Some(stream) = self.stream(side) {
            stream.lose(bytes.len() as u64);
        }
        Ok(())
    }

    fn hear(&mut self, side: Side, bytes: &[u8]) -> Result<(), Misuse> {
        let now = self.now;
        let Some(stream) = self.stream(side) else { return Ok(()) };
        stream.arrive(bytes, now);
        let mut left = stream.left().len();
        while left > 0 {
            self.is_turn_completed = false;
            self.call(if side == Side::Target { Call::Target } else { Call::Online })?;
            let goes_on = self.is_turn_completed;
            self.offer_client()?;
            let before = left;
            left = self.stream(side).map_or(0, |stream| stream.left().len());
            if !goes_on || left == before {
                break;
            }
        }
        Ok(())
    }

    /// Client bytes that were left are given again whenever anything has come: what came in one packet, and with all that
    /// is behind it where that is not enough. An answer of the online server that was left comes again once client bytes
    /// were dealt with.
    fn offer_client(&mut self) -> Result<(), Misuse> {
        loop {
            let left = self.speech.left().len();
            if !self.speech.is_ready() || left == 0 {
                return Ok(());
            }
            let word = self.speech.first_word_len();
            self.call(Call::Client(word))?;
            let is_enough = word == left || self.speech.left().len() < left;
            if !is_enough && self.speech.is_ready() {
                self.call(Call::Client(left))?;
            }
            if self.speech.left().len() == left {
                return Ok(());
            }
            if !self.online.left().is_empty() {
                self.call(Call::Online)?;
            }
            if self.online.left().is_empty() && std::mem::take(&mut self.is_online_end_due) {
                self.call(Call::Ended(Side::Online))?;
            }
        }
    }

    fn call(&mut self, call: Call) -> Result<(), Misuse> {
        if self.gave_up.is_some() {
            return Ok(());
        }
        self.calls += 1;
        let at = match call {
            Call::Client(count) => self.speech.at(count),
            Call::Target => self.target.at(),
            Call::Online => self.online.at(),
            _ => self.now,
        };
        let mut actions = std::mem::take(&mut self.actions);
        actions.begin(self.now, at, self.speech.turn_said_at());
        let conversation = &mut self.conversation;
        let judgement = match call {
            Call::Opened => conversation.opened(&mut actions),
            Call::Client(count) => {
                let left = self.speech.left();
                conversation.client(left.get(..count).unwrap_or(left), &mut actions)
            }
            Call::Target => conversation.target(self.target.left(), &mut actions),
            Call::Online => conversation.online(self.online.left(), &mut actions),
            Call::Missing(side, count) => conversation.missing(side, count, &mut actions),
            Call::Ended(side) => conversation.ended(side, &mut actions),
            Call::Reconnected => conversation.reconnected(&mut actions),
            Call::Timer => conversation.timer(&mut actions),
        };
        match judgement {
            Ok(()) => actions.iter().try_for_each(|action| self.carry_out(call, action))?,
            Err(gave_up) => self.gave_up = Some(gave_up),
        }
        self.actions = actions;
        self.drop_unwanted();
        self.check_left()
    }

    fn carry_out(&mut self, call: Call, action: Action<'_>) -> Result<(), Misuse> {
        let now = self.now;
        match action {
            Action::Forward(count) => self.speech.promise(Promise::Forward(count), now)?,
            Action::Replace { count, by } => self.speech.replace(count, by, now)?,
            Action::Discard { count, reason } => {
                self.speech.promise(Promise::Discard(count, reason.to_owned()), now)?;
            }
            Action::Insert(bytes) => self.speech.insert(bytes, now)?,
            Action::OpenTurn => {
                self.guessing = false;
                self.speech.open_turn()?;
            }
            Action::WaitForTarget => self.speech.wait()?,
            Action::CompleteTurn => {
                self.is_turn_completed = true;
                self.speech.complete_turn(self.target.offset());
            }
            Action::GuessTurns => {
                self.guessing = true;
                self.speech.close_turns();
            }
            Action::Take(count) => match call {
                Call::Target => self.target.take(count),
                Call::Online => self.online.take(count),
                _ => return Err(Misuse::TakeElsewhere { call: call.name() }),
            },
            Action::WantTarget(depth) => self.depth = depth,
            Action::WantOnline(wanted) => self.wants_online = wanted,
            Action::SetTimer(at) => self.timer = at,
            Action::BeginPrologue if self.is_before_speech(call) => self.speech.begin_prologue(),
            Action::BeginPrologue => return Err(Misuse::PrologueElsewhere { call: call.name() }),
            Action::EndPrologue if self.speech.is_in_prologue() => self.speech.end_prologue(),
            Action::EndPrologue => return Err(Misuse::NoPrologue),
            Action::Record(exchange) => self.exchanges.push(exchange.clone()),
            Action::Remark(phrase) => *self.remarks.entry(phrase.to_owned()).or_default() += 1,
        }
        Ok(())
    }

    /// Whether the connection to the target is yet to be opened when a call of this kind comes.
    fn is_before_speech(&self, call: Call) -> bool {
        call == Call::Reconnected || (call == Call::Opened && !self.session.connected && self.moves == 0)
    }

    /// What is not wanted any more is not kept either, behind what the call has taken of it.
    fn drop_unwanted(&mut self) {
        if self.depth == Depth::NOTHING {
            self.target.drop_left();
        }
        if !self.wants_online {
            self.online.drop_left();
        }
    }

    fn check_left(&self) -> Result<(), Misuse> {
        let sides = [
            (Side::Client, self.speech.left()),
            (Side::Target, self.target.left()),
            (Side::Online, self.online.left()),
        ];
        let most = |side| if side == Side::Client { MAX_LEFT_OF_CLIENT } else { MAX_LEFT };
        match sides.iter().find(|(side, left)| left.len() > most(*side) && self.gave_up.is_none()) {
            Some((side, left)) if *side != Side::Client || !self.speech.is_in_prologue() => {
                Err(Misuse::TooMuchLeft { side: *side, left: left.len() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
