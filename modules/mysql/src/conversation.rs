//! One session: what the user says is read command by command (`conversation/commands.rs`) and judged
//! (`conversation/decision.rs`), what target and online server answer answer by answer (`conversation/answers.rs`);
//! `conversation/entry.rs` logs in, `conversation/restoration.rs` brings a new connection to where the lost one was. This file
//! holds what all of them know, and what happens when the streams begin, end and begin anew.

mod answers;
mod commands;
mod decision;
mod entry;
mod restoration;
mod speech;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tcpcopy_plugin_api::ledger::Ledger;
use tcpcopy_plugin_api::{Actions, Conversation, Depth, GiveUp, Side};

use crate::compression::Compression;
use crate::configuration::Settings;
use crate::conversation::answers::OnlineStream;
use crate::conversation::commands::Unframed;
use crate::conversation::entry::Entering;
use crate::conversation::restoration::Restoration;
use crate::greeting::Greeting;
use crate::login::Login;
use crate::requests::Request;
use crate::response::{Dialect, ResponseReader};
use crate::session::Session;
use crate::sql::Digests;

/// A snapshot begins with the version of its form.
const SNAPSHOT_VERSION: u8 = 3;
const NO_DEFAULT: &str =
    "the connection was joined in its middle, and there is no [default_account] to log in with";
const LOST_ANSWER: &str = "what the target answered was lost on the way back";

/// A conversation in MySQL's protocol.
pub(crate) struct MysqlConversation {
    settings: Arc<Settings>,
    /// Shared by the module's conversations, which one thread has.
    digests: Arc<Mutex<Digests>>,
    user: UserPlace,
    target: TargetPlace,
    online: OnlinePlace,
    /// What both servers have, as far as commands are answered.
    session: Session,
    /// The login that the user said, of a connection whose beginning was captured.
    said_login: Option<Login>,
    /// What the target said first on the present connection.
    greeting: Option<Greeting>,
    target_reader: ResponseReader,
    online_reader: ResponseReader,
    online_stream: OnlineStream,
    ledger: Ledger<Request>,
    /// What is still to be said on a new connection, the next first; its answer is awaited.
    restoring: VecDeque<Restoration>,
    /// Nothing but words of our own is said: the login, and what is restored.
    is_in_prologue: bool,
    /// The present turn consists of words that get no answer so far.
    is_turn_begun: bool,
    file: File,
    unframed: Unframed,
    /// What the user says is left out up to the end of its transaction.
    skips_transaction: bool,
    /// The user's session is being reset: nothing more is said until it is.
    is_resetting: bool,
    /// Whether the user's last text came behind attributes.
    carries_attributes: Option<bool>,
    /// The user has said good-bye.
    has_quit: bool,
    /// The user will say nothing more.
    has_left: bool,
    /// The connection was joined in its middle, and no command has been read so far.
    is_unsure: bool,
    /// The user's beginning was not captured.
    is_joined: bool,
}

/// A phrase for what is left out.
type Reason = Cow<'static, str>;

/// Where in the user's stream this conversation is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UserPlace {
    /// Before the login.
    Login,
    /// Behind it, or behind a change of the user, in what production asked beside it.
    Rounds {
        /// In frames of a compressed connection.
        is_framed: bool,
    },
    /// Between commands.
    Commands,
    /// In a command that is continued by the next packet: said, or left out for that reason.
    Continued(Option<Reason>),
}

/// Where in the target's stream it is.
#[derive(Debug)]
enum TargetPlace {
    Greeting,
    Entering(Box<Entering>),
    Ready,
    Restoring,
}

/// Where in the online server's stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnlinePlace {
    /// Nothing is compared.
    Unwanted,
    Greeting,
    Following,
    /// Bytes were lost, or the beginning was not captured. The next command may find the place again.
    Lost,
    /// A command came after that: if an answer begins with the next byte, it is that to this command.
    Regaining,
}

/// What came of reading a piece of the user's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// So many bytes are dealt with, more than there are where they need not be seen.
    Dealt(usize),
    /// Something else has to happen first.
    Waits,
    /// More of the user's bytes are needed.
    IsShort,
}

/// A file of the user's that the target asks for (LOAD DATA LOCAL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    NotWanted,
    /// The target waits for a packet of that number.
    Wanted(u8),
    /// Parts of it were said; the next has that number.
    Coming(u8),
    /// Parts of it were left out, since the target does not ask for it; the next has that number.
    LeftOut(u8),
}

/// What another conversation needs to go on.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    session: Session,
    said_login: Option<Login>,
    greeting: Option<Greeting>,
}

