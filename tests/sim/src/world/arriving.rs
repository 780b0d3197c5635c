//! What happens when something arrives, or the feed breaks.

use tcpcopy_feed::PeerId;
use tcpcopy_wire::parse_ip;

use super::{Actor, Event, World, new_relay};
use crate::Violation;
use crate::feed::{End, RECONNECT};
use crate::scenario::Outage;

/// Bytes kept of a truncated frame.
const SNAPLEN: usize = 96;

impl World {
    /// A packet of a user reaches the capture point and the online server behind it.
    pub(super) fn arrive_at_online(&mut self, packet: Vec<u8>) -> Result<(), Violation> {
        let capture = &self.scenario.capture;
        let lost = self.elapsed() < capture.from || self.rng.f64() < capture.loss;
        let kept = if self.rng.f64() < capture.truncated { SNAPLEN.min(packet.len()) } else { packet.len() };
        if let Ok(segment) = parse_ip(&packet, packet.len()) {
            self.ledger.observe(&segment, !lost && kept == packet.len())?;
        }
        if !lost {
            let at = self.stalled_until().unwrap_or(self.now);
            self.schedule.enter(at, Event::Capture(self.now, packet[..kept].to_vec(), packet.len()));
        }
        self.online.receive(packet, self.now);
        self.act(Actor::Online)
    }

    pub(super) fn arrive_at_assistant(&mut self, packet: &[u8]) -> Result<(), Violation> {
        if !self.feed.intercept_runs(self.now) {
            return Ok(());
        }
        let segment = parse_ip(packet, packet.len())
            .map_err(|reason| Violation(format!("a packet of the target does not parse: {reason:?}")))?;
        self.relay.handle_response(self.now, &segment);
        self.act(Actor::Assistant)
    }

    pub(super) fn arrive_on_feed(
        &mut self,
        end: End,
        connection: u64,
        bytes: Vec<u8>,
    ) -> Result<(), Violation> {
        if connection != self.feed.connection {
            return Ok(());
        }
        match end {
            End::Intercept => {
                if self.relay.handle_bytes(PeerId(connection), self.now, &bytes).is_err() {
                    self.break_feed()?;
                }
                self.act(Actor::Assistant)
            }
            End::Tcpcopy => {
                if let Some(until) = self.stalled_until() {
                    self.schedule.enter(until, Event::Feed(end, connection, bytes));
                    return Ok(());
                }
                self.replayer.handle_feed(self.now, &bytes)?;
                self.act(Actor::Replayer)
            }
        }
    }

    pub(super) fn connect(&mut self) -> Result<(), Violation> {
        if self.feed.is_open {
            return Ok(());
        }
        if !self.feed.connect(self.now) {
            self.schedule.enter(self.now + RECONNECT, Event::Connect);
            return Ok(());
        }
        self.relay.handle_connected(PeerId(self.feed.connection), self.now);
        self.replayer.subscriber.handle_connected(self.now);
        self.act(Actor::Assistant)?;
        self.act(Actor::Replayer)
    }

    pub(super) fn suffer(&mut self, outage: Outage) -> Result<(), Violation> {
        match outage {
            Outage::Stall => return Ok(()),
            Outage::Cut => {}
            Outage::Restart => self.relay = new_relay(&mut self.rng, self.now),
        }
        self.break_feed()
    }

    /// The feed's connection is gone at both ends.
    pub(super) fn break_feed(&mut self) -> Result<(), Violation> {
        self.replayer.feed_failed = false;
        if !self.feed.is_open {
            return Ok(());
        }
        self.relay.handle_disconnected(PeerId(self.feed.connection));
        self.feed.disconnect();
        self.replayer.subscriber.handle_disconnected(self.now);
        self.schedule.enter(self.now + RECONNECT, Event::Connect);
        Ok(())
    }
}
