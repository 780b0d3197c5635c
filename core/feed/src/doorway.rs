//! Who is at the other end of a new connection, by its first bytes.
//!
//! tcpcopy speaks first, with a record that both a C intercept and ours understand ([`crate::c_tool::offer`]). Ours
//! answers at once, with a hello or a refusal; a C intercept says nothing until it has a response to return. The
//! first 14 bytes of either frame (header, magic, version) are the same in every version of the feed, so that two
//! ends of different versions can still tell each other why they part.

use crate::c_tool::{Offer, ROUTE_BYTES, parse_offer};
use crate::frame::{FrameKind, HEADER_BYTES};
use crate::hello::{MAGIC, OPENING_BODY_MAX};

/// Bytes after which every opening is recognised: header, magic and version of a frame, or a record.
const OPENING_BYTES: usize = ROUTE_BYTES;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    /// Not enough bytes yet to say.
    Undecided,
    /// One of ours, of some version: a frame begins.
    Feed,
    /// A tcpcopy of ours: a record that offers the feed.
    Offer(Offer),
    /// A C tcpcopy of this version of its protocol: the record that says so.
    CTcpcopy(u16),
    /// A C intercept, with batches or without: they begin.
    CIntercept { combined: bool },
    /// Anything else.
    Stranger,
}

/// The first bytes of a connection, kept until they say who speaks.
#[derive(Debug, Default)]
pub(crate) struct Doorway {
    first: Vec<u8>,
}

impl Doorway {
    /// Takes bytes off `input` until `recognise` knows who speaks.
    pub(crate) fn open(&mut self, input: &mut &[u8], recognise: fn(&[u8]) -> Opener) -> Opener {
        loop {
            let opener = recognise(&self.first);
            let Some((&byte, rest)) = input.split_first().filter(|_| opener == Opener::Undecided) else {
                return opener;
            };
            self.first.push(byte);
            *input = rest;
        }
    }

    /// What was taken.
    pub(crate) fn take_first(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.first)
    }
}

/// Recognises who connected to intercept.
pub(crate) fn recognise_tcpcopy(first: &[u8]) -> Opener {
    if begins_frame(first) {
        return recognise_frame(first);
    }
    // Address and port are zero, the version is not.
    let is_record = first.iter().enumerate().all(|(at, &byte)| at >= 6 || byte == 0);
    if !is_record || first.get(6..8) == Some(&[0, 0]) {
        return Opener::Stranger;
    }
    let Some(&record) = first.first_chunk::<ROUTE_BYTES>() else { return Opener::Undecided };
    let [.., high, low, _, _, _, _, _, _] = record;
    match (parse_offer(record), &record[8..]) {
        (Some(offer), _) => Opener::Offer(offer),
        (None, [0, 0, 0, 0, 0, 0]) => Opener::CTcpcopy(u16::from_be_bytes([high, low])),
        _ => Opener::Stranger,
    }
}

/// Recognises whom tcpcopy connected to.
pub(crate) fn recognise_intercept(first: &[u8]) -> Opener {
    match *first {
        // IPv4 with a header of at least five words, and TCP in it: a packet without a batch.
        [0x45..=0x4f, _, _, _, _, _, _, _, _, 6, ..] => Opener::CIntercept { combined: false },
        [0x45..=0x4f, ..] if first.len() < 10 => Opener::Undecided,
        [0, 1..=16, ..] => Opener::CIntercept { combined: true },
        // Two zeros: a tcpcopy offers itself.
        [0, 0, ..] => recognise_tcpcopy(first),
        [0] => Opener::Undecided,
        _ => recognise_frame(first),
    }
}

/// Recognises a hello or refusal of any version.
fn recognise_frame(first: &[u8]) -> Opener {
    if !begins_frame(first) {
        return Opener::Stranger;
    }
    match *first {
        [_, _, high, low, ..] if first.len() >= OPENING_BYTES => {
            let body = usize::from(u16::from_be_bytes([high, low]));
            let fits = (OPENING_BYTES - HEADER_BYTES..=OPENING_BODY_MAX).contains(&body);
            if fits { Opener::Feed } else { Opener::Stranger }
        }
        _ => Opener::Undecided,
    }
}

