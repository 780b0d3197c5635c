//! TCP options as values and as bytes (RFC 9293 §3.1, RFC 7323, RFC 2018).

use crate::SeqNum;

/// A TCP header has at most this many bytes of options: its length field counts to 60.
pub(crate) const MAX_LEN: usize = 40;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The timestamps option (RFC 7323 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the clock value of the other side that is echoed.
    pub echo: u32,
}

/// Up to four SACK blocks (RFC 2018 §3), each a left edge and a right edge (exclusive), in the order sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(SeqNum, SeqNum); 4],
    count: u8,
}

impl SackBlocks {
    /// Adds a block; a fifth one does not fit into a TCP header and is ignored.
    pub fn push(&mut self, left: SeqNum, right: SeqNum) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.count)) {
            *slot = (left, right);
            self.count += 1;
        }
    }

    /// The blocks, first sent first.
    #[must_use]
    pub fn as_slice(&self) -> &[(SeqNum, SeqNum)] {
        &self.blocks[..usize::from(self.count)]
    }
}

/// The TCP options the engine reads and writes; others are skipped when parsing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size, of a SYN (RFC 9293 §3.7.1).
    pub mss: Option<u16>,
    /// Window scale shift, of a SYN (RFC 7323 §2), as on the wire: may exceed 14.
    pub window_scale: Option<u8>,
    /// SACK permitted, of a SYN (RFC 2018 §2).
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Selective acknowledgements.
    pub sack: SackBlocks,
}

impl Options {
    /// Reads the options of a header. At the first malformed one it stops and keeps what came before, as TCP
    /// stacks do.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut options = Self::default();
        // What almost every segment of an established connection carries, and nothing else (RFC 7323 App. A).
        if let [NOP, NOP, TIMESTAMPS, 10, stamps @ ..] = bytes
            && let Some(timestamps) = parse_timestamps(stamps)
        {
            options.timestamps = Some(timestamps);
            return options;
        }
        let mut rest = bytes;
        while let Some(next) = options.parse_one(rest) {
            rest = next;
        }
        options
    }

    /// Takes in the option at the start of `bytes`; `None` at the end of the list or at a malformed option.
    fn parse_one<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (kind, after_kind) = bytes.split_first()?;
        let (body, rest) = match *kind {
            END => return None,
            NOP => return Some(after_kind),
            _ => {
                let (len, after_len) = after_kind.split_first()?;
                after_len.split_at_checked(usize::from(*len).checked_sub(2)?)?
            }
        };
        match *kind {
            MSS => self.mss = Some(u16::from_be_bytes(body.try_into().ok()?)),
            WINDOW_SCALE => {
                let [shift] = body.try_into().ok()?;
                self.window_scale = Some(shift);
            }
            SACK_PERMITTED => {
                let [] = body.try_into().ok()?;
                self.sack_permitted = true;
            }
            SACK => self.sack = parse_sack(body)?,
            TIMESTAMPS => self.timestamps = Some(parse_timestamps(body)?),
            _ => {}
        }
        Some(rest)
    }

    /// How many of the SACK blocks fit beside the other options.
    fn fitting_sack_blocks(&self) -> usize {
        let room = MAX_LEN - self.len_without_sack();
        self.sack.as_slice().len().min(room.saturating_sub(4) / 8)
    }

    /// Bytes of the other options as written: each padded to a multiple of four.
    fn len_without_sack(&self) -> usize {
        let stamps = if self.timestamps.is_some() {
            12
        } else if self.sack_permitted {
            4
        } else {
            0
        };
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let window_scale = if self.window_scale.is_some() { 4 } else { 0 };
        mss + stamps + window_scale
    }

    /// The number of bytes [`Options::write`] writes: a multiple of four, at most [`MAX_LEN`].
    pub(crate) fn len(&self) -> usize {
        let sack = match self.fitting_sack_blocks() {
            0 => 0,
            blocks => 4 + 8 * blocks,
        };
        self.len_without_sack() + sack
    }

    /// Writes the options in the order and with the padding Linux uses, so that a replayed user looks like
    /// one. SACK blocks that do not fit are left out, the last first.
    ///
    /// `out` must have [`Options::len`] bytes; `None` if it has fewer.
    pub(crate) fn write(&self, out: &mut [u8]) -> Option<()> {
        let mut writer = Writer(out);
        if let Some(mss) = self.mss {
            writer.put([MSS, 4])?;
            writer.put(mss.to_be_bytes())?;
        }
        // SACK-permitted takes the place of the two NOPs that align the timestamps.
        let sack_permitted = if self.sack_permitted { [SACK_PERMITTED, 2] } else { [NOP, NOP] };
        if let Some(timestamps) = self.timestamps {
            writer.put(sack_permitted)?;
            writer.put([TIMESTAMPS, 10])?;
            writer.put(timestamps.value.to_be_bytes())?;
            writer.put(timestamps.echo.to_be_bytes())?;
        } else if self.sack_permitted {
            writer.put([NOP, NOP])?;
            writer.put(sack_permitted)?;
        }
        if let Some(shift) = self.window_scale {
            writer.put([NOP, WINDOW_SCALE, 3, shift])?;
        }
        let blocks = self.sack.as_slice().get(..self.fitting_sack_blocks())?;
        if !blocks.is_empty() {
            writer.put([NOP, NOP, SACK, u8::try_from(2 + 8 * blocks.len()).ok()?])?;
        }
        for (left, right) in blocks {
            writer.put(left.0.to_be_bytes())?;
            writer.put(right.0.to_be_bytes())?;
        }
        Some(())
    }
}

