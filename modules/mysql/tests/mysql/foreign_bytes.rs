//! The fuzz target's entry point, driven with conversations that make some sense and with bytes that make none.

use proptest::prelude::*;

use crate::inspection::{END, inspect};

/// A packet.
fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    packet.push(sequence);
    packet.extend_from_slice(payload);
    packet
}

/// What conversations are made of.
fn fragments() -> Vec<Vec<u8>> {
    let mut greeting =
        b"\x0a8.4.0\0\x07\0\0\0\x31\x32\x33\x34\x35\x36\x37\x38\0\xff\xf7\x2d\x02\0\xff\xdf\x15".to_vec();
    greeting.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0mysql_native_password\0");
    let mut login = b"\x89\x82\x08\0\0\0\0\x01\x2d".to_vec();
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"app\0\x04abcdshop\0mysql_native_password\0");
    let mut compressed = login.clone();
    compressed[0] |= 0x20;
    let column = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";
    vec![
        packet(0, &greeting),
        packet(1, &login),
        packet(1, &compressed),
        packet(2, b"\0\0\0\x02\0\0\0"),
        packet(1, b"\0\0\0\x02\0\0\0"),
        packet(1, b"\0\0\0\x03\0\0\0"),
        packet(2, b"\xfemysql_native_password\0abcdefghijabcdefghij\0"),
        packet(2, b"\xfe"),
        packet(2, b"\x01\x04"),
        packet(1, b"\xff\x28\x04#42000no"),
        packet(3, b"abcdefghijabcdefghij"),
        packet(0, b"\x03SELECT 1"),
        packet(0, b"\x03INSERT INTO t VALUES (1)"),
        packet(0, b"\x03SET @a = 1; BEGIN"),
        packet(0, b"\x03LOAD DATA LOCAL INFILE 'f' INTO TABLE t"),
        packet(0, b"\x16SELECT ?"),
        packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0"),
        packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0\0\0\x2a\0\0\0\0\0\0\0"),
        packet(0, b"\x18\x01\0\0\0\0\0long"),
        packet(0, b"\x19\x01\0\0\0"),
        packet(0, b"\x1f"),
        packet(0, b"\x0e"),
        packet(0, b"\x01"),
        packet(0, b"\x11app\0\0shop\0\x2d\0mysql_native_password\0"),
        packet(1, b"\xfbfile"),
        packet(2, b"1,2\n"),
        packet(3, b""),
        [
            packet(1, b"\x01"),
            packet(2, column),
            packet(3, b"\xfe\0\0\x02\0"),
            packet(4, b"\x01x"),
            packet(5, b"\xfe\0\0\x02\0"),
        ]
        .concat(),
        [packet(1, b"\0\x07\0\0\0\0\0\x01\0\0\0\0"), packet(2, column), packet(3, b"\xfe\0\0\x02\0")]
            .concat(),
        b"\x0d\0\0\0\0\0\0\x09\0\0\0\x03SELECT 1".to_vec(),
        b"\xff\xff\xff\0\x03".to_vec(),
        b"nonsense".to_vec(),
    ]
}

fn event() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        8 => prop::sample::select(fragments()),
        1 => prop::collection::vec(0..END, 0..40),
    ];
    (0..12_u8, prop::collection::vec(text, 1..4))
        .prop_map(|(kind, texts)| [&[kind], &texts.concat()[..], &[END]].concat())
}

/// A session that has logged in.
fn beginning() -> Vec<u8> {
    let fragments = fragments();
    let said = |kind: u8, at: usize| [&[kind], &fragments[at][..], &[END]].concat();
    [said(7, 0), said(4, 0), said(0, 1), said(7, 3), said(4, 3)].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn sessions_in_pieces_keep_every_promise(
        choice in (0..128_u8, any::<u8>()),
        events in prop::collection::vec(event(), 1..14),
    ) {
        inspect(&[&[choice.0, choice.1], &beginning()[..], &events.concat()].concat());
    }

    #[test]
    fn what_begins_anyhow_keeps_every_promise(
        choice in any::<[u8; 2]>(),
        events in prop::collection::vec(event(), 1..12),
    ) {
        inspect(&[&choice[..], &events.concat()].concat());
    }

    #[test]
    fn bytes_of_no_sense_keep_every_promise(input in prop::collection::vec(any::<u8>(), 0..300)) {
        inspect(&input);
    }
}
