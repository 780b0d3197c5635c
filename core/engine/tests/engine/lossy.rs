//! A complete target behind links that lose packets in both directions: it hears every byte once and in order,
//! whatever is lost, and it is never told anything else.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tcpcopy_engine::{EngineOptions, Verdict};
use tcpcopy_wire::{Flags, Options, SackBlocks, Segment, SeqNum};

use crate::script::{Play, Said, Sent};

/// The target repeats what is not acknowledged this often.
const TARGET_RETRIES_MS: u64 = 200;
/// The world ticks in steps of this size.
const TICK_MS: u64 = 5;
/// From then on no SYN is lost any more: a connection that is never made has a test of its own.
const HANDSHAKE_MS: u64 = 3_000;
/// By this time everything has arrived.
const PATIENCE_MS: u64 = 900_000;
const MSS: u32 = 1_460;

/// A target that answers each question, whose lengths it knows, and closes after the user has.
struct Server {
    /// What it will hear: every byte is compared on arrival.
    text: Vec<u8>,
    /// Question by question: where it ends in `text`, and how long the answer is.
    questions: Vec<(u32, u32)>,
    answered: usize,
    heard_to: u32,
    ahead: BTreeMap<u32, u32>,
    user_fin_at: Option<u32>,
    /// Bytes it has to say in all so far, and what of it is acknowledged.
    said: u32,
    acknowledged: u32,
    fin_said: bool,
    buffer: u32,
    repeats_at: u64,
}

impl Server {
    fn new(text: Vec<u8>, questions: Vec<(u32, u32)>, buffer: u32) -> Self {
        Self {
            text,
            questions,
            answered: 0,
            heard_to: 0,
            ahead: BTreeMap::new(),
            user_fin_at: None,
            said: 0,
            acknowledged: 0,
            fin_said: false,
            buffer,
            repeats_at: 0,
        }
    }

    /// A packet has arrived; what is heard is checked against what the user said.
    fn hear(&mut self, sent: &Sent) {
        if sent.headers.flags.ack() {
            self.acknowledged = self.acknowledged.max(sent.ack.wrapping_sub(1).min(self.end()));
        }
        let from = sent.seq.wrapping_sub(1);
        let to = from.wrapping_add(sent.payload.len() as u32);
        if !sent.payload.is_empty() {
            assert_eq!(self.text.get(from as usize..to as usize), Some(&sent.payload[..]), "wrong bytes");
            assert!(to <= self.heard_to + self.buffer, "beyond the window");
            let end = self.ahead.entry(from).or_default();
            *end = to.max(*end);
        }
        if sent.headers.flags.fin() {
            assert_eq!(to as usize, self.text.len(), "the FIN follows the last byte");
            self.user_fin_at = Some(to);
        }
        while let Some((_, to)) = self.ahead.range(..=self.heard_to).find(|(_, to)| **to > self.heard_to) {
            self.heard_to = *to;
        }
        self.ahead.retain(|_, to| *to > self.heard_to);
        while let Some((_, answer)) =
            self.questions.get(self.answered).filter(|(end, _)| *end <= self.heard_to)
        {
            self.said += answer;
            self.answered += 1;
        }
    }

    fn has_heard_fin(&self) -> bool {
        self.user_fin_at == Some(self.heard_to)
    }

    /// Everything it has to say, FIN included.
    fn end(&self) -> u32 {
        self.said + u32::from(self.fin_said)
    }

    fn is_done(&self) -> bool {
        self.has_heard_fin() && self.fin_said && self.acknowledged == self.end()
    }

