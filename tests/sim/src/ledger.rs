//! The model: what every user said, what of it was captured, and what of it the target heard.
//!
//! It knows neither engine nor feed; it compares bytes.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem;
use tcpcopy_wire::{Endpoint, Segment, SeqNum};

use crate::Violation;
use crate::coverage::Coverage;
use crate::protocol::{self, HEADER, Kind};
use crate::script::{Play, Request};
use crate::server::Heard;
use crate::user::Begun;

/// What one user said on one connection.
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) requests: Vec<Request>,
    isn: Option<SeqNum>,
    /// What was handed to tcpcopy whole.
    pub(crate) given: Coverage,
    /// The first bytes given, whether or not they are the first ones said.
    first_given: Option<usize>,
    pub(crate) syn_given: bool,
    /// The user was seen to have reset it or used the port anew: what comes later is not of it.
    is_over: bool,
    /// What the target has heard of it on any connection.
    pub(crate) received: Coverage,
}

/// What the target heard on one connection.
#[derive(Default)]
struct Hearing {
    client: Endpoint,
    /// Heard before it is known what of.
    head: Vec<u8>,
    /// Which stream, from where to where.
    place: Option<(usize, Range<usize>)>,
}

pub(crate) struct Ledger {
    pub(crate) streams: Vec<Stream>,
    /// The first stream of each user.
    first_stream: Vec<usize>,
    /// Streams that began with each client end, latest last.
    by_client: HashMap<Endpoint, Vec<usize>>,
    /// Stream and start of each request, by tag.
    by_tag: HashMap<u32, (usize, usize)>,
    hearings: Vec<Hearing>,
    overlaps: bool,
}

impl Ledger {
    pub(crate) fn new(play: &Play, overlaps: bool) -> Self {
        let mut ledger = Self {
            streams: Vec::new(),
            first_stream: Vec::new(),
            by_client: HashMap::new(),
            by_tag: HashMap::new(),
            hearings: Vec::new(),
            overlaps,
        };
        for scripts in &play.users {
            ledger.first_stream.push(ledger.streams.len());
            for script in scripts {
                let stream = ledger.streams.len();
                ledger
                    .by_tag
                    .extend(script.requests.iter().map(|said| (said.tag, (stream, said.bytes.start))));
                ledger.streams.push(Stream {
                    bytes: script.stream.clone(),
                    requests: script.requests.clone(),
                    isn: None,
                    given: Coverage::default(),
                    first_given: None,
                    syn_given: false,
                    is_over: false,
                    received: Coverage::default(),
                });
            }
        }
        ledger
    }

    /// A user begins a connection.
    pub(crate) fn begin(&mut self, user: usize, begun: Begun) {
        let stream = self.first_stream[user] + begun.script;
        self.by_client.entry(begun.client).or_default().push(stream);
    }

    /// A packet of a user has reached the capture point; `given`: tcpcopy gets all of it.
    pub(crate) fn observe(&mut self, segment: &Segment<'_>, given: bool) -> Result<(), Violation> {
        let streams = self.by_client.get(&segment.source).map(Vec::as_slice).unwrap_or_default();
        if segment.flags.syn() {
            note_syn(&mut self.streams, streams, segment.seq, given);
            return Ok(());
        }
        for &index in streams.iter().rev() {
            let stream = &mut self.streams[index];
            let Some(isn) = stream.isn else { continue };
            let Ok(start) = usize::try_from(segment.seq.distance(isn + 1)) else { continue };
            let bytes = start..start + segment.payload.len();
            if stream.bytes.get(bytes.clone()) != Some(segment.payload) {
                continue;
            }
            if given && !bytes.is_empty() && !stream.is_over {
                stream.first_given.get_or_insert(start);
                stream.given.insert(bytes);
            }
            // One that lies ahead may be of an older connection on the port.
            stream.is_over |= given && segment.flags.rst() && start <= stream.given.prefix();
            return Ok(());
        }
        // A reset after the stream's end, or before the connection was known to exist.
        if segment.payload.is_empty() {
            return Ok(());
        }
        Err(Violation(format!("{} said something that is in no script", segment.source)))
    }

    /// The target has heard something.
    pub(crate) fn hear(&mut self, heard: Heard) -> Result<(), Violation> {
        let Heard { connection, client, mut bytes } = heard;
        if self.hearings.len() <= connection {
            self.hearings.resize_with(connection + 1, Hearing::default);
        }
        let hearing = &mut self.hearings[connection];
        hearing.client = client;
        if hearing.place.is_none() {
            hearing.head.extend_from_slice(&bytes);
            if hearing.head.len() < HEADER {
                return Ok(());
            }
            bytes = std::mem::take(&mut hearing.head);
            let (stream, start) = self.locate(&bytes).map_err(|reason| {
                Violation(format!("target connection {connection} from {client}: {reason}"))
            })?;
            self.hearings[connection].place = Some((stream, start..start));
        }
        let hearing = &mut self.hearings[connection];
        let Some((index, place)) = &mut hearing.place else { return Ok(()) };
        let stream = &mut self.streams[*index];
        let new = place.end..place.end + bytes.len();
        if stream.bytes.get(new.clone()) != Some(&bytes) {
            return Err(Violation(format!(
                "target connection {connection} from {client}: bytes {new:?} of stream {index} are not what the \
                 user said"
            )));
        }
        if !stream.given.contains(&new) {
            return Err(Violation(format!(
                "target connection {connection} from {client}: bytes {new:?} of stream {index} were never captured"
            )));
        }
        place.end = new.end;
        stream.received.insert(new);
        Ok(())
    }

