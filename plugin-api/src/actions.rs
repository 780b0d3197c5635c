//! What a conversation answers with.

mod step;

use crate::Exchange;

pub use step::{InvalidStep, Step};

/// A moment, in microseconds since the Unix epoch by the clock of the machine that captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Microseconds from `earlier` to here; 0 if it is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How much of each packet of the target comes over the feed from intercept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Depth(pub u32);

impl Depth {
    /// No payload: headers are enough to keep the session going.
    pub const NOTHING: Self = Self(0);
    /// All payload.
    pub const EVERYTHING: Self = Self(u32::MAX);

    /// The first `count` bytes of every packet. The rest of a longer packet is [missing](crate::Conversation::missing).
    #[must_use]
    pub const fn first(count: u32) -> Self {
        Self(count)
    }
}

/// One thing a conversation wants done, as [`Actions::iter`] gives it to who carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// See [`Actions::forward`].
    Forward(u64),
    /// See [`Actions::replace`].
    Replace {
        /// Client bytes that are not said.
        count: u64,
        /// What is said instead.
        by: &'a [u8],
    },
    /// See [`Actions::discard`].
    Discard {
        /// Client bytes that are not said.
        count: u64,
        /// Why.
        reason: &'a str,
    },
    /// See [`Actions::insert`].
    Insert(&'a [u8]),
    /// See [`Actions::open_turn`].
    OpenTurn,
    /// See [`Actions::wait_for_target`].
    WaitForTarget,
    /// See [`Actions::complete_turn`].
    CompleteTurn,
    /// See [`Actions::guess_turns`].
    GuessTurns,
    /// See [`Actions::take`].
    Take(u64),
    /// See [`Actions::want_target`].
    WantTarget(Depth),
    /// See [`Actions::want_online`].
    WantOnline(bool),
    /// See [`Actions::set_timer`].
    SetTimer(Option<Timestamp>),
    /// See [`Actions::begin_prologue`].
    BeginPrologue,
    /// See [`Actions::end_prologue`].
    EndPrologue,
    /// See [`Actions::record`].
    Record(&'a Exchange),
    /// See [`Actions::remark`].
    Remark(&'a str),
}

/// What [`Actions`] can be asked during a call, as it crosses the boundary of a library.
#[repr(C)]
#[cfg_attr(feature = "abi", derive(abi_stable::StableAbi))]
#[cfg_attr(
    not(feature = "abi"),
    expect(unreachable_pub, reason = "where nothing crosses, it is this file's own")
)]
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// [`Actions::now`].
    pub now: u64,
    /// [`Actions::at`].
    pub at: u64,
    /// [`Actions::turn_said_at`]; `u64::MAX`: no turn is open, or nothing of it has been said.
    pub turn_said_at: u64,
}

impl Default for Call {
    fn default() -> Self {
        Self { now: 0, at: 0, turn_said_at: u64::MAX }
    }
}

impl Call {
    /// What the call's actions answer.
    #[cfg(feature = "abi")]
    #[must_use]
    pub fn of(actions: &Actions) -> Self {
        actions.call
    }
}

/// What a conversation wants done, in order. Handed to every call empty; reused from call to call, so that an answer
/// costs no allocation.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// As it crosses the boundary of a library, so that it crosses without being put together anew.
    call: Call,
    steps: Vec<Step>,
    bytes: Vec<u8>,
    exchanges: Vec<Exchange>,
}

impl Actions {
    /// No actions, for a call at the present moment `now`.
    ///
    /// `at` is what [`Self::at`] gives, `turn_said_at` what [`Self::turn_said_at`] gives. For hosts and test kits.
    pub fn begin(&mut self, now: Timestamp, at: Timestamp, turn_said_at: Option<Timestamp>) {
        let turn_said_at = turn_said_at.map_or(u64::MAX, |said| said.0);
        self.begin_call(Call { now: now.0, at: at.0, turn_said_at });
    }

    /// The same for a call that came over the boundary of a library.
    pub(crate) fn begin_call(&mut self, call: Call) {
        self.call = call;
        self.steps.clear();
        self.bytes.clear();
        self.exchanges.clear();
    }

