//! What the target executed of what the online server executed: every session's commands, in order.
//!
//! Sessions that were replayed whole are equal as whole lists. What is left was joined in its middle or went on after
//! the target had dropped it: there, what the target executed is made of pieces of what the online server executed,
//! and a module's own words stand before a piece: the login and what restores the session.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::mysql::general_log::{Command, GeneralLog, Session};
use crate::scenario::outcome::{ServerSummary, UsersSummary};
use crate::traffic::Tally;

/// A statement with this in it is not to reach the target.
pub const HELD_BACK: &str = "held-back";

/// How often both servers executed a kind of command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The server's word for it.
    pub command: String,
    /// By the online server.
    pub online: u64,
    /// By the target server.
    pub target: u64,
}

/// Both servers' logs, and what of the one is in the other.
#[derive(Debug, Clone)]
pub struct Databases {
    online: GeneralLog,
    target: GeneralLog,
    /// In figures.
    pub account: Account,
}

impl Databases {
    /// Compares the two logs.
    #[must_use]
    pub fn of(online: GeneralLog, target: GeneralLog) -> Self {
        let account = Account::of(&online, &target);
        Self { online, target, account }
    }

    /// Statements that online executed since tcpcopy captured and that are not to reach the target.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        let commands = self.online.sessions.iter().flat_map(|session| &session.commands);
        let captured = commands.filter(|command| command.place >= self.online.captured_from);
        captured.filter(|command| command.argument.contains(HELD_BACK)).count() as u64
    }

    /// How often both servers executed each kind of command.
    #[must_use]
    pub fn executed(&self) -> Vec<Executed> {
        executed(&self.online, &self.target)
    }

    /// What the clients did, as far as the online server knows.
    #[must_use]
    pub fn users(&self) -> UsersSummary {
        let requests = commands(&self.online);
        let connections = self.online.sessions.len() as u64;
        UsersSummary { requests, answered: requests, connections, ..UsersSummary::default() }
    }

    /// What the online and the target server executed.
    #[must_use]
    pub fn servers(&self) -> [ServerSummary; 2] {
        [&self.online, &self.target].map(|log| ServerSummary {
            requests: commands(log),
            connections: log.sessions.len() as u64,
            ..ServerSummary::default()
        })
    }
}

fn commands(log: &GeneralLog) -> u64 {
    log.sessions.iter().map(|session| session.commands.len() as u64).sum()
}

/// The account of one scenario, in commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Executed by the online server since tcpcopy captured, and to be executed by the target.
    pub wanted: u64,
    /// Of these, executed by the target in the order of their session.
    pub in_order: u64,
    /// Of these, executed by the target, but not at their place.
    pub out_of_order: u64,
    /// Of these, not executed by the target.
    pub missing: u64,
    /// Executed by the target once more than by the online server.
    pub twice: u64,
    /// The same of commands that the target was executing when it dropped the session: left unanswered, they had to be
    /// repeated.
    pub repeated: u64,
    /// Executed by the target and never by the online server, or held back.
    pub alien: u64,
    /// Words of the module's own that restore a session.
    pub restoring: u64,
    /// A few commands of each kind that is not as it must be, for people.
    pub examples: Vec<String>,
}

impl Account {
    /// Compares the two servers' logs.
    #[must_use]
    pub fn of(online: &GeneralLog, target: &GeneralLog) -> Self {
        let sessions: Vec<Vec<&Command>> = online.sessions.iter().map(expected).collect();
        let mut ledger = Ledger::new(&sessions, online.captured_from);
        let mut pieces = Vec::new();
        let mut surplus = Surplus::of(&sessions, target);
        for session in &target.sessions {
            let mut commands: Vec<&Command> = session.commands.iter().collect();
            if surplus.ends_repeated(session) {
                commands.pop();
                ledger.account.repeated += 1;
            }
            if !ledger.claim_whole(&commands) {
                pieces.push(commands);
            }
        }
        // The longest are the least ambiguous.
        pieces.sort_by_key(|commands| std::cmp::Reverse(commands.len()));
        for commands in &pieces {
            ledger.claim_pieces(commands);
        }
        ledger.close()
    }

