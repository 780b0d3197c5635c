//! tcpcopy's end of one connection to one intercept.

use std::time::Duration;

use tcpcopy_wire::Instant;

use crate::c_tool::{Batches, add_route, offer};
use crate::clock::PeerClock;
use crate::doorway::Doorway;
use crate::frame::FrameKind;
use crate::hello::{fitting_reason, refusal_body};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::registration::Keying;
use crate::{Answer, Features, FeedError, Question, Registration, Response, Statistics, VERSION};

mod arrival;
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
    /// An intercept that has said nothing for this long after the connection was made is taken for a C intercept,
    /// which says nothing until it has a response. If that is wrong, it shows as soon as it speaks.
    pub hello_within: Duration,
    /// What is offered to the intercept.
    pub features: Features,
    /// Nothing is registered: the intercept returns every response to this tcpcopy. Every flow of the process is to be
    /// handed to [`Subscriber::register`] of every connection.
    pub single: bool,
    /// Responses to sessions that are found by their flow may come from another address than the target's.
    pub dnat: bool,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            buffer_bytes: 256 * 1024,
            heartbeat: Duration::from_secs(2),
            silence: Duration::from_secs(10),
            hello_within: Duration::from_secs(1),
            features: Features::PAYLOAD,
            single: false,
            dnat: false,
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
    /// Both hellos were exchanged, or it is a C intercept.
    Connected,
    /// Something was wrong: the connection is to be closed.
    Failed,
}

/// What a [`Subscriber`] learns from its intercept.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What it was [asked](Subscriber::ask).
    Answer(Answer),
    /// The intercept is shutting down and closes the connection.
    Goodbye,
}

/// How the intercept speaks.
#[derive(Debug)]
enum Dialect {
    /// It has not said enough yet.
    Unknown(Doorway),
    /// As ours do.
    Feed(Inbox),
    /// As the C tools do, which has not shown yet in what it says.
    SilentC(Doorway),
    /// As the C tools do.
    C(Batches),
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
    dialect: Dialect,
    outbox: Outbox,
    roster: Roster,
    /// Flows that a C intercept cannot be told of.
    untold: u64,
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
            dialect: Dialect::Unknown(Doorway::default()),
            outbox: Outbox::new(options.buffer_bytes),
            roster: Roster::new(identity, Keying { dnat: options.dnat }),
            untold: 0,
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

    /// Whether it is connected to a C intercept: that hears of new flows and returns responses, and nothing else.
    #[must_use]
    pub const fn is_c_intercept(&self) -> bool {
        matches!(self.dialect, Dialect::SilentC(_) | Dialect::C(_))
    }

    /// Whether the C intercept returns payload, once that is known.
    #[must_use]
    pub fn c_payload(&self) -> Option<bool> {
        match &self.dialect {
            Dialect::C(batches) => batches.has_payload(),
            _ => None,
        }
    }

    /// How many flows C intercepts were not told of, because their protocol knows no IPv6.
    #[must_use]
    pub const fn untold(&self) -> u64 {
        self.untold
    }

    /// A new connection to the intercept is open.
    pub fn handle_connected(&mut self, now: Instant) {
        self.reset();
        self.enter(SubscriberState::Greeting, now);
        // Nothing is queued before it, so there is room.
        let expects_payload = self.options.features.contains(Features::EXPECTS_PAYLOAD);
        let _ = self.outbox.push_bare(&offer(expects_payload));
        self.next_heartbeat = now + self.options.heartbeat;
    }

