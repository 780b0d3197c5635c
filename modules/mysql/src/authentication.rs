//! Letting ourselves in: what the target asks of an account, and what is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin, Context, Response};
use mysql_common::packets::AuthPlugin;

use crate::greeting::Greeting;
use crate::packet::Fields;

/// A plugin that every server knows; one that wants another says so.
const FALLBACK: &[u8] = b"mysql_native_password";
/// How often a target may ask before it is let be: no plugin needs more.
const MOST_ROUNDS: u32 = 16;

/// An account of the target, being logged in to.
#[derive(Debug)]
pub(crate) struct Authentication {
    password: Arc<str>,
    plugin: Vec<u8>,
    process: AuthProc,
    challenge: Vec<u8>,
    rounds: u32,
}

/// What follows from a packet of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This payload is said.
    Say(Vec<u8>),
    /// More will come.
    Wait,
    /// We are in.
    Done,
}

/// Why we are not let in: a phrase for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl Authentication {
    /// Begins with the plugin and the challenge of a greeting, and gives the answer that goes into the login.
    pub(crate) fn begin(password: &Arc<str>, greeting: &Greeting) -> Result<(Self, Vec<u8>), Refused> {
        let known = [greeting.plugin.as_slice(), FALLBACK].into_iter().find_map(|name| {
            let process = AuthPlugin::from_bytes(name).init().ok().filter(|_| is_safe(name))?;
            Some((name, process))
        });
        let (name, process) = known.ok_or_else(|| unsupported(&greeting.plugin))?;
        let mut authentication = Self {
            password: Arc::clone(password),
            plugin: name.to_vec(),
            process,
            challenge: greeting.challenge.clone(),
            rounds: 0,
        };
        let answer = authentication.answer(&greeting.challenge)?.unwrap_or_default();
        Ok((authentication, answer))
    }

    /// The plugin that the answer so far is for.
    pub(crate) fn plugin(&self) -> &[u8] {
        &self.plugin
    }

    /// What was answered to last.
    pub(crate) fn into_challenge(self) -> Vec<u8> {
        self.challenge
    }

    /// The target has said `payload`.
    pub(crate) fn hear(&mut self, payload: &[u8]) -> Result<Step, Refused> {
        self.rounds += 1;
        if self.rounds > MOST_ROUNDS {
            return Err(Refused("it goes on asking".to_owned()));
        }
        let mut fields = Fields(payload);
        match fields.byte() {
            Some(0x00) => Ok(Step::Done),
            Some(0xff) => Err(Refused(error(fields))),
            Some(0xfe) if fields.is_empty() => Err(unsupported(b"mysql_old_password")),
            Some(0xfe) => self.switch(fields).map(Step::Say),
            Some(0x01) => Ok(self.answer(fields.0)?.map_or(Step::Wait, Step::Say)),
            _ => Err(Refused("its answer to the login makes no sense".to_owned())),
        }
    }

    /// The target wants another plugin than the one the login was for.
    fn switch(&mut self, mut fields: Fields<'_>) -> Result<Vec<u8>, Refused> {
        let name = fields.until_nul_or_end();
        let plugin = AuthPlugin::from_bytes(name);
        let process = plugin.init().ok().filter(|_| is_safe(name)).ok_or_else(|| unsupported(name))?;
        // A challenge of text ends in a NUL; that of ed25519 is not text.
        let challenge = match (&plugin, fields.0) {
            (AuthPlugin::Ed25519, challenge) => challenge.get(..32).unwrap_or(challenge),
            (_, [challenge @ .., 0]) => challenge,
            (_, challenge) => challenge,
        };
        self.plugin = name.to_vec();
        self.process = process;
        self.challenge = challenge.to_vec();
        Ok(self.answer(challenge)?.unwrap_or_default())
    }

    fn answer(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        let secret = Secret { password: self.password.as_bytes(), challenge: &self.challenge };
        let process = &mut self.process;
        // A key that is cut makes the library panic.
        let answer = catch_unwind(AssertUnwindSafe(|| process.run(secret, challenge)));
        let Ok(answer) = answer else {
            return Err(Refused(format!("what it asks by {} makes no sense", self.plugin.escape_ascii())));
        };
        match answer {
            Ok(Response::Next { packet } | Response::Last { packet }) => Ok(packet),
            Err(error) => {
                let plugin = self.plugin.escape_ascii();
                Err(Refused(format!("what it asks by {plugin} cannot be answered: {error}")))
            }
        }
    }
}

/// Whether an answer by this plugin keeps the password from whoever listens.
fn is_safe(plugin: &[u8]) -> bool {
    !matches!(plugin, b"mysql_clear_password" | b"mysql_old_password")
}

fn unsupported(plugin: &[u8]) -> Refused {
    Refused(format!("it asks by the plugin {:?}, which is not supported", String::from_utf8_lossy(plugin)))
}

/// An error of the target without what differs from host to host.
fn error(mut fields: Fields<'_>) -> String {
    let code = fields.u16().unwrap_or_default();
    match code {
        1045 => "error 1045, access denied".to_owned(),
        1044 | 1049 => format!("error {code}, no such database or no right to it"),
        1040 => "error 1040, too many connections".to_owned(),
        1129 => "error 1129, the host is blocked: raise max_connect_errors of the target".to_owned(),
        _ => format!("error {code}"),
    }
}

