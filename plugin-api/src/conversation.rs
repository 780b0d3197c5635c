//! A conversation: a module's half of one session.

use std::fmt;

use crate::Actions;

/// One of the three byte streams of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// What the user said to the online server, as captured.
    Client,
    /// What the target answers.
    Target,
    /// What the online server answered the user, as captured.
    Online,
}

/// A module's half of one session: it is given bytes, in order and each once, and answers with [`Actions`].
///
/// # Input
///
/// A call to [`client`](Self::client), [`target`](Self::target) or [`online`](Self::online) gives bytes of that side
/// from the first on that was not dealt with before: what an earlier call left is given again, with what has come since
/// behind it. (Where several client segments have waited, a first call may give one of them, for the sake of its
/// [time](Actions::at); if it is left, the next call gives all. Once the client has [ended](Self::ended), each gives all.)
/// So a parser never keeps bytes of its own: it looks whether its message is complete, and if it is not, takes nothing
/// and returns. **How the bytes are split into calls means nothing**: it depends on packet sizes, losses and load. The
/// test kit (feature `testing`) checks that a module answers every split alike.
///
/// Bytes are dealt with by the actions of the call: of the client side by [`forward`](Actions::forward),
/// [`replace`](Actions::replace) and [`discard`](Actions::discard), of the other sides by [`take`](Actions::take). Each of
/// them may name more bytes than there are yet (`replace` may not): those that come are then dealt with unseen, which is
/// the cheap way past a long body. Until they have come, nothing more can be done about the client's side. What a
/// conversation leaves is bounded: a session whose module leaves more than 64 MiB of the client's side, or 1 MiB of
/// another, ends with the verdict `module_gave_up`.
///
/// A conversation that leaves client bytes holds the session back: nothing more is said until it deals with them. It
/// is asked again whenever anything else has come: bytes of any side, an end, its timer.
///
/// # What costs nothing
///
/// A conversation is given target bytes only while [`Actions::want_target`] is in force, and online bytes only while
/// [`Actions::want_online`] is; neither is at the beginning. One that has called [`Actions::forward_all`] and wants
/// nothing is let go: it is not called again, and not [replaced](crate::Module::resume) either.
///
/// # Time
///
/// All sessions, and the packets of all users, wait while a call runs: it takes microseconds, and never waits for anything (a file, a
/// lock, a server). What has to happen later happens in a [timer](Actions::set_timer). Calls of 10 ms or more are counted and
/// told in the log; one that has not returned after a second is told of by itself, and ends tcpcopy after half a minute
/// (`--module-timeout`), since nothing else can end it.
///
/// # Errors
///
/// A [`GiveUp`] ends this session: its reason is counted and told once in the log, and what was not yet said is counted
/// as lost under the verdict `module_gave_up`. The user's connection goes on, and the next turn recognised in it begins
/// another session, as one [joined](crate::SessionInfo::joined) in the middle, unless it was given up
/// [for good](GiveUp::for_good). Actions of a call that gives up are not carried out. A panic does the same
/// under the verdict `module_fault`; other sessions and the process go on, and a module that keeps failing is rolled
/// back. Nothing can protect the process from a module that aborts or writes through wild pointers.
pub trait Conversation: Send {
    /// The session begins, or is [taken over](crate::Module::resume), before any byte is given: the place to say what is
    /// [wanted](Actions::want_target), or that nothing is ([`Actions::forward_all`]). A session that was
    /// [joined](crate::SessionInfo::joined) in its middle, of a protocol that has to log in first, begins with a
    /// [prologue](Actions::begin_prologue).
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let _ = actions;
        Ok(())
    }

    /// Bytes the user said.
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn client(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp>;

    /// Bytes the target answered, while they are wanted. By default they are taken unseen.
    ///
    /// What is left behind the end of an answer that [completes a turn](Actions::complete_turn) is given again at once, so
    /// that each of several answers can be measured from [its own turn](Actions::turn_said_at).
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn target(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        actions.take(input.len() as u64);
        Ok(())
    }

    /// Bytes the online server answered, while they are wanted. By default they are taken unseen.
    ///
    /// They come as captured: an answer may come before the client bytes it answers when the capture was late with those.
    /// Leave it then; it is given again once client bytes were dealt with.
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn online(&mut self, input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        actions.take(input.len() as u64);
        Ok(())
    }

    /// The next `count` bytes of `side` (target or online) cannot be given: they lie beyond the depth asked for, were
    /// on the way before they were asked for, or were lost by the capture. Bytes of that side left before are gone as
    /// well, and are not part of `count`. A parser that knows it is inside a body of known length goes on; by default
    /// the engine goes back to [guessing](Actions::guess_turns) where a turn is over, if it was the target's side.
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn missing(&mut self, side: Side, count: u64, actions: &mut Actions) -> Result<(), GiveUp> {
        let _ = count;
        if side == Side::Target {
            actions.guess_turns();
        }
        Ok(())
    }

    /// `side` has closed: no more bytes of it will come. Of the target, told while its bytes are wanted: on the present
    /// connection, by its close or its reset; a turn that is not complete after this call is
    /// [said again](Self::reconnected) if the connection is lost, so an answer that ends with its connection has to be
    /// completed here. Of the online server, told once everything it said before was dealt with. Of the client, told again
    /// when client bytes that were given again on a new connection are left. Client bytes that are left stay with the
    /// conversation until it deals with them; what it had promised for bytes to come is void.
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn ended(&mut self, side: Side, actions: &mut Actions) -> Result<(), GiveUp> {
        let _ = (side, actions);
        Ok(())
    }

    /// The connection to the target is gone, by its reset, its close or a time-out, while there is still something to
    /// say. A new one is being opened. The target's stream begins anew with its first byte, and **every turn that was
    /// opened and not [completed](Actions::complete_turn) is withdrawn**: its client bytes will be given to
    /// [`client`](Self::client) again, from the place where [`Actions::open_turn`] stood. What was inserted in such a
    /// turn is gone.
    ///
    /// A protocol that has to log in first calls [`Actions::begin_prologue`].
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn reconnected(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let _ = actions;
        Ok(())
    }

    /// The time set with [`Actions::set_timer`] has come.
    ///
    /// # Errors
    /// [`GiveUp`]: the session cannot go on.
    fn timer(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        let _ = actions;
        Ok(())
    }

    /// What another conversation needs to [take over](crate::Module::resume). Asked when no turn is open and nothing is
    /// left of any side; and at any moment when this session ends before the user does, or the rest of the user's
    /// connection lies behind a hole in the capture. `None`, the default: this session cannot move, and ends with this
    /// conversation.
    fn snapshot(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// A conversation gives its session up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GiveUp {
    reason: String,
    is_fault: bool,
    is_for_good: bool,
}

impl GiveUp {
    /// Why, as a short phrase for the operator: "the target refused the account \"app\"". Sessions given up for the same
    /// phrase are counted together, so leave out what differs from session to session.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_fault: false, is_for_good: false }
    }

    /// And nothing of this user's connection can be replayed later either (it is encrypted, its account is refused): no
    /// other session is begun for it, and what the user goes on to say is counted as lost under the same verdict.
    #[must_use]
    pub fn for_good(self) -> Self {
        Self { is_for_good: true, ..self }
    }

    /// For hosts: the module broke, by a panic or by actions that make no sense. Counts towards its being rolled back.
    #[must_use]
    pub fn fault(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_fault: true, is_for_good: false }
    }

    /// The phrase.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the module broke, rather than judged.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        self.is_fault
    }

    /// Whether the user's whole connection is given up, not only the present session.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        self.is_for_good
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for GiveUp {}
