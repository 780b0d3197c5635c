//! One connection to one intercept, made anew whenever it is lost.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use log::Level;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tcpcopy_engine::SessionId;
use tcpcopy_feed::{Statistics, Subscriber, SubscriberEvent, SubscriberState};
use tcpcopy_wire::{Instant, Segment};

use crate::FeedTotals;
use crate::socket::{Outcome, ReadError, Readiness, read_some, tune, write_some};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// A connection attempt that is not answered is given up after this long.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// One connection to one intercept.
pub(super) struct Link {
    address: SocketAddr,
    /// The first connection to its intercept speaks for all of them in the log.
    log_level: Level,
    pub(super) token: Token,
    pub(super) subscriber: Subscriber,
    /// Modules may want payload of responses.
    expects_payload: bool,
    /// A connection that was made before the loop began.
    reached: Option<std::net::TcpStream>,
    pub(super) socket: Option<TcpStream>,
    /// The connection attempt is under way.
    pub(super) is_connecting: bool,
    pub(super) readiness: Readiness,
    /// When the next attempt begins, or the present one is given up.
    pub(super) retry_at: Instant,
    retry_delay: Duration,
    /// The intercept's latest counters, and those of processes of it before.
    pub(super) counters: Statistics,
    /// The reason of the last loss, so that each is logged once.
    complaint: Option<String>,
    told: Told,
}

/// What the log has said of a C intercept.
#[derive(Default)]
struct Told {
    /// That it is one; anew for every connection.
    is_c: bool,
    v6: bool,
    payload: bool,
}

impl Link {
    pub(super) fn new(
        address: SocketAddr,
        is_first: bool,
        token: Token,
        subscriber: Subscriber,
        expects_payload: bool,
        now: Instant,
    ) -> Self {
        Self {
            address,
            log_level: if is_first { Level::Warn } else { Level::Debug },
            token,
            subscriber,
            expects_payload,
            reached: None,
            socket: None,
            is_connecting: false,
            readiness: Readiness::default(),
            retry_at: now,
            retry_delay: FIRST_RETRY,
            counters: Statistics::default(),
            complaint: None,
            told: Told::default(),
        }
    }

    /// Takes over a connection that was made already.
    pub(super) fn adopt(&mut self, socket: std::net::TcpStream) {
        self.reached = Some(socket);
    }

    pub(super) fn is_up(&self) -> bool {
        self.subscriber.state() == SubscriberState::Connected
    }

