//! What becomes of a command of the user.

use std::sync::PoisonError;

use tcpcopy_plugin_api::GiveUp;

use super::{MysqlConversation, OnlinePlace, Reason};
use crate::attributes::{self, Execution};
use crate::command::{Command, StatementId};
use crate::greeting::Greeting;
use crate::login::{Login, QUERY_ATTRIBUTES};
use crate::packet::Header;
use crate::reading::Reading;
use crate::requests::Meaning;
use crate::session::Session;
use crate::sql::{self, Effect};
use crate::statements::{AtTarget, Meant, Ordinal};

const OF_LOST_TRANSACTION: &str = "of a transaction that was lost with the target's connection";
const NOT_PREPARED_HERE: &str = "of a statement whose preparation was not captured";
const NOT_THERE: &str = "a close of a statement that is not there";
const FAILED_TO_PREPARE: &str = "of a statement that the target could not prepare";
const NOT_KEPT: &str = "of a statement that was too long to be prepared again on a new connection";
const HELD_BACK: &str = "of a statement that was held back";
const KILLS: &str = "KILL: it names a connection of production";

/// What becomes of a command.
pub(super) enum Decision {
    /// Something has to be heard first.
    Wait,
    /// It is not said; the online server answers it all the same, and it means that there.
    LeaveOut(Reason, Meaning),
    Say {
        /// What is said instead of its first bytes.
        edit: Option<Edit>,
        meaning: Meaning,
        label: String,
    },
}

/// The first `length` bytes of a payload become others.
pub(super) struct Edit {
    pub(super) length: usize,
    pub(super) by: Vec<u8>,
}

impl Decision {
    fn leave_out(reason: impl Into<Reason>) -> Self {
        Self::LeaveOut(reason.into(), Meaning::Nothing)
    }

    fn means(command: Command, meaning: Meaning) -> Self {
        Self::Say { edit: None, meaning, label: command.label().to_owned() }
    }

    fn say(command: Command) -> Self {
        Self::means(command, Meaning::Nothing)
    }
}

impl MysqlConversation {
    pub(super) fn decide(
        &mut self,
        command: Command,
        payload: &[u8],
        header: Header,
    ) -> Result<Decision, GiveUp> {
        let is_whole = payload.len() == header.payload && !header.is_continued();
        if self.settings.read_only
            && matches!(command, Command::CreateDatabase | Command::DropDatabase | Command::Refresh)
        {
            return Ok(Decision::leave_out(format!("read only: {}", command.label())));
        }
        Ok(match command {
            Command::Query => self.decide_query(payload, is_whole),
            Command::Prepare => self.decide_preparation(payload, is_whole),
            Command::Execute | Command::BulkExecute | Command::Fetch | Command::SendLongData
                if self.skips_transaction =>
            {
                Decision::leave_out(OF_LOST_TRANSACTION)
            }
            Command::Execute
            | Command::BulkExecute
            | Command::Fetch
            | Command::SendLongData
            | Command::Reset
            | Command::Close => self.decide_about_statement(command, payload),
            Command::InitDatabase => {
                let name = payload.get(1..).unwrap_or_default().to_vec();
                Decision::means(command, Meaning::Database(name))
            }
            Command::SetOption => {
                let option = payload.get(1..3).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
                Decision::means(command, Meaning::Option(option))
            }
            Command::ResetConnection => Decision::means(command, Meaning::Reset),
            Command::Shutdown => Decision::leave_out("SHUTDOWN: it would stop the target"),
            Command::ProcessKill => Decision::leave_out(KILLS),
            Command::Replication => {
                return Err(
                    GiveUp::new("the user copies the server (replication), which is not replayed").for_good()
                );
            }
            _ => Decision::say(command),
        })
    }

