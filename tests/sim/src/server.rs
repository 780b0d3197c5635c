//! A server: the online one and the target are two of these.

use std::collections::HashMap;
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use tcpcopy_wire::{Endpoint, Flags, Instant, Ipv4Identification, Segment, SeqNum, emit, parse_ip};

use crate::host::Host;
use crate::link::Phase;
use crate::protocol::{self, GREETING, Garbled, Kind, Messages};
use crate::replayer::headers;
use crate::scenario::Service;
use crate::script::Answer;

/// What a server has read on one of its connections, numbered in the order of their acceptance.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) connection: usize,
    pub(crate) client: Endpoint,
    pub(crate) bytes: Vec<u8>,
}

/// What Linux does (`tcp_invalid_ratelimit`).
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) struct Server {
    pub(crate) host: Host,
    service: Service,
    /// By tag.
    answers: Vec<Answer>,
    greeting: Option<usize>,
    port: u16,
    began: Instant,
    listener: Option<SocketHandle>,
    serving: Vec<Serving>,
    accepted: usize,
    heard: Vec<Heard>,
    /// The sequence number of the SYN that arrived last.
    latest_syn: Option<SeqNum>,
    /// What would be said next to each client if it were nothing.
    latest: HashMap<Endpoint, Segment<'static>>,
    challenges: Vec<Vec<u8>>,
}

struct Serving {
    number: usize,
    client: Endpoint,
    isn: Option<SeqNum>,
    socket: SocketHandle,
    messages: Messages,
    /// Nothing more is said: the client was not understood, or was reset.
    is_over: bool,
    /// Responses in order, with the time each is ready.
    due: Vec<(Instant, u32)>,
    outgoing: Vec<u8>,
    sent: usize,
    answered: u32,
    reads_at: Instant,
    challenged_at: Instant,
    is_closing: bool,
    /// The request being read is too long: it is answered, and no other after it.
    is_refusing: bool,
}

impl Server {
    pub(crate) fn new(
        host: Host,
        port: u16,
        service: Service,
        answers: Vec<Answer>,
        greeting: Option<usize>,
        began: Instant,
    ) -> Self {
        Self {
            host,
            service,
            answers,
            greeting,
            port,
            began,
            listener: None,
            serving: Vec::new(),
            accepted: 0,
            heard: Vec::new(),
            latest_syn: None,
            latest: HashMap::new(),
            challenges: Vec::new(),
        }
    }

    /// A packet arrives. smoltcp says nothing to a SYN of a connection it has; a server has to (RFC 9293
    /// §3.10.7.4, RFC 5961 §4.2), or gives a connection in TIME-WAIT up for the new one (RFC 6191).
    pub(crate) fn receive(&mut self, packet: Vec<u8>, now: Instant) {
        let segment = parse_ip(&packet, packet.len()).ok().filter(|segment| segment.flags == Flags::SYN);
        if let Some(segment) = segment
            && let Some(at) = self.serving.iter().position(|serving| serving.client == segment.source)
        {
            let (handle, isn) = (self.serving[at].socket, self.serving[at].isn);
            match self.host.socket(handle).state() {
                // Repeated; so will be the answer.
                State::SynReceived if isn == Some(segment.seq) => return,
                State::TimeWait | State::Closed | State::Listen => {
                    self.serving.remove(at).read_out(&mut self.host, &mut self.heard);
                    self.host.close_at_once(handle);
                }
                _ => return self.challenge(at, now),
            }
        }
        self.latest_syn = segment.map(|segment| segment.seq).or(self.latest_syn);
        self.host.receive(packet);
    }

    /// The next packet to send.
    pub(crate) fn take_sent(&mut self) -> Option<Vec<u8>> {
        if let Some(challenge) = self.challenges.pop() {
            return Some(challenge);
        }
        let packet = self.host.take_sent()?;
        if let Ok(segment) = parse_ip(&packet, packet.len())
            && !segment.flags.rst()
        {
            let next = Segment { seq: segment.seq + segment.len(), flags: Flags::ACK, ..segment };
            self.latest.insert(segment.destination, headers(&next));
        }
        Some(packet)
    }

    /// A challenge ACK: what was said last to this client, without payload; not too often (RFC 5961 §7).
    fn challenge(&mut self, at: usize, now: Instant) {
        let serving = &mut self.serving[at];
        if now.since(serving.challenged_at) < CHALLENGE_INTERVAL {
            return;
        }
        serving.challenged_at = now;
        let mut packet = vec![0; 200];
        if let Some(latest) = self.latest.get(&serving.client)
            && let Ok(len) = emit(latest, Ipv4Identification(0), [&[], &[]], &mut packet)
        {
            packet.truncate(len);
            self.challenges.push(packet);
        }
    }

    /// What was read since the last call.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// When the server does something without a packet having arrived.
    pub(crate) fn acts_at(&mut self, now: Instant) -> Option<Instant> {
        let elapsed = now.since(self.began);
        let phases = self.service.down.iter().chain(&self.service.deaf);
        let edges = phases.flat_map(|phase| [phase.from, phase.until()]);
        let next_edge = edges.filter(|edge| *edge > elapsed).min().map(|edge| self.began + edge);
        let answers = self.serving.iter().filter_map(|serving| serving.due.first().map(|(at, _)| *at));
        let host = &mut self.host;
        let reads = self
            .serving
            .iter()
            .filter(|serving| serving.reads_at > now && host.socket(serving.socket).can_recv())
            .map(|serving| serving.reads_at);
        let reads: Vec<Instant> = reads.collect();
        answers.chain(reads).chain(next_edge).min()
    }

