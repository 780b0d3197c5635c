//! Which modules are in place: told by the loop, read where modules are loaded.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What each mapping has. Two threads share it, and each of its numbers is right by itself.
#[derive(Debug)]
pub(crate) struct InPlace(Box<[Place]>);

/// Numbers of generations; 0 where there is none.
#[derive(Debug, Default)]
struct Place {
    installed: AtomicU32,
    serving: AtomicU32,
}

impl InPlace {
    /// Nothing is in place yet, in so many mappings.
    pub(crate) fn new(mappings: usize) -> Self {
        Self((0..mappings).map(|_| Place::default()).collect())
    }

    /// From now on this generation serves the new sessions of the mapping with this index.
    pub(super) fn install(&self, mapping: usize, generation: u32) {
        if let Some(place) = self.0.get(mapping) {
            place.installed.store(generation, Relaxed);
            place.serving.store(generation, Relaxed);
        }
    }

    /// From now on this earlier generation does so again.
    pub(super) fn roll_back(&self, mapping: usize, generation: u32) {
        if let Some(place) = self.0.get(mapping) {
            place.serving.store(generation, Relaxed);
        }
    }

    /// The generation that was installed last, whether or not it was rolled back.
    pub(super) fn installed(&self, mapping: usize) -> Option<u32> {
        self.0.get(mapping).map(|place| place.installed.load(Relaxed)).filter(|number| *number > 0)
    }

    /// The generation that serves new sessions.
    pub(super) fn serving(&self, mapping: usize) -> Option<u32> {
        self.0.get(mapping).map(|place| place.serving.load(Relaxed)).filter(|number| *number > 0)
    }
}
