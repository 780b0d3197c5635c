//! One session: what the user says is read request by request (`conversation/requests.rs`), what target and online server answer
//! response by response (`conversation/answers.rs`). This file holds what both know, and what happens when the streams
//! begin, end and begin anew.

mod answers;
mod requests;

use std::sync::Arc;

use tcpcopy_plugin_api::ledger::Ledger;
use tcpcopy_plugin_api::{Actions, Conversation, Depth, GiveUp, Side};

use crate::chunked::Chunked;
use crate::configuration::Settings;
use crate::framing::{Malformed, RequestKind};
use crate::head::HeadSearch;

use crate::response::ResponseReader;
use crate::seek::Seeker;

/// Client bytes that are no request, before the first one that is.
const NO_REQUEST: &str = "no request";
/// Client bytes that were none yet when the user left.
const INCOMPLETE: &str = "incomplete request";
/// A snapshot begins with the version of its form.
const SNAPSHOT_VERSION: u8 = 1;

/// A conversation in HTTP.
pub(crate) struct HttpConversation {
    settings: Arc<Settings>,
    reading: Reading,
    /// The end of the request's head that is awaited.
    search: HeadSearch,
    doubt: Doubt,
    /// Whether the request that is being read may lead to another protocol.
    may_switch: bool,
    target: TargetPlace,
    target_reader: ResponseReader,
    online: OnlinePlace,
    online_reader: ResponseReader,
    /// Some of what it said is left, until a request is captured that it may be the answer to.
    online_is_early: bool,
    /// Its beginning was not captured, or its place was lost: what comes early shows that it was not found again.
    online_was_lost: bool,
    ledger: Ledger<Asked>,
    /// Why the request before was not said, if it was not.
    refusal: Option<&'static str>,
    /// The head that is rewritten; kept for its memory.
    rewritten: Vec<u8>,
    client_ended: bool,
    /// Of what it had said then, something waits for the target's answer.
    client_left: bool,
    target_ended: bool,
}

/// What is remembered of a request.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    kind: RequestKind,
    /// How it was read.
    doubt: Doubt,
}

/// Where in the client's stream this conversation is.
#[derive(Debug)]
enum Reading {
    /// Between requests, or in the head of one.
    Head,
    /// In a body that is passed over, but for its last byte.
    LastByte,
    /// In a chunked body.
    Chunked(Chunked),
    /// In a chunked body that is not said, for that reason.
    Unsaid(Chunked, &'static str),
    /// Somewhere: looking for the next request.
    Seeking(Seeker),
    /// Behind a request after which the target may speak another protocol: its answer decides.
    Switching,
    /// The target speaks another protocol: the user's first bytes tell whether the online server did so as well.
    Entering,
    /// In another protocol: everything is forwarded.
    Switched,
    /// In something that is no HTTP: everything is forwarded.
    Raw,
    /// Behind a request for a tunnel that was not said: nothing is.
    Silent,
}

/// What it means if the head that is awaited is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doubt {
    /// The request is malformed.
    #[default]
    None,
    /// What was found by searching, or follows what was, is no request: the search goes on.
    Found {
        /// It follows a request that was found.
        is_next: bool,
    },
    /// The online server changed the protocol after the request before, and the target did not.
    Unswitched,
}

/// Where in the target's stream this conversation is.
#[derive(Debug)]
enum TargetPlace {
    Following,
    /// Bytes were lost: looking for the next response, while the engine guesses.
    Seeking(Seeker),
    /// It cannot be known any more which response is whose: the engine guesses from here on.
    Lost,
}

/// Where in the online server's stream this conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnlinePlace {
    /// Nothing is compared.
    Unwanted,
    Following,
    /// Bytes were lost, or the beginning was not captured. The next request may find the place again.
    Lost,
    /// A request came after that: if a response begins with the next byte, it is its answer.
    Regaining,
}

