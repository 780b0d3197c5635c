//! Which answer belongs to which request: for modules that compare.

use std::collections::VecDeque;

use crate::{Actions, Answer, Exchange, Timestamp};

/// The requests of a session that are not settled, in order: which of them each server answers next, and what is known of
/// each so far. `R` is what the module has to remember of a request.
///
/// The online server answers all of them, the target those that were said. A new connection
/// [withdraws](Self::withdraw) requests, which are then given and [begun](Self::begin) again; what the online server said to
/// them meanwhile stays. An exchange is [recorded](Actions::record) when both answers are known, or never will be.
///
/// ```
/// use tcpcopy_plugin_api::ledger::{Awaited, Entry, Ledger};
/// use tcpcopy_plugin_api::{Actions, Answer, Conversation, Depth, GiveUp, Side};
///
/// /// Lines are requests, and answered by a line each. Both servers' answers are compared.
/// #[derive(Default)]
/// struct Lines {
///     ledger: Ledger<()>,
///     /// Which answer of the online server belongs to which request is no longer known.
///     is_online_lost: bool,
/// }
///
/// fn line(input: &[u8]) -> Option<&[u8]> {
///     input.split_inclusive(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\n"))
/// }
///
/// fn answer(line: &[u8], latency_us: u64) -> Awaited {
///     let failed = line.starts_with(b"ERROR");
///     Awaited::Known(Answer { outcome: failed.into(), failed, size: line.len() as u64, digest: 0, latency_us })
/// }
///
/// impl Conversation for Lines {
///     fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
///         actions.want_target(Depth::EVERYTHING);
///         actions.want_online(true);
///         Ok(())
///     }
///
///     fn client(&mut self, mut input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
///         while let Some(line) = line(input) {
///             let mut entry = if line == b"shutdown\n" {
///                 actions.discard(line.len() as u64, "shutdown");
///                 Entry::unsaid(()) // the online server answers it all the same
///             } else {
///                 actions.open_turn();
///                 actions.forward(line.len() as u64);
///                 Entry::said(line.trim_ascii_end().escape_ascii().to_string(), ())
///             };
///             entry.heard_at = Some(actions.at());
///             if self.is_online_lost {
///                 entry.online = Awaited::Never;
///             }
///             self.ledger.begin(entry);
///             input = &input[line.len()..];
///         }
///         self.ledger.settle(actions);
///         Ok(())
///     }
///
///     fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
///         // One answer in each call. What is left is given again at once, with the time of the next turn.
///         let Some(line) = line(input) else { return Ok(()) };
///         let latency = actions.turn_said_at().map_or(0, |said| actions.at().micros_since(said));
///         if let Some((_, entry)) = self.ledger.awaited_by_target() {
///             entry.target = answer(line, latency);
///         }
///         actions.take(line.len() as u64);
///         actions.complete_turn();
///         self.ledger.settle(actions);
///         Ok(())
///     }
///
///     fn online(&mut self, mut input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
///         // An answer that came before its request is left, and given again behind it.
///         while let (Some(line), Some(entry)) = (line(input), self.ledger.awaited_by_online()) {
///             let latency = entry.heard_at.map_or(0, |heard| actions.at().micros_since(heard));
///             entry.online = answer(line, latency);
///             actions.take(line.len() as u64);
///             input = &input[line.len()..];
///         }
///         self.ledger.settle(actions);
///         Ok(())
///     }
///
///     fn missing(&mut self, side: Side, _: u64, actions: &mut Actions) -> Result<(), GiveUp> {
///         if side == Side::Target {
///             return Err(GiveUp::new("bytes of the target were not seen"));
///         }
///         self.is_online_lost = true;
///         actions.want_online(false);
///         self.ledger.forget_online();
///         self.ledger.settle(actions);
///         Ok(())
///     }
///
///     fn reconnected(&mut self, _: &mut Actions) -> Result<(), GiveUp> {
///         self.ledger.withdraw();
///         Ok(())
///     }
/// }
/// # #[cfg(feature = "testing")]
/// # {
/// # use tcpcopy_plugin_api::testing::{Transcript, check_every_split};
/// # use tcpcopy_plugin_api::{Configuration, ConfigurationError, Module, SessionInfo};
/// # struct Comparing;
/// # impl Module for Comparing {
/// #     fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> { Ok(Self) }
/// #     fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> { Box::new(Lines::default()) }
/// # }
/// # let transcript = Transcript::new().client("a\nshutdown\nb\n").online("1\nbye\n2\n").target("1\n");
/// # let transcript = transcript.reconnect().target("ERROR\n");
/// # let outcome = check_every_split(&Comparing, &transcript).unwrap();
/// # let told = outcome.exchanges.iter().map(|exchange| (&exchange.label[..], exchange.target.unwrap().failed));
/// # assert_eq!(told.collect::<Vec<_>>(), [("a", false), ("b", true)]);
/// # assert!(outcome.exchanges.iter().all(|exchange| exchange.online.is_some_and(|answer| answer.size == 2)));
/// # let transcript = Transcript::new().client("a\n").missing(Side::Online, 1).client("b\n").target("1\n2\n");
/// # assert_eq!(check_every_split(&Comparing, &transcript).unwrap().exchanges.len(), 2);
/// # }
/// ```
#[derive(Debug)]
pub struct Ledger<R> {
    entries: VecDeque<Entry<R>>,
    /// The number of the oldest entry; the first request of a session has 0.
    first: u64,
    /// The number of the next request that is begun.
    next: u64,
    /// The numbers of the requests that the sides answer next.
    target: u64,
    online: u64,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Entry<R> {
    /// The row of the report it belongs to.
    pub label: String,
    /// What the module remembers of it.
    pub request: R,
    /// Whether it was said to the target. If not, it is not reported.
    pub said: bool,
    /// Whether its answer completes a turn. If not, the place in the target's stream was lost and it is not reported.
    pub has_turn: bool,
    /// When its last byte was captured; `None` while it has not been.
    pub heard_at: Option<Timestamp>,
    /// The target's answer.
    pub target: Awaited,
    /// The online server's.
    pub online: Awaited,
    is_recorded: bool,
}

/// An answer that is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Awaited {
    /// It has not come.
    #[default]
    Pending,
    /// It has.
    Known(Answer),
    /// It will not be known.
    Never,
}

