//! A session with a module: its conversation is shown what both sides say, and told what becomes of them.

use tcpcopy_plugin_api::{Actions, Conversation, Depth, GiveUp, Side};
use tcpcopy_wire::{Instant, Segment};

use super::module_half::{Closing, ModuleHalf, completes_turn, taken};
use super::{Context, Session, Skipping};
use crate::backlog::{Ahead, Chunk, Word};
use crate::incoming::Incoming;

/// Bytes of a server that a module may leave.
const MOST_LEFT: usize = 1 << 20;
/// Bytes of the user that it may: they wait as well while a target is slow or away.
const MOST_HELD_BACK: usize = 64 << 20;

impl Session {
    /// A module serves this session from its beginning on.
    pub(crate) fn converse(&mut self, half: ModuleHalf, generation: usize, cx: &mut Context<'_>) {
        self.generation = Some(generation);
        self.module = Some(Box::new(half));
        self.with_module(cx, |session, half, cx| {
            let answer = half.ask(cx.now, None, cx, |conversation, actions| conversation.opened(actions));
            session.obey(half, answer, cx);
        });
    }

    /// Captured bytes, next in order, go to the module.
    pub(super) fn submit(&mut self, bytes: &[u8], word: Word, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            session.tell_of_reconnect(half, cx);
            if session.is_over() {
                return;
            }
            let passed = session.pass_ahead(bytes, word, cx);
            let rest = bytes.get(passed..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            let turn = word.turn.filter(|_| passed == 0);
            session.backlog.write(rest, word.captured_at, word.push, turn);
            session.show_draft(half, cx);
        });
    }

    /// The user's closing word takes its place behind what the module has dealt with.
    pub(super) fn close_through_module(&mut self, closing: Closing, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            half.closing = Some(closing);
            session.backlog.ahead = Ahead::Nothing; // what was promised for more words is void
            session.tell_client_end(half, cx);
        });
    }

    /// The target has said `len` bytes from offset `start` on; their beginning is the segment's payload.
    pub(super) fn hear_target(&mut self, start: u64, segment: &Segment<'_>, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            if half.depth != Depth::NOTHING {
                let (len, at) = (u64::from(segment.payload_len), half.target_at);
                session.hear(half, Side::Target, start, len, segment.payload, at, cx);
            }
        });
    }

    /// The target has closed its side, or the connection is lost.
    pub(super) fn target_ended(&mut self, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            if half.depth != Depth::NOTHING {
                session.tell_end(half, Side::Target, cx);
            }
        });
    }

    /// A captured segment of the online server.
    pub(crate) fn handle_online(
        &mut self,
        segment: &Segment<'_>,
        captured_at: Instant,
        cx: &mut Context<'_>,
    ) {
        if segment.flags.rst() {
            return;
        }
        let first_heard = self.first_heard;
        self.with_module(cx, |session, half, cx| {
            if !half.wants_online {
                return;
            }
            let first = segment.seq + u32::from(segment.flags.syn());
            let base = *half.online_base.get_or_insert(first_heard.unwrap_or(first));
            // From what is next on, since a stream may be longer than its numbers.
            let next = half.online.next();
            let Some(start) = next.checked_add_signed(first.distance(base + next as u32).into()) else {
                return;
            };
            if !std::mem::replace(&mut half.is_online_joined, true) {
                // What came before was not captured, or not wanted.
                half.online.jump_to(start);
            }
            let len = u64::from(segment.payload_len);
            half.online_at = captured_at;
            if segment.flags.fin() {
                half.online.end_at(start + len);
            }
            session.hear(half, Side::Online, start, len, segment.payload, captured_at, cx);
            session.tell_online_end(half, cx);
        });
    }

    /// The module's timer, and holes in what was captured of the online server.
    pub(super) fn module_timeout(&mut self, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            if half.timer_at.is_some_and(|at| at <= cx.now) {
                half.timer_at = None;
                let said_at = session.judge.oldest_said_at();
                let answer =
                    half.ask(cx.now, said_at, cx, |conversation, actions| conversation.timer(actions));
                session.obey_and_go_on(half, answer, cx);
            }
            if !session.is_over() && half.online_gap_at().is_some_and(|at| at <= cx.now) {
                let missing = half.online.skip_hole();
                session.show(half, Side::Online, &[], missing, cx.now, cx);
                session.show_ready(half, Side::Online, cx.now, cx);
            }
        });
    }

    /// The connection is gone and another one is being opened: everything from `resume` on, where a turn begins, is the
    /// module's again.
    pub(super) fn withdraw_turns(&mut self, resume: u64, cx: &mut Context<'_>) {
        let withdrawn = self.backlog.withdraw(resume);
        for (reason, bytes) in withdrawn.discards {
            cx.serving.take_discard_back(reason, u64::from(bytes));
            cx.statistics.bytes_discarded -= u64::from(bytes);
        }
        self.judge.withdraw(withdrawn.turns);
        let Some(half) = &mut self.module else { return };
        if let Some(Chunk { kind, captured_at, turn, .. }) = withdrawn.closing {
            half.closing = Some(Closing { kind, captured_at, turn });
        }
    }

    /// The connection is gone. The module is told `now`, or when the user speaks next.
    pub(super) fn owe_reconnect(&mut self, now: bool, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            half.target.restart();
            half.is_in_prologue = false;
            half.is_reconnect_due = true;
            half.is_end_told = false;
            if now {
                session.tell_of_reconnect(half, cx);
            }
        });
    }

    /// What the module knows as it reads on in a turn that is skipped is the old connection.
    pub(super) fn tell_of_reconnect(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        if self.skipping == Skipping::No && std::mem::take(&mut half.is_reconnect_due) {
            let answer =
                half.ask(cx.now, None, cx, |conversation, actions| conversation.reconnected(actions));
            self.obey_and_go_on(half, answer, cx);
        }
    }

    /// A snapshot for a conversation that takes over now; `None` while something is under way.
    pub(crate) fn snapshot_at_rest(&mut self) -> Option<Vec<u8>> {
        let is_at_rest = self.judge.is_satisfied()
            && self.backlog.draft_len() == 0
            && self.backlog.ahead == Ahead::Nothing
            && self.connection.send.una == self.backlog.end()
            && self.connection.is_synchronised();
        self.module.as_mut().filter(|half| is_at_rest && half.is_at_rest())?.snapshot()
    }

    /// A conversation of another generation takes over on the same connection.
    pub(crate) fn hand_over(
        &mut self,
        conversation: Box<dyn Conversation>,
        generation: usize,
        cx: &mut Context<'_>,
    ) {
        self.generation = Some(generation);
        self.with_module(cx, |session, half, cx| {
            half.hand_over(conversation);
            let answer = half.ask(cx.now, None, cx, |conversation, actions| conversation.opened(actions));
            session.obey_and_go_on(half, answer, cx);
        });
    }

    /// Runs a step of the module's half, and looks afterwards whether the module is still needed.
    pub(super) fn with_module(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(&mut Self, &mut ModuleHalf, &mut Context<'_>),
    ) {
        let Some(mut half) = self.module.take() else { return };
        step(self, &mut half, cx);
        if self.unsayable.is_some() {
            return; // there is nothing for a module to do any more
        }
        self.place_closing(&mut half);
        if self.verdict.is_some() {
            if half.closing.is_none() && self.backlog.closing().is_none() {
                self.legacy = half.snapshot().map(Vec::into_boxed_slice);
            }
            return;
        }
        let is_done = self.backlog.ahead == Ahead::ForwardAll && half.awaits_nothing();
        if is_done && half.closing.is_none() {
            self.judge.resign();
        } else {
            self.module = Some(half);
        }
        self.release_backlog();
    }

    /// A server has said something: what of it is next in order is shown.
    #[expect(clippy::too_many_arguments, reason = "where, what and when of one segment")]
    fn hear(
        &mut self,
        half: &mut ModuleHalf,
        side: Side,
        start: u64,
        len: u64,
        bytes: &[u8],
        at: Instant,
        cx: &mut Context<'_>,
    ) {
        if let Some(part) = half.incoming(side).arrive(start, len, bytes, cx.now) {
            self.show(half, side, part.bytes, part.missing, at, cx);
            self.show_ready(half, side, at, cx);
        }
    }

    fn show_ready(&mut self, half: &mut ModuleHalf, side: Side, at: Instant, cx: &mut Context<'_>) {
        while !self.is_over()
            && let Some(part) = half.incoming(side).pop_ready(cx.now)
        {
            self.show(half, side, &part.bytes, part.missing, at, cx);
        }
    }

    /// Shows a part of a server's stream, tells what is missing behind it, and goes on with the client's.
    fn show(
        &mut self,
        half: &mut ModuleHalf,
        side: Side,
        bytes: &[u8],
        missing: u64,
        at: Instant,
        cx: &mut Context<'_>,
    ) {
        let untold = half.incoming(side).take_untold();
        self.tell_missing(half, side, untold, cx);
        if self.is_over() {
            return;
        }
        let mut answer = self.offer(half, side, at, cx, |incoming, show| incoming.show(bytes, show));
        while let Some(given) = answer.take() {
            let completes = given.as_ref().is_ok_and(completes_turn);
            self.obey_and_go_on(half, given, cx);
            // What is left may answer the next turn, and is measured from when that was said.
            if completes && !self.is_over() {
                answer = self.offer(half, side, at, cx, |incoming, show| incoming.show_again(show));
            }
        }
        if self.is_over() {
            return;
        }
        if half.incoming(side).left() > MOST_LEFT {
            return self.give_up(half, &too_much_left(), cx);
        }
        let told = half.incoming(side).miss(missing);
        self.tell_missing(half, side, told, cx);
    }

    /// Offers the module what `by` shows of a server's stream; `None` when that is nothing.
    fn offer(
        &mut self,
        half: &mut ModuleHalf,
        side: Side,
        at: Instant,
        cx: &mut Context<'_>,
        by: impl FnOnce(&mut Incoming, &mut dyn FnMut(&[u8]) -> u64),
    ) -> Option<Result<Actions, GiveUp>> {
        let mut incoming = std::mem::take(half.incoming(side));
        let said_at = self.judge.oldest_said_at();
        // The clocks of two hosts may disagree: an answer comes after what it answers.
        let at = if side == Side::Target { said_at.map_or(at, |said_at| at.max(said_at)) } else { at };
        let mut answer = None;
        by(&mut incoming, &mut |shown| {
            let given = half.ask(at, said_at, cx, |conversation, actions| match side {
                Side::Online => conversation.online(shown, actions),
                _ => conversation.target(shown, actions),
            });
            let taken = given.as_ref().map_or(0, taken);
            answer = Some(given);
            taken
        });
        *half.incoming(side) = incoming;
        answer
    }

    /// Offers what was left of the online server's stream once more: it may answer what has just been dealt with.
    fn offer_online_again(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        if half.online.left() == 0 {
            return;
        }
        let at = half.online_at;
        let answer = self.offer(half, Side::Online, at, cx, |incoming, show| incoming.show_again(show));
        if let Some(answer) = answer {
            self.obey(half, answer, cx);
        }
        self.tell_online_end(half, cx);
    }

    fn tell_missing(&mut self, half: &mut ModuleHalf, side: Side, count: u64, cx: &mut Context<'_>) {
        if count == 0 || self.is_over() {
            return;
        }
        let said_at = self.judge.oldest_said_at();
        let answer =
            half.ask(cx.now, said_at, cx, |conversation, actions| conversation.missing(side, count, actions));
        self.obey_and_go_on(half, answer, cx);
    }

    /// Tells that the user has closed, once on each connection.
    fn tell_client_end(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        if half.closing.is_some() && !std::mem::replace(&mut half.is_end_told, true) {
            self.tell_end(half, Side::Client, cx);
        }
    }

    /// Tells that the online server has closed, once everything it had said was dealt with.
    fn tell_online_end(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        if !self.is_over() && half.online.take_end() {
            self.tell_end(half, Side::Online, cx);
        }
    }

    fn tell_end(&mut self, half: &mut ModuleHalf, side: Side, cx: &mut Context<'_>) {
        let said_at = self.judge.oldest_said_at();
        let answer = half.ask(cx.now, said_at, cx, |conversation, actions| conversation.ended(side, actions));
        self.obey_and_go_on(half, answer, cx);
    }

    /// Shows the draft for as long as the module deals with it: word by word, so that each has its time, or as a whole
    /// where a word is not enough, or the user has closed and no more can be hoped for. Behind each step comes an
    /// answer of the online server that was captured early.
    fn show_draft(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        loop {
            let draft = self.backlog.draft_len();
            let goes_on = self.backlog.ahead == Ahead::Nothing && !half.is_in_prologue && !self.is_over();
            if draft == 0 || !goes_on {
                return;
            }
            let is_all = half.closing.is_some() || self.backlog.closing().is_some();
            let word = if is_all { draft } else { self.backlog.first_word_len() };
            self.show_draft_up_to(word, half, cx);
            if !self.is_over() && word < draft && self.backlog.draft_len() == draft {
                self.show_draft_up_to(draft, half, cx);
            }
            if self.is_over() {
                return;
            }
            if self.backlog.draft_len() == draft {
                return self.tell_client_end(half, cx);
            }
            self.offer_online_again(half, cx);
        }
    }

    fn show_draft_up_to(&mut self, count: usize, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        let at = self.backlog.drafted_at(count).unwrap_or(cx.now);
        let said_at = self.judge.oldest_said_at();
        let draft = self.backlog.draft();
        let draft = draft.get(..count).unwrap_or(draft);
        let answer = half.ask(at, said_at, cx, |conversation, actions| conversation.client(draft, actions));
        self.obey(half, answer, cx);
        if !self.is_over() && self.backlog.draft_len() > MOST_HELD_BACK {
            self.give_up(half, &too_much_left(), cx);
        }
    }

    /// Does what the module wants, and asks it again about the client bytes it has left.
    fn obey_and_go_on(
        &mut self,
        half: &mut ModuleHalf,
        answer: Result<Actions, GiveUp>,
        cx: &mut Context<'_>,
    ) {
        self.obey(half, answer, cx);
        self.show_draft(half, cx);
    }

    /// The closing word is said once everything before it has its place.
    fn place_closing(&mut self, half: &mut ModuleHalf) {
        if self.backlog.draft_len() > 0 || half.is_in_prologue {
            return;
        }
        if let Some(Closing { kind, captured_at, turn }) = half.closing.take() {
            let turn = self.judge.closing_mark(turn);
            self.backlog.push(kind, &[], captured_at, false, turn);
        }
    }
}

fn too_much_left() -> GiveUp {
    GiveUp::new("it left more of one side than may wait")
}
