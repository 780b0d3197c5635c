//! The servers' sides of a session: which answer belongs to which command, and what it means.

use tcpcopy_plugin_api::ledger::Awaited;
use tcpcopy_plugin_api::{Actions, GiveUp};

use super::{File, MysqlConversation, OnlinePlace, TargetPlace};
use crate::command::Form;
use crate::compression::Compression;
use crate::greeting::Greeting;
use crate::login::Login;
use crate::packet::{HEADER, Header, Packet};
use crate::requests::{Meaning, answer};
use crate::response::{Dialect, Heard, Reply, ResponseReader};

/// Errors by which a server ends the connection instead of answering: server gone, connection killed, idle too long.
const LEAVE_TAKINGS: [u16; 4] = [1053, 1927, 3032, 4031];

impl MysqlConversation {
    pub(super) fn read_target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while !rest.is_empty() {
            let dealt = match self.target {
                TargetPlace::Greeting | TargetPlace::Entering(_) => self.read_entry(rest, actions)? as u64,
                TargetPlace::Ready => {
                    let (dealt, completes) = self.read_answer(rest, actions)?;
                    // The next answer is given again, to be measured from its own command.
                    if completes {
                        break;
                    }
                    dealt
                }
                TargetPlace::Restoring => self.read_restoration(rest, actions)?,
            };
            if dealt == 0 {
                break;
            }
            rest = rest.get(usize::try_from(dealt).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads a part of an answer of the target; returns how many bytes are dealt with, and whether that completes a turn.
    fn read_answer(&mut self, input: &[u8], actions: &mut Actions) -> Result<(u64, bool), GiveUp> {
        let Some((_, entry)) = self.ledger.awaited_by_target() else {
            return Ok((read_leave_taking(input, actions)?, false));
        };
        let ends_turn = entry.request.ends_turn;
        let (dealt, heard) = self.target_reader.read(input, entry.request.form);
        actions.take(dealt);
        match heard {
            Heard::Part => {}
            // The connection's end will follow, and what has no answer is said again.
            Heard::Reply(reply) if LEAVE_TAKINGS.contains(&reply.error) => {}
            Heard::Reply(reply) => {
                self.handle_target_reply(&reply, actions);
                return Ok((dealt, ends_turn));
            }
            // LOAD DATA is held back, so no statement has named a file.
            Heard::File if self.settings.read_only => {
                return Err(GiveUp::new("the target asks for a file, which no statement that reads does"));
            }
            Heard::File if matches!(self.file, File::Wanted(_) | File::Coming(_)) => {
                return Err(GiveUp::new("the target asks for a file before it has the one it asked for"));
            }
            Heard::File => {
                let sequence = Header::read(input).map_or(0, |header| header.sequence);
                self.file = File::Wanted(sequence.wrapping_add(1));
            }
            Heard::Nonsense => return Err(GiveUp::new("what the target answers makes no sense")),
        }
        Ok((dealt, false))
    }

    /// The target's answer to the oldest command is complete.
    pub(super) fn handle_target_reply(&mut self, reply: &Reply, actions: &mut Actions) {
        let latency = actions.turn_said_at().map_or(0, |said| actions.at().micros_since(said));
        let Some((_, entry)) = self.ledger.awaited_by_target() else { return };
        entry.target = Awaited::Known(answer(reply, latency));
        let meaning = entry.request.meaning.clone();
        if entry.request.ends_turn {
            actions.complete_turn();
        }
        self.apply(meaning, reply);
        self.ledger.settle(actions);
        if self.ledger.awaited_by_target().is_none() && !self.is_turn_begun {
            self.session.statements.settle();
        }
    }

    fn apply(&mut self, meaning: Meaning, reply: &Reply) {
        if let Some(status) = reply.status {
            self.session.observe(status);
        }
        self.is_resetting &= !matches!(meaning, Meaning::Reset);
        if let Meaning::Prepared(ordinal) = meaning {
            return self.session.statements.learn_target(ordinal, reply.prepared);
        }
        match meaning {
            // Those before the one that failed were obeyed.
            Meaning::Effects(effects) => {
                let count = if reply.error == 0 { effects.len() } else { reply.results_before as usize };
                let most = self.settings.limits.settings;
                effects.into_iter().take(count).flatten().for_each(|effect| self.session.apply(effect, most));
            }
            _ if reply.error != 0 => {}
            Meaning::Login(login) => self.session.begin(*login),
            Meaning::Database(name) => self.session.use_database(Some(name)),
            Meaning::Reset => self.session.reset(),
            Meaning::Option(option) => self.session.option = Some(option),
            Meaning::Nothing | Meaning::Prepared(_) => {}
        }
    }

    pub(super) fn read_online(&mut self, input: &[u8], actions: &mut Actions) {
        let mut rest = input;
        // What came out of one frame may be several answers.
        while !rest.is_empty() || (self.online == OnlinePlace::Following && self.online_stream.has_unread()) {
            let dealt = match self.online {
                OnlinePlace::Unwanted | OnlinePlace::Lost => {
                    actions.take(rest.len() as u64);
                    return;
                }
                OnlinePlace::Greeting => self.read_online_greeting(rest, actions),
                OnlinePlace::Regaining => match Header::read(rest) {
                    None => return,
                    Some(Header { sequence: 1, .. }) => {
                        self.online = OnlinePlace::Following;
                        continue;
                    }
                    Some(_) => {
                        self.lose_online(actions);
                        continue;
                    }
                },
                OnlinePlace::Following => self.follow_online(rest, actions),
            };
            let Some(dealt) = dealt else { return };
            rest = rest.get(usize::try_from(dealt).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
    }

    /// How many bytes are dealt with; `None`: nothing more can be done now. The same below.
    fn read_online_greeting(&mut self, input: &[u8], actions: &mut Actions) -> Option<u64> {
        let Some(Packet { header, payload }) = Packet::read(input) else {
            return self.wait_for_online(input, actions);
        };
        match Greeting::read(payload) {
            Ok(greeting) => {
                self.online_stream.greeting = Some(greeting);
                self.online = OnlinePlace::Following;
                actions.take(header.total() as u64);
                Some(header.total() as u64)
            }
            Err(_) => {
                self.lose_online(actions);
                Some(0)
            }
        }
    }

    fn wait_for_online(&mut self, input: &[u8], actions: &mut Actions) -> Option<u64> {
        if input.len() <= self.settings.limits.early_answers {
            return None;
        }
        self.lose_online(actions);
        Some(0)
    }

    /// Reads a part of an answer of the online server.
    fn follow_online(&mut self, input: &[u8], actions: &mut Actions) -> Option<u64> {
        let Some(form) = self.ledger.awaited_by_online().map(|entry| entry.request.form) else {
            return self.wait_for_online(input, actions);
        };
        let (dealt, heard) = match self.online_stream.compression {
            Some(compression) => {
                match self.online_stream.read(compression, input, form, &mut self.online_reader) {
                    Some(read) => read,
                    None => (0, Heard::Nonsense),
                }
            }
            None => self.online_reader.read(input, form),
        };
        actions.take(dealt);
        match heard {
            Heard::Part if dealt == 0 => return None,
            Heard::Part | Heard::File => {}
            Heard::Reply(reply) => self.handle_online_reply(&reply, actions),
            Heard::Nonsense => self.lose_online(actions),
        }
        Some(dealt)
    }

    fn handle_online_reply(&mut self, reply: &Reply, actions: &mut Actions) {
        let Some(entry) = self.ledger.awaited_by_online() else { return };
        let latency = entry.heard_at.map_or(0, |heard| actions.at().micros_since(heard));
        entry.online = Awaited::Known(answer(reply, latency));
        let (form, meaning) = (entry.request.form, entry.request.meaning.clone());
        if let Meaning::Prepared(ordinal) = meaning {
            self.session.statements.learn_online(ordinal, reply.prepared.map(|prepared| prepared.id));
        }
        if form == Form::Login
            && let Some(login) = &self.said_login
        {
            self.online_reader = ResponseReader::new(self.online_stream.agree(login));
        }
        self.ledger.settle(actions);
    }
}

/// Reads what the target says unasked: an error, before it closes the connection. Returns how many bytes are dealt with.
fn read_leave_taking(input: &[u8], actions: &mut Actions) -> Result<u64, GiveUp> {
    let Some(header) = Header::read(input) else { return Ok(0) };
    match input.get(HEADER) {
        None => Ok(0),
        Some(0xff) => {
            actions.take(header.total() as u64);
            Ok(header.total() as u64)
        }
        Some(_) => Err(GiveUp::new("the target says what nobody asked it for")),
    }
}

/// The online server's stream beneath its answers: what it agreed upon, and what of it was compressed.
#[derive(Debug, Default)]
pub(super) struct OnlineStream {
    greeting: Option<Greeting>,
    compression: Option<Compression>,
    /// What came out of frames, and how much of it was read.
    plain: Vec<u8>,
    read: usize,
    /// Bytes of frames to come that were passed over.
    passed: u64,
}

impl OnlineStream {
    pub(super) fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// The place is lost.
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.read = 0;
        self.passed = 0;
    }

    fn has_unread(&self) -> bool {
        self.read < self.plain.len()
    }

    /// The login is over: what server and user agreed upon holds.
    fn agree(&mut self, login: &Login) -> Dialect {
        let common = login.capabilities()
            & self.greeting.as_ref().map_or(login.capabilities(), Greeting::capabilities);
        self.compression = Compression::agreed(common);
        Dialect::agreed(common)
    }

    /// Reads a packet out of frames: how many bytes of `input` are dealt with, and what was heard. `None`: they are no
    /// frames.
    fn read(
        &mut self,
        compression: Compression,
        input: &[u8],
        form: Form,
        reader: &mut ResponseReader,
    ) -> Option<(u64, Heard)> {
        let mut dealt = 0;
        loop {
            let skipped = self.passed.min((self.plain.len() - self.read) as u64);
            self.read += skipped as usize;
            self.passed -= skipped;
            let (count, heard) = reader.read(self.plain.get(self.read..)?, form);
            self.passed += count;
            if heard != Heard::Part {
                return Some((dealt as u64, heard));
            }
            if count > 0 {
                continue;
            }
            self.plain.drain(..std::mem::take(&mut self.read));
            match compression.undo(input.get(dealt..)?, &mut self.plain).ok()? {
                Some(length) => dealt += length,
                None => return Some((dealt as u64, Heard::Part)),
            }
        }
    }
}