impl Awaited {
    const fn answer(self) -> Option<Answer> {
        match self {
            Self::Known(answer) => Some(answer),
            Self::Pending | Self::Never => None,
        }
    }
}

impl<R> Default for Ledger<R> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), first: 0, next: 0, target: 0, online: 0 }
    }
}

impl<R> Ledger<R> {
    /// A request begins. One that was withdrawn keeps what the online server answered to it.
    pub fn begin(&mut self, mut entry: Entry<R>) {
        let index = (self.next - self.first) as usize;
        match self.entries.get_mut(index) {
            Some(withdrawn) => {
                entry.online = withdrawn.online;
                entry.is_recorded = withdrawn.is_recorded;
                *withdrawn = entry;
            }
            None => self.entries.push_back(entry),
        }
        self.next += 1;
    }

    /// What is remembered of the request that is begun next, if it was begun before and [withdrawn](Self::withdraw).
    #[must_use]
    pub fn withdrawn(&self) -> Option<&R> {
        self.entries.get((self.next - self.first) as usize).map(|entry| &entry.request)
    }

    /// The number of the request that began last is one below this.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The request that began last, unless it is settled.
    pub fn newest(&mut self) -> Option<&mut Entry<R>> {
        self.entry(self.next.checked_sub(1)?)
    }

