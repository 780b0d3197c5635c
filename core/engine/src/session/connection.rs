//! The state of our own client TCP towards the target (RFC 9293 §3.3.1), without its behaviour.

use std::time::Duration;

use tcpcopy_wire::{Instant, SeqNum};

use crate::congestion::Congestion;
use crate::rtt::Rtt;
use crate::scoreboard::Ranges;

/// The states of RFC 9293 §3.3.2 that a client that opens actively passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No connection: none yet, or the last one is gone and the user may still speak.
    Closed,
    SynSent,
    Established,
    FinWait1,
    FinWait2,
    Closing,
    TimeWait,
    CloseWait,
    LastAck,
}

/// When we next acknowledge what the target said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckDue {
    Never,
    At(Instant),
}

/// What we send, in offsets of the session's stream; sequence numbers are made from them late.
#[derive(Debug)]
pub(crate) struct SendSide {
    /// Initial sequence number; the byte at offset `base` has sequence number `iss + 1`.
    pub(crate) iss: SeqNum,
    pub(crate) base: u64,
    /// SND.UNA: everything before it is acknowledged.
    pub(crate) una: u64,
    /// SND.NXT: everything before it has been sent at least once.
    pub(crate) nxt: u64,
    pub(crate) fin_sent: bool,
    /// The FIN has to be sent once more.
    pub(crate) fin_lost: bool,
    /// SND.WND in bytes, and the largest one seen.
    pub(crate) window: u32,
    pub(crate) largest_window: u32,
    pub(crate) window_shift: u8,
    /// SND.WL1 and SND.WL2 of RFC 9293 §3.10.7.4.
    pub(crate) window_seq: SeqNum,
    pub(crate) window_ack: SeqNum,
    /// Payload bytes that fit into a segment.
    pub(crate) mss: u32,
    pub(crate) sacked: Ranges,
    pub(crate) sack_permitted: bool,
    /// Everything in `resent_to..lost_to` that is not sacked has to be sent again.
    pub(crate) lost_to: u64,
    pub(crate) resent_to: u64,
    /// SND.NXT when the present loss recovery began (RFC 6582 "recover"); `None` outside of one.
    pub(crate) recovering_to: Option<u64>,
    pub(crate) duplicate_acks: u32,
    /// The end of the segment whose acknowledgement is timed, and when it was sent.
    pub(crate) timed: Option<(u64, Instant)>,
}

/// What we have seen of the target, in offsets of its stream.
#[derive(Debug, Default)]
pub(crate) struct ReceiveSide {
    pub(crate) irs: SeqNum,
    /// RCV.NXT as an offset: bytes (and at last the FIN) in order.
    pub(crate) nxt: u64,
    pub(crate) ahead: Ranges,
    /// Where the segment seen last begins.
    pub(crate) latest: u64,
    /// The offset of the target's FIN, once seen.
    pub(crate) fin_at: Option<u64>,
    /// The end of the last segment with PSH.
    pub(crate) pushed_to: u64,
    /// TS.Recent of RFC 7323 §4.3, when timestamps are in use.
    pub(crate) ts_recent: Option<u32>,
    /// The windows we advertise are taken as we mean them (RFC 7323 §2.2).
    pub(crate) is_scaled: bool,
    /// Bytes not yet acknowledged.
    pub(crate) unacknowledged: u32,
}

/// One connection to the target.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) send: SendSide,
    pub(crate) receive: ReceiveSide,
    pub(crate) rtt: Rtt,
    pub(crate) congestion: Congestion,
    pub(crate) ack_due: AckDue,
    pub(crate) syn_due: bool,
    /// The SYN was once repeated before its time.
    pub(crate) is_hurried: bool,
    pub(crate) probe_due: bool,
    /// A reset to send, with its sequence number, and its acknowledgement if it carries one.
    pub(crate) reset_due: Option<(SeqNum, Option<SeqNum>)>,
    /// Retransmission or persist time-out.
    pub(crate) retransmit_at: Option<Instant>,
    /// When the connection was first asked for.
    pub(crate) asked_at: Instant,
    /// In `Closed`: not before this time may we ask (again).
    pub(crate) connect_at: Instant,
    /// Refusals in a row.
    pub(crate) refusals: u32,
    /// The end of TIME-WAIT.
    pub(crate) gone_at: Option<Instant>,
}

