//! What intercepts say: hellos, responses, statistics, heartbeats; of C intercepts, packets.

use tcpcopy_wire::{Flow, Instant};

use super::{Dialect, Subscriber, SubscriberEvent, SubscriberState};
use crate::bytes::Reader;
use crate::c_tool::Batches;
use crate::doorway::{Doorway, Opener, recognise_intercept};
use crate::frame::{Frame, FrameKind};
use crate::hello::{Hello, Opening, Role, parse_opening, parse_refusal};
use crate::inbox::Inbox;
use crate::registration::parse_flow;
use crate::response::parse;
use crate::{Answer, Features, FeedError, Response, Statistics};

impl Subscriber {
    /// Bytes have arrived, cut anywhere. What they say is handed to `on_event` in order.
    ///
    /// # Errors
    /// [`FeedError`] when the connection is of no more use; bytes after that are ignored.
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        mut bytes: &[u8],
        mut on_event: impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        if matches!(self.state, SubscriberState::Disconnected | SubscriberState::Failed) {
            return Ok(());
        }
        self.unanswered = 0;
        let recognised = self.recognise(now, &mut bytes);
        let outcome = recognised.and_then(|()| {
            let nobody = Dialect::Unknown(Doorway::default());
            let mut dialect = std::mem::replace(&mut self.dialect, nobody);
            let outcome = match &mut dialect {
                Dialect::Unknown(_) | Dialect::SilentC(_) => Ok(()),
                Dialect::Feed(inbox) => self.read_frames(now, inbox, bytes, &mut on_event),
                Dialect::C(batches) => self.read_packets(now, batches, bytes, &mut on_event),
            };
            self.dialect = dialect;
            outcome
        });
        outcome.inspect_err(|error| self.fail(error, now))
    }

    /// Finds out who speaks, if that is not known yet.
    fn recognise(&mut self, now: Instant, bytes: &mut &[u8]) -> Result<(), FeedError> {
        let is_presumed_c = matches!(self.dialect, Dialect::SilentC(_));
        let (Dialect::Unknown(doorway) | Dialect::SilentC(doorway)) = &mut self.dialect else {
            return Ok(());
        };
        match doorway.open(bytes, recognise_intercept) {
            Opener::Undecided => Ok(()),
            Opener::Feed if is_presumed_c => Err(FeedError::LateHello),
            Opener::Feed => {
                self.dialect = Dialect::Feed(Inbox::opened(doorway.take_first()));
                Ok(())
            }
            Opener::CIntercept { combined } => {
                self.dialect = Dialect::C(Batches::opened(combined, doorway.take_first()));
                if !is_presumed_c {
                    self.begin(now);
                }
                Ok(())
            }
            Opener::Offer(_) | Opener::CTcpcopy(_) => Err(FeedError::NotAnIntercept),
            Opener::Stranger => Err(FeedError::NotAFeed),
        }
    }

    fn read_frames(
        &mut self,
        now: Instant,
        inbox: &mut Inbox,
        mut bytes: &[u8],
        on_event: &mut impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        while let Some(frame) = inbox.next(&mut bytes)? {
            if self.state == SubscriberState::Greeting {
                on_event(self.greet(now, frame)?);
            } else {
                self.read_frame(now, frame, on_event)?;
            }
        }
        Ok(())
    }

    /// Takes intercept's hello and answers it.
    fn greet(&mut self, now: Instant, frame: Frame<'_>) -> Result<SubscriberEvent<'static>, FeedError> {
        let hello = match parse_opening(frame)? {
            Opening::Refusal(reason) => return Err(FeedError::Refused(reason)),
            Opening::OtherVersion(version) => return Err(FeedError::Version(version)),
            Opening::Hello(hello) if hello.role != Role::Intercept => return Err(FeedError::NotAnIntercept),
            Opening::Hello(hello) => hello,
        };
        self.clock.handle_reading(now, hello.clock);
        let unregistered = if self.options.single { Features::UNREGISTERED } else { Features::default() };
        let features = Features(self.options.features.0 | unregistered.0);
        let ours = Hello { role: Role::Tcpcopy, features, identity: self.identity, clock: now };
        self.push_control(FrameKind::Hello, [ours.body().as_slice(), &[]]);
        self.begin(now);
        let before = self.intercept.replace(hello.identity);
        Ok(SubscriberEvent::Connected {
            identity: hello.identity,
            features: features.common(hello.features),
            restarted: before.is_some_and(|before| before != hello.identity),
        })
    }

    fn read_frame(
        &mut self,
        now: Instant,
        frame: Frame<'_>,
        on_event: &mut impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        match frame.kind {
            FrameKind::Responses | FrameKind::Unregistered => self.read_responses(now, frame, on_event)?,
            FrameKind::Statistics => {
                on_event(SubscriberEvent::Statistics(Statistics::parse(frame.body)?));
            }
            FrameKind::Heartbeat => {
                let theirs = Instant::from_micros(Reader::new(frame.body).u64()?);
                self.clock.handle_reading(now, theirs);
            }
            FrameKind::Answer => on_event(SubscriberEvent::Answer(Answer::parse(frame.body)?)),
            FrameKind::Goodbye => on_event(SubscriberEvent::Goodbye),
            FrameKind::Refuse => return Err(FeedError::Refused(parse_refusal(frame)?)),
            FrameKind::Hello | FrameKind::Registrations | FrameKind::Question => {
                return Err(frame.unexpected().into());
            }
        }
        Ok(())
    }

    /// Responses to registered sessions carry their identities, others their flows.
    fn read_responses(
        &self,
        now: Instant,
        frame: Frame<'_>,
        on_event: &mut impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        let has_flows = frame.kind == FrameKind::Unregistered;
        let mut body = Reader::new(frame.body);
        let mut before = Instant::from_micros(body.u64()?);
        while !body.is_empty() {
            let flow = if has_flows { Some(parse_flow(&mut body)?) } else { None };
            let mut response = parse(before, &mut body)?;
            before = response.seen_at;
            response.seen_at = self.clock.ours(now, response.seen_at);
            let owner = flow.map_or(Some(response.id), |flow| self.roster.owner(flow));
            if let Some(id) = owner {
                on_event(SubscriberEvent::Response(Response { id, ..response }));
            }
        }
        Ok(())
    }

    /// What a C intercept sends belongs to a live session, or to one that is over: it is not told of those.
    fn read_packets(
        &self,
        now: Instant,
        batches: &mut Batches,
        mut bytes: &[u8],
        on_event: &mut impl FnMut(SubscriberEvent<'_>),
    ) -> Result<(), FeedError> {
        while let Some(packet) = batches.next(&mut bytes)? {
            let segment = packet.decode()?;
            let flow = Flow { client: segment.destination, server: segment.source };
            if let Some(id) = self.roster.owner(flow) {
                on_event(SubscriberEvent::Response(Response { id, seen_at: now, segment }));
            }
        }
        Ok(())
    }
}
