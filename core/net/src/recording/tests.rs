//! Captures made in memory, in every format there is, and what comes back of them.

use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

mod made;
#[path = "../../../wire/tests/wire/traces.rs"]
mod traces;

use made::{MadePcap, MadePcapNg, Order};

/// What came back of a frame: its file, time in microseconds, link type, bytes, length on the wire.
type Read = (usize, u64, Option<LinkType>, Vec<u8>, usize);

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, contents: &[u8]) -> FileInput {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        FileInput::Path(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn rest_of(recording: &mut Recording) -> Vec<Read> {
    let mut all = Vec::new();
    while let Some(frame) = recording.next_frame() {
        let RecordedFrame { file, link, bytes, wire_len, captured_at, .. } = frame;
        all.push((file, captured_at.micros(), link, bytes.to_vec(), wire_len));
    }
    all
}

fn read(contents: &[u8]) -> (Vec<Read>, Option<String>) {
    let folder = Folder::new();
    let mut recording = Recording::open(&[folder.put("capture", contents)], None).unwrap();
    let all = rest_of(&mut recording);
    (all, recording.damage(0).map(str::to_owned))
}

fn refused(contents: &[u8]) -> String {
    let folder = Folder::new();
    let input = folder.put("capture", contents);
    let error = Recording::open(std::slice::from_ref(&input), None).err().expect("it is refused");
    error.to_string().replace(&input.to_string(), "FILE")
}

const ORDERS: [Order; 2] = [Order::Little, Order::Big];

#[test]
fn pcap_is_read_in_both_byte_orders_and_resolutions() {
    for order in ORDERS {
        for (nanoseconds, fraction) in [(false, 250_000), (true, 250_000_999)] {
            let mut pcap = MadePcap::new(order, nanoseconds, 1);
            pcap.frame(1_700_000_000, fraction, b"first", 5).frame(1_700_000_001, 0, b"cut", 1500);
            let (frames, damage) = read(&pcap.bytes);
            let link = Some(LinkType::Ethernet);
            assert_eq!(
                frames,
                [
                    (0, 1_700_000_000_250_000, link, b"first".to_vec(), 5),
                    (0, 1_700_000_001_000_000, link, b"cut".to_vec(), 1500),
                ],
                "{order:?}, nanoseconds: {nanoseconds}"
            );
            assert_eq!(damage, None);
        }
    }
}

#[test]
fn pcapng_keeps_a_link_type_a_resolution_and_an_offset_for_each_interface() {
    for order in ORDERS {
        let mut file = MadePcapNg::new(order);
        file.interface(1, None, None)
            .interface(101, Some(9), Some(100))
            .interface(276, Some(0x80 | 10), None)
            .interface(147, Some(3), Some(-1));
        file.packet(0, 5_000_000, b"a", 1)
            .packet(1, 6_000_000_999, b"bb", 2)
            .packet(2, 7 << 10 | 512, b"ccc", 3)
            .packet(3, 9_500, b"dddd", 4)
            .packet(9, 0, b"unknown", 7);
        let (frames, damage) = read(&file.bytes);
        assert_eq!(
            frames,
            [
                (0, 5_000_000, Some(LinkType::Ethernet), b"a".to_vec(), 1),
                (0, 106_000_000, Some(LinkType::RawIp), b"bb".to_vec(), 2),
                (0, 7_500_000, Some(LinkType::LinuxSll2), b"ccc".to_vec(), 3),
                (0, 8_500_000, None, b"dddd".to_vec(), 4),
                (0, 8_500_000, None, b"unknown".to_vec(), 7),
            ],
            "{order:?}"
        );
        assert_eq!(damage, None);
    }
}

#[test]
fn a_section_begins_anew_in_its_own_byte_order() {
    let mut first = MadePcapNg::new(Order::Little);
    first.interface(1, None, None).packet(0, 1, b"little", 6);
    let mut second = MadePcapNg::new(Order::Big);
    second.interface(228, None, None).packet(0, 2, b"big", 3);
    let (frames, damage) = read(&[first.bytes, second.bytes].concat());
    assert_eq!(
        frames,
        [
            (0, 1, Some(LinkType::Ethernet), b"little".to_vec(), 6),
            (0, 2, Some(LinkType::RawIp), b"big".to_vec(), 3),
        ]
    );
    assert_eq!(damage, None);
}

#[test]
fn simple_and_obsolete_packets_are_packets_and_other_blocks_are_none() {
    for order in ORDERS {
        let mut file = MadePcapNg::new(order);
        file.interface(1, None, None).packet(0, 7, b"enhanced", 8);
        file.block(3, &[&order.u32(6)[..], b"simple"].concat());
        file.block(5, &[0; 12]).block(0x4242, b"of whom nobody knows");
        let obsolete = [&order.u16(0)[..], &order.u16(0), &order.u32(0), &order.u32(9), &order.u32(3)];
        file.block(2, &[&obsolete.concat()[..], &order.u32(60), b"old"].concat());
        let (frames, damage) = read(&file.bytes);
        let link = Some(LinkType::Ethernet);
        assert_eq!(
            frames,
            [
                (0, 7, link, b"enhanced".to_vec(), 8),
                (0, 7, link, b"simple".to_vec(), 6),
                (0, 9, link, b"old".to_vec(), 60),
            ],
            "{order:?}"
        );
        assert_eq!(damage, None);
    }
}

fn sample() -> Vec<u8> {
    let mut pcap = MadePcap::new(Order::Little, false, 1);
    for number in 0..50 {
        pcap.frame(number, 0, &[number as u8; 700], 700);
    }
    pcap.bytes
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(contents).unwrap();
    packer.finish().unwrap()
}

#[test]
fn packed_files_are_known_by_their_contents() {
    let plain = sample();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    let (halves, expected) = (plain.split_at(9_000), read(&plain));
    assert_eq!(expected.0.len(), 50);
    assert_eq!(read(&gzip(&plain)), expected);
    assert_eq!(read(&zstd), expected);
    // As `cat a.gz b.gz` makes them.
    assert_eq!(read(&[gzip(halves.0), gzip(halves.1)].concat()), expected);
    let frames = [halves.0, halves.1].map(|half| zstd::encode_all(half, 1).unwrap());
    assert_eq!(read(&frames.concat()), expected);
}

#[test]
fn what_is_no_capture_is_refused_in_one_sentence() {
    let foreign = "FILE is no capture file: it begins like neither pcap nor pcapng, and is not packed with gzip or zstd";
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), foreign);
    assert_eq!(refused(&sample()[..20]), foreign);
    assert_eq!(refused(b""), "cannot read FILE: it is empty");
    assert_eq!(
        refused(b"\xfd7zXZ\0\0"),
        "FILE is packed with xz, which tcpcopy does not read; unpack it: xz -dc FILE | tcpcopy -i - …"
    );
    let missing = Recording::open(&[FileInput::Path("/nowhere/a.pcap".into())], None).err().unwrap();
    assert!(missing.to_string().starts_with("cannot read /nowhere/a.pcap: "), "{missing}");
}