impl Connection {
    /// A connection not yet asked for, whose first byte will be the one at `base`.
    pub(crate) fn new(iss: SeqNum, base: u64, mss: u32, now: Instant) -> Self {
        Self {
            state: State::Closed,
            send: SendSide {
                iss,
                base,
                una: base,
                nxt: base,
                fin_sent: false,
                fin_lost: false,
                window: 0,
                largest_window: 0,
                window_shift: 0,
                window_seq: SeqNum(0),
                window_ack: SeqNum(0),
                mss,
                sacked: Ranges::default(),
                sack_permitted: false,
                lost_to: base,
                resent_to: base,
                recovering_to: None,
                duplicate_acks: 0,
                timed: None,
            },
            receive: ReceiveSide::default(),
            rtt: Rtt::default(),
            congestion: Congestion::new(mss),
            ack_due: AckDue::Never,
            syn_due: false,
            is_hurried: false,
            probe_due: false,
            reset_due: None,
            retransmit_at: None,
            asked_at: now,
            connect_at: now,
            refusals: 0,
            gone_at: None,
        }
    }

    /// Whether the handshake is done and neither side is through.
    pub(crate) fn is_synchronised(&self) -> bool {
        !matches!(self.state, State::Closed | State::SynSent)
    }

    /// Whether we may still say something.
    pub(crate) fn may_speak(&self) -> bool {
        matches!(self.state, State::Established | State::CloseWait)
    }

    /// The sequence number of the byte at `offset`.
    pub(crate) fn seq(&self, offset: u64) -> SeqNum {
        self.send.iss + 1 + offset.wrapping_sub(self.send.base) as u32
    }

    /// The sequence number after everything sent, FIN included.
    pub(crate) fn seq_after_all(&self) -> SeqNum {
        self.seq(self.send.nxt) + u32::from(self.send.fin_sent && !self.send.fin_lost)
    }

    /// RCV.NXT.
    pub(crate) fn receive_next(&self) -> SeqNum {
        self.receive_seq(self.receive.nxt)
    }

    /// The sequence number of the target's byte at `offset`.
    pub(crate) fn receive_seq(&self, offset: u64) -> SeqNum {
        self.receive.irs + 1 + offset as u32
    }

    /// Bytes sent, neither acknowledged nor taken for lost.
    pub(crate) fn in_flight(&self) -> u64 {
        let send = &self.send;
        let waiting = send.lost_to.saturating_sub(send.resent_to.max(send.una));
        (send.nxt - send.una).saturating_sub(send.sacked.total()).saturating_sub(waiting)
    }

    /// Whether anything is on its way that the target has to acknowledge.
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        self.state == State::SynSent
            || self.send.nxt > self.send.una
            || (self.send.fin_sent && matches!(self.state, State::FinWait1 | State::Closing | State::LastAck))
    }

    /// RFC 6298 §5.1–5.3: the timer runs while something is outstanding.
    pub(crate) fn restart_retransmit(&mut self, now: Instant) {
        self.retransmit_at = self.awaits_acknowledgement().then(|| now + self.rtt.timeout());
    }

    /// Acknowledge within `delay`, or sooner if that is due already.
    pub(crate) fn acknowledge_within(&mut self, delay: Duration, now: Instant) {
        let at = now + delay;
        self.ack_due = match self.ack_due {
            AckDue::At(due) => AckDue::At(due.min(at)),
            AckDue::Never => AckDue::At(at),
        };
    }
}
