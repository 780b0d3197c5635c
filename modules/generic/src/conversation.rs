//! One session: all of it is forwarded.

use tcpcopy_plugin_api::{Actions, Conversation, GiveUp};

/// What a conversation has to remember from call to call would be its fields.
#[derive(Debug)]
pub(crate) struct GenericConversation;

impl Conversation for GenericConversation {
    /// Called before the first byte. Everything to come is promised at once and nothing is wanted, so this conversation is
    /// never called again, and no payload of the target crosses the feed.
    fn opened(&mut self, actions: &mut Actions) -> Result<(), GiveUp> {
        actions.forward_all();
        Ok(())
    }

    /// The one method every conversation has to have. Here it has nothing left to do; a protocol would look whether
    /// `input` holds a whole message, and deal with that.
    fn client(&mut self, _input: &[u8], actions: &mut Actions) -> Result<(), GiveUp> {
        actions.forward_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tcpcopy_plugin_api::Side;
    use tcpcopy_plugin_api::testing::{Stage, Transcript, check_every_split};

    use crate::Generic;

    #[test]
    fn what_the_user_says_is_said() {
        let transcript = Transcript::new()
            .client("one")
            .target("answer")
            .client("two")
            .missing(Side::Target, 7)
            .reconnect()
            .client("three")
            .ends(Side::Client);
        let outcome = check_every_split(&Generic, &transcript).unwrap();
        let said: Vec<_> = outcome.connections.iter().map(|connection| connection.said.as_slice()).collect();
        assert_eq!(said, [&b"onetwo"[..], b"three"]);
        assert!(outcome.guessing && outcome.left == 0);
    }

    #[test]
    fn packets_cost_no_call() {
        let mut stage = Stage::open(&Generic, Transcript::new().info()).unwrap();
        for side in [Side::Client, Side::Target, Side::Online] {
            stage.bytes(side, b"some bytes").unwrap();
        }
        assert_eq!(stage.calls(), 1, "the call that opened it");
    }
}
