//! The stage does what `conversation.rs` says.

use std::time::Duration;

use super::*;
use crate::testing::{Transcript, play};
use crate::{Answer, Configuration, ConfigurationError, Exchange};

type Method = fn(&[u8], &mut Actions) -> Result<(), GiveUp>;

/// A module made of functions.
#[derive(Clone, Copy)]
struct Made {
    opened: Method,
    client: Method,
    target: Method,
    missing: Method,
    reconnected: Method,
    timer: Method,
    snapshot: Option<&'static [u8]>,
}

const fn made() -> Made {
    const NOTHING: Method = |_, _| Ok(());
    Made {
        opened: NOTHING,
        client: NOTHING,
        target: NOTHING,
        missing: NOTHING,
        reconnected: NOTHING,
        timer: NOTHING,
        snapshot: None,
    }
}

impl Module for Made {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(made())
    }

    fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(*self)
    }

    fn resume(&self, session: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        assert!(session.connected);
        assert_eq!(Some(snapshot), self.snapshot);
        self.open(session)
    }
}

impl Conversation for Made {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        (self.opened)(b"", actions)
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        (self.client)(input, actions)
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        (self.target)(input, actions)
    }

    fn missing(&mut self, _: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        (self.missing)(&count.to_be_bytes(), actions)
    }

    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        (self.reconnected)(b"", actions)
    }

    fn timer(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        (self.timer)(b"", actions)
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        self.snapshot.map(<[u8]>::to_vec)
    }
}

const ALL_OF_THE_TARGET: Method = |_, actions| {
    actions.want_target(Depth::EVERYTHING);
    Ok(())
};

/// Requests are lines, each a turn; one that begins with `#` is discarded.
const LINES: Method = |input, actions| {
    for line in input.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        if line.starts_with(b"#") {
            actions.discard(line.len() as u64, "comment");
        } else {
            actions.open_turn();
            actions.forward(line.len() as u64);
        }
    }
    Ok(())
};

const EACH_BYTE_ANSWERS: Method = |input, actions| {
    for _ in input {
        actions.take(1);
        actions.complete_turn();
    }
    Ok(())
};

#[test]
fn what_was_left_is_given_again_with_what_has_come() {
    let module = Made { client: LINES, ..made() };
    let outcome = play(&module, &Transcript::new().client("a\nb").client("c\nd")).unwrap();
    assert_eq!((outcome.said(), outcome.left), (&b"a\nbc\n"[..], 1));
    assert_eq!(outcome.connection().turns, [0, 2]);
}

#[test]
fn left_client_bytes_are_given_again_when_anything_else_has_come() {
    let only_after_an_answer: Method = |input, actions| {
        if actions.now() > MORNING {
            actions.forward(input.len() as u64);
        }
        Ok(())
    };
    let module = Made { client: only_after_an_answer, opened: ALL_OF_THE_TARGET, ..made() };
    let transcript = Transcript::new().client("abc").wait(Duration::from_secs(1));
    assert_eq!(play(&module, &transcript).unwrap().left, 3);
    assert_eq!(play(&module, &transcript.target("!")).unwrap().said(), b"abc");
}

#[test]
fn bytes_still_to_come_are_dealt_with_as_they_come() {
    let client: Method = |input, actions| {
        if input.starts_with(b"a") {
            actions.forward(4);
        } else {
            actions.discard(3, "three");
        }
        Ok(())
    };
    let module = Made { client, ..made() };
    let outcome = play(&module, &Transcript::new().client("ab").client("cdef").client("ga")).unwrap();
    assert_eq!((outcome.said(), outcome.discarded["three"], outcome.left), (&b"abcda"[..], 3, 0));
}

#[test]
fn what_the_user_said_before_leaving_may_still_be_dealt_with() {
    let only_after_an_answer: Method = |input, actions| {
        if actions.now() > MORNING {
            actions.forward(input.len() as u64);
        }
        Ok(())
    };
    let module = Made { client: only_after_an_answer, ..made() };
    let transcript = Transcript::new().client("abc").ends(Side::Client).wait(Duration::from_secs(1));
    assert_eq!(play(&module, &transcript).unwrap().left, 3);
    assert_eq!(play(&module, &transcript.ends(Side::Target)).unwrap().said(), b"abc");
}

