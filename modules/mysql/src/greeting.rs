//! What a server says first.

use mysql_common::constants::CapabilityFlags;
use serde::{Deserialize, Serialize};

use crate::packet::Fields;

/// The greeting's version of the protocol that is understood.
const PROTOCOL: u8 = 10;
/// Bytes of a challenge, less the NUL that is sent behind it.
const CHALLENGE: usize = 20;

/// A server's greeting (HandshakeV10), as far as a login needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Bits of [`CapabilityFlags`].
    capabilities: u32,
    /// Those of MariaDB alone; 0 from others.
    pub(crate) extended: u32,
    pub(crate) challenge: Vec<u8>,
    /// The plugin that new accounts of the server use.
    pub(crate) plugin: Vec<u8>,
    /// The server's default, the lower eight bits of its number.
    pub(crate) collation: u8,
    /// As in its answers.
    pub(crate) status: u16,
}

/// Why there is no greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoGreeting {
    /// The server does not take the connection, and says this error instead.
    Refused(u16),
    Malformed,
}

impl Greeting {
    /// Reads the first packet of a server.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, NoGreeting> {
        let mut fields = Fields(payload);
        match fields.byte() {
            Some(PROTOCOL) => Self::read_fields(fields).ok_or(NoGreeting::Malformed),
            Some(0xff) => Err(fields.u16().map_or(NoGreeting::Malformed, NoGreeting::Refused)),
            _ => Err(NoGreeting::Malformed),
        }
    }

    /// What the server can do.
    pub(crate) fn capabilities(&self) -> CapabilityFlags {
        CapabilityFlags::from_bits_retain(self.capabilities)
    }

    fn read_fields(mut fields: Fields<'_>) -> Option<Self> {
        fields.until_nul()?; // the server's version
        fields.u32()?; // the connection's number
        let mut challenge = fields.bytes(8)?.to_vec();
        fields.byte()?;
        let low = fields.u16()?;
        let collation = fields.byte()?;
        let status = fields.u16()?;
        let high = fields.u16()?;
        let bits = u32::from(low) | u32::from(high) << 16;
        let capabilities = CapabilityFlags::from_bits_retain(bits);
        let length = usize::from(fields.byte()?);
        fields.bytes(6)?;
        let reserved = fields.u32()?;
        let is_mariadb = !capabilities.contains(CapabilityFlags::CLIENT_LONG_PASSWORD);
        if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            let rest = fields.bytes(length.saturating_sub(8).max(13))?;
            challenge.extend_from_slice(rest);
            challenge.truncate(length.saturating_sub(1).max(CHALLENGE));
        }
        let has_plugin = capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH);
        Some(Self {
            capabilities: bits,
            extended: if is_mariadb { reserved } else { 0 },
            challenge,
            collation,
            status,
            plugin: if has_plugin { fields.until_nul_or_end().to_vec() } else { Vec::new() },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A greeting in the form servers give it.
    pub(crate) fn greeting(capabilities: u32, extended: u32, challenge: &[u8], plugin: &str) -> Vec<u8> {
        let mut payload = b"\x0a8.4.0-test\0\x07\0\0\0".to_vec();
        payload.extend_from_slice(&challenge[..8]);
        payload.push(0);
        payload.extend_from_slice(&(capabilities as u16).to_le_bytes());
        payload.extend_from_slice(&[45, 2, 0]);
        payload.extend_from_slice(&((capabilities >> 16) as u16).to_le_bytes());
        payload.push(challenge.len() as u8 + 1);
        payload.extend_from_slice(&[0; 6]);
        payload.extend_from_slice(&extended.to_le_bytes());
        payload.extend_from_slice(&challenge[8..]);
        payload.push(0);
        payload.extend_from_slice(plugin.as_bytes());
        payload.push(0);
        payload
    }

    #[test]
    fn a_greeting_is_read() {
        let payload = greeting(0xffff_fffe, 0x1c, b"01234567890123456789", "mysql_native_password");
        let greeting = Greeting::read(&payload).unwrap();
        assert_eq!(greeting.challenge, b"01234567890123456789");
        assert_eq!((greeting.plugin.as_slice(), greeting.extended), (&b"mysql_native_password"[..], 0x1c));
    }

    #[test]
    fn what_only_mariadb_can_do_is_nothing_elsewhere() {
        let payload = greeting(0xffff_ffff, 0x1c, b"01234567890123456789", "caching_sha2_password");
        assert_eq!(Greeting::read(&payload).unwrap().extended, 0);
    }

    #[test]
    fn a_server_that_takes_nobody_is_told_from_one_that_makes_no_sense() {
        assert_eq!(Greeting::read(b"\xff\x10\x04Too many connections"), Err(NoGreeting::Refused(1040)));
        assert_eq!(Greeting::read(b"\x0a8.4.0"), Err(NoGreeting::Malformed));
        assert_eq!(Greeting::read(b"SSH-2.0-OpenSSH"), Err(NoGreeting::Malformed));
        assert_eq!(Greeting::read(b""), Err(NoGreeting::Malformed));
    }
}