#[test]
fn what_is_whole_of_a_damaged_file_is_read_and_the_rest_is_told() {
    let plain = sample();
    let whole = 24 + 10 * 716;
    let (frames, damage) = read(&plain[..whole + 300]);
    assert_eq!(frames.len(), 10);
    assert_eq!(damage.unwrap(), format!("it ends in the middle of a record (after {whole} bytes, unpacked)"));
    let mut corrupt = plain.clone();
    corrupt[whole + 8..whole + 12].copy_from_slice(&[0xff; 4]);
    let (frames, damage) = read(&corrupt);
    assert_eq!(frames.len(), 10);
    assert!(damage.unwrap().starts_with("a frame that is larger than any"));
    let packed = gzip(&plain);
    let (frames, damage) = read(&packed[..packed.len() - 30]);
    assert!(frames.len() < 50 && damage.is_some());
    let halves = plain.split_at(9_000);
    let mut packed = [halves.0, halves.1].map(|half| zstd::encode_all(half, 1).unwrap()).concat();
    packed.truncate(packed.len() - 3);
    let (frames, damage) = read(&packed);
    assert!((10..50).contains(&frames.len()) && damage.is_some());
}

#[test]
fn a_file_without_frames_is_no_error() {
    let pcap = MadePcap::new(Order::Big, false, 1);
    assert_eq!(read(&pcap.bytes), (Vec::new(), None));
}

/// Three files whose frames interleave, and one that begins when the others are over.
fn interleaved(folder: &Folder) -> Vec<FileInput> {
    let file = |name: &str, times: &[u32]| {
        let mut pcap = MadePcap::new(Order::Little, false, 101);
        for time in times {
            pcap.frame(*time, 0, name.as_bytes(), 1);
        }
        folder.put(name, &pcap.bytes)
    };
    vec![file("late", &[90, 91]), file("a", &[10, 30, 20, 50]), file("b", &[5, 40, 40]), file("empty", &[])]
}

