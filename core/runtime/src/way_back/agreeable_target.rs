//! The target of a dry run: accepts every connection, acknowledges everything at once, says nothing, and closes when the
//! user does. It keeps no state: nothing is lost or overtakes on the way to it.

use tcpcopy_engine::SessionId;
use tcpcopy_wire::{Flags, Instant, Options, Segment, SeqNum, Timestamps, parse_ip};

use crate::FeedTotals;

/// Where its sequence numbers begin.
const INITIAL_SEQUENCE: SeqNum = SeqNum(1);
/// Its receive window (RFC 7323 §2): 65 535 × 2¹⁰ bytes, with window scaling.
const WINDOW: u16 = u16::MAX;
const WINDOW_SCALE: u8 = 10;

/// What it has answered and nobody has read.
#[derive(Debug, Default)]
pub(crate) struct AgreeableTarget {
    answers: Vec<(SessionId, Segment<'static>)>,
    totals: FeedTotals,
}

impl AgreeableTarget {
    /// A packet of that session would have reached the target.
    pub(super) fn handle_packet(&mut self, id: SessionId, packet: &[u8]) {
        let answer = parse_ip(packet, packet.len()).ok().and_then(|segment| answer_to(&segment));
        self.answers.extend(answer.map(|answer| (id, answer)));
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        mut on_response: impl FnMut(SessionId, Instant, &Segment<'_>),
    ) {
        self.totals.responses += self.answers.len() as u64;
        self.answers.drain(..).for_each(|(id, answer)| on_response(id, now, &answer));
    }

    pub(super) fn totals(&self) -> FeedTotals {
        self.totals
    }
}

/// What a target says to `segment` that takes everything; nothing to a reset or a bare acknowledgement.
fn answer_to(segment: &Segment<'_>) -> Option<Segment<'static>> {
    let Flags(flags) = segment.flags;
    let (syn, fin) = (segment.flags.syn(), segment.flags.fin());
    if segment.flags.rst() || !(syn || fin || segment.payload_len > 0) {
        return None;
    }
    let offered = &segment.options;
    let options = Options {
        mss: offered.mss.filter(|_| syn),
        window_scale: offered.window_scale.filter(|_| syn).map(|_| WINDOW_SCALE),
        sack_permitted: syn && offered.sack_permitted,
        timestamps: offered.timestamps.map(|Timestamps { value, .. }| Timestamps { value, echo: value }),
        ..Options::default()
    };
    Some(Segment {
        source: segment.destination,
        destination: segment.source,
        seq: if syn { INITIAL_SEQUENCE } else { segment.ack },
        ack: segment.seq + segment.payload_len + u32::from(syn) + u32::from(fin),
        flags: Flags(Flags::ACK.0 | flags & (Flags::SYN.0 | Flags::FIN.0)),
        window: WINDOW,
        options,
        ..Segment::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(flags: Flags, payload_len: u32) -> Segment<'static> {
        Segment { seq: SeqNum(100), ack: SeqNum(50), flags, payload_len, ..Segment::default() }
    }

    #[test]
    fn it_accepts_what_was_offered() {
        let options = Options {
            mss: Some(1400),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 9, echo: 0 }),
            ..Options::default()
        };
        let answer = answer_to(&Segment { options, ..said(Flags::SYN, 0) }).unwrap();
        assert_eq!((answer.seq, answer.ack), (INITIAL_SEQUENCE, SeqNum(101)));
        assert!(answer.flags.syn() && answer.flags.ack() && answer.options.sack_permitted);
        assert_eq!((answer.options.mss, answer.options.window_scale), (Some(1400), Some(WINDOW_SCALE)));
        assert_eq!(answer.options.timestamps, Some(Timestamps { value: 9, echo: 9 }));
        let plain = answer_to(&said(Flags::SYN, 0)).unwrap();
        assert_eq!(plain.options, Options::default());
    }

    #[test]
    fn it_acknowledges_everything_and_says_nothing() {
        let answer = answer_to(&said(Flags::ACK | Flags::PSH, 30)).unwrap();
        assert_eq!((answer.seq, answer.ack, answer.payload_len), (SeqNum(50), SeqNum(130), 0));
        assert_eq!(answer.flags, Flags::ACK);
    }

    #[test]
    fn it_closes_when_the_user_does() {
        let answer = answer_to(&said(Flags::ACK | Flags::FIN, 30)).unwrap();
        assert_eq!((answer.ack, answer.flags), (SeqNum(131), Flags::ACK | Flags::FIN));
    }

    #[test]
    fn resets_and_bare_acknowledgements_are_not_answered() {
        assert_eq!(answer_to(&said(Flags::ACK, 0)), None);
        assert_eq!(answer_to(&said(Flags::RST | Flags::ACK, 0)), None);
    }
}
