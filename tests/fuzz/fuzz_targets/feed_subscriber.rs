//! Whatever an intercept sends, tcpcopy's end of the feed neither panics nor depends on how it was cut.
//!
//! The input's first byte says whether a proper hello comes first, or so long a silence that it is a C intercept, the second
//! where the rest is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tcpcopy_feed::{PeerId, Relay, RelayOptions, Subscriber};
use tcpcopy_wire::Instant;

/// The count of a C intercept's first batch, and the headers of its first packet: what is complete there is handed on before it is
/// known whether payload follows, so that a cut behind it shows.
const FIRST_PACKET: usize = 2 + 64;

const NOW: Instant = Instant::from_micros(1_700_000_000_000_000);

/// A connected subscriber, with an intercept's hello heard (1) or waited for in vain (2).
fn subscriber(greeted: u8) -> Subscriber {
    let mut subscriber = Subscriber::new(1, NOW);
    subscriber.handle_connected(NOW);
    if greeted == 2 {
        let silent = subscriber.poll_timeout().expect("a time-out");
        subscriber.handle_timeout(silent).expect("a C intercept");
    }
    if greeted == 1 {
        let mut relay = Relay::new(RelayOptions::default(), NOW);
        relay.handle_connected(PeerId(1), NOW);
        relay.handle_bytes(PeerId(1), NOW, subscriber.poll_transmit()).expect("our own hello");
        subscriber.handle_bytes(NOW, relay.poll_transmit(PeerId(1)), |_| ()).expect("our own hello");
    }
    subscriber
}

/// What the subscriber makes of the bytes: its events, then its verdict.
fn events(greeted: u8, pieces: &[&[u8]]) -> Vec<String> {
    let mut subscriber = subscriber(greeted);
    let mut seen = Vec::new();
    for piece in pieces {
        let outcome = subscriber.handle_bytes(NOW, piece, |event| seen.push(format!("{event:?}")));
        if let Err(error) = outcome {
            seen.push(error.to_string());
            break;
        }
    }
    subscriber.poll_transmit();
    seen
}

fuzz_target!(|input: &[u8]| {
    let Some(([greeted, cut], stream)) = input.split_first_chunk::<2>() else {
        return;
    };
    let greeted = greeted % 3;
    let (front, back) = stream.split_at(usize::from(*cut).min(stream.len()));
    let (whole, cut) = (events(greeted, &[stream]), events(greeted, &[front, back]));
    assert!(whole == cut || (greeted != 1 && front.len() == FIRST_PACKET), "{whole:?} {cut:?}");
});
