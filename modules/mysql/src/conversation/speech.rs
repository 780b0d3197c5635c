//! How commands are said: one by one as they are given; or, of a compressed connection, where frames hide where commands end,
//! several together.

use tcpcopy_plugin_api::Actions;

/// What is said of the present piece of the user's stream.
pub(super) struct Speech<'a> {
    pub(super) actions: &'a mut Actions,
    /// The words, where they are said all together.
    gathered: Option<Gathered>,
}

#[derive(Default)]
struct Gathered {
    said: Vec<u8>,
    has_turn: bool,
    has_answer: bool,
    reason: Option<String>,
}

impl<'a> Speech<'a> {
    /// Words are said as they are given.
    pub(super) fn direct(actions: &'a mut Actions) -> Self {
        Self { actions, gathered: None }
    }

    /// Words are gathered, as one turn at the most.
    pub(super) fn gathered(actions: &'a mut Actions) -> Self {
        Self { actions, gathered: Some(Gathered::default()) }
    }

    pub(super) fn is_gathered(&self) -> bool {
        self.gathered.is_some()
    }

    /// A command that is answered is said: whether another one was said in the same piece before it.
    pub(super) fn awaits_another_answer(&mut self) -> bool {
        self.gathered.as_mut().is_some_and(|gathered| std::mem::replace(&mut gathered.has_answer, true))
    }

    pub(super) fn open_turn(&mut self) {
        let is_open =
            self.gathered.as_mut().is_some_and(|gathered| std::mem::replace(&mut gathered.has_turn, true));
        if !is_open {
            self.actions.open_turn();
        }
    }

    /// `by` is said instead of the first `replaced` bytes of a packet of `total` bytes, which begins `input`; its rest as it
    /// is.
    pub(super) fn say(&mut self, input: &[u8], total: usize, replaced: usize, by: &[u8]) {
        match &mut self.gathered {
            Some(gathered) => {
                gathered.said.extend_from_slice(by);
                gathered.said.extend_from_slice(input.get(replaced..total).unwrap_or_default());
            }
            None => {
                if replaced > 0 {
                    self.actions.replace(replaced as u64, by);
                }
                self.actions.forward((total - replaced) as u64);
            }
        }
    }

    /// A packet of `total` bytes is left out.
    pub(super) fn leave_out(&mut self, total: usize, reason: &str) {
        match &mut self.gathered {
            Some(gathered) => gathered.reason = Some(reason.to_owned()),
            None => self.actions.discard(total as u64, reason),
        }
    }

    /// The piece is over: it had `count` bytes of the user's.
    pub(super) fn end(self, count: usize) {
        let Some(Gathered { said, reason, .. }) = self.gathered else { return };
        match reason {
            Some(reason) if said.is_empty() => self.actions.discard(count as u64, &reason),
            reason => {
                self.actions.replace(count as u64, &said);
                if let Some(reason) = reason {
                    self.actions.discard(0, &reason);
                }
            }
        }
    }
}
