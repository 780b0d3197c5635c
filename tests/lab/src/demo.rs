//! `lab demo`: one scenario on the terminal, and what came of it side by side.

use anyhow::{Result, anyhow};

use crate::mysql::accounting::Executed;
use crate::scenario::outcome::Outcome;
use crate::scenario::peers::Peers;
use crate::scenario::run::{self, Moment};
use crate::scenario::{Scenario, table};
use crate::terminal::{self, Terminal, count, megabytes, milliseconds, seconds};
use crate::world::plan;

/// A figure that servers of this kind do not tell.
const UNKNOWN: &str = "–";

/// Plays the scenario of that name and shows it; true when it passed.
///
/// # Errors
/// When there is no such scenario or it cannot be played.
pub fn run(name: &str, peers: &Peers) -> Result<bool> {
    let scenario = table::find(name).ok_or_else(|| no_such_scenario(name))?;
    let mut terminal = Terminal::detect();
    introduce(&mut terminal, &scenario, peers);
    let outcome = run::run(&scenario, peers, None, &mut |moment| follow(&mut terminal, moment))?;
    conclude(&mut terminal, &outcome);
    Ok(outcome.passed())
}

/// The error for a name that is in no table.
pub(crate) fn no_such_scenario(name: &str) -> anyhow::Error {
    anyhow!("there is no scenario {name:?}; `lab list` shows them all")
}

fn introduce(terminal: &mut Terminal, scenario: &Scenario, peers: &Peers) {
    let heading = format!("{}: {}", scenario.name, scenario.about);
    terminal.line(&terminal.strong(&heading));
    terminal.line(&format!(
        "  online {}, target {}, assistant {}",
        plan::ONLINE,
        plan::TARGET,
        plan::ASSISTANT
    ));
    terminal.line(&format!("  assistant$ {}", peers.intercept_command(scenario)));
    for index in 0..scenario.tcpcopies.len() {
        terminal.line(&format!("  online$    {}", peers.tcpcopy_command(scenario, index)));
    }
}

/// Shows a moment: redrawn on a terminal, only what stays elsewhere.
pub(crate) fn follow(terminal: &mut Terminal, moment: &Moment) {
    match moment {
        Moment::Ready(took) => terminal.line(&format!("  hosts and programs up in {}", seconds(*took))),
        Moment::Happened { elapsed, action, answers } => {
            terminal.line(&format!("  {:>6}  {action}", seconds(*elapsed)));
            for answer in answers {
                answer.text.lines().for_each(|line| terminal.line(&format!("{:>10}{line}", "")));
            }
        }
        Moment::AtWork { elapsed, users, usage: [tcpcopy, intercept] } => {
            let so_far = users.as_ref().map_or_else(
                || "users are at work".to_owned(),
                |users| {
                    format!(
                        "{} requests, {} answered, {} connections open, p99 {} ms",
                        count(users.begun),
                        count(users.answered),
                        count(users.open.into()),
                        milliseconds(users.latency.p99_us)
                    )
                },
            );
            let cpu = format!(
                "tcpcopy {:.2} s, intercept {:.2} s",
                tcpcopy.cpu.as_secs_f64(),
                intercept.cpu.as_secs_f64()
            );
            terminal.progress(&format!("  {:>6}  {so_far} | CPU: {cpu}", seconds(*elapsed)));
        }
        Moment::Draining(elapsed) => {
            terminal.progress(&format!("  users are done; the replay goes on, {}", seconds(*elapsed)));
        }
        Moment::Comparing => terminal.progress("  comparing what was sent with what arrived"),
    }
}

