//! What users say to be let in: the login (HandshakeResponse41), and a change of the user (COM_CHANGE_USER).

use mysql_common::constants::CapabilityFlags;
use serde::{Deserialize, Serialize};

use crate::greeting::Greeting;
use crate::packet::{Fields, write_length};

/// The command that changes the user.
const CHANGE_USER: u8 = 0x11;
/// Bytes between the character set and the name; MariaDB uses the last four.
const FILLER: usize = 19;
/// What a user's programs may be able to do that changes the form of what they say, or what the server may do. What
/// only changes the form of answers is left out: nobody but this module reads those of the target.
const KEPT: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_FOUND_ROWS)
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_CONNECT_WITH_DB)
    .union(CapabilityFlags::CLIENT_NO_SCHEMA)
    .union(CapabilityFlags::CLIENT_ODBC)
    .union(CapabilityFlags::CLIENT_LOCAL_FILES)
    .union(CapabilityFlags::CLIENT_IGNORE_SPACE)
    .union(CapabilityFlags::CLIENT_PROTOCOL_41)
    .union(CapabilityFlags::CLIENT_INTERACTIVE)
    .union(CapabilityFlags::CLIENT_IGNORE_SIGPIPE)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_MULTI_STATEMENTS)
    .union(CapabilityFlags::CLIENT_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PS_MULTI_RESULTS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_CONNECT_ATTRS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(CapabilityFlags::CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS)
    .union(CapabilityFlags::CLIENT_DEPRECATE_EOF)
    .union(QUERY_ATTRIBUTES);
/// What a login of our own needs.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);
/// Statements and executions carry attributes (MySQL 8.0.23 on).
pub(crate) const QUERY_ATTRIBUTES: CapabilityFlags = CapabilityFlags::CLIENT_QUERY_ATTRIBUTES;
/// Of MariaDB's own: bulk executions, and their results one by one.
const KEPT_EXTENDED: u32 = 1 << 2 | 1 << 5;

/// Why a user's login cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLogin {
    /// The user goes over to TLS.
    Tls,
    /// It is of a client older than MySQL 4.1.
    TooOld,
    Malformed,
}

/// Who a user is, and what the user's program can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Bits of [`CapabilityFlags`].
    capabilities: u32,
    /// Bits that MariaDB's programs say beside those.
    extended: u32,
    longest_packet: u32,
    character_set: u16,
    pub(crate) user: Vec<u8>,
    pub(crate) database: Option<Vec<u8>>,
    /// The attributes of the connection, in the form of the wire.
    attributes: Vec<u8>,
}

impl Login {
    /// A login of no user's: what an ordinary program can do.
    pub(crate) fn ordinary(user: &str, database: Option<&str>) -> Self {
        let capabilities = NEEDED
            | CapabilityFlags::CLIENT_LONG_PASSWORD
            | CapabilityFlags::CLIENT_LONG_FLAG
            | CapabilityFlags::CLIENT_TRANSACTIONS
            | CapabilityFlags::CLIENT_LOCAL_FILES
            | CapabilityFlags::CLIENT_MULTI_STATEMENTS
            | CapabilityFlags::CLIENT_MULTI_RESULTS
            | CapabilityFlags::CLIENT_PS_MULTI_RESULTS
            | CapabilityFlags::CLIENT_DEPRECATE_EOF;
        Self {
            capabilities: capabilities.bits(),
            extended: 0,
            longest_packet: 1 << 30,
            character_set: 45, // utf8mb4_general_ci, which every server has
            user: user.as_bytes().to_vec(),
            database: database.map(|name| name.as_bytes().to_vec()),
            attributes: Vec::new(),
        }
    }

