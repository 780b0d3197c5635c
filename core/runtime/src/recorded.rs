//! Replaying files: frames are handed to the engine when they are due, lap after lap, until all is said.

mod exchange;
mod lap;
mod look_ahead;
mod reader;
mod tally;
mod timetable;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::unix::pipe::{self, Receiver};
use mio::{Interest, Registry, Token};
use tcpcopy_engine::Mappings;
use tcpcopy_net::{FileInput, ReadingProgress, Recording, RecordingError};
use tcpcopy_wire::Instant;

use crate::replayer::{Replayer, Seen, Speaker};
use crate::{CaptureTotals, StartError, Transport};
use exchange::{Batch, Entry, Exchange};
use look_ahead::LookAhead;
use reader::Reader;
use tally::FileTally;
use timetable::Timetable;

pub(crate) use lap::Lap;
pub use tally::FileTotals;
pub use timetable::Tempo;

/// Frames handed over before others get their turn.
const BATCH: usize = 512;

/// What is replayed from files, and how.
#[derive(Clone, Debug)]
pub struct RecordingChoice {
    /// The files; at least one.
    pub inputs: Vec<FileInput>,
    /// A filter in pcap's language; `None` for everything.
    pub filter: Option<String>,
    /// How fast.
    pub tempo: Tempo,
    /// Idle times of the recording are no longer than this, before the tempo acts on them.
    pub longest_idle: Option<Duration>,
    /// How often, at least once. Only inputs that [can be read again](FileInput::can_be_read_again) have a second lap.
    pub laps: u32,
    /// The place where the replay begins, from the first frame on, in the recording's own time.
    pub start: Duration,
    /// The place where it ends.
    pub stop: Option<Duration>,
}

/// How far the replay of files is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingTotals {
    /// What became of every frame.
    pub files: Vec<FileTotals>,
    /// The lap under way, from 1 on.
    pub lap: u32,
    /// How many there are to be.
    pub laps: u32,
    /// How far into the recording it is.
    pub position: Duration,
    /// Bytes read of all files and laps, packed as they are.
    pub bytes_read: u64,
    /// Bytes there are to be read; `None` where that is not known.
    pub bytes_total: Option<u64>,
    /// Everything has been handed to the engine.
    pub is_read: bool,
}

/// A recording under way.
pub(crate) struct Recorded {
    names: Vec<String>,
    exchange: Arc<Exchange>,
    bell: Receiver,
    batch: Batch,
    /// The next entry of the batch.
    next: usize,
    /// When it is due, once that is known.
    due: Option<Instant>,
    /// It was due and had to wait for sessions or for a feed.
    is_held: bool,
    /// More can be done without waiting for anything.
    has_more: bool,
    timetable: Timetable,
    look_ahead: LookAhead,
    lap: Lap,
    laps: u32,
    is_read: bool,
    tallies: Arc<[FileTally]>,
    /// Frames of each file that were handed to the engine.
    used: Box<[u64]>,
    progress: ReadingProgress,
    bytes_total: Option<u64>,
    wants_answers: Arc<AtomicBool>,
    began_at: Option<Instant>,
}

impl Recorded {
    /// Opens the files and begins to read. `memory_budget`: what the engine may hold, in bytes.
    pub(crate) fn open(
        choice: &RecordingChoice,
        transport: Transport,
        mappings: &Mappings,
        wants_answers: bool,
        memory_budget: usize,
    ) -> Result<Self, StartError> {
        if let Some(pipe) = choice.inputs.iter().find(|input| choice.laps > 1 && !input.can_be_read_again()) {
            let reason = "it can be read once only, which is one lap".to_owned();
            return Err(RecordingError::Unreadable { name: pipe.to_string(), reason }.into());
        }
        let recording = Recording::open(&choice.inputs, choice.filter.as_deref())?;
        let (sender, bell) = pipe::new()?;
        sender.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let exchange = Arc::new(Exchange::default());
        let tallies: Arc<[FileTally]> = choice.inputs.iter().map(|_| FileTally::default()).collect();
        let wants_answers = Arc::new(AtomicBool::new(wants_answers));
        let progress = recording.progress();
        let reader = Reader {
            recording,
            transport,
            mappings: mappings.clone(),
            start: choice.start,
            stop: choice.stop,
            laps: choice.laps,
            exchange: Arc::clone(&exchange),
            bell: sender,
            tallies: Arc::clone(&tallies),
            wants_answers: Arc::clone(&wants_answers),
        };
        // Nobody waits for it: it may be in the middle of a read that never ends.
        std::thread::Builder::new().name("recording".to_owned()).spawn(move || reader.run())?;
        let bytes: Option<u64> = choice.inputs.iter().map(FileInput::bytes).sum();
        Ok(Self {
            names: choice.inputs.iter().map(ToString::to_string).collect(),
            exchange,
            bell,
            batch: Batch::default(),
            next: 0,
            due: None,
            is_held: false,
            has_more: false,
            timetable: Timetable::new(choice.tempo, choice.longest_idle),
            look_ahead: LookAhead::new(choice.tempo, memory_budget),
            lap: Lap::default(),
            laps: choice.laps,
            is_read: false,
            used: vec![0; tallies.len()].into(),
            tallies,
            progress,
            bytes_total: bytes.map(|bytes| bytes.saturating_mul(choice.laps.into())),
            wants_answers,
            began_at: None,
        })
    }

