//! One session: each request opens a turn, and the last byte of its answer completes it.

use std::sync::Arc;

use tcpcopy_plugin_api::{Actions, Conversation, Depth, GiveUp, Side};

use crate::framing::{ANSWERS, Message, REQUESTS};
use crate::orders::Orders;

/// What is known of a session.
#[derive(Debug)]
pub(crate) struct TaggedConversation {
    orders: Arc<Orders>,
    /// Bytes that are left of the answer whose head was read.
    answer_left: Option<u64>,
    /// Something was unreadable: the engine judges turns from there on.
    is_lost: bool,
}

impl TaggedConversation {
    pub(crate) fn new(orders: Arc<Orders>) -> Self {
        Self { orders, answer_left: None, is_lost: false }
    }

    fn lose_place(&mut self, actions: &mut Actions) {
        self.is_lost = true;
        actions.guess_turns();
        actions.want_target(Depth::NOTHING);
    }

    /// Goes up to `count` bytes on in the body of the present answer; returns how many, and whether it ends there.
    fn advance(&mut self, count: u64) -> (u64, bool) {
        let Some(left) = self.answer_left else {
            return (0, false);
        };
        let passed = left.min(count);
        self.answer_left = Some(left - passed).filter(|left| *left > 0);
        (passed, self.answer_left.is_none())
    }
}

impl Conversation for TaggedConversation {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.want_target(Depth::EVERYTHING);
        Ok(())
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.orders.dawdle();
        let mut rest = input;
        while !self.is_lost {
            match Message::read(rest, REQUESTS) {
                Message::Partial => return Ok(()),
                Message::Head { length, body } => {
                    self.orders.judge(&rest[..length])?;
                    let request = length as u64 + body;
                    actions.open_turn();
                    actions.forward(request);
                    rest = usize::try_from(request).ok().and_then(|end| rest.get(end..)).unwrap_or_default();
                }
                Message::Unreadable => self.lose_place(actions),
            }
        }
        actions.forward_all();
        Ok(())
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while !self.is_lost {
            let (body, is_complete) = self.advance(rest.len() as u64);
            actions.take(body);
            if is_complete {
                actions.complete_turn();
            }
            rest = &rest[usize::try_from(body).unwrap_or(rest.len())..];
            if self.answer_left.is_some() {
                return Ok(());
            }
            match Message::read(rest, ANSWERS) {
                Message::Partial => return Ok(()),
                Message::Head { length, body } => {
                    actions.take(length as u64);
                    rest = &rest[length..];
                    self.answer_left = Some(body);
                }
                Message::Unreadable => self.lose_place(actions),
            }
        }
        actions.take(rest.len() as u64);
        Ok(())
    }

    fn missing(&mut self, side: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        if side != Side::Target {
            return Ok(());
        }
        let (passed, is_complete) = self.advance(count);
        if is_complete {
            actions.complete_turn();
        }
        if passed < count {
            self.lose_place(actions);
        }
        Ok(())
    }

    fn reconnected(&mut self, _actions: &mut Actions) -> Result<(), GiveUp> {
        self.answer_left = None;
        Ok(())
    }

    /// Nothing, between an answer and the next request.
    fn snapshot(&mut self) -> Option<Vec<u8>> {
        (self.answer_left.is_none() && !self.is_lost).then(Vec::new)
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use tcpcopy_plugin_api::testing::{Outcome, Transcript, check_every_split, play};
    use tcpcopy_plugin_api::{Configuration, Module, Side};

    use crate::Tagged;

    const GET: &str = "GET /r/1?want=5&delay_ms=0 HTTP/1.1\r\nHost: lab\r\n\r\n";
    const POST: &str = "POST /r/2?want=0&delay_ms=0 HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxxxxx";
    const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    fn tagged(text: &str) -> Tagged {
        Tagged::configure(&Configuration::new(text, "test")).unwrap()
    }

    fn in_every_split(transcript: &Transcript) -> Outcome {
        check_every_split(&tagged(""), transcript).unwrap()
    }

    #[test]
    fn turns_begin_and_end_with_requests_and_answers() {
        let transcript = Transcript::new()
            .client(GET)
            .target(ANSWER)
            .moves()
            .client([POST, "123456789", GET].concat())
            .target([EMPTY, ANSWER].concat());
        let outcome = in_every_split(&transcript);
        let connection = outcome.connection();
        let second = GET.len() as u64;
        let third = second + POST.len() as u64 + 9;
        assert_eq!(connection.said, [GET, POST, "123456789", GET].concat().as_bytes());
        assert_eq!(connection.turns, [0, second, third]);
        let answer = ANSWER.len() as u64;
        assert_eq!(
            connection.completed,
            [answer, answer + EMPTY.len() as u64, 2 * answer + EMPTY.len() as u64]
        );
        assert_eq!((outcome.moves, outcome.left, outcome.guessing), (1, 0, false));
    }

    #[test]
    fn a_lost_connection_begins_anew_with_its_open_turns() {
        let transcript = Transcript::new().client(GET).target(&ANSWER[..30]).reconnect().target(ANSWER);
        let outcome = in_every_split(&transcript);
        assert_eq!(outcome.said(), GET.as_bytes());
        assert_eq!(outcome.connection().completed, [ANSWER.len() as u64]);
    }

    #[test]
    fn a_hole_inside_a_body_is_survived_and_any_other_leaves_turns_to_the_engine() {
        let head = ANSWER.len() - 5;
        let inside = Transcript::new().client(GET).target(&ANSWER[..head]).missing(Side::Target, 5);
        assert!(!in_every_split(&inside).guessing);
        let beyond =
            Transcript::new().client(GET).target(&ANSWER[..head]).missing(Side::Target, 6).client(GET);
        let outcome = in_every_split(&beyond);
        assert!(outcome.guessing);
        assert_eq!(outcome.said(), [GET, GET].concat().as_bytes());
    }

    #[test]
    fn foreign_bytes_are_said_as_they_are() {
        let outcome = in_every_split(&Transcript::new().joined().client("the rest of a body").client(GET));
        assert!(outcome.guessing);
        assert_eq!(outcome.said(), ["the rest of a body", GET].concat().as_bytes());
    }

    #[test]
    fn ordered_faults_happen_and_only_those() {
        let marked = Transcript::new().client(GET);
        let unmarked = Transcript::new().client(POST).client("123456789");
        let gives_up = tagged("gives_up_on = \"want=5&\"");
        assert!(play(&gives_up, &marked).unwrap().gave_up.is_some());
        assert_eq!(play(&gives_up, &unmarked).unwrap().gave_up, None);
        let breaks = tagged("breaks_on = \"want=5&\"");
        assert!(play(&breaks, &unmarked).is_ok());
        assert!(panic::catch_unwind(|| play(&breaks, &marked)).is_err());
    }
}
