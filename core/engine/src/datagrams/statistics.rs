//! What became of the datagrams: plain counters.

/// Why a captured datagram was not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Uncopied {
    /// Sent to no online address of a mapping, or by a target.
    NotMapped,
    /// Left out by sampling or by the share.
    NotSampled,
    /// Captured without all of its payload.
    Truncated,
    /// Longer than the target's IP version allows.
    TooLong,
    /// The user's address cannot speak to the target: another family, or loopback without a stand-in.
    NoSourceAddress,
    /// Every source address and port was in use.
    SourcesExhausted,
}

impl Uncopied {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::NotMapped,
        Self::NotSampled,
        Self::Truncated,
        Self::TooLong,
        Self::NoSourceAddress,
        Self::SourcesExhausted,
    ];

    /// The name in reports: lower case with underscores.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotMapped => "not_mapped",
            Self::NotSampled => "not_sampled",
            Self::Truncated => "truncated",
            Self::TooLong => "too_long",
            Self::NoSourceAddress => "no_source_address",
            Self::SourcesExhausted => "sources_exhausted",
        }
    }

    /// What a person reads beside the name.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NotMapped => "sent to no online address of -x, or by a target",
            Self::NotSampled => "of users that -r, -g or --share leaves out",
            Self::Truncated => "captured without all of their payload; see -S",
            Self::TooLong => "longer than IPv4 allows, of users over IPv6",
            Self::NoSourceAddress => "the user's address cannot speak to the target (see -c, -H)",
            Self::SourcesExhausted => "every source address and port (-c) was in use",
        }
    }
}

/// What became of captured fragments. `captured` is always the sum of `joined`, `repeated`, `lost` and `pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentTotals {
    /// Handed in.
    pub captured: u64,
    /// Put together to datagrams.
    pub joined: u64,
    /// How many datagrams that made; they are among those captured, and no part of the sum.
    pub datagrams: u64,
    /// There already.
    pub repeated: u64,
    /// Of packets that did not become whole, in time or at all.
    pub lost: u64,
    /// Waiting for others of their packet.
    pub pending: u64,
}

/// Cumulative counters of [`Datagrams`](crate::Datagrams).
///
/// At every moment `captured` is `copied` plus all `uncopied`, and `copied` times the copies wanted is `copies` plus
/// `copies_without_source`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramStatistics {
    /// Datagrams captured, whole or put together of fragments.
    pub captured: u64,
    /// Their payload in bytes.
    pub captured_bytes: u64,
    /// Datagrams of which copies were made.
    pub copied: u64,
    /// Datagrams of which none was made, by [`Uncopied::ALL`].
    pub uncopied: [u64; Uncopied::ALL.len()],
    /// Copies made.
    pub copies: u64,
    /// Their payload in bytes.
    pub copied_bytes: u64,
    /// Copies of copied datagrams that were not made, as every source address and port was in use.
    pub copies_without_source: u64,
    /// Of the copies, those sent in fragments.
    pub fragmented_copies: u64,
    /// Captured fragments.
    pub fragments: FragmentTotals,
    /// Users' ends for which source ends are held.
    pub flows: u64,
    /// Users' ends that had to be forgotten early: their next copies may come from other ends.
    pub flows_forgotten: u64,
}
