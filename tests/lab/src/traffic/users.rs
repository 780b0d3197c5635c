//! Users: one event loop that makes tagged requests and keeps account of them.

mod connection;
mod opening;
mod record;
mod schedule;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll};
use slotmap::{DefaultKey, KeyData, SlotMap};

use self::connection::{Connection, Desk, Readiness, Step, Wake};
pub use self::record::{
    Failure, Outcome, UserConnection, UserConnectionEnd, UserRequest, UsersProgress, UsersRecord,
};
use self::schedule::{Arrivals, Course, Tempo};
use super::clock::{cpu_us, monotonic_us, until};
use super::latency::Latency;
use super::plan::UsersPlan;
use super::request::RequestId;
use super::sockets;

/// Carries out `plan` and returns when its last connection is closed; `progress` is called once a second.
///
/// # Errors
/// `InvalidInput` when the plan cannot be carried out as written; otherwise those of the event loop, and running out
/// of files. What happens to a connection is never an error here: it is in the record.
pub fn run_users(plan: UsersPlan, progress: impl FnMut(UsersProgress)) -> io::Result<UsersRecord> {
    plan.check()?;
    sockets::raise_file_limit();
    Crowd::new(plan)?.run(progress)
}

const SECOND_US: u64 = 1_000_000;
/// Wait after a connection that failed.
const RETRY_US: u64 = 50_000;

/// One user: its connections come one after the other.
#[derive(Default)]
struct User {
    next_connection: u32,
    connection: Option<DefaultKey>,
    /// Requests the clock made due.
    due: u32,
    /// Times in a row its next connection had to wait for a port or a file.
    waits: u32,
    /// Opens no more connections.
    is_done: bool,
    /// Since when every connection failed before it made a request.
    failing_since: Option<u64>,
}

/// All users of this process.
struct Crowd {
    course: Course,
    poll: Poll,
    desk: Desk,
    connections: SlotMap<DefaultKey, Connection>,
    users: Vec<User>,
    /// Users without a connection, the one that is free for the longest first (connections at a fixed rate).
    free: VecDeque<usize>,
    /// Connections that are due and found no free user.
    queued: u64,
    arrivals: Option<Arrivals>,
    /// Requests that may yet be made.
    budget: u64,
    /// Users that wait to open a connection.
    opening: u64,
    /// Users that are not done.
    busy_users: usize,
    ends_at: u64,
    /// Set when no more requests are made: the time at which patience ends.
    gives_up_at: Option<u64>,
}

impl Crowd {
    fn new(plan: UsersPlan) -> io::Result<Self> {
        let now = monotonic_us();
        let (course, rate) = Course::of(plan.style);
        let budget = plan.requests.map_or(u64::MAX, |total| plan.shard.part(total));
        let ramp_us = plan.ramp_ms * 1000;
        let limit = budget.div_ceil(course.depth.into());
        let arrivals = rate.map(|rate| Arrivals::new(rate, plan.shard, now + ramp_us, limit));
        let count = plan.shard.part(plan.users.into()) as usize;
        let users: Vec<User> = (0..count).map(|_| User::default()).collect();
        let ends_at = plan.duration_ms.map_or(u64::MAX, |ms| now + ramp_us + ms * 1000);
        let record = UsersRecord {
            plan,
            started_at: now,
            ended_at: now,
            requests: Vec::new(),
            connections: Vec::new(),
            latency: Latency::default(),
            peak_open: 0,
            port_waits: 0,
            file_waits: 0,
            unstarted: 0,
            cpu_us: 0,
        };
        let mut crowd = Self {
            course,
            poll: Poll::new()?,
            desk: Desk::new(record, now),
            connections: SlotMap::new(),
            busy_users: users.len(),
            users,
            free: VecDeque::new(),
            queued: 0,
            arrivals,
            budget,
            opening: 0,
            ends_at,
            gives_up_at: None,
        };
        if course.tempo == Tempo::Connections {
            crowd.free.extend(0..count);
        } else {
            for user in 0..count {
                let offset = ramp_us * user as u64 / count as u64;
                crowd.open_at(user, now + offset);
            }
        }
        Ok(crowd)
    }

    fn run(mut self, mut progress: impl FnMut(UsersProgress)) -> io::Result<UsersRecord> {
        let cpu_before = cpu_us();
        let mut events = Events::with_capacity(1024);
        let mut next_report = self.desk.now + SECOND_US;
        loop {
            self.desk.now = monotonic_us();
            self.wake()?;
            self.take_arrivals()?;
            if self.desk.now >= next_report {
                next_report += SECOND_US;
                self.time_out();
                progress(self.progress());
            }
            if self.gives_up_at.is_none() && self.is_over() {
                self.stop();
            }
            if let Some(gives_up_at) = self.gives_up_at
                && (self.is_quiet() || self.desk.now >= gives_up_at)
            {
                break;
            }
            self.poll.poll(&mut events, Some(self.sleep(next_report))).or_else(ignore_interrupt)?;
            for event in &events {
                self.handle_event(event);
            }
        }
        self.desk.now = monotonic_us();
        for key in self.connections.keys().collect::<Vec<_>>() {
            self.end(key, UserConnectionEnd::Stopped);
        }
        if self.course.tempo == Tempo::Connections {
            self.desk.record.unstarted += self.opening;
        }
        Ok(self.into_record(cpu_before))
    }

