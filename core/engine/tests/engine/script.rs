//! A scripted world around one [`Engine`]: a user, a target, a clock that goes only when told, and everything
//! transmitted, in order. A test reads as the conversation it plays.
//!
//! Both sides' sequence numbers begin just below 2³², so that nearly every test crosses the wrap.

mod lines;
mod openings;
mod sent;
mod target;
mod user;

use std::collections::HashMap;
use std::time::Duration;

use tcpcopy_engine::{
    Engine, EngineOptions, Event, Ignored, Mapping, Mappings, OnlineAddress, Pending, Registration,
    SessionId, Statistics, Verdict,
};
use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Segment, parse_ip};

pub(crate) use lines::Lines;
pub(crate) use sent::{Sent, words};
pub(crate) use target::Target;
pub(crate) use user::{Said, USER_ISN, User};

/// Where users talk to, and where the copy goes to.
pub(crate) const ONLINE: &str = "10.0.1.2:80";
pub(crate) const TARGET: &str = "10.0.3.2:8080";
/// For how many milliseconds the acknowledgement of an answer waits for words to go with.
pub(crate) const ACK_DELAY: u64 = 40;
/// More packets than any single step of a test has a reason to send.
const MOST_PACKETS: usize = 100_000;
/// More wake-ups at one moment mean that the engine would spin.
const MOST_WAKE_UPS: usize = 100;

/// An address as people write it.
pub(crate) fn end(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>().expect("an address with a port").into()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn mapping(online: &str, target: &str) -> Mapping {
    let online = end(online);
    Mapping { online: OnlineAddress { addr: Some(online.addr), port: online.port }, target: end(target) }
}

/// One engine, the user and the target of most tests, and what the engine has said.
pub(crate) struct Play {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) user: User,
    /// The target's present connection with each session.
    targets: HashMap<SessionId, Target>,
    /// The session that sent a SYN last: the one the target speaks to.
    current: Option<SessionId>,
    connections: u32,
    /// Every registration ever made, in order.
    pub(crate) registrations: Vec<Registration>,
    flows: HashMap<SessionId, Flow>,
    sent: Vec<Sent>,
    began: Instant,
    packet: Vec<u8>,
}

impl Play {
    pub(crate) fn new() -> Self {
        Self::with(EngineOptions::default())
    }

    pub(crate) fn with(options: EngineOptions) -> Self {
        Self::mapped(options, vec![mapping(ONLINE, TARGET)])
    }

    pub(crate) fn mapped(options: EngineOptions, mappings: Vec<Mapping>) -> Self {
        let began = Instant::from_micros(1_700_000_000_000_000);
        Self {
            engine: Engine::new(options, Mappings::new(mappings), 1),
            now: began,
            user: User::at("10.1.0.1:4000"),
            targets: HashMap::new(),
            current: None,
            connections: 0,
            registrations: Vec::new(),
            flows: HashMap::new(),
            sent: Vec::new(),
            began,
            packet: vec![0; 65_536],
        }
    }

    /// Milliseconds since the play began.
    pub(crate) fn clock(&self) -> u64 {
        self.now.since(self.began).as_millis() as u64
    }

    // What the user does, as captured.

    pub(crate) fn user_syn(&mut self) {
        let said = self.user.syn();
        self.capture(said);
    }

    /// The first packet of all, of no interest to anybody.
    pub(crate) fn capture_begins(&mut self) {
        let stranger = User { online: end("10.0.1.2:9"), ..User::at("10.1.0.9:9") }.acks(0);
        self.capture(stranger);
    }

    /// A bare acknowledgement of `heard` further bytes of the online server.
    pub(crate) fn user_acks(&mut self, heard: u32) {
        let said = self.user.acks(heard);
        self.capture(said);
    }

    /// The user says `words` after hearing `heard` further bytes of the online server.
    pub(crate) fn user_says(&mut self, words: impl AsRef<[u8]>, heard: u32) {
        let said = self.user.says(words, heard);
        self.capture(said);
    }

    pub(crate) fn user_fin(&mut self, heard: u32) {
        let said = self.user.fin(heard);
        self.capture(said);
    }

    pub(crate) fn user_rst(&mut self) {
        let said = self.user.rst();
        self.capture(said);
    }