    /// Reads the first packet of a user.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, NoLogin> {
        let mut fields = Fields(payload);
        let bits = fields.u32().ok_or(NoLogin::Malformed)?;
        let capabilities = CapabilityFlags::from_bits_retain(bits);
        if !capabilities.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
            return Err(NoLogin::TooOld);
        }
        if payload.len() <= 32 && capabilities.contains(CapabilityFlags::CLIENT_SSL) {
            return Err(NoLogin::Tls);
        }
        Self::read_fields(capabilities, fields).ok_or(NoLogin::Malformed)
    }

    fn read_fields(capabilities: CapabilityFlags, mut fields: Fields<'_>) -> Option<Self> {
        let longest_packet = fields.u32()?;
        let character_set = fields.byte()?.into();
        fields.bytes(FILLER)?;
        let reserved = fields.u32()?;
        let is_mariadb = !capabilities.contains(CapabilityFlags::CLIENT_LONG_PASSWORD);
        let user = fields.until_nul()?.to_vec();
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            fields.length_encoded_bytes()?;
        } else if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            let length = fields.byte()?;
            fields.bytes(length.into())?;
        } else {
            fields.until_nul()?;
        }
        let has_database = capabilities.contains(CapabilityFlags::CLIENT_CONNECT_WITH_DB);
        let database = has_database.then(|| fields.until_nul_or_end().to_vec());
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            fields.until_nul_or_end();
        }
        Some(Self {
            capabilities: capabilities.bits(),
            extended: if is_mariadb { reserved } else { 0 },
            longest_packet,
            character_set,
            user,
            database: database.filter(|name| !name.is_empty()),
            attributes: read_attributes(capabilities, &mut fields),
        })
    }

    /// The number of the collation that the user's character set is told by: what the target gets of it.
    pub(crate) fn collation(&self) -> u16 {
        self.character_set
    }

    /// What the user's program can do, as it said.
    pub(crate) fn capabilities(&self) -> CapabilityFlags {
        CapabilityFlags::from_bits_retain(self.capabilities)
    }

    /// What it can do where a server can do what `greeting` says.
    pub(crate) fn common(&self, greeting: &Greeting) -> CapabilityFlags {
        // Every server can do what the lowest bit once meant; MariaDB's leave it out to be told apart.
        let theirs = greeting.capabilities() | CapabilityFlags::CLIENT_LONG_PASSWORD;
        (self.capabilities() & KEPT | NEEDED) & theirs
    }

    /// Whether no packet marks the end of descriptions in the answers of that server.
    pub(crate) fn is_without_eof(&self, greeting: &Greeting) -> bool {
        self.common(greeting).contains(CapabilityFlags::CLIENT_DEPRECATE_EOF)
    }

    /// The login of that user as the target gets it: as far as both can, with an answer of our own to the challenge.
    pub(crate) fn write(&self, greeting: &Greeting, plugin: &[u8], response: &[u8]) -> Vec<u8> {
        let mut capabilities = self.common(greeting);
        capabilities.set(CapabilityFlags::CLIENT_CONNECT_WITH_DB, self.database.is_some());
        let extended = self.extended & greeting.extended & KEPT_EXTENDED;
        capabilities.set(CapabilityFlags::CLIENT_LONG_PASSWORD, extended == 0);
        let mut payload = Vec::with_capacity(256);
        payload.extend_from_slice(&capabilities.bits().to_le_bytes());
        payload.extend_from_slice(&self.longest_packet.to_le_bytes());
        payload.push(self.character_set as u8);
        payload.extend_from_slice(&[0; FILLER]);
        payload.extend_from_slice(&extended.to_le_bytes());
        write_nul(&self.user, &mut payload);
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            write_length(response.len(), &mut payload);
        } else {
            payload.push(response.len() as u8); // no first answer is longer than 255 bytes
        }
        payload.extend_from_slice(response);
        if let Some(database) = &self.database {
            write_nul(database, &mut payload);
        }
        write_nul(plugin, &mut payload);
        self.write_attributes(capabilities, &mut payload);
        payload
    }

    /// Reads a change of the user on a connection that began with this login: who it is from then on.
    pub(crate) fn read_change(&self, payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        fields.byte()?;
        let user = fields.until_nul()?.to_vec();
        if self.capabilities().contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            let length = fields.byte()?;
            fields.bytes(length.into())?;
        } else {
            fields.until_nul()?;
        }
        let database = fields.until_nul_or_end();
        let character_set = fields.u16().unwrap_or(self.character_set);
        if self.capabilities().contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            fields.until_nul_or_end();
        }
        Some(Self {
            character_set,
            user,
            database: (!database.is_empty()).then(|| database.to_vec()),
            attributes: read_attributes(self.capabilities(), &mut fields),
            ..*self
        })
    }

    /// The change to this user as the target gets it.
    pub(crate) fn write_change(&self, greeting: &Greeting, plugin: &[u8], response: &[u8]) -> Vec<u8> {
        let capabilities = self.common(greeting);
        let mut payload = vec![CHANGE_USER];
        write_nul(&self.user, &mut payload);
        payload.push(response.len() as u8);
        payload.extend_from_slice(response);
        write_nul(self.database.as_deref().unwrap_or_default(), &mut payload);
        payload.extend_from_slice(&self.character_set.to_le_bytes());
        write_nul(plugin, &mut payload);
        self.write_attributes(capabilities, &mut payload);
        payload
    }

    fn write_attributes(&self, capabilities: CapabilityFlags, payload: &mut Vec<u8>) {
        if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
            write_length(self.attributes.len(), payload);
            payload.extend_from_slice(&self.attributes);
        }
    }
}

fn read_attributes(capabilities: CapabilityFlags, fields: &mut Fields<'_>) -> Vec<u8> {
    if !capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
        return Vec::new();
    }
    fields.length_encoded_bytes().unwrap_or_default().to_vec()
}

