//! intercept's loop: captured responses in, feeds out.

use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token};
use tcpcopy_feed::{CToolFormat, CaptureStatistics, PeerId, Relay, RelayEvent, RelayOptions};
use tcpcopy_wire::Instant;

use crate::captures::Captures;
use crate::inquiries::{Capturing, Inquiries};
use crate::response_capture::{headers_only, with_payload};
use crate::rounds::{Round, Rounds};
use crate::signals::Notice;
use crate::socket::{Outcome, READ_BYTES, ReadError, Readiness, random, read_some, tune, write_some};
use crate::{PeerTotals, RelaySnapshot, StartError};

/// Everything intercept's loop needs to know.
#[derive(Clone, Debug)]
pub struct RelayingOptions {
    /// Devices by name; at least one.
    pub devices: Vec<String>,
    /// What is a response, in pcap's language.
    pub filter: String,
    /// Size of each device's ring in bytes.
    pub buffer_bytes: usize,
    /// Where tcpcopys connect to.
    pub listen: SocketAddr,
    /// How responses are returned; identity and seed are chosen here.
    pub relay: RelayOptions,
    /// How often `on_snapshot` is called.
    pub snapshot_interval: Duration,
}

/// Peers wait no longer than that for payload to be captured, which takes some tenths of a second. After a second one would
/// take us for a C intercept.
const MOST_SILENCE: Duration = Duration::from_millis(800);

/// A tcpcopy at the other end of a socket.
struct Peer {
    id: PeerId,
    address: SocketAddr,
    socket: TcpStream,
    readiness: Readiness,
    /// Its socket may take more than it did, or what it said may want an answer.
    may_take: bool,
    /// It has shown to be a tcpcopy.
    is_greeted: bool,
}

/// intercept's loop, on one thread.
pub struct Relaying {
    rounds: Rounds,
    captures: Captures,
    listener: TcpListener,
    relay: Relay,
    inquiries: Inquiries,
    peers: Vec<Peer>,
    next_peer: u64,
    buffer: Box<[u8]>,
    accept: Token,
    /// A connection may be waiting to be accepted.
    is_accepting: bool,
    /// Responses are captured with all of their payload.
    captures_payload: bool,
    /// Until then, or until payload is captured, no peer is answered.
    silent_until: Instant,
    /// How C tcpcopys must have been built, to be said when there is one.
    c_format: Option<&'static str>,
}

