//! The frames of one pcap or pcapng stream, one after the other.
//!
//! The parsers of `pcap-parser` read the formats; buffering, interfaces and times are dealt with here. pcapng keeps a link
//! type, a resolution and an offset of time for each interface, and begins anew with every section.

use std::io::Read;
use std::ops::Range;

use pcap_parser::nom;
use pcap_parser::{
    Block, InterfaceDescriptionBlock, LegacyPcapBlock, OptionCode, PcapError, PcapHeader, parse_block_be,
    parse_block_le, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};
use tcpcopy_wire::Instant;

use super::window::{LARGEST, Window};

/// No snapshot length is larger, whatever is said in a file's header.
const LARGEST_FRAME: u32 = 262_144;
/// The section header of pcapng, the same in either byte order.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// The Packet Block that pcapng had before the Enhanced Packet Block.
const OBSOLETE_PACKET: u32 = 2;
/// The link type of a frame whose interface is not described: none that can be read.
const UNKNOWN_LINK: u32 = u32::MAX;

/// Why there is no next frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The stream ended behind its last frame.
    Whole,
    /// Neither pcap nor pcapng.
    Foreign,
    /// For this reason what follows cannot be read.
    Damaged(String),
}

/// The frame at hand.
pub(super) struct Head<'a> {
    pub(super) link: u32,
    pub(super) bytes: &'a [u8],
    pub(super) wire_len: usize,
    pub(super) captured_at: Instant,
}

/// The same, by its place in the window.
#[derive(Clone, Debug)]
struct Place {
    link: u32,
    range: Range<usize>,
    wire_len: usize,
    captured_at: Instant,
    /// What to leave behind when it is done with.
    record_len: usize,
}

enum Format {
    Pcap(Pcap),
    PcapNg(Section),
}

/// What the header of a pcap file says of its records.
struct Pcap {
    parse: ParseFrame,
    nanoseconds: bool,
    link: u32,
    /// More than this no record keeps of a frame.
    largest: u32,
}

type ParseFrame = fn(&[u8]) -> nom::IResult<&[u8], LegacyPcapBlock<'_>, PcapError<&[u8]>>;

/// A section of a pcapng file, as far as it is read.
#[derive(Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    snaplen: u32,
    /// `if_tsresol`: the exponent of ten, or with the highest bit of two, of the ticks in a second.
    resolution: u8,
    offset_secs: i64,
}

/// One pcap or pcapng stream.
pub(super) struct Records {
    window: Window,
    format: Format,
    head: Option<Place>,
    /// The time of the frame before: that of one without a time of its own.
    latest: Instant,
}

/// What became of a look at the beginning of the window.
enum Look {
    Frame(Place),
    /// Something else, of this length.
    Other(usize),
    More,
    Damaged(&'static str),
}

impl Records {
    /// Reads the header of the stream.
    pub(super) fn begin(contents: Box<dyn Read + Send>) -> Result<Self, Ending> {
        let mut window = Window::new(contents);
        loop {
            match format_of(window.bytes()) {
                Ok(Some((format, len))) => {
                    window.consume(len);
                    return Ok(Self { window, format, head: None, latest: Instant::ZERO });
                }
                Ok(None) => {}
                Err(ending) => return Err(ending),
            }
            match window.fill() {
                Ok(true) => {}
                Ok(false) if window.bytes().is_empty() => return Err(Ending::Whole),
                Ok(false) => return Err(Ending::Foreign),
                Err(error) => return Err(Ending::Damaged(error.to_string())),
            }
        }
    }

    /// The link type of the frame at hand, or of all frames.
    pub(super) fn link_number(&self) -> Option<u32> {
        match &self.format {
            Format::Pcap(pcap) => Some(pcap.link),
            Format::PcapNg(_) => self.head.as_ref().map(|place| place.link),
        }
    }

    /// The frame at hand.
    pub(super) fn head(&self) -> Option<Head<'_>> {
        let Place { link, range, wire_len, captured_at, .. } = self.head.clone()?;
        let bytes = self.window.bytes().get(range)?;
        Some(Head { link, bytes, wire_len, captured_at })
    }

