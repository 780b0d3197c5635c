//! What tcpcopy's doctor asks an intercept about its host, and what it is answered. Both ends offer
//! [`Features::INQUIRY`](crate::Features::INQUIRY) for it; everything in here is bounded, and foreign text is one line.

use tcpcopy_wire::{Flags, Flow};

use crate::Malformed;
use crate::bytes::{Reader, Writer};
use crate::hello::readable;
use crate::registration::{flow_record, parse_flow};

/// Most flows one question may be about.
pub const MAX_INQUIRY_FLOWS: usize = 64;
/// Most entries of any other list in an answer.
const MAX_ENTRIES: usize = 256;
/// Most bytes of one text in an answer.
const MAX_TEXT: usize = 8192;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// How the host is set up, and what would become of the responses of these flows.
    Survey(Vec<Flow>),
    /// Watch every device for packets of these flows, until [`Question::Report`] or for half a minute.
    Watch(Vec<Flow>),
    /// What was seen of the flows that are watched.
    Report,
}

/// What is answered, to each question in its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Survey`].
    Survey(Survey),
    /// To [`Question::Watch`]: from now on.
    Watching,
    /// To [`Question::Report`].
    Sightings(Vec<Sighting>),
    /// To any: it cannot be answered, and why.
    CannotSay(String),
}

/// A device that intercept captures on, or wants to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SurveyedDevice {
    /// Its name.
    pub name: String,
    /// Whether it is there and up.
    pub is_up: bool,
}

/// How intercept's host is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Whether it forwards IPv4 and IPv6 packets for others; `None` where that cannot be read.
    pub forwards: [Option<bool>; 2],
    /// Packets it has forwarded so far, of both.
    pub forwarded: u64,
    /// Packets its reverse path filter has dropped so far.
    pub reverse_path_dropped: u64,
    /// What intercept captures on.
    pub devices: Vec<SurveyedDevice>,
    /// What it lets through, in pcap's language.
    pub filter: String,
    /// Whether the filter lets the responses of each flow through, in the order asked.
    pub lets_through: Vec<bool>,
    /// Whether each flow's client address is one of the host itself.
    pub is_own: Vec<bool>,
}

/// Packets of one flow on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which of the flows asked about.
    pub flow: usize,
    /// From server to client.
    pub is_response: bool,
    /// Where.
    pub device: String,
    /// IPv4 time to live or IPv6 hop limit: lower by one behind every router.
    pub ttl: u8,
    /// The control bits of all of them.
    pub flags: Flags,
    /// How many.
    pub count: u32,
}

const SURVEY: u8 = 1;
const WATCH: u8 = 2;
const REPORT: u8 = 3;
const CANNOT_SAY: u8 = 4;

impl Question {
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Survey(flows) => put_flows(&mut body, SURVEY, flows),
            Self::Watch(flows) => put_flows(&mut body, WATCH, flows),
            Self::Report => body.push(REPORT),
        }
        body
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut body = Reader::new(body);
        match body.u8()? {
            SURVEY => list(&mut body, MAX_INQUIRY_FLOWS, parse_flow).map(Self::Survey),
            WATCH => list(&mut body, MAX_INQUIRY_FLOWS, parse_flow).map(Self::Watch),
            REPORT => Ok(Self::Report),
            _ => Err(Malformed::Number),
        }
    }
}

impl Answer {
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Survey(survey) => {
                body.push(SURVEY);
                survey.put(&mut body);
            }
            Self::Watching => body.push(WATCH),
            Self::Sightings(sightings) => {
                body.push(REPORT);
                put_list(&mut body, sightings, |body, sighting| sighting.put(body));
            }
            Self::CannotSay(why) => {
                body.push(CANNOT_SAY);
                put_text(&mut body, why);
            }
        }
        body
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut body = Reader::new(body);
        match body.u8()? {
            SURVEY => Survey::parse(&mut body).map(Self::Survey),
            WATCH => Ok(Self::Watching),
            REPORT => list(&mut body, MAX_ENTRIES, Sighting::parse).map(Self::Sightings),
            CANNOT_SAY => text(&mut body).map(Self::CannotSay),
            _ => Err(Malformed::Number),
        }
    }
}

impl Survey {
    fn put(&self, body: &mut Vec<u8>) {
        body.extend(self.forwards.map(|forwards| forwards.map_or(2, u8::from)));
        body.extend(self.forwarded.to_be_bytes());
        body.extend(self.reverse_path_dropped.to_be_bytes());
        put_list(body, &self.devices, |body, device| {
            put_text(body, &device.name);
            body.push(u8::from(device.is_up));
        });
        put_text(body, &self.filter);
        for list in [&self.lets_through, &self.is_own] {
            put_list(body, list, |body, &is| body.push(u8::from(is)));
        }
    }

