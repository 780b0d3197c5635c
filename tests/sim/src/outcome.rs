//! What became of a world.

use std::fmt;
use std::time::Duration;

use tcpcopy_engine::{Engine, Ignored, Statistics, Verdict};

use crate::Violation;
use crate::ledger::Ledger;

/// What became of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that reached the online server's doorstep in captured packets, whole.
    pub captured: u64,
    /// Of these, how many the target heard whole on one connection.
    pub replayed: u64,
    /// Requests that users would have said on a world without failures.
    pub scripted: u64,
    /// How often the target heard a request again.
    pub repeated: u64,
    /// The connections to the target that began with what an earlier one had begun to say.
    pub repetitions: Vec<String>,
    /// Captured bytes (each once) that the target heard.
    pub bytes_replayed: u64,
    /// The engine's own account.
    pub statistics: Statistics,
    /// Virtual time until all was over.
    pub lasted: Duration,
}

impl Outcome {
    pub(crate) fn new(ledger: &Ledger, engine: &Engine, lasted: Duration) -> Result<Self, Violation> {
        let arrivals = ledger.arrivals();
        let said = || {
            ledger.streams.iter().flat_map(|stream| stream.requests.iter().map(move |said| (stream, said)))
        };
        let captured = || said().filter(|(stream, said)| stream.given.contains(&said.bytes));
        let arrived = |tag: u32| arrivals.get(&tag).copied().unwrap_or(0);
        let recognised: usize = ledger.streams.iter().map(|stream| stream.received.total()).sum();
        Ok(Self {
            captured: captured().count() as u64,
            replayed: captured().filter(|(_, said)| arrived(said.tag) > 0).count() as u64,
            scripted: said().count() as u64,
            repeated: said().map(|(_, said)| arrived(said.tag).saturating_sub(1) as u64).sum(),
            repetitions: ledger.repetitions(),
            bytes_replayed: (recognised + ledger.unrecognised()?.1) as u64,
            statistics: engine.statistics().clone(),
            lasted,
        })
    }

    /// Captured requests that the target did not hear whole.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.captured - self.replayed
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scripted, captured, replayed, repeated, lasted, .. } = self;
        let account = account(&self.statistics);
        write!(
            f,
            "{scripted} requests, {captured} captured, {replayed} replayed, {repeated} repeated in {lasted:?}; {account}"
        )
    }
}

/// The engine's account in one line, without what is zero.
pub(crate) fn account(statistics: &Statistics) -> String {
    let ended = Verdict::ALL.iter().zip(&statistics.ended).filter(|(_, ended)| ended.sessions > 0).map(
        |(verdict, ended)| {
            let (turns, bytes) = (ended.turns_lost, ended.bytes_lost);
            format!("{} {} (lost: {turns} turns, {bytes} bytes)", ended.sessions, verdict.name())
        },
    );
    let ignored = Ignored::ALL
        .iter()
        .zip(&statistics.ignored)
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("ignored {} {count}", reason.name()));
    let counts = [
        ("turns", statistics.turns_captured),
        ("bytes", statistics.bytes_captured),
        ("sessions", statistics.sessions_opened),
        ("joined", statistics.sessions_joined),
        ("bytes before the first turn", statistics.bytes_before_first_turn),
        ("bytes after close", statistics.bytes_after_close),
        ("bytes never captured", statistics.bytes_never_captured),
        ("turns lost to resets", statistics.turns_lost_to_resets),
        ("turns repeated", statistics.turns_repeated),
        ("reconnects", statistics.reconnects),
        ("refusals", statistics.refusals),
        ("turns not awaited", statistics.turns_not_awaited),
        ("segments", statistics.segments),
        ("retransmissions", statistics.retransmissions),
        ("time-outs", statistics.timeouts),
        ("fast retransmits", statistics.fast_retransmits),
        ("probes", statistics.probes),
    ];
    let counts =
        counts.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}"));
    counts.chain(ended).chain(ignored).collect::<Vec<_>>().join(", ")
}