/// The part of an option buffer that is still to be written.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        let (head, rest) = std::mem::take(&mut self.0).split_first_chunk_mut()?;
        *head = bytes;
        self.0 = rest;
        Some(())
    }
}

fn parse_timestamps(body: &[u8]) -> Option<Timestamps> {
    let ([value, echo], []) = body.as_chunks::<4>() else {
        return None;
    };
    Some(Timestamps { value: u32::from_be_bytes(*value), echo: u32::from_be_bytes(*echo) })
}

fn parse_sack(body: &[u8]) -> Option<SackBlocks> {
    let (edges, []) = body.as_chunks::<4>() else {
        return None;
    };
    let (blocks, []) = edges.as_chunks::<2>() else {
        return None;
    };
    let mut sack = SackBlocks::default();
    for [left, right] in blocks {
        sack.push(SeqNum(u32::from_be_bytes(*left)), SeqNum(u32::from_be_bytes(*right)));
    }
    Some(sack)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMPS: Timestamps = Timestamps { value: 0x0102_0304, echo: 0x0506_0708 };
    const STAMP_BYTES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn written(options: &Options) -> Vec<u8> {
        let mut bytes = vec![0xa5; options.len()];
        options.write(&mut bytes).unwrap();
        bytes
    }

    fn blocks(count: u32) -> SackBlocks {
        let mut sack = SackBlocks::default();
        for block in 0..count {
            sack.push(SeqNum(2 * block), SeqNum(2 * block + 1));
        }
        sack
    }

    #[test]
    fn a_syn_looks_like_one_of_linux() {
        let syn = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(STAMPS),
            ..Options::default()
        };
        let expected = [&[2, 4, 5, 180, 4, 2, 8, 10][..], &STAMP_BYTES, &[1, 3, 3, 7]].concat();
        assert_eq!(written(&syn), expected);

        let without_timestamps = Options { timestamps: None, ..syn };
        assert_eq!(written(&without_timestamps), [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7]);
    }

    #[test]
    fn data_and_acknowledgements_are_aligned_by_nops() {
        let data = Options { timestamps: Some(STAMPS), ..Options::default() };
        assert_eq!(written(&data), [&[1, 1, 8, 10][..], &STAMP_BYTES].concat());
        let ack = Options { sack: blocks(1), ..Options::default() };
        assert_eq!(written(&ack), [1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn sack_blocks_that_do_not_fit_are_left_out() {
        let alone = Options { sack: blocks(4), ..Options::default() };
        assert_eq!(alone.len(), 36);
        assert_eq!(Options::parse(&written(&alone)), alone);

        let with_timestamps = Options { timestamps: Some(STAMPS), ..alone };
        assert_eq!(with_timestamps.len(), MAX_LEN);
        let expected = Options { sack: blocks(3), ..with_timestamps };
        assert_eq!(Options::parse(&written(&with_timestamps)), expected);

        let everything =
            Options { mss: Some(1), window_scale: Some(2), sack_permitted: true, ..with_timestamps };
        let expected = Options { sack: blocks(2), ..everything };
        assert_eq!(everything.len(), MAX_LEN);
        assert_eq!(Options::parse(&written(&everything)), expected);
    }

    #[test]
    fn a_fifth_sack_block_is_ignored() {
        assert_eq!(blocks(5), blocks(4));
    }

    #[test]
    fn unknown_options_are_skipped() {
        // An MD5 signature, multipath TCP, fast open.
        let md5 = [&[19, 18][..], &[0; 16]].concat();
        let bytes = [&md5[..], &[30, 4, 0, 0, 34, 2, 2, 4, 5, 180]].concat();
        assert_eq!(Options::parse(&bytes), Options { mss: Some(1460), ..Options::default() });
    }

    #[test]
    fn parsing_stops_at_the_end_mark() {
        assert_eq!(Options::parse(&[0, 2, 4, 5, 180]), Options::default());
    }

    #[test]
    fn a_malformed_option_ends_the_list_and_keeps_what_came_before() {
        let good = [2, 4, 5, 180];
        let expected = Options { mss: Some(1460), ..Options::default() };
        let malformed: [&[u8]; 10] = [
            &[3],
            &[3, 0, 7],
            &[3, 1, 7],
            &[3, 4, 7, 7, 1],
            &[4, 3, 0],
            &[5, 9, 0, 0, 0, 0, 0, 0, 0],
            &[5, 6, 0, 0, 0, 0],
            &[8, 6, 0, 0, 0, 0],
            &[8, 10, 0, 0, 0, 0],
            &[254, 40, 0, 0],
        ];
        for tail in malformed {
            // What follows the malformed option must not be believed either.
            let bytes = [&good[..], tail, &[4, 2]].concat();
            assert_eq!(Options::parse(&bytes), expected, "after {tail:?}");
        }
    }

    #[test]
    fn timestamps_are_found_wherever_they_stand() {
        let expected = Options { timestamps: Some(STAMPS), ..Options::default() };
        for (before, after) in
            [(&[1, 1][..], &[][..]), (&[], &[1, 1]), (&[1], &[0]), (&[1, 1, 1, 1], &[0, 9])]
        {
            let bytes = [before, &[8, 10], &STAMP_BYTES, after].concat();
            assert_eq!(Options::parse(&bytes), expected);
        }
    }
}
