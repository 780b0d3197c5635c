//! tcpcopy's loop: captured packets and responses in, packets to the targets out.

use std::net::SocketAddr;
use std::time::Duration;

use tcpcopy_engine::{Engine, EngineOptions, Mappings, Verdict};
use tcpcopy_net::{CaptureDirection, CaptureOptions, capture_filter, devices, devices_for};
use tcpcopy_wire::{Instant, parse_ip};

use crate::captures::Captures;
use crate::feeds::Feeds;
use crate::outlet::Outlet;
use crate::rounds::{Round, Rounds};
use crate::socket::random;
use crate::{ReplaySnapshot, StartError};

/// Where and how to capture.
#[derive(Clone, Debug)]
pub struct CaptureChoice {
    /// Devices by name; empty: those that carry the online addresses, and loopback.
    pub devices: Vec<String>,
    /// A filter in pcap's language instead of the one made from the mappings.
    pub filter: Option<String>,
    /// Bytes kept of each frame.
    pub snaplen: u32,
    /// Size of each device's ring in bytes. Devices that were not named share [`UNNAMED_RING_BYTES`] at the most.
    pub buffer_bytes: usize,
}

/// Ring memory of all devices together when they are not named: a host may carry addresses on dozens of them.
pub const UNNAMED_RING_BYTES: usize = 256 << 20;

/// Everything tcpcopy's loop needs to know.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// How sessions are replayed.
    pub engine: EngineOptions,
    /// What is replayed, and to whom.
    pub mappings: Mappings,
    /// Where it is captured.
    pub capture: CaptureChoice,
    /// Where intercepts listen; at least one.
    pub intercepts: Vec<SocketAddr>,
    /// Connections to each intercept, at least one.
    pub connections: usize,
    /// Start even if no intercept is reachable, and wait for one.
    pub lonely: bool,
    /// How often `on_snapshot` is called.
    pub snapshot_interval: Duration,
}

/// Room for the largest packet the engine makes.
const PACKET_BYTES: usize = 65_536;
/// Packets sent before the capture rings are looked at again: sending takes longer than anything else, and the
/// rings must not fill meanwhile.
const TRANSMIT_BATCH: usize = 256;
/// tcpcopy's loop, on one thread.
pub struct Replay {
    rounds: Rounds,
    captures: Captures,
    engine: Engine,
    feeds: Feeds,
    outlet: Outlet,
    packet: Box<[u8]>,
    /// The engine may have more to transmit.
    is_transmitting: bool,
    /// Verdicts that the log has told of.
    told: [bool; Verdict::ALL.len()],
}

impl Replay {
    /// Opens captures, the transmit socket and the feeds.
    ///
    /// # Errors
    /// [`StartError`], one sentence for a person; nothing is left open.
    pub fn start(options: ReplayOptions) -> Result<Self, StartError> {
        let captures = Captures::open(&capture_options(&options)?)?;
        let targets = options.mappings.as_slice().iter().map(|mapping| mapping.target);
        let outlet = Outlet::open(targets)?;
        let rounds = Rounds::new(options.snapshot_interval, captures.len())?;
        captures.register(rounds.registry())?;
        let (first_token, now) = (rounds.free_token(), rounds.now());
        let connections = options.connections.max(1);
        let feeds = Feeds::start(&options.intercepts, connections, options.lonely, first_token, now)?;
        Ok(Self {
            rounds,
            captures,
            engine: Engine::new(options.engine, options.mappings, random()),
            feeds,
            outlet,
            packet: vec![0; PACKET_BYTES].into(),
            is_transmitting: false,
            told: [false; Verdict::ALL.len()],
        })
    }

    /// The names of the devices captured on.
    #[must_use]
    pub fn devices(&self) -> Vec<String> {
        self.captures.devices()
    }

    /// Replays until SIGINT or SIGTERM, or until no device is left to capture on; then ends all sessions and
    /// returns the last snapshot. `on_snapshot` is called once per interval; SIGHUP calls `on_hangup` (for log
    /// files to be opened anew).
    pub fn run(
        mut self,
        mut on_snapshot: impl FnMut(&ReplaySnapshot),
        mut on_hangup: impl FnMut(),
    ) -> ReplaySnapshot {
        while self.captures.is_alive() {
            let round = self.wait();
            if round.stop {
                break;
            }
            if round.hangup {
                on_hangup();
            }
            if round.look {
                self.captures.look_everywhere();
                self.tell_of_losses();
            }
            if round.snapshot {
                on_snapshot(&self.snapshot(round.now));
            }
            self.turn(round.now);
        }
        self.stop()
    }

