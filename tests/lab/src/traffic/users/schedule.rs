//! When users act: what a [`Style`] means for one connection, and the open-loop clock.

use super::super::plan::{Pace, Shard, Style};
use super::super::request::RequestId;

/// A style, as one shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    /// Requests made at once.
    pub(super) depth: u32,
    /// Requests on one connection.
    pub(super) per_connection: u32,
    pub(super) tempo: Tempo,
}

/// What makes a user act.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tempo {
    /// The clock, for a connection.
    Connections,
    /// The clock, for requests on the connection that is there.
    Requests,
    /// The last answer, and this many microseconds.
    Answers(u64),
}

impl Course {
    /// The course of `style`, and the rate of its clock in events per second.
    pub(super) fn of(style: Style) -> (Self, Option<f64>) {
        let (depth, per_connection, pace) = match style {
            Style::Short { connections_per_second } => {
                let course = Self { depth: 1, per_connection: 1, tempo: Tempo::Connections };
                return (course, Some(connections_per_second));
            }
            Style::Keepalive { requests_per_connection, pace } => (1, requests_per_connection, pace),
            Style::Pipelined { depth, requests_per_connection, pace } => {
                (depth, requests_per_connection, pace)
            }
        };
        let per_connection = per_connection.unwrap_or(RequestId::REQUESTS).min(RequestId::REQUESTS);
        let (tempo, rate) = match pace {
            Pace::Open { requests_per_second } => {
                (Tempo::Requests, Some(requests_per_second / f64::from(depth)))
            }
            Pace::Closed { think_ms } => (Tempo::Answers(think_ms * 1000), None),
        };
        (Self { depth, per_connection, tempo }, rate)
    }
}

/// Events at a fixed rate, whatever happens meanwhile.
pub(super) struct Arrivals {
    begin: u64,
    interval_us: f64,
    /// Events before this shard's first one, in its intervals: shards take turns.
    phase: f64,
    taken: u64,
    limit: u64,
}

impl Arrivals {
    /// `rate` events per second over all shards, at most `limit` in this one, from `begin` on.
    pub(super) fn new(rate: f64, shard: Shard, begin: u64, limit: u64) -> Self {
        let count = f64::from(shard.count);
        let phase = f64::from(shard.index) / count;
        Self { begin, interval_us: 1_000_000.0 * count / rate, phase, taken: 0, limit }
    }

    /// Takes the next event, when it is due; gives its number.
    pub(super) fn take(&mut self, now: u64) -> Option<u64> {
        if self.next_at()? > now {
            return None;
        }
        self.taken += 1;
        Some(self.taken - 1)
    }

    /// When the next event is due; `None` when there are no more.
    pub(super) fn next_at(&self) -> Option<u64> {
        let after = (self.taken as f64 + self.phase) * self.interval_us;
        (self.taken < self.limit).then(|| self.begin + after as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_of_a_rate_add_up_and_take_turns() {
        let mut times = Vec::new();
        for index in 0..3 {
            let mut arrivals = Arrivals::new(1000.0, Shard { index, count: 3 }, 500, 10);
            while let Some(at) = arrivals.next_at() {
                assert_eq!(arrivals.take(at - 1), None);
                assert!(arrivals.take(at).is_some());
                times.push(at);
            }
        }
        times.sort_unstable();
        let expected: Vec<u64> = (0..30).map(|n| 500 + n * 1000).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn a_pipeline_is_due_once_per_depth_requests() {
        let pace = Pace::Open { requests_per_second: 500.0 };
        let style = Style::Pipelined { depth: 50, requests_per_connection: Some(100), pace };
        let (course, rate) = Course::of(style);
        assert_eq!(course, Course { depth: 50, per_connection: 100, tempo: Tempo::Requests });
        assert_eq!(rate, Some(10.0));
    }
}