    /// How many requests are not settled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether all requests are settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The request that the target answers next, and its number.
    pub fn awaited_by_target(&mut self) -> Option<(u64, &mut Entry<R>)> {
        let begun = (self.next - self.first) as usize;
        let from = self.target.max(self.first);
        let skipped = (from - self.first) as usize;
        let awaited = self.entries.iter().take(begun).skip(skipped);
        let distance = awaited.take_while(|entry| entry.target != Awaited::Pending).count();
        self.target = from + distance as u64;
        let number = self.target;
        (number < self.next).then(|| self.entry(number)).flatten().map(|entry| (number, entry))
    }

    /// The request that the online server answers next.
    pub fn awaited_by_online(&mut self) -> Option<&mut Entry<R>> {
        let from = self.online.max(self.first);
        let skipped = (from - self.first) as usize;
        let awaited = self.entries.iter().skip(skipped);
        let distance = awaited.take_while(|entry| entry.online != Awaited::Pending).count();
        self.online = from + distance as u64;
        self.entry(self.online)
    }

    /// How many requests the target still owes an answer.
    #[must_use]
    pub fn owed_by_target(&self) -> usize {
        let begun = (self.next - self.first) as usize;
        self.entries.iter().take(begun).filter(|entry| entry.target == Awaited::Pending).count()
    }

    /// How many requests the online server still owes an answer, those that were withdrawn among them.
    #[must_use]
    pub fn owed_by_online(&self) -> usize {
        self.entries.iter().filter(|entry| entry.online == Awaited::Pending).count()
    }

    /// The target's answers to all that were begun will not be known.
    pub fn forget_target(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.target == Awaited::Pending) {
            entry.target = Awaited::Never;
            entry.has_turn = false;
        }
    }

    /// The online server's answers to all that were begun will not be known.
    pub fn forget_online(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.online == Awaited::Pending) {
            entry.online = Awaited::Never;
        }
    }

    /// A new connection to the target: requests are begun anew from the oldest whose turn is open. Returns whether
    /// there is one.
    pub fn withdraw(&mut self) -> bool {
        let begun = (self.next - self.first) as usize;
        let is_open = |entry: &Entry<R>| entry.has_turn && entry.target == Awaited::Pending;
        let Some(index) = self.entries.iter().take(begun).position(is_open) else { return false };
        self.next = self.first + index as u64;
        true
    }

    /// Records what is known of both sides, as far as the oldest request is settled.
    pub fn settle(&mut self, actions: &mut Actions) {
        while self.first < self.next
            && let Some(oldest) = self.entries.front()
            && oldest.target != Awaited::Pending
            && oldest.online != Awaited::Pending
            && let Some(mut entry) = self.entries.pop_front()
        {
            self.first += 1;
            entry.record(actions);
        }
    }

    /// Nobody will answer any more, since both the user and the target have [ended](crate::Conversation::ended): what was
    /// [heard](Entry::heard_at) and not answered by now is recorded as it is. If there is another connection
    /// after all, it is not recorded again.
    pub fn close(&mut self, actions: &mut Actions) {
        let begun = (self.next - self.first) as usize;
        for entry in self.entries.iter_mut().take(begun).filter(|entry| entry.heard_at.is_some()) {
            entry.record(actions);
        }
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry<R>> {
        let index = number.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }
}

impl<R> Entry<R> {
    /// A request that is said, with a turn opened for it; both servers' answers are pending. When it is
    /// [heard](Self::heard_at) is to be set.
    #[must_use]
    pub fn said(label: impl Into<String>, request: R) -> Self {
        Self { label: label.into(), said: true, has_turn: true, ..Self::of(request) }
    }

    /// A request that is not said: only the online server answers it.
    #[must_use]
    pub fn unsaid(request: R) -> Self {
        Self { target: Awaited::Never, ..Self::of(request) }
    }

    /// A request that nothing is known of but what the module remembers: without a label, not said, both answers pending.
    #[must_use]
    pub fn of(request: R) -> Self {
        Self {
            label: String::new(),
            request,
            said: false,
            has_turn: false,
            heard_at: None,
            target: Awaited::Pending,
            online: Awaited::Pending,
            is_recorded: false,
        }
    }

