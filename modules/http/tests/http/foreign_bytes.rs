//! The fuzz target's entry point, driven with conversations that make some sense and with bytes that make none.

use proptest::prelude::*;

use crate::inspection::{END, inspect};

/// What conversations are made of.
const FRAGMENTS: [&[u8]; 32] = [
    b"GET /a/1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /never HTTP/1.1\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhel",
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: ",
    b"Content-Length: 4\r\n\r\n",
    b"5;x=y\r\nhello\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"0\r\n\r\n",
    b"zz\r\n",
    b"\r\n",
    b"\n",
    b"hel",
    b"\x81\x03abc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 404 ",
    b"HTTP/1.1 500 X\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"nonsense",
];

fn event() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        8 => prop::sample::select(&FRAGMENTS[..]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(0..END, 0..40),
    ];
    (0..12_u8, prop::collection::vec(text, 1..4)).prop_map(|(kind, texts)| {
        // What is missing is counted in the bytes: small counts are the interesting ones.
        let bytes = if matches!(kind, 7 | 8) { vec![texts.len() as u8] } else { texts.concat() };
        [&[kind], &bytes[..], &[END]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn conversations_in_pieces_keep_every_promise(
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
