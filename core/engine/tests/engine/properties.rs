//! Whatever comes in, in whatever order: the engine neither panics nor spins, loses count nor memory.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use tcpcopy_engine::{Awaited, EngineOptions, Pace, Pending, Registration, SessionId};
use tcpcopy_wire::{Flags, Flow, Options, SackBlocks, Segment, SeqNum, Timestamps};

use crate::script::{Play, User, ms};

/// Users, all talking to the same service.
const USERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// The user begins, or begins anew on the same port.
    Syn {
        user: usize,
        isn: u32,
    },
    /// The user says `len` bytes after hearing `heard`; `fate` decides what the capture makes of it.
    Says {
        user: usize,
        len: usize,
        heard: u32,
        fate: Fate,
    },
    /// Something near, but not at, the user's place in the stream.
    Stray {
        user: usize,
        offset: i32,
        len: usize,
        flags: u8,
    },
    Fin {
        user: usize,
    },
    Rst {
        user: usize,
    },
    SynAck {
        session: usize,
    },
    /// The target acknowledges up to this share of 256 of what it has heard, and says `len` bytes.
    Answers {
        session: usize,
        share: u8,
        len: u32,
        flags: u8,
        window: u16,
    },
    /// A response near, but not at, its place.
    Strange {
        session: usize,
        seq: i32,
        ack: i32,
        len: u32,
        flags: u8,
        window: u16,
        block: Option<(i32, i32)>,
    },
    TooLarge {
        session: usize,
    },
    Pause {
        millis: u64,
    },
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Captured,
    Twice,
    Lost,
    Truncated,
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS;
    let session = 0..8_usize;
    let len = prop_oneof![Just(1_usize), 1..200_usize, 1_400..6_000_usize];
    let fate = prop_oneof![
        8 => Just(Fate::Captured),
        1 => Just(Fate::Twice),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Truncated),
    ];
    let heard = prop_oneof![Just(0_u32), 1..2_000_u32];
    let near = prop_oneof![-3_i32..4, -3_000_i32..3_000, any::<i32>()];
    let window = prop_oneof![Just(0_u16), 1..20_u16, any::<u16>()];
    let length = prop_oneof![Just(0_u32), 1..3_000_u32, Just(1 << 29)];
    let millis = prop_oneof![0..10_u64, 100..2_000_u64, 4_000..12_000_u64, Just(61_000_u64)];
    prop_oneof![
        3 => (user.clone(), any::<u32>()).prop_map(|(user, isn)| Step::Syn { user, isn }),
        10 => (user.clone(), len.clone(), heard, fate)
            .prop_map(|(user, len, heard, fate)| Step::Says { user, len, heard, fate }),
        2 => (user.clone(), near.clone(), 0..3_000_usize, any::<u8>())
            .prop_map(|(user, offset, len, flags)| Step::Stray { user, offset, len, flags }),
        2 => user.clone().prop_map(|user| Step::Fin { user }),
        1 => user.prop_map(|user| Step::Rst { user }),
        8 => session.clone().prop_map(|session| Step::SynAck { session }),
        10 => (session.clone(), any::<u8>(), length.clone(), any::<u8>(), window.clone()).prop_map(
            |(session, share, len, flags, window)| Step::Answers { session, share, len, flags, window }
        ),
        3 => (
            session.clone(),
            near.clone(),
            near.clone(),
            length,
            any::<u8>(),
            window,
            proptest::option::of((near.clone(), near)),
        )
            .prop_map(|(session, seq, ack, len, flags, window, block)| Step::Strange {
                session, seq, ack, len, flags, window, block
            }),
        1 => session.prop_map(|session| Step::TooLarge { session }),
        6 => millis.prop_map(|millis| Step::Pause { millis }),
        1 => Just(Step::Shutdown),
    ]
}

fn options() -> impl Strategy<Value = EngineOptions> {
    let pace = prop_oneof![Just(Pace::Measured), (0..50_u64).prop_map(|pace| Pace::Fixed(ms(pace)))];
    let budget = prop_oneof![Just(2_usize << 30), Just(40_000_usize)];
    let awaited = prop::sample::select(vec![Awaited::Answers, Awaited::Greetings, Awaited::Nothing]);
    (awaited, pace, budget, 1..700_u64, 576..9_000_u16).prop_map(
        |(awaited, pace, memory_budget, patience, mtu)| EngineOptions {
            awaited,
            pace,
            memory_budget,
            mtu,
            response_timeout: ms(patience * 1_000),
            idle_timeout: ms(patience * 1_200),
            ..EngineOptions::default()
        },
    )
}

/// The play, its users, and every session so far.
struct Chaos {
    play: Play,
    users: Vec<User>,
    /// Steps are not settled one by one but in batches of this size.
    batch: usize,
    /// So many packets are taken out after a batch, if not all.
    haste: Option<usize>,
    waiting: usize,
}

