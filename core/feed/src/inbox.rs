//! From a byte stream, however it is cut, to whole frames.

use crate::Malformed;
use crate::frame::{Frame, HEADER_BYTES, parse_header};

/// The received side of one connection. Frames that lie whole in the bytes handed in are not copied; only one
/// that is cut is collected here, so that at most one frame is ever held.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    partial: Vec<u8>,
    /// `partial` is a frame that was handed out by the latest [`Self::next`].
    spent: bool,
}

impl Inbox {
    /// Of a connection of which `first` was already taken in, less than a frame.
    pub(crate) const fn opened(first: Vec<u8>) -> Self {
        Self { partial: first, spent: false }
    }

    /// The next whole frame, taken from the start of `input`; `None` when `input` is used up.
    pub(crate) fn next<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<Frame<'a>>, Malformed> {
        if self.spent {
            self.partial.clear();
            self.spent = false;
        }
        if self.partial.is_empty() {
            if let Some(whole) = split_frame(input)? {
                return Ok(Some(whole));
            }
            self.partial.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        }
        self.collect(input, HEADER_BYTES);
        let Some(&header) = self.partial.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let (kind, total) = parse_header(header)?;
        self.collect(input, total);
        if self.partial.len() < total {
            return Ok(None);
        }
        self.spent = true;
        let body = self.partial.get(HEADER_BYTES..total).unwrap_or_default();
        Ok(Some(Frame { kind, body }))
    }

    /// Moves bytes of `input` until `length` of them are collected or there are no more.
    fn collect(&mut self, input: &mut &[u8], length: usize) {
        let missing = length.saturating_sub(self.partial.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.partial.extend_from_slice(taken);
        *input = rest;
    }

    #[cfg(test)]
    pub(crate) const fn capacity(&self) -> usize {
        self.partial.capacity()
    }
}

/// Takes one frame off `input`, if it is there to its end.
fn split_frame<'a>(input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, Malformed> {
    let Some(&header) = input.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let (kind, total) = parse_header(header)?;
    let Some((whole, rest)) = input.split_at_checked(total) else {
        return Ok(None);
    };
    *input = rest;
    Ok(Some(Frame { kind, body: whole.get(HEADER_BYTES..).unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{FrameKind, MAX_FRAME_BYTES, header};

    fn read(
        inbox: &mut Inbox,
        mut input: &[u8],
        frames: &mut Vec<(FrameKind, Vec<u8>)>,
    ) -> Result<(), Malformed> {
        while let Some(frame) = inbox.next(&mut input)? {
            frames.push((frame.kind, frame.body.to_vec()));
        }
        assert!(input.is_empty());
        Ok(())
    }

    proptest! {
        #[test]
        fn frames_come_out_the_same_however_the_stream_is_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in prop::collection::vec(1..200_usize, 1..40),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for body in bodies {
                stream.extend_from_slice(&header(FrameKind::Responses, body.len()));
                stream.extend_from_slice(&body);
                expected.push((FrameKind::Responses, body));
            }
            let mut inbox = Inbox::default();
            let mut frames = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.into_iter().cycle() {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                prop_assert_eq!(read(&mut inbox, piece, &mut frames), Ok(()));
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(frames, expected);
        }

        #[test]
        fn arbitrary_bytes_end_in_an_error_or_wait(
            first in prop::collection::vec(any::<u8>(), 0..14),
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..16),
        ) {
            let mut inbox = Inbox::opened(first);
            let mut frames = Vec::new();
            for piece in pieces {
                if read(&mut inbox, &piece, &mut frames).is_err() {
                    break;
                }
            }
            prop_assert!(inbox.capacity() <= MAX_FRAME_BYTES);
        }
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_header() {
        let mut inbox = Inbox::default();
        let mut frames = Vec::new();
        let outcome = read(&mut inbox, &[4, 0xff, 0, 0], &mut frames);
        assert_eq!(outcome, Err(Malformed::FrameTooLarge(0xff_0004)));
    }

    #[test]
    fn at_most_one_frame_is_held() {
        let mut inbox = Inbox::default();
        let mut frames = Vec::new();
        let whole = [&header(FrameKind::Responses, 120_000)[..], &[0; 120_000]].concat();
        for _ in 0..10 {
            for piece in whole.chunks(7000) {
                read(&mut inbox, piece, &mut frames).unwrap();
            }
        }
        assert_eq!(frames.len(), 10);
        assert!(inbox.capacity() <= 2 * MAX_FRAME_BYTES, "{}", inbox.capacity());
    }
}
