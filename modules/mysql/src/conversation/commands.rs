//! The user's side of a session: commands, read and said one by one.

use tcpcopy_plugin_api::ledger::{Awaited, Entry};
use tcpcopy_plugin_api::{Actions, GiveUp};

use super::decision::{Decision, Edit};
use super::speech::Speech;
use super::{File, MysqlConversation, OnlinePlace, Progress, Reason, TargetPlace, UserPlace};
use crate::command::{Command, Form};
use crate::compression::Compression;
use crate::packet::{HEADER, Header, LONGEST};
use crate::requests::{Meaning, Request};

const NOT_ASKED_FOR: &str = "a file that the target did not ask for";
const INCOMPLETE: &str = "an incomplete command";
pub(super) const NO_FRAMES: &str = "the user's compressed packets make no sense";
/// What comes out of the user's frames before a command ends may not be more: a few bytes of a frame may be many.
const MOST_PLAIN: usize = 64 << 20;

impl MysqlConversation {
    pub(super) fn read_client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while !rest.is_empty() {
            let progress = match (&self.user, self.compression()) {
                (UserPlace::Login, _) => self.read_login(rest, actions)?,
                (UserPlace::Rounds { is_framed: true }, Some(compression)) => {
                    self.read_framed_round(compression, rest, actions)?
                }
                (UserPlace::Rounds { .. }, _) => self.read_round(rest, actions),
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
        let mut unframed = std::mem::take(&mut self.unframed);
        let is_whole = unframed.read(compression, input)?;
        if !is_whole {
            self.unframed = unframed;
            return Ok(Progress::IsShort);
        }
        let mut speech = Speech::gathered(actions);
        let mut rest = unframed.plain.as_slice();
        while !rest.is_empty() {
            match self.read_packet(rest, &mut speech)? {
                Progress::Dealt(count) => rest = rest.get(count..).unwrap_or_default(),
                Progress::Waits if rest.len() == unframed.plain.len() => {
                    self.unframed = unframed;
                    return Ok(Progress::Waits);
                }
                _ => {
                    return Err(GiveUp::new(
                        "commands that wait for each other came in one compressed packet",
                    ));
                }
            }
        }
        speech.end(unframed.count);
        Ok(Progress::Dealt(unframed.count))
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
        match (header.sequence, self.file) {
            // The numbers of a file's packets begin again behind 255.
            (number, File::Coming(next) | File::LeftOut(next)) if number == next => {
                Ok(self.read_file(header, input, speech))
            }
            (0, _) => self.read_command(header, input, speech),
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
        let next = header.sequence.wrapping_add(1);
        match self.file {
            File::NotWanted | File::LeftOut(_) => {
                speech.leave_out(total, NOT_ASKED_FOR);
                self.file = if header.payload == 0 { File::NotWanted } else { File::LeftOut(next) };
            }
            File::Wanted(_) | File::Coming(_) => {
                if let File::Wanted(_) = self.file {
                    speech.actions.wait_for_target();
                }
                speech.say(input, total, 0, b"");
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
        let resets = command == Command::ResetConnection;
        if resets {
            self.end_file(speech);
        }
        let is_answered = self.ledger.awaited_by_target().is_none();
        if self.is_resetting || (resets && !is_answered) || self.owes_too_much() {
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
                self.is_resetting = resets;
                // Nothing of a transaction outlives that.
                self.skips_transaction &= !self.is_resetting;
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
    pub(super) fn end_file(&mut self, speech: &mut Speech<'_>) {
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
        let request = Request { form, meaning, ends_turn: true };
        self.begin(Entry::said(label, request), speech.actions);
    }

    /// Words that get no answer are no reason to wait, unless the next command is about them.
    fn close_turn(&mut self, command: Command, speech: &mut Speech<'_>) {
        let may_end = self.is_turn_begun && !matches!(command, Command::SendLongData | Command::Quit);
        if may_end && !speech.is_gathered() && self.ledger.awaited_by_target().is_none() {
            speech.actions.complete_turn();
            self.is_turn_begun = false;
        }
    }

    /// A command that the online server answers is not said.
    fn begin_unsaid(&mut self, form: Form, meaning: Meaning, actions: &mut Actions) {
        self.begin(Entry::unsaid(Request { form, meaning, ends_turn: false }), actions);
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
        if self.ledger.len() > self.settings.limits.unanswered && self.online != OnlinePlace::Lost {
            self.lose_online(actions);
        }
        self.ledger.settle(actions);
    }

    /// Whether the target has so much to answer that a user who does not wait for answers has to.
    fn owes_too_much(&self) -> bool {
        let most = self.settings.limits.unanswered;
        self.ledger.len() > most && self.ledger.owed_by_target() > most
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

/// Frames at the beginning of what the user says that were read, while more are needed, or something has to happen first.
/// They are given again with every call, and read once.
#[derive(Debug, Default)]
pub(super) struct Unframed {
    /// What was in them.
    plain: Vec<u8>,
    /// Their length.
    count: usize,
    /// How much of `plain` are whole packets, and whether the last of them goes on with the next.
    walked: usize,
    is_continued: bool,
}

impl Unframed {
    /// Reads frames on, up to where one ends together with a command. Whether it does.
    fn read(&mut self, compression: Compression, input: &[u8]) -> Result<bool, GiveUp> {
        while self.count == 0 || !self.ends_with_a_command() {
            if self.plain.len() > MOST_PLAIN {
                return Err(GiveUp::new("a compressed command of the user has more than 64 MiB"));
            }
            let frame = compression.undo(input.get(self.count..).unwrap_or_default(), &mut self.plain);
            match frame.map_err(|_| GiveUp::new(NO_FRAMES))? {
                Some(length) => self.count += length,
                None => return Ok(false),
            }
        }
        // Less may be given than was before.
        Ok(self.count <= input.len())
    }

    /// Whether the last packet is whole and ends its command.
    fn ends_with_a_command(&mut self) -> bool {
        let mut rest = self.plain.get(self.walked..).unwrap_or_default();
        while let Some(header) = Header::read(rest) {
            let Some(behind) = rest.get(header.total()..) else { return false };
            rest = behind;
            self.walked += header.total();
            self.is_continued = header.is_continued();
        }
        rest.is_empty() && !self.is_continued
    }
}

/// Whether a stream that was joined in its middle is one of TLS records (RFC 8446 §5.1).
fn looks_like_tls(input: &[u8]) -> bool {
    matches!(input, [0x14..=0x17, 0x03, 0x00..=0x04, ..])
}
