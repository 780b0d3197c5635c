//! The author's test kit: plays a conversation against a module, in every split.
//!
//! A [`Transcript`] says what happens to a session: what the user says, what the target and the online server answer, what is
//! lost, who closes, how time passes. [`play`] carries it out on a [`Stage`], which does what tcpcopy does by the words
//! of [`Conversation`](crate::Conversation), and gives the [`Outcome`]: what was said to the target, in which turns,
//! and everything else the module did. [`check_every_split`] does it again and again with the same bytes cut into other
//! calls, and insists on the same outcome.
//!
//! ```
//! use tcpcopy_plugin_api::testing::{Transcript, check_every_split};
//! # use tcpcopy_plugin_api::{Actions, Configuration, ConfigurationError, Conversation, Depth, GiveUp, Module, SessionInfo};
//! # struct Lines;
//! # impl Module for Lines {
//! #     fn configure(_: &Configuration<'_>) -> Result<Self, ConfigurationError> { Ok(Self) }
//! #     fn open(&self, _: &SessionInfo) -> Box<dyn Conversation> { Box::new(Line) }
//! # }
//! # struct Line;
//! # impl Conversation for Line {
//! #     fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
//! #         actions.want_target(Depth::EVERYTHING);
//! #         Ok(())
//! #     }
//! #     fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
//! #         for line in input.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
//! #             if line == b"shutdown\n" {
//! #                 actions.discard(line.len() as u64, "shutdown is not repeated");
//! #             } else {
//! #                 actions.open_turn();
//! #                 actions.forward(line.len() as u64);
//! #             }
//! #         }
//! #         Ok(())
//! #     }
//! #     fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
//! #         for line in input.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
//! #             actions.take(line.len() as u64);
//! #             actions.complete_turn();
//! #         }
//! #         Ok(())
//! #     }
//! # }
//! let lines = Lines; // a module whose requests and answers are lines, and which does not repeat `shutdown`
//!
//! let transcript = Transcript::new().client("time\nshutdown\n").target("12:00\n").client("date\n").target("May 1st\n");
//! let outcome = check_every_split(&lines, &transcript).unwrap();
//!
//! assert_eq!(outcome.said(), b"time\ndate\n");
//! assert_eq!(outcome.connection().turns, [0, 5]); // a turn begins with each line …
//! assert_eq!(outcome.connection().completed, [6, 14]); // … and was over where its answer was
//! assert_eq!(outcome.discarded["shutdown is not repeated"], 9);
//! ```
//!
//! What no transcript can show, the kit tells as a [`Misuse`]: actions that make no sense, with what to do instead.
//!
//! # What the stage does not play
//!
//! The stage has no clock but [`Transcript::wait`], and no network: whatever is said is said at once, so a turn waits for
//! nothing. What the engine does by itself where a module lets it guess is not played either.

mod misuse;
mod outcome;
mod speech;
mod splits;
mod stage;
mod stream;
mod transcript;

pub use misuse::Misuse;
pub use outcome::{Connection, Outcome};
pub use splits::{Cut, Failure, check_every_split, play, play_cut};
pub use stage::Stage;
pub use transcript::Transcript;