    // What a conversation may ask.

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.call.now)
    }

    /// When the last byte of the input was captured: of the target's answers, by intercept, on the clock of tcpcopy's host as
    /// far as that can be told (to a tenth of a millisecond or so on one network). Without input: the present moment.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp(self.call.at)
    }

    /// When the last byte so far of the oldest turn that is open was first said to the target; `None` when no turn is
    /// open or nothing of it has been said. From here to [`Self::at`] of the answer's end is the target's latency. Fixed for
    /// the whole call, whatever turns it completes: who measures completes one in each call, and leaves the rest.
    #[must_use]
    pub fn turn_said_at(&self) -> Option<Timestamp> {
        Some(self.call.turn_said_at).filter(|said| *said != u64::MAX).map(Timestamp)
    }

    // Client bytes, in order.

    /// The next `count` client bytes are said as they are. `count` may go beyond the input: bytes that come later are
    /// then said as they come, unseen; until they have, no other action about client bytes or turns may follow. Costs no
    /// copy.
    pub fn forward(&mut self, count: u64) {
        self.step(Step::FORWARD, count, &[]);
    }

    /// Everything the user says from here on is said as it is, unseen.
    pub fn forward_all(&mut self) {
        self.forward(u64::MAX);
    }

    /// The next `count` client bytes are not said; `by` is said in their place. All of them have to be in the input.
    pub fn replace(&mut self, count: u64, by: &[u8]) {
        self.step(Step::REPLACE, count, by);
    }

    /// The next `count` client bytes are not said. They are counted under `reason`, a short phrase like `read only`. May
    /// go beyond the input, as [`forward`](Self::forward) may.
    pub fn discard(&mut self, count: u64, reason: &str) {
        self.step(Step::DISCARD, count, reason.as_bytes());
    }

    /// `bytes` are said here: behind what was dealt with so far, before the client bytes not yet dealt with. In a
    /// [prologue](Self::begin_prologue): at once, before anything else.
    pub fn insert(&mut self, bytes: &[u8]) {
        self.step(Step::INSERT, 0, bytes);
    }

    // Turns.

    /// What is said next opens a turn: a request that gets an answer. If the user had waited for something before
    /// saying it, it is said once every turn before it is [complete](Self::complete_turn) and the user's own
    /// round-trip time has passed; if the user had not waited (a pipelined request), it is not held back.
    ///
    /// The first call makes this conversation the one that says where turns begin; and, if it [wants](Self::want_target)
    /// what the target says, when they are complete. What it does not say the engine guesses from acknowledgements and
    /// silence: everything until the first call, and again after [`guess_turns`](Self::guess_turns).
    pub fn open_turn(&mut self) {
        self.step(Step::OPEN_TURN, 0, &[]);
    }

    /// What is said next is part of the present turn, but waits until the target has said something since the words
    /// before it, if the user had waited there as well: the body after `100 Continue`.
    pub fn wait_for_target(&mut self) {
        self.step(Step::WAIT_FOR_TARGET, 0, &[]);
    }

    /// The target's answer to the oldest turn that is open is complete. Without an open turn it does nothing. A module that
    /// wants what the target says has to call it for every turn: the user's next words wait for it.
    pub fn complete_turn(&mut self) {
        self.step(Step::COMPLETE_TURN, 0, &[]);
    }

    /// From here on the engine judges turns by itself, as it does without a module: the conversation has lost its place
    /// in the target's stream, or does not care. Turns that are open count as complete when the engine thinks so.
    pub fn guess_turns(&mut self) {
        self.step(Step::GUESS_TURNS, 0, &[]);
    }

    // The other sides.

    /// The next `count` bytes of the side this call is about (target or online) are dealt with. May go beyond the input:
    /// those bytes are then passed over unseen. In other calls it does nothing.
    pub fn take(&mut self, count: u64) {
        self.step(Step::TAKE, count, &[]);
    }

    /// From now on so much of each packet of the target comes over the feed. Asking for more takes effect a round trip
    /// to intercept later; what was under way is [missing](crate::Conversation::missing) if a byte of it is.
    /// Asked for in [`Conversation::opened`](crate::Conversation::opened), it holds from the first byte.
    pub fn want_target(&mut self, depth: Depth) {
        self.step(Step::WANT_TARGET, u64::from(depth.0), &[]);
    }

    /// Whether the online server's answers are wanted. While any session of a mapping may want them they are captured
    /// too, which costs what capturing costs.
    pub fn want_online(&mut self, wanted: bool) {
        self.step(Step::WANT_ONLINE, u64::from(wanted), &[]);
    }

    // Everything else.

    /// [`Conversation::timer`](crate::Conversation::timer) is called at `at` (a moment later if need be), instead of
    /// at the time set before; `None`: not at all.
    pub fn set_timer(&mut self, at: Option<Timestamp>) {
        self.step(Step::SET_TIMER, at.map_or(u64::MAX, |at| at.0), &[]);
    }

    /// In [`Conversation::reconnected`](crate::Conversation::reconnected), or in
    /// [`Conversation::opened`](crate::Conversation::opened) of a session whose connection is yet to be opened: the
    /// connection begins with words of the module's own. Until [`end_prologue`](Self::end_prologue) only what is
    /// [inserted](Self::insert) is said; client bytes are not given, and may not be dealt with.
    pub fn begin_prologue(&mut self) {
        self.step(Step::BEGIN_PROLOGUE, 0, &[]);
    }

    /// The prologue is over: the session goes on where it was.
    pub fn end_prologue(&mut self) {
        self.step(Step::END_PROLOGUE, 0, &[]);
    }

    /// An exchange for the report.
    pub fn record(&mut self, exchange: Exchange) {
        self.step(Step::RECORD, 0, &[]);
        self.exchanges.push(exchange);
    }

    /// Something the operator should know of, and that no byte was left out for: "temporary tables were lost with the
    /// connection". It is counted by its phrase and told once in the log, so leave out what differs from session to
    /// session.
    pub fn remark(&mut self, phrase: &str) {
        self.step(Step::REMARK, 0, phrase.as_bytes());
    }

    // For who carries them out.

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The actions, in the order in which they were called for.
    pub fn iter(&self) -> impl Iterator<Item = Action<'_>> {
        let (mut bytes, mut exchanges) = (self.bytes.as_slice(), self.exchanges.iter());
        self.steps.iter().filter_map(move |step| {
            let (own, rest) = bytes.split_at_checked(step.bytes as usize)?;
            bytes = rest;
            step.action(own, &mut exchanges)
        })
    }

    /// Whether an exchange is recorded.
    #[cfg(feature = "abi")]
    pub(crate) fn has_exchanges(&self) -> bool {
        !self.exchanges.is_empty()
    }

    fn step(&mut self, code: u32, count: u64, bytes: &[u8]) {
        self.steps.push(Step { code, reserved: 0, count, bytes: bytes.len() as u64 });
        self.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_come_out_in_the_order_they_went_in() {
        let mut actions = Actions::default();
        actions.open_turn();
        actions.forward(3);
        actions.replace(2, b"two");
        actions.discard(9, "read only");
        actions.insert(b"more");
        actions.record(Exchange { label: "GET /".into(), ..Exchange::default() });
        actions.remark("odd");
        let exchange = Exchange { label: "GET /".into(), ..Exchange::default() };
        let listed: Vec<_> = actions.iter().collect();
        assert_eq!(
            listed,
            [
                Action::OpenTurn,
                Action::Forward(3),
                Action::Replace { count: 2, by: b"two" },
                Action::Discard { count: 9, reason: "read only" },
                Action::Insert(b"more"),
                Action::Record(&exchange),
                Action::Remark("odd"),
            ]
        );
        let mut copy = Actions::default();
        let (steps, bytes, exchanges) = actions.as_raw();
        copy.extend_from_raw(steps, bytes, exchanges.iter().cloned()).unwrap();
        assert_eq!(copy.iter().collect::<Vec<_>>(), listed);
    }

    #[test]
    fn a_new_call_begins_without_actions() {
        let mut actions = Actions::default();
        actions.forward_all();
        actions.begin(Timestamp(5), Timestamp(4), Some(Timestamp(1)));
        assert!(actions.is_empty());
        assert_eq!((actions.now(), actions.at()), (Timestamp(5), Timestamp(4)));
        assert_eq!(actions.at().micros_since(actions.turn_said_at().unwrap()), 3);
    }
}