impl HttpConversation {
    /// A session begins; `joined` in the middle of the user's connection.
    pub(crate) fn new(settings: Arc<Settings>, joined: bool) -> Self {
        let online = match (settings.compares, joined) {
            (false, _) => OnlinePlace::Unwanted,
            (true, false) => OnlinePlace::Following,
            (true, true) => OnlinePlace::Lost,
        };
        let reading = if joined { Reading::Seeking(Seeker::new(true)) } else { Reading::Head };
        let compares = settings.compares;
        Self {
            settings,
            reading,
            search: HeadSearch::default(),
            doubt: Doubt::None,
            may_switch: false,
            target: TargetPlace::Following,
            target_reader: ResponseReader::new(compares),
            online,
            online_reader: ResponseReader::new(compares),
            online_is_early: false,
            online_was_lost: joined,
            ledger: Ledger::default(),
            refusal: None,
            rewritten: Vec::new(),
            client_ended: false,
            client_left: false,
            target_ended: false,
        }
    }

    /// A session goes on that had left that snapshot. Of one that cannot be read, nothing is assumed.
    pub(crate) fn resumed(settings: Arc<Settings>, snapshot: &[u8]) -> Self {
        let joins = Self::new(Arc::clone(&settings), true);
        let [SNAPSHOT_VERSION, target, online, ref rest @ ..] = *snapshot else {
            return Self { target: TargetPlace::Lost, ..joins };
        };
        let mut resumed = Self { online: joins.online, online_was_lost: true, ..Self::new(settings, false) };
        if target != b'f' {
            resumed.target = TargetPlace::Lost;
        }
        match (online, resumed.online) {
            (_, OnlinePlace::Unwanted) => {}
            (b'f', _) => (resumed.online, resumed.online_was_lost) = (OnlinePlace::Following, false),
            (b'w', _) => resumed.online = OnlinePlace::Following,
            (b'u', _) => resumed.online = OnlinePlace::Unwanted,
            _ => {}
        }
        if rest.starts_with(b"g") {
            resumed.await_head(Doubt::Found { is_next: true });
        }
        resumed
    }

    /// The client's stream is no HTTP that could be followed, from here on.
    fn handle_malformed(&mut self, malformed: Malformed, actions: &mut Actions) -> Result<(), GiveUp> {
        if self.settings.gives_up_malformed {
            return Err(GiveUp::new(format!("malformed request: {}", malformed.0)));
        }
        self.reading = Reading::Raw;
        self.forward_everything(actions);
        Ok(())
    }

    /// Nothing is read any more, on no side.
    fn forward_everything(&mut self, actions: &mut Actions) {
        actions.forward_all();
        self.leave_servers(actions);
    }

    /// What servers answer is not read any more.
    fn leave_servers(&mut self, actions: &mut Actions) {
        self.lose_target_for_good(actions);
        self.lose_online_for_good(actions);
    }

    /// From here on a head is awaited.
    fn await_head(&mut self, doubt: Doubt) {
        self.reading = Reading::Head;
        self.doubt = doubt;
        self.search = match doubt {
            Doubt::Found { .. } => HeadSearch::of_possible_request(),
            Doubt::None | Doubt::Unswitched => HeadSearch::default(),
        };
    }

    /// The place in the target's stream is lost. If it owed one response at most, the next that is found is that to the
    /// request after it.
    fn lose_target(&mut self, actions: &mut Actions) {
        if self.ledger.owed_by_target() > 1 {
            self.lose_target_for_good(actions);
            return;
        }
        self.target = TargetPlace::Seeking(Seeker::new(false));
        self.forget_target(actions);
    }

    fn lose_target_for_good(&mut self, actions: &mut Actions) {
        self.target = TargetPlace::Lost;
        actions.want_target(Depth::NOTHING);
        self.forget_target(actions);
    }

    fn forget_target(&mut self, actions: &mut Actions) {
        actions.guess_turns();
        self.target_reader = ResponseReader::new(self.settings.compares);
        self.ledger.forget_target();
        if matches!(self.reading, Reading::Switching) {
            self.await_head(Doubt::None);
        }
        self.ledger.settle(actions);
    }

    /// The place in the online server's stream is lost. If it owed one response at most, the next request may find it
    /// again.
    fn lose_online(&mut self, actions: &mut Actions) {
        if self.online == OnlinePlace::Unwanted {
            return;
        }
        if self.ledger.owed_by_online() > 1 {
            return self.lose_online_for_good(actions);
        }
        self.ledger.forget_online();
        self.leave_online(OnlinePlace::Lost, actions);
    }

    fn lose_online_for_good(&mut self, actions: &mut Actions) {
        actions.want_online(false);
        self.ledger.forget_online();
        self.leave_online(OnlinePlace::Unwanted, actions);
    }