    /// Its acknowledgement now, and what it says from `from` on.
    fn speak(&mut self, play: &mut Play, from: u32, out: &mut Vec<Segment<'static>>) {
        self.fin_said |= self.has_heard_fin() && self.answered == self.questions.len();
        let target = play.target();
        let ack = target.iss + 1 + self.heard_to + u32::from(self.has_heard_fin());
        let mut sack = SackBlocks::default();
        for (from, to) in &self.ahead {
            sack.push(target.iss + 1 + *from, target.iss + 1 + *to);
        }
        let bare = Segment {
            seq: target.isn + 1 + self.end(),
            ack,
            flags: Flags::ACK,
            window: (self.buffer >> 7) as u16,
            options: Options { sack, ..Options::default() },
            ..target.acks()
        };
        out.push(bare);
        let mut at = from;
        while at < self.said {
            let payload_len = MSS.min(self.said - at);
            let last = at + payload_len == self.said;
            let flags = if last { Flags::ACK | Flags::PSH } else { Flags::ACK };
            out.push(Segment {
                seq: target.isn + 1 + at,
                payload_len,
                flags,
                options: Options::default(),
                ..bare
            });
            at += payload_len;
        }
        if self.fin_said {
            let seq = target.isn + 1 + self.said;
            out.push(Segment { seq, flags: Flags::ACK | Flags::FIN, options: Options::default(), ..bare });
        }
    }
}

/// How bad the links are.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// Of a hundred packets, so many are lost on the way to the target, and on the way back.
    lost_there: u8,
    lost_back: u8,
    /// Of a hundred packets, so many arrive twice.
    doubled: u8,
    /// Packets of one moment arrive in any order.
    shuffled: bool,
    seed: u64,
}

fn weather() -> impl Strategy<Value = Weather> {
    (0..20_u8, 0..20_u8, 0..20_u8, any::<bool>(), any::<u64>()).prop_map(
        |(lost_there, lost_back, doubled, shuffled, seed)| Weather {
            lost_there,
            lost_back,
            doubled,
            shuffled,
            seed,
        },
    )
}

/// What becomes of `packets` on a link that loses so many of a hundred like each.
fn carried<T: Clone>(
    rng: &mut fastrand::Rng,
    weather: Weather,
    lost: impl Fn(&T) -> u8,
    packets: Vec<T>,
) -> Vec<T> {
    let mut arriving = Vec::new();
    for packet in packets {
        if rng.u8(0..100) < lost(&packet) {
            continue;
        }
        if rng.u8(0..100) < weather.doubled {
            arriving.push(packet.clone());
        }
        arriving.push(packet);
    }
    if weather.shuffled {
        rng.shuffle(&mut arriving);
    }
    arriving
}

/// The questions of one user, as captured segments; each is told after hearing production's answer.
fn conversation(play: &mut Play, questions: &[(usize, u32)], cut: usize) -> (Vec<Vec<Said>>, Vec<u8>) {
    let mut text = Vec::new();
    let mut said = Vec::new();
    let mut heard = 0;
    for (len, online_answer) in questions {
        let words: Vec<u8> = (0..*len).map(|at| ((text.len() + at) % 251) as u8).collect();
        let mut segments = Vec::new();
        for piece in words.chunks(cut) {
            segments.push(play.user.says(piece, heard).without(Flags::PSH));
            heard = 0;
        }
        if let Some(last) = segments.pop() {
            segments.push(last.with(Flags::PSH));
        }
        heard = *online_answer;
        text.extend(words);
        said.push(segments);
    }
    said.push(vec![play.user.fin(heard)]);
    (said, text)
}

