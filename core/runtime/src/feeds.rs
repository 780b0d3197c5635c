//! tcpcopy's feeds: the connections to all intercepts, kept up.

use std::net::SocketAddr;
use std::time::Duration;

use log::Level;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tcpcopy_engine::{Registration, SessionId};
use tcpcopy_feed::{Features, FlowId, Statistics, Subscriber, SubscriberEvent, SubscriberOptions};
use tcpcopy_wire::{Instant, Segment};

use crate::socket::{Outcome, READ_BYTES, ReadError, random, read_some, write_some};
use crate::{FeedTotals, StartError};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// How long the first connection may take before the start counts as failed.
const START_PATIENCE: Duration = Duration::from_secs(3);
/// A connection attempt that is not answered is given up after this long.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How intercepts are connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedOptions {
    /// Connections to each, at least one.
    pub(crate) per_intercept: usize,
    /// Not reaching any is no reason not to start.
    pub(crate) lonely: bool,
    /// Modules may want payload of responses.
    pub(crate) expects_payload: bool,
}

/// One connection to one intercept.
struct Link {
    address: SocketAddr,
    /// The first connection to its intercept speaks for all of them in the log.
    log_level: Level,
    token: Token,
    subscriber: Subscriber,
    socket: Option<TcpStream>,
    /// The connection attempt is under way.
    is_connecting: bool,
    is_ready: bool,
    /// When the next attempt begins, or the present one is given up.
    retry_at: Instant,
    retry_delay: Duration,
    /// The intercept's latest counters, and those of processes of it before.
    counters: Statistics,
    /// The reason of the last loss, so that each is logged once.
    complaint: Option<String>,
}

/// All connections to all intercepts.
pub(crate) struct Feeds {
    links: Vec<Link>,
    per_intercept: usize,
    buffer: Box<[u8]>,
    totals: FeedTotals,
}

impl Feeds {
    /// The connections to each of `intercepts`, with tokens from `first_token` on. The first of each is tried at once:
    /// unless one is reachable or `lonely` is set, the start fails.
    pub(crate) fn start(
        intercepts: &[SocketAddr],
        options: FeedOptions,
        first_token: usize,
        now: Instant,
    ) -> Result<Self, StartError> {
        let FeedOptions { per_intercept, lonely, expects_payload } = options;
        let expected = if expects_payload { Features::EXPECTS_PAYLOAD } else { Features::default() };
        let features = Features(Features::PAYLOAD.0 | expected.0);
        let identity = random();
        let subscriber = || {
            let options = SubscriberOptions { features, ..SubscriberOptions::default() };
            Subscriber::with_options(identity, options, now)
        };
        let addresses = intercepts.iter().flat_map(|address| std::iter::repeat_n(*address, per_intercept));
        let links: Vec<Link> = addresses
            .enumerate()
            .map(|(index, address)| {
                let is_first = index % per_intercept == 0;
                Link::new(address, is_first, Token(first_token + index), subscriber(), now)
            })
            .collect();
        let totals = FeedTotals { wanted: links.len(), ..FeedTotals::default() };
        if !lonely {
            reach_one(intercepts)?;
        }
        Ok(Self { links, per_intercept, buffer: vec![0; READ_BYTES].into(), totals })
    }

    /// The link of `token`, if it is one of ours.
    pub(crate) fn owns(&self, token: Token) -> bool {
        self.links.first().is_some_and(|link| token >= link.token)
            && self.links.last().is_some_and(|link| token <= link.token)
    }

    /// The poll said that something can be done on `token`.
    pub(crate) fn mark_ready(&mut self, token: Token) {
        if let Some(link) = self.links.iter_mut().find(|link| link.token == token) {
            link.is_ready = true;
        }
    }

    /// Whether all connections to at least one intercept are up.
    pub(crate) fn reaches_one(&self) -> bool {
        self.links.chunks(self.per_intercept).any(|links| links.iter().all(Link::is_up))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.links.iter().any(|link| link.is_ready)
    }

