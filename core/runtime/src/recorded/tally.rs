//! What became of every frame of every file: counted by the reader's thread, looked at by the loop's.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tcpcopy_wire::DropReason;

use crate::UnusableFrames;

/// A counter that one thread writes and another looks at.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// One more. Only one thread counts.
    pub(crate) fn count(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The frames of one file. In several laps a frame counts as often as it was read.
#[derive(Debug, Default)]
pub(crate) struct FileTally {
    pub(crate) before_start: Tally,
    pub(crate) filtered: Tally,
    pub(crate) unusable: [Tally; DropReason::ALL.len()],
    pub(crate) not_mapped: Tally,
    pub(crate) answers: Tally,
    /// For the loop to use when they are due.
    pub(crate) usable: Tally,
    pub(crate) damage: OnceLock<String>,
}

/// What became of the frames of one file. In several laps a frame counts as often as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTotals {
    /// The file.
    pub name: String,
    /// From before the place in the recording where the replay begins.
    pub before_start: u64,
    /// Not let through by the filter.
    pub filtered: u64,
    /// Without a usable TCP segment.
    pub unusable: UnusableFrames,
    /// Between ends that are in no mapping.
    pub not_mapped: u64,
    /// Of online servers, which no module wanted to see.
    pub answers: u64,
    /// Handed to the engine.
    pub used: u64,
    /// Read ahead of the time they are due at; at the end, what was never due because the replay was stopped.
    pub not_due: u64,
    /// Why the file was not read to its end.
    pub damage: Option<String>,
}

impl FileTally {
    /// The totals of the file `name`, of which `used` frames were handed to the engine.
    pub(crate) fn totals(&self, name: &str, used: u64) -> FileTotals {
        FileTotals {
            name: name.to_owned(),
            before_start: self.before_start.total(),
            filtered: self.filtered.total(),
            unusable: std::array::from_fn(|index| self.unusable[index].total()),
            not_mapped: self.not_mapped.total(),
            answers: self.answers.total(),
            used,
            not_due: self.usable.total().saturating_sub(used),
            damage: self.damage.get().cloned(),
        }
    }
}

impl FileTotals {
    /// Frames read: all of the others together.
    #[must_use]
    pub fn frames(&self) -> u64 {
        let Self { before_start, filtered, unusable, not_mapped, answers, used, not_due, .. } = self;
        before_start + filtered + unusable.iter().sum::<u64>() + not_mapped + answers + used + not_due
    }
}
