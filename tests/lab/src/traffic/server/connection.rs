//! One connection at the server: requests in, answers out, one after the other.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;

use mio::net::TcpStream;
use slotmap::DefaultKey;

use super::super::answer::Reply;
use super::super::clock::Timers;
use super::super::outbox::{Flushed, Outbox};
use super::super::plan::{AnswerDelay, AnswerSize, ServerPlan};
use super::super::pull::{Pulled, SLOW_TICK_US, allowance, pull};
use super::super::request::Request;
use super::super::sockets::reset_on_close;
use super::inbox::{Inbox, Received};
use super::record::{Alteration, Arrival, Incomplete, ServerConnectionEnd, ServerRecord};

/// Requests a connection may have unanswered before no more are read.
const MOST_PENDING: usize = 1024;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// Take what waits at a listener.
    Accept(usize),
    /// Say what is due on a connection.
    Speak(DefaultKey),
    /// Read the next bytes of a connection.
    Read(DefaultKey),
}

/// What all connections of one event loop share.
pub(super) struct Desk {
    pub(super) plan: ServerPlan,
    pub(super) now: u64,
    pub(super) record: ServerRecord,
    pub(super) timers: Timers<Wake>,
    pub(super) open: u32,
    read_buffer: Box<[u8]>,
    write_buffer: Vec<u8>,
    rebuilt: Vec<u8>,
}

impl Desk {
    pub(super) fn new(plan: ServerPlan) -> Self {
        Self {
            plan,
            now: 0,
            record: ServerRecord::default(),
            timers: Timers::new(),
            open: 0,
            read_buffer: vec![0; 64 << 10].into_boxed_slice(),
            write_buffer: Vec::new(),
            rebuilt: Vec::new(),
        }
    }
}

/// What the server does when its turn comes.
enum Due {
    Say(Reply),
    SayAndClose(Reply),
    Reset,
}

impl Due {
    /// What the plan has for the `nth` request of the process, the first being 1.
    fn decide(plan: &ServerPlan, nth: usize, request: &Request) -> Self {
        if plan.reset_every.is_some_and(|every| (nth as u64).is_multiple_of(every)) {
            return Self::Reset;
        }
        let body = match plan.size {
            AnswerSize::Wanted => request.want,
            AnswerSize::Fixed(bytes) => bytes,
        };
        let reply = Reply::answer(request, body, nth - 1);
        if plan.close_after_answer { Self::SayAndClose(reply) } else { Self::Say(reply) }
    }
}

/// One connection.
pub(super) struct Connection {
    /// Its row in the record.
    pub(super) row: usize,
    socket: TcpStream,
    inbox: Inbox,
    /// What is to be said, and not before when.
    pending: VecDeque<(u64, Due)>,
    outbox: Outbox<Reply>,
    /// When the server is done with the last request it took on.
    free_at: u64,
    /// When a timer will speak.
    speaks_at: Option<u64>,
    /// A timer will read.
    slow: bool,
    /// Too many requests wait: the socket is left alone although it may be readable.
    is_full: bool,
    /// The plan has it end: what still comes is thrown away.
    is_deaf: bool,
    closes_when_said: bool,
    peer_closed: bool,
    unreadable: bool,
}

/// A step of a connection; `Err` when it was the last one.
pub(super) type Step = Result<(), ServerConnectionEnd>;

impl Connection {
    pub(super) fn new(row: usize, socket: TcpStream, desk: &Desk) -> Self {
        let mut connection = Self {
            row,
            socket,
            inbox: Inbox::default(),
            pending: VecDeque::new(),
            outbox: Outbox::new(desk.plan.writing),
            free_at: 0,
            speaks_at: None,
            slow: false,
            is_full: false,
            is_deaf: false,
            closes_when_said: false,
            peer_closed: false,
            unreadable: false,
        };
        if let Some(greeting) = &desk.plan.greeting {
            connection.free_at = desk.now + greeting.delay_ms * 1000;
            let reply = Reply::greeting(&greeting.text);
            connection.pending.push_back((connection.free_at, Due::Say(reply)));
        }
        connection
    }

    pub(super) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// An event: goes on as far as the socket lets it.
    pub(super) fn advance(
        &mut self,
        key: DefaultKey,
        readable: bool,
        end_is_near: bool,
        desk: &mut Desk,
    ) -> Step {
        if readable && !self.slow && !self.is_full {
            self.read(key, end_is_near, desk)?;
        }
        self.speak(key, desk)
    }

    /// The next bytes, by timer.
    pub(super) fn read_more(&mut self, key: DefaultKey, desk: &mut Desk) -> Step {
        self.slow = false;
        self.advance(key, true, true, desk)
    }

    /// What is due, by timer.
    pub(super) fn speak_more(&mut self, key: DefaultKey, desk: &mut Desk) -> Step {
        self.speaks_at = None;
        self.speak(key, desk)
    }

    /// Books the end of the connection.
    pub(super) fn settle(&self, end: ServerConnectionEnd, desk: &mut Desk) {
        desk.open -= 1;
        let record = &mut desk.record;
        record.connections[self.row].ended_at = desk.now;
        record.connections[self.row].end = end;
        if let Some((id, bytes)) = self.inbox.unfinished()
            && record.incomplete.len() < Alteration::KEPT
        {
            record.incomplete.push(Incomplete { connection: self.row as u32, id, bytes });
        }
    }

