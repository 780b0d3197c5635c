//! tcpcopy's feeds: the connections to all intercepts, kept up.

mod link;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mio::event::Event;
use mio::{Registry, Token};
use tcpcopy_engine::{Registration, SessionId};
use tcpcopy_feed::{Features, FlowId, Statistics, Subscriber, SubscriberOptions};
use tcpcopy_wire::{Instant, Segment};

use crate::socket::{READ_BYTES, random};
use crate::{FeedTotals, StartError};
use link::Link;

/// How long the first connection may take before the start counts as failed.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// How intercepts are connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedOptions {
    /// Connections to each, at least one.
    pub(crate) per_intercept: usize,
    /// Not reaching any is no reason not to start.
    pub(crate) lonely: bool,
    /// Modules may want payload of responses.
    pub(crate) expects_payload: bool,
    /// Nothing is registered: intercept returns every response.
    pub(crate) single: bool,
    /// Targets may answer from other addresses than the sessions were opened to.
    pub(crate) dnat: bool,
}

/// All connections to all intercepts.
pub(crate) struct Feeds {
    links: Vec<Link>,
    per_intercept: usize,
    single: bool,
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
        let FeedOptions { per_intercept, lonely, expects_payload, single, dnat } = options;
        let expected = if expects_payload { Features::EXPECTS_PAYLOAD } else { Features::default() };
        let features = Features(Features::PAYLOAD.0 | expected.0);
        let identity = random();
        let subscriber = || {
            let options = SubscriberOptions { features, single, dnat, ..SubscriberOptions::default() };
            Subscriber::with_options(identity, options, now)
        };
        let addresses = intercepts.iter().flat_map(|address| std::iter::repeat_n(*address, per_intercept));
        let mut links: Vec<Link> = addresses
            .enumerate()
            .map(|(index, address)| {
                let is_first = index % per_intercept == 0;
                let token = Token(first_token + index);
                Link::new(address, is_first, token, subscriber(), expects_payload, now)
            })
            .collect();
        let totals = FeedTotals { wanted: links.len(), ..FeedTotals::default() };
        if !lonely {
            let (index, socket) = reach_one(intercepts)?;
            if let Some(link) = links.get_mut(index * per_intercept) {
                link.adopt(socket);
            }
        }
        Ok(Self { links, per_intercept, single, buffer: vec![0; READ_BYTES].into(), totals })
    }

    /// The link of `token`, if it is one of ours.
    pub(crate) fn owns(&self, token: Token) -> bool {
        self.links.first().is_some_and(|link| token >= link.token)
            && self.links.last().is_some_and(|link| token <= link.token)
    }

    /// The poll said that something can be done on `token`.
    pub(crate) fn mark_ready(&mut self, token: Token, event: &Event) {
        if let Some(link) = self.links.iter_mut().find(|link| link.token == token) {
            link.readiness.mark(event);
        }
    }

    /// Whether all connections to at least one intercept are up.
    pub(crate) fn reaches_one(&self) -> bool {
        self.links.chunks(self.per_intercept).any(|links| links.iter().all(Link::is_up))
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.links.iter().any(|link| link.readiness.is_ready)
    }

    /// Tells every intercept of a flow, each over the connection that is its session's. Where responses are returned
    /// unasked, they may come over any.
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
        let (lane, step) = if self.single {
            (0, 1)
        } else {
            (id.to_bits() as usize % self.per_intercept, self.per_intercept)
        };
        for link in self.links.iter_mut().skip(lane).step_by(step) {
            link.subscriber.register(told);
        }
    }

    /// Reads what has come and hands the responses to `on_response`.
    pub(crate) fn read(
        &mut self,
        now: Instant,
        mut on_response: impl FnMut(SessionId, Instant, &Segment<'_>),
    ) {
        let totals = &mut self.totals;
        for link in self.links.iter_mut().filter(|link| link.readiness.is_ready) {
            link.readiness.is_ready = false;
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
            link.tell_of_c_intercept(&mut self.totals);
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

/// A start without any intercept is a mistake in the command line more often than not. Returns which one was reached,
/// and the connection: a C intercept that serves one tcpcopy would count one that is dropped as a tcpcopy.
fn reach_one(intercepts: &[SocketAddr]) -> Result<(usize, TcpStream), StartError> {
    let mut reason = String::new();
    for (index, address) in intercepts.iter().enumerate() {
        match TcpStream::connect_timeout(address, START_PATIENCE) {
            Ok(socket) => return Ok((index, socket)),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(StartError::NoIntercept { tried: intercepts.to_vec(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(lonely: bool) -> FeedOptions {
        FeedOptions { per_intercept: 2, lonely, expects_payload: false, single: false, dnat: false }
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
