//! Real traffic, recorded by others (`../shared/traces` beside the repository): read as tcpdump reads it.

use std::collections::BTreeMap;
use std::path::Path;

use tcpcopy_wire::{DropReason, LinkType, Segment, parse_frame};

use crate::inspection::inspect;
use crate::traces;

/// A capture file and how many TCP segments and payload bytes tcpdump finds in it.
struct Facts {
    file: &'static str,
    segments: u32,
    payload: u32,
}

const fn facts(file: &'static str, segments: u32, payload: u32) -> Facts {
    Facts { file, segments, payload }
}

const CAPTURES: [Facts; 19] = [
    facts("http/100-continue.pcap", 66, 63_324),
    facts("http/concurrent-range-requests-complete.pcap", 34, 1_119),
    facts("http/entity_gap.pcap", 13, 3_695),
    facts("http/get.pcap", 14, 5_143),
    facts("http/get_nosyn.pcap", 11, 5_143),
    facts("http/http-post-large.pcap", 38, 244_780),
    facts("http/http-qinq-0.pcap", 14, 5_143),
    facts("http/http-vlan-0.pcap", 14, 5_143),
    facts("http/ip6-tcp-good-chksum.pcap", 1, 0),
    facts("http/ipv6-http-atomic-frag.pcap", 36, 412),
    facts("http/methods.pcap", 655, 184_311),
    facts("http/pipelined-requests.pcap", 49, 42_362),
    facts("http/post.pcap", 14, 679),
    facts("http/websocket.pcap", 27, 1_966),
    facts("mysql/auth.pcap", 174, 2_343),
    facts("mysql/caching_sha2_password.pcap", 59, 2_663),
    facts("mysql/change-user-success.pcap", 26, 862),
    facts("mysql/encrypted.pcap", 18, 2_672),
    facts("mysql/mysql.pcap", 57, 1_853),
];

/// A captured frame and its length on the wire.
type Frame = (Vec<u8>, usize);

fn frames(file: &Path) -> Vec<Frame> {
    let mut capture = pcap::Capture::from_file(file).expect("the capture opens");
    assert_eq!(capture.get_datalink(), pcap::Linktype::ETHERNET, "{}", file.display());
    let mut frames = Vec::new();
    loop {
        match capture.next_packet() {
            Ok(packet) => frames.push((packet.data.to_vec(), packet.header.len as usize)),
            Err(pcap::Error::NoMorePackets) => return frames,
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
}

fn parse((bytes, wire_len): &Frame) -> Result<Segment<'_>, DropReason> {
    parse_frame(LinkType::Ethernet, bytes, *wire_len)
}

#[test]
fn every_capture_reads_as_tcpdump_reads_it() {
    let Some(traces) = traces::folder() else { return };
    for Facts { file, segments, payload } in CAPTURES {
        let frames = frames(&traces.join(file));
        let parsed: Vec<_> = frames.iter().filter_map(|frame| parse(frame).ok()).collect();
        assert_eq!(parsed.len(), segments as usize, "segments of {file}");
        assert_eq!(
            parsed.iter().map(|segment| segment.payload_len).sum::<u32>(),
            payload,
            "payload of {file}"
        );
        assert!(parsed.iter().all(Segment::is_whole), "{file} holds whole packets");
    }
}

#[test]
fn vlan_tags_change_nothing() {
    let Some(traces) = traces::folder() else { return };
    let untagged = frames(&traces.join("http/get.pcap"));
    for tagged in ["http/http-vlan-0.pcap", "http/http-qinq-0.pcap"] {
        let tagged_frames = frames(&traces.join(tagged));
        assert!(tagged_frames[0].0.len() > untagged[0].0.len());
        for (with, without) in tagged_frames.iter().zip(&untagged) {
            assert_eq!(parse(with).unwrap(), parse(without).unwrap(), "{tagged}");
        }
    }
}

#[test]
fn a_conversation_in_atomic_fragments_is_read() {
    let Some(traces) = traces::folder() else { return };
    let frames = frames(&traces.join("http/ipv6-http-atomic-frag.pcap"));
    let mut dropped = BTreeMap::<_, u32>::new();
    let mut requests = Vec::new();
    for frame in &frames {
        match parse(frame) {
            Ok(segment) if segment.destination.port == 80 => requests.extend_from_slice(segment.payload),
            Ok(_) => {}
            Err(reason) => *dropped.entry(reason).or_default() += 1,
        }
    }
    assert!(requests.starts_with(b"GET /bad.html"), "{}", requests.escape_ascii());
    // The neighbour discovery that came before.
    assert_eq!(dropped, BTreeMap::from([(DropReason::NotTcp, 2)]));
}

#[test]
fn a_handshake_reads_with_its_options() {
    let Some(traces) = traces::folder() else { return };
    let frames = frames(&traces.join("http/get.pcap"));
    let syn = parse(&frames[0]).unwrap();
    assert_eq!(syn.source.to_string(), "141.142.228.5:59856");
    assert_eq!(syn.destination.to_string(), "192.150.187.43:80");
    assert!(syn.flags.syn() && !syn.flags.ack());
    assert_eq!(syn.len(), 1);
    assert_eq!(syn.window, 65_535);
    assert_eq!((syn.options.mss, syn.options.window_scale), (Some(1_460), Some(4)));
    assert!(syn.options.sack_permitted);
    let response = parse(&frames[1]).unwrap();
    assert!(response.flags.syn() && response.flags.ack());
    assert_eq!(response.ack, syn.seq + 1);
    assert_eq!(response.options.timestamps.unwrap().echo, syn.options.timestamps.unwrap().value);
}

#[test]
fn a_snapshot_length_cuts_the_payload_and_nothing_else() {
    let Some(traces) = traces::folder() else { return };
    let frames = frames(&traces.join("http/http-post-large.pcap"));
    for frame in &frames {
        let whole = parse(frame).unwrap();
        let (bytes, wire_len) = frame;
        let snapped = parse_frame(LinkType::Ethernet, &bytes[..bytes.len().min(96)], *wire_len).unwrap();
        assert!(snapped.payload.len() <= 42 && whole.payload.starts_with(snapped.payload));
        assert_eq!(Segment { payload: whole.payload, ..snapped }, whole);
    }
}

#[test]
fn every_captured_segment_survives_rewriting_and_cutting() {
    let Some(traces) = traces::folder() else { return };
    for Facts { file, .. } in CAPTURES {
        for (bytes, wire_len) in frames(&traces.join(file)) {
            for kept in [bytes.len(), bytes.len() / 2, bytes.len().min(54), bytes.len().min(33)] {
                let missing = u16::try_from(wire_len - kept).unwrap();
                inspect(&[&[0], &missing.to_be_bytes()[..], &bytes[..kept]].concat());
            }
        }
    }
}
