//! Why a session ended, or why captured traffic was not replayed: always one value of one enum.

/// The end of a session. Exactly one is counted for every session that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Both sides closed; everything the user said reached the target.
    Complete,
    /// The user reset the connection; everything said before that reached the target.
    UserReset,
    /// Captured bytes are missing and no later turn could be joined before the user left.
    CaptureGap,
    /// The target refused the connection for as long as we were willing to ask.
    TargetRefused,
    /// The target did not answer our SYN for as long as we were willing to ask.
    TargetUnreachable,
    /// The target reset or closed the connection and what was left could not be said again.
    TargetReset,
    /// Something was due and the target said nothing for the response time-out.
    TargetSilent,
    /// Nothing was due and nobody said anything for the idle time-out.
    Idle,
    /// Keeping what the user said would have exceeded the memory budget.
    MemoryBudget,
    /// Every source address and port is in use by a live session.
    SourcesExhausted,
    /// The client's address cannot speak to the target: another family, or loopback without a stand-in.
    NoSourceAddress,
    /// The capture ended before the user did: everything it had of the user reached the target, and the connection was
    /// closed.
    CaptureEnded,
    /// The module gave the session up, for a reason of its own.
    ModuleGaveUp,
    /// The module broke.
    ModuleFault,
    /// The program was told to stop.
    Shutdown,
}

impl Verdict {
    /// Every verdict, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::Complete,
        Self::UserReset,
        Self::CaptureGap,
        Self::TargetRefused,
        Self::TargetUnreachable,
        Self::TargetReset,
        Self::TargetSilent,
        Self::Idle,
        Self::MemoryBudget,
        Self::SourcesExhausted,
        Self::NoSourceAddress,
        Self::CaptureEnded,
        Self::ModuleGaveUp,
        Self::ModuleFault,
        Self::Shutdown,
    ];

    /// The name in reports and metrics: lower case with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::UserReset => "user_reset",
            Self::CaptureGap => "capture_gap",
            Self::TargetRefused => "target_refused",
            Self::TargetUnreachable => "target_unreachable",
            Self::TargetReset => "target_reset",
            Self::TargetSilent => "target_silent",
            Self::Idle => "idle",
            Self::MemoryBudget => "memory_budget",
            Self::SourcesExhausted => "sources_exhausted",
            Self::NoSourceAddress => "no_source_address",
            Self::CaptureEnded => "capture_ended",
            Self::ModuleGaveUp => "module_gave_up",
            Self::ModuleFault => "module_fault",
            Self::Shutdown => "shutdown",
        }
    }

    /// What a person reads beside the name.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Complete => "both sides closed",
            Self::UserReset => "the user reset the connection",
            Self::CaptureGap => "captured bytes are missing",
            Self::TargetRefused => "the target refused the connection",
            Self::TargetUnreachable => "the target did not answer the SYN",
            Self::TargetReset => "the target closed early and the rest could not be said again",
            Self::TargetSilent => "the target said nothing for the response time-out (-t)",
            Self::Idle => "nobody said anything for the idle time-out (-k)",
            Self::MemoryBudget => "the memory budget (-m) was exhausted",
            Self::SourcesExhausted => "every source address and port (-c) was in use",
            Self::NoSourceAddress => "the user's address cannot speak to the target (see -c, -H)",
            Self::CaptureEnded => "the capture ended before the user did; closed in order",
            Self::ModuleGaveUp => "the module gave the session up",
            Self::ModuleFault => "the module broke",
            Self::Shutdown => "tcpcopy was told to stop",
        }
    }
}

/// Why captured packets were not taken into a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// Sent to no online address of a mapping, or by a target.
    NotMapped,
    /// Of a connection that the sampling (`-r`, `-g`) or the share (`--share`) leaves out.
    NotSampled,
    /// Of a connection whose SYN was not captured, while only whole sessions are wanted (`-O`).
    NotWhole,
    /// Of a connection joined in its middle, before the start of a turn was recognised.
    BeforeFirstTurn,
    /// Of no live session, and without payload.
    NoSession,
    /// Kept shorter than on the wire: its payload is incomplete.
    Truncated,
    /// Nothing in it that had not been captured before.
    Duplicate,
    /// Behind the FIN or the reset of its user.
    AfterClose,
    /// Its sequence number fits no place in its session.
    OutOfWindow,
}

impl Ignored {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::NotMapped,
        Self::NotSampled,
        Self::NotWhole,
        Self::BeforeFirstTurn,
        Self::NoSession,
        Self::Truncated,
        Self::Duplicate,
        Self::AfterClose,
        Self::OutOfWindow,
    ];

    /// The name in reports and metrics: lower case with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotMapped => "not_mapped",
            Self::NotSampled => "not_sampled",
            Self::NotWhole => "not_whole",
            Self::BeforeFirstTurn => "before_first_turn",
            Self::NoSession => "no_session",
            Self::Truncated => "truncated",
            Self::Duplicate => "duplicate",
            Self::AfterClose => "after_close",
            Self::OutOfWindow => "out_of_window",
        }
    }
}
