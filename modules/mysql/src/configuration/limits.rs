//! Limits: what one session may cost.

use serde::Deserialize;

/// What one session may cost at the most. Each has a key in `[limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a command that are looked at before it is said.
    pub(crate) looked_at: usize,
    /// Bytes of preparations that are kept to be said again.
    pub(crate) preparations: usize,
    /// Bytes of what was set that are kept to be said again.
    pub(crate) settings: usize,
    /// Commands that one of the servers has not answered yet.
    pub(crate) unanswered: usize,
    /// Bytes of the online server's that are kept for a command that was not captured yet.
    pub(crate) early_answers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        LimitsTable::default().into()
    }
}

/// The keys.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    /// A judged text costs forty times its length while it is judged.
    looked_at_kib: Within<1, 1024>,
    preparations_mib: Within<1, 1024>,
    settings_kib: Within<1, 65_536>,
    unanswered: Within<16, 65_536>,
    /// The engine holds back 64 MiB at the most.
    early_answers_kib: Within<1, 16_384>,
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            looked_at_kib: Within(256),
            preparations_mib: Within(64),
            settings_kib: Within(1024),
            unanswered: Within(4096),
            early_answers_kib: Within(256),
        }
    }
}

impl From<LimitsTable> for Limits {
    fn from(table: LimitsTable) -> Self {
        Self {
            looked_at: table.looked_at_kib.0 << 10,
            preparations: table.preparations_mib.0 << 20,
            settings: table.settings_kib.0 << 10,
            unanswered: table.unanswered.0,
            early_answers: table.early_answers_kib.0 << 10,
        }
    }
}

/// A number with a range.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Within<const LEAST: usize, const MOST: usize>(usize);

impl<const LEAST: usize, const MOST: usize> TryFrom<i64> for Within<LEAST, MOST> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let within = usize::try_from(number).ok().filter(|number| (LEAST..=MOST).contains(number));
        within.map(Self).ok_or_else(|| format!("{number} is out of range: it can be from {LEAST} to {MOST}"))
    }
}
