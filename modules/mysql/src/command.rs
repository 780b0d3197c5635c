//! Commands: what users say once they are in.

use crate::packet::Fields;

/// What kind of command a packet is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Quit,
    InitDatabase,
    Query,
    FieldList,
    CreateDatabase,
    DropDatabase,
    Refresh,
    Shutdown,
    Statistics,
    ProcessInfo,
    ProcessKill,
    Debug,
    Ping,
    ChangeUser,
    Prepare,
    Execute,
    SendLongData,
    Close,
    Reset,
    SetOption,
    Fetch,
    ResetConnection,
    BulkExecute,
    /// A program that copies the server: a dump of its log or of a table, or a clone of it.
    Replication,
    /// One that no server takes from a user; the answer is an error.
    Other,
}

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Form {
    /// By one packet.
    #[default]
    Single,
    /// By results, one or several, or a request for a file.
    Results,
    /// By a statement's number and what it takes and gives.
    Prepared,
    /// By descriptions of columns.
    Columns,
    /// By rows alone.
    Rows,
    /// By a login's exchange.
    Login,
}

impl Command {
    /// The command that begins a payload; `None` for what cannot be one.
    pub(crate) fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Quit,
            0x02 => Self::InitDatabase,
            0x03 => Self::Query,
            0x04 => Self::FieldList,
            0x05 => Self::CreateDatabase,
            0x06 => Self::DropDatabase,
            0x07 => Self::Refresh,
            0x08 => Self::Shutdown,
            0x09 => Self::Statistics,
            0x0a => Self::ProcessInfo,
            0x0c => Self::ProcessKill,
            0x0d => Self::Debug,
            0x0e => Self::Ping,
            0x11 => Self::ChangeUser,
            0x12 | 0x13 | 0x15 | 0x1e | 0x20 => Self::Replication,
            0x16 => Self::Prepare,
            0x17 => Self::Execute,
            0x18 => Self::SendLongData,
            0x19 => Self::Close,
            0x1a => Self::Reset,
            0x1b => Self::SetOption,
            0x1c => Self::Fetch,
            0x1f => Self::ResetConnection,
            0xfa => Self::BulkExecute,
            0x00 | 0x0b | 0x0f | 0x10 | 0x14 | 0x1d => Self::Other,
            _ => return None,
        })
    }

    /// How it is answered; `None`: not at all.
    pub(crate) const fn answer(self) -> Option<Form> {
        Some(match self {
            Self::Quit | Self::SendLongData | Self::Close => return None,
            Self::Query | Self::ProcessInfo | Self::Execute | Self::BulkExecute => Form::Results,
            Self::Prepare => Form::Prepared,
            Self::FieldList => Form::Columns,
            Self::Fetch => Form::Rows,
            Self::ChangeUser => Form::Login,
            _ => Form::Single,
        })
    }

    /// The row of a report that it belongs to when it has no statement.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Quit => "(quit)",
            Self::InitDatabase => "(init database)",
            Self::Query => "(query)",
            Self::FieldList => "(field list)",
            Self::CreateDatabase => "(create database)",
            Self::DropDatabase => "(drop database)",
            Self::Refresh => "(refresh)",
            Self::Shutdown => "(shutdown)",
            Self::Statistics => "(statistics)",
            Self::ProcessInfo => "(process info)",
            Self::ProcessKill => "(process kill)",
            Self::Debug => "(debug)",
            Self::Ping => "(ping)",
            Self::ChangeUser => "(change user)",
            Self::Prepare => "(prepare)",
            Self::Execute | Self::BulkExecute => "(execute)",
            Self::SendLongData => "(long data)",
            Self::Close => "(close)",
            Self::Reset => "(reset statement)",
            Self::SetOption => "(set option)",
            Self::Fetch => "(fetch)",
            Self::ResetConnection => "(reset connection)",
            Self::Replication => "(replication)",
            Self::Other => "(other command)",
        }
    }
}

/// What a command that names a prepared statement says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatementId(pub(crate) u32);

impl StatementId {
    /// Bytes of a payload up to the end of the number.
    pub(crate) const END: usize = 5;
    /// MariaDB's name for the statement that was prepared last.
    pub(crate) const LAST: Self = Self(u32::MAX);

    /// The number in a payload.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        Fields(payload.get(1..)?).u32().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_taken_for_a_command_that_is_none() {
        let commands = (0..=255).filter(|byte| Command::of(*byte).is_some()).count();
        assert_eq!(commands, 34);
        assert_eq!(Command::of(0x16), Some(Command::Prepare));
        assert_eq!(Command::of(b'G'), None);
    }
}
