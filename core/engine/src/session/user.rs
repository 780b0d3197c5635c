//! What the captured headers told of the user: TCP manners, and how much was heard when speaking.

use std::time::Duration;

use tcpcopy_wire::{Instant, Options, Segment, SeqNum};

use crate::EngineOptions;

/// What the captured headers told of the user's own TCP.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    /// Options of the SYN we send: the captured ones, with our MSS limit.
    pub(super) syn_options: Options,
    pub(super) syn_window: u16,
    /// The window we advertise, unscaled: the largest the user ever advertised, so that we never stall.
    pub(super) window: u16,
    pub(super) ttl: u8,
    pub(super) tos: u8,
    /// Our timestamp clock: the user's, read at `clock_at`, running on in milliseconds.
    clock: u32,
    clock_at: Instant,
    /// When the SYN that was answered was captured; `None` for a connection joined in its middle.
    pub(super) syn_at: Option<Instant>,
    /// From that SYN to the acknowledgement of the answer.
    pub(super) rtt: Option<Duration>,
}

/// The two bits of the type of service that are no part of it (RFC 3168 §5): we do not take part in ECN.
const ECN_FIELD: u8 = 0x03;
/// A hop count below this one would not survive a detour.
const LEAST_TTL: u8 = 32;
/// The window scale and window of a connection whose SYN was not captured.
const JOINED_SHIFT: u8 = 7;
const JOINED_WINDOW: u16 = 2048;

impl User {
    /// What `segment`, the first one captured, says.
    pub(super) fn new(
        segment: &Segment<'_>,
        captured_at: Instant,
        options: &EngineOptions,
        header_room: u16,
        now: Instant,
    ) -> Self {
        let whole = segment.flags.syn();
        let limit = options.mtu.saturating_sub(header_room);
        let syn_options = if whole {
            Options { mss: Some(segment.options.mss.unwrap_or(536).min(limit)), ..segment.options }
        } else {
            Options {
                mss: Some(options.joined_mss.min(limit)),
                window_scale: Some(JOINED_SHIFT),
                sack_permitted: true,
                timestamps: segment.options.timestamps,
                ..Options::default()
            }
        };
        let shift = segment.options.window_scale.unwrap_or(0).min(14);
        Self {
            syn_options,
            syn_window: if whole { segment.window } else { u16::MAX },
            window: if whole { (segment.window >> shift).max(1) } else { JOINED_WINDOW },
            ttl: segment.ttl.max(LEAST_TTL),
            tos: segment.tos & !ECN_FIELD,
            clock: segment.options.timestamps.map_or(0, |stamps| stamps.value),
            clock_at: now,
            syn_at: whole.then_some(captured_at),
            rtt: None,
        }
    }

    /// TSval for a segment sent now (RFC 7323 §5.4: about one tick a millisecond, never backwards).
    pub(super) fn timestamp(&self, now: Instant) -> u32 {
        self.clock.wrapping_add(now.since(self.clock_at).as_millis() as u32)
    }
}

/// What the user had last said and heard, as far as it is in order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastWord {
    pub(super) ack: Option<SeqNum>,
    pub(super) captured_at: Option<Instant>,
    /// Bytes of the online server heard by then, on the scale of [`Hearing::total`].
    pub(super) heard: u64,
}

/// How far the user has listened to the online server; every acknowledgement counts, so that an answer of more
/// than 2 GiB is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    pub(super) latest: SeqNum,
    pub(super) total: u64,
}

impl Hearing {
    /// Far enough from zero that what was heard before the first acknowledgement has a place.
    pub(super) fn new(ack: SeqNum) -> Self {
        Self { latest: ack, total: 1 << 32 }
    }

    pub(super) fn total_at(self, ack: SeqNum) -> u64 {
        self.total.saturating_add_signed(i64::from(ack.distance(self.latest)))
    }

    pub(super) fn advance(&mut self, ack: SeqNum) {
        if ack > self.latest {
            *self = Self { latest: ack, total: self.total_at(ack) };
        }
    }
}