#[test]
fn who_forwards_all_is_not_called_again() {
    let opened: Method = |_, actions| {
        actions.forward_all();
        Ok(())
    };
    let module = Made { opened, ..made() };
    let mut stage = Stage::open(&module, Transcript::new().info()).unwrap();
    stage.bytes(Side::Client, b"one").unwrap();
    stage.bytes(Side::Target, b"two").unwrap();
    stage.bytes(Side::Online, b"three").unwrap();
    assert_eq!((stage.outcome().said(), stage.calls()), (&b"one"[..], 1));
    assert!(stage.outcome().guessing);
}

#[test]
fn a_new_connection_withdraws_the_turns_that_are_open() {
    let reconnected: Method = |_, actions| {
        actions.begin_prologue();
        actions.insert(b"login\n");
        actions.end_prologue();
        Ok(())
    };
    let module =
        Made { opened: ALL_OF_THE_TARGET, client: LINES, target: EACH_BYTE_ANSWERS, reconnected, ..made() };
    let transcript =
        Transcript::new().client("#x\na\nb\n#y\nc\n").target("1").reconnect().target("23").client("d\n");
    let outcome = play(&module, &transcript).unwrap();
    let said: Vec<_> = outcome.connections.iter().map(|connection| connection.said.as_slice()).collect();
    assert_eq!(said, [&b"a\nb\nc\n"[..], b"login\nb\nc\nd\n"]);
    assert_eq!(outcome.discarded["comment"], 6, "each comment once");
    assert_eq!(outcome.connection().turns, [6, 8, 10]);
    assert_eq!(outcome.connection().completed, [1, 2]);
}

#[test]
fn nothing_else_is_said_in_a_prologue() {
    let reconnected: Method = |_, actions| {
        actions.begin_prologue();
        actions.insert(b"login\n");
        Ok(())
    };
    let target: Method = |input, actions| {
        actions.take(input.len() as u64);
        actions.end_prologue();
        Ok(())
    };
    let module = Made { opened: ALL_OF_THE_TARGET, client: LINES, target, reconnected, ..made() };
    let transcript = Transcript::new().client("a\n").reconnect().client("b\n");
    assert_eq!(play(&module, &transcript).unwrap().said(), b"login\n");
    assert_eq!(play(&module, &transcript.target("ok")).unwrap().said(), b"login\na\nb\n");
}

#[test]
fn actions_of_a_call_that_gives_up_are_not_carried_out() {
    let client: Method = |input, actions| {
        actions.forward(1);
        if input == b"z" { Err(GiveUp::new("enough")) } else { Ok(()) }
    };
    let module = Made { client, ..made() };
    let outcome = play(&module, &Transcript::new().client("y").client("z").client("y")).unwrap();
    assert_eq!((outcome.said(), outcome.gave_up.as_deref()), (&b"y"[..], Some("enough")));
}

#[test]
fn what_lies_beyond_the_depth_is_missing_unless_it_was_taken_in_advance() {
    let opened: Method = |_, actions| {
        actions.want_target(Depth::first(4));
        Ok(())
    };
    let target: Method = |_, actions| {
        actions.take(7);
        Ok(())
    };
    let missing: Method = |count, actions| {
        actions.insert(format!("{:?}", count.last()).as_bytes());
        Ok(())
    };
    let module = Made { opened, target, missing, ..made() };
    assert_eq!(play(&module, &Transcript::new().target("abcdefghi")).unwrap().said(), b"Some(2)");
    assert_eq!(play(&module, &Transcript::new().target("abcdefg")).unwrap().said(), b"");
}

#[test]
fn latency_is_measured_from_what_was_said_last() {
    let target: Method = |_, actions| {
        let said_at = actions.turn_said_at().map(|said| actions.at().micros_since(said));
        actions.insert(format!("{said_at:?}").as_bytes());
        actions.complete_turn();
        Ok(())
    };
    let module = Made { opened: ALL_OF_THE_TARGET, client: LINES, target, ..made() };
    let transcript = Transcript::new().client("a\n").wait(Duration::from_micros(7)).target("b");
    assert_eq!(play(&module, &transcript).unwrap().said(), b"a\nSome(7)");
}