#[test]
fn several_files_are_one_capture_in_the_order_of_time() {
    let folder = Folder::new();
    let mut recording = Recording::open(&interleaved(&folder), None).unwrap();
    let order = |frames: Vec<Read>| -> Vec<(usize, u64)> {
        frames.into_iter().map(|(file, at, ..)| (file, at / 1_000_000)).collect()
    };
    // Within a file the order is its own.
    let expected = [(2, 5), (1, 10), (1, 30), (1, 20), (2, 40), (2, 40), (1, 50), (0, 90), (0, 91)];
    assert_eq!(order(rest_of(&mut recording)), expected);
    recording.rewind().unwrap();
    recording.next_frame();
    recording.rewind().unwrap();
    assert_eq!(order(rest_of(&mut recording)), expected);
}

#[test]
fn a_thousand_files_need_few_descriptors() {
    let folder = Folder::new();
    let inputs: Vec<_> = (0..1000_u32)
        .map(|number| {
            let mut pcap = MadePcap::new(Order::Little, false, 1);
            pcap.frame(2000 - number, 0, b"x", 1);
            folder.put(&number.to_string(), &pcap.bytes)
        })
        .collect();
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open_files();
    let mut recording = Recording::open(&inputs, None).unwrap();
    // Other tests open a few at the same time.
    assert!(open_files() < before + 100);
    let times: Vec<u64> = rest_of(&mut recording).iter().map(|(_, at, ..)| *at).collect();
    assert!(times.is_sorted() && times.len() == 1000);
    let size: u64 = inputs.iter().filter_map(FileInput::bytes).sum();
    assert_eq!(recording.progress().bytes(), size);
}

/// An IPv4 TCP header from one port to another.
fn tcp(from: u16, to: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 7, 10, 0, 0, 1];
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend([0; 16]);
    packet
}

#[test]
fn a_filter_is_made_for_every_link_type() {
    let mut file = MadePcapNg::new(Order::Little);
    file.interface(1, None, None).interface(101, None, None).interface(0, None, None);
    for port in [80, 81] {
        let packet = tcp(4000, port);
        let ethernet = [&[2; 12][..], &[0x08, 0x00], &packet].concat();
        let null = [&[2, 0, 0, 0][..], &packet].concat();
        for (interface, frame) in [(0, &ethernet), (1, &packet), (2, &null)] {
            file.packet(interface, 1, frame, frame.len() as u32);
        }
    }
    let folder = Folder::new();
    let input = folder.put("capture", &file.bytes);
    let mut recording = Recording::open(std::slice::from_ref(&input), Some("dst port 81")).unwrap();
    let mut wanted = Vec::new();
    while let Some(frame) = recording.next_frame() {
        wanted.push(frame.is_wanted);
    }
    assert_eq!(wanted, [false, false, false, true, true, true]);
    let error = Recording::open(&[input], Some("dst prot 81")).err().unwrap();
    assert!(matches!(error, RecordingError::BadFilter { .. }), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(kind in 0_usize..4, contents in prop::collection::vec(any::<u8>(), 0..600)) {
        let beginnings =
            [&[][..], &[0xd4, 0xc3, 0xb2, 0xa1], &[0x0a, 0x0d, 0x0d, 0x0a], &[0x1f, 0x8b, 8, 0]];
        open_and_read(&[beginnings[kind], &contents].concat());
    }

    #[test]
    fn damaged_captures_do_no_harm(
        big in any::<bool>(),
        damage in prop::collection::vec((0_usize..2000, any::<u8>()), 1..6),
        keep in 0_usize..2000,
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let mut pcap = MadePcap::new(order, false, 1);
        let mut file = MadePcapNg::new(order);
        file.interface(1, Some(9), Some(5)).interface(101, Some(0x8a), None);
        for number in 0..8_u32 {
            let packet = tcp(4000, 80);
            pcap.frame(number, 0, &packet, 40);
            file.packet(number % 2, u64::from(number), &packet, 40);
            file.block(number, &packet);
        }
        for mut bytes in [pcap.bytes, file.bytes] {
            for (at, value) in &damage {
                let at = at % bytes.len();
                bytes[at] = *value;
            }
            bytes.truncate(keep.max(40));
            open_and_read(&bytes);
        }
    }
}

fn open_and_read(contents: &[u8]) {
    let folder = Folder::new();
    if let Ok(mut recording) = Recording::open(&[folder.put("capture", contents)], None) {
        for (_, _, _, bytes, _) in rest_of(&mut recording) {
            assert!(bytes.len() <= contents.len() * 1100);
        }
    }
}

#[test]
fn every_capture_of_others_is_read_to_its_end() {
    let Some(traces) = traces::folder() else { return };
    let folders = std::fs::read_dir(&traces).unwrap();
    let mut files = 0;
    for folder in folders.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let mut recording = Recording::open(&[FileInput::Path(path.clone())], None).unwrap();
            let frames = rest_of(&mut recording);
            assert!(!frames.is_empty(), "{}", path.display());
            assert_eq!(recording.damage(0), None, "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 10, "{files} captures in {}", traces.display());
}
