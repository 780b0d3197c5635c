//! One connection of a user: from the handshake to its ending.
//!
//! It knows how a request is written and an answer read; when the next request is due is its owner's business.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::ops::ControlFlow;

use mio::net::TcpStream;
use slotmap::DefaultKey;

use super::super::answer::{AnswerReader, NoAnswer};
use super::super::clock::Timers;
use super::super::outbox::{Flushed, Outbox};
use super::super::plan::{Cut, Ending, UsersPlan};
use super::super::pull::{Pulled, SLOW_TICK_US, allowance, pull};
use super::super::request::{Outgoing, Request, RequestId};
use super::super::sockets::reset_on_close;
use super::record::{Failure, Outcome, UserConnectionEnd, UserRequest, UsersRecord};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// A user opens its next connection.
    Open(usize),
    /// A connection writes its next piece.
    Write(DefaultKey),
    /// A slow reader reads its next bytes.
    Read(DefaultKey),
    /// A connection's rest between two requests is over.
    Rested(DefaultKey),
}

/// What all connections of one event loop share.
pub(super) struct Desk {
    pub(super) now: u64,
    pub(super) record: UsersRecord,
    pub(super) timers: Timers<Wake>,
    pub(super) tally: Running,
    read_buffer: Box<[u8]>,
    write_buffer: Vec<u8>,
}

/// Counts for the progress reports.
#[derive(Default)]
pub(super) struct Running {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) failed_connections: u64,
    pub(super) open: u32,
    /// Durations of this second's answers.
    pub(super) took: Vec<u32>,
}

impl Desk {
    pub(super) fn new(record: UsersRecord, now: u64) -> Self {
        Self {
            now,
            record,
            timers: Timers::new(),
            tally: Running::default(),
            read_buffer: vec![0; 64 << 10].into_boxed_slice(),
            write_buffer: Vec::new(),
        }
    }
}

/// What readiness an event, or a timer in its place, tells of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer's FIN or RST is there.
    pub(super) end_is_near: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Connecting,
    /// Waiting for the server's first line.
    Greeting,
    Open,
    /// Waiting for the server's end.
    Closing,
}

/// One connection.
pub(super) struct Connection {
    /// Whose, in this process.
    pub(super) user: usize,
    /// Its row in the record.
    pub(super) row: usize,
    /// When something last moved.
    pub(super) moved_at: u64,
    /// No request before this time.
    pub(super) rest_until: u64,
    pub(super) issued: u32,
    /// Its last request is made.
    pub(super) is_last: bool,
    pub(super) socket: TcpStream,
    phase: Phase,
    outbox: Outbox<Outgoing>,
    /// Rows of the requests that are not answered, oldest first.
    waiting: VecDeque<usize>,
    answers: AnswerReader,
    half_closed: bool,
    /// A timer will read.
    slow: bool,
}

/// A step of a connection; `Err` when it was the last one.
pub(super) type Step = Result<(), UserConnectionEnd>;

impl Connection {
    pub(super) fn new(user: usize, row: usize, socket: TcpStream, plan: &UsersPlan, now: u64) -> Self {
        Self {
            user,
            row,
            moved_at: now,
            rest_until: 0,
            issued: 0,
            is_last: false,
            socket,
            phase: Phase::Connecting,
            outbox: Outbox::new(plan.writing),
            waiting: VecDeque::new(),
            answers: AnswerReader::default(),
            half_closed: false,
            slow: false,
        }
    }

