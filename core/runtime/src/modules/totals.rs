//! What modules did, as plain values: for reports, and for `tcpcopy ctl`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which module: its name, and which of all that were loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleName {
    /// The online side of the mapping it was loaded for, as `-x` takes it.
    pub mapping: String,
    /// The number of the generation, which grows with every load of the process.
    pub generation: u32,
    /// What the module calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mapping, generation, name, version } = self;
        write!(f, "{name} {version} (generation {generation}, for {mapping})")
    }
}

/// One generation: a module that was loaded, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationTotals {
    /// Which.
    #[serde(flatten)]
    pub module: ModuleName,
    /// `current`, `draining`, `retired` or `rolled_back`.
    pub state: String,
    /// The version of the plugin API it was made for.
    pub api: String,
    /// The library.
    pub file: String,
    /// Where its configuration came from: a path, or `inline`; empty without one.
    pub configuration: String,
    /// Sessions that began with it.
    pub sessions_opened: u64,
    /// Sessions that it serves now.
    pub sessions_live: u64,
    /// Sessions that moved to it from an older generation.
    pub sessions_moved_in: u64,
    /// Turns taken into its sessions.
    pub turns_captured: u64,
    /// Turns lost by its sessions.
    pub turns_lost: u64,
    /// Sessions that it gave up.
    pub gave_up: u64,
    /// Why, frequent ones first.
    pub gave_up_reasons: Vec<ReasonTotals>,
    /// Sessions in which it broke.
    pub faults: u64,
    /// How, frequent ones first.
    pub fault_reasons: Vec<ReasonTotals>,
    /// What else it had to say, frequent ones first.
    pub remarks: Vec<ReasonTotals>,
    /// Calls of its conversations.
    pub calls: u64,
    /// How long a call takes in the mean; `None` before the first.
    pub mean_call_ns: Option<u64>,
    /// The longest call that was timed or slow.
    pub longest_call_ns: u64,
    /// Calls that took 10 ms or more.
    pub slow_calls: u64,
}

/// What happened for one reason: sessions that ended, or remarks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonTotals {
    /// The module's phrase.
    pub reason: String,
    /// How often.
    pub times: u64,
}

/// What modules left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardTotals {
    /// The module's phrase.
    pub reason: String,
    /// How often.
    pub times: u64,
    /// Bytes of users.
    pub bytes: u64,
}

/// All modules of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModulesTotals {
    /// In the order in which they were loaded.
    pub generations: Vec<GenerationTotals>,
    /// What they left out.
    pub discards: Vec<DiscardTotals>,
    /// Exchanges that are missing from the comparison because too many came at once.
    pub exchanges_dropped: u64,
}
