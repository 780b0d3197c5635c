//! A module for the simulated protocol: it forwards everything, and knows where requests begin and answers end.

use tcpcopy_plugin_api::{
    Actions, Configuration, ConfigurationError, Conversation, Depth, GiveUp, Module, SessionInfo, Side,
};

use crate::protocol::{self, GREETING, Kind};

/// How much of a module a scenario has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// None.
    Nobody,
    /// One that wants nothing.
    Idle,
    /// One that sees everything, and judges turns.
    Judging,
}

/// The module.
pub(crate) struct Framing {
    pub(crate) is_idle: bool,
}

impl Module for Framing {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self { is_idle: false })
    }

    fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(Frames { is_idle: self.is_idle, has_left: false, answer_left: 0 })
    }
}

struct Frames {
    is_idle: bool,
    /// A part of a header was left.
    has_left: bool,
    /// What is still to come of the answer that has begun; it is none before its header has come.
    answer_left: u64,
}

impl Frames {
    /// What comes is not the protocol: a connection joined in its middle.
    fn resign(actions: &mut Actions) {
        actions.guess_turns();
        actions.forward_all();
        actions.want_target(Depth::NOTHING);
    }
}

impl Conversation for Frames {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        if self.is_idle {
            actions.forward_all();
        } else {
            actions.want_target(Depth::EVERYTHING);
        }
        Ok(())
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while let Some(len) = protocol::length_of(Kind::Request, rest) {
            let Some(len) = len else {
                Self::resign(actions);
                return Ok(());
            };
            actions.open_turn();
            actions.forward(len as u64);
            rest = rest.get(len..).unwrap_or_default();
        }
        self.has_left = !rest.is_empty();
        Ok(())
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        loop {
            if self.answer_left > 0 {
                let now = self.answer_left.min(rest.len() as u64);
                actions.take(now);
                rest = &rest[now as usize..];
                self.answer_left -= now;
                if self.answer_left > 0 {
                    return Ok(());
                }
                actions.complete_turn();
            }
            match protocol::length_of(Kind::Response, rest) {
                None => return Ok(()),
                Some(None) => {
                    Self::resign(actions);
                    return Ok(());
                }
                Some(Some(len)) if protocol::tag_of(Kind::Response, rest) == Some(GREETING) => {
                    actions.take(len as u64);
                    rest = rest.get(len..).unwrap_or_default();
                }
                Some(Some(len)) => self.answer_left = len as u64,
            }
        }
    }

    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        if side == Side::Client && self.has_left {
            actions.open_turn();
            actions.forward_all();
        }
        Ok(())
    }

    fn reconnected(&mut self, _: &mut Actions) -> Result<(), GiveUp> {
        self.answer_left = 0;
        Ok(())
    }
}