    fn parse(body: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut forwards = [None; 2];
        for forwards in &mut forwards {
            let byte = body.u8()?;
            *forwards = (byte < 2).then_some(byte == 1);
        }
        let device = |body: &mut Reader<'_>| Ok(SurveyedDevice { name: text(body)?, is_up: body.u8()? == 1 });
        let is = |body: &mut Reader<'_>| Ok(body.u8()? == 1);
        Ok(Self {
            forwards,
            forwarded: body.u64()?,
            reverse_path_dropped: body.u64()?,
            devices: list(body, MAX_ENTRIES, device)?,
            filter: text(body)?,
            lets_through: list(body, MAX_INQUIRY_FLOWS, is)?,
            is_own: list(body, MAX_INQUIRY_FLOWS, is)?,
        })
    }
}

impl Sighting {
    fn put(&self, body: &mut Vec<u8>) {
        body.extend([u8::try_from(self.flow).unwrap_or(u8::MAX), u8::from(self.is_response)]);
        put_text(body, &self.device);
        body.extend([self.ttl, self.flags.0]);
        body.extend(self.count.to_be_bytes());
    }

    fn parse(body: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            flow: body.u8()?.into(),
            is_response: body.u8()? == 1,
            device: text(body)?,
            ttl: body.u8()?,
            flags: Flags(body.u8()?),
            count: body.u32()?,
        })
    }
}

fn put_flows(body: &mut Vec<u8>, what: u8, flows: &[Flow]) {
    body.push(what);
    put_list(body, &flows[..flows.len().min(MAX_INQUIRY_FLOWS)], |body, flow| {
        body.extend(flow_record(flow).as_slice());
    });
}

fn put_count(body: &mut Vec<u8>, count: usize) {
    let mut length = Writer::new();
    length.varint(count as u64);
    body.extend(length.as_slice());
}

fn put_list<T>(body: &mut Vec<u8>, list: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    let list = &list[..list.len().min(MAX_ENTRIES)];
    put_count(body, list.len());
    list.iter().for_each(|item| put(body, item));
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    put_count(body, text.len());
    body.extend(text.as_bytes());
}

fn list<T>(
    body: &mut Reader<'_>,
    most: usize,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = body.varint()?;
    if count > most as u64 {
        return Err(Malformed::Number);
    }
    (0..count).map(|_| item(body)).collect()
}

fn text(body: &mut Reader<'_>) -> Result<String, Malformed> {
    let length = body.varint()?;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_TEXT);
    Ok(readable(body.take(length.ok_or(Malformed::Number)?)?, MAX_TEXT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcpcopy_wire::Endpoint;

    use super::*;

    fn flows() -> Vec<Flow> {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        vec![
            Flow { client: end("10.30.0.1:50000"), server: end("10.10.3.2:8080") },
            Flow { client: end("[fd00:30::1]:50000"), server: end("[fd00:10:3::2]:8080") },
        ]
    }

    fn survey() -> Survey {
        Survey {
            forwards: [Some(true), None],
            forwarded: 7,
            reverse_path_dropped: 9,
            devices: vec![SurveyedDevice { name: "eth0".to_owned(), is_up: true }],
            filter: "tcp and src port 8080".to_owned(),
            lets_through: vec![true, false],
            is_own: vec![false, true],
        }
    }

    #[test]
    fn every_question_comes_back() {
        for question in [Question::Survey(flows()), Question::Watch(flows()), Question::Report] {
            assert_eq!(Question::parse(&question.body()), Ok(question));
        }
    }

    #[test]
    fn every_answer_comes_back() {
        let sighting = Sighting {
            flow: 1,
            is_response: true,
            device: "eth0".to_owned(),
            ttl: 63,
            flags: Flags::SYN | Flags::ACK,
            count: 3,
        };
        for answer in [
            Answer::Survey(survey()),
            Answer::Watching,
            Answer::Sightings(vec![sighting]),
            Answer::CannotSay("no permission".to_owned()),
        ] {
            assert_eq!(Answer::parse(&answer.body()), Ok(answer));
        }
    }

    #[test]
    fn lists_and_texts_are_bounded_and_text_is_one_line() {
        let many = vec![flows()[0]; MAX_INQUIRY_FLOWS + 1];
        let Ok(Question::Watch(kept)) = Question::parse(&Question::Watch(many).body()) else { panic!() };
        assert_eq!(kept.len(), MAX_INQUIRY_FLOWS);
        assert_eq!(Question::parse(&[WATCH, 65]), Err(Malformed::Number));
        let long = Answer::CannotSay("\u{1b}\n".repeat(MAX_TEXT));
        let Ok(Answer::CannotSay(text)) = Answer::parse(&long.body()) else { panic!() };
        assert_eq!((text.len(), text.trim()), (MAX_TEXT, ""));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_something_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Question::parse(&bytes), Answer::parse(&bytes));
        }

        #[test]
        fn a_cut_answer_is_an_error(cut in any::<prop::sample::Index>()) {
            let whole = Answer::Survey(survey()).body();
            prop_assert!(Answer::parse(&whole[..cut.index(whole.len())]).is_err());
        }
    }
}
