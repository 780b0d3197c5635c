//! Getting in: the user's login becomes one of an account of the target.

use std::sync::Arc;

use tcpcopy_plugin_api::ledger::{Awaited, Entry};
use tcpcopy_plugin_api::{Actions, GiveUp};

use super::commands::NO_FRAMES;
use super::speech::Speech;
use super::{MysqlConversation, OnlinePlace, Progress, TargetPlace, UserPlace};
use crate::authentication::{Authentication, Step};
use crate::command::{Command, Form};
use crate::compression::Compression;
use crate::configuration::Account;
use crate::greeting::{Greeting, NoGreeting};
use crate::login::{Login, NoLogin};
use crate::packet::{Header, Packet, packet};
use crate::requests::{Meaning, Request};
use crate::response::{Heard, Reply, ResponseReader};

/// No packet of a login is longer.
const LONGEST_PACKET: usize = 1 << 20;
const NOT_MYSQL: &str = "what the target says first is no greeting of MySQL: is it one?";

/// A login that is under way.
#[derive(Debug)]
pub(super) struct Entering {
    authentication: Authentication,
    /// The account's name at the target.
    account: String,
}

impl Entering {
    fn refused(&self, reason: &str) -> GiveUp {
        GiveUp::new(format!("the target refused the account {:?}: {reason}", self.account)).for_good()
    }
}

impl MysqlConversation {
    /// Reads the user's login, and says ours.
    pub(super) fn read_login(&mut self, input: &[u8], actions: &mut Actions) -> Result<Progress, GiveUp> {
        let Some(header) = Header::read(input) else { return Ok(Progress::IsShort) };
        if header.sequence != 1 || header.payload > LONGEST_PACKET {
            return Err(GiveUp::new("the user's first packet is no login").for_good());
        }
        let Some(Packet { payload, .. }) = Packet::read(input) else { return Ok(Progress::IsShort) };
        let login = Login::read(payload).map_err(|no_login| unusable(no_login).for_good())?;
        if let Some(reason) = self.settings.filter.session_refusal(&login.user, login.database.as_deref()) {
            actions.discard(u64::MAX, reason);
            return Ok(Progress::Dealt(usize::MAX));
        }
        let Some(greeting) = &self.greeting else { return Ok(Progress::Waits) };
        let account = self.account_of(&login)?;
        let (entering, said, plugin) = enter(&account, greeting)?;
        let ours = as_target(&login, &account).write(greeting, &plugin, &said);
        actions.open_turn();
        actions.replace(header.total() as u64, &packet(1, &ours));
        self.said_login = Some(login.clone());
        self.await_entry(entering, login, actions);
        Ok(Progress::Dealt(header.total()))
    }

    /// What production asked beside the login, and the target does not.
    pub(super) fn read_round(&mut self, input: &[u8], actions: &mut Actions) -> Progress {
        let Some(header) = Header::read(input) else { return Progress::IsShort };
        if header.sequence == 0 {
            self.user = UserPlace::Commands;
            return Progress::Dealt(0);
        }
        if input.len() < header.total() {
            return Progress::IsShort;
        }
        actions.replace(header.total() as u64, b"");
        Progress::Dealt(header.total())
    }

    /// The same in a frame of its own.
    pub(super) fn read_framed_round(
        &mut self,
        compression: Compression,
        input: &[u8],
        actions: &mut Actions,
    ) -> Result<Progress, GiveUp> {
        let mut plain = Vec::new();
        let frame = compression.undo(input, &mut plain).map_err(|_| GiveUp::new(NO_FRAMES))?;
        let Some(length) = frame else { return Ok(Progress::IsShort) };
        if Header::read(&plain).is_some_and(|header| header.sequence == 0) {
            self.user = UserPlace::Commands;
            return Ok(Progress::Dealt(0));
        }
        actions.replace(length as u64, b"");
        Ok(Progress::Dealt(length))
    }

    /// The user becomes another one.
    pub(super) fn read_change_user(
        &mut self,
        input: &[u8],
        speech: &mut Speech<'_>,
    ) -> Result<Progress, GiveUp> {
        if Header::read(input).is_some_and(|header| header.payload > LONGEST_PACKET) {
            return Err(GiveUp::new("a change of the user is longer than any is"));
        }
        self.end_file(speech);
        let is_answered = self.ledger.awaited_by_target().is_none();
        let Some(greeting) = self.greeting.as_ref().filter(|_| is_answered) else {
            return Ok(Progress::Waits);
        };
        let Some(Packet { header, payload }) = Packet::read(input) else { return Ok(Progress::IsShort) };
        let login = self.login_in_use().and_then(|login| login.read_change(payload));
        let login = login.ok_or_else(|| GiveUp::new("a change of the user makes no sense"))?;
        if let Some(reason) = self.settings.filter.session_refusal(&login.user, login.database.as_deref()) {
            return Err(GiveUp::new(reason).for_good());
        }
        let account = self.account_of(&login)?;
        let (entering, said, plugin) = enter(&account, greeting)?;
        let ours = as_target(&login, &account).write_change(greeting, &plugin, &said);
        self.begin_turn(speech);
        speech.say(input, header.total(), header.total(), &packet(0, &ours));
        self.await_entry(entering, login, speech.actions);
        // Of the first login they come before the compression begins.
        self.user = UserPlace::Rounds { is_framed: speech.is_gathered() };
        Ok(Progress::Dealt(header.total()))
    }

