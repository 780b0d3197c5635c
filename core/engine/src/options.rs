//! How an engine replays: one value, given at construction, without a trace of flags or files.

use std::net::IpAddr;
use std::time::Duration;

use crate::{Share, SourcePool};

/// The time between what a user heard and what the user said next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The user's own round-trip time, measured between SYN and handshake ACK.
    Measured,
    /// One round-trip time for every session; zero turns pacing off.
    Fixed(Duration),
}

/// What a turn waits for before it is said, where its user had heard an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The target's answer to the turn before it.
    Answers,
    /// What a target that speaks first says before the first turn; no other answer.
    Greetings,
    /// Nothing.
    Nothing,
}

/// Which sessions are replayed, decided once per captured connection by a hash of the client's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// All of them.
    All,
    /// This many of a hundred (1–99).
    Percent(u8),
    /// A share that grows linearly from nothing to all within this time from the first packet on.
    Ramp(Duration),
}

/// Everything an engine needs to know beside its mappings.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Largest IP packet to transmit, in bytes (256–65535: below that no headers with options would fit beside
    /// the least of data).
    pub mtu: u16,
    /// MSS option of a SYN that was not captured, in bytes (at least 88).
    pub joined_mss: u16,
    /// How turns and acknowledgements are paced.
    pub pace: Pace,
    /// So many times as fast as users lived it the capture is replayed: what they waited shrinks by it. 1 for a live
    /// capture; infinity when nobody shall wait for users at all. More than zero.
    pub acceleration: f64,
    /// What turns wait for.
    pub awaited: Awaited,
    /// Only connections whose SYN was captured are replayed.
    pub only_whole_sessions: bool,
    /// Which connections are replayed.
    pub sampling: Sampling,
    /// Of these, the part that is replayed here: other engines have the others.
    pub share: Share,
    /// How many sessions each connection is replayed in, each from a source end of its own; at least 1.
    pub copies: u16,
    /// A session whose target says nothing for this long while something is due ends.
    pub response_timeout: Duration,
    /// A session in which nothing is due and nobody says anything for this long ends.
    pub idle_timeout: Duration,
    /// The addresses the copied clients speak from; `None`: their own.
    pub sources: Option<SourcePool>,
    /// The address that stands in for a client at a loopback address (`-H`).
    pub loopback_source: Option<IpAddr>,
    /// The part of the ports that copied clients speak from: others speak from the others. A client's own port is kept
    /// if it is among them.
    pub ports: Share,
    /// Bytes of captured traffic that may wait in all sessions together.
    pub memory_budget: usize,
    /// After so many sessions in which it broke (at least 1), a generation of a module gives way to an earlier one.
    pub faults_before_rollback: u32,
}

impl EngineOptions {
    /// How long a replay takes for what took users `lived`.
    pub(crate) fn replayed(&self, lived: Duration) -> Duration {
        if self.acceleration == 1.0 {
            return lived;
        }
        Duration::try_from_secs_f64(lived.as_secs_f64() / self.acceleration).unwrap_or(Duration::MAX)
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            mtu: 1500,
            joined_mss: 1460,
            pace: Pace::Measured,
            acceleration: 1.0,
            awaited: Awaited::Answers,
            only_whole_sessions: false,
            sampling: Sampling::All,
            share: Share::WHOLE,
            copies: 1,
            response_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(720),
            sources: None,
            loopback_source: None,
            ports: Share::WHOLE,
            memory_budget: 2 << 30,
            faults_before_rollback: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_waited_shrinks_with_the_acceleration() {
        let replayed = |acceleration| {
            EngineOptions { acceleration, ..EngineOptions::default() }.replayed(Duration::from_millis(300))
        };
        assert_eq!(replayed(1.0), Duration::from_millis(300));
        assert_eq!(replayed(0.5), Duration::from_millis(600));
        assert_eq!(replayed(2.5), Duration::from_millis(120));
        assert_eq!(replayed(f64::INFINITY), Duration::ZERO);
        assert_eq!(replayed(f64::MIN_POSITIVE), Duration::MAX);
    }
}
