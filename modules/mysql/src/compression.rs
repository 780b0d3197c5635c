//! Compressed connections: what was said, without the compression.
//!
//! Once a login has agreed upon it, packets travel in frames: the length of what follows, a number, the length of what
//! that was before it was compressed (0: it was not). Where packets begin and where frames do has nothing to do with each
//! other.

use std::io::Read;

use flate2::read::ZlibDecoder;
use mysql_common::constants::CapabilityFlags;
use ruzstd::decoding::StreamingDecoder;

/// Bytes of a frame's header.
const HEADER: usize = 7;

/// How a connection is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Zlib,
    Zstd,
}

/// A frame that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Compression {
    /// What a login agrees upon.
    pub(crate) fn agreed(capabilities: CapabilityFlags) -> Option<Self> {
        if capabilities.contains(CapabilityFlags::CLIENT_COMPRESS) {
            Some(Self::Zlib)
        } else if capabilities.contains(CapabilityFlags::CLIENT_ZSTD_COMPRESSION_ALGORITHM) {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// Appends what the first frame of `input` holds, and returns the frame's length; `None` while it is not whole.
    pub(crate) fn undo(self, input: &[u8], to: &mut Vec<u8>) -> Result<Option<usize>, Broken> {
        let Some(&[a, b, c, _, d, e, f]) = input.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let plain = u32::from_le_bytes([d, e, f, 0]) as usize;
        let Some(body) = input.get(HEADER..HEADER + length) else { return Ok(None) };
        if plain == 0 {
            to.extend_from_slice(body);
        } else {
            self.expand(body, plain, to)?;
        }
        Ok(Some(HEADER + length))
    }

    /// Never expands to more than the frame's header says, whatever the body is.
    fn expand(self, body: &[u8], plain: usize, to: &mut Vec<u8>) -> Result<(), Broken> {
        let before = to.len();
        let most = plain as u64 + 1; // one more, to notice that there is more
        let read = match self {
            Self::Zlib => ZlibDecoder::new(body).take(most).read_to_end(to),
            Self::Zstd => {
                let decoder = StreamingDecoder::new(body).map_err(|_| Broken)?;
                decoder.take(most).read_to_end(to)
            }
        };
        match read {
            Ok(_) if to.len() - before == plain => Ok(()),
            _ => Err(Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn frame(body: &[u8], plain: usize) -> Vec<u8> {
        let mut frame = (body.len() as u32).to_le_bytes()[..3].to_vec();
        frame.push(0);
        frame.extend_from_slice(&(plain as u32).to_le_bytes()[..3]);
        frame.extend_from_slice(body);
        frame
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_is_plain_again() {
        let plain = b"\x09\0\0\0\x03SELECT 1".repeat(20);
        let zstd = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
        for (compression, body) in [(Compression::Zlib, zlib(&plain)), (Compression::Zstd, zstd)] {
            let frame = frame(&body, plain.len());
            let mut undone = Vec::new();
            assert_eq!(compression.undo(&frame, &mut undone), Ok(Some(frame.len())));
            assert_eq!(undone, plain);
            assert_eq!(compression.undo(&frame[..frame.len() - 1], &mut undone), Ok(None));
        }
    }

    #[test]
    fn short_packets_are_not_compressed() {
        let mut undone = Vec::new();
        assert_eq!(Compression::Zlib.undo(&frame(b"\x01\0\0\0\x0e", 0), &mut undone), Ok(Some(12)));
        assert_eq!(undone, b"\x01\0\0\0\x0e");
    }

    #[test]
    fn a_frame_holds_what_it_says() {
        let body = zlib(&[0; 1000]);
        for plain in [1, 999, 1001, 0xff_ffff] {
            assert_eq!(Compression::Zlib.undo(&frame(&body, plain), &mut Vec::new()), Err(Broken), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..200), plain in 0..5000_usize) {
            for compression in [Compression::Zlib, Compression::Zstd] {
                let _ = compression.undo(&frame(&body, plain), &mut Vec::new());
            }
        }
    }
}
