//! Which session of the online server a session of the target is a part of, and which commands of it that part is.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use super::{Account, HELD_BACK};
use crate::mysql::general_log::Command;

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
pub(super) struct Ledger<'l> {
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
    pub(super) fn new(online: &'l [Vec<&'l Command>], captured_from: usize) -> Self {
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
    pub(super) fn enter(&mut self, commands: &[&'l Command]) {
        if self.claim_whole(commands) {
            return;
        }
        let Some(owner) = self.owner(commands) else {
            if let [Command { kind: "Connect", .. }] = commands {
                // By the account for whoever is not known: the capture began at the very end of a user's connection.
                self.account.restoring += 1;
                return;
            }
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

    pub(super) fn close(mut self) -> Account {
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
