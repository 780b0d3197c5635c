//! The way out: guarded, counted, never fatal.

use tcpcopy_net::{RawIpSink, Sink, TargetGuard, TransmitError};
use tcpcopy_wire::Endpoint;

use crate::{StartError, TransmitTotals};

/// The transmit socket behind the target guard, with its counters.
pub(crate) struct Outlet {
    sink: TargetGuard<RawIpSink>,
    totals: TransmitTotals,
}

impl Outlet {
    pub(crate) fn open(targets: impl IntoIterator<Item = Endpoint>) -> Result<Self, StartError> {
        let sink = TargetGuard::new(RawIpSink::open()?, targets);
        Ok(Self { sink, totals: TransmitTotals::default() })
    }

    /// Sends one packet; `false` when it is too large for its path.
    pub(crate) fn send(&mut self, packet: &[u8]) -> bool {
        let Err(error) = self.sink.send(packet) else {
            self.totals.packets += 1;
            self.totals.bytes += packet.len() as u64;
            return true;
        };
        self.count(error);
        error != TransmitError::MessageTooLong
    }

    /// After a batch: whatever a sink had queued is on its way.
    pub(crate) fn flush(&mut self) {
        let totals = &mut self.totals;
        self.sink.flush(&mut |packet, error| {
            totals.packets = totals.packets.saturating_sub(1);
            totals.bytes = totals.bytes.saturating_sub(packet.len() as u64);
            count(totals, error);
        });
    }

    pub(crate) fn totals(&self) -> &TransmitTotals {
        &self.totals
    }

    fn count(&mut self, error: TransmitError) {
        count(&mut self.totals, error);
    }
}

/// Counts a failure, and logs the first of each kind.
fn count(totals: &mut TransmitTotals, error: TransmitError) {
    match totals.failed.iter_mut().find(|(name, _)| *name == error.name()) {
        Some((_, count)) => *count += 1,
        None => {
            log::warn!(
                "a packet to the target was not sent: {error}; such packets are counted and sent again"
            );
            totals.failed.push((error.name(), 1));
        }
    }
}