    /// Tells every intercept of a flow, each over the connection that is its session's.
    pub(crate) fn register(&mut self, registration: Registration) {
        let told = |id: SessionId| FlowId(id.to_bits());
        let (id, told) = match registration {
            Registration::Add { id, flow, depth } => {
                (id, tcpcopy_feed::Registration::Add { id: told(id), flow, depth })
            }
            Registration::Depth { id, depth } => {
                (id, tcpcopy_feed::Registration::Depth { id: told(id), depth })
            }
            Registration::Remove { id } => (id, tcpcopy_feed::Registration::Remove { id: told(id) }),
        };
        let lane = id.to_bits() as usize % self.per_intercept;
        for link in self.links.iter_mut().skip(lane).step_by(self.per_intercept) {
            link.subscriber.register(told);
        }
    }

    /// Reads what has come and hands the responses to `on_response`.
    pub(crate) fn read(&mut self, now: Instant, mut on_response: impl FnMut(SessionId, &Segment<'_>)) {
        let totals = &mut self.totals;
        for link in self.links.iter_mut().filter(|link| link.is_ready) {
            link.is_ready = false;
            if link.is_connecting && !link.finish_connecting(now) {
                continue;
            }
            link.read(now, &mut self.buffer, totals, &mut on_response);
        }
    }

    /// Sends what waits, and keeps the connections up.
    pub(crate) fn write(&mut self, now: Instant, registry: &Registry) {
        for link in &mut self.links {
            if link.socket.is_none() && link.retry_at <= now {
                link.connect(now, registry);
            }
            if link.is_connecting && link.retry_at <= now {
                link.lose(now, "it does not answer", &mut self.totals);
            }
            if let Err(error) = link.subscriber.handle_timeout(now) {
                link.lose(now, &error.to_string(), &mut self.totals);
            }
            link.write(now, &mut self.totals);
        }
    }

    /// Says goodbye everywhere; what a socket does not take at once is not waited for.
    pub(crate) fn shut_down(&mut self, now: Instant) {
        for link in &mut self.links {
            link.subscriber.handle_shutdown();
            link.write(now, &mut self.totals);
        }
    }

    /// When [`Self::write`] is due at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = |link: &Link| {
            let retry = (link.socket.is_none() || link.is_connecting).then_some(link.retry_at);
            retry.into_iter().chain(link.subscriber.poll_timeout()).min()
        };
        self.links.iter().filter_map(due).min()
    }

    pub(crate) fn totals(&self) -> FeedTotals {
        let mut totals = self.totals;
        totals.connected = self.links.iter().filter(|link| link.is_up()).count();
        for lane in self.links.chunks(self.per_intercept) {
            // Every connection hears the same of its intercept's capture, and its own of what was dropped.
            let most =
                |of: fn(&Statistics) -> u64| lane.iter().map(|link| of(&link.counters)).max().unwrap_or(0);
            totals.intercept_kernel_dropped += most(|counters| counters.capture.kernel_dropped);
            totals.held_expired += most(|counters| counters.held_expired);
            totals.overflowed += lane.iter().map(|link| link.counters.overflowed).sum::<u64>();
        }
        totals
    }
}