    /// Which stream a connection that begins with `head` continues, and from where.
    fn locate(&self, head: &[u8]) -> Result<(usize, usize), String> {
        let begins = |stream: usize, start: usize| {
            let bytes = &self.streams[stream].bytes;
            let len = head.len().min(bytes.len() - start);
            bytes[start..start + len] == head[..len]
        };
        if let Some(&(stream, start)) =
            protocol::tag_of(Kind::Request, head).and_then(|tag| self.by_tag.get(&tag))
            && begins(stream, start)
        {
            return Ok((stream, start));
        }
        for (index, stream) in self.streams.iter().enumerate() {
            let Some(start) = memmem::find(&stream.bytes, head) else { continue };
            let is_joined = !stream.syn_given && stream.first_given == Some(start);
            if is_joined || self.overlaps {
                return Ok((index, start));
            }
            return Err(format!("it begins inside a request, at byte {start} of stream {index}"));
        }
        Err("no user ever said what it begins with".into())
    }

    /// On how many connections, and how many bytes in all, the target heard too little to tell of which stream
    /// it was; an error when nobody can have said it.
    pub(crate) fn unrecognised(&self) -> Result<(usize, usize), Violation> {
        let heads =
            || self.hearings.iter().map(|hearing| hearing.head.as_slice()).filter(|head| !head.is_empty());
        let may_begin = |stream: &Stream, start: usize| {
            let opens = stream.requests.iter().any(|request| request.bytes.start == start);
            opens || self.overlaps || (!stream.syn_given && stream.first_given == Some(start))
        };
        let was_said = |head: &[u8]| {
            self.streams.iter().any(|stream| {
                let starts = stream.bytes.windows(head.len()).enumerate().filter(|(_, bytes)| *bytes == head);
                starts.map(|(start, _)| start).any(|start| {
                    may_begin(stream, start) && stream.given.contains(&(start..start + head.len()))
                })
            })
        };
        match heads().find(|head| !was_said(head)) {
            Some(head) => Err(Violation(format!("nobody said the few bytes {head:?} that the target heard"))),
            None => Ok((heads().count(), heads().map(<[u8]>::len).sum())),
        }
    }

    /// How often each request arrived whole on one connection, by tag.
    pub(crate) fn arrivals(&self) -> HashMap<u32, usize> {
        let mut arrivals = HashMap::new();
        for (index, place) in self.places() {
            for request in &self.streams[index].requests {
                if place.start <= request.bytes.start && request.bytes.end <= place.end {
                    *arrivals.entry(request.tag).or_default() += 1;
                }
            }
        }
        arrivals
    }

    /// The connections that began with what the target had heard already, each as a phrase.
    pub(crate) fn repetitions(&self) -> Vec<String> {
        let mut heard = vec![Coverage::default(); self.streams.len()];
        let mut repetitions = Vec::new();
        for (number, hearing) in self.hearings.iter().enumerate() {
            let Some((index, place)) = hearing.place.clone() else { continue };
            if heard[index].contains(&(place.start..place.start + 1)) {
                repetitions
                    .push(format!("{number} from {} (stream {index} at {})", hearing.client, place.start));
            }
            heard[index].insert(place);
        }
        repetitions
    }

    /// Streams were said from front to back; not to be expected where they were captured with holes.
    pub(crate) fn check_order(&self) -> Result<(), Violation> {
        let mut latest = vec![0; self.streams.len()];
        for (index, place) in self.places() {
            let before = std::mem::replace(&mut latest[index], place.start);
            if place.start < before {
                let start = place.start;
                return Err(Violation(format!(
                    "stream {index} was said from {before} on, later from {start} on"
                )));
            }
        }
        Ok(())
    }

    fn places(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.hearings.iter().filter_map(|hearing| hearing.place.clone())
    }
}

/// A SYN of a client that began the streams `of_client`, the latest last.
fn note_syn(streams: &mut [Stream], of_client: &[usize], isn: SeqNum, given: bool) {
    let is_of = |stream: &mut Stream| *stream.isn.get_or_insert(isn) == isn;
    let Some(at) = of_client.iter().rposition(|index| is_of(&mut streams[*index])) else { return };
    let (older, newer) = of_client.split_at(at);
    streams[newer[0]].syn_given |= given;
    for index in older {
        streams[*index].is_over |= given;
    }
}