    pub(super) fn connect(&mut self, now: Instant, registry: &Registry) {
        let connected = self.open().and_then(|mut socket| {
            registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => {
                self.socket = Some(socket);
                self.is_connecting = true;
                self.retry_at = now + CONNECT_PATIENCE;
            }
            Err(error) => self.complain_and_wait(now, &error.to_string()),
        }
    }

    fn open(&mut self) -> io::Result<TcpStream> {
        let Some(reached) = self.reached.take() else { return TcpStream::connect(self.address) };
        reached.set_nonblocking(true)?;
        Ok(TcpStream::from_std(reached))
    }

    /// Whether the connection stands now.
    pub(super) fn finish_connecting(&mut self, now: Instant) -> bool {
        let Some(socket) = &self.socket else { return false };
        if let Ok(Some(error)) | Err(error) = socket.take_error() {
            self.socket = None;
            self.complain_and_wait(now, &error.to_string());
            return false;
        }
        match socket.peer_addr() {
            Ok(_) => {
                tune(socket);
                self.is_connecting = false;
                self.subscriber.handle_connected(now);
                true
            }
            Err(_) => false, // not yet: the next event, or the time-out, decides
        }
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        totals: &mut FeedTotals,
        on_response: &mut impl FnMut(SessionId, Instant, &Segment<'_>),
    ) {
        let Some(socket) = &mut self.socket else { return };
        let (subscriber, counters) = (&mut self.subscriber, &mut self.counters);
        let (mut greeted, mut farewell) = (false, false);
        let outcome = read_some(socket, self.readiness.has_ended, buffer, |bytes| {
            subscriber.handle_bytes(now, bytes, |event| match event {
                SubscriberEvent::Response(response) => {
                    totals.responses += 1;
                    on_response(SessionId::from_bits(response.id.0), response.seen_at, &response.segment);
                }
                SubscriberEvent::Connected { .. } => {
                    totals.connects += 1;
                    greeted = true;
                }
                SubscriberEvent::Statistics(statistics) => *counters = statistics,
                SubscriberEvent::Answer(_) => {} // nothing is asked while replaying
                SubscriberEvent::Goodbye => farewell = true,
            })
        });
        if greeted {
            self.told = Told::default();
            self.announce("is up");
        }
        match outcome {
            Ok(Outcome::Drained) => {}
            Ok(Outcome::More) => self.readiness.is_ready = true,
            Ok(Outcome::Closed) if farewell => self.lose(now, "it was stopped", totals),
            Ok(Outcome::Closed) => self.lose(now, "it closed the connection", totals),
            Err(ReadError::Socket(error)) => self.lose(now, &error.to_string(), totals),
            Err(ReadError::Protocol(error)) => {
                self.write(now, totals);
                self.lose(now, &error.to_string(), totals);
            }
        }
    }

    fn announce(&mut self, state: &str) {
        self.complaint = None;
        self.retry_delay = FIRST_RETRY;
        let level = if self.log_level == Level::Warn { Level::Info } else { self.log_level };
        log::log!(level, "feed to intercept {} {state}", self.address);
    }

    /// Says once what is missing with a C intercept, each thing when it is known.
    pub(super) fn tell_of_c_intercept(&mut self, totals: &mut FeedTotals) {
        if !self.subscriber.is_c_intercept() {
            return;
        }
        if !mem::replace(&mut self.told.is_c, true) {
            totals.connects += 1;
            self.announce(
                "is up; it is a C intercept: what it or its kernel loses stays unknown, and so does whether it is alive",
            );
        }
        if self.subscriber.untold() > 0 && !mem::replace(&mut self.told.v6, true) {
            self.warn("a C intercept cannot return responses over IPv6: sessions over IPv6 get no answers");
        }
        let Some(payload) = self.subscriber.c_payload().filter(|_| self.expects_payload) else { return };
        if !mem::replace(&mut self.told.payload, true) {
            self.warn(if payload {
                "a C intercept returns payload of responses of up to 128 bytes only: modules miss longer ones"
            } else {
                "a C intercept returns no payload unless built --with-resp-payload: modules miss what is answered"
            });
        }
    }

    fn warn(&self, what: &str) {
        log::log!(self.log_level, "feed to intercept {}: {what}", self.address);
    }

    pub(super) fn write(&mut self, now: Instant, totals: &mut FeedTotals) {
        if self.is_connecting {
            return;
        }
        let Some(socket) = &mut self.socket else { return };
        loop {
            let offer = self.subscriber.poll_transmit();
            if offer.is_empty() {
                return;
            }
            match write_some(socket, offer) {
                Ok(0) => return,
                Ok(count) => self.subscriber.consume(count),
                Err(error) => return self.lose(now, &error.to_string(), totals),
            }
        }
    }

    pub(super) fn lose(&mut self, now: Instant, reason: &str, totals: &mut FeedTotals) {
        if !self.is_connecting && self.socket.is_some() {
            totals.losses += 1;
            self.subscriber.handle_disconnected(now);
        }
        self.socket = None;
        self.told.is_c = false;
        self.complain_and_wait(now, reason);
    }

    fn complain_and_wait(&mut self, now: Instant, reason: &str) {
        if self.complaint.as_deref() != Some(reason) {
            log::log!(
                self.log_level,
                "feed to intercept {} is down: {reason}; sessions wait, trying again",
                self.address
            );
            self.complaint = Some(reason.to_owned());
        }
        self.is_connecting = false;
        self.readiness = Readiness::default();
        self.retry_at = now + self.retry_delay;
        self.retry_delay = (self.retry_delay * 2).min(LAST_RETRY);
    }
}
