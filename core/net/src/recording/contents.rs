//! What is in a file once it is unpacked. How it is packed is seen from its first bytes; names mean nothing.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::{FileInput, RecordingError};

/// Read from the system at a time.
const CHUNK: usize = 128 << 10;

/// Counts what comes from the system.
struct Counted<R> {
    source: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The unpacked bytes of `input`; what is read of it is counted in `counter`.
pub(super) fn open(
    input: &FileInput,
    counter: &Arc<AtomicU64>,
) -> Result<Box<dyn Read + Send>, RecordingError> {
    let unreadable =
        |error: io::Error| RecordingError::Unreadable { name: input.to_string(), reason: error.to_string() };
    let source: Box<dyn Read + Send> = match input {
        FileInput::Path(path) => Box::new(File::open(path).map_err(unreadable)?),
        FileInput::StandardInput => Box::new(io::stdin()),
    };
    let counted = Counted { source, bytes: Arc::clone(counter) };
    let mut bytes = BufReader::with_capacity(CHUNK, counted);
    let mut magic = Vec::with_capacity(4);
    (&mut bytes).take(4).read_to_end(&mut magic).map_err(unreadable)?;
    let other = |packer| RecordingError::OtherPacking { name: input.to_string(), packer };
    match *magic.as_slice() {
        [0xfd, b'7', b'z', b'X'] => return Err(other("xz")),
        [b'B', b'Z', b'h', _] => return Err(other("bzip2")),
        [0x04, 0x22, 0x4d, 0x18] => return Err(other("lz4")),
        _ => {}
    }
    let packing = [magic.first().copied(), magic.get(1).copied()];
    let is_zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let whole = Cursor::new(magic).chain(bytes);
    Ok(match packing {
        [Some(0x1f), Some(0x8b)] => Box::new(MultiGzDecoder::new(whole)),
        _ if is_zstd => Box::new(zstd::Decoder::with_buffer(whole).map_err(unreadable)?),
        _ => Box::new(whole),
    })
}
