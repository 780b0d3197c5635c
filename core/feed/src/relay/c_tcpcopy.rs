//! A connected C tcpcopy: its half-read record, and its flows in the order in which they may be forgotten.

use std::collections::VecDeque;

use tcpcopy_wire::{Flow, Instant};

use super::peer::Stage;
use super::{Relay, RelayEvent};
use crate::c_tool::{ROUTE_BYTES, Route, parse_route};
use crate::{FlowId, PeerError};

/// What is special about a C tcpcopy.
#[derive(Debug, Default)]
pub(super) struct CTcpcopy {
    partial: Vec<u8>,
    /// Its flows, those first that were looked at first.
    pub(super) order: VecDeque<FlowId>,
    flows_begun: u64,
}

impl CTcpcopy {
    /// The next whole record, taken from the start of `input`; `None` when `input` is used up.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Option<Route> {
        let missing = ROUTE_BYTES.saturating_sub(self.partial.len()).min(input.len());
        let (taken, rest) = input.split_at(missing);
        self.partial.extend_from_slice(taken);
        *input = rest;
        let record = *self.partial.first_chunk::<ROUTE_BYTES>()?;
        self.partial.clear();
        Some(parse_route(record))
    }

    /// A number for a new flow: a C tcpcopy gives it none.
    pub(super) fn number(&mut self) -> FlowId {
        self.flows_begun += 1;
        let id = FlowId(self.flows_begun);
        self.order.push_back(id);
        id
    }
}

impl Relay {
    /// A C tcpcopy has said which version it is of; it gets no answer.
    pub(super) fn greet_c(&mut self, slot: usize, now: Instant) -> Result<(), PeerError> {
        let Some(peer) = self.peers.get_mut(slot) else {
            return Ok(());
        };
        peer.c_tcpcopy = Some(CTcpcopy::default());
        peer.stage = Stage::Connected;
        if self.options.single && !self.single.admit(slot, None, true, now) {
            return Err(PeerError::NotSingle);
        }
        self.wants_payload |= self.options.c_format.payload;
        self.events.push_back(RelayEvent::CConnected { peer: peer.id });
        Ok(())
    }

    /// Registers what a C tcpcopy asks for.
    pub(super) fn read_routes(&mut self, slot: usize, mut bytes: &[u8]) {
        while let Some(c_tcpcopy) = self.peers.get_mut(slot).and_then(|peer| peer.c_tcpcopy.as_mut())
            && let Some(route) = c_tcpcopy.next(&mut bytes)
        {
            if let Route::Add(flow) = route {
                self.add_unnumbered(slot, flow);
            }
        }
    }

    /// Registers a flow of a C tcpcopy, which says so again for every new connection on it.
    fn add_unnumbered(&mut self, slot: usize, flow: Flow) {
        let key = self.keying().key(flow);
        if self.routes.renew(&key, slot) {
            return;
        }
        let most = self.options.c_flows.min(self.options.max_flows_per_peer).max(1);
        while self.peers.get_mut(slot).is_some_and(|peer| peer.flows.len() >= most) {
            self.forget_one(slot);
        }
        let c_tcpcopy = self.peers.get_mut(slot).and_then(|peer| peer.c_tcpcopy.as_mut());
        if let Some(id) = c_tcpcopy.map(CTcpcopy::number) {
            self.add(slot, id, flow, u32::MAX);
        }
    }

    /// Looks at the flow whose turn it is: one that had a response since its last turn waits for the next one, any other
    /// is forgotten.
    fn forget_one(&mut self, slot: usize) {
        let Some(peer) = self.peers.get_mut(slot) else {
            return;
        };
        let Some(c_tcpcopy) = &mut peer.c_tcpcopy else {
            return;
        };
        let Some(id) = c_tcpcopy.order.pop_front() else {
            return;
        };
        let Some(flow) = peer.flows.get(&id) else {
            return;
        };
        if self.routes.take_used(flow, slot, id) {
            c_tcpcopy.order.push_back(id);
        } else {
            self.routes.remove(flow, slot, id);
            peer.flows.remove(&id);
        }
    }
}