    fn decide_query(&mut self, payload: &[u8], is_whole: bool) -> Decision {
        let carries_attributes = self.may_carry_attributes() && attributes::seem_to_be_there(payload);
        self.carries_attributes = Some(carries_attributes);
        let begins_at = if carries_attributes { attributes::text_begins_at(payload) } else { Some(1) };
        let Some(text) = begins_at.and_then(|at| payload.get(at..)) else {
            return Decision::leave_out("attributes that make no sense");
        };
        let effects = if is_whole { sql::effects(text) } else { Vec::new() };
        if effects.iter().flatten().any(|effect| matches!(effect, Effect::PrepareText { .. })) {
            self.pass_statement_number();
        }
        if let Some(reason) = self.refusal(text, is_whole, &effects) {
            return Decision::LeaveOut(reason, Meaning::Nothing);
        }
        let edit = match (carries_attributes, self.target_takes_attributes()) {
            (true, false) => Some(Edit { length: payload.len() - text.len(), by: vec![payload[0]] }),
            (false, true) => Some(Edit { length: 1, by: vec![payload[0], 0, 1] }), // none of them, in one set
            _ => None,
        };
        Decision::Say { edit, meaning: Meaning::Effects(effects), label: self.label(text) }
    }

    fn decide_preparation(&mut self, payload: &[u8], is_whole: bool) -> Decision {
        let text = payload.get(1..).unwrap_or_default();
        let kills = is_whole && sql::effects(text).iter().flatten().any(|effect| *effect == Effect::Kill);
        let refusal = if kills { Some(KILLS.into()) } else { self.refusal(text, is_whole, &[]) };
        let label = self.label(text);
        let kept = if is_whole { payload } else { &[] };
        let target = if refusal.is_some() { AtTarget::HeldBack } else { AtTarget::Awaited };
        let known = match self.ledger.withdrawn().map(|request| &request.meaning) {
            Some(Meaning::Prepared(ordinal)) => Some(*ordinal),
            _ => None,
        };
        let ordinal = match known {
            Some(ordinal) => {
                self.session.statements.prepare_again(ordinal, target);
                ordinal
            }
            None => {
                let most = self.settings.limits.preparations;
                self.session.statements.prepare(kept, label.clone(), target, most)
            }
        };
        let meaning = Meaning::Prepared(ordinal);
        match refusal {
            Some(reason) => Decision::LeaveOut(reason, meaning),
            None => Decision::Say { edit: None, meaning, label: format!("(prepare) {label}") },
        }
    }

    /// What another conversation let pass is judged by this one's settings.
    pub(super) fn judge_statements(&mut self) {
        for (ordinal, preparation) in self.session.statements.preparations() {
            let text = preparation.get(1..).unwrap_or_default();
            if self.refusal(text, !preparation.is_empty(), &[]).is_some() {
                self.session.statements.prepare_again(ordinal, AtTarget::HeldBack);
            }
        }
    }

    /// Why a text is left out.
    fn refusal(&mut self, text: &[u8], is_whole: bool, effects: &[Vec<Effect>]) -> Option<Reason> {
        let has = |effect: &Effect| effects.iter().flatten().any(|known| known == effect);
        if has(&Effect::Kill) {
            return Some(KILLS.into());
        }
        if self.skips_transaction {
            self.skips_transaction = !has(&Effect::BeginTransaction) && !has(&Effect::EndTransaction);
            if !has(&Effect::BeginTransaction) {
                return Some(OF_LOST_TRANSACTION.into());
            }
        }
        if let Some(reason) = self.settings.filter.statement_refusal(text) {
            return Some(reason.into());
        }
        if !self.settings.read_only {
            return None;
        }
        if !is_whole {
            return Some("read only: too long to judge".into());
        }
        let reading = self.reading(Session::reading);
        if let Some(reason) = self.session.misreading(reading, text) {
            return Some(format!("read only: {reason}").into());
        }
        sql::judge(text).err().map(|held_back| format!("read only: {}", held_back.phrase()).into())
    }

    /// How the target reads texts, as `of` tells.
    pub(super) fn reading(&self, of: fn(&Session, &Greeting, &Login) -> Reading) -> Reading {
        match (&self.greeting, self.login_in_use()) {
            (Some(greeting), Some(login)) => of(&self.session, greeting, &login),
            _ => Reading::NotKnown,
        }
    }