    /// What was read of the online server's stream is of no use any more.
    fn leave_online(&mut self, place: OnlinePlace, actions: &mut Actions) {
        self.online = place;
        self.online_reader = ResponseReader::new(self.settings.compares);
        self.online_is_early = false;
        self.online_was_lost = true;
        self.ledger.settle(actions);
    }

    /// The user is gone: what was not complete is said as it is where everything is, else it is not.
    fn handle_client_end(&mut self, actions: &mut Actions) {
        let forwards = match self.reading {
            Reading::Head if self.search.is_fresh() => return,
            Reading::Switching => {
                self.client_left = true;
                return;
            }
            Reading::Entering => return self.enter_protocol(actions),
            Reading::LastByte | Reading::Switched | Reading::Raw | Reading::Silent => return,
            Reading::Head | Reading::Chunked(_) => !self.settings.gives_up_malformed,
            Reading::Unsaid(..) | Reading::Seeking(_) => false,
        };
        if forwards {
            actions.forward_all();
        } else {
            let is_request = !matches!(self.reading, Reading::Seeking(_));
            actions.discard(u64::MAX, if is_request { INCOMPLETE } else { NO_REQUEST });
        }
    }

    fn close_when_over(&mut self, actions: &mut Actions) {
        if self.client_ended && self.target_ended {
            self.ledger.close(actions);
        }
    }
}

impl Conversation for HttpConversation {
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let is_lost = matches!(self.target, TargetPlace::Lost);
        actions.want_target(if is_lost { Depth::NOTHING } else { Depth::EVERYTHING });
        if self.online != OnlinePlace::Unwanted {
            actions.want_online(true);
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

    fn missing(&mut self, side: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        match side {
            Side::Target => self.miss_target(count, actions),
            Side::Online => self.miss_online(count, actions),
            Side::Client => {}
        }
        Ok(())
    }

    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        match side {
            Side::Client => {
                self.client_ended = true;
                self.handle_client_end(actions);
            }
            Side::Target => {
                self.target_ended = true;
                self.end_target(actions);
            }
            Side::Online => self.end_online(actions),
        }
        self.close_when_over(actions);
        Ok(())
    }

    /// Requests that are open are read again, from the oldest. The rest of one that was answered already has no place on
    /// a new connection.
    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        self.target_ended = false;
        self.client_left = false;
        self.target_reader = ResponseReader::new(self.settings.compares);
        let is_followed = matches!(self.target, TargetPlace::Following);
        match self.reading {
            Reading::Entering | Reading::Switched => {
                return Err(GiveUp::new("the target closed a connection that spoke another protocol"));
            }
            Reading::Raw => return Ok(()),
            _ => {}
        }
        if self.ledger.withdraw() {
            let oldest = self.ledger.withdrawn().copied().unwrap_or_default();
            self.await_head(oldest.doubt);
        } else if is_followed && matches!(self.reading, Reading::LastByte | Reading::Chunked(_)) {
            return Err(GiveUp::new("the target closed before it had all of a request that it had answered"));
        }
        // Requests outside of turns: the engine says some of them again, and nobody knows which.
        if self.ledger.owed_by_target() > 0 {
            self.lose_target_for_good(actions);
        } else if let TargetPlace::Seeking(_) = self.target {
            self.target = TargetPlace::Following;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Option<Vec<u8>> {
        let doubt: &[u8] = match self.doubt {
            Doubt::None => b"",
            Doubt::Found { is_next: true } => b"g",
            Doubt::Found { is_next: false } | Doubt::Unswitched => return None,
        };
        let is_between = matches!(self.reading, Reading::Head)
            && self.ledger.is_empty()
            && self.target_reader.is_between_responses()
            && self.online_reader.is_between_responses();
        let target = match self.target {
            TargetPlace::Following => b'f',
            TargetPlace::Seeking(_) | TargetPlace::Lost => b'l',
        };
        let online = match self.online {
            OnlinePlace::Following if self.online_was_lost => b'w',
            OnlinePlace::Following => b'f',
            OnlinePlace::Unwanted if self.settings.compares => b'u',
            OnlinePlace::Unwanted | OnlinePlace::Lost | OnlinePlace::Regaining => b'l',
        };
        is_between.then(|| [&[SNAPSHOT_VERSION, target, online], doubt].concat())
    }
}