    /// The connection is gone. Live flows are remembered for the next one.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.reset();
        self.enter(SubscriberState::Disconnected, now);
    }

    /// A flow begins, wants another depth, or ends. Takes effect at the intercept once connected.
    pub fn register(&mut self, registration: Registration) {
        let is_told = self.state == SubscriberState::Connected && !self.options.single;
        self.roster.register(registration, is_told);
    }

    /// Asks an intercept about its host, with which [`Features::INQUIRY`] was agreed upon.
    pub fn ask(&mut self, question: &Question) {
        if self.state == SubscriberState::Connected && !self.is_c_intercept() {
            self.push_control(FrameKind::Question, [&question.body(), &[]]);
        }
    }

    /// Our clock's time minus the intercept's in microseconds, the least delay of the latest messages included; `None`
    /// before any.
    #[must_use]
    pub fn clock_distance(&self) -> Option<i64> {
        self.clock.distance()
    }

    /// tcpcopy is shutting down: says goodbye. Send what [`Self::poll_transmit`] offers, then close.
    pub fn handle_shutdown(&mut self) {
        if self.state == SubscriberState::Connected && !self.is_c_intercept() {
            self.push_control(FrameKind::Goodbye, [&[], &[]]);
        }
    }

    /// The time [`Self::poll_timeout`] named has come.
    ///
    /// # Errors
    /// [`FeedError::Silent`] or [`FeedError::NoHello`] when nothing was heard for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), FeedError> {
        if self.c_presumed_at().is_some_and(|at| at <= now) {
            if let Dialect::Unknown(doorway) = &mut self.dialect {
                self.dialect = Dialect::SilentC(std::mem::take(doorway));
            }
            self.begin(now);
        }
        // A C intercept knows no heartbeats: whether it lives shows in the connection alone.
        if now < self.next_heartbeat || self.is_c_intercept() {
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
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            SubscriberState::Connected if self.is_c_intercept() => None,
            SubscriberState::Greeting | SubscriberState::Connected => {
                Some(self.c_presumed_at().map_or(self.next_heartbeat, |at| at.min(self.next_heartbeat)))
            }
            SubscriberState::Disconnected | SubscriberState::Failed => None,
        }
    }

    /// When an intercept that goes on saying nothing is taken for a C intercept.
    fn c_presumed_at(&self) -> Option<Instant> {
        let is_silent =
            self.state == SubscriberState::Greeting && matches!(self.dialect, Dialect::Unknown(_));
        is_silent.then(|| self.since + self.options.hello_within)
    }

    /// The next bytes to send; empty when there are none. Follow with [`Self::consume`].
    pub fn poll_transmit(&mut self) -> &[u8] {
        if self.state == SubscriberState::Connected {
            let (outbox, untold) = (&mut self.outbox, &mut self.untold);
            if matches!(self.dialect, Dialect::SilentC(_) | Dialect::C(_)) {
                self.roster.poll_registrations(|registration| send_route(outbox, registration, untold));
            } else {
                self.roster.poll_registrations(|registration| send_frame(outbox, registration));
            }
        }
        self.outbox.poll_transmit()
    }

    /// The first `count` of the bytes that [`Self::poll_transmit`] offered were sent.
    pub fn consume(&mut self, count: usize) {
        self.outbox.consume(count);
    }

    /// The connection is as good as it gets: from now on the intercept is told of flows.
    fn begin(&mut self, now: Instant) {
        self.enter(SubscriberState::Connected, now);
        if !self.options.single {
            self.roster.requeue();
        }
        if self.options.single || self.is_c_intercept() {
            self.roster.index();
        }
    }

    /// Gives the connection up; the intercept is told why unless it was the one to refuse.
    fn fail(&mut self, error: &FeedError, now: Instant) {
        self.enter(SubscriberState::Failed, now);
        let reason = match error {
            FeedError::Refused(_) | FeedError::Silent(_) => return,
            _ if self.is_c_intercept() => return,
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
        self.dialect = Dialect::Unknown(Doorway::default());
        self.outbox = Outbox::new(self.options.buffer_bytes);
        self.clock = PeerClock::default();
        self.unanswered = 0;
        self.next_heartbeat = Instant::MAX;
        self.roster.forget_announced();
    }
}

/// Tells an intercept of ours of a flow; `false` when there is no room.
fn send_frame(outbox: &mut Outbox, registration: &Registration) -> bool {
    let record = registration.record();
    let record = record.as_slice();
    if !outbox.has_room(record.len()) {
        return false;
    }
    if !outbox.has_open(FrameKind::Registrations, record.len()) {
        outbox.open(FrameKind::Registrations);
    }
    outbox.extend(record);
    true
}

/// Tells a C intercept of a flow, if that is new and of IPv4: it cannot be told of anything else. `false` when there is
/// no room.
fn send_route(outbox: &mut Outbox, registration: &Registration, untold: &mut u64) -> bool {
    let Registration::Add { flow, .. } = registration else { return true };
    if let Some(record) = add_route(flow) {
        return outbox.push_bare(&record);
    }
    *untold += 1;
    true
}