    /// A statement that is prepared by text takes a number, the first time it is heard of.
    fn pass_statement_number(&mut self) {
        if self.ledger.withdrawn().is_none() {
            self.session.statements.pass_number();
        }
    }

    fn label(&self, text: &[u8]) -> String {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        digests.of(text).to_string()
    }

    fn decide_about_statement(&mut self, command: Command, payload: &[u8]) -> Decision {
        let Some(id) = StatementId::read(payload) else {
            return Decision::say(command); // the target will say what is wrong with it
        };
        let hears_online = matches!(self.online, OnlinePlace::Greeting | OnlinePlace::Following);
        let ordinal = match self.session.statements.find(id, hears_online) {
            Meant::Statement(ordinal) => ordinal,
            Meant::NotYetKnown => return Decision::Wait,
            Meant::Unknown if command == Command::Close => return Decision::leave_out(NOT_THERE),
            Meant::Unknown => return Decision::leave_out(NOT_PREPARED_HERE),
        };
        let Some(statement) = self.session.statements.get(ordinal) else { return Decision::Wait };
        let label = statement.label.clone();
        let reason = match statement.target {
            AtTarget::Awaited | AtTarget::Restoring => return Decision::Wait,
            AtTarget::Known { id, parameters } => {
                let edit = Some(self.edit_statement(command, payload, ordinal, id, parameters));
                return Decision::Say { edit, meaning: Meaning::Nothing, label };
            }
            AtTarget::Failed => FAILED_TO_PREPARE,
            AtTarget::HeldBack => HELD_BACK,
            AtTarget::NotKept => NOT_KEPT,
        };
        if command == Command::Close {
            self.session.statements.close(ordinal);
        }
        Decision::leave_out(reason)
    }

    /// A command about a statement, as the target calls that, and with all it has to be told.
    fn edit_statement(
        &mut self,
        command: Command,
        payload: &[u8],
        ordinal: Ordinal,
        id: u32,
        parameters: u16,
    ) -> Edit {
        if command == Command::Close {
            self.session.statements.close(ordinal);
        }
        let mut edit = self
            .edit_execution(command, payload, ordinal, parameters)
            .unwrap_or_else(|| Edit { length: StatementId::END, by: payload[..StatementId::END].to_vec() });
        edit.by[1..StatementId::END].copy_from_slice(&id.to_le_bytes());
        edit
    }

    /// What changes in an execution beside the statement's number, if anything does.
    fn edit_execution(
        &mut self,
        command: Command,
        payload: &[u8],
        ordinal: Ordinal,
        parameters: u16,
    ) -> Option<Edit> {
        if command != Command::Execute {
            return None;
        }
        let carries_attributes = self.may_carry_attributes()
            && self
                .carries_attributes
                .unwrap_or_else(|| attributes::execution_seems_to_carry_them(payload, parameters));
        let execution = Execution::read(payload, parameters, carries_attributes)?;
        let said = execution.types(parameters);
        let owed = match &said {
            Some(types) => {
                self.session.statements.learn_types(ordinal, types);
                None
            }
            None => self.session.statements.take_owed_types(ordinal),
        };
        let takes_attributes = self.target_takes_attributes();
        let is_edited = owed.is_some() || carries_attributes != takes_attributes;
        is_edited.then(|| Edit {
            length: execution.length,
            by: execution.write(payload, parameters, owed.or(said).as_deref(), takes_attributes),
        })
    }

    /// Whether the user's program knows attributes, as far as is known. Some say so to servers that do not know them, and
    /// leave them out.
    fn may_carry_attributes(&self) -> bool {
        self.said_login.as_ref().is_none_or(|login| login.capabilities().contains(QUERY_ATTRIBUTES))
    }

    fn target_takes_attributes(&self) -> bool {
        match (&self.greeting, self.login_in_use()) {
            (Some(greeting), Some(login)) => login.common(greeting).contains(QUERY_ATTRIBUTES),
            _ => false,
        }
    }
}
