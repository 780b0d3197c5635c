//! The user's side of a session: commands, read and said one by one.

use std::sync::PoisonError;

use tcpcopy_plugin_api::ledger::{Awaited, Entry};
use tcpcopy_plugin_api::{Actions, GiveUp};

use super::speech::Speech;
use super::{File, MysqlConversation, OnlinePlace, Progress, Reason, TargetPlace, UserPlace};
use crate::attributes::{self, Execution};
use crate::command::{Command, Form, StatementId};
use crate::compression::Compression;
use crate::greeting::Greeting;
use crate::login::{Login, QUERY_ATTRIBUTES};
use crate::packet::{HEADER, Header, LONGEST};
use crate::reading::Reading;
use crate::requests::{Meaning, Request};
use crate::session::Session;
use crate::sql::{self, Effect};
use crate::statements::{AtTarget, Meant, Ordinal};

const NOT_ASKED_FOR: &str = "a file that the target did not ask for";
const INCOMPLETE: &str = "an incomplete command";
const OF_LOST_TRANSACTION: &str = "of a transaction that was lost with the target's connection";
const NOT_PREPARED_HERE: &str = "of a statement whose preparation was not captured";
const NOT_THERE: &str = "a close of a statement that is not there";
const FAILED_TO_PREPARE: &str = "of a statement that the target could not prepare";
const NOT_KEPT: &str = "of a statement that was too long to be prepared again on a new connection";
const HELD_BACK: &str = "of a statement that was held back";
const KILLS: &str = "KILL: it names a connection of production";

