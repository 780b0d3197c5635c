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

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

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

use clerk::{Clerk, Order};
use socket::AdminSocket;

/// The loop's hold on the admin thread. Dropping it ends the thread and removes the socket.
pub(crate) struct Admin {
    desk: Desk,
    orders: Sender<Order>,
    waker: Waker,
    socket: Option<PathBuf>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Opens the socket and starts the thread, which takes `shelf`. What it asks wakes the loop's poll with `token`.
    pub(crate) fn start(
        place: &AdminPlace,
        shelf: Shelf,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, StartError> {
        let socket = AdminSocket::open(place)?;
        let path = socket.as_ref().map(|socket| socket.path().to_owned());
        let (desk, bell) = Desk::new(Waker::new(registry, token)?);
        let (orders, receiver) = mpsc::channel();
        let (clerk, waker) = Clerk::new(socket, receiver, bell, shelf)?;
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || clerk.work())?;
        Ok(Self { desk, orders, waker, socket: path, thread: Some(thread) })
    }

    /// Where the socket is, if there is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The next thing the loop is asked for.
    pub(crate) fn next_errand(&self) -> Option<Errand> {
        self.desk.next()
    }

    /// Has modules and configurations that changed loaded again.
    pub(crate) fn reload(&self) {
        self.order(Order::Reload);
    }

    fn order(&self, order: Order) {
        let told = self.orders.send(order).map_err(io::Error::other).and_then(|()| self.waker.wake());
        if let Err(error) = told {
            log::error!("the admin thread does not answer ({error}); restart tcpcopy to reload modules");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // Whoever waits for an answer of the loop is let go first.
        self.desk.close();
        self.order(Order::Stop);
        // A panic in there was told by the panic hook.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests;
