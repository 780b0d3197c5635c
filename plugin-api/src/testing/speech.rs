//! What is said to the target: the client bytes, what a conversation makes of them, and its turns.

use std::collections::BTreeMap;

use super::misuse::Misuse;
use super::outcome::Connection;
use crate::Timestamp;

/// The client's side of a session: bytes that came, actions that wait for bytes, and what was said.
#[derive(Debug, Default)]
pub(super) struct Speech {
    /// All the user said: what is withdrawn is given again.
    captured: Vec<u8>,
    /// How much of it was dealt with.
    dealt: usize,
    /// Where each of the words ends that were captured, and when that was.
    words: Vec<(usize, Timestamp)>,
    /// The `forward` or `discard` that goes beyond the input.
    pending: Option<Promise>,
    has_ended: bool,
    discards: Vec<Discard>,
    connections: Vec<Connection>,
    /// Of the present connection.
    turns: Vec<Turn>,
    /// During a prologue only what the module inserts is said.
    in_prologue: bool,
}

/// What becomes of client bytes, those that have not come yet among them.
#[derive(Debug)]
pub(super) enum Promise {
    Forward(u64),
    Discard(u64, String),
}

#[derive(Debug)]
struct Discard {
    place: usize,
    count: u64,
    reason: String,
}

#[derive(Debug)]
struct Turn {
    /// Where it stood among the client bytes.
    place: usize,
    said_at: Option<Timestamp>,
    is_open: bool,
}

impl Speech {
    pub(super) fn new() -> Self {
        Self { connections: vec![Connection::default()], ..Self::default() }
    }

    pub(super) fn arrive(&mut self, bytes: &[u8], at: Timestamp) {
        self.captured.extend_from_slice(bytes);
        self.words.push((self.captured.len(), at));
        self.carry_out(at);
    }

    /// The bytes the conversation has to deal with.
    pub(super) fn left(&self) -> &[u8] {
        self.captured.get(self.dealt..).unwrap_or_default()
    }

    /// How many of them were captured as one: those that are given first, by themselves. All of them once the user has
    /// closed.
    pub(super) fn first_word_len(&self) -> usize {
        let first = self.words.get(self.next_word()).filter(|_| !self.has_ended);
        first.map_or(self.captured.len(), |(end, _)| *end) - self.dealt
    }

    /// When the last of the first `count` of them was captured.
    pub(super) fn at(&self, count: usize) -> Timestamp {
        let word = if count > self.first_word_len() { None } else { self.words.get(self.next_word()) };
        word.or(self.words.last()).map_or(Timestamp::default(), |(_, at)| *at)
    }

    fn next_word(&self) -> usize {
        self.words.partition_point(|(end, _)| *end <= self.dealt)
    }

    pub(super) fn promise(&mut self, promise: Promise, now: Timestamp) -> Result<(), Misuse> {
        self.may_go_on()?;
        self.pending = Some(promise);
        self.carry_out(now);
        self.pending = self.pending.take().filter(|_| !self.has_ended);
        Ok(())
    }

