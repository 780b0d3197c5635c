//! The way out: guarded, counted, never fatal.

use tcpcopy_net::{RawIpSink, Sink, TargetGuard, TransmitError};
use tcpcopy_wire::Endpoint;

use crate::{StartError, TransmitTotals, Transport};

/// The transmit socket behind the target guard, with its counters.
pub(crate) struct Outlet {
    sink: TargetGuard<RawIpSink>,
    /// What becomes of a packet that was not sent.
    consequence: &'static str,
    totals: TransmitTotals,
}

impl Outlet {
    pub(crate) fn open(
        transport: Transport,
        targets: impl IntoIterator<Item = Endpoint>,
    ) -> Result<Self, StartError> {
        let sink = RawIpSink::open()?;
        let (sink, consequence) = match transport {
            Transport::Tcp => (TargetGuard::new(sink, targets), "counted and sent again"),
            Transport::Udp => (TargetGuard::for_datagrams(sink, targets), "lost and counted"),
        };
        Ok(Self { sink, consequence, totals: TransmitTotals::default() })
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
        let Self { sink, consequence, totals } = self;
        sink.flush(&mut |packet, error| {
            totals.packets = totals.packets.saturating_sub(1);
            totals.bytes = totals.bytes.saturating_sub(packet.len() as u64);
            count(totals, error, consequence);
        });
    }

    pub(crate) fn totals(&self) -> &TransmitTotals {
        &self.totals
    }

    fn count(&mut self, error: TransmitError) {
        count(&mut self.totals, error, self.consequence);
    }
}

/// Counts a failure, and logs the first of each kind.
fn count(totals: &mut TransmitTotals, error: TransmitError, consequence: &str) {
    match totals.failed.iter_mut().find(|(name, _)| *name == error.name()) {
        Some((_, count)) => *count += 1,
        None => {
            log::warn!("a packet to the target was not sent: {error}; such packets are {consequence}");
            totals.failed.push((error.name(), 1));
        }
    }
}
