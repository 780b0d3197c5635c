//! What a server received: every request, every connection, and everything that was not as it was sent.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::request::RequestId;
use super::super::store;

const KIND: &str = "server";

/// What one server process received. Times are those of [`monotonic_us`](super::super::monotonic_us), except in a
/// record made from a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Where it listened.
    pub listened: Vec<SocketAddr>,
    /// When it was ready.
    pub started_at: u64,
    /// When it stopped.
    pub ended_at: u64,
    /// Whole requests, in the order their last bytes arrived.
    pub arrivals: Vec<Arrival>,
    /// Connections, in the order they were accepted.
    pub connections: Vec<ServerConnection>,
    /// The first [`Alteration::KEPT`] things that were not as they were sent.
    pub alterations: Vec<Alteration>,
    /// How many there were.
    pub altered: u64,
    /// Requests whose connection ended in the middle of them, the first [`Alteration::KEPT`].
    pub incomplete: Vec<Incomplete>,
    /// Requests that came before the answer to the one before them on their connection was written.
    pub overlapping: u64,
    /// Most connections open at once.
    pub peak_open: u32,
    /// Connections the process could not accept for want of files.
    pub unaccepted: u64,
    /// CPU this process used in the meantime, in microseconds.
    pub cpu_us: u64,
}

impl ServerRecord {
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

    pub(crate) fn note_alteration(&mut self, alteration: Alteration) {
        self.altered += 1;
        if self.alterations.len() < Alteration::KEPT {
            self.alterations.push(alteration);
        }
    }
}

/// One request that arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// What it says it is.
    pub id: RequestId,
    /// Row of its connection.
    pub connection: u32,
    /// How many requests arrived before it on that connection.
    pub position: u32,
    /// When its last byte arrived.
    pub at: u64,
    /// Whether each byte of it is as it was made.
    pub exact: bool,
    /// Whether all of its answer was handed to the kernel.
    pub answered: bool,
}

/// One connection the server accepted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerConnection {
    /// Who it came from.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub opened_at: u64,
    /// When it ended.
    pub ended_at: u64,
    /// Requests that arrived whole.
    pub requests: u32,
    /// Bytes read and thrown away, because the plan had the connection end before them.
    pub discarded: u64,
    /// How it ended.
    pub end: ServerConnectionEnd,
}

/// How a connection ended at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerConnectionEnd {
    /// The peer closed, and got all its answers.
    PeerClosed,
    /// The peer reset it.
    PeerReset,
    /// Closed after an answer, by plan.
    Closed,
    /// Reset instead of an answer, by plan.
    Reset,
    /// Closed because what came was no request.
    Garbage,
    /// Still open when the server stopped.
    Stopped,
}

/// Something that was not as it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alteration {
    /// Row of the connection.
    pub connection: u32,
    /// When it was seen.
    pub at: u64,
    /// The request, when its head could be read.
    pub id: Option<RequestId>,
    /// What is wrong with it.
    pub reason: String,
    /// The first bytes of the head, or of the piece of the body that differs.
    pub bytes: Vec<u8>,
}

impl Alteration {
    /// How many a record describes; all are counted.
    pub const KEPT: usize = 1000;
    /// How many bytes of one are kept.
    pub const SHOWN: usize = 96;
}

/// A request that did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incomplete {
    /// Row of the connection.
    pub connection: u32,
    /// The request, when its head arrived.
    pub id: Option<RequestId>,
    /// Bytes of the head, or of the body when `id` is known, that arrived.
    pub bytes: u64,
}