#[test]
fn answers_that_come_together_are_each_measured_from_their_own_turn() {
    let target: Method = |_, actions| {
        let latency_us = actions.turn_said_at().map_or(0, |said| actions.at().micros_since(said));
        actions.take(1);
        actions.complete_turn();
        let target = Some(Answer { latency_us, ..Answer::default() });
        actions.record(Exchange { target, ..Exchange::default() });
        Ok(())
    };
    let module = Made { opened: ALL_OF_THE_TARGET, client: LINES, target, ..made() };
    let wait = Duration::from_micros(7);
    let transcript = Transcript::new().client("a\n").wait(wait).client("b\n").wait(wait).target("xy");
    let exchanges = play(&module, &transcript).unwrap().exchanges;
    let latencies: Vec<_> = exchanges.iter().filter_map(|exchange| exchange.target).collect();
    assert_eq!(latencies.iter().map(|answer| answer.latency_us).collect::<Vec<_>>(), [14, 7]);
}

#[test]
fn a_timer_rings_once_at_its_time() {
    let opened: Method = |_, actions| {
        actions.set_timer(Some(Timestamp(MORNING.0 + 2_000_000)));
        Ok(())
    };
    let timer: Method = |_, actions| {
        actions.insert(format!("{}", actions.now().micros_since(MORNING)).as_bytes());
        Ok(())
    };
    let module = Made { opened, timer, ..made() };
    let second = Duration::from_secs(1);
    let transcript = Transcript::new().wait(second);
    assert_eq!(play(&module, &transcript).unwrap().said(), b"");
    assert_eq!(play(&module, &transcript.wait(2 * second).wait(second)).unwrap().said(), b"2000000");
}

#[test]
fn a_session_moves_where_nothing_is_open() {
    let module = Made {
        opened: ALL_OF_THE_TARGET,
        client: LINES,
        target: EACH_BYTE_ANSWERS,
        snapshot: Some(b"state"),
        ..made()
    };
    let transcript = Transcript::new().client("a\n").moves();
    assert_eq!(play(&module, &transcript).unwrap().moves, 0);
    let outcome = play(&module, &transcript.target("!").moves().client("b\n")).unwrap();
    assert_eq!((outcome.moves, outcome.said()), (1, &b"a\nb\n"[..]));
}

#[test]
fn misuse_is_told() {
    let misuse = |module: Made| play(&module, &Transcript::new().client("abc").reconnect()).unwrap_err();
    let replace: Method = |_, actions| {
        actions.replace(4, b"");
        Ok(())
    };
    let found = misuse(Made { client: replace, ..made() });
    assert_eq!(found, Misuse::ReplaceBeyondInput { count: 4, available: 3 });
    let take: Method = |_, actions| {
        actions.take(1);
        Ok(())
    };
    assert_eq!(misuse(Made { client: take, ..made() }), Misuse::TakeElsewhere { call: "client" });
    let prologue: Method = |_, actions| {
        actions.begin_prologue();
        Ok(())
    };
    assert_eq!(misuse(Made { client: prologue, ..made() }), Misuse::PrologueElsewhere { call: "client" });
    let end: Method = |_, actions| {
        actions.end_prologue();
        Ok(())
    };
    assert_eq!(misuse(Made { reconnected: end, ..made() }), Misuse::NoPrologue);
    let too_much = MAX_LEFT_OF_CLIENT + 1;
    let left = play(&made(), &Transcript::new().client(vec![0; too_much])).unwrap_err();
    assert_eq!(left, Misuse::TooMuchLeft { side: Side::Client, left: too_much });
    let beyond: Method = |_, actions| {
        actions.forward(4);
        actions.open_turn();
        Ok(())
    };
    assert_eq!(misuse(Made { client: beyond, ..made() }), Misuse::BehindPromise);
    let in_prologue: Method = |_, actions| {
        actions.begin_prologue();
        actions.forward(1);
        Ok(())
    };
    assert_eq!(misuse(Made { reconnected: in_prologue, ..made() }), Misuse::ClientInPrologue);
}

#[test]
fn a_timer_that_spins_is_told() {
    let spin: Method = |_, actions| {
        actions.set_timer(Some(actions.now()));
        Ok(())
    };
    let module = Made { opened: spin, timer: spin, ..made() };
    assert_eq!(
        play(&module, &Transcript::new().wait(Duration::from_secs(1))).unwrap_err(),
        Misuse::TimerSpins
    );
}