    // What the target does, as intercept saw it.

    /// The session the target speaks to: the one that sent a SYN last, unless [`Self::turn_to`] said another.
    #[track_caller]
    pub(crate) fn session(&self) -> SessionId {
        self.current.expect("a session has sent a SYN")
    }

    /// Every session that has ever sent a SYN, in order.
    pub(crate) fn connected(&self) -> Vec<SessionId> {
        let asked = |made: &Registration| match made {
            Registration::Add { id, .. } if self.targets.contains_key(id) => Some(*id),
            _ => None,
        };
        self.registrations.iter().filter_map(asked).collect()
    }

    /// From now on the target speaks to `session`.
    pub(crate) fn turn_to(&mut self, session: SessionId) {
        self.current = Some(session);
    }

    /// The target's end of the present connection.
    #[track_caller]
    pub(crate) fn target(&mut self) -> &mut Target {
        let session = self.session();
        self.targets.get_mut(&session).expect("a session that sent a SYN has a connection")
    }

    pub(crate) fn target_syn_ack(&mut self) {
        let said = self.target().syn_ack();
        self.respond(said);
    }

    /// The target says `len` bytes and pushes; it acknowledges all it has heard.
    pub(crate) fn target_says(&mut self, len: u32) {
        let said = self.target().says(len, Flags::PSH);
        self.respond(said);
    }

    /// The target says these words and pushes; it acknowledges all it has heard.
    pub(crate) fn target_answers(&mut self, words: &'static str) {
        let said = self.target().says(words.len() as u32, Flags::PSH);
        self.respond(Segment { payload: words.as_bytes(), ..said });
    }

    /// The target says `len` bytes without a push: more will follow.
    pub(crate) fn target_goes_on(&mut self, len: u32) {
        let said = self.target().says(len, Flags::default());
        self.respond(said);
    }

    /// The target acknowledges all it has heard.
    pub(crate) fn target_acks(&mut self) {
        let said = self.target().acks();
        self.respond(said);
    }

    /// The target acknowledges what comes before the byte numbered `seq` in this play.
    pub(crate) fn target_acks_to(&mut self, seq: u32) {
        let said = self.target().acks_to(seq);
        self.respond(said);
    }

    pub(crate) fn target_fin(&mut self) {
        let said = self.target().fin();
        self.respond(said);
    }

    pub(crate) fn target_rst(&mut self) {
        let said = self.target().rst();
        self.respond(said);
    }

    /// The answer of a host without a listener: RST to our SYN.
    pub(crate) fn target_refuses(&mut self) {
        let said = self.target().refusal();
        self.respond(said);
    }

    // The world's clockwork.

    /// Hands a captured segment in and lets the engine act on it.
    #[track_caller]
    pub(crate) fn capture(&mut self, said: Said) {
        self.capture_at(said, self.now);
    }

    /// Like [`Self::capture`], for a segment that the kernel saw at `at`.
    #[track_caller]
    pub(crate) fn capture_at(&mut self, said: Said, at: Instant) {
        self.engine.handle_capture(self.now, at, &said.segment());
        self.settle();
    }

    /// Captured segments that arrive as one batch: the engine acts after the last.
    #[track_caller]
    pub(crate) fn capture_batch(&mut self, batch: impl IntoIterator<Item = Said>) {
        for said in batch {
            self.engine.handle_capture(self.now, self.now, &said.segment());
        }
        self.settle();
    }

    /// Hands a response on the present connection in and lets the engine act on it.
    #[track_caller]
    pub(crate) fn respond(&mut self, said: Segment<'static>) {
        self.respond_at(said, self.now);
    }

    /// Like [`Self::respond`], for a response that was captured at `at`.
    #[track_caller]
    pub(crate) fn respond_at(&mut self, said: Segment<'static>, at: Instant) {
        self.engine.handle_response(self.now, at, self.session(), &said);
        self.settle();
    }

    /// Responses that arrive as one batch: the engine acts after the last.
    #[track_caller]
    pub(crate) fn respond_batch(&mut self, batch: impl IntoIterator<Item = Segment<'static>>) {
        for said in batch {
            self.engine.handle_response(self.now, self.now, self.session(), &said);
        }
        self.settle();
    }