/// Shows what came of it, side by side.
pub(crate) fn conclude(terminal: &mut Terminal, outcome: &Outcome) {
    let Outcome { tally, users, online, target, .. } = outcome;
    let exact = tally.exactly_once + tally.duplicated;
    let lag = |server: &crate::traffic::Latency| {
        if server.count == 0 {
            return UNKNOWN.to_owned();
        }
        format!("{} / {}", milliseconds(server.p50_us), milliseconds(server.p99_us))
    };
    let peak = |open| if open == 0 { UNKNOWN.to_owned() } else { count(open) };
    let rows = [
        ("requests".to_owned(), count(users.requests), count(target.requests)),
        ("  that count".to_owned(), count(tally.sent), String::new()),
        (
            "  byte for byte".to_owned(),
            String::new(),
            format!("{} ({})", count(exact), terminal::fraction(tally.fraction())),
        ),
        (
            "  missing, altered".to_owned(),
            String::new(),
            format!("{}, {}", count(tally.missing), count(tally.altered)),
        ),
        (
            "  out of order, again without need".to_owned(),
            String::new(),
            format!("{}, {}", count(tally.out_of_order), count(tally.surplus)),
        ),
        ("connections".to_owned(), count(users.connections), count(target.connections)),
        ("  at once".to_owned(), peak(users.peak_open), peak(target.peak_open)),
        ("sent until arrived, p50 / p99 ms".to_owned(), lag(&online.lag), lag(&target.lag)),
        ("sent until answered, p50 / p99 ms".to_owned(), lag(&users.latency), String::new()),
    ];
    terminal.line("");
    terminal
        .line(&terminal.strong(&format!("  {:<36}{:>18}{:>22}", "", "users → online", "tcpcopy → target")));
    let is_known = |figure: &String| !figure.is_empty() && figure != UNKNOWN;
    for (name, left, right) in rows.iter().filter(|(_, left, right)| is_known(left) || is_known(right)) {
        terminal.line(&format!("  {name:<36}{left:>18}{right:>22}"));
    }
    for Executed { command, online, target } in &outcome.executed {
        terminal.line(&format!(
            "  {:<36}{:>18}{:>22}",
            format!("executed: {command}"),
            count(*online),
            count(*target)
        ));
    }
    terminal.line("");
    terminal.line(&terminal.strong(&format!("  {:<36}{:>18}{:>22}", "", "tcpcopy", "intercept")));
    let [tcpcopy, intercept] = [outcome.tcpcopy, outcome.intercept];
    for (name, left, right) in [
        (
            "CPU per 1000 requests, ms",
            format!("{:.1}", outcome.cpu_per_1000(tcpcopy)),
            format!("{:.1}", outcome.cpu_per_1000(intercept)),
        ),
        ("peak memory, MB", megabytes(tcpcopy.peak_memory), megabytes(intercept.peak_memory)),
    ] {
        terminal.line(&format!("  {name:<36}{left:>18}{right:>22}"));
    }
    for view in &outcome.views {
        terminal.line("");
        view.text.lines().for_each(|line| terminal.line(line));
    }
    terminal.line("");
    judge(terminal, outcome);
}

fn judge(terminal: &mut Terminal, outcome: &Outcome) {
    for (hop, [forward, backward]) in &outcome.wires {
        let lost = count(forward.lost + forward.cut + backward.lost + backward.cut);
        let seen = count(forward.seen + backward.seen);
        terminal.line(&format!("  the {hop} hop swallowed {lost} of {seen} packets"));
    }
    if let Some(remark) = outcome.remark() {
        terminal.line(&format!("  {remark}"));
    }
    for complaint in &outcome.complaints {
        terminal.line(&terminal.bad(&format!("  {complaint}")));
    }
    let verdict = if outcome.passed() {
        terminal.good(&format!("passed: {} of the requests had to arrive", required(outcome.must)))
    } else {
        terminal.bad("failed")
    };
    let times = format!("users {}, drain {}", seconds(outcome.at_work), seconds(outcome.drain));
    terminal.line(&format!("  {verdict} ({times})"));
}

/// A required fraction in words.
fn required(must: f64) -> String {
    if must >= 1.0 { "all".to_owned() } else { format!("{:.1} %", must * 100.0) }
}
