//! The desk: where the admin thread leaves what only the loop can answer.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::Duration;

use mio::Waker;

use super::Answer;
use crate::modules::Fresh;

/// How long the loop may take: it answers in milliseconds, unless the machine is overloaded.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the loop is asked for.
pub(crate) enum Question {
    Status,
    Modules,
    /// So many at the most.
    Sessions(usize),
    Stats,
    /// From now on this module serves its mapping; with `migrates` also the sessions there are.
    Install {
        fresh: Box<Fresh>,
        migrates: bool,
    },
}

/// A question, and where the answer goes.
pub(crate) struct Errand {
    pub(crate) question: Question,
    answer: SyncSender<Answer>,
}

impl Errand {
    pub(crate) fn new(question: Question) -> (Self, Receiver<Answer>) {
        let (answer, receiver) = mpsc::sync_channel(1);
        (Self { question, answer }, receiver)
    }

    /// Gives the answer to `question`. Never blocks: there is room for it.
    pub(crate) fn run(self, answer: impl FnOnce(Question) -> Answer) {
        // Whoever asked may have lost patience.
        let _ = self.answer.try_send(answer(self.question));
    }
}

/// The loop's side.
pub(crate) struct Desk {
    errands: Receiver<Errand>,
}

/// The admin thread's side.
pub(crate) struct Bell {
    errands: Sender<Errand>,
    waker: Waker,
}

impl Desk {
    /// A desk and its bell, which wakes the loop by `waker`.
    pub(crate) fn new(waker: Waker) -> (Self, Bell) {
        let (errands, receiver) = mpsc::channel();
        (Self { errands: receiver }, Bell { errands, waker })
    }

    pub(crate) fn next(&self) -> Option<Errand> {
        self.errands.try_recv().ok()
    }

    /// From now on nobody gets an answer.
    pub(crate) fn close(&mut self) {
        // The other end of a channel without its sender.
        self.errands = mpsc::channel().1;
    }
}

impl Bell {
    /// Asks the loop and waits for its answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn ask(&self, question: Question) -> Result<Answer, String> {
        let (errand, answer) = Errand::new(question);
        let gone = || "tcpcopy is stopping".to_owned();
        if self.errands.send(errand).is_err() || self.waker.wake().is_err() {
            return Err(gone());
        }
        answer.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Disconnected => gone(),
            RecvTimeoutError::Timeout => {
                "tcpcopy is too busy to answer now; it may yet do what it was told: ask again later"
                    .to_owned()
            }
        })
    }
}