    /// Leaves the frame at hand behind and goes to the next.
    pub(super) fn advance(&mut self) -> Result<(), Ending> {
        if let Some(place) = self.head.take() {
            self.window.consume(place.record_len);
        }
        loop {
            let more = match self.look() {
                Look::Frame(place) => {
                    self.latest = place.captured_at;
                    self.head = Some(place);
                    return Ok(());
                }
                Look::Other(len) => {
                    self.window.consume(len);
                    continue;
                }
                Look::More if self.window.is_full() => return Err(self.damaged("a record has no end")),
                Look::More => self.window.fill(),
                Look::Damaged(reason) => return Err(self.damaged(reason)),
            };
            match more {
                Ok(true) => {}
                Ok(false) if self.window.bytes().is_empty() => return Err(Ending::Whole),
                Ok(false) => return Err(self.damaged("it ends in the middle of a record")),
                Err(error) => return Err(self.damaged(&error.to_string())),
            }
        }
    }

    fn damaged(&self, reason: &str) -> Ending {
        Ending::Damaged(format!("{reason} (after {} bytes, unpacked)", self.window.position()))
    }

    fn look(&mut self) -> Look {
        let bytes = self.window.bytes();
        if bytes.is_empty() {
            return Look::More;
        }
        match &mut self.format {
            Format::Pcap(pcap) => pcap.look(bytes),
            Format::PcapNg(section) => section.look(bytes, self.latest),
        }
    }
}

/// The format of a stream that begins with `bytes`, and how long its header is; `None` while that cannot be told.
fn format_of(bytes: &[u8]) -> Result<Option<(Format, usize)>, Ending> {
    if bytes.get(..4) == Some(&SECTION) {
        return Ok(Some((Format::PcapNg(Section::default()), 0)));
    }
    match parse_pcap_header(bytes) {
        Ok((_, header)) => Ok(Some((Format::Pcap(Pcap::of(&header)), header.size()))),
        Err(nom::Err::Incomplete(_)) => Ok(None),
        Err(_) => Err(Ending::Foreign),
    }
}

impl Pcap {
    fn of(header: &PcapHeader) -> Self {
        Self {
            parse: match (header.is_modified_format(), header.is_bigendian()) {
                (true, _) => parse_pcap_frame_modified,
                (false, true) => parse_pcap_frame_be,
                (false, false) => parse_pcap_frame,
            },
            nanoseconds: header.is_nanosecond_precision(),
            // The upper half says how long a frame check sequence is; the IP length leaves that out.
            link: header.network.0 as u32 & 0xffff,
            largest: header.snaplen.clamp(LARGEST_FRAME, LARGEST as u32 / 2),
        }
    }

    fn look(&self, bytes: &[u8]) -> Look {
        const TOO_LARGE: Look = Look::Damaged("a frame that is larger than any");
        match (self.parse)(bytes) {
            Ok((_, frame)) if frame.caplen > self.largest => TOO_LARGE,
            Ok((rest, frame)) => {
                let record_len = bytes.len() - rest.len();
                let fraction = if self.nanoseconds { frame.ts_usec / 1000 } else { frame.ts_usec };
                let micros = u64::from(frame.ts_sec) * 1_000_000 + u64::from(fraction);
                Look::Frame(Place {
                    link: self.link,
                    range: record_len - frame.data.len()..record_len,
                    wire_len: frame.origlen as usize,
                    captured_at: Instant::from_micros(micros),
                    record_len,
                })
            }
            Err(nom::Err::Incomplete(nom::Needed::Size(missing)))
                if missing.get() > self.largest as usize =>
            {
                TOO_LARGE
            }
            Err(nom::Err::Incomplete(_)) => Look::More,
            Err(_) => Look::Damaged("a record that contradicts itself"),
        }
    }
}

