//! Tagged traffic and its accounting: users that send requests whose every byte follows from their id, servers
//! that check every byte they receive, and the comparison of the two.
//!
//! Not here: hosts, links and processes. Each half is one single-threaded event loop over real kernel sockets; the
//! caller decides in which namespace and process it runs, and splits it over several processes where one may not
//! open enough files ([`Shard`], `SO_REUSEPORT`).
//!
//! HTTP/1.1 is spoken as in RFC 9112, restricted to what the tags need: `Content-Length` framing, keep-alive,
//! pipelining.

mod answer;
mod clock;
mod copies;
mod latency;
pub mod nginx;
mod outbox;
mod plan;
mod pull;
mod request;
mod server;
mod sockets;
pub(crate) mod store;
mod tally;
#[cfg(test)]
mod tests;
mod users;

pub use clock::monotonic_us;
pub use copies::tally_copies;
pub use latency::Latency;
pub use plan::{
    AddressRange, Amount, AnswerDelay, AnswerSize, Cut, Ending, Greeting, Pace, Pieces, Ports, Reading,
    ServerPlan, Shard, Sources, Style, UsersPlan, Wording,
};
pub use request::{Request, RequestId};
pub use server::{
    Alteration, Arrival, Incomplete, Server, ServerConnection, ServerConnectionEnd, ServerRecord, run_server,
};
pub use tally::{Missing, Tally, compare, compare_if};
pub use users::{
    Failure, Outcome, UserConnection, UserConnectionEnd, UserRequest, UsersProgress, UsersRecord, run_users,
};
