//! Capture files of any kind, packed or not: what can be read of one is read, twice alike, and nothing else happens.

#![no_main]

use std::io::Write;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tcpcopy_net::{FileInput, Recording};
use tempfile::NamedTempFile;

/// In memory, where there is such a place: it is written for every input.
static FILE: LazyLock<NamedTempFile> =
    LazyLock::new(|| NamedTempFile::new_in("/dev/shm").or_else(|_| NamedTempFile::new()).expect("a file"));

/// A compressed input may hold a thousand times its size.
const MOST_FRAMES: usize = 10_000;

fuzz_target!(|input: &[u8]| {
    let mut file = FILE.as_file();
    file.set_len(0).and_then(|()| std::io::Seek::rewind(&mut file)).expect("an empty file");
    file.write_all(input).expect("a written file");
    let inputs = [FileInput::Path(FILE.path().to_owned())];
    let Ok(mut recording) = Recording::open(&inputs, Some("tcp or udp")) else { return };
    let first = frames(&mut recording);
    recording.rewind().expect("a file can be read again");
    assert_eq!(first, frames(&mut recording));
});

/// Time, length and length on the wire of every frame.
fn frames(recording: &mut Recording) -> Vec<(u64, usize, usize)> {
    let mut frames = Vec::new();
    while let Some(frame) = recording.next_frame().filter(|_| frames.len() < MOST_FRAMES) {
        frames.push((frame.captured_at.micros(), frame.bytes.len(), frame.wire_len));
    }
    frames
}
