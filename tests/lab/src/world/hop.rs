//! A hop: the link between two hosts, and the faults it may have.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::world::host::HostName;

/// The links of every world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hop {
    /// client → online: what tcpcopy captures has crossed it.
    Users,
    /// online → target: carries the copied packets.
    Copy,
    /// target → assistant: carries the target's responses.
    Response,
    /// assistant → online: the channel between tcpcopy and intercept.
    Feed,
}

impl Hop {
    /// Every hop.
    pub const ALL: [Self; 4] = [Self::Users, Self::Copy, Self::Response, Self::Feed];

    /// The name, also of the hop's device on both hosts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Copy => "copy",
            Self::Response => "response",
            Self::Feed => "feed",
        }
    }

    /// The two hosts; "forward" is from the first to the second.
    #[must_use]
    pub fn ends(self) -> [HostName; 2] {
        match self {
            Self::Users => [HostName::Client, HostName::Online],
            Self::Copy => [HostName::Online, HostName::Target],
            Self::Response => [HostName::Target, HostName::Assistant],
            Self::Feed => [HostName::Assistant, HostName::Online],
        }
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to frames that cross a hop in one direction. All zero: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Faults {
    /// Probability, 0 to 1, that a frame is swallowed.
    pub loss: f64,
    /// Probability, 0 to 1, that a frame is delivered twice.
    pub duplicate: f64,
    /// Probability, 0 to 1, that a frame is held back so that later ones overtake it.
    pub reorder: f64,
    /// How long a reordered frame is held back in addition to `delay`.
    pub hold: Duration,
    /// One-way delay of every frame.
    pub delay: Duration,
    /// The delay varies by up to this much, without reordering.
    pub jitter: Duration,
}

impl Faults {
    /// Faults that only swallow frames, with this probability.
    #[must_use]
    pub fn loss(probability: f64) -> Self {
        Self { loss: probability, ..Self::default() }
    }

    /// Faults that only delay frames.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// The faults of one impaired hop.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Impairment {
    /// From the hop's first host to its second.
    pub forward: Faults,
    /// From the second to the first.
    pub backward: Faults,
    /// Decides which frames are hit; the same seed and the same frames give the same faults.
    pub seed: u64,
}

impl Impairment {
    /// The same faults both ways.
    #[must_use]
    pub fn both_ways(faults: Faults) -> Self {
        Self { forward: faults, backward: faults, seed: 1 }
    }

    /// A hop without faults that can be cut and opened.
    #[must_use]
    pub fn switchable() -> Self {
        Self::both_ways(Faults::default())
    }
}

/// Which hops of a world are impaired. A hop without an entry is a plain veth pair with offloads on, so captures
/// see frames larger than the MTU.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Impairments {
    /// client ↔ online.
    pub users: Option<Impairment>,
    /// online ↔ target.
    pub copy: Option<Impairment>,
    /// target ↔ assistant.
    pub response: Option<Impairment>,
    /// assistant ↔ online.
    pub feed: Option<Impairment>,
}

impl Impairments {
    /// The impairment of one hop.
    #[must_use]
    pub fn of(&self, hop: Hop) -> Option<Impairment> {
        match hop {
            Hop::Users => self.users,
            Hop::Copy => self.copy,
            Hop::Response => self.response,
            Hop::Feed => self.feed,
        }
    }
}