    fn record(&mut self, actions: &mut Actions) {
        if self.said && self.has_turn && !std::mem::replace(&mut self.is_recorded, true) {
            let label = std::mem::take(&mut self.label);
            actions.record(Exchange { label, online: self.online.answer(), target: self.target.answer() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, said: bool) -> Entry<()> {
        let entry = if said { Entry::said(label, ()) } else { Entry::unsaid(()) };
        Entry { heard_at: Some(Timestamp(1)), ..entry }
    }

    fn answer(outcome: u32) -> Awaited {
        Awaited::Known(Answer { outcome, ..Answer::default() })
    }

    fn recorded(actions: &Actions) -> Vec<(String, Option<u32>, Option<u32>)> {
        let outcome = |answer: &Option<Answer>| answer.map(|answer| answer.outcome);
        let exchanges = actions.as_raw().2.iter();
        exchanges
            .map(|exchange| (exchange.label.clone(), outcome(&exchange.online), outcome(&exchange.target)))
            .collect()
    }

    #[test]
    fn the_target_answers_what_was_said_and_the_online_server_everything() {
        let (mut ledger, mut actions) = (Ledger::default(), Actions::default());
        for (label, said) in [("a", false), ("b", true), ("c", false), ("d", true)] {
            ledger.begin(entry(label, said));
        }
        for (outcome, expected) in [(1, "b"), (2, "d")] {
            let (_, awaited) = ledger.awaited_by_target().unwrap();
            assert_eq!(awaited.label, expected);
            awaited.target = answer(outcome);
        }
        assert!(ledger.awaited_by_target().is_none());
        for outcome in 11..=14 {
            ledger.awaited_by_online().unwrap().online = answer(outcome);
        }
        ledger.settle(&mut actions);
        assert_eq!(recorded(&actions), [("b".into(), Some(12), Some(1)), ("d".into(), Some(14), Some(2))]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_withdrawn_request_keeps_what_the_online_server_said() {
        let (mut ledger, mut actions) = (Ledger::default(), Actions::default());
        for label in ["a", "b"] {
            ledger.begin(entry(label, true));
            ledger.awaited_by_online().unwrap().online = answer(200);
        }
        ledger.awaited_by_target().unwrap().1.target = answer(1);
        ledger.settle(&mut actions);
        assert!(ledger.withdraw());
        assert!(ledger.awaited_by_target().is_none(), "nothing was said on the new connection");
        assert_eq!(ledger.withdrawn(), Some(&()));
        ledger.settle(&mut actions);
        ledger.begin(entry("b", true));
        ledger.awaited_by_target().unwrap().1.target = answer(2);
        ledger.settle(&mut actions);
        assert_eq!(recorded(&actions), [("a".into(), Some(200), Some(1)), ("b".into(), Some(200), Some(2))]);
        assert!(!ledger.withdraw());
    }

    #[test]
    fn an_unanswered_request_is_recorded_when_nobody_will_answer() {
        let (mut ledger, mut actions) = (Ledger::default(), Actions::default());
        ledger.begin(entry("a", true));
        ledger.begin(Entry { heard_at: None, ..entry("half", true) });
        ledger.close(&mut actions);
        assert_eq!(recorded(&actions), [("a".into(), None, None)]);
        assert!(ledger.withdraw(), "there was another connection after all");
        ledger.begin(entry("a", true));
        ledger.close(&mut actions);
        assert_eq!(recorded(&actions).len(), 1);
    }

    #[test]
    fn answers_that_were_lost_are_not_reported() {
        let (mut ledger, mut actions) = (Ledger::default(), Actions::default());
        ledger.begin(entry("a", true));
        assert_eq!(ledger.owed_by_target(), 1);
        ledger.forget_target();
        ledger.forget_online();
        ledger.settle(&mut actions);
        assert!(recorded(&actions).is_empty() && ledger.is_empty());
    }
}