/// Plays a whole conversation in `weather` and returns the play at its end.
fn run(questions: &[(usize, u32, u32)], cut: usize, buffer: u32, pause_ms: u64, weather: Weather) -> Play {
    let mut rng = fastrand::Rng::with_seed(weather.seed);
    let mut play = Play::with(EngineOptions::default());
    play.user.isn = SeqNum(weather.seed as u32);
    play.user_syn();
    play.user_acks(0);
    let online: Vec<(usize, u32)> = questions.iter().map(|(len, online, _)| (*len, *online)).collect();
    let (said, text) = conversation(&mut play, &online, cut);
    let mut end = 0;
    let ends = questions.iter().map(|(len, _, answer)| {
        end += *len as u32;
        (end, *answer)
    });
    let mut server = Server::new(text, ends.collect(), buffer);
    let mut coming = said.into_iter();
    let mut speaks_at = 0;
    while !server.is_done() {
        assert!(play.clock() < PATIENCE_MS, "stalls: the target heard {} bytes", server.heard_to);
        if play.clock() >= speaks_at
            && let Some(batch) = coming.next()
        {
            // The capture sees reordering and repetition before it, but no loss.
            let none_lost = carried(&mut rng, weather, |_| 0, batch);
            play.capture_batch(none_lost);
            speaks_at = play.clock() + pause_ms;
        }
        let before = server.said;
        let mut heard_anything = false;
        let mut answers = Vec::new();
        let spared = play.clock() >= HANDSHAKE_MS;
        let lost = |flags: Flags, lost: u8| if flags.syn() && spared { 0 } else { lost };
        let lost_there = |sent: &Sent| lost(sent.headers.flags, weather.lost_there);
        let lost_back = |answer: &Segment<'static>| lost(answer.flags, weather.lost_back);
        let sent = play.sent();
        for sent in carried(&mut rng, weather, lost_there, sent) {
            heard_anything = true;
            if sent.headers.flags.syn() {
                answers.push(Segment { window: (buffer.min(65_535)) as u16, ..play.target().syn_ack() });
            } else {
                server.hear(&sent);
            }
        }
        if server.acknowledged < server.end() && play.clock() >= server.repeats_at {
            server.repeats_at = play.clock() + TARGET_RETRIES_MS;
            let from = server.acknowledged.min(server.said);
            server.speak(&mut play, from, &mut answers);
        } else if heard_anything && server.heard_to > 0 {
            server.speak(&mut play, before, &mut answers);
        }
        let arriving = carried(&mut rng, weather, lost_back, answers);
        play.respond_batch(arriving);
        play.advance(TICK_MS);
    }
    play.advance(5_000);
    play
}

#[track_caller]
fn assert_complete(play: &Play, questions: usize) {
    play.expect_end(Verdict::Complete);
    let statistics = play.statistics();
    assert_eq!((statistics.reconnects, statistics.turns_lost(), statistics.bytes_lost()), (0, 0, 0));
    assert!(statistics.turns_captured <= questions as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_lost_the_target_hears_every_byte(
        questions in proptest::collection::vec((1..9_000_usize, 0..6_000_u32, 1..6_000_u32), 1..8),
        cut in prop_oneof![Just(1_460_usize), Just(100), Just(20_000)],
        buffer in prop_oneof![Just(65_536_u32), Just(2_048), Just(4_096)],
        pause_ms in prop_oneof![Just(0_u64), Just(50), Just(1_000)],
        weather in weather(),
    ) {
        let play = run(&questions, cut, buffer, pause_ms, weather);
        assert_complete(&play, questions.len());
    }
}

#[test]
fn in_fine_weather_nothing_is_said_twice() {
    let fine = Weather { lost_there: 0, lost_back: 0, doubled: 0, shuffled: false, seed: 1 };
    let questions = [(100, 1_000, 1_000), (50_000, 10, 10), (1, 100_000, 50)];
    let play = run(&questions, 1_460, 65_536, 0, fine);
    assert_complete(&play, 3);
    let statistics = play.statistics();
    assert_eq!((statistics.retransmissions, statistics.timeouts, statistics.fast_retransmits), (0, 0, 0));
    assert_eq!(statistics.payload_bytes, 50_101);
    assert_eq!(statistics.turns_not_awaited, 0);
}

#[test]
fn a_tenth_lost_both_ways_costs_time_and_no_byte() {
    let bad = Weather { lost_there: 10, lost_back: 10, doubled: 0, shuffled: false, seed: 7 };
    let play = run(&[(300_000, 200, 200), (300_000, 200, 200)], 1_460, 65_536, 0, bad);
    assert_complete(&play, 2);
    assert!(play.statistics().fast_retransmits > 0, "not by time-outs alone");
}

#[test]
fn half_of_all_packets_lost_is_survived() {
    let storm = Weather { lost_there: 50, lost_back: 50, doubled: 0, shuffled: false, seed: 3 };
    let play = run(&[(3_000, 200, 200), (3_000, 200, 200)], 1_460, 65_536, 0, storm);
    assert_complete(&play, 2);
}