/// What becomes of a command.
enum Decision {
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
struct Edit {
    length: usize,
    by: Vec<u8>,
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
    pub(super) fn read_client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while !rest.is_empty() {
            let progress = match (&self.user, self.compression()) {
                (UserPlace::Login, _) => self.read_login(rest, actions)?,
                (UserPlace::Rounds, _) => self.read_round(rest, actions),
                _ if !matches!(self.target, TargetPlace::Ready) => Progress::Waits,
                (_, Some(compression)) => self.read_frames(compression, rest, actions)?,
                (_, None) => self.read_packet(rest, &mut Speech::direct(actions))?,
            };
            match progress {
                Progress::Dealt(count) => rest = rest.get(count..).unwrap_or_default(),
                Progress::Waits => return Ok(()),
                Progress::IsShort => {
                    // What a user began to say and did not end, production has not obeyed either.
                    if self.has_left {
                        actions.discard(u64::MAX, INCOMPLETE);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads frames up to where one ends together with a command.
    fn read_frames(
        &mut self,
        compression: Compression,
        input: &[u8],
        actions: &mut Actions,
    ) -> Result<Progress, GiveUp> {
        let (mut plain, mut count) = (Vec::new(), 0);
        loop {
            let frame = compression.undo(input.get(count..).unwrap_or_default(), &mut plain);
            let frame = frame.map_err(|_| GiveUp::new("the user's compressed packets make no sense"))?;
            let Some(length) = frame else { return Ok(Progress::IsShort) };
            count += length;
            if ends_with_a_packet(&plain) {
                break;
            }
        }
        let mut speech = Speech::gathered(actions);
        let mut rest = plain.as_slice();
        while !rest.is_empty() {
            match self.read_packet(rest, &mut speech)? {
                Progress::Dealt(count) => rest = rest.get(count..).unwrap_or_default(),
                Progress::Waits if rest.len() == plain.len() => return Ok(Progress::Waits),
                _ => {
                    return Err(GiveUp::new(
                        "commands that wait for each other came in one compressed packet",
                    ));
                }
            }
        }
        speech.end(count);
        Ok(Progress::Dealt(count))
    }

    /// Reads the packet that begins `input`.
    fn read_packet(&mut self, input: &[u8], speech: &mut Speech<'_>) -> Result<Progress, GiveUp> {
        if self.is_unsure && looks_like_tls(input) {
            return Err(
                GiveUp::new("the user's connection is encrypted (TLS), which cannot be read").for_good()
            );
        }
        let Some(header) = Header::read(input) else { return Ok(Progress::IsShort) };
        if let UserPlace::Continued(reason) = self.user.clone() {
            match &reason {
                None => speech.say(input, header.total(), 0, b""),
                Some(reason) => speech.leave_out(header.total(), reason),
            }
            self.pass(header, reason);
            return Ok(Progress::Dealt(header.total()));
        }
        match header.sequence {
            0 => self.read_command(header, input, speech),
            _ if self.is_unsure => Err(GiveUp::new("it was joined where no command begins")),
            _ => Ok(self.read_file(header, input, speech)),
        }
    }

    /// A part of a file, which is said if the target asks for it.
    fn read_file(&mut self, header: Header, input: &[u8], speech: &mut Speech<'_>) -> Progress {
        let total = header.total();
        if self.file == File::NotWanted && self.may_be_asked_for_a_file() {
            return Progress::Waits;
        }
        match self.file {
            File::NotWanted => speech.leave_out(total, NOT_ASKED_FOR),
            File::Wanted(_) | File::Coming(_) => {
                if let File::Wanted(_) = self.file {
                    speech.actions.wait_for_target();
                }
                speech.say(input, total, 0, b"");
                let next = header.sequence.wrapping_add(1);
                self.file = if header.payload == 0 { File::NotWanted } else { File::Coming(next) };
            }
        }
        Progress::Dealt(total)
    }

    fn may_be_asked_for_a_file(&mut self) -> bool {
        self.ledger.awaited_by_target().is_some_and(|(_, entry)| entry.request.form == Form::Results)
    }

    /// Reads a command, or waits for what has to be known of it.
    fn read_command(
        &mut self,
        header: Header,
        input: &[u8],
        speech: &mut Speech<'_>,
    ) -> Result<Progress, GiveUp> {
        let Some(payload) = input.get(HEADER..HEADER + header.payload.min(self.settings.limits.looked_at))
        else {
            return Ok(Progress::IsShort);
        };
        let command = payload.first().copied().and_then(Command::of);
        let command = command.ok_or_else(|| GiveUp::new("what the user says makes no sense as MySQL"))?;
        if command == Command::ChangeUser {
            self.is_unsure = false;
            return self.read_change_user(input, speech);
        }
        // What it forgets is what was set up before, and not what the user sets up next.
        if self.is_resetting || (command == Command::ResetConnection && self.ledger.owed_by_target() > 0) {
            return Ok(Progress::Waits);
        }
        let decision = self.decide(command, payload, header)?;
        match decision {
            Decision::Wait => return Ok(Progress::Waits),
            Decision::LeaveOut(reason, meaning) => {
                if let Some(form) = command.answer() {
                    self.begin_unsaid(form, meaning, speech.actions);
                }
                speech.leave_out(header.total(), &reason);
                self.pass(header, Some(reason));
            }
            Decision::Say { edit, meaning, label } => {
                self.end_file(speech);
                self.say(command, meaning, label, speech);
                say_edited(header, input, edit, speech)?;
                self.close_turn(command, speech);
                self.has_quit |= command == Command::Quit;
                self.is_resetting = command == Command::ResetConnection;
                self.pass(header, None);
            }
        }
        self.is_unsure = false;
        Ok(Progress::Dealt(header.total()))
    }

    fn pass(&mut self, header: Header, reason: Option<Reason>) {
        let is_continued = header.is_continued();
        self.user = if is_continued { UserPlace::Continued(reason) } else { UserPlace::Commands };
    }

    /// Production did not ask for the file that the target waits for: it gets an empty one.
    fn end_file(&mut self, speech: &mut Speech<'_>) {
        if let File::Wanted(sequence) | File::Coming(sequence) =
            std::mem::replace(&mut self.file, File::NotWanted)
        {
            speech.actions.insert(&crate::packet::packet(sequence, b""));
        }
    }

    /// What is said next belongs to the present turn if that has had no answer due so far, else to a new one.
    pub(super) fn begin_turn(&mut self, speech: &mut Speech<'_>) {
        if !std::mem::replace(&mut self.is_turn_begun, false) {
            speech.open_turn();
        }
    }

    /// A command is about to be said.
    fn say(&mut self, command: Command, meaning: Meaning, label: String, speech: &mut Speech<'_>) {
        self.begin_turn(speech);
        let Some(form) = command.answer() else {
            self.is_turn_begun = true;
            return;
        };
        if speech.awaits_another_answer()
            && let Some(before) = self.ledger.newest()
        {
            before.request.ends_turn = false; // a turn of several commands ends with the last answer
        }
        let mut entry = Entry::of(Request { form, meaning, ends_turn: true });
        (entry.said, entry.has_turn, entry.label) = (true, true, label);
        self.begin(entry, speech.actions);
    }

    /// Words that get no answer are no reason to wait, unless the next command is about them.
    fn close_turn(&mut self, command: Command, speech: &mut Speech<'_>) {
        let may_end = self.is_turn_begun && !matches!(command, Command::SendLongData | Command::Quit);
        if may_end && !speech.is_gathered() && self.ledger.owed_by_target() == 0 {
            speech.actions.complete_turn();
            self.is_turn_begun = false;
        }
    }

    /// A command that the online server answers is not said.
    fn begin_unsaid(&mut self, form: Form, meaning: Meaning, actions: &mut Actions) {
        let mut entry = Entry::of(Request { form, meaning, ends_turn: false });
        entry.target = Awaited::Never;
        self.begin(entry, actions);
    }

    fn begin(&mut self, mut entry: Entry<Request>, actions: &mut Actions) {
        if self.online == OnlinePlace::Lost && !self.online_stream.is_compressed() {
            self.online = OnlinePlace::Regaining;
        }
        entry.heard_at = Some(actions.at());
        if matches!(self.online, OnlinePlace::Unwanted | OnlinePlace::Lost) {
            entry.online = Awaited::Never;
        }
        self.ledger.begin(entry);
        // More would be a place that was lost.
        if self.ledger.len() > self.settings.limits.unanswered {
            self.lose_online(actions);
        }
        self.ledger.settle(actions);
    }

    fn decide(&mut self, command: Command, payload: &[u8], header: Header) -> Result<Decision, GiveUp> {
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
        if effects.iter().any(|effect| matches!(effect, Effect::PrepareText { .. })) {
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
        let refusal = self.refusal(text, is_whole, &[]);
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

    /// Why a text is left out.
    fn refusal(&mut self, text: &[u8], is_whole: bool, effects: &[Effect]) -> Option<Reason> {
        if effects.contains(&Effect::Kill) {
            return Some(KILLS.into());
        }
        if self.skips_transaction {
            self.skips_transaction = !effects
                .iter()
                .any(|effect| matches!(effect, Effect::BeginTransaction | Effect::EndTransaction));
            if !effects.contains(&Effect::BeginTransaction) {
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

/// Says the packet that begins `input`, with its edit.
fn say_edited(
    header: Header,
    input: &[u8],
    edit: Option<Edit>,
    speech: &mut Speech<'_>,
) -> Result<(), GiveUp> {
    let Some(Edit { length, by }) = edit else {
        speech.say(input, header.total(), 0, b"");
        return Ok(());
    };
    let payload = header.payload - length + by.len();
    if by.len() != length && (header.is_continued() || payload >= LONGEST) {
        return Err(GiveUp::new("a command of more than 16 MiB has to change its length"));
    }
    let mut head = (payload as u32).to_le_bytes()[..3].to_vec();
    head.push(header.sequence);
    head.extend_from_slice(&by);
    speech.say(input, header.total(), HEADER + length, &head);
    Ok(())
}

/// Whether the last packet of `plain` is whole and ends its command.
fn ends_with_a_packet(plain: &[u8]) -> bool {
    let mut rest = plain;
    let mut is_continued = false;
    while let Some(header) = Header::read(rest) {
        let Some(behind) = rest.get(header.total()..) else { return false };
        rest = behind;
        is_continued = header.is_continued();
    }
    rest.is_empty() && !is_continued
}

/// Whether a stream that was joined in its middle is one of TLS records (RFC 8446 §5.1).
fn looks_like_tls(input: &[u8]) -> bool {
    matches!(input, [0x14..=0x17, 0x03, 0x00..=0x04, ..])
}
