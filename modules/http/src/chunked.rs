//! The chunked transfer coding (RFC 9112 §7.1), read in pieces.
//!
//! A line of the coding is dealt with when it is complete, so that no part of a malformed one has been said before it is
//! recognised. Data may be passed over unseen.

use memchr::memchr;

use crate::framing::Malformed;
use crate::head::MAX_HEAD;

/// The longest line with a chunk's size, extensions included.
const MAX_LINE: usize = 4096;
/// More hexadecimal digits than a size can have.
const MAX_DIGITS: usize = 15;

/// Where a chunked body is.
#[derive(Debug)]
pub(crate) struct Chunked {
    place: Place,
    trailer: usize,
    pads_sizes: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Size,
    Data(u64),
    AfterData,
    Trailer,
}

/// The next piece of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A line, or the end of one.
    Line(usize),
    /// So many bytes of data follow, of which [`Chunked::pass`] has to be told.
    Data(u64),
    /// The last line of the body.
    Last(usize),
}

impl Chunked {
    /// The body of a request: read strictly, since another reading of it is how requests are smuggled.
    pub(crate) const fn of_request() -> Self {
        Self { place: Place::Size, trailer: 0, pads_sizes: false }
    }

    /// The body of a response: old servers fill the line with the size up with spaces.
    pub(crate) const fn of_response() -> Self {
        Self { place: Place::Size, trailer: 0, pads_sizes: true }
    }

    /// The piece at the beginning of `input`; `None` if it is not complete.
    pub(crate) fn next(&mut self, input: &[u8]) -> Result<Option<Piece>, Malformed> {
        match self.place {
            Place::Size => self.read_size(input),
            Place::Data(left) => Ok(Some(Piece::Data(left))),
            Place::AfterData => match input {
                [b'\r', b'\n', ..] => {
                    self.place = Place::Size;
                    Ok(Some(Piece::Line(2)))
                }
                [_, _, ..] => Err(Malformed("a chunk that is longer than it says")),
                _ => Ok(None),
            },
            Place::Trailer => self.read_trailer(input),
        }
    }

    /// Deals with every piece in `input`: how many bytes those have, more than there are where data is still to come, and
    /// whether the body is over.
    pub(crate) fn pass_over(&mut self, input: &[u8]) -> (u64, Result<bool, Malformed>) {
        let mut dealt = 0;
        loop {
            let rest = usize::try_from(dealt).ok().and_then(|dealt| input.get(dealt..)).unwrap_or_default();
            if rest.is_empty() {
                return (dealt, Ok(false));
            }
            dealt += match self.next(rest) {
                Ok(None) => return (dealt, Ok(false)),
                Ok(Some(Piece::Line(length))) => length as u64,
                Ok(Some(Piece::Last(length))) => return (dealt + length as u64, Ok(true)),
                Ok(Some(Piece::Data(count))) => {
                    self.pass(count);
                    count
                }
                Err(malformed) => return (dealt, Err(malformed)),
            };
        }
    }

    /// `count` bytes of data were dealt with.
    pub(crate) fn pass(&mut self, count: u64) {
        if let Place::Data(left) = self.place {
            self.place = match left.saturating_sub(count) {
                0 => Place::AfterData,
                left => Place::Data(left),
            };
        }
    }

    /// How many bytes of data come next.
    pub(crate) fn data_left(&self) -> u64 {
        match self.place {
            Place::Data(left) => left,
            _ => 0,
        }
    }