fn write_nul(field: &[u8], payload: &mut Vec<u8>) {
    payload.extend_from_slice(field);
    payload.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greeting::tests::greeting;

    fn able(capabilities: CapabilityFlags, extended: u32) -> Greeting {
        Greeting::read(&greeting(capabilities.bits(), extended, b"01234567890123456789", "")).unwrap()
    }

    fn said(capabilities: CapabilityFlags) -> Vec<u8> {
        let mut payload = capabilities.bits().to_le_bytes().to_vec();
        payload.extend_from_slice(&[0, 0, 0, 1, 255]);
        payload.extend_from_slice(&[0; 23]);
        payload.extend_from_slice(b"app\0");
        payload.extend_from_slice(b"\x03abc");
        payload.extend_from_slice(b"shop\0mysql_native_password\0\x05\x01a\x02bc");
        payload
    }

    const USUAL: CapabilityFlags = NEEDED
        .union(CapabilityFlags::CLIENT_CONNECT_WITH_DB)
        .union(CapabilityFlags::CLIENT_CONNECT_ATTRS)
        .union(CapabilityFlags::CLIENT_LONG_PASSWORD);

    #[test]
    fn a_login_is_said_with_another_answer() {
        for more in [CapabilityFlags::empty(), CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA] {
            let login = Login::read(&said(USUAL | more)).unwrap();
            assert_eq!((login.user.as_slice(), login.database.as_deref()), (&b"app"[..], Some(&b"shop"[..])));
            let written = login.write(&able(CapabilityFlags::all(), 0), b"caching_sha2_password", &[7; 32]);
            assert_eq!(Login::read(&written), Ok(Login { ..login }));
            assert!(written.windows(33).any(|part| part[0] == 32 && part[1..] == [7; 32]));
            assert!(written.windows(21).any(|part| part == b"caching_sha2_password"));
        }
    }

    #[test]
    fn a_target_that_can_do_less_is_asked_for_less() {
        let login = Login::read(&said(USUAL | QUERY_ATTRIBUTES | CapabilityFlags::CLIENT_COMPRESS)).unwrap();
        assert!(login.capabilities().contains(QUERY_ATTRIBUTES));
        let less = able(USUAL, 0);
        assert!(!login.common(&less).contains(QUERY_ATTRIBUTES));
        assert!(!login.common(&able(CapabilityFlags::all(), 0)).contains(CapabilityFlags::CLIENT_COMPRESS));
        let written = Login::read(&login.write(&less, b"", b"")).unwrap();
        assert!(!written.capabilities().contains(QUERY_ATTRIBUTES));
    }

    #[test]
    fn what_mariadb_can_do_is_said_to_mariadb_alone() {
        let mut payload = said(USUAL - CapabilityFlags::CLIENT_LONG_PASSWORD);
        payload[28..32].copy_from_slice(&0x1d_u32.to_le_bytes());
        let login = Login::read(&payload).unwrap();
        let mariadb = CapabilityFlags::all() - CapabilityFlags::CLIENT_LONG_PASSWORD;
        let to_mariadb = Login::read(&login.write(&able(mariadb, 0x1f), b"", b"")).unwrap();
        assert_eq!(to_mariadb.extended, 1 << 2);
        let to_mysql = login.write(&able(CapabilityFlags::all(), 0), b"", b"");
        assert_eq!((to_mysql[0] & 1, &to_mysql[28..32]), (1, &[0; 4][..]));
    }

    #[test]
    fn a_change_of_the_user_is_said_with_another_answer() {
        let login = Login::read(&said(USUAL)).unwrap();
        let payload = b"\x11bob\0\x02xyother\0\x21\0mysql_native_password\0\x04\x01k\x01v";
        let changed = login.read_change(payload).unwrap();
        assert_eq!(
            (changed.user.as_slice(), changed.database.as_deref()),
            (&b"bob"[..], Some(&b"other"[..]))
        );
        let written = changed.write_change(&able(CapabilityFlags::all(), 0), b"p", &[1, 2, 3]);
        assert_eq!(written, b"\x11bob\0\x03\x01\x02\x03other\0\x21\0p\0\x04\x01k\x01v");
        assert_eq!(login.read_change(b"\x11bob"), None);
    }

    #[test]
    fn what_is_no_login_says_why() {
        let tls = [&(NEEDED | CapabilityFlags::CLIENT_SSL).bits().to_le_bytes()[..], &[0; 28]].concat();
        assert_eq!(Login::read(&tls), Err(NoLogin::Tls));
        assert_eq!(Login::read(&[0x85, 0xa4, 0, 0, 1, b'r', 0]), Err(NoLogin::TooOld));
        assert_eq!(Login::read(&said(USUAL)[..30]), Err(NoLogin::Malformed));
        assert_eq!(Login::read(b"abc"), Err(NoLogin::Malformed));
    }
}
