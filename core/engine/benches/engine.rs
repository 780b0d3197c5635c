//! What a replayed request and a replayed connection cost in the engine alone, beside the least that any engine
//! has to do: find the session of each packet and move the payload once. Only the ratios mean something.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tcpcopy_engine::{Engine, EngineOptions, Mapping, Mappings, OnlineAddress, Registration, SessionId};
use tcpcopy_plugin_api::{
    Actions, Configuration, ConfigurationError, Conversation, Depth, GiveUp, Module, SessionInfo,
};
use tcpcopy_wire::{Endpoint, Flags, Flow, Instant, Options, Segment, SeqNum, parse_ip};

const ONLINE: Endpoint = Endpoint::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 2)), 80);
const TARGET: Endpoint = Endpoint::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 3, 2)), 8080);
/// Connections that are open side by side.
const CONNECTIONS: u32 = 1_000;
const REQUEST_LENS: [usize; 2] = [100, 1_400];
const ANSWER_LEN: u32 = 500;
const ANSWER: [u8; ANSWER_LEN as usize] = [b'y'; ANSWER_LEN as usize];
/// Virtual time between two requests of all users together.
const BETWEEN: Duration = Duration::from_micros(50);
/// The acknowledgement number at which both servers begin.
const SERVER_ISN: SeqNum = SeqNum(90_000);

/// One user, and where both its conversations stand.
struct User {
    end: Endpoint,
    next: SeqNum,
    /// The online server's next byte.
    heard_to: SeqNum,
    session: SessionId,
    /// The target's next byte.
    target_next: SeqNum,
}

/// An engine, the clock, and a drain that counts what it transmits.
struct World {
    engine: Engine,
    now: Instant,
    packet: Vec<u8>,
    transmitted: u64,
    opened: SessionId,
}

impl World {
    fn new() -> Self {
        let online = OnlineAddress { addr: Some(ONLINE.addr), port: ONLINE.port };
        let mappings = Mappings::new(vec![Mapping { online, target: TARGET }]);
        Self {
            engine: Engine::new(EngineOptions::default(), mappings, 1),
            now: Instant::from_micros(1_700_000_000_000_000),
            packet: vec![0; 1_500],
            transmitted: 0,
            opened: SessionId::default(),
        }
    }

    fn drain(&mut self) {
        self.engine.handle_timeout(self.now);
        while let Some(registration) = self.engine.poll_registration() {
            if let Registration::Add { id, .. } = registration {
                self.opened = id;
            }
        }
        while let Some((_, len)) = self.engine.poll_transmit(self.now, &mut self.packet) {
            black_box(&self.packet[..len]);
            self.transmitted += 1;
        }
    }

    fn capture(&mut self, segment: &Segment<'_>) {
        self.engine.handle_capture(self.now, self.now, segment);
        self.drain();
    }

    fn respond(&mut self, id: SessionId, segment: &Segment<'_>) {
        self.engine.handle_response(self.now, self.now, id, segment);
        self.drain();
    }

    /// SYN, SYN-ACK, ACK, on both sides.
    fn connect(&mut self, end: Endpoint) -> User {
        let isn = SeqNum(1_000);
        let options =
            Options { mss: Some(1_460), window_scale: Some(7), sack_permitted: true, ..Options::default() };
        let syn = Segment {
            source: end,
            destination: ONLINE,
            seq: isn,
            flags: Flags::SYN,
            window: 64_240,
            options,
            ttl: 64,
            ..Segment::default()
        };
        self.capture(&syn);
        let mut user = User {
            end,
            next: isn + 1,
            heard_to: SERVER_ISN + 1,
            session: self.opened,
            target_next: SERVER_ISN,
        };
        self.capture(&user.says(b"", Flags::default()));
        let syn_ack = Segment { options, window: 64_240, ..user.answer(0, Flags::SYN) };
        self.respond(user.session, &syn_ack);
        user.target_next += 1;
        user
    }

    /// From now on sessions are served by a module that judges turns.
    fn served(mut self) -> Self {
        self.engine.install(0, 1, Box::new(Whole), false, self.now);
        self
    }

    /// One request is captured and answered, by production and by the target.
    fn exchange(&mut self, user: &mut User, request: &[u8]) {
        self.now += BETWEEN;
        let said = user.says(request, Flags::PSH);
        self.capture(&said);
        user.next += said.payload_len;
        let answer = user.answer(ANSWER_LEN, Flags::PSH);
        self.respond(user.session, &answer);
        user.target_next += ANSWER_LEN;
        user.heard_to += ANSWER_LEN;
        self.capture(&user.says(b"", Flags::default()));
    }

    /// Both sides close, the user first.
    fn close(&mut self, user: &mut User) {
        self.capture(&user.says(b"", Flags::FIN));
        user.next += 1;
        self.respond(user.session, &user.answer(0, Flags::FIN));
    }
}

impl User {
    fn says<'a>(&self, words: &'a [u8], flags: Flags) -> Segment<'a> {
        Segment {
            source: self.end,
            destination: ONLINE,
            seq: self.next,
            ack: self.heard_to,
            flags: Flags::ACK | flags,
            window: 502,
            ttl: 64,
            payload: words,
            payload_len: words.len() as u32,
            ..Segment::default()
        }
    }

    fn answer(&self, payload_len: u32, flags: Flags) -> Segment<'static> {
        Segment {
            seq: self.target_next,
            ack: self.next,
            flags: Flags::ACK | flags,
            window: 502,
            payload: &ANSWER[..payload_len as usize],
            payload_len,
            ..Segment::default()
        }
    }
}

/// A module for which each call holds one message.
struct Whole;

impl Module for Whole {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self)
    }

    fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(Self)
    }
}

