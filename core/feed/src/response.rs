//! One response segment as a compact record: a header with the fields the engine reads, and some payload.

use tcpcopy_wire::{Flags, Instant, Options, SackBlocks, Segment, SeqNum, Timestamps};

use crate::bytes::{Reader, Writer};
use crate::{FlowId, Malformed};

/// The most payload bytes of one response that travel, whatever depth a registration names.
pub const MAX_DEPTH: u32 = 65_535;

/// A response of the target to one of our sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The session, as registered.
    pub id: FlowId,
    /// When intercept captured it, on this host's clock as well as the heartbeats tell; never in the future.
    pub seen_at: Instant,
    /// The segment. Addresses, TTL and ToS do not travel and have their default values. The payload is at
    /// most as long as the depth registered.
    pub segment: Segment<'a>,
}

// Which fields of a record are there.
const HAS_ACK: u8 = 0x01;
const HAS_TIMESTAMPS: u8 = 0x02;
const HAS_LENGTH: u8 = 0x04;
const HAS_PAYLOAD: u8 = 0x08;
const HAS_SACK: u8 = 0x10;
const HAS_MSS: u8 = 0x20;
const HAS_WINDOW_SCALE: u8 = 0x40;
const SACK_PERMITTED: u8 = 0x80;

/// The payload of `segment` that travels at `depth`.
pub(crate) fn carried<'a>(segment: &Segment<'a>, depth: u32) -> &'a [u8] {
    let wanted = depth.min(MAX_DEPTH).min(segment.payload_len) as usize;
    &segment.payload[..wanted.min(segment.payload.len())]
}

/// A record but for its payload, of which `carried` bytes follow. `before` is the time of the record before
/// in the same frame, or of the frame.
pub(crate) fn head(
    before: Instant,
    id: FlowId,
    seen_at: Instant,
    segment: &Segment<'_>,
    carried: usize,
) -> Writer {
    let options = &segment.options;
    let sack = options.sack.as_slice();
    let present = |bit, there| if there { bit } else { 0 };
    let fields = present(HAS_ACK, segment.ack.0 != 0)
        | present(HAS_TIMESTAMPS, options.timestamps.is_some())
        | present(HAS_LENGTH, segment.payload_len != 0)
        | present(HAS_PAYLOAD, carried != 0)
        | present(HAS_SACK, !sack.is_empty())
        | present(HAS_MSS, options.mss.is_some())
        | present(HAS_WINDOW_SCALE, options.window_scale.is_some())
        | present(SACK_PERMITTED, options.sack_permitted);
    let mut record = Writer::new();
    record.put([fields, segment.flags.0]);
    record.varint(id.0);
    record.zigzag(seen_at.micros().wrapping_sub(before.micros()).cast_signed());
    record.u32(segment.seq.0);
    if segment.ack.0 != 0 {
        record.u32(segment.ack.0);
    }
    record.u16(segment.window);
    if let Some(Timestamps { value, echo }) = options.timestamps {
        record.u32(value);
        record.u32(echo);
    }
    if segment.payload_len != 0 {
        record.varint(segment.payload_len.into());
    }
    if carried != 0 {
        record.varint(carried as u64);
    }
    if !sack.is_empty() {
        record.u8(sack.len().to_le_bytes()[0]);
        for (left, right) in sack {
            record.u32(left.0);
            record.u32(right.0);
        }
    }
    if let Some(mss) = options.mss {
        record.u16(mss);
    }
    if let Some(shift) = options.window_scale {
        record.u8(shift);
    }
    record
}

/// Reads one record; the inverse of [`head`] followed by the payload.
pub(crate) fn parse<'a>(before: Instant, body: &mut Reader<'a>) -> Result<Response<'a>, Malformed> {
    let fields = body.u8()?;
    let has = |bit| fields & bit != 0;
    let flags = Flags(body.u8()?);
    let id = FlowId(body.varint()?);
    let seen_at = Instant::from_micros(before.micros().wrapping_add(body.zigzag()?.cast_unsigned()));
    let seq = SeqNum(body.u32()?);
    let ack = if has(HAS_ACK) { SeqNum(body.u32()?) } else { SeqNum(0) };
    let window = body.u16()?;
    let timestamps =
        if has(HAS_TIMESTAMPS) { Some(Timestamps { value: body.u32()?, echo: body.u32()? }) } else { None };
    let payload_len = if has(HAS_LENGTH) { body.varint32()? } else { 0 };
    let carried = if has(HAS_PAYLOAD) { body.varint32()? } else { 0 };
    let sack = if has(HAS_SACK) { sack_blocks(body)? } else { SackBlocks::default() };
    let mss = if has(HAS_MSS) { Some(body.u16()?) } else { None };
    let window_scale = if has(HAS_WINDOW_SCALE) { Some(body.u8()?) } else { None };
    if carried > payload_len {
        return Err(Malformed::Payload);
    }
    let payload = body.take(carried as usize)?;
    let options = Options { mss, window_scale, sack_permitted: has(SACK_PERMITTED), timestamps, sack };
    let segment = Segment { seq, ack, flags, window, options, payload, payload_len, ..Segment::default() };
    Ok(Response { id, seen_at, segment })
}

