//! The protocol of the C tools, version 6, spoken where the other end is one of them: routes upstream, packet
//! headers downstream, and nothing else. The byte layouts are in `docs/feed-protocol.md`.

mod batches;
mod packet;
mod route;

pub(crate) use batches::Batches;
pub(crate) use packet::{HEADERS_BYTES, PACKET_MAX, encode};
pub(crate) use route::{C_VERSION, Offer, ROUTE_BYTES, Route, add_route, offer, parse_offer, parse_route};

/// The most packets in one batch, without and with payload.
const BATCH_MAX: u16 = 16;
const BATCH_MAX_WITH_PAYLOAD: u16 = 6;

/// How responses are returned to a C tcpcopy. It cannot be asked how it was built, so the operator says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CToolFormat {
    /// Payload follows the headers, if a response has at most 128 bytes of it: for a tcpcopy that was built with a
    /// module that reads responses.
    pub payload: bool,
    /// Packets come in batches with their number in front; otherwise one by one.
    pub combined: bool,
    /// The most packets in one batch: 1 to 16, at most 6 with payload. More is the same as the most.
    pub batch: u16,
}

impl Default for CToolFormat {
    fn default() -> Self {
        Self { payload: false, combined: true, batch: BATCH_MAX }
    }
}

impl CToolFormat {
    /// The most packets in one batch; `None`: there are no batches.
    pub(crate) fn batch(self) -> Option<u16> {
        let most = if self.payload { BATCH_MAX_WITH_PAYLOAD } else { BATCH_MAX };
        self.combined.then_some(self.batch.clamp(1, most))
    }
}