impl Chaos {
    fn new(options: EngineOptions, batch: usize, haste: Option<usize>) -> Self {
        let users = (0..USERS).map(|user| User::at(&format!("10.1.0.{user}:4000"))).collect();
        Self { play: Play::with(options), users, batch, haste, waiting: 0 }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Syn { user, isn } => {
                self.users[user].isn = SeqNum(isn);
                self.users[user].syn_options.timestamps =
                    (isn % 2 == 0).then_some(Timestamps { value: isn, echo: 0 });
                let said = self.users[user].syn();
                self.capture(&said.segment());
            }
            Step::Says { user, len, heard, fate } => {
                let said = self.users[user].says(vec![b'x'; len], heard);
                match fate {
                    Fate::Captured => self.capture(&said.segment()),
                    Fate::Twice => {
                        self.capture(&said.segment());
                        self.capture(&said.segment());
                    }
                    Fate::Lost => {}
                    Fate::Truncated => self.capture(&said.truncated().segment()),
                }
            }
            Step::Stray { user, offset, len, flags } => {
                let seq = self.users[user].next + offset.cast_unsigned();
                let mut stray = self.users[user].repeats(seq, vec![b'y'; len]);
                stray.headers.flags = Flags(flags);
                self.capture(&stray.segment());
            }
            Step::Fin { user } => {
                let said = self.users[user].fin(0);
                self.capture(&said.segment());
            }
            Step::Rst { user } => {
                let said = self.users[user].rst();
                self.capture(&said.segment());
            }
            Step::Pause { millis } => self.play.advance(millis),
            Step::Shutdown => self.play.engine.handle_shutdown(self.play.now),
            Step::SynAck { session }
            | Step::Answers { session, .. }
            | Step::Strange { session, .. }
            | Step::TooLarge { session } => self.respond(session, step),
        }
        self.waiting += 1;
        if self.waiting >= self.batch {
            self.waiting = 0;
            match self.haste {
                Some(packets) => self.play.settle_in_haste(packets),
                None => self.play.settle(),
            }
        }
        self.check();
    }

    fn capture(&mut self, segment: &Segment<'_>) {
        self.play.engine.handle_capture(self.play.now, self.play.now, segment);
    }

    fn respond(&mut self, session: usize, step: &Step) {
        let sessions = self.play.connected();
        let Some(&id) = sessions.get(sessions.len().wrapping_sub(session + 1)) else {
            return;
        };
        self.play.turn_to(id);
        let target = self.play.target();
        let segment = match *step {
            Step::SynAck { .. } => target.syn_ack(),
            Step::Answers { share, len, flags, window, .. } => {
                target.window = window;
                let heard = target.heard_to.distance(target.iss).max(0).unsigned_abs();
                let flags = Flags(flags & (Flags::PSH | Flags::FIN).0);
                let said = target.says(len, flags);
                let ack = target.iss + (u64::from(heard) * (u64::from(share) + 1) / 256) as u32;
                target.next += u32::from(flags.fin());
                Segment { ack, ..said }
            }
            Step::Strange { seq, ack, len, flags, window, block, .. } => {
                let near = target.acks();
                let ack = near.ack + ack.cast_unsigned();
                let mut sack = SackBlocks::default();
                if let Some((left, right)) = block {
                    sack.push(near.ack + left.cast_unsigned(), near.ack + right.cast_unsigned());
                }
                let options = Options { sack, ..near.options };
                let seq = near.seq + seq.cast_unsigned();
                Segment { seq, ack, payload_len: len, flags: Flags(flags), window, options, ..near }
            }
            _ => return self.play.engine.handle_too_large(id),
        };
        self.play.engine.handle_response(self.play.now, self.play.now, id, &segment);
    }

    /// What holds at every moment.
    fn check(&self) {
        let (statistics, pending) = (self.play.statistics(), self.play.engine.pending());
        assert_eq!(statistics.sessions_opened, statistics.sessions_ended() + pending.sessions);
        assert!(statistics.bytes_captured >= statistics.bytes_lost() + pending.bytes, "bytes lost twice");
        assert!(statistics.turns_captured >= statistics.turns_lost() + pending.turns, "turns lost twice");
        assert!(pending.established <= pending.sessions);
        assert!(statistics.retransmissions <= statistics.segments);
    }

    /// Everything ends: nothing is left, and every registration was taken back.
    fn finish(mut self) {
        self.play.settle();
        self.play.engine.handle_shutdown(self.play.now);
        self.play.settle();
        self.check();
        assert_eq!(self.play.engine.pending(), Pending::default());
        let mut live: HashMap<SessionId, Flow> = HashMap::new();
        for registration in &self.play.registrations {
            match registration {
                Registration::Add { id, flow, .. } => {
                    let taken: HashSet<_> = live.values().collect();
                    assert!(!taken.contains(flow), "{flow} is given to two live sessions");
                    live.insert(*id, *flow);
                }
                Registration::Depth { .. } => panic!("without a module nobody wants payload"),
                Registration::Remove { id } => assert!(live.remove(id).is_some(), "removed once"),
            }
        }
        assert!(live.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_comes_in_breaks_the_engine(
        options in options(),
        batch in 1..4_usize,
        haste in proptest::option::of(0..3_usize),
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut chaos = Chaos::new(options, batch, haste);
        for step in &steps {
            chaos.play(step);
        }
        chaos.finish();
    }

    #[test]
    fn everybody_who_is_left_alone_ends_by_the_clock(
        options in options(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut chaos = Chaos::new(options, 1, None);
        for step in &steps {
            chaos.play(step);
        }
        // Nobody says anything any more: time-outs alone end every session, in bounded time and packets.
        chaos.play.sent();
        chaos.play.advance(3_000_000);
        prop_assert_eq!(chaos.play.engine.pending(), Pending::default());
        prop_assert!(chaos.play.sent().len() < 2_000);
        chaos.finish();
    }

    #[test]
    fn equal_seeds_and_equal_input_give_equal_output(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let [first, second] = [(); 2].map(|()| {
            let mut chaos = Chaos::new(EngineOptions::default(), 1, None);
            steps.iter().for_each(|step| chaos.play(step));
            let sent = chaos.play.sent();
            let lines: Vec<_> = sent.iter().map(|sent| (sent.session, sent.flow, sent.line())).collect();
            (lines, chaos.play.statistics().clone())
        });
        prop_assert_eq!(first, second);
    }
}
