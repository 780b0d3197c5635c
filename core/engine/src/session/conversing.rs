//! A session with a module: bytes are shown to its conversation, and what that wants done is done.

use tcpcopy_plugin_api::{Action, Actions, Conversation, Depth, GiveUp, Side, Timestamp};
use tcpcopy_wire::{Instant, Segment};

use super::module_half::{Closing, ModuleHalf, taken};
use super::{Context, Session};
use crate::backlog::{Ahead, Chunk, Word};
use crate::incoming::Incoming;
use crate::judge::Judge;
use crate::verdict::Verdict;

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
            let said_at = session.judge.oldest_said_at();
            let answer = half
                .ask(cx.now, said_at, cx, |conversation, actions| conversation.ended(Side::Client, actions));
            session.obey_and_go_on(half, answer, cx);
        });
    }

    /// The target has said `len` bytes from offset `start` on; their beginning is the segment's payload.
    pub(super) fn hear_target(&mut self, start: u64, segment: &Segment<'_>, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            if half.depth != Depth::NOTHING {
                let len = u64::from(segment.payload_len);
                session.hear(half, Side::Target, start, len, segment.payload, cx.now, cx);
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
            let is_first = half.online_base.is_none();
            let base = *half.online_base.get_or_insert(first_heard.unwrap_or(first));
            let Ok(start) = u64::try_from(i64::from(first.distance(base))) else { return };
            if is_first {
                // What came before was not captured, and will not be.
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
            if now {
                session.tell_of_reconnect(half, cx);
            }
        });
    }

    fn tell_of_reconnect(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        if std::mem::take(&mut half.is_reconnect_due) {
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
    fn with_module(
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
        let answer = self.offer(half, side, at, cx, |incoming, show| incoming.show(bytes, show));
        if let Some(answer) = answer {
            self.obey_and_go_on(half, answer, cx);
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

    fn offer_online_again(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        let at = half.online_at;
        let answer = self.offer(half, Side::Online, at, cx, |incoming, show| incoming.show_again(show));
        if let Some(answer) = answer {
            self.obey(half, answer, cx);
        }
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
    /// where a word is not enough, or the user has closed and no more can be hoped for. Behind each step comes an answer of the online server that was captured early.
    fn show_draft(&mut self, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        loop {
            let draft = self.backlog.draft_len();
            if half.is_in_prologue || self.backlog.ahead != Ahead::Nothing || draft == 0 {
                return;
            }
            let is_all = half.closing.is_some() || self.backlog.closing().is_some();
            let word = if is_all { draft } else { self.backlog.first_word_len() };
            self.show_draft_up_to(word, half, cx);
            if !self.is_over() && word < draft && self.backlog.draft_len() == draft {
                self.show_draft_up_to(draft, half, cx);
            }
            if self.is_over() || self.backlog.draft_len() == draft {
                return;
            }
            if half.online.left() > 0 {
                self.offer_online_again(half, cx);
                self.tell_online_end(half, cx);
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn show_draft_up_to(&mut self, count: usize, half: &mut ModuleHalf, cx: &mut Context<'_>) {
        let at = self.backlog.drafted_at(count).unwrap_or(cx.now);
        let said_at = self.judge.oldest_said_at();
        let draft = self.backlog.draft();
        let draft = draft.get(..count).unwrap_or(draft);
        let answer = half.ask(at, said_at, cx, |conversation, actions| conversation.client(draft, actions));
        self.obey(half, answer, cx);
        if self.backlog.draft_len() > MOST_HELD_BACK {
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
        if !self.is_over() {
            self.show_draft(half, cx);
        }
    }

    fn obey(&mut self, half: &mut ModuleHalf, answer: Result<Actions, GiveUp>, cx: &mut Context<'_>) {
        let outcome = answer.and_then(|actions| {
            let outcome = actions.iter().try_for_each(|action| self.carry_out(half, action, cx));
            cx.serving.put_actions_back(actions);
            outcome
        });
        if let Err(give_up) = outcome {
            self.give_up(half, &give_up, cx);
        }
    }

    /// The module holds back what the user said, and waits for nothing that could come.
    pub(super) fn give_up_on_module(&mut self, cx: &mut Context<'_>) {
        self.with_module(cx, |session, half, cx| {
            session.give_up(
                half,
                &GiveUp::new("it held back what the user said until the time-out (-t)"),
                cx,
            );
        });
    }

    fn give_up(&mut self, half: &ModuleHalf, reason: &GiveUp, cx: &mut Context<'_>) {
        if let Some(generation) = self.generation {
            cx.serving.fail(generation, half.id, reason.reason(), reason.is_fault());
        }
        match reason {
            reason if reason.is_fault() => self.end(Verdict::ModuleFault, cx),
            reason if reason.is_for_good() && !self.user_has_closed() && half.closing.is_none() => {
                self.fall_silent(Verdict::ModuleGaveUp, cx);
            }
            _ => self.end(Verdict::ModuleGaveUp, cx),
        }
    }

    /// Whether the module has nothing to do any more: the session has ended, or was given up for good.
    fn is_over(&self) -> bool {
        self.verdict.is_some() || self.unsayable.is_some()
    }

    /// The rest of the user's connection is lost to `verdict`: the session leaves the target, and stays to know what
    /// belongs to it.
    fn fall_silent(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        let (turns, bytes) = self.pending();
        cx.statistics.lose(verdict, turns, bytes);
        if let Some(generation) = self.generation.take() {
            cx.serving.generation_mut(generation).turns_lost += turns;
            cx.serving.leave(generation);
        }
        self.judge = Judge::default();
        self.backlog.clear();
        self.next_connection(0, cx);
        self.give_up_speaking(verdict);
    }

    fn carry_out(
        &mut self,
        half: &mut ModuleHalf,
        action: Action<'_>,
        cx: &mut Context<'_>,
    ) -> Result<(), GiveUp> {
        match action {
            Action::CompleteTurn => {
                self.judge.complete(cx.now);
                self.repetitions = 0;
            }
            Action::GuessTurns => self.judge.resign(),
            Action::Take(_) => {} // was settled with the bytes it is about
            Action::WantTarget(depth) => self.want_target(half, depth),
            Action::WantOnline(wanted) => {
                half.wants_online = wanted;
                if let (true, Some(generation)) = (wanted, self.generation) {
                    cx.serving.want_online(generation);
                }
            }
            Action::SetTimer(at) => half.timer_at = at.map(|Timestamp(micros)| Instant::from_micros(micros)),
            Action::BeginPrologue => half.is_in_prologue = true,
            Action::EndPrologue => half.is_in_prologue = false,
            Action::Record(exchange) => {
                if let Some(generation) = self.generation {
                    cx.serving.record(generation, exchange.clone());
                }
            }
            Action::Remark(phrase) => {
                if let Some(generation) = self.generation {
                    cx.serving.remark(generation, half.id, phrase);
                }
            }
            said => return self.say(half, said, cx),
        }
        Ok(())
    }

    /// Actions about what is said, which go in order.
    fn say(&mut self, half: &mut ModuleHalf, action: Action<'_>, cx: &mut Context<'_>) -> Result<(), GiveUp> {
        if self.backlog.ahead != Ahead::Nothing {
            return Err(GiveUp::fault("it went on behind client bytes that have not come yet"));
        }
        if half.is_in_prologue && !matches!(action, Action::Insert(_)) {
            return Err(GiveUp::fault("it dealt with client bytes in its prologue"));
        }
        let draft = self.backlog.draft_len() as u64;
        let more_may_come = half.closing.is_none() && self.backlog.closing().is_none();
        match action {
            Action::Forward(count) => {
                self.forward(count.min(draft) as usize, cx);
                if count > draft && more_may_come {
                    self.backlog.ahead = match count {
                        u64::MAX => Ahead::ForwardAll,
                        _ => Ahead::Forward { count: count - draft, amid: draft > 0 },
                    };
                }
            }
            Action::Discard { count, reason } => {
                let reason = cx.serving.discard(reason, count.min(draft));
                self.discard(count.min(draft) as usize, reason, cx);
                if count > draft && more_may_come {
                    self.backlog.ahead = Ahead::Discard(count - draft, reason);
                }
            }
            Action::Replace { count, .. } if count > draft => {
                return Err(GiveUp::fault("it replaced client bytes that have not come yet"));
            }
            Action::Replace { count, by } => self.replace(count as usize, by, cx),
            Action::Insert(bytes) => {
                cx.statistics.bytes_inserted += bytes.len() as u64;
                self.replace(0, bytes, cx);
            }
            Action::OpenTurn => self.judge.open(self.backlog.end(), half.depth != Depth::NOTHING),
            Action::WaitForTarget => self.judge.pause(),
            _ => return Err(GiveUp::fault("it asked for something this tcpcopy does not know")),
        }
        Ok(())
    }

    fn want_target(&mut self, half: &mut ModuleHalf, depth: Depth) {
        if half.depth == Depth::NOTHING {
            half.target.jump_to(self.connection.receive.nxt);
        }
        half.is_depth_new |= half.depth != depth;
        half.depth = depth;
    }

    fn forward(&mut self, count: usize, cx: &mut Context<'_>) {
        let Self { backlog, judge, generation, .. } = self;
        backlog.forward(count, |mark| {
            let (mark, is_new) = judge.mark(mark);
            count_turn(is_new, *generation, cx);
            mark
        });
    }

    fn replace(&mut self, count: usize, by: &[u8], cx: &mut Context<'_>) {
        let Self { backlog, judge, generation, .. } = self;
        let now = cx.now;
        backlog.replace(count, by, now, |mark| {
            let (mark, is_new) = judge.mark(mark);
            count_turn(is_new, *generation, cx);
            mark
        });
    }

    /// The next `count` bytes of the draft are left out. What the user had heard before them is kept for what follows.
    fn discard(&mut self, count: usize, reason: u16, cx: &mut Context<'_>) {
        cx.statistics.bytes_discarded += count as u64;
        let judge = &mut self.judge;
        self.backlog.discard(count, reason, cx.now, |mark| {
            judge.overhear(mark);
            None
        });
    }

    /// Captured bytes that the module has dealt with before they came; returns how many they are.
    fn pass_ahead(&mut self, bytes: &[u8], word: Word, cx: &mut Context<'_>) -> usize {
        let ahead = self.backlog.ahead;
        let promised = match ahead {
            Ahead::Nothing => return 0,
            Ahead::ForwardAll => u64::MAX,
            Ahead::Forward { count, .. } | Ahead::Discard(count, _) => count,
        };
        let count = promised.min(bytes.len() as u64);
        let left = promised - count;
        let count = count as usize;
        let push = word.push && count == bytes.len();
        self.backlog.write(&bytes[..count], word.captured_at, push, word.turn);
        if let Ahead::Discard(_, reason) = ahead {
            cx.serving.discard_more(reason, count as u64);
            self.discard(count, reason, cx);
        } else {
            self.forward(count, cx);
        }
        self.backlog.ahead = match ahead {
            Ahead::ForwardAll => Ahead::ForwardAll,
            _ if left == 0 => Ahead::Nothing,
            Ahead::Discard(_, reason) => Ahead::Discard(left, reason),
            _ => Ahead::Forward { count: left, amid: true },
        };
        count
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

fn count_turn(is_new: bool, generation: Option<usize>, cx: &mut Context<'_>) {
    if is_new {
        cx.statistics.turns_captured += 1;
        if let Some(generation) = generation {
            cx.serving.generation_mut(generation).turns_captured += 1;
        }
    }
}

fn too_much_left() -> GiveUp {
    GiveUp::new("it left more of one side than may wait")
}