/// A start without any intercept is a mistake in the command line more often than not.
fn reach_one(intercepts: &[SocketAddr]) -> Result<(), StartError> {
    let mut reason = String::new();
    for address in intercepts {
        match std::net::TcpStream::connect_timeout(address, START_PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(StartError::NoIntercept { tried: intercepts.to_vec(), reason })
}

impl Link {
    fn new(address: SocketAddr, is_first: bool, token: Token, subscriber: Subscriber, now: Instant) -> Self {
        Self {
            address,
            log_level: if is_first { Level::Warn } else { Level::Debug },
            token,
            subscriber,
            socket: None,
            is_connecting: false,
            is_ready: false,
            retry_at: now,
            retry_delay: FIRST_RETRY,
            counters: Statistics::default(),
            complaint: None,
        }
    }

    fn is_up(&self) -> bool {
        self.subscriber.state() == tcpcopy_feed::SubscriberState::Connected
    }

    fn connect(&mut self, now: Instant, registry: &Registry) {
        let connected = TcpStream::connect(self.address).and_then(|mut socket| {
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

    /// Whether the connection stands now.
    fn finish_connecting(&mut self, now: Instant) -> bool {
        let Some(socket) = &self.socket else { return false };
        if let Ok(Some(error)) | Err(error) = socket.take_error() {
            self.socket = None;
            self.complain_and_wait(now, &error.to_string());
            return false;
        }
        match socket.peer_addr() {
            Ok(_) => {
                let _ = socket.set_nodelay(true); // only costs time where it fails
                self.is_connecting = false;
                self.subscriber.handle_connected(now);
                true
            }
            Err(_) => false, // not yet: the next event, or the time-out, decides
        }
    }

    fn read(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        totals: &mut FeedTotals,
        on_response: &mut impl FnMut(SessionId, &Segment<'_>),
    ) {
        let Some(socket) = &mut self.socket else { return };
        let (subscriber, counters) = (&mut self.subscriber, &mut self.counters);
        let (mut greeted, mut farewell) = (false, false);
        let outcome = read_some(socket, buffer, |bytes| {
            subscriber.handle_bytes(now, bytes, |event| match event {
                SubscriberEvent::Response(response) => {
                    totals.responses += 1;
                    on_response(SessionId::from_bits(response.id.0), &response.segment);
                }
                SubscriberEvent::Connected { .. } => {
                    totals.connects += 1;
                    greeted = true;
                }
                SubscriberEvent::Statistics(statistics) => *counters = statistics,
                SubscriberEvent::Goodbye => farewell = true,
            })
        });
        if greeted {
            self.complaint = None;
            self.retry_delay = FIRST_RETRY;
            let level = if self.log_level == Level::Warn { Level::Info } else { self.log_level };
            log::log!(level, "feed to intercept {} is up", self.address);
        }
        match outcome {
            Ok(Outcome::Drained) => {}
            Ok(Outcome::More) => self.is_ready = true,
            Ok(Outcome::Closed) if farewell => self.lose(now, "it was stopped", totals),
            Ok(Outcome::Closed) => self.lose(now, "it closed the connection", totals),
            Err(ReadError::Socket(error)) => self.lose(now, &error.to_string(), totals),
            Err(ReadError::Protocol(error)) => {
                self.write(now, totals);
                self.lose(now, &error.to_string(), totals);
            }
        }
    }

    fn write(&mut self, now: Instant, totals: &mut FeedTotals) {
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

    fn lose(&mut self, now: Instant, reason: &str, totals: &mut FeedTotals) {
        if !self.is_connecting && self.socket.is_some() {
            totals.losses += 1;
            self.subscriber.handle_disconnected(now);
        }
        self.socket = None;
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
        self.is_ready = false;
        self.retry_at = now + self.retry_delay;
        self.retry_delay = (self.retry_delay * 2).min(LAST_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(lonely: bool) -> FeedOptions {
        FeedOptions { per_intercept: 2, lonely, expects_payload: false }
    }

    #[test]
    fn nobody_listening_is_one_sentence() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let Err(error) = Feeds::start(&[address], options(false), 0, Instant::ZERO) else {
            panic!("started without an intercept");
        };
        let text = error.to_string();
        assert!(text.contains(&address.to_string()) && text.contains("-L"), "{text}");
        assert!(Feeds::start(&[address], options(true), 0, Instant::ZERO).is_ok());
    }

    #[test]
    fn a_listening_intercept_is_reached() -> std::io::Result<()> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        assert!(Feeds::start(&[listener.local_addr()?], options(false), 0, Instant::ZERO).is_ok());
        Ok(())
    }
}