    /// The user has closed: what was promised for further bytes is void.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        self.pending = None;
    }

    pub(super) fn begin_prologue(&mut self) {
        self.in_prologue = true;
    }

    pub(super) fn end_prologue(&mut self) {
        self.in_prologue = false;
    }

    pub(super) fn is_in_prologue(&self) -> bool {
        self.in_prologue
    }

    /// Whether client bytes may be given: all that was promised has come.
    pub(super) fn is_ready(&self) -> bool {
        !self.in_prologue && self.pending.is_none()
    }

    pub(super) fn insert(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Misuse> {
        if !self.in_prologue {
            self.may_go_on()?;
        }
        self.say(bytes, now);
        Ok(())
    }

    pub(super) fn open_turn(&mut self) -> Result<(), Misuse> {
        self.may_go_on()?;
        self.mark(|connection| &mut connection.turns);
        self.turns.push(Turn { place: self.dealt, said_at: None, is_open: true });
        Ok(())
    }

    pub(super) fn wait(&mut self) -> Result<(), Misuse> {
        self.may_go_on()?;
        self.mark(|connection| &mut connection.waits);
        Ok(())
    }

    pub(super) fn replace(&mut self, count: u64, by: &[u8], now: Timestamp) -> Result<(), Misuse> {
        self.may_go_on()?;
        let available = self.left().len() as u64;
        if count > available {
            return Err(Misuse::ReplaceBeyondInput { count, available });
        }
        self.dealt += count as usize;
        self.say(by, now);
        Ok(())
    }

    fn may_go_on(&self) -> Result<(), Misuse> {
        match (self.in_prologue, &self.pending) {
            (true, _) => Err(Misuse::ClientInPrologue),
            (false, Some(_)) => Err(Misuse::BehindPromise),
            (false, None) => Ok(()),
        }
    }

    fn say(&mut self, bytes: &[u8], now: Timestamp) {
        if let Some(connection) = self.connections.last_mut() {
            connection.said.extend_from_slice(bytes);
        }
        if let Some(turn) = self.turns.last_mut().filter(|_| !bytes.is_empty()) {
            turn.said_at = Some(now);
        }
    }

    pub(super) fn complete_turn(&mut self, target_offset: u64) {
        let Some(turn) = self.turns.iter_mut().find(|turn| turn.is_open) else { return };
        turn.is_open = false;
        if let Some(connection) = self.connections.last_mut() {
            connection.completed.push(target_offset);
        }
    }

    pub(super) fn close_turns(&mut self) {
        self.turns.iter_mut().for_each(|turn| turn.is_open = false);
    }

    pub(super) fn has_open_turn(&self) -> bool {
        self.turns.iter().any(|turn| turn.is_open)
    }

    pub(super) fn turn_said_at(&self) -> Option<Timestamp> {
        self.turns.iter().find(|turn| turn.is_open)?.said_at
    }

    /// A new connection: what belongs to turns that are open is to be dealt with anew.
    pub(super) fn reconnect(&mut self) {
        if let Some(turn) = self.turns.iter().find(|turn| turn.is_open) {
            let place = turn.place;
            self.dealt = place;
            self.pending = None;
            self.discards.retain(|discard| discard.place < place);
        }
        self.turns.clear();
        self.in_prologue = false;
        self.connections.push(Connection::default());
    }

    pub(super) fn connections(&self) -> &[Connection] {
        &self.connections
    }

    pub(super) fn discarded(&self) -> BTreeMap<String, u64> {
        let mut discarded = BTreeMap::new();
        for Discard { count, reason, .. } in &self.discards {
            *discarded.entry(reason.clone()).or_default() += count;
        }
        discarded
    }

    fn carry_out(&mut self, now: Timestamp) {
        self.pending = match self.pending.take() {
            Some(Promise::Forward(count)) => self.forward(count, now).map(Promise::Forward),
            Some(Promise::Discard(count, reason)) => {
                self.discard(count, &reason).map(|rest| Promise::Discard(rest, reason))
            }
            None => None,
        };
    }

    /// Says up to `count` client bytes; returns how many are still to come.
    fn forward(&mut self, count: u64, now: Timestamp) -> Option<u64> {
        let here = count.min(self.left().len() as u64);
        let bytes = self.left().get(..here as usize).unwrap_or_default().to_vec();
        self.say(&bytes, now);
        self.dealt += bytes.len();
        still_to_come(count, here)
    }

    fn discard(&mut self, count: u64, reason: &str) -> Option<u64> {
        let here = count.min(self.left().len() as u64);
        if here > 0 {
            self.discards.push(Discard { place: self.dealt, count: here, reason: reason.to_owned() });
        }
        self.dealt += here as usize;
        still_to_come(count, here)
    }

    fn mark(&mut self, marks: impl Fn(&mut Connection) -> &mut Vec<u64>) {
        if let Some(connection) = self.connections.last_mut() {
            let place = connection.said.len() as u64;
            marks(connection).push(place);
        }
    }
}

/// What is left of a count; `u64::MAX` is everything, for ever.
fn still_to_come(count: u64, here: u64) -> Option<u64> {
    match count {
        u64::MAX => Some(u64::MAX),
        _ => Some(count - here).filter(|rest| *rest > 0),
    }
}
