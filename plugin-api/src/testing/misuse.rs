//! What an author got wrong, told so that the next step is clear.

use std::fmt;

use crate::Side;

/// Actions that make no sense where they were called for. tcpcopy would ignore them or end the session; the kit says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// [`Actions::replace`](crate::Actions::replace) of more than the input.
    ReplaceBeyondInput {
        /// How many bytes were to be replaced.
        count: u64,
        /// How many there were at that place.
        available: u64,
    },
    /// [`Actions::take`](crate::Actions::take) in a call that is not about the target's or the online server's bytes.
    TakeElsewhere {
        /// The call.
        call: &'static str,
    },
    /// [`Actions::begin_prologue`](crate::Actions::begin_prologue) in another call than `reconnected`.
    PrologueElsewhere {
        /// The call.
        call: &'static str,
    },
    /// [`Actions::end_prologue`](crate::Actions::end_prologue) without a prologue.
    NoPrologue,
    /// An action about client bytes or turns behind a `forward` or `discard` of bytes that have not come yet.
    BehindPromise,
    /// An action about client bytes or turns in a prologue.
    ClientInPrologue,
    /// More was left of a side than may be: 64 MiB of the client's, 1 MiB of another.
    TooMuchLeft {
        /// Which.
        side: Side,
        /// How many bytes.
        left: usize,
    },
    /// A timer that is set to a time that has come, from `timer` itself, for ever.
    TimerSpins,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReplaceBeyondInput { count, available } => write!(
                f,
                "replace({count}) was called where only {available} client bytes were in the input: leave them until all have \
                 come, or discard() and insert()"
            ),
            Self::TakeElsewhere { call } => write!(
                f,
                "take() was called in {call}(), where it does nothing: bytes are taken in the call that gives them; client \
                 bytes are dealt with by forward(), replace() and discard()"
            ),
            Self::PrologueElsewhere { call } => {
                write!(f, "begin_prologue() was called in {call}(): a prologue begins in reconnected(), or in opened() of a session without a connection")
            }
            Self::NoPrologue => {
                f.write_str("end_prologue() was called without a prologue: call begin_prologue() in reconnected() first")
            }
            Self::TooMuchLeft { side, left } => write!(
                f,
                "{left} bytes of the side {side:?} were left, more than may be: tcpcopy would end the session; deal with \
                 bytes before a message of that length is complete, or give up"
            ),
            Self::BehindPromise => f.write_str(
                "an action about client bytes or turns followed a forward() or discard() of bytes that have not come yet: \
                 return, and go on when client() is called with what is behind them",
            ),
            Self::ClientInPrologue => f.write_str(
                "an action about client bytes or turns was called for in a prologue: only insert() is possible before \
                 end_prologue()",
            ),
            Self::TimerSpins => f.write_str(
                "timer() set the timer to a moment that has come, a thousand times in a row: set it to one after now(), or to None",
            ),
        }
    }
}

impl std::error::Error for Misuse {}
