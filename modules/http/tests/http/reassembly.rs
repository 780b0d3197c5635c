//! Captures read and put in order, as far as tests of modules need it: what each side of each connection said, and when.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use flate2::read::GzDecoder;
use tcpcopy_plugin_api::Side;
use tcpcopy_plugin_api::testing::Transcript;
use tempfile::NamedTempFile;

use crate::traces;

/// A captured connection.
#[derive(Debug)]
pub(crate) struct Connection {
    client_address: SocketAddr,
    server_address: SocketAddr,
    client: Stream,
    server: Stream,
    events: Vec<(Duration, Event)>,
}

#[derive(Clone, Debug)]
enum Event {
    Client(Vec<u8>),
    Server(Vec<u8>),
    ServerMissing(u64),
    ClientEnd,
    ServerEnd,
}

/// One direction.
#[derive(Debug, Default)]
struct Stream {
    /// The sequence number of the next byte; `None` until a packet was seen.
    next: Option<u32>,
    has_syn: bool,
    /// What came too early, with the sequence number of its first byte.
    waiting: Vec<(u32, Vec<u8>)>,
    fin: Option<u32>,
}

/// The folder with the captures of a protocol, where there is one.
pub(crate) fn traces(protocol: &str) -> Option<PathBuf> {
    traces::folder().map(|folder| folder.join(protocol))
}

/// The frames of a file, unpacked if need be.
fn frames(file: &Path) -> Vec<(Duration, Vec<u8>)> {
    let mut unpacked = NamedTempFile::new().expect("a temporary file");
    let mut packed = File::open(file).expect("the capture opens");
    if file.extension().is_some_and(|extension| extension == "gz") {
        io::copy(&mut GzDecoder::new(packed), &mut unpacked).expect("the capture unpacks");
    } else {
        io::copy(&mut packed, &mut unpacked).expect("the capture is read");
    }
    unpacked.flush().expect("the temporary file is written");
    let mut capture = pcap::Capture::from_file(unpacked.path()).expect("the capture opens");
    assert_eq!(capture.get_datalink(), pcap::Linktype::ETHERNET, "{}", file.display());
    let mut frames = Vec::new();
    loop {
        match capture.next_packet() {
            Ok(packet) => {
                let time = packet.header.ts;
                let time =
                    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64);
                frames.push((time, packet.data.to_vec()));
            }
            Err(pcap::Error::NoMorePackets) => return frames,
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }
}

/// The connections of a capture.
pub(crate) fn load(traces: &Path, file: &str) -> Vec<Connection> {
    connections(&frames(&traces.join(file)))
}

/// The connections in captured Ethernet frames, in the order in which they begin.
fn connections(frames: &[(Duration, Vec<u8>)]) -> Vec<Connection> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut known: BTreeMap<(SocketAddr, SocketAddr), usize> = BTreeMap::new();
    for (time, frame) in frames {
        let Some((source, destination, frame)) = tcp(frame) else { continue };
        let key = if source < destination { (source, destination) } else { (destination, source) };
        let index = *known.entry(key).or_insert(connections.len());
        if index == connections.len() {
            // Who speaks from the higher port is the client, unless the handshake says otherwise.
            let is_client = if frame.syn() { !frame.ack() } else { source.port() > destination.port() };
            let (client, server) = if is_client { (source, destination) } else { (destination, source) };
            connections.push(Connection::new(client, server));
        }
        connections[index].handle(*time, source, &frame);
    }
    connections
}

fn tcp(frame: &[u8]) -> Option<(SocketAddr, SocketAddr, TcpSlice<'_>)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination) = match packet.net? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let TransportSlice::Tcp(tcp) = packet.transport? else { return None };
    let port = |address: std::net::IpAddr, port| SocketAddr::new(address, port);
    Some((port(source, tcp.source_port()), port(destination, tcp.destination_port()), tcp))
}

impl Connection {
    fn new(client_address: SocketAddr, server_address: SocketAddr) -> Self {
        let (client, server) = (Stream::default(), Stream::default());
        Self { client_address, server_address, client, server, events: Vec::new() }
    }