    fn into_record(self, cpu_before: u64) -> UsersRecord {
        let mut record = self.desk.record;
        let mut took: Vec<u32> = record
            .requests
            .iter()
            .filter_map(|request| match request.outcome {
                Outcome::Answered { after_us } => Some(after_us),
                Outcome::Failed(_) | Outcome::Cut => None,
            })
            .collect();
        record.latency = Latency::of(&mut took);
        record.ended_at = self.desk.now;
        record.cpu_us = cpu_us() - cpu_before;
        record
    }

    /// How long nothing will be due.
    fn sleep(&self, next_report: u64) -> Duration {
        let stop = match self.gives_up_at {
            Some(gives_up_at) => gives_up_at,
            None => self.next_arrival().map_or(self.ends_at, |at| at.min(self.ends_at)),
        };
        let next = [Some(stop), self.desk.timers.next_at()];
        let next = next.into_iter().flatten().fold(next_report, u64::min);
        until(next, self.desk.now)
    }

    fn next_arrival(&self) -> Option<u64> {
        self.arrivals.as_ref().and_then(Arrivals::next_at)
    }

    fn is_over(&self) -> bool {
        let all_begun = match self.course.tempo {
            Tempo::Connections => self.next_arrival().is_none() && self.queued == 0,
            Tempo::Requests | Tempo::Answers(_) => self.budget == 0 || self.busy_users == 0,
        };
        all_begun || self.desk.now >= self.ends_at
    }

    /// No connection is open, or owed.
    fn is_quiet(&self) -> bool {
        let owes = self.course.tempo == Tempo::Connections && self.opening > 0;
        self.connections.is_empty() && !owes
    }

    /// No more requests from now on: idle connections begin their ending, the others when they are answered.
    fn stop(&mut self) {
        self.gives_up_at = Some(self.desk.now + self.desk.record.plan.grace_ms * 1000);
        let due: u64 = self.users.iter().map(|user| u64::from(user.due) * u64::from(self.course.depth)).sum();
        self.desk.record.unstarted += due.min(self.budget) + self.queued;
        self.queued = 0;
        for key in self.connections.keys().collect::<Vec<_>>() {
            self.after(key, Ok(()));
        }
    }

    fn wake(&mut self) -> io::Result<()> {
        while let Some(wake) = self.desk.timers.pop_due(self.desk.now) {
            match wake {
                Wake::Open(user) => {
                    self.opening -= 1;
                    if self.gives_up_at.is_none() || self.course.tempo == Tempo::Connections {
                        self.open(user)?;
                    }
                }
                Wake::Rested(key) => self.after(key, Ok(())),
                Wake::Write(key) => {
                    let readiness = Readiness { readable: false, writable: true, end_is_near: false };
                    self.step(key, |connection, desk| connection.advance(key, readiness, desk));
                }
                Wake::Read(key) => self.step(key, |connection, desk| connection.read_more(key, desk)),
            }
        }
        Ok(())
    }

    fn take_arrivals(&mut self) -> io::Result<()> {
        if self.gives_up_at.is_some() {
            return Ok(());
        }
        let now = self.desk.now.min(self.ends_at);
        while let Some(number) = self.arrivals.as_mut().and_then(|arrivals| arrivals.take(now)) {
            if self.course.tempo == Tempo::Connections {
                match self.take_free_user() {
                    Some(user) => self.open(user)?,
                    None => self.queued += 1,
                }
            } else {
                let user = (number % self.users.len() as u64) as usize;
                self.users[user].due += 1;
                if self.users[user].is_done {
                    self.forgo(user);
                } else if let Some(key) = self.users[user].connection {
                    self.after(key, Ok(()));
                }
            }
        }
        Ok(())
    }

    /// A user without a connection; a plan without a number of users makes one when there is none.
    fn take_free_user(&mut self) -> Option<usize> {
        let plan = &self.desk.record.plan;
        self.free.pop_front().or_else(|| {
            let next = self.users.len();
            let index = plan.first_user.checked_add(plan.shard.user(next))?;
            let may_grow = plan.users == 0 && index < RequestId::USERS;
            may_grow.then(|| {
                self.users.push(User::default());
                next
            })
        })
    }

    fn handle_event(&mut self, event: &Event) {
        let key = DefaultKey::from(KeyData::from_ffi(event.token().0 as u64));
        let end_is_near = event.is_read_closed() || event.is_error();
        let readiness = Readiness {
            readable: event.is_readable() || end_is_near,
            writable: event.is_writable() || event.is_error(),
            end_is_near,
        };
        self.desk.now = monotonic_us();
        self.step(key, |connection, desk| connection.advance(key, readiness, desk));
    }

