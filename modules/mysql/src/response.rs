//! What a server answers to a command, read packet by packet without looking at rows.

use mysql_common::constants::CapabilityFlags;

use crate::command::Form;
use crate::packet::{Fields, HEADER, Header, LONGEST};

/// More results follow this one.
const MORE_RESULTS: u16 = 0x0008;
/// The rows of this result are fetched by commands of their own.
pub(crate) const CURSOR: u16 = 0x0040;
/// The last of them has been fetched.
pub(crate) const LAST_ROW: u16 = 0x0080;
/// A backslash is an ordinary character.
pub(crate) const NO_BACKSLASH_ESCAPES: u16 = 0x0200;
/// A transaction is open.
pub(crate) const IN_TRANSACTION: u16 = 0x0001;
/// So much of a packet tells everything about it.
const TELLING: usize = 32;
/// The number of the error that MariaDB sends its reports of progress as.
const PROGRESS: u16 = 0xffff;

/// What differs in the answers of servers, by what was agreed upon in the login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// No packet marks the end of descriptions (`CLIENT_DEPRECATE_EOF`).
    pub(crate) is_without_eof: bool,
    /// A result begins with whether its columns are described (`CLIENT_OPTIONAL_RESULTSET_METADATA`).
    pub(crate) has_optional_columns: bool,
}

impl Dialect {
    /// What server and program agreed upon.
    pub(crate) fn agreed(capabilities: CapabilityFlags) -> Self {
        Self {
            is_without_eof: capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF),
            has_optional_columns: capabilities.contains(CapabilityFlags::CLIENT_OPTIONAL_RESULTSET_METADATA),
        }
    }
}

/// An answer that is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The number of the error; 0: none.
    pub(crate) error: u16,
    /// Rows given and rows changed, of all its results.
    pub(crate) rows: u64,
    /// The server's status at its end, if it said.
    pub(crate) status: Option<u16>,
    /// The statement that was prepared.
    pub(crate) prepared: Option<Prepared>,
    /// Results before the last, of a text of several statements.
    pub(crate) results_before: u32,
}

/// A statement as a server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) id: u32,
    /// How many parameters it takes.
    pub(crate) parameters: u16,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// More is needed.
    Part,
    /// The answer is complete.
    Reply(Reply),
    /// The server wants a file of the user's.
    File,
    /// This is no answer to such a command.
    Nonsense,
}

/// Where in an answer the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Place {
    /// Before its first packet, or before that of a further result.
    #[default]
    First,
    /// In the descriptions of columns or parameters, so many to come; then what is behind them.
    Descriptions { left: u64, then: Behind },
    /// In front of the mark that ends descriptions, if there is one.
    Mark(Behind),
    /// In the rows.
    Rows,
}

/// What is behind descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    Rows,
    /// Descriptions of so many columns.
    Columns(u64),
    /// The end.
    End,
}

/// Reads the answers of one server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ResponseReader {
    dialect: Dialect,
    place: Place,
    reply: Reply,
    /// The next packet goes on with a row that has begun.
    is_continued: bool,
}

impl ResponseReader {
    /// At the beginning of an answer.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads the next packet of an answer in the form `form`. Returns how many bytes are dealt with, which may be more than
    /// there are: those need not be shown when they come.
    pub(crate) fn read(&mut self, input: &[u8], form: Form) -> (u64, Heard) {
        let Some(header) = Header::read(input) else { return (0, Heard::Part) };
        let Some(telling) = input.get(HEADER..HEADER + header.payload.min(TELLING)) else {
            return (0, Heard::Part);
        };
        let total = header.total() as u64;
        if std::mem::replace(&mut self.is_continued, header.is_continued()) {
            return (total, Heard::Part);
        }
        (total, self.step(telling, header.payload, form))
    }

    fn step(&mut self, telling: &[u8], length: usize, form: Form) -> Heard {
        let is_error = telling.first() == Some(&0xff);
        if is_error && is_progress(telling) {
            return Heard::Part;
        }
        match self.place {
            _ if is_error => self.fail(telling),
            Place::First => self.first(telling, length, form),
            Place::Descriptions { left, then } => {
                let left = left.saturating_sub(1);
                self.place = match left {
                    0 if self.dialect.is_without_eof => return self.behind(then),
                    0 => Place::Mark(then),
                    left => Place::Descriptions { left, then },
                };
                Heard::Part
            }
            Place::Mark(then) => match end_mark(telling, length) {
                Some(status) if status & CURSOR != 0 && then == Behind::Rows => self.complete(status),
                Some(_) => self.behind(then),
                None => Heard::Nonsense,
            },
            Place::Rows => self.row(telling, length),
        }
    }