impl Relaying {
    /// Opens captures and the listening socket.
    ///
    /// # Errors
    /// [`StartError`], one sentence for a person; nothing is left open.
    pub fn start(options: RelayingOptions) -> Result<Self, StartError> {
        let captures = headers_only(&options.devices, &options.filter, options.buffer_bytes);
        let captures = Captures::open(&captures, |_| None)?;
        let address = options.listen;
        let mut listener =
            TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })?;
        let rounds = Rounds::new(options.snapshot_interval, captures.len())?;
        captures.register(rounds.registry(), 0)?;
        let accept = Token(rounds.free_token());
        rounds.registry().register(&mut listener, accept, Interest::READABLE)?;
        let now = rounds.now();
        let relay = RelayOptions { identity: random(), seed: random(), ..options.relay };
        Ok(Self {
            rounds,
            captures,
            listener,
            relay: Relay::new(relay, now),
            inquiries: Inquiries::new(Capturing { devices: options.devices, filter: options.filter }),
            peers: Vec::new(),
            next_peer: 0,
            buffer: vec![0; READ_BYTES].into(),
            accept,
            is_accepting: false,
            captures_payload: false,
            silent_until: now,
            c_format: Some(described(relay.c_format)),
        })
    }

    /// Relays until SIGINT or SIGTERM, or until no device is left to capture on, and returns the last snapshot.
    /// `on_snapshot` is called once per interval; SIGHUP and SIGUSR1 call `on_notice`.
    pub fn run(
        mut self,
        mut on_snapshot: impl FnMut(&RelaySnapshot),
        mut on_notice: impl FnMut(Notice),
    ) -> RelaySnapshot {
        while self.captures.is_alive() {
            let round = self.wait();
            if round.stop {
                break;
            }
            for notice in round.notices.into_iter().flatten() {
                on_notice(notice);
            }
            if round.look {
                self.look_at_captures();
            }
            if round.snapshot {
                on_snapshot(&self.snapshot(round.now));
            }
            self.turn(round.now);
        }
        self.stop()
    }

    fn wait(&mut self) -> Round {
        let is_busy = self.captures.is_ready()
            || self.is_accepting
            || self.peers.iter().any(|peer| peer.readiness.is_ready);
        let captures = self.captures.poll_timeout(self.rounds.now());
        let inquiries = self.inquiries.poll_timeout(self.rounds.now());
        let due = self.relay.poll_timeout().into_iter().chain(captures).chain(inquiries).min();
        self.rounds.wait(is_busy, due, |token, event| match token {
            token if token == self.accept => self.is_accepting = true,
            token if token > self.accept => {
                mark_ready(&mut self.peers, peer_of(self.accept, token), event);
            }
            token => self.captures.mark_ready(token.0),
        })
    }

    /// One round: registrations first, so that a response finds its route, then responses, then what goes out.
    fn turn(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_accepting) {
            self.accept(now);
        }
        self.read(now);
        self.widen_if_wanted(now);
        let relay = &mut self.relay;
        self.captures.dispatch(|seen_at, segment| {
            let routed = relay.handle_response(seen_at, segment);
            log::trace!("{routed:?}: {segment}");
        });
        self.relay.handle_timeout(now);
        while let Some((peer, answer)) = self.inquiries.poll_answer() {
            self.relay.answer(peer, &answer);
        }
        self.write(now);
        self.handle_events();
    }

    /// From the first tcpcopy on that has modules, payload is captured.
    fn widen_if_wanted(&mut self, now: Instant) {
        if self.relay.wants_payload() && !self.captures_payload {
            self.captures_payload = true;
            self.silent_until = now + MOST_SILENCE;
            log::info!("a tcpcopy wants payload: responses are captured with theirs");
            self.captures.widen(|options| Some(with_payload(options)));
        }
    }

    /// Whether nobody is answered for the moment: a tcpcopy that is greeted begins, and what its targets say first may be
    /// what its modules need.
    fn is_silent(&self, now: Instant) -> bool {
        now < self.silent_until && self.captures.is_widening()
    }

    fn look_at_captures(&mut self) {
        self.captures.look_everywhere();
        let totals = self.captures.totals();
        self.relay.handle_capture_statistics(CaptureStatistics {
            captured: totals.frames,
            kernel_dropped: totals.kernel_dropped,
            interface_dropped: totals.interface_dropped,
        });
    }

    fn accept(&mut self, now: Instant) {
        while let Ok((mut socket, address)) = self.listener.accept() {
            let id = PeerId(self.next_peer);
            let token = Token(self.accept.0 + 1 + id.0 as usize);
            let both = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = self.rounds.registry().register(&mut socket, token, both) {
                log::warn!("a connection from {address} was refused: {error}");
                continue;
            }
            tune(&socket);
            self.next_peer += 1;
            self.relay.handle_connected(id, now);
            // It may have spoken already; if so, and if it is gone again, an event will tell.
            let readiness = Readiness { is_ready: true, has_ended: false };
            self.peers.push(Peer { id, address, socket, readiness, may_take: false, is_greeted: false });
        }
    }

    /// Reads from every peer that has something.
    fn read(&mut self, now: Instant) {
        let mut lost = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| peer.readiness.is_ready) {
            peer.readiness.is_ready = false;
            let (relay, id) = (&mut self.relay, peer.id);
            let outcome = read_some(&mut peer.socket, peer.readiness.has_ended, &mut self.buffer, |bytes| {
                relay.handle_bytes(id, now, bytes)
            });
            let reason = match outcome {
                Ok(Outcome::Drained) => {
                    peer.may_take = true;
                    continue;
                }
                Ok(Outcome::More) => {
                    peer.readiness.is_ready = true;
                    continue;
                }
                Ok(Outcome::Closed) => "it closed the connection".to_owned(),
                Err(ReadError::Socket(error)) => error.to_string(),
                Err(ReadError::Protocol(error)) => {
                    let _ = write(peer, relay); // the refusal, if the socket takes it at once
                    error.to_string()
                }
            };
            lost.push((id, reason));
        }
        self.lose_all(&lost);
    }

    /// Sends what has become due since the last round, and what waited for a socket to take more.
    fn write(&mut self, now: Instant) {
        if self.is_silent(now) {
            return;
        }
        let mut lost = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| peer.may_take) {
            peer.may_take = false;
            lost.extend(write(peer, &mut self.relay).err().map(|error| (peer.id, error.to_string())));
        }
        while let Some(id) = self.relay.poll_writable() {
            let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else {
                continue;
            };
            lost.extend(write(peer, &mut self.relay).err().map(|error| (id, error.to_string())));
        }
        self.lose_all(&lost);
    }

    fn handle_events(&mut self) {
        while let Some(event) = self.relay.poll_event() {
            match event {
                RelayEvent::Connected { peer, .. } => {
                    if let Some(peer) = self.peers.iter_mut().find(|known| known.id == peer) {
                        peer.is_greeted = true;
                        log::info!("tcpcopy {} is connected", peer.address);
                    }
                }
                RelayEvent::CConnected { peer } => {
                    if let Some(peer) = self.peers.iter_mut().find(|known| known.id == peer) {
                        peer.is_greeted = true;
                        log::info!("tcpcopy {} is connected; it is a C tcpcopy", peer.address);
                    }
                    if let Some(explanation) = self.c_format.take() {
                        log::info!("{explanation}");
                    }
                }
                RelayEvent::Asked { peer, question } => self.inquiries.ask(peer, question),
                RelayEvent::Goodbye { .. } => {}
                RelayEvent::Close { peer, error } => {
                    if let Some(known) = self.peers.iter_mut().find(|known| known.id == peer) {
                        let _ = write(known, &mut self.relay); // the refusal, if the socket takes it at once
                    }
                    self.lose(peer, &error.to_string());
                }
            }
        }
    }

    fn lose_all(&mut self, lost: &[(PeerId, String)]) {
        lost.iter().for_each(|(id, reason)| self.lose(*id, reason));
    }

    fn lose(&mut self, id: PeerId, reason: &str) {
        let Some(at) = self.peers.iter().position(|peer| peer.id == id) else {
            return;
        };
        let peer = self.peers.swap_remove(at);
        let level = if peer.is_greeted { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "tcpcopy {} is gone: {reason}", peer.address);
        self.relay.handle_disconnected(id);
        self.inquiries.forget(id);
    }

    fn stop(mut self) -> RelaySnapshot {
        let now = self.rounds.now();
        self.look_at_captures();
        self.relay.handle_shutdown();
        self.write(now);
        self.snapshot(now)
    }

    fn snapshot(&mut self, now: Instant) -> RelaySnapshot {
        let address = |id: PeerId| {
            let peer = self.peers.iter().find(|peer| peer.id == id);
            peer.map(|peer| peer.address.to_string()).unwrap_or_default()
        };
        let peers = self.relay.peers().map(|summary| PeerTotals { address: address(summary.peer), summary });
        RelaySnapshot {
            at: now,
            running_for: now.since(self.rounds.started_at()),
            relay: self.relay.totals(),
            peers: peers.collect(),
            capture: self.captures.totals(),
        }
    }
}