    /// The same in the words of every other account.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            sent: self.wanted,
            answered: self.wanted,
            exactly_once: self.in_order + self.out_of_order,
            missing: self.missing,
            resent: self.repeated,
            surplus: self.twice,
            unknown: self.alien,
            out_of_order: self.out_of_order,
            ..Tally::default()
        }
    }
}

fn executed(online: &GeneralLog, target: &GeneralLog) -> Vec<Executed> {
    let mut kinds = BTreeMap::<&str, [u64; 2]>::new();
    for (side, log) in [online, target].into_iter().enumerate() {
        for command in log.sessions.iter().flat_map(|session| &session.commands) {
            kinds.entry(command.kind).or_default()[side] += 1;
        }
    }
    let row = |(command, [online, target]): (&str, [u64; 2])| Executed {
        command: command.to_owned(),
        online,
        target,
    };
    kinds.into_iter().map(row).collect()
}

/// How much oftener the target executed each command than the online server did.
struct Surplus<'s>(HashMap<Content<'s>, i64>);

impl<'s> Surplus<'s> {
    fn of(online: &[Vec<&'s Command>], target: &'s GeneralLog) -> Self {
        let mut surplus = HashMap::new();
        for command in online.iter().flatten() {
            *surplus.entry(content(command)).or_default() -= 1;
        }
        for command in target.sessions.iter().flat_map(|session| &session.commands) {
            *surplus.entry(content(command)).or_default() += 1;
        }
        Self(surplus)
    }

    /// Whether the session was dropped while it executed a command that was executed again elsewhere.
    fn ends_repeated(&mut self, session: &'s Session) -> bool {
        let last = session.commands.last().filter(|last| last.kind != "Quit" && !restores(last));
        let Some(surplus) =
            last.and_then(|last| self.0.get_mut(&content(last))).filter(|surplus| **surplus > 0)
        else {
            return false;
        };
        *surplus -= 1;
        true
    }
}

/// What of a session the target is to execute.
fn expected(session: &Session) -> Vec<&Command> {
    session.commands.iter().filter(|command| !command.argument.contains(HELD_BACK)).collect()
}

/// Whether a module may say this by itself to bring a session where it was.
fn restores(command: &Command) -> bool {
    let statement = command.argument.get(..4).unwrap_or_default().to_ascii_lowercase();
    match command.kind {
        "Connect" | "Init DB" | "Prepare" => true,
        "Query" => statement == "set " || statement == "use ",
        _ => false,
    }
}

type Content<'c> = (&'static str, &'c str);

fn content(command: &Command) -> Content<'_> {
    (command.kind, &command.argument)
}

/// A command of the online server: which session, and where in it.
type Spot = (usize, usize);

/// What the online server executed, and what of it the target is known to have executed.
struct Ledger<'l> {
    online: &'l [Vec<&'l Command>],
    claimed: Vec<Vec<bool>>,
    spots: HashMap<Content<'l>, Vec<Spot>>,
    whole: HashMap<Vec<Content<'l>>, Vec<usize>>,
    captured_from: usize,
    account: Account,
}

