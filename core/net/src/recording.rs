//! Captured frames from files: pcap and pcapng, packed or not, several merged by time.
//!
//! Reading is sequential and its memory does not grow with the files. Nothing here waits for a frame's time to come:
//! when frames are replayed is the reader's business.

mod contents;
mod filter;
mod input;
mod records;
mod window;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tcpcopy_wire::{Instant, LinkType};
use thiserror::Error;

use filter::FileFilter;
pub use input::{FileInput, capture_files};
use records::{Ending, Records};

/// So many files stay open between the look at their first frame and their turn. A capture that is cut into thousands of
/// files must not need thousands of descriptors and decompressors.
const MOST_KEPT_OPEN: usize = 32;

/// A frame of a file, borrowed until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedFrame<'a> {
    /// The index of its file among the inputs.
    pub file: usize,
    /// Its link layer; `None` for one we cannot read.
    pub link: Option<LinkType>,
    /// The bytes kept, link-layer header first.
    pub bytes: &'a [u8],
    /// The length of the frame on the wire: more than `bytes.len()` when it was cut at a snapshot length.
    pub wire_len: usize,
    /// When it was captured, as the file says.
    pub captured_at: Instant,
    /// Whether the filter lets it through.
    pub is_wanted: bool,
}

/// Why files cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// A name with wildcards that fits no file, or a name of no file.
    #[error("there is no file {name}; give the name of a capture file, or - for standard input")]
    NoFile {
        /// As it was given.
        name: String,
    },
    /// A name with wildcards that are none.
    #[error("{pattern} is no pattern for names of files: {reason}")]
    BadPattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file could not be opened or read.
    #[error("cannot read {name}: {reason}")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// A file of another kind.
    #[error(
        "{name} is no capture file: it begins like neither pcap nor pcapng, and is not packed with gzip or zstd"
    )]
    NoCapture {
        /// The file.
        name: String,
    },
    /// A file packed in a way that is not read.
    #[error(
        "{name} is packed with {packer}, which tcpcopy does not read; unpack it: {packer} -dc FILE | tcpcopy -i - …"
    )]
    OtherPacking {
        /// The file.
        name: String,
        /// The program that packed it.
        packer: &'static str,
    },
    /// The filter is not one.
    #[error("the filter \"{filter}\" is wrong for {name}: {reason}")]
    BadFilter {
        /// The file whose link type it was compiled for.
        name: String,
        /// The filter.
        filter: String,
        /// What pcap says.
        reason: String,
    },
}

/// How far the bytes of all inputs are read; shared with whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct ReadingProgress(Arc<AtomicU64>);

impl ReadingProgress {
    /// Bytes read so far, packed ones before unpacking.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct File {
    input: FileInput,
    /// Open between its first frame and its last.
    records: Option<Records>,
    /// When its first frame was captured; `None` for a file without frames.
    first_at: Option<Instant>,
    damage: Option<String>,
}

/// Capture files, read as one capture in the order of time.
///
/// Within a file the order is that of the file, even where its times run backwards.
pub struct Recording {
    files: Vec<File>,
    filter: FileFilter,
    /// The time of each file's next frame; files that have none left are missing.
    heads: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The file whose frame was handed out last: it has to move on first.
    given: Option<usize>,
    progress: ReadingProgress,
}

impl Recording {
    /// Looks at the beginning of every input. `filter` is one in pcap's language.
    ///
    /// # Errors
    /// [`RecordingError`]: an input cannot be opened or is no capture, or the filter is wrong for a link type that an
    /// input begins with.
    pub fn open(inputs: &[FileInput], filter: Option<&str>) -> Result<Self, RecordingError> {
        let mut filter = FileFilter::new(filter);
        let progress = ReadingProgress::default();
        let keeps_open = inputs.len() <= MOST_KEPT_OPEN;
        let mut files = Vec::with_capacity(inputs.len());
        for input in inputs {
            // What is read to look will be read again.
            let unseen = ReadingProgress::default();
            let keeps = keeps_open || !input.can_be_read_again();
            let counter = if keeps { &progress } else { &unseen };
            let mut file = File { input: input.clone(), records: None, first_at: None, damage: None };
            file.begin(&counter.0)?;
            if let Some(records) = &file.records {
                filter.check(records.link_number(), &file.input.to_string())?;
            }
            file.records = file.records.filter(|_| keeps);
            files.push(file);
        }
        let mut recording = Self { files, filter, heads: BinaryHeap::new(), given: None, progress };
        recording.line_up();
        Ok(recording)
    }

