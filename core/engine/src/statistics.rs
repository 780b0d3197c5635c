//! What an engine has done so far: plain counters, cumulative since construction.

use crate::verdict::{Ignored, Verdict};

/// Sessions that ended with one verdict, and what they left unsaid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions.
    pub sessions: u64,
    /// Turns of these sessions that the target did not take completely.
    pub turns_lost: u64,
    /// Captured bytes of these sessions that the target did not take.
    pub bytes_lost: u64,
}

/// Cumulative counters of one engine.
///
/// At every moment `turns_captured` is the turns the target took, plus `turns_lost` over all verdicts, plus
/// `turns_lost_to_resets`, plus those still [pending](crate::Engine::pending); likewise for bytes, where those that
/// modules left out come to it. A turn is counted when it is given its place among what is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Captured segments handed in.
    pub captured_segments: u64,
    /// Captured payload bytes taken into sessions, each byte once.
    pub bytes_captured: u64,
    /// Turns taken into sessions: times a user spoke, first or after hearing something.
    pub turns_captured: u64,
    /// Captured segments not taken into a session, by [`Ignored::ALL`].
    pub ignored: [u64; Ignored::ALL.len()],
    /// Captured payload bytes of connections without a session that came before their next turn.
    pub bytes_before_first_turn: u64,
    /// Captured payload bytes that users sent behind their own FIN or reset, each byte once: the online server
    /// discards them too.
    pub bytes_after_close: u64,
    /// Bytes of the users in holes of captured streams, and behind them up to where a turn was recognised.
    pub bytes_never_captured: u64,
    /// Captured bytes that modules left out.
    pub bytes_discarded: u64,
    /// Bytes that modules said of their own.
    pub bytes_inserted: u64,
    /// Captured segments of online servers.
    pub online_segments: u64,
    /// Sessions opened.
    pub sessions_opened: u64,
    /// Of these, opened in the middle of a connection.
    pub sessions_joined: u64,
    /// Of the opened, those that could not speak because every source end was in use.
    pub sessions_without_source: u64,
    /// Sessions ended, by [`Verdict::ALL`].
    pub ended: [Ended; Verdict::ALL.len()],
    /// Turns given up inside sessions that went on, because the target reset or closed instead of answering.
    pub turns_lost_to_resets: u64,
    /// Bytes of these turns that the target had not taken.
    pub bytes_lost_to_resets: u64,
    /// Turns said once more on a new connection because the target had reset or closed without an answer.
    pub turns_repeated: u64,
    /// Payload bytes the target had taken already and was told again with these turns.
    pub bytes_repeated: u64,
    /// Connections opened anew inside a session.
    pub reconnects: u64,
    /// Connection attempts that the target refused.
    pub refusals: u64,
    /// Turns that began without waiting longer for an answer that did not come.
    pub turns_not_awaited: u64,
    /// Segments transmitted.
    pub segments: u64,
    /// Payload bytes transmitted, repetitions included.
    pub payload_bytes: u64,
    /// Segments transmitted again.
    pub retransmissions: u64,
    /// Retransmission time-outs that expired.
    pub timeouts: u64,
    /// Loss recoveries begun by duplicate or selective acknowledgements.
    pub fast_retransmits: u64,
    /// Zero-window probes.
    pub probes: u64,
    /// Response segments handed in.
    pub responses: u64,
    /// Payload bytes of the target, each byte once.
    pub response_bytes: u64,
    /// Response segments of sessions that had ended.
    pub stale_responses: u64,
}

impl Statistics {
    pub(crate) fn ignore(&mut self, reason: Ignored) {
        self.ignored[reason as usize] += 1;
    }

    pub(crate) fn end(&mut self, verdict: Verdict, turns_lost: u64, bytes_lost: u64) {
        self.ended[verdict as usize].sessions += 1;
        self.lose(verdict, turns_lost, bytes_lost);
    }

    pub(crate) fn lose(&mut self, verdict: Verdict, turns: u64, bytes: u64) {
        let ended = &mut self.ended[verdict as usize];
        ended.turns_lost += turns;
        ended.bytes_lost += bytes;
    }

    /// Sessions ended, whatever the verdict.
    #[must_use]
    pub fn sessions_ended(&self) -> u64 {
        self.ended.iter().map(|ended| ended.sessions).sum()
    }

    /// How many of `copies` sessions for each connection found a source end to speak from, in the mean.
    #[must_use]
    pub fn copies_reached(&self, copies: u16) -> f64 {
        let missing = self.sessions_without_source as f64 / self.sessions_opened.max(1) as f64;
        f64::from(copies) * (1.0 - missing)
    }

    /// Turns lost for any reason.
    #[must_use]
    pub fn turns_lost(&self) -> u64 {
        self.turns_lost_to_resets + self.ended.iter().map(|ended| ended.turns_lost).sum::<u64>()
    }

    /// Captured bytes lost for any reason.
    #[must_use]
    pub fn bytes_lost(&self) -> u64 {
        self.bytes_lost_to_resets + self.ended.iter().map(|ended| ended.bytes_lost).sum::<u64>()
    }
}

/// What is under way at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Live sessions.
    pub sessions: u64,
    /// Of these, connected to the target.
    pub established: u64,
    /// Turns the target has not yet taken completely.
    pub turns: u64,
    /// Captured bytes the target has not yet taken.
    pub bytes: u64,
    /// Bytes of memory held by sessions.
    pub memory: usize,
}