impl MysqlConversation {
    /// A session begins; `joined` in the middle of the user's connection.
    pub(crate) fn new(settings: Arc<Settings>, digests: Arc<Mutex<Digests>>, joined: bool) -> Self {
        let online = match (settings.compares, joined) {
            (false, _) => OnlinePlace::Unwanted,
            (true, false) => OnlinePlace::Greeting,
            (true, true) => OnlinePlace::Lost,
        };
        Self {
            settings,
            digests,
            user: if joined { UserPlace::Commands } else { UserPlace::Login },
            target: TargetPlace::Greeting,
            online,
            session: Session::new(!joined),
            said_login: None,
            greeting: None,
            target_reader: ResponseReader::default(),
            online_reader: ResponseReader::default(),
            online_stream: OnlineStream::default(),
            ledger: Ledger::default(),
            restoring: VecDeque::new(),
            is_in_prologue: false,
            is_turn_begun: false,
            file: File::NotWanted,
            unframed: Unframed::default(),
            skips_transaction: false,
            is_resetting: false,
            carries_attributes: None,
            has_quit: false,
            has_left: false,
            is_unsure: joined,
            is_joined: joined,
        }
    }

    /// This conversation, made for a session joined in its middle, goes on where another one had left that snapshot, on the same connection to the target if it is `connected`. Of one that
    /// cannot be read, nothing is assumed.
    pub(crate) fn resumed(self, snapshot: &[u8], connected: bool) -> Self {
        let joined = self;
        let Some((&SNAPSHOT_VERSION, bytes)) = snapshot.split_first() else { return joined };
        let Ok(Snapshot { mut session, said_login, greeting }) = postcard::from_bytes(bytes) else {
            return joined;
        };
        if !connected {
            session.statements.adopt();
        }
        let mut resumed = Self { session, said_login, ..joined };
        if connected {
            resumed.greeting = greeting;
            resumed.is_unsure = false;
            resumed.target = TargetPlace::Ready;
            resumed.target_reader = ResponseReader::new(resumed.target_dialect());
        }
        resumed.judge_statements();
        resumed
    }

    /// How the user's connection is compressed once the login is over.
    fn compression(&self) -> Option<Compression> {
        Compression::agreed(self.said_login.as_ref()?.capabilities())
    }

    /// The form of the target's answers.
    fn target_dialect(&self) -> Dialect {
        match (&self.greeting, self.login_in_use()) {
            (Some(greeting), Some(login)) => {
                Dialect { is_without_eof: login.is_without_eof(greeting), has_optional_columns: false }
            }
            _ => Dialect::default(),
        }
    }

    /// The login of the user; of one whose login was not captured, that of the default account.
    fn login_in_use(&self) -> Option<Cow<'_, Login>> {
        let account = self.settings.default_account.as_deref();
        match (&self.session.login, &self.said_login) {
            (Some(login), _) | (None, Some(login)) => Some(Cow::Borrowed(login)),
            (None, None) => {
                account.map(|account| Cow::Owned(Login::ordinary(&account.user, account.database.as_deref())))
            }
        }
    }

    fn lose_online(&mut self, actions: &mut Actions) {
        if self.online == OnlinePlace::Unwanted {
            return;
        }
        self.online = OnlinePlace::Lost;
        self.online_reader = ResponseReader::new(self.online_reader.dialect());
        self.online_stream.clear();
        self.ledger.forget_online();
        self.ledger.settle(actions);
    }
}

impl Conversation for MysqlConversation {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.want_target(Depth::EVERYTHING);
        if self.settings.compares {
            actions.want_online(true);
        }
        if self.is_joined && matches!(self.target, TargetPlace::Greeting) {
            self.begin_prologue(actions)?;
        }
        Ok(())
    }

    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.read_client(input, actions)
    }

    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.read_target(input, actions)
    }

    fn online(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        self.read_online(input, actions);
        Ok(())
    }

    /// Bytes of a packet that was passed over are not told of.
    fn missing(&mut self, side: Side, _: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        match side {
            Side::Target => Err(GiveUp::new(LOST_ANSWER)),
            Side::Online => {
                self.lose_online(actions);
                Ok(())
            }
            Side::Client => Ok(()),
        }
    }

    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        match side {
            Side::Client => self.has_left = true,
            Side::Target if self.has_quit => actions.complete_turn(),
            Side::Target => {}
            Side::Online => {
                self.lose_online(actions);
                self.online = OnlinePlace::Unwanted;
            }
        }
        Ok(())
    }

    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        self.greeting = None;
        self.target = TargetPlace::Greeting;
        self.target_reader = ResponseReader::default();
        self.file = File::NotWanted;
        self.unframed = Unframed::default();
        self.is_turn_begun = false;
        self.is_resetting = false;
        let is_withdrawn = self.ledger.withdraw();
        if self.session.login.is_none() && !self.is_joined {
            self.user = UserPlace::Login;
            self.session.reconnect();
            return Ok(());
        }
        if is_withdrawn {
            self.user = UserPlace::Commands;
        }
        self.begin_prologue(actions)
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        if self.session.login.is_none() && !self.is_joined {
            return None;
        }
        let snapshot = Snapshot {
            session: self.session.clone(),
            said_login: self.said_login.clone(),
            greeting: self.greeting.clone(),
        };
        postcard::to_extend(&snapshot, vec![SNAPSHOT_VERSION]).ok()
    }
}

#[cfg(test)]
mod tests;