/// What the plugins ask for.
struct Secret<'a> {
    password: &'a [u8],
    challenge: &'a [u8],
}

impl Context for Secret<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    fn is_tls_transport(&self) -> bool {
        false
    }

    fn scramble(&self) -> &[u8] {
        self.challenge
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
    use mysql_common::auth::plugins::mysql_native_password::scramble_native;

    use super::*;
    use crate::greeting::tests::greeting;

    const CHALLENGE: &[u8; 20] = b"01234567890123456789";
    const OTHER: &[u8; 20] = b"abcdefghijklmnopqrst";

    fn begin(plugin: &str, password: &str) -> Result<(Authentication, Vec<u8>), Refused> {
        let greeting = Greeting::read(&greeting(0xffff_ffff, 0, CHALLENGE, plugin)).unwrap();
        Authentication::begin(&password.into(), &greeting)
    }

    fn switch_to(plugin: &str, challenge: &[u8]) -> Vec<u8> {
        [b"\xfe", plugin.as_bytes(), b"\0", challenge, b"\0"].concat()
    }

    #[test]
    fn the_challenge_is_the_targets() {
        let (mut native, answer) = begin("mysql_native_password", "secret").unwrap();
        assert_eq!(answer, scramble_native(CHALLENGE, b"secret").unwrap());
        assert_eq!(native.hear(b"\0\0\0\x02\0\0\0"), Ok(Step::Done));
        let (mut sha2, answer) = begin("caching_sha2_password", "secret").unwrap();
        assert_eq!(answer, scramble_sha256(CHALLENGE, b"secret").unwrap());
        assert_eq!(sha2.hear(b"\x01\x03"), Ok(Step::Wait));
        assert_eq!(sha2.hear(b"\0\0\0\x02\0\0\0"), Ok(Step::Done));
    }

    #[test]
    fn full_authentication_asks_for_the_key_first() {
        let (mut sha2, _) = begin("caching_sha2_password", "secret").unwrap();
        assert_eq!(sha2.hear(b"\x01\x04"), Ok(Step::Say(vec![2])));
        let (mut sha256, answer) = begin("sha256_password", "secret").unwrap();
        assert_eq!(answer, [1]);
        for process in [&mut sha2, &mut sha256] {
            assert!(matches!(process.hear(b"\x01not a key"), Err(Refused(_))));
            let Ok(Step::Say(said)) = process.hear(KEY) else { panic!("the key was not used") };
            assert_eq!(said.len(), 128);
        }
    }

    #[test]
    fn a_switch_answers_the_new_challenge_by_the_new_plugin() {
        let (mut process, _) = begin("caching_sha2_password", "secret").unwrap();
        let answer = scramble_native(OTHER, b"secret").unwrap().to_vec();
        assert_eq!(process.hear(&switch_to("mysql_native_password", OTHER)), Ok(Step::Say(answer)));
        assert_eq!(process.plugin(), b"mysql_native_password");
        let ed25519 = [b"\xfeclient_ed25519\0".as_slice(), &[9; 32]].concat();
        assert!(matches!(process.hear(&ed25519), Ok(Step::Say(said)) if said.len() == 64));
    }

    #[test]
    fn an_account_without_a_password_answers_nothing() {
        for plugin in ["mysql_native_password", "caching_sha2_password", "sha256_password"] {
            let (mut process, answer) = begin(plugin, "").unwrap();
            assert!(answer.is_empty(), "{plugin}: {answer:?}");
            assert_eq!(process.hear(b"\0\0\0\x02\0\0\0"), Ok(Step::Done));
        }
    }

    #[test]
    fn a_greeting_of_an_unknown_plugin_is_answered_by_a_known_one() {
        let (process, _) = begin("auth_socket", "secret").unwrap();
        assert_eq!(process.plugin(), FALLBACK);
    }

    #[test]
    fn refusals_say_why() {
        let refusal = |said: &[u8]| begin("mysql_native_password", "x").unwrap().0.hear(said).unwrap_err().0;
        assert_eq!(
            refusal(b"\xff\x15\x04#28000Access denied for 'app'@'10.0.0.1'"),
            "error 1045, access denied"
        );
        assert!(refusal(b"\xfe").contains("mysql_old_password"));
        assert!(refusal(&switch_to("mysql_clear_password", b"")).contains("mysql_clear_password"));
        assert!(refusal(&switch_to("dialog", b"Password: ")).contains("dialog"));
        assert!(refusal(b"what").contains("makes no sense"));
        assert!(refusal(&switch_to("caching_sha2_password", b"short")).contains("cannot be answered"));
    }

    #[test]
    fn a_target_that_asks_for_ever_is_let_be() {
        let (mut process, _) = begin("mysql_native_password", "x").unwrap();
        let refused = (0..100).find_map(|_| process.hear(&switch_to("mysql_native_password", OTHER)).err());
        assert_eq!(refused, Some(Refused("it goes on asking".to_owned())));
    }

    /// A key of RSA, of 1024 bits, made for this test.
    const KEY: &[u8] = include_bytes!("authentication/key.pem.packet");
}