impl Conversation for Whole {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.want_target(Depth::EVERYTHING);
        Ok(())
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        actions.open_turn();
        actions.forward(input.len() as u64);
        Ok(())
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        actions.take(input.len() as u64);
        actions.complete_turn();
        Ok(())
    }
}

fn end(index: u32) -> Endpoint {
    let [_, a, b, c] = index.to_be_bytes();
    Endpoint::new([10, 1, a, b].into(), 1_024 + u16::from(c) * 7)
}

/// The least there is to do: each of `packets` looks its session up, and the payload moves once.
fn least(criterion: &mut Criterion, name: &str, packets: usize, payload: &[u8]) {
    let mut sessions: HashMap<Flow, SeqNum, FixedState> = HashMap::with_hasher(FixedState::with_seed(1));
    let flows: Vec<Flow> =
        (0..CONNECTIONS).map(|index| Flow { client: end(index), server: ONLINE }).collect();
    sessions.extend(flows.iter().map(|flow| (*flow, SERVER_ISN)));
    let mut packet = vec![0; 1_500];
    let mut at = 0;
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    group.bench_with_input(
        BenchmarkId::new("lookup and copy", payload.len()),
        payload,
        |bencher, payload| {
            bencher.iter(|| {
                at = (at + 1) % flows.len();
                for _ in 0..packets {
                    black_box(sessions.get(black_box(&flows[at])));
                }
                packet[40..40 + payload.len()].copy_from_slice(black_box(payload));
                black_box(&packet);
            });
        },
    );
    group.finish();
}

/// Requests and answers on connections that stay open: the user's request and acknowledgement and the target's
/// answer come in, one packet goes out.
fn keepalive(criterion: &mut Criterion) {
    for len in REQUEST_LENS {
        let request = vec![b'x'; len];
        least(criterion, "keepalive request", 3, &request);
        keepalive_in(criterion, World::new(), "engine", &request);
        keepalive_in(criterion, World::new().served(), "engine with a module", &request);
    }
}

fn keepalive_in(criterion: &mut Criterion, mut world: World, name: &str, request: &[u8]) {
    let len = request.len();
    let mut users: Vec<User> = (0..CONNECTIONS).map(|index| world.connect(end(index))).collect();
    let mut at = 0;
    let (requests, before) = (&mut 0_u64, world.transmitted);
    let mut group = criterion.benchmark_group("keepalive request");
    group.throughput(Throughput::Elements(1));
    group.bench_with_input(BenchmarkId::new(name, len), request, |bencher, request| {
        bencher.iter(|| {
            at = (at + 1) % users.len();
            *requests += 1;
            world.exchange(&mut users[at], request);
        });
    });
    group.finish();
    // What was measured is a replay only if every request was said, once, and nothing is left.
    let statistics = world.engine.statistics();
    assert_eq!(statistics.payload_bytes, *requests * len as u64);
    assert_eq!((statistics.retransmissions, statistics.turns_not_awaited), (0, 0));
    assert!(world.transmitted - before >= *requests);
}

/// Connections of one request each, opened and closed: five captured segments and three responses come in, five packets go out.
fn short_connections(criterion: &mut Criterion) {
    let request = vec![b'x'; 100];
    least(criterion, "short connection", 8, &request);
    let mut world = World::new();
    let mut index = 0;
    let mut group = criterion.benchmark_group("short connection");
    group.throughput(Throughput::Elements(1));
    group.bench_with_input(BenchmarkId::new("engine", request.len()), &request, |bencher, request| {
        bencher.iter(|| {
            index += 1;
            let mut user = world.connect(end(index));
            world.exchange(&mut user, request);
            world.close(&mut user);
        });
    });
    group.finish();
    world.now += Duration::from_secs(10);
    world.drain();
    let statistics = world.engine.statistics();
    assert_eq!(statistics.sessions_opened, u64::from(index));
    assert_eq!((statistics.sessions_ended(), statistics.turns_lost()), (u64::from(index), 0));
}

/// An upload cut from segments as large as segmentation offload makes them; per packet transmitted.
fn upload(criterion: &mut Criterion) {
    const OFFLOADED: usize = 64_240;
    let words = vec![b'x'; OFFLOADED];
    let packets = OFFLOADED.div_ceil(1_460) as u64;
    let mut packet = vec![0; 1_500];
    let mut group = criterion.benchmark_group("upload");
    group.throughput(Throughput::Elements(packets));
    group.bench_function(BenchmarkId::new("copy", OFFLOADED), |bencher| {
        bencher.iter(|| {
            for piece in black_box(&words).chunks(1_460) {
                packet[40..40 + piece.len()].copy_from_slice(piece);
                black_box(&packet);
            }
        });
    });
    let mut world = World::new();
    let mut user = world.connect(end(1));
    group.bench_function(BenchmarkId::new("engine", OFFLOADED), |bencher| {
        bencher.iter(|| {
            world.now += BETWEEN;
            let said = user.says(&words, Flags::PSH);
            world.capture(&said);
            user.next += said.payload_len;
            while world.engine.pending().bytes > 0 {
                let heard_to = acknowledged(&world.packet);
                let ack = Segment { ack: heard_to, window: u16::MAX, ..user.answer(0, Flags::default()) };
                world.respond(user.session, &ack);
            }
        });
    });
    group.finish();
    assert_eq!(world.engine.statistics().retransmissions, 0);
}

/// What a target acknowledges that has heard everything up to `packet`.
fn acknowledged(packet: &[u8]) -> SeqNum {
    let segment = parse_ip(packet, packet.len()).expect("the packet transmitted last");
    segment.seq + segment.len()
}

criterion_group!(benches, keepalive, short_connections, upload);
criterion_main!(benches);