    fn wait(&mut self) -> Round {
        let is_busy = self.is_transmitting || self.captures.is_ready() || self.feeds.is_ready();
        let due = [self.engine.poll_timeout(), self.feeds.poll_timeout()].into_iter().flatten().min();
        self.rounds.wait(is_busy, due, |token| match token {
            token if self.feeds.owns(token) => self.feeds.mark_ready(token),
            token => self.captures.mark_ready(token.0),
        })
    }

    /// One round: everything that has come in goes through the engine, everything that is due goes out.
    fn turn(&mut self, now: Instant) {
        let engine = &mut self.engine;
        self.captures.dispatch(|captured_at, segment| {
            log::trace!("captured {segment}");
            engine.handle_capture(now, captured_at, segment);
        });
        self.feeds.read(now, |id, segment| {
            log::trace!("response for session {:x}: {segment}", id.to_bits());
            engine.handle_response(now, id, segment);
        });
        engine.handle_timeout(now);
        self.register(now);
        self.transmit(now, TRANSMIT_BATCH);
    }

    /// Registrations go before packets, so that intercept knows a flow before the target can answer on it.
    fn register(&mut self, now: Instant) {
        while let Some(registration) = self.engine.poll_registration() {
            self.feeds.register(registration);
        }
        self.feeds.write(now, self.rounds.registry());
    }

    /// Sends what is due, at most `limit` packets of it.
    fn transmit(&mut self, now: Instant, limit: usize) {
        self.is_transmitting = true;
        for _ in 0..limit {
            let Some((id, len)) = self.engine.poll_transmit(now, &mut self.packet) else {
                self.is_transmitting = false;
                break;
            };
            let packet = &self.packet[..len];
            if log::log_enabled!(log::Level::Trace)
                && let Ok(segment) = parse_ip(packet, len)
            {
                log::trace!("transmits for session {:x}: {segment}", id.to_bits());
            }
            if !self.outlet.send(packet) {
                self.engine.handle_too_large(id);
            }
        }
        self.outlet.flush();
    }

    /// The first loss of each kind is told while there is time to do something about it.
    fn tell_of_losses(&mut self) {
        let ended = &self.engine.statistics().ended;
        for ((verdict, ended), told) in Verdict::ALL.iter().zip(ended).zip(&mut self.told) {
            if ended.turns_lost > 0 && !std::mem::replace(told, true) {
                let (name, why) = (verdict.name(), verdict.explanation());
                log::warn!("requests are being lost, verdict {name}: {why}; further ones are counted");
            }
        }
    }

    fn stop(mut self) -> ReplaySnapshot {
        let now = self.rounds.now();
        self.engine.handle_shutdown(now);
        self.transmit(now, usize::MAX);
        self.register(now);
        self.feeds.shut_down(now);
        self.snapshot(now)
    }

    fn snapshot(&mut self, now: Instant) -> ReplaySnapshot {
        ReplaySnapshot {
            at: now,
            running_for: now.since(self.rounds.started_at()),
            capture: self.captures.totals(),
            engine: self.engine.statistics().clone(),
            pending: self.engine.pending(),
            transmit: self.outlet.totals().clone(),
            feed: self.feeds.totals(),
        }
    }
}

/// The captures that `options` ask for.
///
/// Without named devices only what those carrying the online addresses receive is wanted. A named device may be
/// a mirror port, whose packets are for others, or the way out of a client's host: both directions, promiscuous.
fn capture_options(options: &ReplayOptions) -> Result<Vec<CaptureOptions>, StartError> {
    let choice = &options.capture;
    let mappings = options.mappings.as_slice();
    let online: Vec<_> = mappings.iter().map(|mapping| (mapping.online.addr, mapping.online.port)).collect();
    let targets: Vec<_> = mappings.iter().map(|mapping| mapping.target).collect();
    let is_named = !choice.devices.is_empty();
    let names = if is_named {
        choice.devices.clone()
    } else {
        let addresses: Vec<_> = online.iter().map(|(addr, _)| *addr).collect();
        devices_for(&devices()?, &addresses)?.into_iter().map(|device| device.name.clone()).collect()
    };
    let filter = choice.filter.clone().unwrap_or_else(|| capture_filter(&online, &targets));
    let share = if is_named { usize::MAX } else { UNNAMED_RING_BYTES / names.len().max(1) };
    let open = |device: String| CaptureOptions {
        direction: if is_named && device != "lo" {
            CaptureDirection::Both
        } else {
            CaptureDirection::Inbound
        },
        promiscuous: is_named,
        device,
        filter: filter.clone(),
        match_vlan_tagged: choice.filter.is_none(),
        snaplen: choice.snaplen,
        buffer_bytes: choice.buffer_bytes.min(share),
    };
    Ok(names.into_iter().map(open).collect())
}
