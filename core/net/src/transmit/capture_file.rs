//! Writes packets to a capture file instead of sending them: pcapng (draft-ietf-opsawg-pcapng), link type raw IP, times in
//! nanoseconds.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tcpcopy_wire::Instant;

use super::{Sink, TransmitError};

/// Room for what is sent between two flushes, which is then one write.
const BUFFER_BYTES: usize = 256 << 10;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Says in which order bytes are written: this machine's.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const LINKTYPE_RAW: u16 = 101;
/// Option of an interface: the unit of its times.
const IF_TSRESOL: u16 = 9;
/// 10⁻⁹ seconds.
const NANOSECONDS: u8 = 9;

/// A capture file of what would be sent. Nothing is.
///
/// Packets bear the time of the last [`handle_time`](Sink::handle_time). A file that cannot be written on ends the writing:
/// see [`failure`](Sink::failure).
#[derive(Debug)]
pub struct CaptureFileSink {
    file: BufWriter<File>,
    now: Instant,
    failure: Option<TransmitError>,
}

impl CaptureFileSink {
    /// Makes the file, or empties the one there is.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        // Version 1.0, length not known.
        let version = [1_u16.to_ne_bytes(), 0_u16.to_ne_bytes()].concat();
        write_block(&mut file, SECTION_HEADER, &[&BYTE_ORDER_MAGIC.to_ne_bytes(), &version, &[0xff; 8]])?;
        // Nothing is cut off: snapshot length 0.
        let link = [LINKTYPE_RAW.to_ne_bytes(), [0; 2]].concat();
        let unit = [IF_TSRESOL.to_ne_bytes(), 1_u16.to_ne_bytes(), [NANOSECONDS, 0], [0; 2]];
        let end_of_options = [0; 4];
        write_block(
            &mut file,
            INTERFACE_DESCRIPTION,
            &[&link, &[0; 4], unit.as_flattened(), &end_of_options],
        )?;
        file.flush()?;
        Ok(Self { file, now: Instant::ZERO, failure: None })
    }

    fn write(&mut self, packet: &[u8]) -> io::Result<()> {
        let nanoseconds = self.now.micros().saturating_mul(1000);
        let (high, low) = ((nanoseconds >> 32) as u32, nanoseconds as u32);
        let len = packet.len() as u32;
        // The first interface, the time, the length kept and the length on the wire.
        let head = [0, high, low, len, len].map(u32::to_ne_bytes);
        write_block(&mut self.file, ENHANCED_PACKET, &[head.as_flattened(), packet])
    }

    fn noted(&mut self, written: io::Result<()>) -> Result<(), TransmitError> {
        written.map_err(|error| {
            let failure = TransmitError::NotWritten(error.raw_os_error().unwrap_or_default());
            *self.failure.get_or_insert(failure)
        })
    }
}

impl Sink for CaptureFileSink {
    fn send(&mut self, packet: &[u8]) -> Result<(), TransmitError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let written = self.write(packet);
        self.noted(written)
    }

    /// What was sent is in the file.
    fn flush(&mut self, _on_lost: &mut dyn FnMut(&[u8], TransmitError)) {
        if self.failure.is_none() {
            let written = self.file.flush();
            let _ = self.noted(written); // told by `failure`
        }
    }

    fn handle_time(&mut self, now: Instant) {
        self.now = now;
    }

    fn failure(&self) -> Option<TransmitError> {
        self.failure
    }
}

/// One block: type, length, body padded to four bytes, length.
fn write_block(file: &mut impl Write, kind: u32, body: &[&[u8]]) -> io::Result<()> {
    let body_len: usize = body.iter().map(|part| part.len()).sum();
    let padding = body_len.next_multiple_of(4) - body_len;
    let len = ((12 + body_len + padding) as u32).to_ne_bytes();
    file.write_all(&kind.to_ne_bytes())?;
    file.write_all(&len)?;
    body.iter().try_for_each(|part| file.write_all(part))?;
    file.write_all(&[0; 3][..padding])?;
    file.write_all(&len)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcpcopy_wire::LinkType;

    use super::*;
    use crate::{FileInput, Recording};

    #[test]
    fn what_was_written_is_read_again_with_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent.pcapng");
        let mut sink = CaptureFileSink::create(&path).unwrap();
        let times = [1_700_000_000_000_001, 1_700_000_000_000_001, 1_700_000_001_999_999];
        let packets = [vec![0x45; 40], vec![0x60; 61], vec![0x45; 1500]];
        for (time, packet) in times.iter().zip(&packets) {
            sink.handle_time(Instant::from_micros(*time));
            sink.send(packet).unwrap();
        }
        sink.flush(&mut |_, error| panic!("{error}"));
        // Read while it is still open: a flush is enough.
        let mut recording = Recording::open(&[FileInput::Path(path)], None).unwrap();
        let mut read = Vec::new();
        while let Some(frame) = recording.next_frame() {
            assert_eq!((frame.link, frame.wire_len), (Some(LinkType::RawIp), frame.bytes.len()));
            read.push((frame.captured_at.micros(), frame.bytes.to_vec()));
        }
        assert_eq!(read, times.into_iter().zip(packets).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_disk_ends_the_writing_and_says_why() {
        let mut sink = CaptureFileSink::create(Path::new("/dev/null")).unwrap();
        sink.file =
            BufWriter::with_capacity(BUFFER_BYTES, File::options().write(true).open("/dev/full").unwrap());
        sink.handle_time(Instant::ZERO + Duration::from_secs(1));
        assert_eq!(sink.send(&[0x45; 40]), Ok(()), "there was room in the buffer");
        assert_eq!(sink.failure(), None);
        sink.flush(&mut |_, error| panic!("{error}"));
        let full = TransmitError::NotWritten(libc::ENOSPC);
        assert_eq!((sink.failure(), sink.send(&[0x45; 40])), (Some(full), Err(full)));
        assert!(full.to_string().contains("No space left"), "{full}");
    }

    #[test]
    fn a_place_where_no_file_can_be_is_an_error() {
        assert!(CaptureFileSink::create(Path::new("/proc/nothing/here.pcapng")).is_err());
    }
}
