//! When the next turn may begin: the gate between what was captured and what is said.

use std::time::Duration;

use tcpcopy_wire::Instant;

use crate::backlog::TurnMark;

/// The longest silence that is waited for when the target's answer is smaller than the online one was.
const LONGEST_QUIET: Duration = Duration::from_millis(200);
/// An answer that does not come at all holds the user's next words back no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// A user this near is not paced: what looks like a round trip is scheduling noise.
pub(crate) const INTERNAL_RTT: Duration = Duration::from_millis(1);

/// Whether a turn may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Now,
    /// Not before this time, unless the target says more until then.
    NotBefore(Instant),
    /// Not before a module says that the answer is complete.
    WhenComplete,
}

/// Follows what the target answers since the last turn began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TurnGate {
    /// Payload bytes of the target on this connection, in order.
    received: u64,
    /// `received` when the last turn began.
    received_before: u64,
    last_payload_at: Instant,
    last_push: bool,
    spoke_at: Instant,
    /// `received` that the user is known to have waited for in all turns so far.
    awaited: u64,
}

impl TurnGate {
    /// The target said `bytes` more.
    pub(crate) fn on_answer(&mut self, bytes: u64, push: bool, now: Instant) {
        self.received += bytes;
        self.last_payload_at = now;
        self.last_push = push;
    }

    /// A turn begins.
    pub(crate) fn on_turn(&mut self, turn: &TurnMark, now: Instant) {
        self.received_before = self.received;
        self.awaited += turn.heard;
        self.spoke_at = now;
    }

    /// Bytes of a turn were said, or the connection stands on which they can be.
    pub(crate) fn on_speech(&mut self, now: Instant) {
        self.spoke_at = now;
    }

    /// Whether the target has said anything since the last turn began.
    pub(crate) fn is_answered(&self) -> bool {
        self.received > self.received_before
    }

    /// For what is not held back for ever, whatever the target does.
    pub(crate) fn patience(&self) -> Opening {
        Opening::NotBefore(self.spoke_at.max(self.last_payload_at) + PATIENCE)
    }

    /// Whether the target has said as much as the user had heard in all when opening `turn`.
    pub(crate) fn has_caught_up(&self, turn: &TurnMark) -> bool {
        self.received >= self.awaited + turn.heard
    }

    /// Whether `turn` may begin. `overlapping`: this user is known to speak before hearing everything, so what
    /// counts is all that was heard, not the answer to the last turn.
    ///
    /// 1. Nothing had been heard: the user did not wait either.
    /// 2. The target said at least as much as the online server had, and pushed: its answer is complete.
    /// 3. It said less, pushed, and is silent since: its answer is shorter. How long a silence has to be is
    ///    what the user had waited, so that an answer in several parts is not taken for complete.
    /// 4. It does not answer: the user's words are not held back for ever.
    pub(crate) fn opening(&self, turn: &TurnMark, overlapping: bool, pace: Duration) -> Opening {
        let heard = turn.heard;
        if heard == 0 {
            return Opening::Now;
        }
        let gained = self.received - self.received_before;
        let enough = gained >= heard || (overlapping && self.has_caught_up(turn));
        let wait = match (enough, gained > 0) {
            (true, _) if self.last_push => pace,
            (true, _) | (false, true) if !self.last_push => LONGEST_QUIET.max(pace),
            (_, true) => turn.waited.min(LONGEST_QUIET).max(pace),
            _ => return self.patience(),
        };
        Opening::NotBefore(self.last_payload_at + wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backlog::TurnKind;

    const PACE: Duration = Duration::from_millis(2);

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn turn(heard: u64, waited_ms: u64) -> TurnMark {
        TurnMark { kind: TurnKind::Guessed, heard, waited: Duration::from_millis(waited_ms) }
    }

    fn spoken() -> TurnGate {
        let mut gate = TurnGate::default();
        gate.on_turn(&turn(0, 0), at(0));
        gate
    }

    #[test]
    fn a_user_who_heard_nothing_does_not_wait() {
        assert_eq!(spoken().opening(&turn(0, 5), false, PACE), Opening::Now);
    }

    #[test]
    fn a_complete_answer_opens_the_turn_one_pace_later() {
        let mut gate = spoken();
        gate.on_answer(100, true, at(10));
        assert_eq!(gate.opening(&turn(100, 50), false, PACE), Opening::NotBefore(at(12)));
    }

    #[test]
    fn a_shorter_answer_needs_the_silence_the_user_waited() {
        let mut gate = spoken();
        gate.on_answer(10, true, at(10));
        assert_eq!(gate.opening(&turn(100, 50), false, PACE), Opening::NotBefore(at(60)));
        assert_eq!(gate.opening(&turn(100, 5_000), false, PACE), Opening::NotBefore(at(210)));
    }

    #[test]
    fn an_answer_that_goes_on_is_waited_for() {
        let mut gate = spoken();
        gate.on_answer(1000, false, at(10));
        assert_eq!(gate.opening(&turn(100, 1), false, PACE), Opening::NotBefore(at(210)));
    }

    #[test]
    fn no_answer_at_all_is_waited_for_with_patience() {
        assert_eq!(spoken().opening(&turn(100, 1), false, PACE), Opening::NotBefore(at(0) + PATIENCE));
    }

    #[test]
    fn an_overlapping_user_waits_for_what_was_heard_in_all() {
        let mut gate = spoken();
        gate.on_answer(300, true, at(1));
        gate.on_turn(&turn(100, 1), at(2));
        assert_eq!(gate.opening(&turn(100, 1), true, PACE), Opening::NotBefore(at(3)));
        assert_ne!(gate.opening(&turn(100, 1), false, PACE), Opening::NotBefore(at(3)));
    }
}