    fn first(&mut self, telling: &[u8], length: usize, form: Form) -> Heard {
        match (form, telling.first()) {
            (_, None) => Heard::Nonsense,
            // Greetings and challenges come before a login's end.
            (Form::Login, Some(first)) if *first != 0x00 => Heard::Part,
            (Form::Single | Form::Login, _) => match ok(telling).or_else(|| end_mark(telling, length)) {
                Some(status) => self.complete(status),
                None => self.finish(), // a line of text
            },
            (Form::Results, Some(0xfb)) => Heard::File,
            (Form::Results, Some(0x00)) if length >= 7 || !self.dialect.has_optional_columns => {
                self.reply.rows += changed_rows(telling);
                ok(telling).map_or(Heard::Nonsense, |status| self.end_result(status))
            }
            (Form::Results, _) => self.columns(telling),
            (Form::Prepared, Some(0x00)) => self.prepared(telling),
            (Form::Prepared, _) => Heard::Nonsense,
            (Form::Columns, _) => match end_mark(telling, length) {
                Some(status) => self.complete(status),
                None => Heard::Part,
            },
            (Form::Rows, _) => self.row(telling, length),
        }
    }

    /// The head of a result with rows.
    fn columns(&mut self, telling: &[u8]) -> Heard {
        let mut fields = Fields(telling);
        let is_described = if self.dialect.has_optional_columns { fields.byte() == Some(1) } else { true };
        let Some(columns) = fields.length_encoded().filter(|count| (1..=0xffff).contains(count)) else {
            return Heard::Nonsense;
        };
        // MariaDB says behind the number whether they are described, where that was agreed upon.
        let is_described = is_described && fields.byte().unwrap_or(1) == 1;
        self.place = match is_described {
            true => Place::Descriptions { left: columns, then: Behind::Rows },
            false if self.dialect.is_without_eof => Place::Rows,
            false => Place::Mark(Behind::Rows),
        };
        Heard::Part
    }

    fn prepared(&mut self, telling: &[u8]) -> Heard {
        let mut fields = Fields(telling);
        fields.byte();
        let (Some(id), Some(columns), Some(parameters)) = (fields.u32(), fields.u16(), fields.u16()) else {
            return Heard::Nonsense;
        };
        self.reply.prepared = Some(Prepared { id, parameters });
        // One byte of filler, the warnings, and whether they are described, where that was agreed upon.
        fields.bytes(3);
        let is_described = !self.dialect.has_optional_columns || fields.byte() != Some(0);
        let columns = if is_described { u64::from(columns) } else { 0 };
        match u64::from(parameters) {
            left if left > 0 && is_described => {
                self.place = Place::Descriptions { left, then: Behind::Columns(columns) };
                Heard::Part
            }
            _ => self.behind(Behind::Columns(columns)),
        }
    }

    fn behind(&mut self, what: Behind) -> Heard {
        match what {
            Behind::Rows => self.place = Place::Rows,
            Behind::Columns(0) | Behind::End => return self.finish(),
            Behind::Columns(left) => self.place = Place::Descriptions { left, then: Behind::End },
        }
        Heard::Part
    }

    fn row(&mut self, telling: &[u8], length: usize) -> Heard {
        match telling.first() {
            Some(0xfe) if length < LONGEST => match end_mark(telling, length) {
                Some(status) => self.end_result(status),
                None => Heard::Nonsense,
            },
            _ => {
                self.place = Place::Rows;
                self.reply.rows += 1;
                Heard::Part
            }
        }
    }

    /// A result is over; the answer may go on with another.
    fn end_result(&mut self, status: u16) -> Heard {
        if status & MORE_RESULTS == 0 {
            return self.complete(status);
        }
        self.place = Place::First;
        self.reply.results_before += 1;
        Heard::Part
    }

    fn fail(&mut self, telling: &[u8]) -> Heard {
        let mut fields = Fields(telling);
        fields.byte();
        match fields.u16() {
            Some(code) => {
                self.reply.error = code.max(1);
                self.finish()
            }
            None => Heard::Nonsense,
        }
    }

