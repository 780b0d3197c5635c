//! Where the thread that reads files hands frames to the loop: one batch that fills while the other is used.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tcpcopy_wire::{Instant, LinkType};

use crate::replayer::Speaker;

/// A batch that holds so much is full: enough to outlast a slow read, little beside what sessions hold.
const FULL_BYTES: usize = 2 << 20;
const FULL_ENTRIES: usize = 16 << 10;

/// What stands in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A frame of a user or of an online server.
    Frame {
        /// Of which file, by its number.
        file: usize,
        link: LinkType,
        start: usize,
        len: usize,
        wire_len: usize,
        recorded_at: Instant,
        speaker: Speaker,
    },
    /// All files are read; more laps may follow.
    LapEnd,
    /// Nothing will follow.
    End,
}

/// Entries, and the bytes of their frames.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Batch {
    /// The bytes of a frame of this batch.
    pub(crate) fn frame(&self, start: usize, len: usize) -> &[u8] {
        self.bytes.get(start..start + len).unwrap_or_default()
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES || self.entries.len() >= FULL_ENTRIES
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }
}

#[derive(Default)]
struct State {
    filling: Batch,
    /// Nobody takes batches any more.
    is_closed: bool,
}

/// The place between the two threads.
#[derive(Default)]
pub(crate) struct Exchange {
    state: Mutex<State>,
    taken: Condvar,
}

/// The loop is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// Something was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    /// There was nothing before: whoever takes batches may be asleep.
    pub(crate) is_first: bool,
}

impl Exchange {
    /// Puts a frame in, as soon as there is room.
    pub(crate) fn put_frame(&self, bytes: &[u8], entry: impl FnOnce(usize) -> Entry) -> Result<Put, Closed> {
        self.put(|batch| {
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(bytes);
            entry(start)
        })
    }

    /// Puts a mark in, as soon as there is room.
    pub(crate) fn put_mark(&self, mark: Entry) -> Result<Put, Closed> {
        self.put(|_| mark)
    }

    fn put(&self, entry: impl FnOnce(&mut Batch) -> Entry) -> Result<Put, Closed> {
        let mut state = self.lock();
        while state.filling.is_full() && !state.is_closed {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return Err(Closed);
        }
        let is_first = state.filling.entries.is_empty();
        let entry = entry(&mut state.filling);
        state.filling.entries.push(entry);
        Ok(Put { is_first })
    }

    /// Takes what there is in exchange for `used`; `false` when there is nothing.
    pub(crate) fn take(&self, used: &mut Batch) -> bool {
        used.clear();
        let mut state = self.lock();
        if state.filling.entries.is_empty() {
            return false;
        }
        std::mem::swap(&mut state.filling, used);
        drop(state);
        self.taken.notify_one();
        true
    }

    /// The loop ends.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.taken.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn put(exchange: &Exchange, bytes: &[u8]) -> Result<Put, Closed> {
        exchange.put_frame(bytes, |start| Entry::Frame {
            file: 0,
            link: LinkType::RawIp,
            start,
            len: bytes.len(),
            wire_len: bytes.len(),
            recorded_at: Instant::ZERO,
            speaker: Speaker::User,
        })
    }

    #[test]
    fn frames_come_out_as_they_were_put_in_and_only_the_first_wakes() {
        let exchange = Exchange::default();
        let mut batch = Batch::default();
        assert!(!exchange.take(&mut batch));
        assert_eq!(put(&exchange, b"one"), Ok(Put { is_first: true }));
        assert_eq!(put(&exchange, b"three"), Ok(Put { is_first: false }));
        assert_eq!(exchange.put_mark(Entry::End), Ok(Put { is_first: false }));
        assert!(exchange.take(&mut batch));
        let frames: Vec<&[u8]> = batch
            .entries
            .iter()
            .filter_map(|entry| match *entry {
                Entry::Frame { start, len, .. } => Some(batch.frame(start, len)),
                _ => None,
            })
            .collect();
        assert_eq!(frames, [&b"one"[..], b"three"]);
        assert_eq!(batch.entries.last(), Some(&Entry::End));
        assert!(!exchange.take(&mut batch) && batch.entries.is_empty());
    }

    #[test]
    fn a_full_batch_is_waited_for_and_a_closed_exchange_is_not() {
        let exchange = Arc::new(Exchange::default());
        let reader = {
            let exchange = Arc::clone(&exchange);
            std::thread::spawn(move || {
                let mut count = 0_u64;
                while put(&exchange, &[0; 1000]).is_ok() {
                    count += 1;
                }
                count
            })
        };
        let mut batch = Batch::default();
        let mut taken = 0;
        while taken < 10 * FULL_BYTES {
            exchange.take(&mut batch);
            assert!(batch.bytes.len() <= FULL_BYTES + 1000);
            taken += batch.bytes.len();
            std::thread::yield_now();
        }
        exchange.close();
        assert!(reader.join().unwrap() * 1000 >= taken as u64);
    }
}