    /// The names of the files.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> std::io::Result<()> {
        registry.register(&mut self.bell, token, Interest::READABLE)
    }

    /// The bell rang: there are frames.
    pub(crate) fn mark_ready(&mut self) {
        let mut rings = [0; 64];
        while self.bell.read(&mut rings).is_ok_and(|count| count == rings.len()) {}
        self.has_more = true;
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.has_more
    }

    /// When [`Self::dispatch`] is due although nothing tells so.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.is_held { Some(LookAhead::ask_again_at(now)) } else { self.due }
    }

    /// From now on what online servers said is handed over as well.
    pub(crate) fn show_answers(&self) {
        self.wants_answers.store(true, Ordering::Relaxed);
    }

    /// Everything was handed to the engine.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Hands over what is due, a batch at the most, and nothing while no intercept `is_there` to see it answered.
    pub(crate) fn dispatch(&mut self, now: Instant, is_there: bool, replayer: &mut impl Replayer) {
        self.has_more = false;
        self.began_at.get_or_insert(now);
        for _ in 0..BATCH {
            if self.is_read || (self.next == self.batch.entries.len() && !self.refill()) {
                return;
            }
            match self.batch.entries[self.next] {
                Entry::LapEnd => {
                    replayer.end_capture(now);
                    self.lap = self.lap.next(now.since(self.began_at.unwrap_or(now)));
                    self.timetable.next_lap();
                    self.next += 1;
                }
                Entry::End => {
                    self.is_read = true;
                    return;
                }
                frame @ Entry::Frame { .. } => {
                    if !self.hand_over(frame, now, is_there, replayer) {
                        return;
                    }
                }
            }
        }
        self.has_more = true;
    }

    fn refill(&mut self) -> bool {
        self.next = 0;
        self.exchange.take(&mut self.batch)
    }

    /// Hands a frame over, if it is due and may be.
    fn hand_over(
        &mut self,
        entry: Entry,
        now: Instant,
        is_there: bool,
        replayer: &mut impl Replayer,
    ) -> bool {
        let Entry::Frame { file, link, start, len, wire_len, recorded_at, speaker } = entry else {
            return true;
        };
        let due = match self.due {
            Some(due) => due,
            None => *self.due.insert(self.timetable.place(now, recorded_at)),
        };
        if due > now {
            return false;
        }
        let may_go_on = |engine| self.look_ahead.may_go_on(now, engine);
        if !is_there || !replayer.sessions().is_none_or(may_go_on) {
            self.is_held = true;
            return false;
        }
        self.timetable.set_off(now, due, self.is_held);
        (self.due, self.is_held) = (None, false);
        self.next += 1;
        self.used[file] += 1;
        let turns = replayer.turns();
        let seen = Seen { link, bytes: self.batch.frame(start, len), wire_len, at: recorded_at };
        // The reader has parsed it, and found it usable; what is parsed cannot cross to another thread, bytes can.
        if replayer.take_recorded(now, seen, speaker, self.lap).is_ok() {
            let bits = if speaker == Speaker::User { wire_len as u64 * 8 } else { 0 };
            self.timetable.handed(replayer.turns() - turns, bits);
        }
        true
    }

    pub(crate) fn totals(&self) -> RecordingTotals {
        RecordingTotals {
            files: self.file_totals().collect(),
            lap: (self.lap.number + 1).min(self.laps),
            laps: self.laps,
            position: self.timetable.position(),
            bytes_read: self.progress.bytes(),
            bytes_total: self.bytes_total,
            is_read: self.is_read,
        }
    }

    fn file_totals(&self) -> impl Iterator<Item = FileTotals> {
        let files = self.names.iter().zip(self.tallies.iter()).zip(&self.used);
        files.map(|((name, tally), used)| tally.totals(name, *used))
    }

    /// The same as of a capture: what no kernel counts is zero.
    pub(crate) fn capture_totals(&self) -> CaptureTotals {
        let mut totals = CaptureTotals::default();
        for file in self.file_totals() {
            totals.frames += file.frames();
            for (sum, number) in totals.unusable.iter_mut().zip(file.unusable) {
                *sum += number;
            }
        }
        totals
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.exchange.close();
    }
}
