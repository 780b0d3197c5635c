//! Actions in raw form.

use super::{Action, Actions, Depth, Timestamp};
use crate::Exchange;

/// An action as it crosses the boundary of a library: what it is, and two numbers whose meaning depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Step {
    /// One of the constants of this type; hosts refuse what they do not know.
    pub code: u32,
    /// Always zero in this version.
    pub reserved: u32,
    /// A count, or a time.
    pub count: u64,
    /// How many of the bytes beside the steps, from where the step before ended, belong to this one.
    pub bytes: u64,
}

impl Step {
    /// [`Actions::forward`] of `count` bytes.
    pub const FORWARD: u32 = 1;
    /// [`Actions::replace`] of `count` bytes by `bytes`.
    pub const REPLACE: u32 = 2;
    /// [`Actions::discard`] of `count` bytes; `bytes` hold the reason.
    pub const DISCARD: u32 = 3;
    /// [`Actions::insert`] of `bytes`.
    pub const INSERT: u32 = 4;
    /// [`Actions::open_turn`].
    pub const OPEN_TURN: u32 = 5;
    /// [`Actions::wait_for_target`].
    pub const WAIT_FOR_TARGET: u32 = 6;
    /// [`Actions::complete_turn`].
    pub const COMPLETE_TURN: u32 = 7;
    /// [`Actions::guess_turns`].
    pub const GUESS_TURNS: u32 = 8;
    /// [`Actions::take`] of `count` bytes.
    pub const TAKE: u32 = 9;
    /// [`Actions::want_target`] with the depth `count`.
    pub const WANT_TARGET: u32 = 10;
    /// [`Actions::want_online`] if `count` is not zero.
    pub const WANT_ONLINE: u32 = 11;
    /// [`Actions::set_timer`] to `count`; `u64::MAX`: no timer.
    pub const SET_TIMER: u32 = 12;
    /// [`Actions::begin_prologue`].
    pub const BEGIN_PROLOGUE: u32 = 13;
    /// [`Actions::end_prologue`].
    pub const END_PROLOGUE: u32 = 14;
    /// [`Actions::record`] of the next exchange beside the steps.
    pub const RECORD: u32 = 15;
    /// [`Actions::remark`]; `bytes` hold the phrase.
    pub const REMARK: u32 = 16;

    /// Whether it is known, and names neither bytes nor an exchange.
    #[cfg(feature = "abi")]
    pub(super) fn is_bare(&self) -> bool {
        (Self::FORWARD..=Self::REMARK).contains(&self.code) && self.code != Self::RECORD && self.bytes == 0
    }

    /// What the step means, given its bytes; `None` for a code of a newer version.
    pub(super) fn action<'a>(
        &self,
        bytes: &'a [u8],
        exchanges: &mut impl Iterator<Item = &'a Exchange>,
    ) -> Option<Action<'a>> {
        let count = self.count;
        Some(match self.code {
            Self::FORWARD => Action::Forward(count),
            Self::REPLACE => Action::Replace { count, by: bytes },
            Self::DISCARD => Action::Discard { count, reason: phrase(bytes) },
            Self::INSERT => Action::Insert(bytes),
            Self::OPEN_TURN => Action::OpenTurn,
            Self::WAIT_FOR_TARGET => Action::WaitForTarget,
            Self::COMPLETE_TURN => Action::CompleteTurn,
            Self::GUESS_TURNS => Action::GuessTurns,
            Self::TAKE => Action::Take(count),
            Self::WANT_TARGET => Action::WantTarget(Depth(u32::try_from(count).unwrap_or(u32::MAX))),
            Self::WANT_ONLINE => Action::WantOnline(count != 0),
            Self::SET_TIMER => Action::SetTimer((count != u64::MAX).then_some(Timestamp(count))),
            Self::BEGIN_PROLOGUE => Action::BeginPrologue,
            Self::END_PROLOGUE => Action::EndPrologue,
            Self::RECORD => Action::Record(exchanges.next()?),
            Self::REMARK => Action::Remark(phrase(bytes)),
            _ => return None,
        })
    }
}

/// Why raw steps are no actions: the module that sent them is broken, or newer than its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidStep;

impl Actions {
    /// The raw form: steps, the bytes they name, and the exchanges they record.
    #[must_use]
    pub fn as_raw(&self) -> (&[Step], &[u8], &[Exchange]) {
        (&self.steps, &self.bytes, &self.exchanges)
    }

    /// Appends actions in raw form, as they came over the boundary of a library.
    ///
    /// # Errors
    /// [`InvalidStep`] when a step is unknown, or names bytes or exchanges that are not there; nothing is appended then.
    pub fn extend_from_raw(
        &mut self,
        steps: &[Step],
        bytes: &[u8],
        exchanges: impl IntoIterator<Item = Exchange>,
    ) -> Result<(), InvalidStep> {
        let (mut named, mut records) = (0_u64, 0);
        for step in steps {
            if !(Step::FORWARD..=Step::REMARK).contains(&step.code) {
                return Err(InvalidStep);
            }
            named = named.checked_add(step.bytes).ok_or(InvalidStep)?;
            records += usize::from(step.code == Step::RECORD);
        }
        let before = self.exchanges.len();
        self.exchanges.extend(exchanges);
        if named != bytes.len() as u64 || records != self.exchanges.len() - before {
            self.exchanges.truncate(before);
            return Err(InvalidStep);
        }
        self.steps.extend_from_slice(steps);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends `steps` if none of them names bytes or an exchange; otherwise appends nothing and returns `false`.
    ///
    /// Nearly all answers are of this kind, and deserve no more than a few instructions. Each number is written by itself: a
    /// processor that copies a step 16 bytes at a time waits for the words it was written in just before.
    #[cfg(feature = "abi")]
    #[inline]
    pub(crate) fn extend_from_bare(&mut self, steps: &[Step]) -> bool {
        let are_bare = steps.iter().all(Step::is_bare);
        if are_bare {
            let bare = |&Step { code, count, .. }: &Step| Step { code, reserved: 0, count, bytes: 0 };
            self.steps.extend(steps.iter().map(bare));
        }
        are_bare
    }
}

fn phrase(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or("(not a phrase)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_steps_that_make_no_sense_are_refused() {
        let step = |code, bytes| Step { code, reserved: 0, count: 1, bytes };
        let mut actions = Actions::default();
        assert_eq!(actions.extend_from_raw(&[step(99, 0)], b"", []), Err(InvalidStep));
        assert_eq!(actions.extend_from_raw(&[step(Step::INSERT, 4)], b"abc", []), Err(InvalidStep));
        assert_eq!(actions.extend_from_raw(&[step(Step::INSERT, u64::MAX); 2], b"", []), Err(InvalidStep));
        assert_eq!(actions.extend_from_raw(&[step(Step::RECORD, 0)], b"", []), Err(InvalidStep));
        assert_eq!(actions.extend_from_raw(&[], b"", [Exchange::default()]), Err(InvalidStep));
        assert!(actions.is_empty());
    }
}
