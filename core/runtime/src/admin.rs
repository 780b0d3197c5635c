//! Steering a running tcpcopy: a thread of its own that loads modules and answers `tcpcopy ctl`.
//!
//! The loop that moves packets never waits for it. What only the loop can answer or do comes to its [`Desk`], between
//! packets.

mod clerk;
mod client;
mod desk;
mod place;
mod reply;
mod request;
mod socket;

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Registry, Token, Waker};

use crate::StartError;
use crate::modules::Shelf;

pub use client::{AskError, ask};
pub use place::{AdminPlace, admin_sockets, admin_sockets_of};
pub use reply::{
    Answer, MappingStatus, ReloadAnswer, Reply, SessionLine, SessionsAnswer, StatsAnswer, StatusAnswer,
    SwapAnswer, VerdictTotals,
};
pub use request::{ADMIN_VERSION, Ask, MOST_SESSIONS, Request};

pub(crate) use desk::{Desk, Errand, Question};

use clerk::{Clerk, Orders};
use socket::{AdminSocket, SocketFile};

/// How often, and how often at most, it is looked whether the thread has ended: five seconds, longer than any question
/// takes. Nothing is waited on but time: what a thread uses for the first time may need the dynamic linker, which the
/// other one may be stuck in.
const PATIENCE: (Duration, u32) = (Duration::from_millis(1), 5000);

/// The loop's hold on the admin thread. Dropping it tells the thread to end, and removes the socket.
pub(crate) struct Admin {
    desk: Desk,
    orders: Arc<Orders>,
    waker: Waker,
    socket: Option<SocketFile>,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Opens the socket and starts the thread, which takes `shelf`. What it asks wakes the loop's poll with `token`.
    pub(crate) fn start(
        place: &AdminPlace,
        shelf: Shelf,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, StartError> {
        let (socket, listener) = AdminSocket::open(place)?.map(AdminSocket::into_parts).unzip();
        let (desk, bell) = Desk::new(Waker::new(registry, token)?);
        let orders = Arc::new(Orders::default());
        let (clerk, waker) = Clerk::new(listener, Arc::clone(&orders), bell, shelf)?;
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || clerk.work())?;
        Ok(Self { desk, orders, waker, socket, thread })
    }

    /// Where the socket is, if there is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_ref().map(SocketFile::path)
    }

    /// The next thing the loop is asked for.
    pub(crate) fn next_errand(&self) -> Option<Errand> {
        self.desk.next()
    }

    /// Has modules and configurations that changed loaded again.
    pub(crate) fn reload(&self) {
        self.orders.reload();
        if self.thread.is_finished() || self.waker.wake().is_err() {
            log::error!("the thread that loads modules has ended; restart tcpcopy to reload them");
        }
    }

    /// Ends the thread and removes the socket. Returns whether the thread has ended: it does not where a library that
    /// it loads does not let it go.
    pub(crate) fn close(mut self) -> bool {
        self.end();
        let (pause, times) = PATIENCE;
        for _ in 0..times {
            if self.thread.is_finished() {
                return true;
            }
            thread::sleep(pause);
        }
        log::warn!("a module that is being loaded is left to itself, since this process ends");
        false
    }

    fn end(&mut self) {
        // Whoever waits for an answer of the loop is let go first.
        self.desk.close();
        self.orders.stop();
        if let Err(error) = self.waker.wake() {
            log::error!("the admin thread cannot be told to end: {error}");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
