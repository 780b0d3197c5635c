//! What tcpcopy is asked through its admin socket while it runs, and what it answers.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::scenario::module::Swap;
use crate::world::host::Host;
use crate::world::process::{Launch, Process};

/// How long an answer may take. Trying out a library is part of a swap.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `tcpcopy ctl` said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it did what it was asked.
    pub accepted: bool,
    /// Everything it said.
    pub text: String,
}

/// Runs `tcpcopy ctl` to its end.
pub(crate) fn ask(host: &Host, launch: Launch, logs: &std::path::Path) -> Result<Answer> {
    let mut ctl = Process::start(host, launch, logs)?;
    let status = ctl.finish(PATIENCE)?;
    let text = [ctl.stdout()?, ctl.stderr()?].concat();
    Ok(Answer { accepted: status.success(), text: text.trim_end().to_owned() })
}

/// What is not as it must be when `swap` was answered like this.
pub(crate) fn complaint_about(swap: &Swap, answer: &Answer) -> Option<String> {
    let Answer { accepted, text } = answer;
    match swap.refusal {
        None if *accepted => None,
        None => Some(format!("\"{swap}\" was refused: {text}")),
        Some(_) if *accepted => Some(format!("\"{swap}\" had to be refused, and was accepted: {text}")),
        Some(sentence) if text.contains(sentence) => None,
        Some(sentence) => Some(format!("\"{swap}\" was refused without a word on {sentence:?}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::module::{Library, Module};

    fn complains(refusal: Option<&'static str>, accepted: bool) -> bool {
        let module = Module::new(Library::Torn, "torn.so");
        let swap = Swap { mapping: 0, module, migrate: false, refusal };
        complaint_about(&swap, &Answer { accepted, text: "torn.so is cut short".to_owned() }).is_some()
    }

    #[test]
    fn a_swap_has_to_be_answered_as_expected() {
        assert!(!complains(None, true) && complains(None, false));
        assert!(!complains(Some("cut short"), false));
        assert!(complains(Some("cut short"), true) && complains(Some("version"), false));
    }
}
