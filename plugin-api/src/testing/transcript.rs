//! What happens to a session, as the author of a module writes it down.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::{SessionInfo, Side};

/// What happens to one session, in order. Each call of [`client`](Self::client), [`target`](Self::target) and
/// [`online`](Self::online) is one packet, until [`check_every_split`](crate::testing::check_every_split) cuts it.
#[derive(Clone, Debug)]
pub struct Transcript {
    session: SessionInfo,
    events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Bytes(Side, Vec<u8>),
    Missing(Side, u64),
    End(Side),
    Reconnect,
    Wait(Duration),
    Move,
}

impl Transcript {
    /// A session in which nothing happens yet, between addresses of documentation.
    #[must_use]
    pub fn new() -> Self {
        let address = |net, host, port| SocketAddr::from((Ipv4Addr::new(192, 0, net, host), port));
        let session = SessionInfo {
            id: 1,
            client: address(2, 1, 40_000),
            online: address(2, 2, 80),
            source: address(2, 1, 40_000),
            target: address(2, 3, 80),
            joined: false,
            connected: false,
        };
        Self { session, events: Vec::new() }
    }

    /// What the module is told of the session, instead of the addresses of documentation.
    #[must_use]
    pub fn session(mut self, session: SessionInfo) -> Self {
        self.session = session;
        self
    }

    /// The beginning of the user's connection was not captured ([`SessionInfo::joined`]).
    #[must_use]
    pub fn joined(mut self) -> Self {
        self.session.joined = true;
        self
    }

    /// The user says that.
    #[must_use]
    pub fn client(self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes(Side::Client, bytes)
    }

    /// The target answers that.
    #[must_use]
    pub fn target(self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes(Side::Target, bytes)
    }

    /// The online server answers that.
    #[must_use]
    pub fn online(self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes(Side::Online, bytes)
    }

    /// That side says that.
    #[must_use]
    pub fn bytes(self, side: Side, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Event::Bytes(side, bytes.as_ref().to_vec()))
    }

    /// The next `count` bytes of that side were lost.
    ///
    /// # Panics
    /// When it is the client's side: what the user said is never given with holes.
    #[must_use]
    pub fn missing(self, side: Side, count: u64) -> Self {
        assert!(side != Side::Client, "client bytes are never missing: a session ends at a hole");
        self.then(Event::Missing(side, count))
    }

    /// That side closes.
    #[must_use]
    pub fn ends(self, side: Side) -> Self {
        self.then(Event::End(side))
    }

    /// The connection to the target is replaced by a new one.
    #[must_use]
    pub fn reconnect(self) -> Self {
        self.then(Event::Reconnect)
    }

    /// Time passes; a timer that is due rings.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        self.then(Event::Wait(time))
    }

    /// The session moves to another conversation of the module (hot swap with `--migrate`): a
    /// [`snapshot`](crate::Conversation::snapshot) is taken and [resumed](crate::Module::resume). As with tcpcopy, nothing
    /// happens where a turn is open or bytes are left, or where there is no snapshot; [`Outcome::moves`](
    /// crate::testing::Outcome::moves) tells.
    #[must_use]
    pub fn moves(self) -> Self {
        self.then(Event::Move)
    }

    /// What the module is told of the session.
    #[must_use]
    pub fn info(&self) -> &SessionInfo {
        &self.session
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    fn then(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}
