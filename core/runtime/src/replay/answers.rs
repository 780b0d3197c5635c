//! What the loop is asked for at its desk: how it is, and to install a module.

use std::cmp::Reverse;

use tcpcopy_engine::{SessionSummary, Verdict};
use tcpcopy_wire::Instant;

use super::{Replay, WAY_BACK_PATIENCE};
use crate::admin::{
    Answer, MOST_SESSIONS, MappingStatus, Question, SessionLine, SessionsAnswer, StatsAnswer, StatusAnswer,
    SwapAnswer, VerdictTotals,
};
use crate::modules::Fresh;
use crate::{Accounts, ModulesTotals};

impl Replay {
    /// Does what has come to the desk. Only rounds between packets come here.
    pub(super) fn run_errands(&mut self, now: Instant) {
        while let Some(errand) = self.admin.next_errand() {
            errand.run(|question| match question {
                Question::Status => Answer::Status(Box::new(self.status(now))),
                Question::Modules => Answer::Modules(self.modules.totals(&self.engine).generations),
                Question::Sessions(limit) => Answer::Sessions(self.sessions(limit.min(MOST_SESSIONS), now)),
                Question::Stats => Answer::Stats(Box::new(self.stats(now))),
                Question::Install { fresh, migrates } => Answer::Swap(self.swap(*fresh, migrates, now)),
            });
        }
    }

    fn swap(&mut self, fresh: Fresh, migrates: bool, now: Instant) -> SwapAnswer {
        if fresh.wants_online && !self.captures_answers {
            self.capture_answers();
        }
        if self.way_back.expect_payload() {
            self.way_back_awaited_until = Some(now + WAY_BACK_PATIENCE);
        }
        let module = fresh.name.clone();
        let replaced = self.modules.serving(&self.engine, fresh.mapping).cloned();
        self.modules.install(&mut self.engine, fresh, migrates, now);
        log::info!("module {module} serves new sessions from now on");
        SwapAnswer { module, replaced }
    }

    fn status(&mut self, now: Instant) -> StatusAnswer {
        let snapshot = self.snapshot(now);
        let mapping = |(index, (name, target)): (usize, (&String, &String))| MappingStatus {
            mapping: name.clone(),
            target: target.clone(),
            module: self.modules.serving(&self.engine, index).cloned(),
        };
        StatusAnswer {
            tcpcopy: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            running_for_ms: millis(snapshot.running_for),
            devices: self.intake.names(),
            captures_answers: self.captures_answers,
            kernel_dropped: snapshot.capture.kernel_dropped,
            mappings: self.modules.mappings().iter().zip(&self.targets).enumerate().map(mapping).collect(),
            feeds_wanted: snapshot.feed.wanted,
            feeds_connected: snapshot.feed.connected,
            sessions_opened: snapshot.engine.sessions_opened,
            sessions_live: snapshot.pending.sessions,
            turns: Accounts::of(&snapshot.engine, &snapshot.pending).turns,
            log_level: log::max_level().as_str().to_ascii_lowercase(),
        }
    }

    fn sessions(&self, limit: usize, now: Instant) -> SessionsAnswer {
        let mut sessions: Vec<SessionSummary> = self.engine.sessions().collect();
        let live = sessions.len() as u64;
        sessions.sort_by_key(|session| (Reverse(session.turns_pending), session.opened_at));
        sessions.truncate(limit);
        let sessions = sessions.iter().map(|session| self.session_line(session, now)).collect();
        SessionsAnswer { live, sessions }
    }

    fn session_line(&self, session: &SessionSummary, now: Instant) -> SessionLine {
        let mapping = session.mapping.and_then(|index| self.modules.mappings().get(index));
        SessionLine {
            id: format!("{:x}", session.id.to_bits()),
            mapping: mapping.cloned(),
            generation: session.generation,
            client: session.client.to_string(),
            online: session.online.to_string(),
            source: session.source.to_string(),
            target: session.target.to_string(),
            state: session.state.to_owned(),
            turns_pending: session.turns_pending,
            bytes_pending: session.bytes_pending,
            open_for_ms: millis(now.since(session.opened_at)),
            idle_for_ms: millis(now.since(session.active_at)),
        }
    }

    fn stats(&mut self, now: Instant) -> StatsAnswer {
        let snapshot = self.snapshot(now);
        let accounts = Accounts::of(&snapshot.engine, &snapshot.pending);
        let ended = Verdict::ALL.iter().zip(snapshot.engine.ended).filter(|(_, ended)| ended.sessions > 0);
        let ModulesTotals { discards, exchanges_dropped, .. } = snapshot.modules;
        StatsAnswer {
            running_for_ms: millis(snapshot.running_for),
            sessions_opened: snapshot.engine.sessions_opened,
            sessions_live: snapshot.pending.sessions,
            verdicts: ended
                .map(|(verdict, ended)| VerdictTotals {
                    verdict: verdict.name().to_owned(),
                    sessions: ended.sessions,
                    turns_lost: ended.turns_lost,
                    bytes_lost: ended.bytes_lost,
                })
                .collect(),
            turns: accounts.turns,
            bytes: accounts.bytes,
            bytes_inserted: snapshot.engine.bytes_inserted,
            discards,
            comparisons: self.modules.comparisons(),
            exchanges_dropped,
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
