//! The doctor's connection to one intercept: opened, greeted, asked, and listened to.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tcpcopy_feed::{
    Answer, Features, FeedError, FlowId, Question, Registration, Subscriber, SubscriberEvent,
    SubscriberOptions, SubscriberState,
};
use tcpcopy_wire::{Flags, Flow, Instant};

use crate::clock::Clock;
use crate::socket::random;

/// How long a connection, and an answer, may take. Opening captures on many devices takes a second or two.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How long is waited for bytes at once.
const LISTEN: Duration = Duration::from_millis(5);

/// A response that intercept returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Which of the flows that were registered.
    pub(super) flow: usize,
    pub(super) flags: Flags,
    pub(super) at: Instant,
}

/// A connection to an intercept.
pub(super) struct Line {
    pub(super) address: SocketAddr,
    socket: TcpStream,
    subscriber: Subscriber,
    features: Features,
    answers: VecDeque<Answer>,
    pub(super) told: Vec<Told>,
    /// It is of no more use, and why.
    failed: Option<String>,
}

impl Line {
    /// Connects, and finds out who is there.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn open(address: SocketAddr, single: bool, dnat: bool, clock: &Clock) -> Result<Self, String> {
        let socket = TcpStream::connect_timeout(&address, CONNECT_PATIENCE).map_err(|error| {
            format!(
                "no intercept is reachable at {address}: {error}; start intercept there, and let packets to this port through"
            )
        })?;
        let named = |error: &dyn std::fmt::Display| format!("intercept {address}: {error}");
        socket
            .set_read_timeout(Some(LISTEN))
            .and_then(|()| socket.set_nodelay(true))
            .map_err(|error| named(&error))?;
        let features = Features(Features::PAYLOAD.0 | Features::INQUIRY.0);
        let options = SubscriberOptions { features, single, dnat, ..SubscriberOptions::default() };
        let subscriber = Subscriber::with_options(random(), options, clock.now());
        let mut line = Self {
            address,
            socket,
            subscriber,
            features: Features::default(),
            answers: VecDeque::new(),
            told: Vec::new(),
            failed: None,
        };
        line.subscriber.handle_connected(clock.now());
        while line.subscriber.state() == SubscriberState::Greeting && line.failed.is_none() {
            line.listen(clock.now());
        }
        match &line.failed {
            Some(why) => Err(named(why)),
            None => Ok(line),
        }
    }

    pub(super) fn is_c(&self) -> bool {
        self.subscriber.is_c_intercept()
    }

    /// Whether it can be asked about its host.
    pub(super) fn can_say(&self) -> bool {
        self.features.contains(Features::INQUIRY) && self.failed.is_none()
    }

    /// Our clock minus its, in microseconds.
    pub(super) fn clock_distance(&self) -> Option<i64> {
        self.subscriber.clock_distance()
    }

    /// Has the responses of that flow returned; `flow` is its number in [`Told`].
    pub(super) fn register(&mut self, number: usize, flow: Flow) {
        let id = FlowId(number as u64);
        self.subscriber.register(Registration::Add { id, flow, depth: 0 });
    }

    /// Asks, and waits for the answer; `None` when none comes.
    pub(super) fn ask(&mut self, question: &Question, clock: &Clock) -> Option<Answer> {
        if !self.can_say() {
            return None;
        }
        // What was answered too late belongs to an earlier question.
        self.answers.clear();
        self.subscriber.ask(question);
        let until = clock.now() + ANSWER_PATIENCE;
        while self.answers.is_empty() && self.failed.is_none() && clock.now() < until {
            self.listen(clock.now());
        }
        self.answers.pop_front()
    }

    /// Sends what waits, and takes in what comes within some milliseconds.
    pub(super) fn listen(&mut self, now: Instant) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) =
            self.subscriber.handle_timeout(now).map_err(|error| error.to_string()).and_then(|()| self.speak())
        {
            self.failed = Some(error);
            return;
        }
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.failed = Some("it closed the connection".to_owned()),
            Ok(count) => {
                if let Err(error) = self.hear(now, &bytes[..count]) {
                    // It is told why, if it still listens.
                    let _ = self.speak();
                    self.failed = Some(error.to_string());
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    fn hear(&mut self, now: Instant, bytes: &[u8]) -> Result<(), FeedError> {
        let Self { subscriber, features, answers, told, .. } = self;
        subscriber.handle_bytes(now, bytes, |event| match event {
            SubscriberEvent::Connected { features: agreed, .. } => *features = agreed,
            SubscriberEvent::Response(response) => {
                let flow = usize::try_from(response.id.0).unwrap_or(usize::MAX);
                told.push(Told { flow, flags: response.segment.flags, at: now });
            }
            SubscriberEvent::Answer(answer) => answers.push_back(answer),
            SubscriberEvent::Statistics(_) | SubscriberEvent::Goodbye => {}
        })
    }

    fn speak(&mut self) -> Result<(), String> {
        loop {
            let offer = self.subscriber.poll_transmit();
            if offer.is_empty() {
                return Ok(());
            }
            let count = self.socket.write(offer).map_err(|error| error.to_string())?;
            self.subscriber.consume(count);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.subscriber.handle_shutdown();
        // It finds out anyway.
        let _ = self.speak();
    }
}
