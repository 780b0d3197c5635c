//! tcpcopy's end of one connection to one intercept.

use std::time::Duration;

use tcpcopy_wire::Instant;

use crate::bytes::Reader;
use crate::clock::PeerClock;
use crate::frame::{Frame, FrameKind};
use crate::hello::{Hello, Opening, Role, fitting_reason, parse_opening, parse_refusal, refusal_body};
use crate::inbox::{Inbox, Unreadable};
use crate::outbox::Outbox;
use crate::response::parse;
use crate::{Features, FeedError, Registration, Response, Statistics, VERSION};

mod roster;

use roster::Roster;

/// How a [`Subscriber`] behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberOptions {
    /// Most bytes that wait to be sent, at least 2 KiB. Registrations that do not fit wait as eight-byte
    /// identities.
    pub buffer_bytes: usize,
    /// Time between our heartbeats.
    pub heartbeat: Duration,
    /// An intercept that says nothing for this long, heartbeats included, counts as dead. A multiple of
    /// `heartbeat`; it outlasts an intercept that is merely stopped for some seconds.
    pub silence: Duration,
    /// What is offered to the intercept.
    pub features: Features,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            buffer_bytes: 256 * 1024,
            heartbeat: Duration::from_secs(2),
            silence: Duration::from_secs(10),
            features: Features::PAYLOAD,
        }
    }
}

impl SubscriberOptions {
    /// How many heartbeats of ours pass in the time of silence.
    fn patience(&self) -> u32 {
        let beats = self.silence.as_micros() / self.heartbeat.as_micros().max(1);
        u32::try_from(beats).unwrap_or(u32::MAX).max(1)
    }
}

/// How far a [`Subscriber`]'s connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriberState {
    /// There is no connection.
    Disconnected,
    /// Connected; the intercept's hello has not come yet.
    Greeting,
    /// Both hellos were exchanged.
    Connected,
    /// Something was wrong: the connection is to be closed.
    Failed,
}

/// What a [`Subscriber`] learns from its intercept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriberEvent<'a> {
    /// The intercept said hello; all live flows are registered anew.
    Connected {
        /// A number the intercept process chose at its start.
        identity: u64,
        /// What both ends can do.
        features: Features,
        /// The intercept is not the process that the connection before led to: what it held is lost.
        restarted: bool,
    },
    /// A response of the target.
    Response(Response<'a>),
    /// The intercept's statistics; they count from its start.
    Statistics(Statistics),
    /// The intercept is shutting down and closes the connection.
    Goodbye,
}

/// tcpcopy's end of one feed connection.
///
/// Input: [`Self::handle_connected`], [`Self::handle_disconnected`], [`Self::handle_bytes`],
/// [`Self::handle_timeout`], [`Self::register`], [`Self::handle_shutdown`]. Output: [`Self::poll_transmit`]
/// with [`Self::consume`], [`Self::poll_timeout`]. Time must not run backwards. After any input, send what
/// `poll_transmit` offers until it is empty or the socket takes no more.
///
/// An `Err` means: send what `poll_transmit` still offers if that is possible at once, close the connection,
/// call [`Self::handle_disconnected`] and connect again after a while. Live flows are remembered meanwhile.
#[derive(Debug)]
pub struct Subscriber {
    identity: u64,
    options: SubscriberOptions,
    state: SubscriberState,
    since: Instant,
    inbox: Inbox,
    outbox: Outbox,
    roster: Roster,
    clock: PeerClock,
    /// The intercept process of this or the latest connection.
    intercept: Option<u64>,
    next_heartbeat: Instant,
    /// Heartbeats of ours since anything was heard. Counted, not measured: after this process itself was
    /// stopped for a while, what the intercept sent meanwhile still waits to be read.
    unanswered: u32,
}

impl Subscriber {
    /// A subscriber of the process that chose `identity` (at random, at its start; the same for all its
    /// connections), not connected yet.
    #[must_use]
    pub fn new(identity: u64, now: Instant) -> Self {
        Self::with_options(identity, SubscriberOptions::default(), now)
    }