    fn handle(&mut self, time: Duration, source: SocketAddr, segment: &TcpSlice<'_>) {
        let from_client = source == self.client_address;
        if from_client && segment.ack() {
            // What the client acknowledges has come to it, even if it was not captured.
            self.give_up_before(segment.acknowledgment_number(), time);
        }
        let stream = if from_client { &mut self.client } else { &mut self.server };
        for bytes in stream.receive(segment) {
            let event = if from_client { Event::Client(bytes) } else { Event::Server(bytes) };
            self.events.push((time, event));
        }
        if stream.has_just_ended() {
            self.events.push((time, if from_client { Event::ClientEnd } else { Event::ServerEnd }));
        }
    }

    fn give_up_before(&mut self, acknowledged: u32, time: Duration) {
        while let Some(count) = self.server.gap_before(acknowledged) {
            self.events.push((time, Event::ServerMissing(count.into())));
            for bytes in self.server.skip(count) {
                self.events.push((time, Event::Server(bytes)));
            }
        }
    }

    /// All that the client said.
    pub(crate) fn said(&self) -> Vec<u8> {
        let client = self.events.iter().filter_map(|(_, event)| match event {
            Event::Client(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        client.collect::<Vec<_>>().concat()
    }

    /// The session that a replay makes of it, against a target that answers as the online server did.
    pub(crate) fn transcript(&self) -> Transcript {
        let mut transcript = Transcript::new();
        if !self.client.has_syn {
            transcript = transcript.joined();
        }
        let mut now = self.events.first().map_or(Duration::ZERO, |(time, _)| *time);
        for (time, event) in &self.events {
            transcript = transcript.wait(time.saturating_sub(now));
            now = *time;
            transcript = match event {
                Event::Client(bytes) => transcript.client(bytes),
                Event::Server(bytes) => transcript.online(bytes).target(bytes),
                Event::ServerMissing(count) => {
                    transcript.missing(Side::Online, *count).missing(Side::Target, *count)
                }
                Event::ClientEnd => transcript.ends(Side::Client),
                Event::ServerEnd => transcript.ends(Side::Online).ends(Side::Target),
            };
        }
        transcript
    }

    pub(crate) fn name(&self) -> String {
        format!("{} to {}", self.client_address, self.server_address)
    }
}

impl Stream {
    /// Takes a segment in; returns what can be read on.
    fn receive(&mut self, segment: &TcpSlice<'_>) -> Vec<Vec<u8>> {
        let first = segment.sequence_number().wrapping_add(segment.syn().into());
        self.has_syn |= segment.syn();
        self.next.get_or_insert(first);
        let payload = segment.payload();
        if segment.fin() {
            self.fin = Some(first.wrapping_add(payload.len() as u32));
        }
        if !payload.is_empty() {
            self.waiting.push((first, payload.to_vec()));
        }
        self.ready()
    }

    /// What waits no longer for anything before it.
    fn ready(&mut self) -> Vec<Vec<u8>> {
        let mut ready = Vec::new();
        let Some(mut next) = self.next else { return ready };
        while let Some(index) = self.waiting.iter().position(|(first, _)| distance(next, *first) <= 0) {
            let (first, bytes) = self.waiting.remove(index);
            let known = usize::try_from(-distance(next, first)).unwrap_or(0);
            if let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) {
                next = next.wrapping_add(new.len() as u32);
                ready.push(new.to_vec());
            }
        }
        self.next = Some(next);
        ready
    }

    /// How many bytes are missing in front of what waits, or up to what was acknowledged.
    fn gap_before(&self, acknowledged: u32) -> Option<u32> {
        let next = self.next?;
        let end = self.fin.unwrap_or(acknowledged);
        let goal = if distance(end, acknowledged) > 0 { end } else { acknowledged };
        let first = self.waiting.iter().map(|(first, _)| distance(next, *first)).min();
        let gap = first.unwrap_or(i32::MAX).min(distance(next, goal));
        u32::try_from(gap).ok().filter(|gap| *gap > 0)
    }

    fn skip(&mut self, count: u32) -> Vec<Vec<u8>> {
        self.next = self.next.map(|next| next.wrapping_add(count));
        self.ready()
    }

    fn has_just_ended(&mut self) -> bool {
        self.fin.is_some() && self.fin == self.next && {
            self.next = self.next.map(|next| next.wrapping_add(1));
            true
        }
    }
}

fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}