    /// The next frame of all files; `None` when there is none left.
    pub fn next_frame(&mut self) -> Option<RecordedFrame<'_>> {
        if let Some(index) = self.given.take() {
            self.files[index].advance();
            self.enter(index);
        }
        loop {
            let Reverse((_, index)) = self.heads.pop()?;
            let file = &mut self.files[index];
            if file.records.is_none()
                && let Err(error) = file.begin(&self.progress.0)
            {
                file.damage = Some(error.to_string());
            }
            if file.records.is_some() {
                self.given = Some(index);
                break;
            }
        }
        let index = self.given?;
        let head = self.files[index].records.as_ref()?.head()?;
        Some(RecordedFrame {
            file: index,
            link: LinkType::from_number(head.link),
            bytes: head.bytes,
            wire_len: head.wire_len,
            captured_at: head.captured_at,
            is_wanted: self.filter.passes(head.link, head.bytes),
        })
    }

    /// Begins again at the first frame.
    ///
    /// # Errors
    /// An input cannot be read again, or not any more.
    pub fn rewind(&mut self) -> Result<(), RecordingError> {
        self.given = None;
        for file in &mut self.files {
            file.records = None;
            if !file.input.can_be_read_again() {
                let reason = "what came from there can be read once only".to_owned();
                return Err(RecordingError::Unreadable { name: file.input.to_string(), reason });
            }
        }
        self.line_up();
        Ok(())
    }

    /// Why the file with this index was not read to its end.
    #[must_use]
    pub fn damage(&self, file: usize) -> Option<&str> {
        self.files.get(file)?.damage.as_deref()
    }

    /// What people call the file with this index.
    #[must_use]
    pub fn name(&self, file: usize) -> String {
        self.files.get(file).map(|file| file.input.to_string()).unwrap_or_default()
    }

    /// How far reading is, to be looked at from anywhere.
    #[must_use]
    pub fn progress(&self) -> ReadingProgress {
        self.progress.clone()
    }

    /// Every file with a frame takes its place by the time of its first one.
    fn line_up(&mut self) {
        self.heads.clear();
        for (index, file) in self.files.iter().enumerate() {
            self.heads.extend(file.first_at.map(|at| Reverse((at, index))));
        }
    }

    fn enter(&mut self, index: usize) {
        let head = self.files[index].records.as_ref().and_then(Records::head);
        self.heads.extend(head.map(|head| Reverse((head.captured_at, index))));
    }
}

impl File {
    /// Opens the input and goes to its first frame.
    fn begin(&mut self, counter: &Arc<AtomicU64>) -> Result<(), RecordingError> {
        let contents = contents::open(&self.input, counter)?;
        let unreadable = |ending: Ending| match ending {
            Ending::Foreign => RecordingError::NoCapture { name: self.input.to_string() },
            Ending::Damaged(reason) => RecordingError::Unreadable { name: self.input.to_string(), reason },
            Ending::Whole => {
                RecordingError::Unreadable { name: self.input.to_string(), reason: "it is empty".to_owned() }
            }
        };
        self.records = Some(Records::begin(contents).map_err(unreadable)?);
        self.advance();
        let head = self.records.as_ref().and_then(Records::head);
        self.first_at = head.map(|head| head.captured_at);
        Ok(())
    }

    /// Goes on to the next frame; behind the last one the file is closed.
    fn advance(&mut self) {
        let Some(records) = &mut self.records else { return };
        if let Err(ending) = records.advance() {
            self.records = None;
            if let Ending::Damaged(reason) = ending {
                self.damage = Some(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests;
