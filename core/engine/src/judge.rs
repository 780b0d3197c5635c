//! A module's word on turns: which are open, which are complete, and what is known of their beginnings.

use std::collections::VecDeque;
use std::time::Duration;

use tcpcopy_wire::Instant;

use crate::backlog::{TurnKind, TurnMark};
use crate::turns::Opening;

/// A turn whose answer is not complete.
#[derive(Clone, Copy, Debug)]
struct OpenTurn {
    /// Where it begins in the stream.
    start: u64,
    /// When its last byte so far was first said.
    said_at: Option<Instant>,
}

/// Who judges the turns of a session, and how far that has come. Without a module nobody but the engine does.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// A module says where turns begin.
    marks_beginnings: bool,
    /// It also says when their answers are complete.
    is_judging: bool,
    open: VecDeque<OpenTurn>,
    completed: u64,
    completed_at: Instant,
    /// What the next words to be said begin.
    beginning: Option<TurnKind>,
    /// What the user had heard, and how long the user had waited, since the last beginning.
    heard: u64,
    waited: Duration,
    /// Turns that were withdrawn and not yet opened again.
    reopening: u64,
}

impl Judge {
    /// Whether a module says when turns are complete.
    pub(crate) fn is_judging(&self) -> bool {
        self.is_judging
    }

    /// Whether no turn waits for its answer.
    pub(crate) fn is_satisfied(&self) -> bool {
        self.open.is_empty()
    }

    /// Where the oldest turn begins whose answer is not complete.
    pub(crate) fn oldest_open(&self) -> Option<u64> {
        self.open.front().map(|turn| turn.start)
    }

    /// When the last byte so far of the oldest open turn was said.
    pub(crate) fn oldest_said_at(&self) -> Option<Instant> {
        self.open.front()?.said_at
    }

    /// Turns that were captured, withdrawn, and are in no place of the stream now.
    pub(crate) fn reopening(&self) -> u64 {
        self.reopening
    }

    /// What is said next, from `start` on, opens a turn. `hears_target`: the module can tell when it is complete.
    pub(crate) fn open(&mut self, start: u64, hears_target: bool) {
        if matches!(self.beginning, Some(TurnKind::Judged(_) | TurnKind::Guessed)) {
            return; // nothing has been said of the one before
        }
        self.marks_beginnings = true;
        self.is_judging |= hears_target;
        if !self.is_judging {
            self.beginning = Some(TurnKind::Guessed);
            return;
        }
        self.beginning = Some(TurnKind::Judged(self.completed + self.open.len() as u64));
        self.open.push_back(OpenTurn { start, said_at: None });
    }

    /// What is said next waits as the user did, within the present turn.
    pub(crate) fn pause(&mut self) {
        self.beginning.get_or_insert(TurnKind::Pause);
    }

    /// The answer to the oldest open turn is complete.
    pub(crate) fn complete(&mut self, now: Instant) {
        if self.open.pop_front().is_some() {
            self.completed += 1;
            self.completed_at = now;
        }
    }

    /// The engine judges from here on.
    pub(crate) fn resign(&mut self) {
        self.marks_beginnings = false;
        self.is_judging = false;
        self.completed += self.open.len() as u64;
        self.open.clear();
        self.beginning = self.beginning.filter(|kind| *kind == TurnKind::Pause);
    }

    /// All open turns are withdrawn; `turns` of them had a place in the stream.
    pub(crate) fn withdraw(&mut self, turns: u64) {
        self.open.clear();
        self.beginning = None;
        (self.heard, self.waited) = (0, Duration::ZERO);
        self.reopening += turns;
    }

    /// Words are given their place in the stream, captured with `mark`: the mark they are said with, and whether that is
    /// a turn never counted before.
    pub(crate) fn mark(&mut self, mark: Option<TurnMark>) -> (Option<TurnMark>, bool) {
        if !self.marks_beginnings && self.beginning.is_none() {
            return (mark, mark.is_some_and(|mark| mark.kind == TurnKind::Guessed));
        }
        self.overhear(mark);
        let Some(kind) = self.beginning.take() else { return (None, false) };
        let turn = TurnMark { kind, heard: self.heard, waited: self.waited };
        (self.heard, self.waited) = (0, Duration::ZERO);
        let is_turn = kind != TurnKind::Pause;
        let is_new = is_turn && self.reopening == 0;
        self.reopening -= u64::from(is_turn && !is_new);
        (Some(turn), is_new)
    }

