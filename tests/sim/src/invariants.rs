//! What must hold when a world has ended.

use tcpcopy_engine::Verdict;

use crate::Violation;
use crate::framing::Serving;
use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::replayer::Replayer;
use crate::scenario::{Ending, Scenario};
use crate::script::Request;

pub(crate) fn check_end(
    scenario: &Scenario,
    ledger: &Ledger,
    replayer: &Replayer,
    outcome: &Outcome,
) -> Result<(), Violation> {
    nothing_is_left(replayer)?;
    sums_agree(outcome)?;
    verdicts_have_a_cause(scenario, outcome)?;
    // Behind a gap, and where a session joined, the engine's turns are not the ones the users began.
    let gaps = outcome.statistics.ended[Verdict::CaptureGap as usize].sessions;
    // A turn in which the budget ended its session counts as far as it had been captured by then.
    let cut_short = outcome.statistics.ended[Verdict::MemoryBudget as usize].sessions;
    let in_one_piece = gaps + cut_short + outcome.statistics.sessions_joined == 0;
    if scenario.captures_everything() && !scenario.blurs_turns() && in_one_piece {
        turns_agree(ledger, outcome)?;
    }
    let ended_early = Verdict::ALL.iter().zip(&outcome.statistics.ended).any(|(verdict, ended)| {
        ended.sessions > 0 && !matches!(verdict, Verdict::Complete | Verdict::UserReset | Verdict::Idle)
    });
    if scenario.captures_everything() && !ended_early {
        ledger.check_order()?;
        everything_captured_was_taken(scenario, ledger, outcome)?;
        if scenario.target_cooperates() {
            every_request_arrived_once(ledger)?;
        }
    }
    losses_are_explained(scenario, outcome)
}

fn nothing_is_left(replayer: &Replayer) -> Result<(), Violation> {
    let pending = replayer.engine.pending();
    if pending.memory != 0 || pending.turns != 0 || pending.bytes != 0 {
        return Err(Violation(format!("all sessions have ended, but {pending:?}")));
    }
    let flows = replayer.subscriber.flows();
    if flows != 0 {
        return Err(Violation(format!("all sessions have ended, but {flows} flows are registered")));
    }
    Ok(())
}

/// Captured is what the target took and what was lost; and the target took what it heard.
fn sums_agree(outcome: &Outcome) -> Result<(), Violation> {
    let statistics = &outcome.statistics;
    let taken = statistics.bytes_captured.checked_sub(statistics.bytes_lost());
    if taken.is_none_or(|taken| taken > outcome.bytes_replayed) {
        return Err(Violation(format!(
            "of {} bytes {} are lost by verdict, yet the target heard only {}",
            statistics.bytes_captured,
            statistics.bytes_lost(),
            outcome.bytes_replayed
        )));
    }
    if outcome.repetitions.len() as u64 > statistics.turns_repeated {
        return Err(Violation(format!(
            "{} turns were said again, {} by the engine's account: target connections {}",
            outcome.repetitions.len(),
            statistics.turns_repeated,
            outcome.repetitions.join(", ")
        )));
    }
    Ok(())
}

/// Turns that were captured and not lost were heard.
fn turns_agree(ledger: &Ledger, outcome: &Outcome) -> Result<(), Violation> {
    let statistics = &outcome.statistics;
    let requests =
        ledger.streams.iter().flat_map(|stream| stream.requests.iter().map(move |said| (stream, said)));
    // Of a request that the user broke off, what was said of it.
    let heard = requests.filter(|(stream, said)| {
        let start = said.bytes.start;
        let end = stream.given.run_from(start).min(said.bytes.end);
        end > start && stream.received.contains(&(start..end))
    });
    let heard = (heard.count() + ledger.unrecognised()?.0) as u64;
    if statistics.turns_captured > heard + statistics.turns_lost() {
        return Err(Violation(format!(
            "of {} turns {} are lost by verdict, yet the target heard only {heard}",
            statistics.turns_captured,
            statistics.turns_lost()
        )));
    }
    Ok(())
}

