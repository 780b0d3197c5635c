//! What the target executed of what the online server executed: every session's commands, in order.
//!
//! Sessions that were replayed whole are equal as whole lists. What is left was joined in its middle or went on after
//! the target had dropped it: there, what the target executed is made of pieces of what the online server executed,
//! and a module's own words stand before a piece: the login and what restores the session.

use std::cmp::{Ordering, Reverse};
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
        for session in &target.sessions {
            ledger.enter(&session.commands.iter().collect::<Vec<_>>());
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

fn contents<'c>(commands: &[&'c Command]) -> Vec<Content<'c>> {
    commands.iter().map(|command| content(command)).collect()
}

/// A command of the online server: which session, and where in it.
type Spot = (usize, usize);

/// What the online server executed, and what of it the target is known to have executed.
struct Ledger<'l> {
    online: &'l [Vec<&'l Command>],
    claimed: Vec<Vec<bool>>,
    /// How far the target has come in each session.
    reached: Vec<usize>,
    /// What the target executed last of each session, if its connection did not end there by the user's wish.
    interrupted: Vec<Option<Content<'l>>>,
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
            whole.entry(contents(commands)).or_default().push(index);
            for (place, command) in commands.iter().enumerate() {
                spots.entry(content(command)).or_default().push((index, place));
            }
        }
        let claimed = online.iter().map(|commands| vec![false; commands.len()]).collect();
        Self {
            online,
            claimed,
            reached: vec![0; online.len()],
            interrupted: vec![None; online.len()],
            spots,
            whole,
            captured_from,
            account: Account::default(),
        }
    }

    /// What one session of the target executed; sessions come in the order of their logins.
    fn enter(&mut self, commands: &[&'l Command]) {
        if self.claim_whole(commands) {
            return;
        }
        let Some(owner) = self.owner(commands) else {
            commands.iter().for_each(|command| self.blame(command));
            return;
        };
        let rest = self.pass_front(owner, commands);
        self.claim_part(owner, rest);
        let last = commands.last().filter(|last| last.kind != "Quit" && !restores(last));
        self.interrupted[owner] = last.map(|last| content(last));
    }

    fn claim_whole(&mut self, commands: &[&'l Command]) -> bool {
        let Some(alike) = self.whole.get_mut(&contents(commands)) else {
            return false;
        };
        while let Some(index) = alike.pop() {
            if !self.claimed[index].contains(&true) {
                self.account.in_order += self.claim((index, 0), commands.len());
                return true;
            }
        }
        false
    }

    /// The session of the online server that these commands are a part of: what few others said tells most. Of alike
    /// ones that which goes on with them.
    fn owner(&self, commands: &[&Command]) -> Option<usize> {
        let mut evidence = vec![0.0; self.online.len()];
        let said = || commands.iter().filter(|command| !restores(command));
        for spots in said().filter_map(|command| self.spots.get(&content(command))) {
            let mut holders: Vec<usize> = spots.iter().map(|&(session, _)| session).collect();
            holders.dedup();
            let weight = 1.0 / holders.len() as f64;
            holders.into_iter().for_each(|session| evidence[session] += weight);
        }
        let first = said().next().map(|command| content(command));
        let goes_on = |session: usize| {
            let next = self.online[session].get(self.reached[session]..).unwrap_or_default();
            next.iter().find(|command| !restores(command)).map(|command| content(command)) == first
        };
        let sessions = evidence.into_iter().enumerate().filter(|(_, evidence)| *evidence > 0.0);
        let best = sessions.max_by(|(session, evidence), (other, of_other)| {
            // Sums of the same weights in another order differ in their last digits.
            let alike = (evidence - of_other).abs() < 1e-9;
            let by_evidence = if alike { Ordering::Equal } else { evidence.total_cmp(of_other) };
            by_evidence.then_with(|| goes_on(*session).cmp(&goes_on(*other))).then(other.cmp(session))
        });
        best.map(|(session, _)| session)
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

    /// Passes over what a session of the target began with beside what the user had yet to say: words that restore the
    /// user's session, and the command that was being executed when the connection before it ended.
    fn pass_front<'c>(&mut self, owner: usize, commands: &'c [&'l Command]) -> &'c [&'l Command] {
        let front = commands.iter().take_while(|command| restores(command)).count();
        let repeats = self.interrupted[owner].is_some()
            && commands.get(front).map(|command| content(command)) == self.interrupted[owner];
        let last = (front + usize::from(repeats)).min(commands.len().saturating_sub(1));
        let candidates =
            (0..=last).filter_map(|skipped| Some((skipped, self.longest(owner, &commands[skipped..])?)));
        // What restores a session looks like its beginning: what follows it tells. And the login that online executed
        // before the capture is not it, where what follows was captured.
        let best = candidates.max_by_key(|&(skipped, (spot, length))| {
            (skipped + length > front, self.wanted(spot, length), length, Reverse(skipped))
        });
        let passed = best.map_or(front, |(skipped, _)| skipped);
        let repeated = passed.saturating_sub(front);
        self.account.repeated += repeated as u64;
        self.account.restoring += (passed - repeated) as u64;
        &commands[passed..]
    }

    fn claim_part(&mut self, owner: usize, mut commands: &[&Command]) {
        while let [first, others @ ..] = commands {
            let Some((spot, length)) = self.longest(owner, commands) else {
                self.blame(first);
                commands = others;
                continue;
            };
            let wanted = self.claim(spot, length);
            if spot.1 >= self.reached[owner] {
                self.account.in_order += wanted;
                self.reached[owner] = spot.1 + length;
            } else if wanted > 0 {
                self.account.out_of_order += wanted;
                self.example("out of order", first);
            }
            commands = &commands[length..];
        }
    }

    /// The longest unclaimed piece of the session that these commands begin with, preferably behind what was reached.
    fn longest(&self, owner: usize, commands: &[&Command]) -> Option<(Spot, usize)> {
        let spots = self.spots.get(&content(commands.first()?))?;
        let spots = spots.iter().filter(|(session, _)| *session == owner);
        let lengths = spots.map(|&spot| (spot, self.common(spot, commands)));
        lengths
            .filter(|(_, length)| *length > 0)
            .max_by_key(|((_, place), length)| (*place >= self.reached[owner], *length, Reverse(*place)))
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
        let target = "Connect set_x set_y d e; Connect set_x set_y a b; Connect set_x set_y f g; Connect set_x set_y c";
        assert_eq!(figures(&online, target), [13, 0, 0, 0, 0, 6]);
    }

    #[test]
    fn the_parts_of_a_session_are_in_order_too() {
        let online = log("Connect set_x a b c d e");
        assert_eq!(figures(&online, "Connect set_x a b e; Connect set_x c d"), [5, 2, 0, 0, 0, 2]);
    }

    #[test]
    fn what_every_session_says_is_claimed_from_the_session_that_what_few_say_belongs_to() {
        let online = log("Connect begin a commit begin b commit; Connect begin c commit begin d e commit");
        let target = "Connect begin a commit; Connect begin c commit begin d; Connect begin b commit; Connect e commit";
        assert_eq!(figures(&online, target), [15, 0, 0, 0, 0, 2]);
        let target = "Connect begin a commit; Connect begin c commit begin d; Connect commit begin b commit; Connect e";
        assert_eq!(
            figures(&online, target),
            [14, 0, 1, 0, 0, 2],
            "commit repeated in one, missing in the other"
        );
    }

    #[test]
    fn of_alike_sessions_that_is_claimed_which_goes_on_so() {
        let online = log("Connect a b c; Connect a b c; Connect a b c");
        let target = "Connect a b; Connect a; Connect c; Connect a b c; Connect b c";
        assert_eq!(figures(&online, target), [12, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn what_the_target_executed_when_it_dropped_the_session_is_repeated() {
        let online = log("Connect a b b c");
        for target in ["Connect a b b; Connect b c", "Connect a b; Connect b b c"] {
            assert_eq!(figures(&online, target), [5, 0, 0, 0, 0, 1]);
            assert_eq!(Account::of(&online, &log(target)).repeated, 1);
        }
        assert_eq!(Account::of(&online, &log("Connect a b; Connect b c")).repeated, 0);
        assert_eq!(figures(&log("Connect a b c"), "Connect a b; Connect a b c"), [4, 0, 0, 2, 0, 1]);
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
