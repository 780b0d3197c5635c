//! Nothing a stranger can send does harm: arbitrary bytes, damaged packets, packets cut anywhere, and the
//! inputs the fuzzer found worth keeping.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tcpcopy_wire::{Options, Segment};

use crate::inspection::inspect;
use crate::segments::{packet, segments};

/// Selects bare IP for [`inspect`].
const RAW_IP: u8 = 3;

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(input in prop::collection::vec(any::<u8>(), 0..200)) {
        inspect(&input);
    }

    #[test]
    fn damaged_and_cut_packets_do_no_harm(
        segment in segments(),
        payload in prop::collection::vec(any::<u8>(), 0..60),
        damage in prop::collection::vec((0_usize..100, any::<u8>()), 0..4),
        keep in 0_usize..160,
        missing in any::<u16>(),
    ) {
        let mut packet = packet(&segment, &payload, 0);
        for (at, value) in damage {
            if let Some(byte) = packet.get_mut(at) {
                *byte = value;
            }
        }
        packet.truncate(keep);
        inspect(&[&[RAW_IP], &missing.to_be_bytes()[..], &packet].concat());
    }

    #[test]
    fn arbitrary_options_do_no_harm(
        segment in segments(),
        options in prop::collection::vec(prop_oneof![0_u8..12, any::<u8>()], 40),
    ) {
        let segment = Segment { options: Options::default(), ..segment };
        let mut packet = packet(&segment, &options, 0);
        // What was written as payload becomes options: the header is fifteen words now.
        let data_offset = packet.len() - 40 - 20 + 12;
        packet[data_offset] = 0xf0;
        inspect(&[&[RAW_IP, 0, 0], &packet[..]].concat());
    }
}

#[test]
fn the_fuzz_corpus_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/parse_frame");
    let inputs = fs::read_dir(&corpus).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    assert!(inputs.map(|input| inspect(&input)).count() > 0, "no corpus in {}", corpus.display());
}
