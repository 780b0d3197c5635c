//! The user's side of a session: requests, read and said one by one.

use std::mem::MaybeUninit;

use tcpcopy_plugin_api::ledger::{Awaited, Entry};
use tcpcopy_plugin_api::{Actions, GiveUp};

use super::{Asked, Doubt, HttpConversation, NO_REQUEST, OnlinePlace, Reading, TargetPlace};
use crate::chunked::Chunked;
use crate::framing::{Body, Malformed, RequestKind};
use crate::head::{HeadEnd, LineEnds, MAX_FIELDS, MAX_HEAD};
use crate::label;

use crate::request::{NOT_HTTP, Request, may_begin_request};
use crate::seek::{Fit, Seeker, Sought, request_line};

/// So many requests may be unsettled: more would be a user who does not wait for answers, or a side that gives none.
const MAX_UNSETTLED: usize = 1024;

const TOO_LONG: Malformed = Malformed("a head of more than 64 KiB");
const NO_FIELD: Malformed = Malformed("a line that is no field");

/// How many bytes were dealt with, more than there are where a body is passed over; `None` when more are needed.
type Dealt = Option<u64>;

impl HttpConversation {
    pub(super) fn read_client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        let mut rest = input;
        while !rest.is_empty() {
            let dealt = match &self.reading {
                Reading::Head => self.read_head(rest, actions)?,
                Reading::LastByte => {
                    actions.forward(1);
                    self.end_request(actions);
                    Some(1)
                }
                Reading::Chunked(_) | Reading::Unsaid(..) => self.read_chunk(rest, actions)?,
                Reading::Seeking(_) => self.seek_request(rest, actions),
                Reading::Entering => self.look_into_protocol(rest, actions)?,
                Reading::Switching | Reading::Switched | Reading::Raw | Reading::Silent => None,
            };
            let Some(dealt) = dealt else { break };
            rest = rest.get(usize::try_from(dealt).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
        // Of a user who has left this was all there is, once the answer has come that it waited for.
        if self.client_left && !matches!(self.reading, Reading::Switching) {
            self.client_left = false;
            self.handle_client_end(actions);
        }
        Ok(())
    }

    fn read_head(&mut self, input: &[u8], actions: &mut Actions) -> Result<Dealt, GiveUp> {
        let blank = blank_lines(input) as u64;
        if blank > 0 {
            // They go with what came before: old user agents end a body so (RFC 9112 §2.2).
            match (self.doubt, self.refusal) {
                (Doubt::Found { .. }, _) => actions.discard(blank, NO_REQUEST),
                (_, Some(reason)) => actions.discard(blank, reason),
                (_, None) => actions.forward(blank),
            }
            self.await_head(self.doubt);
            return Ok(Some(blank));
        }
        let length = match self.search.find(input) {
            HeadEnd::At(length) => length,
            HeadEnd::Later | HeadEnd::Nowhere if !may_begin_request(input) => {
                return self.handle_malformed_head(NOT_HTTP, actions);
            }
            HeadEnd::Later => return Ok(None),
            HeadEnd::Nowhere => {
                let malformed = if input.len() > MAX_HEAD { TOO_LONG } else { NO_FIELD };
                return self.handle_malformed_head(malformed, actions);
            }
        };
        let head = input.get(..length).unwrap_or_default();
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        match Request::read(head, &mut fields) {
            Ok(_) if self.is_doubtful(self.search.line_ends()) => {
                self.handle_malformed_head(Malformed("a line feed without a carriage return"), actions)
            }
            Ok(request) if self.settings.gives_up_malformed && !request.target.is_proper() => {
                self.handle_malformed_head(Malformed("a target that is no path"), actions)
            }
            Ok(request) => {
                let asked = Asked { kind: request.kind(), doubt: self.doubt };
                self.await_head(match self.doubt {
                    // A line of somebody's text may pass for a request. Two of them hardly do.
                    Doubt::Found { is_next: false } => Doubt::Found { is_next: true },
                    _ => Doubt::None,
                });
                Ok(Some(self.begin_request(&request, asked, head, input, actions)))
            }
            Err(malformed) => self.handle_malformed_head(malformed, actions),
        }
    }

    /// Whether servers could see other lines than we do. Where everything is forwarded, only turns depend on that.
    fn is_doubtful(&self, line_ends: LineEnds) -> bool {
        match line_ends {
            LineEnds::Both => false,
            LineEnds::LineFeed => self.settings.gives_up_malformed,
            LineEnds::Mixed => true,
        }
    }

    fn handle_malformed_head(
        &mut self,
        malformed: Malformed,
        actions: &mut Actions,
    ) -> Result<Dealt, GiveUp> {
        match self.doubt {
            // A head whose lines are all its own is one.
            Doubt::Found { .. } if [NOT_HTTP, NO_FIELD, TOO_LONG].contains(&malformed) => {
                // Behind its first byte, or it would be found there again.
                actions.discard(1, NO_REQUEST);
                self.reading = Reading::Seeking(Seeker::new(false));
                return Ok(Some(1));
            }
            Doubt::Unswitched if malformed == NOT_HTTP => {
                return Err(GiveUp::new("the target did not change the protocol as the online server did"));
            }
            Doubt::Found { .. } | Doubt::Unswitched | Doubt::None => {}
        }
        self.handle_malformed(malformed, actions).map(|()| None)
    }

    /// A request whose head is complete, in front of `input`. Returns how many bytes are dealt with.
    fn begin_request(
        &mut self,
        request: &Request<'_, '_>,
        asked: Asked,
        head: &[u8],
        input: &[u8],
        actions: &mut Actions,
    ) -> u64 {
        let refusal = self.settings.filter.refusal(request);
        self.enter(request, asked, refusal.is_none(), actions);
        self.refusal = refusal;
        self.may_switch = request.may_switch();
        let length = head.len() as u64;
        if let Some(reason) = refusal {
            return self.discard_request(request, length, reason, actions);
        }
        if matches!(self.target, TargetPlace::Following) {
            actions.open_turn();
        }
        if self.settings.rewrite.apply(request, head, &mut self.rewritten) {
            actions.replace(length, &self.rewritten);
        } else {
            actions.forward(length);
        }
        if request.facts.expects_continue && request.body != Body::Empty {
            actions.wait_for_target();
        }
        let come = (input.len() as u64).saturating_sub(length);
        match request.body {
            Body::Length(body) if come < body => {
                actions.forward(body - 1);
                self.reading = Reading::LastByte;
                length + body - 1
            }
            Body::Length(body) => {
                actions.forward(body);
                self.end_request(actions);
                length + body
            }
            Body::Chunked => {
                self.reading = Reading::Chunked(Chunked::of_request());
                length
            }
            Body::Empty | Body::UntilClose => {
                self.end_request(actions);
                length
            }
        }
    }

    /// Keeps in mind that answers to that request are due.
    fn enter(&mut self, request: &Request<'_, '_>, asked: Asked, said: bool, actions: &mut Actions) {
        let follows = matches!(self.target, TargetPlace::Following);
        if self.online == OnlinePlace::Lost {
            self.online = OnlinePlace::Regaining;
        }
        if let TargetPlace::Seeking(seeker) = &mut self.target
            && said
            && self.ledger.owed_by_target() == 0
        {
            // Its response may begin with the very next byte.
            seeker.begin_line();
        }
        let awaits_target = said && !matches!(self.target, TargetPlace::Lost);
        let awaits_online = self.online != OnlinePlace::Unwanted;
        if !awaits_target && !awaits_online && self.ledger.withdrawn().is_none() {
            return; // nobody answers it
        }
        let when = |awaits: bool| if awaits { Awaited::Pending } else { Awaited::Never };
        let mut entry = if said && follows {
            Entry::said(label::of(request, &self.settings.labels), asked)
        } else {
            Entry::of(asked)
        };
        (entry.said, entry.target, entry.online) = (said, when(awaits_target), when(awaits_online));
        self.ledger.begin(entry);
        if self.ledger.len() > MAX_UNSETTLED {
            self.lose_online(actions);
        }
        if self.ledger.len() > MAX_UNSETTLED && self.ledger.owed_by_target() > MAX_UNSETTLED {
            self.lose_target_for_good(actions);
        }
    }

    fn discard_request(
        &mut self,
        request: &Request<'_, '_>,
        head_length: u64,
        reason: &'static str,
        actions: &mut Actions,
    ) -> u64 {
        let length = match (request.kind(), request.body) {
            (RequestKind::Connect, _) => u64::MAX,
            (_, Body::Length(body)) => head_length + body,
            (_, Body::Empty | Body::Chunked | Body::UntilClose) => head_length,
        };
        actions.discard(length, reason);
        match (request.kind(), request.body) {
            (RequestKind::Connect, _) => self.reading = Reading::Silent,
            (_, Body::Chunked) => self.reading = Reading::Unsaid(Chunked::of_request(), reason),
            (_, Body::Empty | Body::Length(_) | Body::UntilClose) => self.await_next(),
        }
        self.ledger.settle(actions);
        length
    }

    /// Behind a request that was not said: the next one, or another protocol, if it had asked for that.
    fn await_next(&mut self) {
        self.await_head(if self.may_switch { Doubt::Found { is_next: false } } else { self.doubt });
    }

    /// The last byte of the request is dealt with.
    fn end_request(&mut self, actions: &mut Actions) {
        self.reading = Reading::Head;
        let newest = self.ledger.newest();
        let is_unanswered = newest.as_ref().is_some_and(|entry| entry.target == Awaited::Pending);
        if let Some(entry) = newest {
            entry.heard_at = Some(actions.at());
        }
        if !self.may_switch || !matches!(self.target, TargetPlace::Following) {
            return; // in another protocol whose beginning nobody sees, anything may follow
        }
        if is_unanswered {
            self.reading = Reading::Switching;
        } else {
            self.await_head(Doubt::Unswitched);
        }
    }

    fn read_chunk(&mut self, input: &[u8], actions: &mut Actions) -> Result<Dealt, GiveUp> {
        let (chunked, refusal) = match &mut self.reading {
            Reading::Chunked(chunked) => (chunked, None),
            Reading::Unsaid(chunked, reason) => (chunked, Some(*reason)),
            _ => return Ok(None),
        };
        let (dealt, is_over) = chunked.pass_over(input);
        match refusal {
            _ if dealt == 0 => {}
            None => actions.forward(dealt),
            Some(reason) => actions.discard(dealt, reason),
        }
        match (is_over, refusal) {
            (Ok(false), _) => return Ok((dealt > 0).then_some(dealt)),
            (Ok(true), None) => self.end_request(actions),
            (Ok(true), Some(_)) => self.await_next(),
            (Err(_), Some(_)) if !self.settings.gives_up_malformed => {
                self.reading = Reading::Seeking(Seeker::new(false));
            }
            (Err(malformed), _) => return self.handle_malformed(malformed, actions).map(|()| None),
        }
        Ok(Some(dealt))
    }

    /// The target speaks another protocol. Whoever goes on in HTTP was refused that by the online server, and what follows
    /// would be said to a target that understands it otherwise; or it would get past a filter.
    fn look_into_protocol(&mut self, input: &[u8], actions: &mut Actions) -> Result<Dealt, GiveUp> {
        let forbids = self.settings.filter.forbids_something();
        let fit = if forbids { any_request(input) } else { request_line(input) };
        match fit {
            Fit::Maybe if input.len() <= MAX_HEAD => return Ok(None),
            Fit::Yes => {}
            Fit::Maybe if forbids => {}
            Fit::Maybe | Fit::No => {
                self.enter_protocol(actions);
                return Ok(None);
            }
        }
        Err(GiveUp::new("the target changed the protocol, and the user goes on in HTTP"))
    }

    /// What the user says is another protocol, which nobody reads.
    pub(super) fn enter_protocol(&mut self, actions: &mut Actions) {
        self.reading = Reading::Switched;
        actions.forward_all();
    }

    fn seek_request(&mut self, input: &[u8], actions: &mut Actions) -> Dealt {
        let Reading::Seeking(seeker) = &mut self.reading else { return None };
        let (passed, is_found) = match seeker.find(input, request_line) {
            Sought::Found(passed) => (passed, true),
            Sought::Passed(passed) => (passed, false),
        };
        if passed > 0 {
            actions.discard(passed as u64, NO_REQUEST);
        }
        if is_found {
            self.await_head(Doubt::Found { is_next: false });
            return Some(passed as u64);
        }
        None
    }
}

/// How many bytes of empty lines `input` begins with.
fn blank_lines(input: &[u8]) -> usize {
    let mut count = 0;
    loop {
        match input.get(count..) {
            Some([b'\n', ..]) => count += 1,
            Some([b'\r', b'\n', ..]) => count += 2,
            _ => return count,
        }
    }
}

/// Whether `input` begins with any request at all, perhaps behind empty lines.
fn any_request(input: &[u8]) -> Fit {
    let begun = input.get(blank_lines(input)..).unwrap_or_default();
    match (may_begin_request(begun), begun.contains(&b'\n')) {
        (false, _) => Fit::No,
        (true, false) => Fit::Maybe,
        (true, true) => Fit::Yes,
    }
}