    fn read_size(&mut self, input: &[u8]) -> Result<Option<Piece>, Malformed> {
        let Some(line) = line(input, MAX_LINE)? else { return Ok(None) };
        let bad = Malformed("a chunk size that is no number");
        let text = line.strip_suffix(b"\r\n").ok_or(bad)?;
        let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, rest) = text.split_at_checked(digits).ok_or(bad)?;
        // Before an extension there may be blanks (RFC 9112 §7.1.1).
        let extension = rest.trim_ascii_start();
        let rest = if self.pads_sizes || extension.starts_with(b";") { extension } else { rest };
        let padding =
            if self.pads_sizes { size.iter().take_while(|digit| **digit == b'0').count() } else { 0 };
        if digits == 0
            || digits - padding > MAX_DIGITS
            || !(rest.is_empty() || rest.starts_with(b";"))
            || has_control(if self.pads_sizes { rest } else { text })
        {
            return Err(bad);
        }
        let size = size.iter().fold(0, |sum, digit| sum * 16 + u64::from(hexadecimal(*digit)));
        self.place = if size == 0 { Place::Trailer } else { Place::Data(size) };
        Ok(Some(Piece::Line(line.len())))
    }

    fn read_trailer(&mut self, input: &[u8]) -> Result<Option<Piece>, Malformed> {
        let Some(line) = line(input, MAX_HEAD - self.trailer)? else { return Ok(None) };
        let text =
            line.strip_suffix(b"\r\n").ok_or(Malformed("a trailer that ends without a carriage return"))?;
        self.trailer += line.len();
        if text.is_empty() {
            return Ok(Some(Piece::Last(line.len())));
        }
        let name = text.split(|byte| *byte == b':').next().unwrap_or_default();
        if name.len() == text.len()
            || !name.iter().all(|byte| is_token(*byte))
            || name.is_empty()
            || has_control(text)
        {
            return Err(Malformed("a trailer that is no field"));
        }
        Ok(Some(Piece::Line(line.len())))
    }
}

/// The characters of methods and field names (RFC 9110 §5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The first line of `input`, if it is complete.
fn line(input: &[u8], longest: usize) -> Result<Option<&[u8]>, Malformed> {
    let searched = input.get(..longest).unwrap_or(input);
    match memchr(b'\n', searched) {
        Some(feed) => Ok(searched.get(..=feed)),
        None if input.len() >= longest => Err(Malformed("a line of a chunked body that is too long")),
        None => Ok(None),
    }
}

fn has_control(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

pub(crate) fn hexadecimal(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a chunked body, and how long the body is.
    fn read(mut chunked: Chunked, input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let (mut data, mut place) = (Vec::new(), 0);
        loop {
            match chunked.next(&input[place..])? {
                None => return Ok(None),
                Some(Piece::Line(length)) => place += length,
                Some(Piece::Last(length)) => return Ok(Some((data, place + length))),
                Some(Piece::Data(count)) => {
                    let Some(piece) = input.get(place..place + count as usize) else { return Ok(None) };
                    data.extend_from_slice(piece);
                    place += piece.len();
                    chunked.pass(count);
                }
            }
        }
    }

    #[test]
    fn sizes_extensions_and_trailers_are_read() {
        let body =
            b"5 ;name=\"value\"\r\nhello\r\n0A\r\n, worlds!\n\r\n0\r\nDigest: x\r\nOther:\r\n\r\nGET /";
        let (data, length) = read(Chunked::of_request(), body).unwrap().unwrap();
        assert_eq!((data.as_slice(), length), (&b"hello, worlds!\n"[..], body.len() - 5));
    }

    #[test]
    fn an_incomplete_body_waits() {
        let body = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for length in 0..body.len() {
            assert_eq!(read(Chunked::of_request(), &body[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_malformed() {
        for body in [
            &b"\r\n"[..],
            b"5\nhello",
            b"5 \r\nhello\r\n",
            b" 5\r\nhello",
            b"+5\r\nhello",
            b"0x5\r\nhello",
            b"-1\r\n",
            b"5\r\nhelloo\r\n",
            b"5\x0c;a\r\n",
            b"5;\x00\r\n",
            b"5;a\rb\r\n",
            b"5\r\r\n",
            b"1000000000000000\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\n: b\r\n\r\n",
        ] {
            assert!(read(Chunked::of_request(), body).is_err(), "{}", body.escape_ascii());
        }
        assert!(read(Chunked::of_request(), &[b'1'; MAX_LINE]).is_err());
        let endless = [&b"0\r\n"[..], &b"A: b\r\n".repeat(20_000)].concat();
        assert!(read(Chunked::of_request(), &endless).is_err());
    }

    #[test]
    fn a_response_may_pad_its_sizes() {
        let body = b"000000000000000005   \r\nhello\r\n0  \r\n\r\n";
        assert_eq!(read(Chunked::of_response(), body).unwrap().unwrap().0, b"hello");
    }
}
