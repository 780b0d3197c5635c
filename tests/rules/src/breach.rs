//! One broken rule: where, what, and what to do about it.

use std::fmt;

/// The rules, each as the sentence a person reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Which crate may know which.
    Rooms,
    /// What the sans-IO rooms may be made of.
    ThirdParty,
    /// Where `unsafe` may stand.
    Unsafe,
    /// Where clock, threads, sockets and files may be used.
    Machine,
    /// What files and identifiers are called.
    Names,
    /// How files begin.
    Opening,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rooms => "a crate knows only the rooms below it",
            Self::ThirdParty => "a sans-IO room is made of the crates on its list and nothing else",
            Self::Unsafe => "unsafe stays in core/net, core/host and plugin-api/src/abi.rs",
            Self::Machine => "a sans-IO room has no clock, thread, socket or file",
            Self::Names => "names come from the words of docs/architecture.md and say what is inside",
            Self::Opening => "every file opens with //! saying what it is",
        })
    }
}

/// A place where a rule does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule that is broken.
    pub rule: Rule,
    /// File, `file:line`, or dependency edge.
    pub place: String,
    /// What is wrong there.
    pub finding: String,
    /// What the reader should do.
    pub remedy: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, place, finding, remedy } = self;
        write!(f, "{place}: {finding}\n    rule: {rule}\n    do: {remedy}")
    }
}
