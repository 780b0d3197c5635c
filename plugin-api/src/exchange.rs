//! An exchange: one request and its answers, as reports show them.

use std::time::Duration;

/// One request and how it was answered: the raw material of the comparison that operators run a replay for.
///
/// Given to [`Actions::record`](crate::Actions::record), once per request. tcpcopy counts exchanges by label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What kind of request: the row of the report it belongs to, like `GET /users/{id}` or a statement without its
    /// values. Labels are few (some hundred): what differs from request to request does not belong there.
    pub label: String,
    /// The online server's answer, when it was captured.
    pub online: Option<Answer>,
    /// The target's answer; `None` when the target gave none.
    pub target: Option<Answer>,
}

/// One answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Answer {
    /// The outcome as the protocol numbers it: the HTTP status, the error number, 0 for a plain success. The outcomes of
    /// both answers should be equal.
    pub outcome: u32,
    /// Whether that outcome is a failure.
    pub failed: bool,
    /// How much was answered: bytes of the body, rows of a result. The sizes of both answers should be equal.
    pub size: u64,
    /// A hash of what was answered, where the module makes one; 0: none. Compared when neither is 0.
    pub digest: u64,
    /// From the end of the request to the end of the answer, in microseconds.
    pub latency_us: u64,
}

impl Answer {
    /// The time from the end of the request to the end of the answer.
    #[must_use]
    pub const fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us)
    }
}
