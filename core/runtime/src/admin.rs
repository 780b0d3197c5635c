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
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
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

/// How long the end waits for the thread: longer than any question takes, and shorter than a load may.
const PATIENCE: Duration = Duration::from_secs(5);

/// The loop's hold on the admin thread. Dropping it ends the thread and removes the socket.
pub(crate) struct Admin {
    desk: Desk,
    orders: Arc<Orders>,
    waker: Waker,
    socket: Option<SocketFile>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
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
        let (working, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            let _working = working;
            clerk.work();
        })?;
        Ok(Self { desk, orders, waker, socket, thread: Some(thread), ended })
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
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the admin thread does not answer ({error}); restart tcpcopy to reload modules");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // Whoever waits for an answer of the loop is let go first.
        self.desk.close();
        self.orders.stop();
        self.wake();
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(PATIENCE) {
            return log::warn!("a module that is being loaded is left to itself, since this process ends");
        }
        // A panic in there was told by the panic hook.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests;