    /// Open, and everything asked is answered.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.waiting.is_empty() && self.outbox.is_empty()
    }

    /// Past its handshake.
    pub(super) fn is_established(&self) -> bool {
        self.phase != Phase::Connecting
    }

    /// Goes on as far as the socket lets it.
    pub(super) fn advance(&mut self, key: DefaultKey, readiness: Readiness, desk: &mut Desk) -> Step {
        if self.phase == Phase::Connecting {
            if !readiness.writable {
                return Ok(());
            }
            if let Ok(Some(error)) | Err(error) = self.socket.take_error() {
                return Err(UserConnectionEnd::Failed(Failure::from(&error)));
            }
            self.phase = if desk.record.plan.greeting { Phase::Greeting } else { Phase::Open };
            desk.tally.open += 1;
            desk.record.peak_open = desk.record.peak_open.max(desk.tally.open);
            self.moved_at = desk.now;
        }
        if readiness.writable && !self.outbox.is_empty() {
            self.write(key, desk)?;
        }
        if readiness.readable && !self.slow {
            self.read(key, readiness.end_is_near, desk)?;
        }
        Ok(())
    }

    /// The slow reader's next bytes.
    pub(super) fn read_more(&mut self, key: DefaultKey, desk: &mut Desk) -> Step {
        self.slow = false;
        self.read(key, true, desk)
    }

    /// Makes `count` requests; `is_last` when no more follow on this connection.
    pub(super) fn issue(&mut self, key: DefaultKey, count: u32, is_last: bool, desk: &mut Desk) -> Step {
        self.is_last = is_last;
        self.moved_at = desk.now;
        let halve_last = is_last && desk.record.plan.ending == Ending::Cut(Cut::HalfWritten);
        for n in 1..=count {
            let connection = &mut desk.record.connections[self.row];
            let id = RequestId::new(connection.user, connection.ordinal, self.issued);
            connection.requests += 1;
            self.issued += 1;
            let row = desk.record.requests.len();
            let request = Request::drawn(&desk.record.plan, id);
            let outgoing = Outgoing::new(request, row, halve_last && n == count);
            desk.record.requests.push(UserRequest {
                id,
                connection: self.row as u32,
                sent_at: desk.now,
                bytes: outgoing.whole_size(),
                written: false,
                outcome: Outcome::Cut,
            });
            self.waiting.push_back(row);
            self.outbox.push(outgoing);
        }
        self.write(key, desk)
    }

    /// Begins the plan's ending, everything being answered.
    pub(super) fn finish(&mut self, ending: Ending) -> Step {
        match ending {
            Ending::Fin => return Err(UserConnectionEnd::Planned),
            Ending::Reset | Ending::Cut(_) => {
                reset_on_close(&self.socket);
                return Err(UserConnectionEnd::Planned);
            }
            Ending::HalfClose => self.half_close()?,
            Ending::ServerCloses => {}
        }
        self.phase = Phase::Closing;
        Ok(())
    }

    /// Books the requests that will have no answer.
    pub(super) fn settle(&mut self, end: UserConnectionEnd, desk: &mut Desk) {
        if self.is_established() {
            desk.tally.open -= 1;
        }
        let row = &mut desk.record.connections[self.row];
        row.ended_at = desk.now;
        row.end = end;
        if let UserConnectionEnd::Failed(failure) = end {
            desk.tally.failed_connections += 1;
            for row in self.waiting.drain(..) {
                desk.record.requests[row].outcome = Outcome::Failed(failure);
                desk.tally.failed += 1;
            }
        }
    }

    fn write(&mut self, key: DefaultKey, desk: &mut Desk) -> Step {
        let rows = &mut desk.record.requests;
        let flushed = self
            .outbox
            .flush(&mut self.socket, desk.now, &mut desk.write_buffer, |outgoing| {
                rows[outgoing.row].written = !outgoing.is_halved();
            })
            .map_err(failed)?;
        self.moved_at = desk.now;
        match flushed {
            Flushed::Blocked => {}
            Flushed::Paused(until) => desk.timers.arm(until, Wake::Write(key)),
            Flushed::Empty if self.is_last => match desk.record.plan.ending {
                Ending::HalfClose => self.half_close()?,
                Ending::Cut(_) => {
                    reset_on_close(&self.socket);
                    return Err(UserConnectionEnd::Cut);
                }
                Ending::Fin | Ending::Reset | Ending::ServerCloses => {}
            },
            Flushed::Empty => {}
        }
        Ok(())
    }

    fn half_close(&mut self) -> Step {
        if !self.half_closed {
            self.half_closed = true;
            self.socket.shutdown(Shutdown::Write).map_err(failed)?;
        }
        Ok(())
    }

    fn read(&mut self, key: DefaultKey, end_is_near: bool, desk: &mut Desk) -> Step {
        let Self { socket, phase, waiting, answers, .. } = self;
        let Desk { now, record, tally, read_buffer, .. } = desk;
        let allowance = allowance(&record.plan.reading);
        let mut no_answer = false;
        let pulled = pull(socket, read_buffer, allowance, end_is_near, |mut chunk| {
            if *phase == Phase::Greeting {
                let Some(end) = chunk.iter().position(|&byte| byte == b'\n') else {
                    return ControlFlow::Continue(());
                };
                *phase = Phase::Open;
                chunk = &chunk[end + 1..];
            }
            no_answer = answers.read(chunk, |tag| book_answer(waiting, record, tally, *now, tag)).is_err();
            if no_answer { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .map_err(failed)?;
        self.moved_at = desk.now;
        match pulled {
            _ if no_answer => Err(UserConnectionEnd::Failed(Failure::NoAnswer)),
            Pulled::Drained => Ok(()),
            Pulled::More => {
                self.slow = true;
                desk.timers.arm(desk.now + SLOW_TICK_US, Wake::Read(key));
                Ok(())
            }
            Pulled::Closed if !self.waiting.is_empty() || self.phase == Phase::Greeting => {
                Err(UserConnectionEnd::Failed(Failure::ClosedEarly))
            }
            Pulled::Closed if self.is_last || self.phase == Phase::Closing => Err(UserConnectionEnd::Planned),
            Pulled::Closed => Err(UserConnectionEnd::ServerClosed),
        }
    }
}

/// Books an answer for the oldest request that waits for one; a server that echoes tags must echo that one's.
fn book_answer(
    waiting: &mut VecDeque<usize>,
    record: &mut UsersRecord,
    tally: &mut Running,
    now: u64,
    tag: Option<u64>,
) -> Result<(), NoAnswer> {
    let row = waiting.pop_front().ok_or(NoAnswer)?;
    let request = &mut record.requests[row];
    if tag.is_some_and(|tag| tag != Request::drawn(&record.plan, request.id).tag()) {
        waiting.push_front(row);
        return Err(NoAnswer);
    }
    let after_us = u32::try_from(now.saturating_sub(request.sent_at)).unwrap_or(u32::MAX);
    request.outcome = Outcome::Answered { after_us };
    tally.answered += 1;
    tally.took.push(after_us);
    Ok(())
}

fn failed(error: io::Error) -> UserConnectionEnd {
    UserConnectionEnd::Failed(Failure::from(&error))
}