fn sack_blocks(body: &mut Reader<'_>) -> Result<SackBlocks, Malformed> {
    let count = body.u8()?;
    if count > 4 {
        return Err(Malformed::SackBlocks(count));
    }
    let mut blocks = SackBlocks::default();
    for _ in 0..count {
        blocks.push(SeqNum(body.u32()?), SeqNum(body.u32()?));
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_options() -> impl Strategy<Value = Options> {
        let timestamps = any::<Option<(u32, u32)>>();
        let sack = prop::collection::vec(any::<(u32, u32)>(), 0..=4);
        (any::<Option<u16>>(), any::<Option<u8>>(), any::<bool>(), timestamps, sack).prop_map(
            |(mss, window_scale, sack_permitted, timestamps, blocks)| {
                let mut sack = SackBlocks::default();
                for (left, right) in blocks {
                    sack.push(SeqNum(left), SeqNum(right));
                }
                let timestamps = timestamps.map(|(value, echo)| Timestamps { value, echo });
                Options { mss, window_scale, sack_permitted, timestamps, sack }
            },
        )
    }

    prop_compose! {
        /// A header without payload bytes, of any length.
        fn any_header()(
            (seq, ack, flags, window) in any::<(u32, u32, u8, u16)>(),
            options in any_options(),
            payload_len in prop_oneof![Just(0), 0..200_u32, any::<u32>()],
        ) -> Segment<'static> {
            let (seq, ack, flags) = (SeqNum(seq), SeqNum(ack), Flags(flags));
            Segment { seq, ack, flags, window, options, payload_len, ..Segment::default() }
        }
    }

    proptest! {
        #[test]
        fn responses_come_back(
            header in any_header(),
            at_hand in prop::collection::vec(any::<u8>(), 0..200),
            (id, depth, before, seen_at) in any::<(u64, u32, u64, u64)>(),
            depth_is_small: bool,
        ) {
            let depth = if depth_is_small { depth % 256 } else { depth };
            let (id, before, seen_at) = (FlowId(id), Instant::from_micros(before), Instant::from_micros(seen_at));
            let segment = Segment { payload: &at_hand, ..header };
            let payload = carried(&segment, depth);
            let longest = at_hand.len().min(depth as usize).min(segment.payload_len as usize);
            prop_assert_eq!(payload, &at_hand[..longest]);

            let mut bytes = head(before, id, seen_at, &segment, payload.len()).as_slice().to_vec();
            bytes.extend_from_slice(payload);
            let mut body = Reader::new(&bytes);
            let expected = Response { id, seen_at, segment: Segment { payload, ..segment } };
            prop_assert_eq!(parse(before, &mut body), Ok(expected));
            prop_assert!(body.is_empty());
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse(before, &mut Reader::new(&bytes[..cut])), Err(Malformed::Truncated));
            }
        }

        #[test]
        fn arbitrary_bytes_are_responses_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let mut body = Reader::new(&bytes);
            while !body.is_empty() && parse(Instant::ZERO, &mut body).is_ok() {}
        }
    }

    #[test]
    fn a_plain_data_or_ack_response_takes_at_most_30_bytes() {
        let options = Options {
            timestamps: Some(Timestamps { value: u32::MAX, echo: u32::MAX }),
            ..Options::default()
        };
        let (seq, ack, flags, window) =
            (SeqNum(u32::MAX), SeqNum(u32::MAX), Flags::ACK | Flags::PSH, u16::MAX);
        let bare = Segment { seq, ack, flags, window, options, ..Segment::default() };
        let data = Segment { payload_len: 1448, ..bare };
        // The identity of the 64th session at the 200th place of a table, seen 5 ms after the one before.
        let id = FlowId(64 << 32 | 200);
        let length =
            |segment| head(Instant::ZERO, id, Instant::from_micros(5000), segment, 0).as_slice().len();
        assert_eq!(length(&bare), 28);
        assert_eq!(length(&data), 30);
    }

    #[test]
    fn contradictions_are_refused() {
        // Payload that the segment did not have; five SACK blocks.
        let fixed = [0, 0, 0, 0, 0, 0, 0, 0, 0];
        let payload = [&[HAS_PAYLOAD][..], &fixed, &[1, b'x']].concat();
        assert_eq!(parse(Instant::ZERO, &mut Reader::new(&payload)), Err(Malformed::Payload));
        let sack = [&[HAS_SACK][..], &fixed, &[5], &[0; 40]].concat();
        assert_eq!(parse(Instant::ZERO, &mut Reader::new(&sack)), Err(Malformed::SackBlocks(5)));
    }

    #[test]
    fn no_more_than_the_largest_depth_is_carried() {
        let at_hand = vec![7; 100_000];
        let segment = Segment { payload: &at_hand, payload_len: 100_000, ..Segment::default() };
        assert_eq!(carried(&segment, u32::MAX).len(), MAX_DEPTH as usize);
    }
}