impl Section {
    /// The block that `bytes` begin with; `latest` is the time of the frame before it.
    fn look(&mut self, bytes: &[u8], latest: Instant) -> Look {
        let parse = if self.big_endian { parse_block_be } else { parse_block_le };
        let (rest, block) = match parse(bytes) {
            Ok(parsed) => parsed,
            Err(nom::Err::Incomplete(_)) => return Look::More,
            Err(_) => return Look::Damaged("a block that contradicts itself"),
        };
        let record_len = bytes.len() - rest.len();
        let found = match &block {
            Block::SectionHeader(header) => {
                *self = Self { big_endian: header.big_endian(), interfaces: Vec::new() };
                None
            }
            Block::InterfaceDescription(interface) => {
                self.interfaces.push(Interface::of(interface, self.big_endian));
                None
            }
            Block::EnhancedPacket(packet) => {
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let kept = packet.data.get(..packet.caplen as usize).map(|data| (data, packet.origlen));
                Some((packet.if_id, Some(ticks), kept))
            }
            Block::SimplePacket(packet) => {
                let snaplen = self.interfaces.first().map_or(0, |interface| interface.snaplen);
                let limit = if snaplen == 0 { u32::MAX } else { snaplen };
                let len = packet.origlen.min(limit) as usize;
                Some((0, None, packet.data.get(..len).map(|data| (data, packet.origlen))))
            }
            Block::Unknown(other) if other.block_type == self.written(OBSOLETE_PACKET) => {
                match self.obsolete_packet(other.data) {
                    Some((interface, ticks, data, origlen)) => {
                        Some((interface, Some(ticks), Some((data, origlen))))
                    }
                    None => return Look::Damaged("a packet that is shorter than it says"),
                }
            }
            _ => None,
        };
        let Some((interface, ticks, kept)) = found else { return Look::Other(record_len) };
        let Some((data, origlen)) = kept else {
            return Look::Damaged("a packet that is shorter than it says");
        };
        let start = nom::Offset::offset(bytes, data);
        let interface = self.interfaces.get(interface as usize);
        let at = ticks.zip(interface).map(|(ticks, interface)| interface.instant(ticks));
        Look::Frame(Place {
            link: interface.map_or(UNKNOWN_LINK, |interface| interface.link),
            range: start..start + data.len(),
            wire_len: origlen as usize,
            captured_at: at.unwrap_or(latest),
            record_len,
        })
    }

    /// A block type as `pcap-parser` reads that of an unknown block: little-endian, whatever the section is.
    fn written(&self, block_type: u32) -> u32 {
        if self.big_endian { block_type.swap_bytes() } else { block_type }
    }

    /// Interface, time, data and length on the wire of an obsolete Packet Block.
    fn obsolete_packet<'b>(&self, block: &'b [u8]) -> Option<(u32, u64, &'b [u8], u32)> {
        let word = |at: usize| {
            let bytes = *block.get(at..)?.first_chunk::<4>()?;
            Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
        };
        let first = word(0)?;
        let interface = if self.big_endian { first >> 16 } else { first & 0xffff };
        let ticks = u64::from(word(4)?) << 32 | u64::from(word(8)?);
        let data = block.get(20..)?.get(..word(12)? as usize)?;
        Some((interface, ticks, data, word(16)?))
    }
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let option = |code| block.options.iter().find(|option| option.code == code).map(|it| &*it.value);
        let offset = option(OptionCode::IfTsoffset).and_then(|value| value.first_chunk::<8>());
        Self {
            link: block.linktype.0 as u32 & 0xffff,
            snaplen: block.snaplen,
            resolution: option(OptionCode::IfTsresol).and_then(|value| value.first().copied()).unwrap_or(6),
            offset_secs: offset.map_or(0, |bytes| {
                if big_endian { i64::from_be_bytes(*bytes) } else { i64::from_le_bytes(*bytes) }
            }),
        }
    }

    /// The moment that `ticks` mean.
    fn instant(self, ticks: u64) -> Instant {
        let micros = u128::from(ticks) * 1_000_000;
        let micros = match self.resolution {
            binary if binary & 0x80 != 0 => micros >> (binary & 0x7f),
            decimal => {
                10_u128.checked_pow(decimal.into()).map_or(0, |ticks_a_second| micros / ticks_a_second)
            }
        };
        let offset = i128::from(self.offset_secs) * 1_000_000;
        let micros = i128::try_from(micros).unwrap_or(i128::MAX).saturating_add(offset);
        Instant::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
    }
}