    fn complete(&mut self, status: u16) -> Heard {
        self.reply.status = Some(status);
        self.finish()
    }

    fn finish(&mut self) -> Heard {
        let reply = std::mem::take(&mut self.reply);
        self.place = Place::First;
        Heard::Reply(reply)
    }
}

fn is_progress(telling: &[u8]) -> bool {
    telling.get(1..3) == Some(&PROGRESS.to_le_bytes())
}

/// The status of a packet that says all is well.
fn ok(telling: &[u8]) -> Option<u16> {
    let mut fields = Fields(telling);
    if fields.byte() != Some(0x00) {
        return None;
    }
    fields.length_encoded()?; // changed rows
    fields.length_encoded()?; // the number of the last row inserted
    fields.u16()
}

/// How many rows such a packet says were changed.
fn changed_rows(telling: &[u8]) -> u64 {
    telling.get(1..).and_then(|rest| Fields(rest).length_encoded()).unwrap_or_default()
}

/// The status of a packet that ends rows or descriptions: the short old one, or one in the form of [`ok`].
fn end_mark(telling: &[u8], length: usize) -> Option<u16> {
    let mut fields = Fields(telling);
    if fields.byte() != Some(0xfe) {
        return None;
    }
    if length <= 5 {
        fields.u16()?; // warnings
        return fields.u16();
    }
    fields.length_encoded()?;
    fields.length_encoded()?;
    fields.u16()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::packet;

    const EOF: &[u8] = b"\xfe\0\0\x02\0";
    const OK_END: &[u8] = b"\xfe\0\0\x02\0\0\0";
    const OK: &[u8] = b"\0\x05\0\x02\0\0\0";
    const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0";

    fn said(payloads: &[&[u8]]) -> Vec<u8> {
        payloads.iter().zip(1..).flat_map(|(payload, sequence)| packet(sequence, payload)).collect()
    }

    /// What the reader makes of a whole answer, in pieces of `piece` bytes at the least.
    fn hear(dialect: Dialect, form: Form, bytes: &[u8], piece: usize) -> Vec<Heard> {
        let mut reader = ResponseReader::new(dialect);
        let (mut heard, mut at, mut seen) = (Vec::new(), 0, piece);
        while at < bytes.len() {
            let (dealt, what) = reader.read(&bytes[at.min(seen)..seen.min(bytes.len())], form);
            if dealt == 0 && seen > bytes.len() {
                break;
            }
            if dealt == 0 {
                seen += piece;
                continue;
            }
            at += dealt as usize;
            seen = seen.max(at);
            if what != Heard::Part {
                heard.push(what);
            }
        }
        heard
    }

    fn reply(dialect: Dialect, form: Form, payloads: &[&[u8]]) -> Reply {
        let bytes = said(payloads);
        let whole = hear(dialect, form, &bytes, bytes.len());
        for piece in [1, 3, 7] {
            assert_eq!(hear(dialect, form, &bytes, piece), whole, "in pieces of {piece}");
        }
        match whole[..] {
            [Heard::Reply(reply)] => reply,
            ref other => panic!("{other:?}"),
        }
    }

    const OLD: Dialect = Dialect { is_without_eof: false, has_optional_columns: false };
    const NEW: Dialect = Dialect { is_without_eof: true, has_optional_columns: false };

    #[test]
    fn an_answer_without_rows_is_one_packet() {
        assert_eq!(reply(OLD, Form::Results, &[OK]).rows, 5);
        assert_eq!(reply(OLD, Form::Single, &[OK]).status, Some(2));
        assert_eq!(reply(OLD, Form::Single, &[EOF]).status, Some(2));
        assert_eq!(reply(OLD, Form::Single, &[b"Uptime: 5"]).status, None);
        assert_eq!(reply(OLD, Form::Results, &[b"\xff\x28\x04#42000You have an error"]).error, 1064);
    }

    #[test]
    fn rows_are_counted_up_to_their_end() {
        let rows = reply(OLD, Form::Results, &[b"\x01", COLUMN, EOF, b"\x01a", b"\x01b", EOF]);
        assert_eq!((rows.rows, rows.error, rows.status), (2, 0, Some(2)));
        let rows = reply(NEW, Form::Results, &[b"\x01", COLUMN, b"\x01a", b"\xfb", OK_END]);
        assert_eq!(rows.rows, 2);
        assert_eq!(reply(NEW, Form::Results, &[b"\x01", COLUMN, OK_END]).rows, 0);
        assert_eq!(reply(OLD, Form::Results, &[b"\x01", COLUMN, EOF, b"\xff\x25\x05#70100"]).error, 1317);
    }

    #[test]
    fn further_results_belong_to_the_answer() {
        let more: &[u8] = b"\xfe\0\0\x0a\0";
        let ok_and_more: &[u8] = b"\0\x01\0\x0a\0\0\0";
        let rows = reply(OLD, Form::Results, &[b"\x01", COLUMN, EOF, b"\x01a", more, ok_and_more, OK]);
        assert_eq!(rows.rows, 7);
    }

    #[test]
    fn a_cursor_has_no_rows_of_its_own() {
        let cursor: &[u8] = b"\xfe\0\0\x42\0";
        assert_eq!(reply(OLD, Form::Results, &[b"\x01", COLUMN, cursor]).status, Some(0x42));
        assert_eq!(reply(NEW, Form::Results, &[b"\x01", COLUMN, b"\xfe\0\0\x42\0\0\0"]).status, Some(0x42));
        assert_eq!(reply(OLD, Form::Rows, &[b"\0\0a", b"\0\0b", b"\xfe\0\0\x82\0"]).rows, 2);
    }

    #[test]
    fn a_prepared_statement_is_told_with_what_it_takes() {
        let head: &[u8] = b"\0\x07\0\0\0\x01\0\x02\0\0\0\0";
        let expected = Some(Prepared { id: 7, parameters: 2 });
        let old = [head, COLUMN, COLUMN, EOF, COLUMN, EOF];
        assert_eq!(reply(OLD, Form::Prepared, &old).prepared, expected);
        assert_eq!(reply(NEW, Form::Prepared, &[head, COLUMN, COLUMN, COLUMN]).prepared, expected);
        let bare: &[u8] = b"\0\x07\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(reply(OLD, Form::Prepared, &[bare]).prepared, Some(Prepared { id: 7, parameters: 0 }));
        assert_eq!(reply(OLD, Form::Prepared, &[b"\xff\x28\x04#42000"]).error, 1064);
    }

    #[test]
    fn columns_need_not_be_described() {
        let optional = Dialect { has_optional_columns: true, ..NEW };
        assert_eq!(reply(optional, Form::Results, &[b"\0\x02", b"\x01a\x01b", OK_END]).rows, 1);
        assert_eq!(reply(optional, Form::Results, &[b"\x01\x01", COLUMN, b"\x01a", OK_END]).rows, 1);
        assert_eq!(reply(optional, Form::Results, &[OK]).rows, 5);
        assert_eq!(reply(OLD, Form::Results, &[b"\x01\0", EOF, b"\x01a", EOF]).rows, 1, "MariaDB's way");
    }

    #[test]
    fn a_file_is_asked_for_in_between() {
        let bytes = said(&[b"\xfb/tmp/data", OK]);
        let heard = hear(OLD, Form::Results, &bytes, bytes.len());
        assert!(matches!(heard[..], [Heard::File, Heard::Reply(Reply { rows: 5, .. })]));
    }

    #[test]
    fn reports_of_progress_are_no_errors() {
        let progress: &[u8] = b"\xff\xff\xff\x01\x01\x02\0\0\0\x05stage";
        assert_eq!(reply(OLD, Form::Results, &[progress, OK]).error, 0);
    }

    #[test]
    fn a_row_of_several_packets_is_one_row() {
        let long = vec![b'x'; LONGEST];
        let mut bytes = said(&[b"\x01", COLUMN, EOF]);
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 4]);
        bytes.extend_from_slice(&long);
        bytes.extend_from_slice(&packet(5, b"\xfeend of the row"));
        bytes.extend_from_slice(&packet(6, EOF));
        let heard = hear(OLD, Form::Results, &bytes, bytes.len());
        assert!(matches!(heard[..], [Heard::Reply(Reply { rows: 1, .. })]), "{heard:?}");
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..300), form in 0..6_usize, new: bool, optional: bool) {
            let forms = [Form::Single, Form::Results, Form::Prepared, Form::Columns, Form::Rows, Form::Login];
            let dialect = Dialect { is_without_eof: new, has_optional_columns: optional };
            hear(dialect, forms[form], &bytes, 7);
        }
    }
}