/// No session ended for a reason that this world does not give.
fn verdicts_have_a_cause(scenario: &Scenario, outcome: &Outcome) -> Result<(), Violation> {
    let users = &scenario.user_link;
    let spoilt = users.loss > 0.0 || users.reorder > 0.0 || !scenario.captures_everything();
    let ends_with = |ending| scenario.talk.endings.contains(&ending);
    let ways = [&scenario.transmit_link, &scenario.response_link];
    let far =
        ways.iter().any(|link| link.loss > 0.1 || !link.dark.is_empty()) || !scenario.outages.is_empty();
    let may_end_with = |verdict| match verdict {
        Verdict::Complete | Verdict::UserReset => true,
        Verdict::CaptureGap => spoilt || ends_with(Ending::UserResetsUnheard),
        Verdict::Idle => spoilt || ends_with(Ending::UserVanishes),
        // A target that is spoken to from the middle of a request on closes, and owes an answer for ever.
        Verdict::TargetReset | Verdict::TargetSilent => {
            let joined_in_a_blur = scenario.overlaps() && outcome.statistics.sessions_joined > 0;
            !scenario.target_cooperates()
                || !scenario.captures_everything()
                || scenario.blurs_turns()
                || joined_in_a_blur
        }
        Verdict::TargetRefused => !scenario.target.down.is_empty() || scenario.target.resets_every.is_some(),
        Verdict::TargetUnreachable => far,
        Verdict::MemoryBudget => scenario.memory_budget < 1 << 20,
        // The module of this world never gives up by itself; a user may vanish in the middle of a header.
        Verdict::ModuleGaveUp => spoilt || ends_with(Ending::UserVanishes),
        Verdict::ModuleFault => false,
        Verdict::SourcesExhausted | Verdict::NoSourceAddress | Verdict::CaptureEnded | Verdict::Shutdown => {
            false
        }
    };
    let groundless = Verdict::ALL
        .into_iter()
        .zip(&outcome.statistics.ended)
        .find(|(verdict, ended)| ended.sessions > 0 && !may_end_with(*verdict));
    match groundless {
        Some((verdict, _)) => {
            Err(Violation(format!("a session ended as {} without a cause", verdict.name())))
        }
        None => Ok(()),
    }
}

/// Nothing was left out of the sessions without a verdict.
fn everything_captured_was_taken(
    scenario: &Scenario,
    ledger: &Ledger,
    outcome: &Outcome,
) -> Result<(), Violation> {
    let statistics = &outcome.statistics;
    let bytes: u64 = ledger.streams.iter().map(|stream| stream.given.prefix() as u64).sum();
    let taken = statistics.bytes_captured;
    if bytes != taken {
        return Err(Violation(format!("users said {bytes} bytes in order, the sessions took {taken}")));
    }
    // A module tells pipelined requests apart.
    let is_judged = scenario.serving == Serving::Judging;
    let begun = |stream: &crate::ledger::Stream| {
        let said = stream.given.prefix();
        let opens = |request: &&Request| (is_judged || request.opens_turn) && request.bytes.start < said;
        stream.requests.iter().filter(opens).count() as u64
    };
    let turns: u64 = ledger.streams.iter().map(begun).sum();
    if !scenario.blurs_turns() && turns != statistics.turns_captured {
        return Err(Violation(format!(
            "users spoke {turns} times, the engine saw {}",
            statistics.turns_captured
        )));
    }
    Ok(())
}

fn every_request_arrived_once(ledger: &Ledger) -> Result<(), Violation> {
    let arrivals = ledger.arrivals();
    for (index, stream) in ledger.streams.iter().enumerate() {
        for request in stream.requests.iter().filter(|request| request.bytes.end <= stream.given.prefix()) {
            let times = arrivals.get(&request.tag).copied().unwrap_or(0);
            if times != 1 {
                return Err(Violation(format!(
                    "request {} at {:?} of stream {index} arrived {times} times",
                    request.tag, request.bytes
                )));
            }
        }
    }
    Ok(())
}

/// A request that did not arrive has left a trace in the engine's account.
fn losses_are_explained(scenario: &Scenario, outcome: &Outcome) -> Result<(), Violation> {
    let statistics = &outcome.statistics;
    // Where headers do not tell requests apart, one may be said partly on one connection, partly on the next.
    let cuts = if scenario.blurs_turns() { statistics.reconnects } else { 0 };
    let traces = statistics.turns_lost()
        + cuts
        + statistics.ended[Verdict::CaptureGap as usize].sessions
        + statistics.bytes_before_first_turn
        + statistics.bytes_after_close
        + statistics.bytes_never_captured
        + statistics.ignored.iter().sum::<u64>();
    if outcome.missing() > 0 && traces == 0 {
        return Err(Violation(format!("{} requests are missing without a trace", outcome.missing())));
    }
    Ok(())
}
