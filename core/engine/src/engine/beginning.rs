//! Where sessions begin: with a SYN, in the middle of a connection, behind a gap in the capture; or why none does.

use tcpcopy_wire::{Flags, Flow, Instant, Segment};

use super::{Engine, SessionId};
use crate::Registration;
use crate::joining::LastSeen;
use crate::replica::Replica;
use crate::session::{Context, Rest, Session};
use crate::sources::NoSource;
use crate::verdict::{Ignored, Verdict};

/// A captured segment, and where it belongs.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) captured_at: Instant,
    pub(super) replica: Replica,
    /// The index of the mapping it belongs to.
    pub(super) mapping: usize,
    pub(super) segment: &'a Segment<'a>,
}

impl Engine {
    /// A SYN: a connection begins, unless it is one we know, repeated.
    pub(super) fn handle_syn(&mut self, now: Instant, seen: Seen<'_>) {
        let Seen { captured_at, replica, segment, .. } = seen;
        if segment.flags.ack() || segment.flags.rst() {
            return self.statistics.ignore(Ignored::NoSession);
        }
        if let Some(&older) = self.by_capture.get(&replica) {
            if self.sessions[older].repeats_syn(segment.seq, captured_at) {
                return self.statistics.ignore(Ignored::Duplicate);
            }
            self.by_capture.remove(&replica);
            self.step(older, now, |session, cx| session.user_left(cx));
            if self.sessions[older].is_spent() {
                self.remove(older, now);
            }
        }
        self.joining.forget(&replica);
        if !self.sampler.takes(replica.captured.client, now) {
            return self.statistics.ignore(Ignored::NotSampled);
        }
        let Some(id) = self.open(now, seen, None) else {
            return;
        };
        if segment.payload_len > 0 {
            // TCP Fast Open (RFC 7413): the SYN's payload comes after its sequence number.
            let flags = Flags(segment.flags.0 & !Flags::SYN.0);
            let data = Segment { seq: segment.seq + 1, flags, ..*segment };
            self.deliver(id, now, captured_at, &data);
        }
        self.step(id, now, |_, _| {});
    }

    /// A segment of a connection without a session.
    pub(super) fn handle_unknown(&mut self, now: Instant, seen: Seen<'_>) {
        let Seen { replica, segment, .. } = seen;
        if segment.payload_len == 0 {
            self.joining.observe(&replica, segment, now);
            return self.statistics.ignore(Ignored::NoSession);
        }
        if self.options.only_whole_sessions {
            return self.statistics.ignore(Ignored::NotWhole);
        }
        if !self.sampler.takes(replica.captured.client, now) {
            return self.statistics.ignore(Ignored::NotSampled);
        }
        if !self.joining.may_begin(&replica, segment, now) {
            self.statistics.bytes_before_first_turn += u64::from(segment.payload_len);
            return self.statistics.ignore(Ignored::BeforeFirstTurn);
        }
        let legacy = self.joining.forget(&replica);
        if let Some(id) = self.open(now, seen, legacy.as_deref()) {
            self.deliver(id, now, seen.captured_at, segment);
        }
    }

    /// Opens a session that begins with `segment`, or counts why not. `snapshot` is what the conversation of this
    /// connection's session before it left.
    fn open(&mut self, now: Instant, seen: Seen<'_>, snapshot: Option<&[u8]>) -> Option<SessionId> {
        let Seen { captured_at, replica, mapping, segment } = seen;
        let captured = replica.captured;
        let target = self.mappings.as_slice()[mapping].target;
        if self.memory >= self.options.memory_budget {
            self.refuse(now, replica, segment);
            return None;
        }
        let mut cx = Context {
            now,
            options: &self.options,
            statistics: &mut self.statistics,
            serving: &mut self.serving,
        };
        // The source end is known only once the session's id is.
        let unknown = Flow { client: captured.client, server: target };
        let mut session = Session::new(captured, unknown, segment, captured_at, &mut cx);
        session.copy = replica.copy;
        if let Some(backlog) = self.spare.pop() {
            session.reuse(backlog);
        }
        let id = self.sessions.insert(session);
        match self.sources.acquire(captured.client, replica.copy, target, id) {
            Ok(source) => {
                let flow = Flow { client: source, server: target };
                self.sessions[id].flow = flow;
                self.converse(id, mapping, snapshot, now);
                let depth = self.sessions[id].take_new_depth().unwrap_or(0);
                self.registrations.push_back(Registration::Add { id, flow, depth });
            }
            Err(reason) => {
                self.statistics.sessions_without_source += u64::from(reason == NoSource::Exhausted);
                self.sessions[id].give_up_speaking(reason.verdict());
            }
        }
        self.by_capture.insert(replica, id);
        self.account(id);
        Some(id)
    }

    /// There is no memory for a session that begins with `segment`. Its words, if it has any, are lost, and so is
    /// the rest of that turn; the next turn is tried again.
    fn refuse(&mut self, now: Instant, replica: Replica, segment: &Segment<'_>) {
        let speaks = segment.payload_len > 0;
        let heard = (speaks && segment.flags.ack()).then_some(segment.ack);
        let last = LastSeen { heard, next: segment.seq + segment.len(), is_listening: !speaks };
        self.joining.watch(replica, last, now);
        if speaks {
            let bytes = u64::from(segment.payload_len);
            self.statistics.sessions_opened += 1;
            self.statistics.turns_captured += 1;
            self.statistics.bytes_captured += bytes;
            self.statistics.end(Verdict::MemoryBudget, 1, bytes);
        }
    }

    /// The capture of session `id` goes on behind a gap: with a session of its own if a turn begins there.
    pub(super) fn rejoin(&mut self, id: SessionId, rest: Rest, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let replica = session.replica();
        let snapshot = session.take_legacy();
        let Some(mapping) = self.mappings.entry_for(replica.captured) else { return };
        if self.by_capture.get(&replica) != Some(&id) {
            return; // the port has been taken for another connection meanwhile
        }
        self.by_capture.remove(&replica);
        match rest {
            Rest::Seeking(last) => self.joining.watch_heir(replica, last, snapshot, now),
            Rest::Following(rest) => {
                let like = self.sessions[id].like_joined(rest.next());
                let seen = Seen { captured_at: now, replica, mapping, segment: &like };
                if let Some(id) = self.open(now, seen, snapshot.as_deref()) {
                    self.step(id, now, |session, cx| session.resume_capture(rest, cx));
                }
            }
        }
    }
}

impl NoSource {
    fn verdict(self) -> Verdict {
        match self {
            Self::Unusable => Verdict::NoSourceAddress,
            Self::Exhausted => Verdict::SourcesExhausted,
        }
    }
}