/// The peer whose socket has this token: tokens follow the listener's.
fn peer_of(accept: Token, token: Token) -> PeerId {
    PeerId((token.0 - accept.0 - 1) as u64)
}

fn mark_ready(peers: &mut [Peer], id: PeerId, event: &Event) {
    if let Some(peer) = peers.iter_mut().find(|peer| peer.id == id) {
        peer.readiness.mark(event);
    }
}

/// Sends a peer what waits for it, as far as its socket takes it.
fn write(peer: &mut Peer, relay: &mut Relay) -> std::io::Result<()> {
    loop {
        let offer = relay.poll_transmit(peer.id);
        if offer.is_empty() {
            return Ok(());
        }
        match write_some(&mut peer.socket, offer)? {
            0 => return Ok(()),
            count => relay.consume(peer.id, count),
        }
    }
}

/// How a C tcpcopy must have been built: it cannot be asked.
const fn described(format: CToolFormat) -> &'static str {
    match format {
        CToolFormat { combined: false, .. } => {
            "a C tcpcopy gets headers one by one (--disable-combined): it must be built with that, too"
        }
        CToolFormat { payload: true, .. } => {
            "a C tcpcopy gets headers and up to 128 bytes of payload (--with-resp-payload): it must be built with a \
             module that reads them"
        }
        _ => {
            "a C tcpcopy gets headers in batches: if it was built otherwise it cannot read them; then give intercept \
             --disable-combined or --with-resp-payload"
        }
    }
}
