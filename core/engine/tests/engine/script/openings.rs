//! The situations in which most tests begin.

use super::{ACK_DELAY, Lines, Play};

impl Play {
    /// A play whose connection is open on both sides, with nothing said yet. The user is near: no pacing.
    pub(crate) fn opened() -> Self {
        Self::new().open()
    }

    /// The same, served by `module` as generation 1.
    pub(crate) fn served_by(module: Lines) -> Self {
        Self::serving(module).open()
    }

    /// A play in which nothing has happened yet, served by `module` as generation 1.
    pub(crate) fn serving(module: Lines) -> Self {
        let mut play = Self::new();
        play.install(1, module, false);
        play
    }

    /// From now on `module` serves, as generation `number`.
    pub(crate) fn install(&mut self, number: u32, module: Lines, migrates: bool) {
        self.engine.install(0, number, Box::new(module), migrates, self.now);
        self.settle();
    }

    /// Opens the connection on both sides.
    #[track_caller]
    pub(crate) fn open(mut self) -> Self {
        self.user_syn();
        self.user_acks(0);
        self.target_syn_ack();
        self.expect(&["S 0", ". 1 ack 1"]);
        self
    }

    /// A play in which one question was asked and answered.
    pub(crate) fn answered() -> Self {
        let mut play = Self::opened();
        play.user_says("ask", 0);
        play.target_says(100);
        play.advance(ACK_DELAY);
        play.expect(&["P. 1 ack 1 ask", ". 4 ack 101"]);
        play
    }

    /// The same, and the user has closed (FIN-WAIT-1).
    pub(crate) fn user_closed() -> Self {
        let mut play = Self::answered();
        play.user_fin(100);
        play.expect(&["F. 4 ack 101"]);
        play
    }

    /// A play in which one question was asked, acknowledged and not answered.
    pub(crate) fn unanswered() -> Self {
        let mut play = Self::opened();
        play.user_says("ask", 0);
        play.target_acks();
        play.sent();
        play
    }

    /// One question is asked and, after hearing 100 bytes of production, a second one.
    pub(crate) fn asks_twice(mut self) -> Self {
        self.user_says("one", 0);
        self.advance(50);
        self.user_says("two", 100);
        self
    }
}