    fn step(&mut self, key: DefaultKey, step: impl FnOnce(&mut Connection, &mut Desk) -> Step) {
        if let Some(connection) = self.connections.get_mut(key) {
            let result = step(connection, &mut self.desk);
            self.after(key, result);
        }
    }

    /// After a step: ends the connection, or makes its next request when it is due.
    fn after(&mut self, key: DefaultKey, step: Step) {
        if let Err(end) = step.and_then(|()| self.go_on(key)) {
            self.end(key, end);
        }
    }

    fn go_on(&mut self, key: DefaultKey) -> Step {
        let Some(connection) = self.connections.get_mut(key) else {
            return Ok(());
        };
        if !connection.is_idle() {
            return Ok(());
        }
        let plan = &self.desk.record.plan;
        // A connection that the clock asked for makes its request, even if the plan ended during its handshake.
        let is_owed = self.course.tempo == Tempo::Connections && connection.issued == 0;
        let is_over = (self.gives_up_at.is_some() && !is_owed) || self.budget == 0;
        if is_over || connection.is_last {
            let stays = plan.hold_open && self.gives_up_at.is_none();
            return if stays { Ok(()) } else { connection.finish(plan.ending) };
        }
        let user = &mut self.users[connection.user];
        match self.course.tempo {
            Tempo::Connections => {}
            Tempo::Requests if user.due == 0 => return Ok(()),
            Tempo::Requests => user.due -= 1,
            Tempo::Answers(_) if connection.rest_until > self.desk.now => return Ok(()),
            Tempo::Answers(rest_us) if rest_us > 0 && connection.issued > 0 && connection.rest_until == 0 => {
                connection.rest_until = self.desk.now + rest_us;
                self.desk.timers.arm(connection.rest_until, Wake::Rested(key));
                return Ok(());
            }
            Tempo::Answers(_) => connection.rest_until = 0,
        }
        let left = self.course.per_connection - connection.issued;
        let count = self.course.depth.min(left).min(u32::try_from(self.budget).unwrap_or(u32::MAX));
        self.budget -= u64::from(count);
        connection.issue(key, count, count == left || self.budget == 0, &mut self.desk)
    }

    fn end(&mut self, key: DefaultKey, end: UserConnectionEnd) {
        if let Some(mut connection) = self.connections.remove(key) {
            connection.settle(end, &mut self.desk);
            self.users[connection.user].connection = None;
            let fruitless = matches!(end, UserConnectionEnd::Failed(_)) && connection.issued == 0;
            self.release(connection.user, fruitless);
        }
    }

    /// A user is without a connection: says what it does next. The connection was `fruitless` if it failed before it
    /// made a request.
    fn release(&mut self, user: usize, fruitless: bool) {
        let now = self.desk.now;
        if self.course.tempo == Tempo::Connections {
            if self.queued > 0 {
                self.queued -= 1;
                self.open_at(user, now);
            } else {
                self.free.push_back(user);
            }
            return;
        }
        let plan = &self.desk.record.plan;
        let state = &mut self.users[user];
        let failing_since = *state.failing_since.get_or_insert(now);
        if !fruitless {
            state.failing_since = None;
        }
        let gives_up = fruitless && now - failing_since >= plan.answer_timeout_ms * 1000;
        if gives_up || plan.connections_per_user.is_some_and(|limit| state.next_connection >= limit) {
            state.is_done = true;
            self.busy_users -= 1;
            self.forgo(user);
        } else if self.gives_up_at.is_none() {
            self.open_at(user, if fruitless { now + RETRY_US } else { now });
        }
    }

    /// Writes off what is due of a user that is done.
    fn forgo(&mut self, user: usize) {
        let due = std::mem::take(&mut self.users[user].due);
        let requests = (u64::from(due) * u64::from(self.course.depth)).min(self.budget);
        self.budget -= requests;
        self.desk.record.unstarted += requests;
    }

    /// Fails the connections on which nothing moves, those that rest between requests excepted.
    fn time_out(&mut self) {
        let limit = self.desk.record.plan.answer_timeout_ms * 1000;
        let now = self.desk.now;
        let stuck: Vec<DefaultKey> = self
            .connections
            .iter()
            .filter(|(_, connection)| {
                !connection.is_idle() && now.saturating_sub(connection.moved_at) > limit
            })
            .map(|(key, _)| key)
            .collect();
        for key in stuck {
            self.end(key, UserConnectionEnd::Failed(Failure::TimedOut));
        }
    }

    fn progress(&mut self) -> UsersProgress {
        let tally = &mut self.desk.tally;
        let latency = Latency::of(&mut tally.took);
        tally.took.clear();
        UsersProgress {
            elapsed_ms: (self.desk.now - self.desk.record.started_at) / 1000,
            begun: self.desk.record.requests.len() as u64,
            answered: tally.answered,
            failed: tally.failed,
            failed_connections: tally.failed_connections,
            open: tally.open,
            latency,
        }
    }
}

fn ignore_interrupt(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}