    /// As [`Self::new`], with other options than the default.
    #[must_use]
    pub fn with_options(identity: u64, options: SubscriberOptions, now: Instant) -> Self {
        Self {
            identity,
            options,
            state: SubscriberState::Disconnected,
            since: now,
            inbox: Inbox::default(),
            outbox: Outbox::new(options.buffer_bytes),
            roster: Roster::new(identity),
            clock: PeerClock::default(),
            intercept: None,
            next_heartbeat: Instant::MAX,
            unanswered: 0,
        }
    }

    /// How far the connection is.
    #[must_use]
    pub const fn state(&self) -> SubscriberState {
        self.state
    }

    /// Since when it is in that state.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// How many flows are registered or shall be.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.roster.live()
    }

    /// Bytes that wait to be sent; registrations that wait as identities not counted.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// A new connection to the intercept is open.
    pub fn handle_connected(&mut self, now: Instant) {
        self.reset();
        self.enter(SubscriberState::Greeting, now);
        let features = self.options.features;
        let hello = Hello { role: Role::Tcpcopy, features, identity: self.identity, clock: now };
        self.push_control(FrameKind::Hello, [hello.body().as_slice(), &[]]);
        self.next_heartbeat = now + self.options.heartbeat;
    }

    /// The connection is gone. Live flows are remembered for the next one.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.reset();
        self.enter(SubscriberState::Disconnected, now);
    }

    /// Bytes have arrived, cut anywhere. What they say is handed to `on_event` in order.
    ///
    /// # Errors
    /// [`FeedError`] when the connection is of no more use; bytes after that are ignored.
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut on_event: impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        if matches!(self.state, SubscriberState::Disconnected | SubscriberState::Failed) {
            return Ok(());
        }
        self.unanswered = 0;
        let mut inbox = std::mem::take(&mut self.inbox);
        let outcome = self.read_frames(now, &mut inbox, bytes, &mut on_event);
        self.inbox = inbox;
        outcome.inspect_err(|error| self.fail(error, now))
    }

    /// A flow begins, wants another depth, or ends. Takes effect at the intercept once connected.
    pub fn register(&mut self, registration: Registration) {
        self.roster.register(registration, self.state == SubscriberState::Connected);
    }

    /// tcpcopy is shutting down: says goodbye. Send what [`Self::poll_transmit`] offers, then close.
    pub fn handle_shutdown(&mut self) {
        if self.state == SubscriberState::Connected {
            self.push_control(FrameKind::Goodbye, [&[], &[]]);
        }
    }

    /// The time [`Self::poll_timeout`] named has come.
    ///
    /// # Errors
    /// [`FeedError::Silent`] or [`FeedError::NoHello`] when nothing was heard for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), FeedError> {
        if now < self.next_heartbeat {
            return Ok(());
        }
        self.next_heartbeat = now + self.options.heartbeat;
        self.unanswered += 1;
        if self.unanswered > self.options.patience() {
            let waited = self.options.silence.as_secs();
            let error = match self.state {
                SubscriberState::Greeting => FeedError::NoHello(waited),
                _ => FeedError::Silent(waited),
            };
            self.fail(&error, now);
            return Err(error);
        }
        if self.state == SubscriberState::Connected {
            self.push_control(FrameKind::Heartbeat, [&now.micros().to_be_bytes(), &[]]);
        }
        Ok(())
    }

    /// When to call [`Self::handle_timeout`] next; `None` without a connection.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            SubscriberState::Greeting | SubscriberState::Connected => Some(self.next_heartbeat),
            SubscriberState::Disconnected | SubscriberState::Failed => None,
        }
    }

    /// The next bytes to send; empty when there are none. Follow with [`Self::consume`].
    pub fn poll_transmit(&mut self) -> &[u8] {
        if self.state == SubscriberState::Connected {
            self.roster.poll_registrations(&mut self.outbox);
        }
        self.outbox.poll_transmit()
    }

    /// The first `count` of the bytes that [`Self::poll_transmit`] offered were sent.
    pub fn consume(&mut self, count: usize) {
        self.outbox.consume(count);
    }

    fn read_frames(
        &mut self,
        now: Instant,
        inbox: &mut Inbox,
        mut bytes: &[u8],
        on_event: &mut impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        loop {
            match inbox.next(&mut bytes) {
                Ok(Some(frame)) if self.state == SubscriberState::Greeting => {
                    on_event(self.greet(now, frame)?);
                }
                Ok(Some(frame)) => self.read_frame(now, frame, on_event)?,
                Ok(None) => return Ok(()),
                Err(Unreadable::Malformed(malformed)) => return Err(malformed.into()),
                Err(Unreadable::Stranger | Unreadable::CTcpcopy(_)) => return Err(FeedError::NotAFeed),
            }
        }
    }

    fn greet(&mut self, now: Instant, frame: Frame<'_>) -> Result<SubscriberEvent<'static>, FeedError> {
        let hello = match parse_opening(frame)? {
            Opening::Refusal(reason) => return Err(FeedError::Refused(reason)),
            Opening::OtherVersion(version) => return Err(FeedError::Version(version)),
            Opening::Hello(hello) if hello.role != Role::Intercept => return Err(FeedError::NotAnIntercept),
            Opening::Hello(hello) => hello,
        };
        self.clock.handle_reading(now, hello.clock);
        self.enter(SubscriberState::Connected, now);
        self.roster.requeue();
        let before = self.intercept.replace(hello.identity);
        Ok(SubscriberEvent::Connected {
            identity: hello.identity,
            features: self.options.features.common(hello.features),
            restarted: before.is_some_and(|before| before != hello.identity),
        })
    }

    fn read_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        on_event: &mut impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        match frame.kind {
            FrameKind::Responses => {
                let mut body = Reader::new(frame.body);
                let mut before = Instant::from_micros(body.u64()?);
                while !body.is_empty() {
                    let mut response = parse(before, &mut body)?;
                    before = response.seen_at;
                    response.seen_at = self.clock.ours(now, response.seen_at);
                    on_event(SubscriberEvent::Response(response));
                }
            }
            FrameKind::Statistics => {
                on_event(SubscriberEvent::Statistics(Statistics::parse(frame.body)?));
            }
            FrameKind::Heartbeat => {
                let theirs = Instant::from_micros(Reader::new(frame.body).u64()?);
                self.clock.handle_reading(now, theirs);
            }
            FrameKind::Goodbye => on_event(SubscriberEvent::Goodbye),
            FrameKind::Refuse => return Err(FeedError::Refused(parse_refusal(frame)?)),
            FrameKind::Hello | FrameKind::Registrations => return Err(frame.unexpected().into()),
        }
        Ok(())
    }

    /// Gives the connection up; the intercept is told why unless it was the one to refuse.
    fn fail(&mut self, error: &FeedError, now: Instant) {
        self.enter(SubscriberState::Failed, now);
        let reason = match error {
            FeedError::Refused(_) | FeedError::Silent(_) => return,
            FeedError::Version(theirs) => format!(
                "tcpcopy speaks feed version {VERSION}, intercept version {theirs}: install the same release on \
                 both hosts"
            ),
            other => other.to_string(),
        };
        self.push_control(FrameKind::Refuse, [refusal_body().as_slice(), fitting_reason(&reason).as_bytes()]);
    }

    /// Queues a frame that batched records leave room for. Should there be none all the same, the peer takes
    /// nothing at all and will be found dead.
    fn push_control(&mut self, kind: FrameKind, body: [&[u8]; 2]) {
        let _ = self.outbox.push_frame(kind, body);
    }

    fn enter(&mut self, state: SubscriberState, now: Instant) {
        self.state = state;
        self.since = now;
    }

    fn reset(&mut self) {
        self.inbox = Inbox::default();
        self.outbox = Outbox::new(self.options.buffer_bytes);
        self.clock = PeerClock::default();
        self.unanswered = 0;
        self.next_heartbeat = Instant::MAX;
        self.roster.forget_announced();
    }
}
