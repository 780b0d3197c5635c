//! The way out: guarded, counted, never fatal.

use std::path::PathBuf;

use tcpcopy_net::{
    CaptureFileSink, EthernetOptions, EthernetSink, RawIpSink, Sink, TargetGuard, TransmitError,
};
use tcpcopy_wire::{Endpoint, Instant};

use crate::{StartError, TransmitTotals, Transport};

/// How packets to the targets leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TransmitChoice {
    /// Through raw IP sockets, the way the machine's routes say.
    #[default]
    RawIp,
    /// As Ethernet frames on one device.
    Ethernet(EthernetOptions),
    /// Not at all: a capture file is written of what would leave.
    File(PathBuf),
}

impl TransmitChoice {
    pub(crate) fn open(&self) -> Result<Box<dyn Sink>, StartError> {
        Ok(match self {
            Self::RawIp => Box::new(RawIpSink::open()?),
            Self::Ethernet(options) => Box::new(EthernetSink::open(options)?),
            Self::File(path) => {
                let created = CaptureFileSink::create(path);
                Box::new(created.map_err(|source| StartError::DryRun { path: path.clone(), source })?)
            }
        })
    }
}

/// The sink behind the target guard, with its counters.
pub(crate) struct Outlet {
    sink: TargetGuard<Box<dyn Sink>>,
    /// What becomes of a packet that was not sent.
    consequence: &'static str,
    totals: TransmitTotals,
}

impl Outlet {
    pub(crate) fn open(
        choice: &TransmitChoice,
        transport: Transport,
        targets: impl IntoIterator<Item = Endpoint>,
    ) -> Result<Self, StartError> {
        let sink = choice.open()?;
        let (sink, consequence) = match transport {
            Transport::Tcp => (TargetGuard::new(sink, targets), "counted and sent again"),
            Transport::Udp => (TargetGuard::for_datagrams(sink, targets), "lost and counted"),
        };
        let is_dry = matches!(choice, TransmitChoice::File(_));
        Ok(Self { sink, consequence, totals: TransmitTotals { is_dry, ..TransmitTotals::default() } })
    }

    /// Before a batch.
    pub(crate) fn handle_time(&mut self, now: Instant) {
        self.sink.handle_time(now);
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

    /// Why nothing can be sent any more, as a sentence.
    pub(crate) fn breakdown(&self) -> Option<String> {
        self.sink.failure().map(|failure| format!("nothing more can be sent: {failure}"))
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
