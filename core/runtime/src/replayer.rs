//! What intakes hand captured frames to: sessions, or the copying of datagrams.

use tcpcopy_engine::{Engine, Mappings};
use tcpcopy_wire::{
    CapturedDatagram, DropReason, Flow, Instant, LinkType, Segment, parse_datagram_frame, parse_frame,
};

use crate::recorded::Lap;

/// What of users is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP connections, by sessions.
    #[default]
    Tcp,
    /// UDP datagrams, one by one.
    Udp,
}

/// A captured frame.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) link: LinkType,
    /// The bytes kept.
    pub(crate) bytes: &'a [u8],
    pub(crate) wire_len: usize,
    /// When the kernel saw it, now or as it was recorded.
    pub(crate) at: Instant,
}

/// Who sent what is in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    Online,
    Stranger,
}

impl Transport {
    /// Who sent the frame.
    pub(crate) fn speaker(
        self,
        mappings: &Mappings,
        link: LinkType,
        bytes: &[u8],
        wire_len: usize,
    ) -> Result<Speaker, DropReason> {
        let (source, destination) = match self {
            Self::Tcp => {
                let Segment { source, destination, .. } = parse_frame(link, bytes, wire_len)?;
                (source, destination)
            }
            Self::Udp => match parse_datagram_frame(link, bytes, wire_len)? {
                CapturedDatagram::Whole(datagram) => (datagram.source, datagram.destination),
                CapturedDatagram::Fragment(fragment) if mappings.may_be_for(fragment.destination) => {
                    return Ok(Speaker::User);
                }
                CapturedDatagram::Fragment(_) => return Ok(Speaker::Stranger),
            },
        };
        let said_by = |client, server| mappings.entry_for(Flow { client, server }).is_some();
        Ok(if said_by(source, destination) {
            Speaker::User
        } else if said_by(destination, source) {
            Speaker::Online
        } else {
            Speaker::Stranger
        })
    }
}

/// Takes what intakes have.
pub(crate) trait Replayer {
    /// Takes a frame that was captured just now.
    fn take(&mut self, now: Instant, seen: Seen<'_>) -> Result<(), DropReason>;

    /// Takes a frame of a recording that is due now, in this lap.
    fn take_recorded(
        &mut self,
        now: Instant,
        seen: Seen<'_>,
        speaker: Speaker,
        lap: Lap,
    ) -> Result<(), DropReason>;

    /// Nothing more is captured of what users have begun.
    fn end_capture(&mut self, now: Instant);

    /// Times users have spoken so far.
    fn turns(&self) -> u64;

    /// The sessions that may have to catch up before more is taken.
    fn sessions(&self) -> Option<&Engine>;

    /// Everything that was taken is said.
    fn has_said_all(&self) -> bool;
}

impl Replayer for Engine {
    fn take(&mut self, now: Instant, seen: Seen<'_>) -> Result<(), DropReason> {
        let segment = parse_frame(seen.link, seen.bytes, seen.wire_len)?;
        log::trace!("captured {segment}");
        self.handle_capture(now, seen.at, &segment);
        Ok(())
    }

    fn take_recorded(
        &mut self,
        now: Instant,
        seen: Seen<'_>,
        speaker: Speaker,
        lap: Lap,
    ) -> Result<(), DropReason> {
        let segment = parse_frame(seen.link, seen.bytes, seen.wire_len)?;
        let segment = if speaker == Speaker::User { lap.of_user(&segment) } else { lap.of_online(&segment) };
        log::trace!("recorded {segment}");
        self.handle_capture(now, seen.at, &segment);
        Ok(())
    }

    fn end_capture(&mut self, now: Instant) {
        self.handle_capture_end(now);
    }

    /// A turn that is said in several copies is one turn of its user.
    fn turns(&self) -> u64 {
        self.statistics().turns_captured.div_ceil(self.copies().into())
    }

    fn sessions(&self) -> Option<&Engine> {
        Some(self)
    }

    fn has_said_all(&self) -> bool {
        self.is_done()
    }
}