    /// Words with `mark` are left out: what the user had heard before them counts for what is said next.
    pub(crate) fn overhear(&mut self, mark: Option<TurnMark>) {
        if let Some(mark) = mark {
            self.heard += mark.heard;
            self.waited = mark.waited;
        }
    }

    /// The mark of the user's closing word, captured with `mark`.
    pub(crate) fn closing_mark(&mut self, mark: Option<TurnMark>) -> Option<TurnMark> {
        let heard = self.heard + mark.map_or(0, |mark| mark.heard);
        match mark {
            _ if !self.is_judging => mark,
            _ if heard == 0 => None,
            mark => Some(TurnMark {
                kind: TurnKind::Judged(self.completed + self.open.len() as u64),
                heard,
                waited: mark.map_or(self.waited, |mark| mark.waited),
            }),
        }
    }

    /// Bytes from `offset` on were said for the first time.
    pub(crate) fn on_speech(&mut self, offset: u64, now: Instant) {
        if let Some(turn) = self.open.iter_mut().rev().find(|turn| turn.start <= offset) {
            turn.said_at = Some(now);
        }
    }

    /// Whether `turn` may begin, where that is a module's to say. `caught_up`: the target has said all that the user had
    /// heard, though not as the answers to these turns.
    pub(crate) fn opening(&self, turn: &TurnMark, caught_up: bool, pace: Duration) -> Option<Opening> {
        match turn.kind {
            // The first one may wait for a greeting.
            TurnKind::Judged(before) if self.is_judging && before > 0 && turn.heard > 0 => {
                if self.completed >= before {
                    Some(Opening::NotBefore(self.completed_at + pace))
                } else {
                    (!caught_up).then_some(Opening::WhenComplete)
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_millis(2);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn heard(heard: u64) -> Option<TurnMark> {
        Some(TurnMark { kind: TurnKind::Guessed, heard, waited: Duration::from_millis(1) })
    }

    fn opened(judge: &mut Judge, start: u64, mark: Option<TurnMark>) -> TurnMark {
        judge.open(start, true);
        judge.mark(mark).0.unwrap()
    }

    #[test]
    fn a_turn_waits_for_the_word_of_its_module_alone() {
        let mut judge = Judge::default();
        opened(&mut judge, 0, heard(0));
        let second = opened(&mut judge, 10, heard(100));
        assert_eq!(judge.opening(&second, false, PACE), Some(Opening::WhenComplete));
        judge.complete(at(7));
        assert_eq!(judge.opening(&second, false, PACE), Some(Opening::NotBefore(at(9))));
    }

    #[test]
    fn a_turn_that_its_user_did_not_wait_for_and_the_first_one_are_left_to_the_engine() {
        let mut judge = Judge::default();
        let first = opened(&mut judge, 0, heard(50));
        let pipelined = opened(&mut judge, 10, None);
        assert_eq!(judge.opening(&first, false, PACE), None);
        assert_eq!(judge.opening(&pipelined, false, PACE), None);
    }

    #[test]
    fn what_the_user_heard_is_kept_for_the_next_beginning() {
        let mut judge = Judge::default();
        opened(&mut judge, 0, heard(0));
        assert!(judge.mark(heard(30)).0.is_none());
        assert_eq!(opened(&mut judge, 9, heard(70)).heard, 100);
    }

    #[test]
    fn withdrawn_turns_are_counted_once() {
        let mut judge = Judge::default();
        judge.open(0, true);
        assert!(judge.mark(heard(0)).1);
        judge.withdraw(1);
        judge.open(0, true);
        assert!(!judge.mark(heard(0)).1);
        assert_eq!(judge.reopening(), 0);
    }

    #[test]
    fn without_a_module_marks_stay_what_they_are() {
        let mut judge = Judge::default();
        let (mark, is_new) = judge.mark(heard(5));
        assert!(is_new && mark.is_some_and(|mark| mark.heard == 5));
        assert!(judge.mark(None).0.is_none());
    }

    #[test]
    fn a_module_that_does_not_hear_the_target_says_where_turns_begin_and_no_more() {
        let mut judge = Judge::default();
        judge.open(0, false);
        assert_eq!(judge.mark(heard(0)).0.map(|turn| turn.kind), Some(TurnKind::Guessed));
        assert!(judge.mark(heard(40)).0.is_none());
        assert!(judge.is_satisfied() && !judge.is_judging());
    }
}
