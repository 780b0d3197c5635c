//! The servers' sides of a session: which response answers which request, and what that means for the user's side.

use tcpcopy_plugin_api::ledger::Awaited;
use tcpcopy_plugin_api::{Actions, Answer, GiveUp, Timestamp};

use super::{Doubt, HttpConversation, OnlinePlace, Reading, TargetPlace};

use crate::framing::RequestKind;
use crate::response::{Heard, Response, ResponseReader};
use crate::seek::{Seeker, Sought, status_line};

/// So many bytes of the online server are kept for a request that was not captured yet.
const MAX_EARLY: usize = 256 * 1024;
/// How a response begins.
const BEGINNING: &[u8] = b"HTTP/1.";

impl HttpConversation {
    pub(super) fn read_target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while !rest.is_empty() {
            let dealt = match &mut self.target {
                TargetPlace::Lost => {
                    actions.take(rest.len() as u64);
                    return Ok(());
                }
                TargetPlace::Seeking(seeker) => match seeker.find(rest, status_line) {
                    Sought::Found(passed) => {
                        actions.take(passed as u64);
                        self.target = TargetPlace::Following;
                        self.target_reader = ResponseReader::of_possible_response(self.settings.compares);
                        passed as u64
                    }
                    Sought::Passed(passed) => {
                        actions.take(passed as u64);
                        return Ok(());
                    }
                },
                TargetPlace::Following => {
                    let (dealt, completes) = self.follow_target(rest, actions)?;
                    // The next response is given again, to be measured from its own request.
                    if dealt == 0 || completes {
                        return Ok(());
                    }
                    dealt
                }
            };
            rest = rest.get(usize::try_from(dealt).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads a part of a response; returns how many bytes it has, and whether it completes a turn.
    fn follow_target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(u64, bool), GiveUp> {
        let awaited = self.ledger.awaited_by_target().map(|(_, entry)| (entry.request.kind, entry.has_turn));
        let (kind, has_turn) = awaited.unwrap_or_default();
        let (dealt, heard) = self.target_reader.read(input, kind);
        let completes = has_turn && matches!(heard, Heard::Response(_));
        if dealt > 0 {
            actions.take(dealt);
        }
        match heard {
            Heard::Part => {}
            Heard::Response(response) => drop(self.handle_target_response(response, actions)),
            Heard::Switch(response) => {
                let is_due = self.handle_target_response(response, actions);
                self.switch(kind, is_due, actions)?;
            }
            Heard::Nonsense => {
                // Past its first byte, or it would be found there again.
                actions.take(1);
                self.lose_target(actions);
                return Ok((1, false));
            }
        }
        Ok((dealt, completes))
    }

    /// Returns whether the user's side waits for that one, to know what is spoken from here on.
    fn handle_target_response(&mut self, response: Response, actions: &mut Actions) -> bool {
        let begun = self.ledger.next();
        let said_at = actions.turn_said_at();
        let Some((number, entry)) = self.ledger.awaited_by_target() else { return false };
        if entry.has_turn {
            actions.complete_turn();
        }
        entry.target = Awaited::Known(answer(response, said_at, actions.at()));
        let is_due = number + 1 == begun && matches!(self.reading, Reading::Switching);
        if is_due {
            self.await_head(Doubt::Unswitched);
        }
        self.ledger.settle(actions);
        is_due
    }

    /// The target speaks another protocol from here on.
    fn switch(&mut self, kind: RequestKind, is_due: bool, actions: &mut Actions) -> Result<(), GiveUp> {
        if !is_due {
            // Not what the newest request asked for: what it means is unknown.
            self.lose_target_for_good(actions);
            return Ok(());
        }
        if self.settings.filter.read_only {
            return Err(GiveUp::new(
                "read only: the target changed the protocol, and what follows cannot be judged",
            ));
        }
        self.leave_servers(actions);
        if kind == RequestKind::Connect && !self.settings.filter.forbids_something() {
            // In a tunnel there may be anything, requests as well.
            self.enter_protocol(actions);
        } else {
            self.reading = Reading::Entering;
        }
        Ok(())
    }

    pub(super) fn miss_target(&mut self, count: u64, actions: &mut Actions) {
        match self.target {
            TargetPlace::Following => match self.target_reader.miss(count) {
                Heard::Part => {}
                Heard::Response(response) => drop(self.handle_target_response(response, actions)),
                Heard::Switch(_) | Heard::Nonsense => self.lose_target(actions),
            },
            TargetPlace::Seeking(_) => self.target = TargetPlace::Seeking(Seeker::new(false)),
            TargetPlace::Lost => {}
        }
    }

    pub(super) fn end_target(&mut self, actions: &mut Actions) {
        if matches!(self.target, TargetPlace::Following)
            && let Some(response) = self.target_reader.end()
        {
            self.handle_target_response(response, actions);
        }
    }

    pub(super) fn read_online(&mut self, input: &[u8], actions: &mut Actions) {
        let came_early = std::mem::take(&mut self.online_is_early);
        if self.online == OnlinePlace::Regaining {
            if self.ledger.owed_by_online() > 1 {
                // Whose answer it is cannot be known.
                return self.lose_online_for_good(actions);
            }
            if !BEGINNING.iter().zip(input).all(|(expected, found)| expected == found) {
                self.lose_online(actions);
            } else if input.len() < BEGINNING.len() {
                return;
            } else {
                self.online = OnlinePlace::Following;
            }
        }
        let mut rest = input;
        while self.online == OnlinePlace::Following && !rest.is_empty() {
            let dealt = self.follow_online(rest, came_early, actions);
            if dealt == 0 && self.online == OnlinePlace::Following {
                return;
            }
            rest = rest.get(usize::try_from(dealt).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
        if !rest.is_empty() && self.online != OnlinePlace::Unwanted {
            actions.take(rest.len() as u64);
        }
    }

    fn follow_online(&mut self, input: &[u8], came_early: bool, actions: &mut Actions) -> u64 {
        let Some(kind) = self.ledger.awaited_by_online().map(|entry| entry.request.kind) else {
            if self.online_was_lost {
                // Rather one too many, since the place was not found where it was thought to be.
                self.lose_online_for_good(actions);
                return 0;
            }
            self.online_is_early = input.len() <= MAX_EARLY;
            if !self.online_is_early {
                self.lose_online(actions);
            }
            return 0;
        };
        let (dealt, heard) = self.online_reader.read(input, kind);
        if dealt > 0 {
            actions.take(dealt);
        }
        match heard {
            Heard::Part => {}
            Heard::Response(response) => self.handle_online_response(response, actions),
            Heard::Switch(response) => {
                self.handle_online_response(response, actions);
                self.lose_followed_online(came_early, actions);
            }
            Heard::Nonsense => {
                if let Some(entry) = self.ledger.awaited_by_online() {
                    entry.online = Awaited::Never;
                }
                self.lose_followed_online(came_early, actions);
            }
        }
        dealt
    }

    /// Behind the answer to a request, the rest is lost. If that came before the request did, those behind it came later,
    /// however many of them are known by now: they may find the place again.
    fn lose_followed_online(&mut self, came_early: bool, actions: &mut Actions) {
        if came_early && self.ledger.awaited_by_online().is_some() {
            self.leave_online(OnlinePlace::Regaining, actions);
        } else {
            self.lose_online(actions);
        }
    }

    fn handle_online_response(&mut self, response: Response, actions: &mut Actions) {
        let Some(entry) = self.ledger.awaited_by_online() else { return };
        entry.online = Awaited::Known(answer(response, entry.heard_at, actions.at()));
        self.ledger.settle(actions);
    }

    pub(super) fn miss_online(&mut self, count: u64, actions: &mut Actions) {
        if self.online == OnlinePlace::Following {
            match self.online_reader.miss(count) {
                Heard::Part => return,
                Heard::Response(response) => return self.handle_online_response(response, actions),
                Heard::Switch(_) | Heard::Nonsense => {}
            }
        }
        self.lose_online(actions);
    }

    /// Requests that have no answer by now will have none.
    pub(super) fn end_online(&mut self, actions: &mut Actions) {
        if self.online == OnlinePlace::Following
            && let Some(response) = self.online_reader.end()
        {
            self.handle_online_response(response, actions);
        }
        self.lose_online(actions);
        self.online = OnlinePlace::Unwanted;
    }
}

fn answer(response: Response, from: Option<Timestamp>, to: Timestamp) -> Answer {
    Answer {
        outcome: response.status.into(),
        failed: response.status >= 500,
        size: response.size,
        digest: response.digest,
        latency_us: from.map_or(0, |from| to.micros_since(from)),
    }
}
