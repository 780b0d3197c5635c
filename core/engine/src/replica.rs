//! A captured connection may be replayed several times at once (`-n`).

use tcpcopy_wire::Flow;

/// One of the copies of a captured connection: what a session replays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    /// Client and online server, as captured.
    pub(crate) captured: Flow,
    /// Which copy, from 0 on.
    pub(crate) copy: u16,
}

impl Replica {
    /// All of the copies of `captured`.
    pub(crate) fn all(captured: Flow, copies: u16) -> impl Iterator<Item = Self> {
        (0..copies).map(move |copy| Self { captured, copy })
    }
}
