//! What a running tcpcopy answers `tcpcopy ctl`: one line of JSON.

use serde::{Deserialize, Serialize};

use super::ADMIN_VERSION;
use crate::{Account, ComparisonTotals, DiscardTotals, GenerationTotals, ModuleName};

/// One reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// [`ADMIN_VERSION`].
    pub version: u32,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

impl Reply {
    /// A reply in the present version.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self { version: ADMIN_VERSION, answer }
    }
}

/// What is answered, by what was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How the process is.
    Status(Box<StatusAnswer>),
    /// Every module that was loaded, in that order.
    Modules(Vec<GenerationTotals>),
    /// The module was replaced.
    Swap(SwapAnswer),
    /// What was loaded again.
    Reload(ReloadAnswer),
    /// Live sessions.
    Sessions(SessionsAnswer),
    /// What was replayed, and how the answers compare.
    Stats(Box<StatsAnswer>),
    /// The level of the log.
    Log(String),
    /// What was asked cannot be done, in a sentence. Nothing has changed.
    Error(String),
}

/// How a process is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// The version of tcpcopy.
    pub tcpcopy: String,
    /// Its process number.
    pub pid: u32,
    /// The time since its start, in milliseconds.
    pub running_for_ms: u64,
    /// The devices captured on.
    pub devices: Vec<String>,
    /// Whether what the online servers answer is captured as well.
    pub captures_answers: bool,
    /// Frames that found a capture ring full.
    pub kernel_dropped: u64,
    /// What is replayed to whom, and by which module.
    pub mappings: Vec<MappingStatus>,
    /// Connections to intercepts that should be, and are, up.
    pub feeds_wanted: usize,
    /// See there.
    pub feeds_connected: usize,
    /// Sessions so far, and now.
    pub sessions_opened: u64,
    /// See there.
    pub sessions_live: u64,
    /// What became of the turns.
    pub turns: Account,
    /// What is logged, and everything graver.
    pub log_level: String,
}

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingStatus {
    /// The online side, as `-x` takes it.
    pub mapping: String,
    /// The target.
    pub target: String,
    /// The module that serves its new sessions, if there is one.
    pub module: Option<ModuleName>,
}

/// A module was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapAnswer {
    /// The module that serves new sessions now.
    pub module: ModuleName,
    /// The one that did before.
    pub replaced: Option<ModuleName>,
}

/// Modules were looked at for changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// Those that were loaded again.
    pub reloaded: Vec<SwapAnswer>,
    /// Mappings whose module is as it was.
    pub unchanged: Vec<String>,
    /// What could not be loaded, a sentence each; there the module that was goes on.
    pub failed: Vec<String>,
}

/// Live sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsAnswer {
    /// How many there are.
    pub live: u64,
    /// As many as were asked for, those that most is pending of first.
    pub sessions: Vec<SessionLine>,
}

/// One live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Its number, in hexadecimal as in the log.
    pub id: String,
    /// Its mapping; `None` if none fits any more.
    pub mapping: Option<String>,
    /// The generation of the module that serves it.
    pub generation: Option<u32>,
    /// The user.
    pub client: String,
    /// The online server.
    pub online: String,
    /// The end that the copy speaks from.
    pub source: String,
    /// The target.
    pub target: String,
    /// Where it stands, in a word.
    pub state: String,
    /// Turns that the target has not taken.
    pub turns_pending: u64,
    /// Bytes that the target has not taken.
    pub bytes_pending: u64,
    /// How long ago it began, in milliseconds.
    pub open_for_ms: u64,
    /// How long ago anybody said something, in milliseconds.
    pub idle_for_ms: u64,
}

/// What was replayed so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatsAnswer {
    /// The time since the start, in milliseconds.
    pub running_for_ms: u64,
    /// Sessions so far, and now.
    pub sessions_opened: u64,
    /// See there.
    pub sessions_live: u64,
    /// Why sessions ended, those reasons that occurred.
    pub verdicts: Vec<VerdictTotals>,
    /// What became of the turns.
    pub turns: Account,
    /// What became of the bytes that users said.
    pub bytes: Account,
    /// Bytes that modules said of their own.
    pub bytes_inserted: u64,
    /// What modules left out.
    pub discards: Vec<DiscardTotals>,
    /// How the answers compare, by mapping.
    pub comparisons: Vec<ComparisonTotals>,
    /// Exchanges that are missing from the comparison because too many came at once.
    pub exchanges_dropped: u64,
}

/// Sessions that ended with one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictTotals {
    /// The verdict.
    pub verdict: String,
    /// How many.
    pub sessions: u64,
    /// Their turns that the target did not take.
    pub turns_lost: u64,
    /// Their bytes that the target did not take.
    pub bytes_lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_names_what_it_answers() {
        let replies = [
            (Answer::Error("no".to_owned()), r#"{"version":1,"error":"no"}"#),
            (Answer::Log("info".to_owned()), r#"{"version":1,"log":"info"}"#),
            (Answer::Modules(Vec::new()), r#"{"version":1,"modules":[]}"#),
            (
                Answer::Reload(ReloadAnswer { unchanged: vec!["80".to_owned()], ..ReloadAnswer::default() }),
                r#"{"version":1,"reload":{"reloaded":[],"unchanged":["80"],"failed":[]}}"#,
            ),
        ];
        for (answer, text) in replies {
            let reply = Reply::new(answer);
            assert_eq!(serde_json::to_string(&reply).unwrap(), text);
            assert_eq!(serde_json::from_str::<Reply>(text).unwrap(), reply);
        }
    }
}
