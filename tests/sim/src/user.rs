//! A user: says what the script says, when the script says so.

use std::collections::VecDeque;
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use tcpcopy_wire::{Endpoint, Instant};

use crate::host::Host;
use crate::protocol::{Kind, Messages};
use crate::scenario::Ending;
use crate::script::Script;

/// The first port of every user.
const FIRST_PORT: u16 = 40_000;

/// A user who gets no further for this long leaves.
const PATIENCE: Duration = Duration::from_secs(60);

/// A user has begun a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    /// Which of the user's scripts.
    pub(crate) script: usize,
    pub(crate) client: Endpoint,
}

pub(crate) struct User {
    pub(crate) host: Host,
    server: Endpoint,
    scripts: VecDeque<Script>,
    begun: usize,
    port: u16,
    begins_at: Option<Instant>,
    talking: Option<Talking>,
    /// Closed by both ends, but TCP may still have something to repeat.
    closing: Vec<(u16, SocketHandle)>,
}

struct Talking {
    script: Script,
    socket: SocketHandle,
    messages: Messages,
    heard: usize,
    spoken: usize,
    may_speak_to: usize,
    next_cue: usize,
    /// When the next cue (or the ending) is due, once what it waits for has been heard.
    cue_at: Option<Instant>,
    /// When something was last said or heard.
    active_at: Instant,
    is_over: bool,
}

impl User {
    pub(crate) fn new(host: Host, server: Endpoint, scripts: Vec<Script>, now: Instant) -> Self {
        let mut user = Self {
            host,
            server,
            scripts: scripts.into(),
            begun: 0,
            port: FIRST_PORT - 1,
            begins_at: None,
            talking: None,
            closing: Vec::new(),
        };
        user.plan_next(now);
        user
    }

    /// Whether everything has been said.
    pub(crate) fn is_done(&self) -> bool {
        self.talking.is_none() && self.scripts.is_empty()
    }

    /// When the user does something without having heard anything.
    pub(crate) fn acts_at(&self) -> Option<Instant> {
        let talking = self.talking.as_ref().map(|talking| {
            let leaves_at = talking.active_at + PATIENCE;
            talking.cue_at.map_or(leaves_at, |at| at.min(leaves_at))
        });
        self.begins_at.or(talking)
    }

    /// Speaks and listens; a connection that began is returned.
    pub(crate) fn act(&mut self, now: Instant) -> Option<Begun> {
        let mut begun = None;
        if self.begins_at.is_some_and(|at| at <= now) {
            begun = self.begin(now);
        }
        if let Some(talking) = &mut self.talking {
            talking.act(&mut self.host, now);
            if talking.is_over {
                self.closing.extend(self.talking.take().map(|talking| (self.port, talking.socket)));
                self.plan_next(now);
            }
        }
        let host = &mut self.host;
        self.closing.retain(|(_, socket)| {
            let is_closed = host.socket(*socket).state() == State::Closed;
            if is_closed && host.socket(*socket).remote_endpoint().is_none() {
                host.close_at_once(*socket);
                return false;
            }
            true
        });
        begun
    }

    fn plan_next(&mut self, now: Instant) {
        self.begins_at = self.scripts.front().map(|script| now + script.begins_after);
    }

    fn begin(&mut self, now: Instant) -> Option<Begun> {
        self.begins_at = None;
        let script = self.scripts.pop_front()?;
        if !script.same_port || self.port < FIRST_PORT {
            self.port += 1;
        }
        let host = &mut self.host;
        self.closing.retain(|(port, socket)| {
            if *port == self.port {
                host.close_at_once(*socket);
            }
            *port != self.port
        });
        let socket = self.host.connect(self.port, self.server);
        let begun = Begun { script: self.begun, client: Endpoint::new(self.host.addr, self.port) };
        self.begun += 1;
        self.talking = Some(Talking {
            script,
            socket,
            messages: Messages::new(Kind::Response),
            heard: 0,
            spoken: 0,
            may_speak_to: 0,
            next_cue: 0,
            cue_at: None,
            active_at: now,
            is_over: false,
        });
        Some(begun)
    }
}

impl Talking {
    fn act(&mut self, host: &mut Host, now: Instant) {
        self.listen(host, now);
        let socket = host.socket(self.socket);
        if matches!(socket.state(), State::Closed | State::TimeWait) {
            self.is_over = true;
            return;
        }
        if socket.state() != State::SynSent {
            self.follow_cues(now);
        }
        let socket = host.socket(self.socket);
        if self.spoken < self.may_speak_to && socket.can_send() {
            let said = socket.send_slice(&self.script.stream[self.spoken..self.may_speak_to]).unwrap_or(0);
            self.spoken += said;
            self.active_at = now;
        }
        if self.active_at + PATIENCE <= now {
            host.socket(self.socket).abort();
            self.is_over = true;
        }
        self.end(host);
    }

    fn listen(&mut self, host: &mut Host, now: Instant) {
        let socket = host.socket(self.socket);
        while socket.can_recv() {
            self.active_at = now;
            let heard = &mut self.heard;
            let messages = &mut self.messages;
            let read = socket.recv(|bytes| {
                let read = messages.read(bytes, |_| *heard += 1);
                (bytes.len(), read)
            });
            assert_eq!(read, Ok(Ok(())), "the online server's answers are readable");
        }
    }

    fn follow_cues(&mut self, now: Instant) {
        while let Some(cue) = self.script.cues.get(self.next_cue) {
            if self.heard < cue.after {
                return;
            }
            let at = *self.cue_at.get_or_insert(now + cue.delay);
            if at > now {
                return;
            }
            self.cue_at = None;
            self.may_speak_to = cue.upto;
            self.next_cue += 1;
        }
    }

    fn end(&mut self, host: &mut Host) {
        let said_all = self.spoken == self.script.stream.len();
        if !said_all {
            return;
        }
        let heard_all = self.heard >= self.script.answers;
        let socket = host.socket(self.socket);
        match self.script.ending {
            Ending::UserCloses if heard_all => socket.close(),
            Ending::HalfClose => socket.close(),
            Ending::ServerCloses if socket.state() == State::CloseWait => socket.close(),
            Ending::UserResets if heard_all => {
                socket.abort();
                self.is_over = true;
            }
            Ending::UserResetsUnheard => {
                socket.abort();
                self.is_over = true;
            }
            Ending::UserVanishes if heard_all => self.is_over = true,
            _ => {}
        }
    }
}
