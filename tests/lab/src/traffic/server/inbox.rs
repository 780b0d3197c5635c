//! Reads tagged requests from the byte stream of one connection, checking every byte.

use std::ops::ControlFlow;

use super::super::plan::Wording;
use super::super::request::{Body, Head, Request, RequestId};
use super::record::Alteration;

/// What the stream of a connection brought.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// A whole request. `flaw` says what is not as it was sent, and shows it.
    Request { request: Request, flaw: Option<Flaw> },
    /// Bytes that are no request; nothing after them can be read.
    Garbage(Flaw),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flaw {
    pub(super) reason: &'static str,
    pub(super) bytes: Vec<u8>,
}

impl Flaw {
    fn new(reason: &'static str, bytes: &[u8]) -> Self {
        Self { reason, bytes: bytes[..bytes.len().min(Alteration::SHOWN)].to_vec() }
    }
}

/// The state of one connection's stream.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// A head that began in an earlier chunk.
    head: Vec<u8>,
    /// The request whose body is being read.
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    request: Request,
    /// Bytes of the body that were read.
    offset: u64,
    flaw: Option<Flaw>,
}

impl Inbox {
    /// Takes a chunk; `sink` gets all that ends in it, and may break off. Returns how many bytes were not looked at
    /// for that reason.
    ///
    /// Heads are to have that `wording`; `rebuilt` is room for one, shared by all connections.
    pub(super) fn take(
        &mut self,
        mut chunk: &[u8],
        wording: &Wording,
        rebuilt: &mut Vec<u8>,
        mut sink: impl FnMut(Received) -> ControlFlow<()>,
    ) -> usize {
        loop {
            if let Some(current) = &mut self.current {
                chunk = current.take_body(chunk);
                if current.offset < u64::from(current.request.body) {
                    return 0;
                }
                let received = Received::Request { request: current.request, flaw: current.flaw.take() };
                self.current = None;
                if sink(received).is_break() {
                    return chunk.len();
                }
            }
            if chunk.is_empty() {
                return 0;
            }
            match self.take_head(chunk, wording, rebuilt) {
                Ok(rest) => chunk = rest,
                Err(flaw) => {
                    self.head.clear();
                    // Whatever the sink says: where the next request begins is unknown.
                    let _ = sink(Received::Garbage(flaw));
                    return chunk.len();
                }
            }
        }
    }

    fn take_head<'c>(
        &mut self,
        chunk: &'c [u8],
        wording: &Wording,
        rebuilt: &mut Vec<u8>,
    ) -> Result<&'c [u8], Flaw> {
        let earlier = self.head.len();
        let bytes = if earlier == 0 {
            chunk
        } else {
            self.head.extend_from_slice(chunk);
            &self.head
        };
        match Head::parse(bytes, wording, rebuilt) {
            Head::Partial => {
                if earlier == 0 {
                    self.head.extend_from_slice(chunk);
                }
                Ok(&[])
            }
            Head::Malformed(reason) => Err(Flaw::new(reason, bytes)),
            Head::Whole { request, length, exact } => {
                let flaw = if exact { None } else { Some(Flaw::new("the head differs", &bytes[..length])) };
                self.current = Some(Current { request, offset: 0, flaw });
                self.head.clear();
                Ok(&chunk[length - earlier..])
            }
        }
    }

    /// What was begun and is not whole: its id when that is known, and the bytes of it that are here.
    pub(super) fn unfinished(&self) -> Option<(Option<RequestId>, u64)> {
        match &self.current {
            Some(current) => Some((Some(current.request.id), current.offset)),
            None if self.head.is_empty() => None,
            None => Some((None, self.head.len() as u64)),
        }
    }
}

impl Current {
    fn take_body<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let left = u64::from(self.request.body) - self.offset;
        let (body, rest) = chunk.split_at((chunk.len() as u64).min(left) as usize);
        if self.flaw.is_none() && !Body::of(self.request.id).matches(self.offset, body) {
            self.flaw = Some(Flaw::new("the body differs", body));
        }
        self.offset += body.len() as u64;
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::outbox::Message;
    use super::super::super::request::Outgoing;
    use super::*;

    fn requests() -> [Request; 3] {
        [(0, 0), (1, 70), (2, 0)].map(|(request, body)| {
            let id = RequestId::new(1, 2, request);
            Request { id, body, want: 10, delay_ms: 0 }
        })
    }

    fn stream() -> Vec<u8> {
        let mut bytes = Vec::new();
        for request in requests() {
            let outgoing = Outgoing::new(request, 0, false);
            outgoing.write(0, outgoing.size() as usize, &mut bytes);
        }
        bytes
    }

    fn receive<'c>(inbox: &mut Inbox, chunks: impl Iterator<Item = &'c [u8]>) -> Vec<Received> {
        let mut received = Vec::new();
        for chunk in chunks {
            inbox.take(chunk, &Wording::default(), &mut Vec::new(), |one| {
                received.push(one);
                ControlFlow::Continue(())
            });
        }
        received
    }

    #[test]
    fn requests_are_read_however_they_are_cut() {
        let bytes = stream();
        let expected = requests().map(|request| Received::Request { request, flaw: None });
        for step in 1..bytes.len() {
            let mut inbox = Inbox::default();
            assert_eq!(receive(&mut inbox, bytes.chunks(step)), expected, "in chunks of {step}");
            assert_eq!(inbox.unfinished(), None);
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let bytes = stream();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            let mut inbox = Inbox::default();
            let received = receive(&mut inbox, changed.chunks(50));
            let exact =
                received.iter().filter(|one| matches!(one, Received::Request { flaw: None, .. })).count();
            assert!(exact < 3, "byte {position} is changed: {received:?}");
        }
    }

    #[test]
    fn breaking_off_leaves_the_rest_unread() {
        let bytes = stream();
        let first = Outgoing::new(requests()[0], 0, false).size() as usize;
        let (wording, mut rebuilt) = (Wording::default(), Vec::new());
        let unread = Inbox::default().take(&bytes, &wording, &mut rebuilt, |_| ControlFlow::Break(()));
        assert_eq!(unread, bytes.len() - first);
    }

    #[test]
    fn what_ends_early_is_known() {
        let bytes = stream();
        let end = Outgoing::new(requests()[2], 0, false).size() as usize;
        let mut inbox = Inbox::default();
        assert_eq!(receive(&mut inbox, [&bytes[..bytes.len() - end - 3]].into_iter()).len(), 1);
        assert_eq!(inbox.unfinished(), Some((Some(requests()[1].id), 67)));
    }
}
