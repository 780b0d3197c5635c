//! What the doctor says: one sentence for each thing that was looked at.

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it must be.
    Ok,
    /// Worth knowing, and no fault.
    Note,
    /// In the way of a replay.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub subject: &'static str,
    /// How it is.
    pub state: State,
    /// How it is, to what, and with a problem what to do: one sentence.
    pub text: String,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, state: State::Ok, text: text.into() }
    }

    pub(super) fn note(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, state: State::Note, text: text.into() }
    }

    pub(super) fn problem(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, state: State::Problem, text: text.into() }
    }
}
