//! What users did: every request and every connection, one row each.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::latency::Latency;
use super::super::plan::UsersPlan;
use super::super::request::RequestId;
use super::super::store;

const KIND: &str = "users";

/// What one process of users did. Times are those of [`monotonic_us`](super::super::monotonic_us).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsersRecord {
    /// What they were to do.
    pub plan: UsersPlan,
    /// When they began.
    pub started_at: u64,
    /// When the last connection was closed.
    pub ended_at: u64,
    /// Requests in the order they were begun.
    pub requests: Vec<UserRequest>,
    /// Connections in the order they were begun.
    pub connections: Vec<UserConnection>,
    /// From the first byte written to the last byte of the answer.
    pub latency: Latency,
    /// Most connections established at once.
    pub peak_open: u32,
    /// Times a connection had to wait for its source port to become free.
    pub port_waits: u64,
    /// Times a connection due by the clock had to wait because this process may open no more files.
    pub file_waits: u64,
    /// Requests that were due and never begun: the plan ended, or no user was free.
    pub unstarted: u64,
    /// CPU this process used in the meantime, in microseconds.
    pub cpu_us: u64,
}

impl UsersRecord {
    /// Writes the record to a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write_to(&self, path: &Path) -> io::Result<()> {
        store::write(path, KIND, self)
    }

    /// Reads a record from a file.
    ///
    /// # Errors
    /// Those of the file; `InvalidData` when it holds something else.
    pub fn read_from(path: &Path) -> io::Result<Self> {
        store::read(path, KIND)
    }

    /// Requests that were answered.
    pub fn answered(&self) -> u64 {
        self.requests.iter().filter(|request| matches!(request.outcome, Outcome::Answered { .. })).count()
            as u64
    }
}

/// One request of a user.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRequest {
    /// Its name; also tells its place in the connection.
    pub id: RequestId,
    /// Row of its connection.
    pub connection: u32,
    /// When its first byte was written.
    pub sent_at: u64,
    /// Bytes of head and body.
    pub bytes: u64,
    /// Whether all of it was handed to the kernel.
    pub written: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a request, as its user saw it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered, so much later.
    Answered {
        /// Microseconds since `sent_at`.
        after_us: u32,
    },
    /// Not answered, by fault of server or network.
    Failed(Failure),
    /// Not answered because the user itself gave up: by plan, or at the plan's end.
    Cut,
}

/// Why a connection, or a request on it, came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// No way there.
    Unreachable,
    /// The server reset the connection.
    Reset,
    /// The server closed before it had answered.
    ClosedEarly,
    /// Nothing moved for the plan's `answer_timeout_ms`.
    TimedOut,
    /// What came was no answer to the request.
    NoAnswer,
    /// The kernel gave another error.
    Other,
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other,
        }
    }
}

/// One connection of a user.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserConnection {
    /// Whose, as in its requests' ids.
    pub user: u32,
    /// Which of the user's, from 0.
    pub ordinal: u32,
    /// The user's address and port.
    pub source: SocketAddr,
    /// Where it went.
    pub target: SocketAddr,
    /// When it was begun.
    pub opened_at: u64,
    /// When it was closed.
    pub ended_at: u64,
    /// Requests begun on it.
    pub requests: u32,
    /// How it ended.
    pub end: UserConnectionEnd,
}

/// How a user's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserConnectionEnd {
    /// The plan's ending.
    Planned,
    /// The server closed it between two requests.
    ServerClosed,
    /// It failed.
    Failed(Failure),
    /// Reset by the user in the middle of a request, by plan.
    Cut,
    /// Still at work when the plan's grace time was over.
    Stopped,
}

/// How far users are, once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsersProgress {
    /// Milliseconds since the start.
    pub elapsed_ms: u64,
    /// Requests begun.
    pub begun: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests failed.
    pub failed: u64,
    /// Connections that failed before or between requests, or with them.
    pub failed_connections: u64,
    /// Connections established now.
    pub open: u32,
    /// Answers of the last second.
    pub latency: Latency,
}