    /// The login of a prologue: the user's, or that of the default account.
    pub(super) fn enter_again(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let Some(greeting) = &self.greeting else { return Ok(()) };
        let known = self.session.login.as_ref();
        let account = match known {
            Some(login) => self.account_of(login)?,
            None => Arc::clone(
                self.settings
                    .default_account
                    .as_ref()
                    .ok_or_else(|| GiveUp::new(super::NO_DEFAULT).for_good())?,
            ),
        };
        let login = self.login_in_use().ok_or_else(|| GiveUp::new(super::NO_DEFAULT).for_good())?;
        let mut ours = as_target(&login, &account);
        // The user may have gone over to another database since.
        if self.session.database != login.database && self.session.database.is_some() {
            ours.database.clone_from(&self.session.database);
        }
        let (entering, said, plugin) = enter(&account, greeting)?;
        actions.insert(&packet(1, &ours.write(greeting, &plugin, &said)));
        self.target = TargetPlace::Entering(Box::new(entering));
        Ok(())
    }

    /// Reads a packet that the target says before or in a login; returns how many bytes are dealt with.
    pub(super) fn read_entry(&mut self, input: &[u8], actions: &mut Actions) -> Result<usize, GiveUp> {
        let Some(header) = Header::read(input) else { return Ok(0) };
        if header.payload > LONGEST_PACKET {
            return Err(GiveUp::new(NOT_MYSQL).for_good());
        }
        let Some(Packet { payload, .. }) = Packet::read(input) else { return Ok(0) };
        actions.take(header.total() as u64);
        match &mut self.target {
            TargetPlace::Entering(entering) => match entering.authentication.hear(payload) {
                Ok(Step::Say(said)) => actions.insert(&packet(header.sequence.wrapping_add(1), &said)),
                Ok(Step::Wait) => {}
                Ok(Step::Done) => self.be_in(&input[..header.total()], actions),
                Err(refused) => return Err(entering.refused(&refused.0)),
            },
            _ => self.hear_greeting(payload, actions)?,
        }
        Ok(header.total())
    }

    fn hear_greeting(&mut self, payload: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let greeting = Greeting::read(payload).map_err(|error| match error {
            NoGreeting::Refused(code) => GiveUp::new(format!("the target takes no connection: error {code}")),
            NoGreeting::Malformed => GiveUp::new(NOT_MYSQL).for_good(),
        })?;
        self.session.observe_backslashes(greeting.status);
        self.greeting = Some(greeting);
        if self.is_in_prologue { self.enter_again(actions) } else { Ok(()) }
    }

    /// The target has let us in, by that packet.
    fn be_in(&mut self, packet: &[u8], actions: &mut Actions) {
        let entered = std::mem::replace(&mut self.target, TargetPlace::Ready);
        if let (TargetPlace::Entering(entering), Some(greeting)) = (entered, &mut self.greeting) {
            // What a later change of the user answers to.
            greeting.challenge = entering.authentication.into_challenge();
        }
        let reply = match ResponseReader::default().read(packet, Form::Login) {
            (_, Heard::Reply(reply)) => reply,
            _ => Reply::default(),
        };
        if self.is_in_prologue {
            self.session.observe_backslashes(reply.status.unwrap_or_default());
            self.target_reader = ResponseReader::new(self.target_dialect());
            return self.restore(actions);
        }
        self.handle_target_reply(&reply, actions);
        self.target_reader = ResponseReader::new(self.target_dialect());
    }

    /// The login or change of the user was said: its answer is awaited.
    fn await_entry(&mut self, entering: Entering, login: Login, actions: &Actions) {
        self.target = TargetPlace::Entering(Box::new(entering));
        self.user = UserPlace::Rounds { is_framed: false };
        self.is_turn_begun = false;
        let meaning = Meaning::Login(Box::new(login));
        let label = if self.session.login.is_some() { Command::ChangeUser.label() } else { "(login)" };
        let mut entry = Entry::said(label, Request { form: Form::Login, meaning, ends_turn: true });
        entry.heard_at = Some(actions.at());
        if matches!(self.online, OnlinePlace::Unwanted | OnlinePlace::Lost) {
            entry.online = Awaited::Never;
        }
        self.ledger.begin(entry);
    }

    fn account_of(&self, login: &Login) -> Result<Arc<Account>, GiveUp> {
        self.settings.account(&login.user).cloned().ok_or_else(|| {
            let user = String::from_utf8_lossy(&login.user);
            GiveUp::new(format!("no account is configured for the user {user:?}")).for_good()
        })
    }
}

/// Begins to log in: what is said first, and the plugin it is for.
fn enter(account: &Account, greeting: &Greeting) -> Result<(Entering, Vec<u8>, Vec<u8>), GiveUp> {
    let name = account.user.clone();
    match Authentication::begin(&account.password, greeting) {
        Ok((authentication, said)) => {
            let plugin = authentication.plugin().to_vec();
            Ok((Entering { authentication, account: name }, said, plugin))
        }
        Err(refused) => {
            Err(GiveUp::new(format!("the account {name:?} cannot log in to the target: {}", refused.0))
                .for_good())
        }
    }
}

/// A user's login with the names that the target knows.
fn as_target(login: &Login, account: &Account) -> Login {
    let mut ours = login.clone();
    ours.user = account.user.clone().into_bytes();
    if let Some(name) = &account.database {
        ours.database = Some(name.clone().into_bytes());
    }
    ours
}

fn unusable(no_login: NoLogin) -> GiveUp {
    GiveUp::new(match no_login {
        NoLogin::Tls => "the user goes over to TLS, which cannot be read",
        NoLogin::TooOld => "the user's program is older than MySQL 4.1",
        NoLogin::Malformed => "the user's login makes no sense",
    })
}
