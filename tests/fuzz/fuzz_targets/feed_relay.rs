//! Whatever a tcpcopy sends, intercept's end of the feed does not panic, keeps to its bounds and serves the
//! other tcpcopy as before.
//!
//! The input's first byte says whether a proper hello comes first, or the version of a C tcpcopy, the second where the rest is cut.

#![no_main]

use std::net::Ipv6Addr;

use libfuzzer_sys::fuzz_target;
use tcpcopy_feed::{FlowId, PeerId, Registration, Relay, RelayOptions, Routed, Subscriber};
use tcpcopy_wire::{Endpoint, Flow, Instant, Segment};

const NOW: Instant = Instant::from_micros(1_700_000_000_000_000);
const GOOD: PeerId = PeerId(1);
const BAD: PeerId = PeerId(2);
/// What a C tcpcopy begins with.
const C_TCPCOPY: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0];
const MAX_FLOWS: usize = 3;
const BUFFER_BYTES: usize = 4096;

/// Connects a subscriber of ours as `peer`; it registers `flow`.
fn connect(relay: &mut Relay, peer: PeerId, flow: Flow) {
    let mut subscriber = Subscriber::new(peer.0, NOW);
    relay.handle_connected(peer, NOW);
    subscriber.handle_connected(NOW);
    subscriber.register(Registration::Add { id: FlowId(1), flow, depth: 10 });
    for _ in 0..2 {
        let bytes = subscriber.poll_transmit().to_vec();
        subscriber.consume(bytes.len());
        relay.handle_bytes(peer, NOW, &bytes).expect("a tcpcopy of ours");
        let bytes = relay.poll_transmit(peer).to_vec();
        relay.consume(peer, bytes.len());
        subscriber.handle_bytes(NOW, &bytes, |_| ()).expect("an intercept of ours");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([greeted, cut], stream)) = input.split_first_chunk::<2>() else {
        return;
    };
    let options = RelayOptions {
        max_flows_per_peer: MAX_FLOWS,
        peer_buffer_bytes: BUFFER_BYTES,
        ..RelayOptions::default()
    };
    let mut relay = Relay::new(options, NOW);
    // An address that the other peer would have to guess to take the flow over.
    let client = Endpoint::new(Ipv6Addr::from(0x2001_0db8_93c1_77aa_5b0e_4d2f_8816_e3d9_u128).into(), 4001);
    let server = Endpoint::new(Ipv6Addr::from(0x2001_0db8_1d5c_09f3_c6a7_b214_7e60_358b_u128).into(), 80);
    let flow = Flow { client, server };
    connect(&mut relay, GOOD, flow);
    if greeted % 3 == 1 {
        connect(&mut relay, BAD, Flow { client, server: Endpoint { port: 81, ..server } });
    } else {
        relay.handle_connected(BAD, NOW);
    }
    if greeted % 3 == 2 {
        relay.handle_bytes(BAD, NOW, &C_TCPCOPY).expect("a C tcpcopy");
    }
    let (front, back) = stream.split_at(usize::from(*cut).min(stream.len()));
    for piece in [front, back] {
        let refused = relay.handle_bytes(BAD, NOW, piece).is_err();
        let heard_again = refused && relay.handle_bytes(BAD, NOW, piece).is_err();
        assert!(!heard_again, "a refused peer is not heard again");
        let segment = Segment { source: flow.server, destination: flow.client, ..Segment::default() };
        assert_eq!(relay.handle_response(NOW, &segment), Routed::Delivered);
    }
    assert!(relay.peers().all(|peer| peer.flows <= MAX_FLOWS && peer.pending <= BUFFER_BYTES));
    relay.handle_disconnected(BAD);
});
