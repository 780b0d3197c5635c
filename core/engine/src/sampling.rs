//! Which users are replayed: `-r`, `-g` and shares among several tcpcopys.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::FixedState;
use tcpcopy_wire::{Endpoint, Instant};

use crate::{Sampling, Share};

/// The hash is the same in every process, so that several tcpcopys agree on who is whose.
const SEED: u64 = 0x7463_7063_6f70_7900;
/// What is sampled is told apart so finely.
const GRAINS: u64 = 10_000;

/// Says of each user whether it is replayed, from the user's end alone: so it holds for a connection's whole life.
pub(crate) struct Sampler {
    sampling: Sampling,
    share: Share,
    hasher: FixedState,
    began_at: Option<Instant>,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, share: Share) -> Self {
        Self { sampling, share, hasher: FixedState::with_seed(SEED), began_at: None }
    }

    /// The capture has begun.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.began_at.get_or_insert(now);
    }

    /// Whether a user at `client` who begins now is replayed.
    pub(crate) fn takes(&self, client: Endpoint, now: Instant) -> bool {
        let grains = match self.sampling {
            Sampling::All if self.share == Share::WHOLE => return true,
            Sampling::All => u128::from(GRAINS),
            Sampling::Percent(percent) => u128::from(percent) * u128::from(GRAINS) / 100,
            Sampling::Ramp(over) => {
                let elapsed = now.since(self.began_at.unwrap_or(now)).as_micros();
                u128::from(GRAINS) * elapsed / over.as_micros().max(1)
            }
        };
        let hash = match client.addr {
            IpAddr::V4(addr) => self.hasher.hash_one((addr.to_bits(), client.port)),
            IpAddr::V6(addr) => self.hasher.hash_one((addr.to_bits(), client.port)),
        };
        // Different digits of the hash, so that a sample of a share is a share of the sample.
        u128::from(hash % GRAINS) < grains && self.share.has(hash / GRAINS)
    }
}