    fn read(&mut self, key: DefaultKey, end_is_near: bool, desk: &mut Desk) -> Step {
        let Self { row, socket, inbox, pending, outbox, free_at, is_full, is_deaf, unreadable, .. } = self;
        let Desk { plan, now, record, read_buffer, rebuilt, .. } = desk;
        let allowance = allowance(&plan.reading);
        let pulled = pull(socket, read_buffer, allowance, end_is_near, |chunk| {
            let discarded = if *is_deaf {
                chunk.len()
            } else {
                inbox.take(chunk, &plan.wording, rebuilt, |received| {
                    if let Some(request) = book(record, *row, *now, received) {
                        record.overlapping += u64::from(!pending.is_empty() || !outbox.is_empty());
                        *free_at = (*free_at).max(*now) + delay_us(plan.delay, &request);
                        let due = Due::decide(plan, record.arrivals.len(), &request);
                        *is_deaf = !matches!(due, Due::Say(_));
                        pending.push_back((*free_at, due));
                    } else {
                        *unreadable = true;
                        *is_deaf = true;
                    }
                    if *is_deaf { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })
            };
            record.connections[*row].discarded += discarded as u64;
            *is_full = pending.len() >= MOST_PENDING;
            if *is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match pulled {
            Ok(Pulled::Drained) => {}
            Ok(Pulled::More) if self.is_full => {}
            Ok(Pulled::More) => {
                self.slow = true;
                desk.timers.arm(desk.now + SLOW_TICK_US, Wake::Read(key));
            }
            Ok(Pulled::Closed) => self.peer_closed = true,
            Err(error) => return Err(end_of(&error)),
        }
        Ok(())
    }

    fn speak(&mut self, key: DefaultKey, desk: &mut Desk) -> Step {
        loop {
            while !self.closes_when_said
                && let Some((at, due)) = self.pending.front()
            {
                if *at > desk.now || (matches!(due, Due::Reset) && !self.outbox.is_empty()) {
                    break;
                }
                match self.pending.pop_front() {
                    Some((_, Due::Say(reply))) => self.outbox.push(reply),
                    Some((_, Due::SayAndClose(reply))) => {
                        self.outbox.push(reply);
                        self.closes_when_said = true;
                    }
                    Some((_, Due::Reset)) => {
                        reset_on_close(&self.socket);
                        return Err(ServerConnectionEnd::Reset);
                    }
                    None => break,
                }
            }
            if self.outbox.is_empty() {
                break;
            }
            match self.write(key, desk)? {
                Flushed::Empty => {}
                Flushed::Blocked => return Ok(()),
                Flushed::Paused(until) => {
                    self.arm(key, until, desk);
                    return Ok(());
                }
            }
        }
        if self.closes_when_said {
            return Err(ServerConnectionEnd::Closed);
        }
        if let Some(&(at, _)) = self.pending.front() {
            self.arm(key, at, desk);
        } else if self.unreadable {
            return Err(ServerConnectionEnd::Garbage);
        } else if self.peer_closed {
            return Err(ServerConnectionEnd::PeerClosed);
        }
        if self.is_full && self.pending.len() < MOST_PENDING / 2 {
            self.is_full = false;
            self.slow = true;
            desk.timers.arm(desk.now, Wake::Read(key));
        }
        Ok(())
    }

    fn write(&mut self, key: DefaultKey, desk: &mut Desk) -> Result<Flushed, ServerConnectionEnd> {
        let arrivals = &mut desk.record.arrivals;
        let written = |reply: Reply| {
            if let Some(arrival) = reply.arrival {
                arrivals[arrival].answered = true;
            }
        };
        let flushed = self.outbox.flush(&mut self.socket, desk.now, &mut desk.write_buffer, written);
        if flushed.is_err() {
            // The peer is gone, but what it sent before is still here to be read, and counts.
            self.read(key, true, desk)?;
        }
        flushed.map_err(|error| end_of(&error))
    }

    fn arm(&mut self, key: DefaultKey, at: u64, desk: &mut Desk) {
        if self.speaks_at.is_none_or(|earlier| at < earlier) {
            self.speaks_at = Some(at);
            desk.timers.arm(at, Wake::Speak(key));
        }
    }
}

/// Books what arrived; `None` when it was no request.
fn book(record: &mut ServerRecord, row: usize, now: u64, received: Received) -> Option<Request> {
    let (request, flaw) = match received {
        Received::Request { request, flaw } => (Some(request), flaw),
        Received::Garbage(flaw) => (None, Some(flaw)),
    };
    let exact = flaw.is_none();
    if let Some(flaw) = flaw {
        record.note_alteration(Alteration {
            connection: row as u32,
            at: now,
            id: request.map(|request| request.id),
            reason: flaw.reason.to_owned(),
            bytes: flaw.bytes,
        });
    }
    let connection = &mut record.connections[row];
    let request = request?;
    record.arrivals.push(Arrival {
        id: request.id,
        connection: row as u32,
        position: connection.requests,
        at: now,
        exact,
        answered: false,
    });
    connection.requests += 1;
    Some(request)
}

fn delay_us(delay: AnswerDelay, request: &Request) -> u64 {
    match delay {
        AnswerDelay::Fixed { ms } => ms * 1000,
        AnswerDelay::Wanted { extra_ms } => (u64::from(request.delay_ms) + extra_ms) * 1000,
    }
}

/// How a connection ends on which the kernel reports `error`: the peer is gone, in one way or another.
fn end_of(_error: &io::Error) -> ServerConnectionEnd {
    ServerConnectionEnd::PeerReset
}