    /// Lets `millis` pass, waking the engine whenever it wishes.
    #[track_caller]
    pub(crate) fn advance(&mut self, millis: u64) {
        let until = self.now + ms(millis);
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// Timers and drain, until nothing is due, as the runtime does after every round.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        for _ in 0..MOST_WAKE_UPS {
            self.engine.handle_timeout(self.now);
            self.drain();
            if self.engine.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("at {} ms the engine asks to be woken again and again", self.clock());
    }

    /// Registrations go before packets; what ends while packets are made is registered after them.
    #[track_caller]
    fn drain(&mut self) {
        self.drain_registrations();
        for _ in 0..MOST_PACKETS {
            if !self.transmit_one() {
                return self.drain_registrations();
            }
        }
        panic!("at {} ms a drain does not end", self.clock());
    }

    /// A round that is cut short: `packets` are transmitted at the most, others wait for the next one.
    #[track_caller]
    pub(crate) fn settle_in_haste(&mut self, packets: usize) {
        self.engine.handle_timeout(self.now);
        self.drain_registrations();
        let _ = (0..packets).find(|_| !self.transmit_one());
    }

    /// Takes the next packet out of the engine, if one is due.
    #[track_caller]
    fn transmit_one(&mut self) -> bool {
        let Some((id, len)) = self.engine.poll_transmit(self.now, &mut self.packet) else {
            return false;
        };
        let packet = std::mem::take(&mut self.packet);
        let segment = parse_ip(&packet[..len], len).expect("what we transmit is a TCP segment");
        self.transmitted(id, &segment);
        self.packet = packet;
        true
    }

    fn drain_registrations(&mut self) {
        while let Some(registration) = self.engine.poll_registration() {
            if let Registration::Add { id, flow, .. } = registration {
                assert!(self.flows.insert(id, flow).is_none(), "a session is registered once");
            }
            self.registrations.push(registration);
        }
    }

    #[track_caller]
    fn transmitted(&mut self, id: SessionId, segment: &Segment<'_>) {
        let flow = Flow { client: segment.source, server: segment.destination };
        assert_eq!(
            self.flows.get(&id),
            Some(&flow),
            "intercept knows a flow before the target can answer on it"
        );
        let asked_before = self.targets.get(&id).is_some_and(|target| target.iss == segment.seq);
        if segment.flags.syn() && !asked_before {
            self.targets.insert(id, Target::new(self.connections));
            self.current = Some(id);
            self.connections += 1;
        }
        let target = self.targets.get_mut(&id).expect("a connection begins with a SYN");
        target.hear(segment);
        self.sent.push(Sent::new(id, self.now.since(self.began).as_millis() as u64, segment, target));
    }

    // What is looked at.

    /// Everything transmitted since this was last asked.
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// What has been transmitted since last asked is exactly `lines`; see [`Sent::line`] for how they read.
    #[track_caller]
    pub(crate) fn expect(&mut self, lines: &[&str]) {
        let sent: Vec<String> = self.sent().iter().map(Sent::line).collect();
        assert_eq!(sent, lines, "transmitted at {} ms, left: by the engine, right: expected", self.clock());
    }

    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.expect(&[]);
    }

    /// What modules told since this was last asked.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.engine.poll_event()).collect()
    }

    pub(crate) fn statistics(&self) -> &Statistics {
        self.engine.statistics()
    }

    pub(crate) fn ignored(&self, reason: Ignored) -> u64 {
        self.statistics().ignored[reason as usize]
    }

    /// Sessions that ended with `verdict`.
    pub(crate) fn ended(&self, verdict: Verdict) -> u64 {
        self.statistics().ended[verdict as usize].sessions
    }

    /// The one session of this play has ended so, and left nothing behind.
    #[track_caller]
    pub(crate) fn expect_end(&self, verdict: Verdict) {
        let ended: Vec<_> = Verdict::ALL.into_iter().filter(|of| self.ended(*of) > 0).collect();
        assert_eq!(ended, [verdict], "the verdicts of all sessions");
        assert_eq!(self.engine.pending(), Pending::default(), "what is still under way");
    }

    #[track_caller]
    pub(crate) fn expect_alive(&self) {
        assert_eq!(self.engine.pending().sessions, 1, "sessions alive");
    }
}