/// Whether a hello or refusal may begin so.
fn begins_frame(first: &[u8]) -> bool {
    first.iter().enumerate().all(|(at, &byte)| match at {
        0 => byte == FrameKind::Hello.byte() || byte == FrameKind::Refuse.byte(),
        1 => byte == 0,
        4..12 => MAGIC.get(at - HEADER_BYTES) == Some(&byte),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::VERSION;
    use crate::c_tool::offer;
    use crate::frame::header;
    use crate::hello::refusal_body;

    const OFFERED: Offer = Offer { version: VERSION, expects_payload: true };
    const C_VERSION_6: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0];

    fn frame() -> Vec<u8> {
        let body = refusal_body();
        [&header(FrameKind::Refuse, body.as_slice().len()), body.as_slice()].concat()
    }

    #[test]
    fn every_tcpcopy_is_recognised_once_all_of_its_opening_is_there() {
        let openings = [
            (C_VERSION_6.to_vec(), Opener::CTcpcopy(6)),
            (offer(true).to_vec(), Opener::Offer(OFFERED)),
            (frame(), Opener::Feed),
        ];
        for (opening, opener) in openings {
            assert_eq!(recognise_tcpcopy(&opening), opener);
            for cut in 0..OPENING_BYTES {
                assert_eq!(recognise_tcpcopy(&opening[..cut]), Opener::Undecided, "{opener:?} after {cut}");
            }
        }
    }

    #[test]
    fn every_intercept_is_recognised() {
        assert_eq!(recognise_intercept(&frame()), Opener::Feed);
        assert_eq!(recognise_intercept(&[0, 16]), Opener::CIntercept { combined: true });
        assert_eq!(
            recognise_intercept(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]),
            Opener::CIntercept { combined: false }
        );
        for cut in 0..OPENING_BYTES {
            assert_eq!(recognise_intercept(&frame()[..cut]), Opener::Undecided);
        }
    }

    #[test]
    fn a_tcpcopy_is_no_intercept() {
        assert_eq!(recognise_intercept(&offer(true)), Opener::Offer(OFFERED));
        assert_eq!(recognise_intercept(&C_VERSION_6), Opener::CTcpcopy(6));
    }

    #[test]
    fn strangers_are_recognised_early() {
        for first in
            [&b"GET / HTTP/1.1"[..], b"SSH-2.0", b"\x16\x03\x01", &[0; 8], &[1, 0, 0, 5, b'X'], &[1, 1]]
        {
            assert_eq!(recognise_tcpcopy(first), Opener::Stranger, "{first:?}");
            assert_eq!(recognise_intercept(first), Opener::Stranger, "{first:?}");
        }
        assert_eq!(recognise_intercept(&[0, 17]), Opener::Stranger);
        let endless = [&[1, 0, 0xff, 0xff][..], &MAGIC, &[0, 1]].concat();
        assert_eq!(recognise_tcpcopy(&endless), Opener::Stranger);
    }

    #[test]
    fn nothing_is_taken_beyond_what_tells() {
        let mut doorway = Doorway::default();
        let mut input = &[0, 2, 0x45, 0][..];
        assert_eq!(doorway.open(&mut input, recognise_intercept), Opener::CIntercept { combined: true });
        assert_eq!((doorway.take_first(), input), (vec![0, 2], &[0x45, 0][..]));
    }

    proptest! {
        #[test]
        fn a_verdict_on_the_opening_is_never_taken_back(first in prop::collection::vec(any::<u8>(), 0..OPENING_BYTES)) {
            for recognise in [recognise_tcpcopy, recognise_intercept] {
                if recognise(&first) == Opener::Stranger {
                    let longer = [&first[..], &[0]].concat();
                    prop_assert_eq!(recognise(&longer), Opener::Stranger);
                }
            }
        }

        #[test]
        fn the_cut_of_an_opening_does_not_matter(
            opening in prop_oneof![
                Just(offer(false).to_vec()),
                Just(frame()),
                prop::collection::vec(0..3_u8, 14),
                prop::collection::vec(any::<u8>(), 14),
            ],
            cut in 0..14_usize,
        ) {
            let opened = |pieces: [&[u8]; 2]| {
                let mut doorway = Doorway::default();
                pieces.map(|mut piece| doorway.open(&mut piece, recognise_tcpcopy))[1]
            };
            let (front, back) = opening.split_at(cut);
            prop_assert_eq!(opened([front, back]), opened([&[], &opening]));
        }
    }
}
