//! The thread that reads files: it unpacks, filters and sorts out, so that the loop only sees frames it has a use for,
//! and never waits for a disk or a pipe.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::unix::pipe::Sender;
use tcpcopy_engine::Mappings;
use tcpcopy_net::{RecordedFrame, Recording};
use tcpcopy_wire::DropReason;

use super::exchange::{Closed, Entry, Exchange, Put};
use super::tally::FileTally;
use crate::Transport;
use crate::replayer::Speaker;

/// What the thread works with.
pub(crate) struct Reader {
    pub(crate) recording: Recording,
    pub(crate) transport: Transport,
    pub(crate) mappings: Mappings,
    /// The place in the recording where the replay begins, and where it ends.
    pub(crate) start: Duration,
    pub(crate) stop: Option<Duration>,
    pub(crate) laps: u32,
    pub(crate) exchange: Arc<Exchange>,
    /// Wakes the loop.
    pub(crate) bell: Sender,
    pub(crate) tallies: Arc<[FileTally]>,
    /// Somebody wants to see what online servers said.
    pub(crate) wants_answers: Arc<AtomicBool>,
}

impl Reader {
    /// Reads all laps; ends early when nobody takes batches any more.
    pub(crate) fn run(mut self) {
        for lap in 1..=self.laps {
            if self.read_lap().is_err() {
                return;
            }
            self.tell_of_damage();
            if lap < self.laps
                && let Err(error) = self.recording.rewind()
            {
                log::error!("{error}; there are no more laps");
                break;
            }
        }
        let put = self.exchange.put_mark(Entry::End);
        self.ring(put);
    }

    fn read_lap(&mut self) -> Result<(), Closed> {
        let mut first = None;
        while let Some(frame) = self.recording.next_frame() {
            let tally = &self.tallies[frame.file];
            let offset = frame.captured_at.since(*first.get_or_insert(frame.captured_at));
            if self.stop.is_some_and(|stop| offset >= stop) {
                break;
            }
            if offset < self.start {
                tally.before_start.count();
                continue;
            }
            let wants_answers = self.wants_answers.load(Ordering::Relaxed);
            let Some(entry) = sorted_out(&frame, self.transport, &self.mappings, wants_answers, tally) else {
                continue;
            };
            let put = self.exchange.put_frame(frame.bytes, entry)?;
            if put.is_first {
                ring(&mut self.bell);
            }
        }
        let put = self.exchange.put_mark(Entry::LapEnd);
        self.ring(put);
        put.map(|_| ())
    }

    fn tell_of_damage(&self) {
        for (index, tally) in self.tallies.iter().enumerate() {
            let Some(damage) = self.recording.damage(index) else { continue };
            if tally.damage.set(damage.to_owned()).is_ok() {
                log::warn!(
                    "{} is damaged: {damage}; what came before that is replayed",
                    self.recording.name(index)
                );
            }
        }
    }

    fn ring(&mut self, put: Result<Put, Closed>) {
        if put.is_ok_and(|put| put.is_first) {
            ring(&mut self.bell);
        }
    }
}

/// A pipe that is full has woken the loop already.
fn ring(bell: &mut Sender) {
    let _ = bell.write(&[0]);
}

/// How `frame` is handed on, once it is known where its bytes are; `None` when it is of no use, which is counted.
fn sorted_out(
    frame: &RecordedFrame<'_>,
    transport: Transport,
    mappings: &Mappings,
    wants_answers: bool,
    tally: &FileTally,
) -> Option<impl FnOnce(usize) -> Entry + use<>> {
    let RecordedFrame { bytes, wire_len, captured_at: recorded_at, file, .. } = *frame;
    if !frame.is_wanted {
        tally.filtered.count();
        return None;
    }
    let sorted = match frame.link {
        Some(link) => transport.speaker(mappings, link, bytes, wire_len).map(|speaker| (link, speaker)),
        None => Err(DropReason::UnsupportedLink),
    };
    let (link, speaker) = match sorted {
        Ok(sorted) => sorted,
        Err(reason) => {
            tally.unusable[reason as usize].count();
            return None;
        }
    };
    if speaker == Speaker::Stranger {
        tally.not_mapped.count();
        return None;
    }
    if speaker == Speaker::Online && !wants_answers {
        tally.answers.count();
        return None;
    }
    tally.usable.count();
    let len = bytes.len();
    Some(move |start| Entry::Frame { file, link, start, len, wire_len, recorded_at, speaker })
}