impl<'l> Ledger<'l> {
    fn new(online: &'l [Vec<&'l Command>], captured_from: usize) -> Self {
        let mut spots = HashMap::<_, Vec<Spot>>::new();
        let mut whole = HashMap::<_, Vec<usize>>::new();
        for (index, commands) in online.iter().enumerate() {
            whole.entry(commands.iter().map(|command| content(command)).collect()).or_default().push(index);
            for (place, command) in commands.iter().enumerate() {
                spots.entry(content(command)).or_default().push((index, place));
            }
        }
        let claimed = online.iter().map(|commands| vec![false; commands.len()]).collect();
        Self { online, claimed, spots, whole, captured_from, account: Account::default() }
    }

    fn claim_whole(&mut self, commands: &[&'l Command]) -> bool {
        let list: Vec<_> = commands.iter().map(|command| content(command)).collect();
        let Some(index) = self.whole.get_mut(&list).and_then(Vec::pop) else {
            return false;
        };
        self.account.in_order += self.claim((index, 0), commands.len());
        true
    }

    /// Marks commands as executed by the target; returns how many of them were wanted.
    fn claim(&mut self, (session, from): Spot, length: usize) -> u64 {
        self.claimed[session][from..from + length].fill(true);
        self.wanted((session, from), length)
    }

    /// How many commands of a piece were executed since the capture began.
    fn wanted(&self, (session, from): Spot, length: usize) -> u64 {
        let wanted = |command: &&&Command| command.place >= self.captured_from;
        self.online[session][from..from + length].iter().filter(wanted).count() as u64
    }

    fn claim_pieces(&mut self, commands: &[&Command]) {
        let front = commands.iter().take_while(|command| restores(command)).count();
        let candidates = (0..=front.min(commands.len().saturating_sub(1)))
            .filter_map(|skipped| Some((skipped, self.longest(&commands[skipped..], None)?)));
        // What restores a session looks like the beginning of others: what follows it tells whose it is. And the login
        // that online executed before the capture is not it, where what follows was captured.
        let best = candidates.max_by_key(|&(skipped, (spot, length))| {
            (skipped + length > front, self.wanted(spot, length), length, std::cmp::Reverse(skipped))
        });
        let mut next = best.map_or(front, |(skipped, _)| skipped);
        self.account.restoring += next as u64;
        let mut reached = None;
        while next < commands.len() {
            let Some((spot, length)) = self.longest(&commands[next..], reached) else {
                self.blame(commands[next]);
                next += 1;
                continue;
            };
            let wanted = self.claim(spot, length);
            let follows = reached.is_none_or(|(session, place)| session == spot.0 && place <= spot.1);
            if follows {
                self.account.in_order += wanted;
                reached = Some((spot.0, spot.1 + length));
            } else if wanted > 0 {
                self.account.out_of_order += wanted;
                self.example("out of order", commands[next]);
            }
            next += length;
        }
    }

    /// The longest unclaimed piece that these commands begin with; of equal ones that which goes on in the session,
    /// behind the place, that was reached.
    fn longest(&self, commands: &[&Command], reached: Option<Spot>) -> Option<(Spot, usize)> {
        let spots = self.spots.get(&content(commands[0]))?;
        let lengths = spots.iter().map(|&spot| (spot, self.common(spot, commands)));
        lengths.filter(|(_, length)| *length > 0).max_by_key(|((session, place), length)| {
            let follows =
                reached.is_some_and(|(in_session, behind)| in_session == *session && behind <= *place);
            (follows, *length, std::cmp::Reverse(*place))
        })
    }

    fn common(&self, (session, place): Spot, commands: &[&Command]) -> usize {
        let online = self.online[session][place..].iter().zip(&self.claimed[session][place..]);
        let same = online
            .zip(commands)
            .take_while(|((online, claimed), target)| !**claimed && content(online) == content(target));
        same.count()
    }

    /// A command of the target that no command of the online server is left for.
    fn blame(&mut self, command: &Command) {
        if command.argument.contains(HELD_BACK) || !self.spots.contains_key(&content(command)) {
            self.account.alien += 1;
            self.example("alien", command);
        } else if restores(command) {
            self.account.restoring += 1;
        } else {
            self.account.twice += 1;
            self.example("twice", command);
        }
    }

    fn example(&mut self, what: &str, command: &Command) {
        const ENOUGH: usize = 12;
        if self.account.examples.len() < ENOUGH {
            let argument: String = command.argument.chars().take(100).collect();
            self.account.examples.push(format!("{what}: {} {argument}", command.kind));
        }
    }

    fn close(mut self) -> Account {
        for (commands, claimed) in self.online.iter().zip(std::mem::take(&mut self.claimed)) {
            for (command, claimed) in commands.iter().zip(claimed) {
                if command.place < self.captured_from {
                    continue;
                }
                self.account.wanted += 1;
                if !claimed {
                    self.account.missing += 1;
                    self.example("missing", command);
                }
            }
        }
        self.account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions as `a b c; d e`.
    fn log(text: &str) -> GeneralLog {
        let mut place = 0;
        let mut command = |word: &str| {
            place += 1;
            let kind = if word == "Connect" { "Connect" } else { "Query" };
            Command { kind, argument: word.replace('_', " "), place }
        };
        let mut session =
            |words: &str| Session { commands: words.split_whitespace().map(&mut command).collect() };
        GeneralLog { sessions: text.split(';').map(&mut session).collect(), captured_from: 0 }
    }

    fn figures(online: &GeneralLog, target: &str) -> [u64; 6] {
        let account = Account::of(online, &log(target));
        let Account { in_order, out_of_order, missing, twice, alien, restoring, .. } = account;
        [in_order, out_of_order, missing, twice, alien, restoring]
    }

    #[test]
    fn whole_sessions_are_equal_lists_in_any_order_of_sessions() {
        assert_eq!(
            figures(&log("Connect a b; Connect c; Connect c"), "Connect c; Connect a b; Connect c"),
            [7, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn what_went_wrong_is_told_apart() {
        let online = log("Connect a b c d");
        assert_eq!(figures(&online, "Connect a c d"), [4, 0, 1, 0, 0, 0]);
        assert_eq!(figures(&online, "Connect a b b c d"), [5, 0, 0, 1, 0, 0]);
        assert_eq!(figures(&online, "Connect a b x c d"), [5, 0, 0, 0, 1, 0]);
        assert_eq!(figures(&online, "Connect a c b d"), [4, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_session_that_was_dropped_goes_on_behind_words_that_restore_it() {
        let online = log("Connect set_x a b c d");
        assert_eq!(figures(&online, "Connect set_x a b; Connect set_x c d"), [6, 0, 0, 0, 0, 2]);
        assert_eq!(figures(&online, "Connect set_x a b; Connect set_x d"), [5, 0, 1, 0, 0, 2]);
    }

    #[test]
    fn words_that_restore_a_session_are_not_taken_for_the_beginning_of_another() {
        let online = log("Connect set_x set_y a b c; Connect set_x set_y d e f g");
        let target = "Connect set_x set_y f g; Connect set_x set_y a b; Connect set_x set_y c; Connect set_x set_y d e";
        assert_eq!(figures(&online, target), [13, 0, 0, 0, 0, 6]);
    }

    #[test]
    fn what_the_target_executed_when_it_dropped_the_session_is_repeated() {
        let online = log("Connect a b c");
        assert_eq!(figures(&online, "Connect a b; Connect b c"), [4, 0, 0, 0, 0, 1]);
        assert_eq!(figures(&online, "Connect a b; Connect a b c"), [4, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn a_session_counts_from_the_time_of_the_capture() {
        let online = GeneralLog { captured_from: 4, ..log("Connect set_x a b c") };
        assert_eq!(figures(&online, "Connect set_x b c"), [2, 0, 0, 0, 0, 2]);
        assert_eq!(figures(&online, "Connect c"), [1, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn what_is_held_back_is_neither_missed_nor_welcome() {
        let online = log("Connect a held-back b");
        assert_eq!(figures(&online, "Connect a b"), [3, 0, 0, 0, 0, 0]);
        assert_eq!(figures(&online, "Connect a held-back b"), [3, 0, 0, 0, 1, 0]);
    }
}
