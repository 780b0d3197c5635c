//! UDP in the lab: senders whose every byte follows from who they are, receivers that note what came from where, and the
//! comparison of the two.
//!
//! A datagram has no room for a name when it is empty, so each is known by its place: of every end that datagrams came
//! from, the whole row of them is held against the row its sender sent.

mod accounting;
mod receiver;
mod sender;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::traffic::Sources;

pub use accounting::{Datagrams, account};
pub use receiver::{ReceiverPlan, ReceiverRecord, run_receiver};
pub use sender::{SenderRecord, run_senders};

/// What senders do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendersPlan {
    /// Where they send to, sender *n* to the *n*-th, over and over. Filled in from the scenario's mappings.
    pub targets: Vec<SocketAddr>,
    /// Where they send from, each from a port of its own.
    pub sources: Sources,
    /// How many they are.
    pub senders: u32,
    /// How many datagrams each of them sends.
    pub each: u32,
    /// How long those are, one size after the other, over and over.
    pub sizes: Vec<u32>,
    /// The time between two datagrams, whosesoever.
    pub gap: Duration,
}

impl SendersPlan {
    /// How long datagram `number` of sender `sender` is: not all senders begin with the same size.
    fn size(&self, sender: u32, number: u32) -> usize {
        let index = (sender + number) as usize % self.sizes.len();
        self.sizes[index] as usize
    }

    /// What it says.
    fn payload(&self, sender: u32, number: u32) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(u64::from(sender) << 32 | u64::from(number));
        let mut payload = vec![0; self.size(sender, number)];
        random.fill(&mut payload);
        payload
    }
}

/// What tells payloads apart: their length, and a sum over all of their bytes (FNV-1a).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Print {
    len: u32,
    sum: u64,
}

impl Print {
    fn of(payload: &[u8]) -> Self {
        let sum = payload
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Self { len: payload.len() as u32, sum }
    }
}
