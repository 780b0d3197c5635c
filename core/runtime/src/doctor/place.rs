//! Where what the targets answer is captured.

use std::fmt;
use std::net::SocketAddr;

/// A host that sees the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An assistant; intercept listens at that address.
    Assistant(SocketAddr),
    /// This host, with `--intercept-on`.
    Here,
}

impl Place {
    /// What findings about it are about.
    pub(super) const fn subject(self) -> &'static str {
        match self {
            Self::Assistant(_) => "intercept",
            Self::Here => "answers",
        }
    }

    /// The program that captures there.
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Assistant(_) => "intercept",
            Self::Here => "tcpcopy",
        }
    }

    /// Who captures there.
    pub(super) fn taker(self) -> String {
        match self {
            Self::Assistant(address) => format!("{} on {}", self.program(), address.ip()),
            Self::Here => self.program().to_owned(),
        }
    }

    /// The option that says on which devices.
    pub(super) const fn device_option(self) -> &'static str {
        match self {
            Self::Assistant(_) => "-i",
            Self::Here => "--intercept-on",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assistant(address) => write!(f, "the assistant {}", address.ip()),
            Self::Here => f.write_str("this host"),
        }
    }
}