    /// Accepts, reads, answers.
    pub(crate) fn act(&mut self, now: Instant) {
        let elapsed = now.since(self.began);
        if Phase::end_at(&self.service.down, elapsed).is_some() {
            return self.go_down();
        }
        self.accept();
        let is_deaf = Phase::end_at(&self.service.deaf, elapsed).is_some();
        for serving in &mut self.serving {
            if !is_deaf {
                serving.read(&mut self.host, &self.service, &self.answers, now, &mut self.heard);
            }
            serving.answer(&mut self.host, &self.service, &self.answers, now);
        }
        let host = &mut self.host;
        self.serving.retain(|serving| {
            let socket = host.socket(serving.socket);
            let is_closed = socket.state() == State::Closed && socket.remote_endpoint().is_none();
            // A handshake that was reset makes smoltcp listen again.
            let gone = (is_closed && !socket.can_recv()) || socket.state() == State::Listen;
            if gone {
                host.close_at_once(serving.socket);
            }
            !gone
        });
    }

    /// Reads whatever has arrived, however slowly the server reads otherwise: what TCP has acknowledged counts
    /// as heard.
    pub(crate) fn read_out(&mut self) {
        for serving in &mut self.serving {
            serving.read_out(&mut self.host, &mut self.heard);
        }
    }

    fn go_down(&mut self) {
        self.read_out();
        let sockets = self.serving.drain(..).map(|serving| serving.socket).chain(self.listener.take());
        for socket in sockets {
            self.host.close_at_once(socket);
        }
    }

    fn accept(&mut self) {
        if let Some(listener) = self.listener {
            let socket = self.host.socket(listener);
            let Some(client) = socket.remote_endpoint() else { return };
            self.listener = None;
            let mut outgoing = Vec::new();
            if let Some(body) = self.greeting {
                protocol::write(Kind::Response, GREETING, body, &mut outgoing);
            }
            self.serving.push(Serving {
                number: self.accepted,
                client: Endpoint::new(client.addr.into(), client.port),
                isn: self.latest_syn,
                socket: listener,
                messages: Messages::new(Kind::Request),
                is_over: false,
                due: Vec::new(),
                outgoing,
                sent: 0,
                answered: 0,
                reads_at: Instant::ZERO,
                challenged_at: Instant::ZERO,
                is_closing: false,
                is_refusing: false,
            });
            self.accepted += 1;
        }
        self.listener = Some(self.host.listen(self.port));
    }
}

impl Serving {
    fn read(
        &mut self,
        host: &mut Host,
        service: &Service,
        answers: &[Answer],
        now: Instant,
        all_heard: &mut Vec<Heard>,
    ) {
        if self.reads_at > now {
            return;
        }
        let most = service.reading.map_or(usize::MAX, |(bytes, _)| bytes);
        while let Some(heard) = self.hear(host, most) {
            self.take_in(&heard.bytes, service, answers, now);
            all_heard.push(heard);
            if let Some((_, rest)) = service.reading {
                self.reads_at = now + rest;
                return;
            }
        }
    }

    /// Reads what has arrived without attending to it: the connection is about to go.
    fn read_out(&mut self, host: &mut Host, all_heard: &mut Vec<Heard>) {
        while let Some(heard) = self.hear(host, usize::MAX) {
            all_heard.push(heard);
        }
    }

    fn hear(&mut self, host: &mut Host, most: usize) -> Option<Heard> {
        let socket = host.socket(self.socket);
        if !socket.can_recv() {
            return None;
        }
        let take = |bytes: &mut [u8]| {
            let len = bytes.len().min(most);
            (len, bytes[..len].to_vec())
        };
        let bytes = socket.recv(take).ok()?;
        Some(Heard { connection: self.number, client: self.client, bytes })
    }

    fn take_in(&mut self, bytes: &[u8], service: &Service, answers: &[Answer], now: Instant) {
        let mut requests = Vec::new();
        if self.messages.read(bytes, |tag| requests.push(tag)) == Err(Garbled) {
            self.is_over = true;
        }
        if self.is_closing || self.is_refusing {
            return;
        }
        if let (Some(most), Some((tag, len))) = (service.refuses_over, self.messages.begun())
            && len > most
        {
            self.is_refusing = true;
            requests.push(tag);
        }
        for tag in requests {
            if let Some(answer) = answers.get(tag as usize) {
                let after = self.due.last().map_or(now, |(at, _)| *at).max(now);
                self.due.push((after + answer.takes, tag));
            }
        }
    }

    fn answer(&mut self, host: &mut Host, service: &Service, answers: &[Answer], now: Instant) {
        let socket = host.socket(self.socket);
        if self.is_over {
            self.due.clear();
            socket.close();
            return;
        }
        while let Some((_, tag)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(0);
            self.answered += 1;
            let Some(answer) = answers.get(tag as usize) else { continue };
            if service.resets_every.is_some_and(|every| self.answered.is_multiple_of(every)) {
                self.due.clear();
                self.is_over = true;
                return socket.abort();
            }
            protocol::write(Kind::Response, tag, answer.body, &mut self.outgoing);
            let is_last = service.closes_every.is_some_and(|every| self.answered.is_multiple_of(every));
            if answer.closes || is_last {
                self.is_closing = true;
                self.due.clear();
            }
        }
        while self.sent < self.outgoing.len() && socket.can_send() {
            self.sent += socket.send_slice(&self.outgoing[self.sent..]).unwrap_or(0);
        }
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
            let is_heard = self.due.is_empty() && socket.send_queue() == 0;
            if self.is_refusing && !self.is_closing {
                self.is_over = is_heard;
                return if is_heard {
                    socket.abort()
                };
            }
            let client_closed = !socket.may_recv() && socket.state() == State::CloseWait;
            if self.is_closing || (client_closed && self.due.is_empty()) {
                socket.close();
            }
        }
    }
}
