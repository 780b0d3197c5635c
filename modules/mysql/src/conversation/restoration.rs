//! A new connection is brought to where the lost one was: the login, what was set, and what was prepared.

use std::collections::VecDeque;

use tcpcopy_plugin_api::{Actions, GiveUp};

use super::{MysqlConversation, NO_DEFAULT, TargetPlace};
use crate::command::Form;
use crate::configuration::LostTransaction;
use crate::login::QUERY_ATTRIBUTES;
use crate::packet::packet;
use crate::reading::Reading;
use crate::response::{Heard, Reply};
use crate::session::Session;
use crate::statements::{AtTarget, Ordinal};

const READ_OTHERWISE: &str =
    "a new connection reads texts otherwise: what was set or prepared is not said again (read only)";
const QUERY: u8 = 0x03;
const SET_OPTION: u8 = 0x1b;

/// Something that is said again.
#[derive(Clone, Debug)]
pub(super) struct Restoration {
    payload: Vec<u8>,
    form: Form,
    /// The statement it prepares.
    statement: Option<Ordinal>,
}

impl MysqlConversation {
    /// The new connection begins with words of our own.
    pub(super) fn begin_prologue(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        if self.session.login.is_none() && self.settings.default_account.is_none() {
            return Err(GiveUp::new(NO_DEFAULT).for_good());
        }
        let lost = self.session.reconnect();
        lost.losses().for_each(|phrase| actions.remark(phrase));
        self.skips_transaction |= lost.transaction && self.settings.lost_transaction == LostTransaction::Skip;
        self.is_in_prologue = true;
        actions.begin_prologue();
        Ok(())
    }

    /// The login of a prologue has succeeded.
    pub(super) fn restore(&mut self, actions: &mut Actions) {
        self.session.setup.losses().for_each(|phrase| actions.remark(phrase));
        self.restoring = self.restorations(actions);
        self.target = TargetPlace::Restoring;
        self.say_restoration(actions);
    }

    /// Reads a part of an answer to what is said again; returns how many bytes are dealt with.
    pub(super) fn read_restoration(&mut self, input: &[u8], actions: &mut Actions) -> Result<u64, GiveUp> {
        let form = self.restoring.front().map(|restoration| restoration.form).unwrap_or_default();
        let (dealt, heard) = self.target_reader.read(input, form);
        actions.take(dealt);
        match heard {
            Heard::Part => {}
            Heard::Reply(reply) => self.handle_restoration(&reply, actions),
            Heard::File | Heard::Nonsense => {
                return Err(GiveUp::new("what the target answers on a new connection makes no sense"));
            }
        }
        Ok(dealt)
    }

    fn handle_restoration(&mut self, reply: &Reply, actions: &mut Actions) {
        let Some(restoration) = self.restoring.pop_front() else { return };
        self.session.observe_backslashes(reply.status.unwrap_or_default());
        if let Some(ordinal) = restoration.statement {
            self.session.statements.learn_target(ordinal, reply.prepared);
        }
        match (reply.error, restoration.statement) {
            (0, _) => {}
            (error, None) => {
                actions.remark(&format!("what was set could not be set on a new connection: error {error}"));
            }
            (error, Some(_)) => {
                actions
                    .remark(&format!("a statement could not be prepared on a new connection: error {error}"));
            }
        }
        self.say_restoration(actions);
    }

    /// Says the next of what is to be said again; after the last the user's words go on.
    fn say_restoration(&mut self, actions: &mut Actions) {
        match self.restoring.front() {
            Some(restoration) => actions.insert(&packet(0, &restoration.payload)),
            None => {
                self.target = TargetPlace::Ready;
                self.is_in_prologue = false;
                actions.end_prologue();
            }
        }
    }

    fn restorations(&mut self, actions: &mut Actions) -> VecDeque<Restoration> {
        let carries_attributes = match (&self.greeting, self.login_in_use()) {
            (Some(greeting), Some(login)) => login.common(greeting).contains(QUERY_ATTRIBUTES),
            _ => false,
        };
        let (first, then) = (self.reading(Session::first_reading), self.reading(Session::reading));
        let mut restorations = VecDeque::new();
        for statement in self.session.settings() {
            if self.is_held_back_now(first, statement.as_bytes()) {
                actions.remark(READ_OTHERWISE);
                continue;
            }
            let head: &[u8] = if carries_attributes { &[QUERY, 0, 1] } else { &[QUERY] };
            let payload = [head, statement.as_bytes()].concat();
            restorations.push_back(Restoration { payload, form: Form::Results, statement: None });
        }
        if let Some(option) = self.session.option {
            let [low, high] = option.to_le_bytes();
            let payload = vec![SET_OPTION, low, high];
            restorations.push_back(Restoration { payload, form: Form::Single, statement: None });
        }
        for ordinal in self.session.statements.lose_target() {
            let Some(statement) = self.session.statements.get(ordinal) else { continue };
            let payload = statement.preparation.clone();
            if self.is_held_back_now(then, &payload) {
                actions.remark(READ_OTHERWISE);
                self.session.statements.prepare_again(ordinal, AtTarget::HeldBack);
                continue;
            }
            restorations.push_back(Restoration { payload, form: Form::Prepared, statement: Some(ordinal) });
        }
        restorations
    }

    /// Whether a text that was judged on another connection is not to be said on this one.
    fn is_held_back_now(&self, reading: Reading, text: &[u8]) -> bool {
        self.settings.read_only && self.session.misreading(reading, text).is_some()
    }
}
