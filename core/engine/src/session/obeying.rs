//! What a module wants done is done: bytes get their place in the stream, turns their marks; or it is given up.

use tcpcopy_plugin_api::{Action, Actions, Depth, GiveUp, Timestamp};
use tcpcopy_wire::Instant;

use super::module_half::ModuleHalf;
use super::{Context, Session, Skipping};
use crate::backlog::{Ahead, Word};
use crate::judge::Judge;
use crate::verdict::Verdict;

impl Session {
    /// Does what the module wants, or leaves it to itself.
    pub(super) fn obey(
        &mut self,
        half: &mut ModuleHalf,
        answer: Result<Actions, GiveUp>,
        cx: &mut Context<'_>,
    ) {
        let outcome = answer.and_then(|actions| {
            let outcome = actions.iter().try_for_each(|action| self.carry_out(half, action, cx));
            cx.serving.put_actions_back(actions);
            outcome
        });
        let is_turn_unsaid = std::mem::take(&mut half.is_turn_unsaid);
        if let Err(give_up) = outcome {
            self.give_up(half, &give_up, cx);
        } else if is_turn_unsaid && !self.is_over() {
            self.tell_of_reconnect(half, cx);
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

    /// The module gave up, broke, or asked for what cannot be.
    pub(super) fn give_up(&mut self, half: &ModuleHalf, reason: &GiveUp, cx: &mut Context<'_>) {
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
    pub(super) fn is_over(&self) -> bool {
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
            Action::GuessTurns if self.skipping != Skipping::No => {
                return Err(GiveUp::new("the target left in the middle of a turn whose end is not known"));
            }
            Action::GuessTurns => self.judge.resign(),
            Action::Take(_) => {} // was settled with the bytes it is about
            Action::WantTarget(depth) => self.want_target(half, depth),
            Action::WantOnline(wanted) => {
                half.wants_online = wanted;
                half.is_online_joined &= wanted;
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
        if half.is_turn_unsaid {
            return Ok(());
        }
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
                        _ => Ahead::Forward {
                            count: count - draft,
                            amid: draft > 0 && self.skipping == Skipping::No,
                        },
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
            Action::OpenTurn if self.skipping != Skipping::No => {
                self.skipping = Skipping::No;
                half.is_turn_unsaid = true;
            }
            Action::Insert(_) | Action::WaitForTarget if self.skipping != Skipping::No => {}
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
        if self.skipping != Skipping::No {
            return self.lose(count, cx);
        }
        let Self { backlog, judge, generation, .. } = self;
        backlog.forward(count, |mark| {
            let (mark, is_new) = judge.mark(mark);
            count_turn(is_new, *generation, cx);
            mark
        });
    }

    fn replace(&mut self, count: usize, by: &[u8], cx: &mut Context<'_>) {
        if self.skipping != Skipping::No {
            return self.lose(count, cx);
        }
        let Self { backlog, judge, generation, .. } = self;
        let now = cx.now;
        backlog.replace(count, by, now, |mark| {
            let (mark, is_new) = judge.mark(mark);
            count_turn(is_new, *generation, cx);
            mark
        });
    }

    /// The next `count` bytes of the draft are lost with the turn that is skipped.
    fn lose(&mut self, count: usize, cx: &mut Context<'_>) {
        cx.statistics.bytes_lost_to_resets += count as u64;
        self.backlog.skip(count);
    }

    /// The next `count` bytes of the draft are left out. What the user had heard before them is kept for what follows.
    fn discard(&mut self, count: usize, reason: u16, cx: &mut Context<'_>) {
        cx.statistics.bytes_discarded += count as u64;
        if self.skipping != Skipping::No {
            return self.backlog.skip(count);
        }
        let judge = &mut self.judge;
        self.backlog.discard(count, reason, cx.now, |mark| {
            judge.overhear(mark);
            None
        });
    }

    /// Captured bytes that the module has dealt with before they came; returns how many they are.
    pub(super) fn pass_ahead(&mut self, bytes: &[u8], word: Word, cx: &mut Context<'_>) -> usize {
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
            _ => Ahead::Forward { count: left, amid: self.skipping == Skipping::No },
        };
        count
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
