//! A module for tests: a protocol of lines, each answered by a line.
//!
//! What a line does depends on its first word: `drop` is left out, `edit` is said as `EDITED`, `wait` is followed by a
//! pause within its turn, `guess` leaves turns to the engine, `quit` gives the session up, `leave` does so for good,
//! `break` breaks the module, `tell` is remarked upon, with how many lines came, `clock` with its time; `long N` is
//! followed by N bytes that are forwarded unseen. Everything else is forwarded.

use tcpcopy_plugin_api::{
    Actions, Answer, Configuration, ConfigurationError, Conversation, Depth, Exchange, GiveUp, Module,
    SessionInfo, Side, Timestamp,
};

/// The module and what it is asked to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    /// How much of each response it wants.
    pub(crate) depth: Depth,
    /// Whether it compares with what the online server says.
    pub(crate) compares: bool,
    /// Whether it says `login` first on each new connection, or one joined in its middle, and waits for a line.
    pub(crate) logs_in: bool,
    /// Whether it does that only once the target has greeted it with a line.
    pub(crate) is_greeted: bool,
    /// Whether it forwards everything unseen.
    pub(crate) is_idle: bool,
    /// Whether it lets its sessions move.
    pub(crate) moves: bool,
    /// Whether it breaks at every line.
    pub(crate) is_broken: bool,
    /// Wakes after so many milliseconds and says `tick`.
    pub(crate) ticks: Option<u64>,
}

impl Lines {
    /// It sees all that the target says.
    pub(crate) fn judging() -> Self {
        Self { depth: Depth::EVERYTHING, ..Self::default() }
    }
}

impl Module for Lines {
    fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> {
        Ok(Self::default())
    }

    fn open(&self, session: &SessionInfo) -> Box<dyn Conversation> {
        Box::new(Line { module: *self, is_joined: session.joined, ..Line::default() })
    }

    fn resume(&self, _: &SessionInfo, snapshot: &[u8]) -> Box<dyn Conversation> {
        let lines = snapshot.first().copied().unwrap_or_default();
        Box::new(Line { module: *self, lines, ..Line::default() })
    }
}

#[derive(Default)]
struct Line {
    module: Lines,
    lines: u8,
    is_joined: bool,
    is_logging_in: bool,
    /// Before that, for a greeting.
    is_waiting: bool,
    online: Option<Answer>,
}

impl Line {
    fn line(&mut self, line: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let count = line.len() as u64;
        self.lines += 1;
        let text = std::str::from_utf8(line).map_err(|_| GiveUp::new("it is no text"))?;
        let word = text.split_whitespace().next().unwrap_or_default();
        match word {
            _ if self.module.is_broken => return Err(GiveUp::fault("it broke")),
            "break" => return Err(GiveUp::fault("it broke")),
            "quit" => return Err(GiveUp::new("it quit")),
            "leave" => return Err(GiveUp::new("it left").for_good()),
            "clock" => {
                actions.open_turn();
                actions.forward(count);
                actions.remark(&format!("{} ms", actions.at().0 / 1000 % 1_000_000));
            }
            "tell" => {
                actions.open_turn();
                actions.forward(count);
                actions.remark(&format!("{} lines", self.lines));
            }
            "guess" => {
                actions.guess_turns();
                actions.forward(count);
            }
            "drop" => actions.discard(count, "dropped"),
            "edit" => {
                actions.open_turn();
                actions.replace(count, b"EDITED\n");
            }
            "wait" => {
                actions.open_turn();
                actions.forward(count);
                actions.wait_for_target();
            }
            "long" => {
                actions.open_turn();
                let more: u64 = text.trim()[5..].parse().map_err(|_| GiveUp::new("no number"))?;
                actions.forward(count + more);
            }
            _ => {
                actions.open_turn();
                actions.forward(count);
            }
        }
        Ok(())
    }
}

impl Conversation for Line {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.want_target(self.module.depth);
        actions.want_online(self.module.compares);
        if let Some(millis) = self.module.ticks {
            actions.set_timer(Some(Timestamp(actions.now().0 + millis * 1000)));
        }
        if self.module.is_idle {
            actions.forward_all();
        }
        if self.is_joined { self.reconnected(actions) } else { Ok(()) }
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        for line in input.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            self.line(line, actions)?;
            if line.starts_with(b"long") {
                break; // what follows is not a line
            }
        }
        Ok(())
    }

    /// One answer in each call, so that each has the time its line was said.
    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        if input.ends_with(b"enough") {
            return Err(GiveUp::new("it heard enough"));
        }
        for line in input.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            actions.take(line.len() as u64);
            if std::mem::take(&mut self.is_waiting) {
                actions.insert(b"login\n");
                continue;
            }
            if std::mem::take(&mut self.is_logging_in) {
                actions.end_prologue();
                continue;
            }
            let latency_us = actions.turn_said_at().map_or(0, |said| actions.at().micros_since(said));
            actions.complete_turn();
            if self.module.compares {
                let size = line.len() as u64;
                let target = Some(Answer { size, latency_us, ..Answer::default() });
                actions.record(Exchange { label: "line".into(), online: self.online.take(), target });
            }
            break;
        }
        Ok(())
    }

    fn online(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        if input.ends_with(b"\n") && self.lines > 0 {
            actions.take(input.len() as u64);
            self.online = Some(Answer { size: input.len() as u64, ..Answer::default() });
        }
        Ok(())
    }

    fn missing(&mut self, side: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        let label = format!("{side:?} misses {count}");
        actions.record(Exchange { label, ..Exchange::default() });
        Ok(())
    }

    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.record(Exchange { label: format!("{side:?} ended"), ..Exchange::default() });
        Ok(())
    }

    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        if self.module.logs_in {
            self.is_logging_in = true;
            self.is_waiting = self.module.is_greeted;
            actions.begin_prologue();
            if !self.is_waiting {
                actions.insert(b"login\n");
            }
        }
        Ok(())
    }

    fn timer(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.insert(b"tick\n");
        Ok(())
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        self.module.moves.then(|| vec![self.lines])
    }
}
