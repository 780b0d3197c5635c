//! The one tcpcopy of an intercept that serves only one.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::FixedState;
use tcpcopy_wire::{Flow, Instant};

/// Connections of a C tcpcopy cannot be told from another's but by when they are made: all at once.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Its connections, by their index. Those that take unregistered responses share them by flow.
#[derive(Debug)]
pub(super) struct Single {
    hasher: FixedState,
    /// Who it is, and since when: a C tcpcopy has no identity.
    tenant: Option<(Option<u64>, Instant)>,
    connections: Vec<usize>,
    takers: Vec<usize>,
}

impl Single {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            tenant: None,
            connections: Vec::new(),
            takers: Vec::new(),
        }
    }

    /// Takes in a connection if it is of the tcpcopy that is served, or the first; says whether it was.
    pub(super) fn admit(&mut self, slot: usize, identity: Option<u64>, is_taker: bool, now: Instant) -> bool {
        let (tenant, since) = *self.tenant.get_or_insert((identity, now));
        let is_tenant = tenant == identity && (identity.is_some() || now.since(since) <= AT_ONCE);
        if is_tenant {
            self.connections.push(slot);
            if is_taker {
                self.takers.push(slot);
            }
        }
        is_tenant
    }

    /// The connection at that index is gone.
    pub(super) fn leave(&mut self, slot: usize) {
        self.connections.retain(|&one| one != slot);
        self.takers.retain(|&one| one != slot);
        if self.connections.is_empty() {
            self.tenant = None;
        }
    }

    /// Where a response of a flow that is not registered goes: always to the same connection, so that order is kept.
    pub(super) fn taker(&self, flow: &Flow) -> Option<usize> {
        let count = u64::try_from(self.takers.len()).ok().filter(|&count| count > 0)?;
        let index = usize::try_from(self.hasher.hash_one(flow) % count).ok()?;
        self.takers.get(index).copied()
    }
}
